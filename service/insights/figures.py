"""What was asked and how it was answered, over a period; hides how it is added up.

Everything comes from one reading of `tally`, so all numbers of a page agree with each other.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from kb import clock
from kb.db import Database
from kb.models import Department, Entry
from service.conversations import Outcome
from service.insights.models import Tally
from service.insights.tallies import BOUNDS, PATIENCE, Tallies

LONGEST = 732
HOT = 10
OUTCOMES = {
    Outcome.ANSWERED.value: "已回答",
    Outcome.ANSWERED_CLAUSE.value: "引用条款",
    Outcome.CLARIFY.value: "请您选择",
    Outcome.UNANSWERABLE.value: "无法回答",
    Outcome.HANDED_OFF.value: "转人工",
    Outcome.BLOCKED.value: "未受理",
    Outcome.ERROR.value: "出错",
}
CHANNELS = {
    "web": "网页",
    "widget": "网站小窗",
    "wechat": "微信公众号",
    "wecom": "企业微信",
    "dingtalk": "钉钉",
    "feishu": "飞书",
    "hotline": "热线",
    "api": "接口",
    "completions": "兼容接口",
    "mcp": "智能体",
}


@dataclass(frozen=True)
class Slice:
    """What to add up.

    Attributes:
        first, last: days in China, both included.
        region: code; what lies in it counts. None for all.
        department: of the entry or document that answered, by name; empty for all.
        channel: empty for all.
    """

    first: date
    last: date
    region: str | None = None
    department: str = ""
    channel: str = ""

    @property
    def days(self) -> int:
        """How many days there are."""
        return (self.last - self.first).days + 1

    def before(self) -> "Slice":
        """The period of the same length that ended just before this one began."""
        return Slice(
            self.first - timedelta(days=self.days),
            self.first - timedelta(days=1),
            self.region,
            self.department,
            self.channel,
        )


@dataclass
class Sums:
    """Questions of a slice, by what they agree in; every mapping but `entries` adds up to `total`.

    Attributes:
        days: each day of the slice → outcome → questions.
        entries: number of an entry → questions answered from it.
        hours: 0 to 23 → questions, by the clock in China.
        speeds: class of `tallies.BOUNDS` → questions.
    """

    total: int = 0
    helpful: int = 0
    unhelpful: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    departments: Counter[str] = field(default_factory=Counter)
    entries: Counter[int] = field(default_factory=Counter)
    hours: Counter[int] = field(default_factory=Counter)
    speeds: Counter[int] = field(default_factory=Counter)
    days: dict[date, Counter[str]] = field(default_factory=dict)

    def share(self, *outcomes: str) -> float | None:
        """Share of the questions that ended so; None where there were none."""
        return sum(self.outcomes[each] for each in outcomes) / self.total if self.total else None

    @property
    def answered(self) -> float | None:
        """Share of the questions that got an answer, from an entry or from a clause."""
        return self.share("answered", "answered_clause")

    @property
    def helpful_share(self) -> float | None:
        """Share of the judged answers that helped; None where nobody judged any."""
        judged = self.helpful + self.unhelpful
        return self.helpful / judged if judged else None

    def milliseconds(self, share: float) -> int | None:
        """Time within which that share of the questions was answered; None without questions.

        Read from classes: the upper bound of the class, at most a quarter too much.
        """
        passed = 0
        for at, bound in enumerate(BOUNDS):
            passed += self.speeds[at]
            if self.total and passed >= share * self.total:
                return bound
        return None


@dataclass(frozen=True)
class HotQuestion:
    """An entry that many questions were answered from."""

    entry_id: int
    question: str
    department: str
    count: int


class Figures:
    """Adds up on demand."""

    def __init__(
        self,
        db: Database,
        tallies: Tallies,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._tallies = tallies
        self._now = now

    def level(self) -> int:
        """Count what is new; return how many days are left to be counted in the background."""
        return self._tallies.bring_level(most=PATIENCE)

    def sums(self, wanted: Slice) -> Sums:
        """Add up a slice."""
        sums = Sums(days={day: Counter() for day in _days(wanted)})
        with self._db.reading() as session:
            for row in session.execute(_tallied(wanted)):
                _add(sums, row)
        return sums

    def hot(self, sums: Sums, *, limit: int = HOT) -> tuple[HotQuestion, ...]:
        """The entries that most of the questions were answered from, as they are named today."""
        ranked = sorted(sums.entries.items(), key=lambda item: (-item[1], item[0]))[:limit]
        query = (
            select(Entry.id, Entry.question, Department.name)
            .join(Department, Department.id == Entry.department_id)
            .where(Entry.id.in_([number for number, _ in ranked]))
        )
        with self._db.reading() as session:
            named = {number: (title, name) for number, title, name in session.execute(query)}
        return tuple(
            HotQuestion(number, *named[number], count)
            for number, count in ranked
            if number in named
        )

    def choices(self) -> dict[str, list[str]]:
        """What can be filtered by: channels, regions (codes) and departments that there are."""
        with self._db.reading() as session:
            return {
                name: [value for value in session.scalars(select(column).distinct()) if value]
                for name, column in (
                    ("channels", Tally.channel),
                    ("regions", Tally.region),
                    ("departments", Department.name),
                )
            }


def _days(wanted: Slice) -> Iterator[date]:
    for at in range(wanted.days):
        yield wanted.first + timedelta(days=at)


def _head(region: str) -> str:
    """What the codes of a division and of all in it begin with."""
    head = region
    while head.endswith("00"):
        head = head[:-2]
    return head


def _tallied(wanted: Slice) -> Any:
    query = select(
        Tally.day,
        Tally.channel,
        Tally.region,
        Tally.department,
        Tally.count,
        Tally.helpful,
        Tally.unhelpful,
        Tally.counts,
    ).where(Tally.day >= wanted.first, Tally.day <= wanted.last)
    if wanted.channel:
        query = query.where(Tally.channel == wanted.channel)
    if wanted.department:
        query = query.where(Tally.department == wanted.department)
    if wanted.region:
        query = query.where(Tally.region.startswith(_head(wanted.region)))
    return query


def _add(sums: Sums, row: Any) -> None:
    day, channel, region, department, count, helpful, unhelpful, counts = row
    sums.total += count
    sums.helpful += helpful
    sums.unhelpful += unhelpful
    sums.channels[channel] += count
    sums.regions[region] += count
    sums.departments[department] += count
    for outcome, number in counts["outcome"].items():
        sums.outcomes[outcome] += number
        sums.days[day][outcome] += number
    for topic, number in counts["topic"].items():
        sums.topics[topic] += number
    for name, counter in (("hour", sums.hours), ("speed", sums.speeds), ("entry", sums.entries)):
        for key, number in counts[name].items():
            counter[int(key)] += number
