"""The check of every day (日监测): run once, by one process, kept for the record.

Hides the claim on a day, and how a day that was missed is made up for.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from kb import clock
from kb.clock import CHINA, day_of
from kb.db import Database
from service.insights.models import DailyCheck

# When few people ask.
BEGIN = time(2, 30)
# A check that takes longer has died.
LEASE = timedelta(hours=1)
HISTORY = 60
# Lines of a finding that are kept.
SHOWN = 50
GOOD, WARNING, BAD, UNKNOWN = "good", "warning", "bad", "unknown"
LEVELS = {GOOD: "正常", WARNING: "需要处理", BAD: "有问题", UNKNOWN: "没有检查"}


@dataclass(frozen=True)
class Finding:
    """The verdict on one matter.

    Attributes:
        level: a key of `LEVELS`.
        said: how things stand, in one sentence.
        todo: what to do about it; empty where nothing is.
        address: the page to do it on; empty for none.
        rows: what exactly, one line each, the first `SHOWN`.
    """

    name: str
    level: str
    said: str
    todo: str = ""
    address: str = ""
    rows: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Check:
    """The check of a day.

    Attributes:
        verdict: good, warning or bad; empty while it runs.
    """

    day: date
    finished_at: datetime | None
    verdict: str
    findings: tuple[Finding, ...]


class Daily:
    """Checks by day."""

    def __init__(self, db: Database, *, now: Callable[[], datetime] = clock.now) -> None:
        self._db = db
        self._now = now

    def due(self) -> bool:
        """Whether today's check is neither done nor being done, and it is time for it."""
        now = self._now()
        there = now.astimezone(CHINA)
        with self._db.reading() as session:
            row = session.get(DailyCheck, there.date())
        if row is None:
            return there.time() >= BEGIN
        return row.finished_at is None and row.claimed_at < now - LEASE

    def run(self, look: Callable[[], list[Finding]], *, again: bool = False) -> Check | None:
        """Check today and keep the result; None where another process is at it, or was.

        Args:
            again: even if today's check is done.
        """
        if not self._claim(again=again):
            return None
        findings = look()
        levels = {each.level for each in findings}
        verdict = next((level for level in (BAD, WARNING) if level in levels), GOOD)
        now = self._now()
        with self._db.transaction() as session:
            session.execute(
                update(DailyCheck)
                .where(DailyCheck.day == self._today())
                .values(
                    finished_at=now, verdict=verdict, findings=[asdict(each) for each in findings]
                )
            )
        return Check(self._today(), now, verdict, tuple(findings))

    def latest(self) -> Check | None:
        """The last check that was finished."""
        with self._db.reading() as session:
            row = session.scalar(
                select(DailyCheck)
                .where(DailyCheck.finished_at.is_not(None))
                .order_by(DailyCheck.day.desc())
                .limit(1)
            )
        return _check(row) if row else None

    def on(self, day: date) -> Check | None:
        """The check of a day; None where there was none."""
        with self._db.reading() as session:
            row = session.get(DailyCheck, day)
        return _check(row) if row else None

    def between(self, first: date, last: date) -> dict[date, str]:
        """The verdicts of days that were checked."""
        with self._db.reading() as session:
            rows = session.execute(
                select(DailyCheck.day, DailyCheck.verdict).where(
                    DailyCheck.day >= first, DailyCheck.day <= last, DailyCheck.verdict != ""
                )
            )
            return dict(rows.all())

    def history(self) -> tuple[tuple[date, str], ...]:
        """The last 60 days, the oldest first, with their verdicts; empty where none was made."""
        today = self._today()
        days = [today - timedelta(days=back) for back in reversed(range(HISTORY))]
        verdicts = self.between(days[0], today)
        return tuple((day, verdicts.get(day, "")) for day in days)

    def _claim(self, *, again: bool) -> bool:
        """Whether this process may check today; nobody else may until it is done or has died."""
        now, day = self._now(), self._today()
        try:
            with self._db.transaction() as session:
                session.add(DailyCheck(day=day, claimed_at=now, verdict="", findings=[]))
                session.flush()
            return True
        except IntegrityError:
            stale = DailyCheck.finished_at.is_(None) & (DailyCheck.claimed_at < now - LEASE)
            if again:
                stale = stale | DailyCheck.finished_at.is_not(None)
            with self._db.transaction() as session:
                taken: Any = session.execute(
                    update(DailyCheck)
                    .where(DailyCheck.day == day, stale)
                    .values(claimed_at=now, finished_at=None, verdict="", findings=[])
                )
                return bool(taken.rowcount)

    def _today(self) -> date:
        return day_of(self._now())


def _check(row: DailyCheck) -> Check:
    findings = (Finding(**{**each, "rows": tuple(each["rows"])}) for each in row.findings)
    return Check(row.day, row.finished_at, row.verdict, tuple(findings))
