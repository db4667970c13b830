"""Operators' word that an answer is wrong or outdated, until somebody has looked into it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update

from kb import clock
from kb.db import Database
from kb.errors import NotFound
from kb.passages import Passage
from service import guards
from service.errors import InvalidRequest
from service.models import Report, User

REASONS = {"wrong": "内容有误", "outdated": "已经过时"}
MAX_NOTE = 1000
LISTED = 200


@dataclass(frozen=True)
class ReportView:
    """A report that nobody has settled yet."""

    id: int
    passage: str
    title: str
    reason: str
    note: str
    by: str
    at: datetime


class Reports:
    """Reports by passage."""

    def __init__(self, db: Database, *, now: Callable[[], datetime] = clock.now) -> None:
        self._db = db
        self._now = now

    def toggle(self, operator_id: int, passage: Passage, reason: str, note: str = "") -> bool:
        """Say that a passage is wrong or outdated; saying the same again takes it back.

        Returns:
            Whether this operator reports it now.

        Raises:
            InvalidRequest: no such reason.
        """
        if reason not in REASONS:
            raise InvalidRequest({"reason": "请选择“内容有误”或“已经过时”"})
        with self._db.transaction() as session:
            taken_back: Any = session.execute(
                delete(Report).where(
                    Report.passage == passage.key,
                    Report.reason == reason,
                    Report.reported_by == operator_id,
                    Report.settled_at.is_(None),
                )
            )
            if taken_back.rowcount:
                return False
            session.add(
                Report(
                    passage=passage.key,
                    title=passage.title[:512],
                    reason=reason,
                    note=guards.mask(note.strip())[:MAX_NOTE],
                    reported_by=operator_id,
                    reported_at=self._now(),
                )
            )
        return True

    def reasons(self, passage_key: str) -> tuple[str, ...]:
        """Why a passage is under review; empty for none."""
        with self._db.reading() as session:
            found = session.scalars(
                select(Report.reason)
                .where(Report.passage == passage_key, Report.settled_at.is_(None))
                .distinct()
            ).all()
        return tuple(sorted(found))

    def open(self) -> tuple[ReportView, ...]:
        """What nobody has settled yet, oldest first."""
        with self._db.reading() as session:
            rows = session.execute(
                select(Report, func.coalesce(func.nullif(User.display_name, ""), User.name, ""))
                .outerjoin(User, User.id == Report.reported_by)
                .where(Report.settled_at.is_(None))
                .order_by(Report.id)
                .limit(LISTED)
            ).all()
        return tuple(
            ReportView(row.id, row.passage, row.title, row.reason, row.note, by, row.reported_at)
            for row, by in rows
        )

    def settle(self, report_id: int) -> None:
        """Somebody has looked into it.

        Raises:
            NotFound: no such report, or it is settled.
        """
        with self._db.transaction() as session:
            settled: Any = session.execute(
                update(Report)
                .where(Report.id == report_id, Report.settled_at.is_(None))
                .values(settled_at=self._now())
            )
            if not settled.rowcount:
                raise NotFound("没有这条反映，或者已经处理过")
