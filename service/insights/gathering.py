"""From badly answered questions to gaps with an owner and a deadline; hides how they are grouped.

Every gathering takes up what is new, once: a question belongs to one gap for good, and what a gap
counts is counted from its questions, never added to.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from kb import clock
from kb.clock import day_of
from kb.clusters import Clusters
from kb.db import Database
from kb.errors import Conflict
from kb.models import REGION_DIGITS, Department
from service.insights.evidence import Asked, badly_answered, showable
from service.insights.models import Gap, GapQuestion
from service.insights.routing import Router, Routing
from service.working_days import deadline

log = logging.getLogger(__name__)

OPEN, ASSIGNED, DRAFTED, ANSWERED, DISMISSED = (
    "open",
    "assigned",
    "drafted",
    "answered",
    "dismissed",
)
# From so many askers on a gap is somebody's task; one person's odd question is nobody's.
SEVERAL = 2
DAYS_TO_ANSWER = 5
# A routing surer than this needs no person to confirm it.
SURE = 0.5
# One less sure than this is no better than a guess, and is not shown.
LIKELY = 0.3
HIDDEN = "（提问含个人信息，不显示原话）"

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
# Answers are recorded a little later than they are asked for, and clarified ones are awaited.
_OVERLAP = timedelta(days=2)
_WORDINGS_PER_GAP = 20
_IDS_AT_ONCE = 500
_TRIES = 3
# Each takes a search; citizens are being answered meanwhile.
_ROUTED_AT_ONCE = 100


@dataclass(frozen=True)
class Gathered:
    """What a gathering did: questions taken up, gaps opened and reopened."""

    questions: int
    opened: int
    reopened: int


@dataclass(frozen=True)
class Assigned:
    """How many gaps got an owner, and how many are still to be looked at."""

    gaps: int
    left: int


class Gatherer:
    """Takes up new questions whenever it is called."""

    def __init__(
        self,
        db: Database,
        clusters: Clusters,
        router: Router,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._clusters = clusters
        self._router = router
        self._now = now

    def gather(self) -> Gathered:
        """Take up what is new; one of several processes that do so at once begins again.

        Raises:
            Conflict: others were always quicker.
            EncoderUnavailable: the model failed.
        """
        for _ in range(_TRIES):
            with self._db.reading() as session:
                seen = _newest(session)
                since = _begin(session)
                asked = list(badly_answered(session, since=since, now=self._now()))
                known = _wordings(session) if asked else {}
            numbers = self._clusters.group([each.text for each in asked], known)
            with self._db.transaction() as session:
                self._db.serialise(session)
                if _newest(session) != seen:
                    continue
                touched, opened = _keep(session, asked, numbers)
                reopened = _reopen(session, touched)
                _recount(session, touched)
            return Gathered(len(asked), opened, reopened)
        raise Conflict("另一个进程正在归集问题，请稍后再试")

    def assign(self) -> Assigned:
        """Route the gaps that several people asked about, the most asked first, some at a time."""
        query = select(Gap.id, Gap.title, Gap.region_code).where(
            Gap.state == OPEN, Gap.askers >= SEVERAL, Gap.routing == 0
        )
        with self._db.reading() as session:
            waiting = session.execute(query.order_by(Gap.size.desc(), Gap.id)).all()
        today = day_of(self._now())
        routed = [
            (row.id, self._router.route(row.title, row.region_code, today))
            for row in waiting[:_ROUTED_AT_ONCE]
        ]
        assigned = 0
        with self._db.transaction() as session:
            departments = {row.name: row.id for row in session.scalars(select(Department))}
            for number, routing in routed:
                assigned += _give(session, number, routing, departments, today)
        return Assigned(assigned, len(waiting) - len(routed))


def _newest(session: Session) -> int:
    return session.scalar(select(func.max(GapQuestion.id))) or 0


def _begin(session: Session) -> datetime:
    last = session.scalar(select(func.max(GapQuestion.asked_at)))
    return last - _OVERLAP if last else _EPOCH


def _wordings(session: Session) -> dict[int, list[str]]:
    """The first wordings of every gap."""
    place = func.row_number().over(partition_by=GapQuestion.gap_id, order_by=GapQuestion.id)
    ranked = select(GapQuestion.gap_id, GapQuestion.text, place.label("place")).subquery()
    rows = session.execute(
        select(ranked.c.gap_id, ranked.c.text)
        .where(ranked.c.place <= _WORDINGS_PER_GAP)
        .order_by(ranked.c.gap_id, ranked.c.place)
    )
    held: dict[int, list[str]] = {}
    for number, text in rows:
        held.setdefault(number, []).append(text)
    return held


def _keep(
    session: Session, asked: Sequence[Asked], numbers: Sequence[int]
) -> tuple[list[int], int]:
    """Store questions under their gaps; return the gaps touched, and how many are new."""
    firsts: dict[int, Asked] = {}
    for each, number in zip(asked, numbers, strict=True):
        if number < 0:
            firsts.setdefault(number, each)
    begin = (session.scalar(select(func.max(Gap.id))) or 0) + 1
    ids = {number: begin + at for at, number in enumerate(firsts)}
    new: list[dict[str, Any]] = [
        {
            "id": ids[number],
            "title": HIDDEN,
            "state": OPEN,
            "nearest": [],
            "first_seen": each.asked_at,
            "last_seen": each.asked_at,
        }
        for number, each in firsts.items()
    ]
    rows = [
        {"gap_id": ids.get(number, number), **vars(each)}
        for each, number in zip(asked, numbers, strict=True)
        if number
    ]
    if new:
        session.execute(insert(Gap), new)
        if session.get_bind().dialect.name == "postgresql":
            session.execute(select(func.setval("gap_id_seq", begin + len(new) - 1)))
    if rows:
        session.execute(insert(GapQuestion), rows)
    return sorted({row["gap_id"] for row in rows}), len(new)


def _reopen(session: Session, touched: Sequence[int]) -> int:
    """A gap that was closed as answered and is asked about again was not."""
    reopened = 0
    for ids in _portions(touched):
        moved: Any = session.execute(
            update(Gap)
            .where(Gap.id.in_(ids), Gap.state == ANSWERED)
            .values(state=OPEN, reason="", closed_at=None, due_on=None, routing=0.0)
            .execution_options(synchronize_session=False)
        )
        reopened += moved.rowcount
    return reopened


def _recount(session: Session, touched: Sequence[int]) -> None:
    """Count anew: the gaps touched, and those that lost questions whose askers were erased."""
    held = select(GapQuestion.gap_id, func.count().label("size")).group_by(GapQuestion.gap_id)
    sizes = held.subquery()
    shrunk = session.scalars(
        select(Gap.id)
        .outerjoin(sizes, sizes.c.gap_id == Gap.id)
        .where(Gap.size != func.coalesce(sizes.c.size, 0))
    )
    for ids in _portions(sorted({*touched, *shrunk})):
        session.execute(update(Gap), list(_facts(session, ids)))


def _facts(session: Session, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    counted = session.execute(
        select(
            GapQuestion.gap_id,
            func.count(),
            func.count(GapQuestion.asker.distinct()),
            func.min(GapQuestion.asked_at),
            func.max(GapQuestion.asked_at),
        )
        .where(GapQuestion.gap_id.in_(ids))
        .group_by(GapQuestion.gap_id)
    ).all()
    regions: dict[int, set[str | None]] = {}
    for number, code in session.execute(
        select(GapQuestion.gap_id, GapQuestion.region_code)
        .where(GapQuestion.gap_id.in_(ids))
        .distinct()
    ):
        regions.setdefault(number, set()).add(code)
    titles = _titles(session, ids)
    for number, size, askers, first, last in counted:
        yield {
            "id": number,
            "size": size,
            "askers": askers,
            "first_seen": first,
            "last_seen": last,
            "region_code": _common(regions[number]),
            "title": titles.get(number, HIDDEN)[:512],
        }
    for number in set(ids) - {row[0] for row in counted}:
        yield {"id": number, "size": 0, "askers": 0}


def wordings(session: Session, gap_ids: Sequence[int]) -> Iterator[tuple[int, str, int, int]]:
    """(gap, wording, questions, askers) of what may be shown, the most asked first."""
    rows = session.execute(
        select(
            GapQuestion.gap_id,
            GapQuestion.text,
            func.count().label("questions"),
            func.count(GapQuestion.asker.distinct()).label("askers"),
        )
        .where(GapQuestion.gap_id.in_(gap_ids))
        .group_by(GapQuestion.gap_id, GapQuestion.text)
        .order_by(
            func.count(GapQuestion.asker.distinct()).desc(),
            func.length(GapQuestion.text),
            GapQuestion.text,
        )
    )
    for number, text, questions, askers in rows:
        if showable(text, askers):
            yield number, text, questions, askers


def _titles(session: Session, ids: Sequence[int]) -> dict[int, str]:
    titles: dict[int, str] = {}
    for number, text, _, _ in wordings(session, ids):
        titles.setdefault(number, text)
    return titles


def _give(
    session: Session, number: int, routing: Routing, departments: dict[str, int], today: date
) -> int:
    """Note what was found; assign where that is sure. Returns how many were assigned: 0 or 1."""
    likely = routing.sureness >= LIKELY
    owner = departments.get(routing.department) if likely else None
    sure = owner is not None and routing.sureness >= SURE
    values: dict[str, Any] = {
        "department_id": owner,
        # Zero would mean that nobody has looked yet.
        "routing": max(routing.sureness, 0.01) if owner else 0.01,
        "topic": routing.topic,
        "nearest": [list(each) for each in routing.nearest],
    }
    if sure:
        values |= {"state": ASSIGNED, "due_on": deadline(today, DAYS_TO_ANSWER).day}
    moved: Any = session.execute(
        update(Gap).where(Gap.id == number, Gap.state == OPEN).values(**values)
    )
    return int(sure and moved.rowcount)


def _portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[start : start + _IDS_AT_ONCE]


def _common(codes: set[str | None]) -> str | None:
    """The smallest division that holds all of some; None for the whole country."""
    whole = {code for code in codes if code}
    for digits in (REGION_DIGITS, 4, 2):
        heads = {code[:digits] for code in whole}
        if len(heads) == 1:
            return heads.pop().ljust(REGION_DIGITS, "0")
    return None
