"""The log counted by day: what every figure is added up from; hides when a day is counted anew.

A day is one in China. Closed days are counted once, and again when somebody judges an answer of
theirs; today whenever somebody looks. Channels on which nobody needs an answer are left out, as
they are in `/metrics`.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session, aliased

from kb import clock
from kb.clock import CHINA, day_of, end_of, start_of
from kb.db import Database
from kb.models import Department, Document, Entry
from service.insights.evidence import TRIALS
from service.insights.models import TalliedDay, Tally
from service.models import CitedClause, Conversation, Exchange, Feedback

# Upper bounds of the classes of times to answer, in milliseconds: each a fifth of a decade, so
# that what is read from them is off by at most a quarter.
BOUNDS = (1, 2, 3, 4, 6, 10, 16, 25, 40, 63, 100, 158, 251, 398, 631, 1000, 1585, 2512, 3981,
          6310, 10_000, 15_849, 25_119, 39_811, 63_096)  # fmt: skip
# What is counted inside a row of `tally`.
COUNTED = ("outcome", "topic", "hour", "speed", "entry")
# Days that one look counts at most; the rest is left to the background.
PATIENCE = 40
_READ_AT_ONCE = 20_000


@dataclass
class _Alike:
    """Exchanges of a day that agree in what can be filtered by."""

    count: int = 0
    helpful: int = 0
    unhelpful: int = 0
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in COUNTED}
    )


class Tallies:
    """Keeps `tally` level with the log."""

    def __init__(self, db: Database, *, now: Callable[[], datetime] = clock.now) -> None:
        self._db = db
        self._now = now

    def bring_level(self, *, most: int = PATIENCE) -> int:
        """Count the days that are not counted yet or have changed, the latest first.

        Args:
            most: days at most.

        Returns:
            How many days are still to be counted.
        """
        waiting = self._stale()
        for day in waiting[:most]:
            self._count(day)
        return len(waiting[most:])

    def _stale(self) -> list[date]:
        """Days since the first question that are not counted as they stand, the latest first."""
        today = day_of(self._now())
        with self._db.reading() as session:
            first = session.scalar(select(func.min(Exchange.asked_at)))
            if first is None:
                return []
            counted = {row.day: row.at for row in session.scalars(select(TalliedDay))}
            judged = _judged_since(session, max(counted.values(), default=None))
        days = []
        day = today
        while day >= day_of(first):
            # A question may be recorded a little after its day has ended.
            settled = day in counted and counted[day] > end_of(day) + _LATE
            if not settled or judged.get(day, counted[day]) > counted[day]:
                days.append(day)
            day -= timedelta(days=1)
        return days

    def _count(self, day: date) -> None:
        now = self._now()
        alike: dict[tuple[str, str, str], _Alike] = {}
        with self._db.reading() as session:
            for row in session.execute(_exchanges(day).execution_options(yield_per=_READ_AT_ONCE)):
                _add(alike, row)
        with self._db.transaction() as session:
            self._db.serialise(session)
            session.execute(delete(Tally).where(Tally.day == day))
            session.execute(delete(TalliedDay).where(TalliedDay.day == day))
            session.add(TalliedDay(day=day, at=now))
            if alike:
                session.execute(insert(Tally), list(_rows(day, alike)))


_LATE = timedelta(minutes=10)


def speed_class(milliseconds: int) -> int:
    """The class of `BOUNDS` that a time to answer falls into."""
    return min(bisect_left(BOUNDS, milliseconds), len(BOUNDS) - 1)


def _judged_since(session: Session, since: datetime | None) -> dict[date, datetime]:
    """Days of questions → when an answer of theirs was last judged."""
    if since is None:
        return {}
    # A judgement may be recorded while a day is being counted.
    rows = session.execute(
        select(Exchange.asked_at, Feedback.given_at)
        .join(Feedback, Feedback.exchange_id == Exchange.id)
        .where(Feedback.given_at >= since - timedelta(days=2))
    )
    latest: dict[date, datetime] = {}
    for asked_at, given_at in rows:
        day = day_of(asked_at)
        latest[day] = max(given_at, latest.get(day, given_at))
    return latest


def _exchanges(day: date) -> Any:
    own, of_document = aliased(Department), aliased(Department)
    return (
        select(
            Exchange.asked_at,
            Conversation.channel,
            func.coalesce(Exchange.region_code, "").label("region"),
            func.coalesce(own.name, of_document.name, "").label("department"),
            func.coalesce(Entry.topic, Document.topic, "").label("topic"),
            Exchange.outcome,
            Exchange.entry_id,
            Exchange.milliseconds,
            Feedback.helpful,
        )
        .join(Conversation, Conversation.id == Exchange.conversation_id)
        .outerjoin(Entry, Entry.id == Exchange.entry_id)
        .outerjoin(own, own.id == Entry.department_id)
        .outerjoin(
            CitedClause, (CitedClause.exchange_id == Exchange.id) & (CitedClause.ordinal == 0)
        )
        .outerjoin(Document, Document.id == CitedClause.document_id)
        .outerjoin(of_document, of_document.id == Document.department_id)
        .outerjoin(Feedback, Feedback.exchange_id == Exchange.id)
        .where(
            Exchange.asked_at >= start_of(day),
            Exchange.asked_at < end_of(day),
            Conversation.channel.not_in(TRIALS),
        )
    )


def _add(alike: dict[tuple[str, str, str], _Alike], row: Any) -> None:
    group = alike.setdefault((row.channel, row.region, row.department), _Alike())
    group.count += 1
    group.helpful += row.helpful is True
    group.unhelpful += row.helpful is False
    group.counts["outcome"][row.outcome] += 1
    group.counts["topic"][row.topic] += 1
    group.counts["hour"][str(row.asked_at.astimezone(CHINA).hour)] += 1
    group.counts["speed"][str(speed_class(row.milliseconds))] += 1
    if row.entry_id is not None:
        group.counts["entry"][str(row.entry_id)] += 1


def _rows(day: date, alike: dict[tuple[str, str, str], _Alike]) -> Iterator[dict[str, Any]]:
    for (channel, region, department), group in alike.items():
        yield {
            "day": day,
            "channel": channel,
            "region": region,
            "department": department,
            **vars(group),
        }
