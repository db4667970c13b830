"""Gaps as people work on them: listed, assigned, turned into drafts, dismissed, closed.

Hides which state may follow which, and that every step is a compare-and-set. Rights are the
caller's to check.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from kb import clock
from kb.clock import day_of, start_of
from kb.db import Database
from kb.errors import Conflict, NotFound
from kb.exchange import MAX_PHRASING, MAX_QUESTION, EntryRecord
from kb.history import Version
from kb.journal import audit
from kb.models import Department
from kb.versions import Versions
from service.errors import InvalidRequest
from service.insights.gathering import (
    ANSWERED,
    ASSIGNED,
    DAYS_TO_ANSWER,
    DISMISSED,
    DRAFTED,
    OPEN,
    wordings,
)
from service.insights.models import Gap, GapQuestion
from service.insights.phrasings import Phrasings
from service.insights.routing import Near
from service.working_days import deadline

STATES = {
    OPEN: "待分派",
    ASSIGNED: "待起草",
    DRAFTED: "已起草",
    ANSWERED: "已解决",
    DISMISSED: "不处理",
}
# What somebody should still do something about.
UNSETTLED = (OPEN, ASSIGNED, DRAFTED)
PAGE = 30
NO_GAP = "没有这个问题缺口"
WORDINGS_SHOWN = 30
MAX_REASON = 500
_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Sieve:
    """Which gaps are wanted.

    Attributes:
        state: one of `STATES`; empty for all that are unsettled.
        department: by name; None for any, empty for those without one.
        region: code whose gaps, and those of what lies in it, are wanted; None for all.
        overdue: only those past their day.
        several: only those that more than one person asked about.
        text: part of the title.
    """

    state: str = ""
    department: str | None = None
    region: str | None = None
    overdue: bool = False
    several: bool = False
    text: str = ""


@dataclass(frozen=True)
class GapView:
    """A gap as it is shown.

    Attributes:
        routing: how sure the department is, 0 to 1; 1 where a person chose it.
        trend: questions of the last seven days less those of the seven before.
        recent: questions of the last seven days.
    """

    id: int
    title: str
    state: str
    reason: str
    department: str
    routing: float
    topic: str
    region_code: str | None
    nearest: tuple[Near, ...]
    draft_id: int | None
    due_on: date | None
    overdue: bool
    size: int
    askers: int
    first_seen: datetime
    last_seen: datetime
    closed_at: datetime | None
    recent: int
    trend: int


@dataclass(frozen=True)
class Wording:
    """What people asked, in their words, where it may be shown; and how often."""

    text: str
    questions: int
    askers: int


@dataclass(frozen=True)
class Details:
    """What is known of the questions of a gap.

    Attributes:
        hidden: questions whose wording holds personal information.
        kinds, channels, regions: value → number of questions, the most frequent first.
        days: of the last 28 days, the first being the oldest: number of questions.
    """

    wordings: tuple[Wording, ...]
    hidden: int
    kinds: tuple[tuple[str, int], ...]
    channels: tuple[tuple[str, int], ...]
    regions: tuple[tuple[str | None, int], ...]
    days: tuple[tuple[date, int], ...]


class Gaps:
    """All gaps by number."""

    def __init__(
        self,
        db: Database,
        versions: Versions,
        phrasings: Phrasings,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._versions = versions
        self._phrasings = phrasings
        self._now = now

    def listed(self, sieve: Sieve, *, page: int = 1) -> tuple[list[GapView], int]:
        """One page of gaps and how many there are: the overdue first, then the most asked."""
        today = self._today()
        query = _sifted(sieve, today)
        with self._db.reading() as session:
            total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
            rows = session.execute(
                query.order_by(func.coalesce(Gap.due_on >= today, True), Gap.askers.desc(), Gap.id)
                .offset((page - 1) * PAGE)
                .limit(PAGE)
            ).all()
            return self._views(session, rows), total

    def counts(self, sieve: Sieve) -> dict[str, int]:
        """How many gaps there are in each state, and `overdue`."""
        today = self._today()
        with self._db.reading() as session:
            held = _sifted(replace(sieve, state="", overdue=False), today, settled=True).subquery()
            counted = dict(
                session.execute(select(held.c.state, func.count()).group_by(held.c.state)).all()
            )
            late = _sifted(replace(sieve, state="", overdue=True), today).subquery()
            counted["overdue"] = session.scalar(select(func.count()).select_from(late)) or 0
        return counted

    def find(self, gap_id: int) -> GapView:
        """One gap.

        Raises:
            NotFound: no such one.
        """
        with self._db.reading() as session:
            rows = session.execute(_rows().where(Gap.id == gap_id)).all()
            views = self._views(session, rows)
        if not views:
            raise NotFound(NO_GAP)
        return views[0]

    def details(self, gap_id: int) -> Details:
        """What people asked, where and when."""
        begin = self._today() - timedelta(days=27)
        with self._db.reading() as session:
            shown = [Wording(*row[1:]) for row in wordings(session, [gap_id])]
            counts = [
                _counted(session, gap_id, column)
                for column in (GapQuestion.kind, GapQuestion.channel, GapQuestion.region_code)
            ]
            moments = session.scalars(
                select(GapQuestion.asked_at).where(
                    GapQuestion.gap_id == gap_id,
                    GapQuestion.asked_at >= start_of(begin),
                )
            ).all()
        asked = [day_of(moment) for moment in moments]
        days = [begin + timedelta(days=at) for at in range(28)]
        total = sum(count for _, count in counts[0])
        return Details(
            wordings=tuple(shown[:WORDINGS_SHOWN]),
            hidden=total - sum(each.questions for each in shown),
            kinds=counts[0],
            channels=counts[1],
            regions=counts[2],
            days=tuple((day, asked.count(day)) for day in days),
        )

    def assign(self, gap_id: int, department: str, *, actor: str) -> None:
        """Give a gap to a department, with a new deadline.

        Raises:
            InvalidRequest: no such department.
            NotFound: no such gap.
            Conflict: it is settled.
        """
        due = deadline(self._today(), DAYS_TO_ANSWER).day
        with self._db.transaction() as session:
            owner = session.scalar(select(Department.id).where(Department.name == department))
            if owner is None:
                raise InvalidRequest({"department": "请从列表里选择责任单位"})
            state = _locked(session, gap_id, UNSETTLED)
            values = {"department_id": owner, "routing": 1.0, "due_on": due}
            if state == OPEN:
                values["state"] = ASSIGNED
            session.execute(update(Gap).where(Gap.id == gap_id).values(**values))
            _note(session, actor, "gap.assign", gap_id, department=department, due=str(due))

    def dismiss(self, gap_id: int, reason: str, *, actor: str) -> None:
        """Say why a gap needs no answer; new questions like it stay with it.

        Raises:
            InvalidRequest: no reason.
            NotFound: no such gap.
            Conflict: it is settled.
        """
        said = reason.strip()
        if not 0 < len(said) <= MAX_REASON:
            raise InvalidRequest({"reason": f"请说明为什么不处理，{MAX_REASON}个字以内"})
        with self._db.transaction() as session:
            _locked(session, gap_id, UNSETTLED)
            _settle(session, gap_id, DISMISSED, said, self._now())
            _note(session, actor, "gap.dismiss", gap_id, reason=said)

    def reopen(self, gap_id: int, *, actor: str) -> None:
        """Take up again what was settled.

        Raises:
            NotFound: no such gap.
            Conflict: it is not settled.
        """
        with self._db.transaction() as session:
            _locked(session, gap_id, (ANSWERED, DISMISSED))
            session.execute(
                update(Gap)
                .where(Gap.id == gap_id)
                .values(state=OPEN, reason="", closed_at=None, due_on=None, draft_id=None)
            )
            _note(session, actor, "gap.reopen", gap_id)

    def draft(self, gap_id: int, *, department: str, actor: str) -> Version:
        """Begin an entry from a gap: question and phrasings as people asked, no answer yet.

        Args:
            department: that will answer for it.

        Raises:
            NotFound: no such gap.
            Conflict: it is settled, or a draft was begun.
            InvalidEntry: the record does not hold.
        """
        gap = self._free(gap_id)
        asked = [each.text for each in self.details(gap_id).wordings]
        fit = [text for text in asked if len(text) <= MAX_PHRASING and text != gap.title]
        record = EntryRecord(
            question=gap.title[:MAX_QUESTION],
            answer="",
            department=department,
            similar=tuple(fit),
            region=gap.region_code or "",
            topic=gap.topic,
        )
        version = self._versions.draft(None, record, actor=actor)
        self._link(gap_id, version, actor)
        return version

    def add_phrasings(
        self, gap_id: int, entry_id: int, texts: Sequence[str], *, actor: str
    ) -> Version:
        """Begin a version of an entry that there is, with wordings of a gap added.

        Args:
            texts: of the gap's wordings; others are left out.

        Raises:
            InvalidRequest: none is chosen.
            NotFound: no such gap or entry.
            Conflict: the gap is settled, or somebody is working on the entry.
        """
        self._free(gap_id)
        allowed = {each.text for each in self.details(gap_id).wordings}
        chosen = [text for text in texts if text in allowed and len(text) <= MAX_PHRASING]
        if not chosen:
            raise InvalidRequest({"phrasings": "请至少选择一种问法"})
        version = self._phrasings.add(entry_id, chosen, actor=actor)
        self._link(gap_id, version, actor)
        return version

    def departments(self) -> tuple[str, ...]:
        """Names of those that can be given gaps."""
        with self._db.reading() as session:
            return tuple(session.scalars(select(Department.name).order_by(Department.name)))

    def _free(self, gap_id: int) -> GapView:
        gap = self.find(gap_id)
        if gap.state not in (OPEN, ASSIGNED):
            raise Conflict(f"这个问题缺口{STATES[gap.state]}，请刷新后再看")
        return gap

    def _link(self, gap_id: int, version: Version, actor: str) -> None:
        with self._db.transaction() as session:
            _locked(session, gap_id, (OPEN, ASSIGNED))
            values = {"state": DRAFTED, "draft_id": version.id}
            session.execute(update(Gap).where(Gap.id == gap_id).values(**values))
            _note(session, actor, "gap.draft", gap_id, entry=version.entry_id)

    def _views(self, session: Session, rows: Sequence[Any]) -> list[GapView]:
        now, today = self._now(), self._today()
        ids = [gap.id for gap, _ in rows]
        recent = _asked_between(session, ids, now - _WEEK, now)
        before = _asked_between(session, ids, now - 2 * _WEEK, now - _WEEK)
        return [
            GapView(
                id=gap.id,
                title=gap.title,
                state=gap.state,
                reason=gap.reason,
                department=department,
                routing=gap.routing,
                topic=gap.topic,
                region_code=gap.region_code,
                nearest=tuple(Near(*each) for each in gap.nearest),
                draft_id=gap.draft_id,
                due_on=gap.due_on,
                overdue=_late(gap, today),
                size=gap.size,
                askers=gap.askers,
                first_seen=gap.first_seen,
                last_seen=gap.last_seen,
                closed_at=gap.closed_at,
                recent=recent.get(gap.id, 0),
                trend=recent.get(gap.id, 0) - before.get(gap.id, 0),
            )
            for gap, department in rows
        ]

    def _today(self) -> date:
        return day_of(self._now())


def _late(gap: Gap, today: date) -> bool:
    return gap.state in (OPEN, ASSIGNED) and gap.due_on is not None and gap.due_on < today


def _rows() -> Any:
    return select(Gap, func.coalesce(Department.name, "")).outerjoin(
        Department, Department.id == Gap.department_id
    )


def _sifted(sieve: Sieve, today: date, *, settled: bool = False) -> Any:
    query = _rows().where(Gap.size > 0)
    if sieve.state:
        query = query.where(Gap.state == sieve.state)
    elif not settled:
        query = query.where(Gap.state.in_(UNSETTLED))
    if sieve.department is not None:
        query = query.where(func.coalesce(Department.name, "") == sieve.department)
    if sieve.region:
        inside = Gap.region_code.startswith(sieve.region.rstrip("0") or sieve.region)
        query = query.where(or_(inside, Gap.region_code.is_(None)))
    if sieve.overdue:
        query = query.where(Gap.state.in_((OPEN, ASSIGNED)), Gap.due_on < today)
    if sieve.several:
        query = query.where(Gap.askers > 1)
    if sieve.text.strip():
        query = query.where(Gap.title.icontains(sieve.text.strip(), autoescape=True))
    return query


def _counted(session: Session, gap_id: int, column: Any) -> tuple[tuple[Any, int], ...]:
    rows = session.execute(
        select(column, func.count())
        .where(GapQuestion.gap_id == gap_id)
        .group_by(column)
        .order_by(func.count().desc(), column)
    )
    return tuple((value, count) for value, count in rows)


def _asked_between(
    session: Session, ids: Sequence[int], begin: datetime, end: datetime
) -> dict[int, int]:
    rows = session.execute(
        select(GapQuestion.gap_id, func.count())
        .where(
            GapQuestion.gap_id.in_(ids),
            GapQuestion.asked_at >= begin,
            GapQuestion.asked_at < end,
        )
        .group_by(GapQuestion.gap_id)
    )
    return dict(rows.all())


def _locked(session: Session, gap_id: int, states: Sequence[str]) -> str:
    """The state of a gap that nobody else changes until this transaction ends.

    Raises:
        NotFound: no such gap.
        Conflict: it is in none of the states.
    """
    state = session.scalar(select(Gap.state).where(Gap.id == gap_id).with_for_update())
    if state is None:
        raise NotFound(NO_GAP)
    if state not in states:
        raise Conflict(f"这个问题缺口{STATES[state]}，请刷新后再看")
    return state


def _settle(session: Session, gap_id: int, state: str, reason: str, at: datetime) -> None:
    session.execute(
        update(Gap)
        .where(Gap.id == gap_id)
        .values(state=state, reason=reason, closed_at=at, due_on=None)
    )


def _note(session: Session, actor: str, action: str, gap_id: int, **detail: Any) -> None:
    audit(session, actor=actor, action=action, subject=f"gap:{gap_id}", **detail)
