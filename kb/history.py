"""Versions of entries for reading: what was said when, who wrote and reviewed it, what is to do.

Hides the tables; writing is in `kb.versions`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, joinedload

from kb.clock import day_of
from kb.db import Database
from kb.differences import FieldChange, record_difference
from kb.errors import NotFound
from kb.exchange import EntryRecord
from kb.models import Department, Entry, EntryVersion, Flag, State, Status
from kb.passages import Passage, as_passage
from kb.records import from_content
from kb.releases import OPEN, SHOWN, open_version

_RECORD_STATUS = {State.DRAFT: "draft", State.SUBMITTED: "submitted", State.WITHDRAWN: "withdrawn"}
# What there is to do: kind → states of the versions to show; `mine` are the actor's own.
WORK = {
    "mine": (*OPEN, State.RETURNED),
    "to_review": (State.SUBMITTED,),
    "scheduled": (State.APPROVED,),
    "flagged": SHOWN,
    "due": SHOWN,
    "published": SHOWN,
    "all": tuple(State),
}


@dataclass(frozen=True)
class Version:
    """One version of an entry; see `kb.models.EntryVersion` for what the fields mean."""

    id: int
    entry_id: int
    number: int
    state: State
    record: EntryRecord
    origin: str
    based_on: int | None
    author: str
    contributors: tuple[str, ...]
    edits: int
    created_at: datetime
    saved_at: datetime
    submitted_at: datetime | None
    reviewer: str
    reviewed_at: datetime | None
    comment: str
    reason: str
    publish_at: datetime | None
    public_from: datetime | None
    public_until: datetime | None


@dataclass(frozen=True)
class Raised:
    """A flag on a version; see `kb.models.Flag`."""

    id: int
    entry_id: int
    version: int
    reason: str
    document_id: int
    document: str
    article: str
    since: date
    withhold_on: date | None
    found: str
    raised_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    how: str
    note: str


@dataclass(frozen=True)
class Task:
    """A line of a work list: a version, where its entry stands, and what is wrong with it.

    Attributes:
        public: number of the version that citizens get; None where they get none.
        review_due: of the entry as it is public.
    """

    version: Version
    public: int | None
    review_due: date | None
    flags: tuple[Raised, ...]


@dataclass(frozen=True)
class Wanted:
    """Which lines of a work list.

    Attributes:
        kind: a key of `WORK`.
        department: only entries of that department.
        region: only entries for that division or what lies in it.
        actor: whose own work `mine` shows, and whose own `to_review` leaves out.
        text: part of the question, or the whole code.
        day: for `due`: entries whose review or last day comes by then.
        topic: only entries of that topic.
        state: only versions in that state; empty for all that belong to the kind.
        order: "newest", "oldest" or "question"; empty for what suits the kind.
    """

    kind: str
    department: str = ""
    region: str | None = None
    actor: str = ""
    text: str = ""
    day: date | None = None
    topic: str = ""
    state: str = ""
    order: str = ""


class History:
    """Reads versions."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def version(self, version_id: int) -> Version:
        """A version by its id.

        Raises:
            NotFound: no such version.
        """
        with self._db.reading() as session:
            version = session.get(EntryVersion, version_id)
            if version is None:
                raise NotFound(f"没有编号为 {version_id} 的版本")
            return view(version)

    def said(self, entry_id: int, number: int) -> Version:
        """The version with which an answer was given: `entry_version` of an exchange.

        Raises:
            NotFound: no such version.
        """
        with self._db.reading() as session:
            version = session.scalar(
                select(EntryVersion).where(
                    EntryVersion.entry_id == entry_id, EntryVersion.number == number
                )
            )
            if version is None:
                raise NotFound(f"问答条目 {entry_id} 没有第 {number} 版")
            return view(version)

    def versions(self, entry_id: int) -> list[Version]:
        """All versions of an entry, the latest first; of an unknown entry none."""
        with self._db.reading() as session:
            rows = session.scalars(
                select(EntryVersion)
                .where(EntryVersion.entry_id == entry_id)
                .order_by(EntryVersion.number.desc())
            )
            return [view(row) for row in rows]

    def open(self, entry_id: int) -> Version | None:
        """The version of an entry that somebody is working on."""
        with self._db.reading() as session:
            version = open_version(session, entry_id)
            return view(version) if version else None

    def current(self, entry_id: int) -> Version | None:
        """The version that the entry's public rows show, with the review day as it is now."""
        with self._db.reading() as session:
            entry = session.get(Entry, entry_id)
            if entry is None or entry.status is not Status.PUBLISHED:
                return None
            version = session.scalar(
                select(EntryVersion).where(
                    EntryVersion.entry_id == entry_id, EntryVersion.number == entry.version
                )
            )
            if version is None:
                return None
            held = view(version)
            return replace(held, record=replace(held.record, review_due=entry.review_due))

    def public_at(self, entry_id: int, instant: datetime) -> Version | None:
        """What citizens got from an entry at an instant; None where it was not given as current."""
        with self._db.reading() as session:
            version = session.scalar(
                select(EntryVersion)
                .where(
                    EntryVersion.entry_id == entry_id,
                    EntryVersion.public_from <= instant,
                    or_(EntryVersion.public_until.is_(None), EntryVersion.public_until > instant),
                )
                .order_by(EntryVersion.public_from.desc(), EntryVersion.number.desc())
                .limit(1)
            )
            if version is None:
                return None
            held, day = view(version), day_of(instant)
            flags = _flags(session, [(version.entry_id, version.number)])
        begin, end = held.record.effective_on, held.record.expires_on
        if (begin and begin > day) or (end and end < day):
            return None
        biting = any(_bites(flag, instant) for row in flags.values() for flag in row)
        return None if biting else held

    def passage(self, version: Version, day: date) -> Passage:
        """A version as citizens would get it on a day, with the clauses that it rests on."""
        entry = (version.entry_id, version.number)
        with self._db.reading() as session:
            return as_passage(session, version.record, day, entry=entry, since=version.saved_at)

    def departments(self) -> list[str]:
        """The names of all departments."""
        with self._db.reading() as session:
            return list(session.scalars(select(Department.name).order_by(Department.name)))

    def topics(self) -> list[str]:
        """The topics of entries, whether public or not."""
        named = select(Entry.topic).where(Entry.topic != "").distinct().order_by(Entry.topic)
        with self._db.reading() as session:
            return list(session.scalars(named))

    def coded(self, codes: Collection[str]) -> dict[str, int]:
        """The entries that bear codes: code → id."""
        with self._db.reading() as session:
            rows = session.execute(select(Entry.code, Entry.id).where(Entry.code.in_(codes)))
            return {code: entry_id for code, entry_id in rows if code}

    def difference(self, old_id: int, new_id: int) -> tuple[FieldChange, ...]:
        """What differs between two versions, field by field.

        Raises:
            NotFound: no such version.
        """
        return record_difference(self.version(old_id).record, self.version(new_id).record)

    def flags(self, entry_id: int) -> list[Raised]:
        """All flags on all versions of an entry, the latest first."""
        with self._db.reading() as session:
            rows = session.scalars(
                select(Flag)
                .options(joinedload(Flag.document))
                .where(Flag.entry_id == entry_id)
                .order_by(Flag.id.desc())
            )
            return [_raised(row) for row in rows]

    def work(self, wanted: Wanted, *, offset: int = 0, limit: int = 50) -> tuple[list[Task], int]:
        """Lines of a work list, what has waited longest first, and how many there are in all."""
        query = _query(wanted)
        with self._db.reading() as session:
            total = session.scalar(query.with_only_columns(func.count(EntryVersion.id))) or 0
            rows = session.execute(
                query.order_by(*_order(wanted)).offset(offset).limit(limit)
            ).all()
            flags = _flags(session, [(v.entry_id, v.number) for v, _ in rows], unresolved=True)
        tasks = [
            Task(
                view(version),
                entry.version if entry.status is Status.PUBLISHED else None,
                entry.review_due,
                tuple(flags.get((version.entry_id, version.number), ())),
            )
            for version, entry in rows
        ]
        return tasks, total


def view(version: EntryVersion) -> Version:
    """A row as a value that outlives its session."""
    return Version(
        id=version.id,
        entry_id=version.entry_id,
        number=version.number,
        state=version.state,
        record=from_content(version.content, _RECORD_STATUS.get(version.state, "published")),
        origin=version.origin,
        based_on=version.based_on,
        author=version.author,
        contributors=tuple(name for name in version.contributors.split("|") if name),
        edits=version.edits,
        created_at=version.created_at,
        saved_at=version.saved_at,
        submitted_at=version.submitted_at,
        reviewer=version.reviewer or "",
        reviewed_at=version.reviewed_at,
        comment=version.comment,
        reason=version.reason,
        publish_at=version.publish_at,
        public_from=version.public_from,
        public_until=version.public_until,
    )


def _raised(flag: Flag) -> Raised:
    return Raised(
        id=flag.id,
        entry_id=flag.entry_id,
        version=flag.version,
        reason=flag.reason,
        document_id=flag.document_id,
        document=flag.document.title,
        article=flag.article,
        since=flag.since,
        withhold_on=flag.withhold_on,
        found=flag.found,
        raised_at=flag.raised_at,
        resolved_at=flag.resolved_at,
        resolved_by=flag.resolved_by,
        how=flag.how,
        note=flag.note,
    )


def _bites(flag: Raised, instant: datetime) -> bool:
    """Whether a flag kept an answer back at an instant."""
    if flag.withhold_on is None or flag.withhold_on > day_of(instant):
        return False
    cleared = flag.how in ("confirmed", "lifted") and flag.resolved_at
    return instant >= flag.raised_at and not (cleared and instant >= cleared)


def _flags(
    session: Session, versions: Sequence[tuple[int, int]], *, unresolved: bool = False
) -> dict[tuple[int, int], list[Raised]]:
    query = (
        select(Flag)
        .options(joinedload(Flag.document))
        .where(Flag.entry_id.in_({entry_id for entry_id, _ in versions}))
        .order_by(Flag.since, Flag.id)
    )
    if unresolved:
        query = query.where(Flag.resolved_at.is_(None))
    found: dict[tuple[int, int], list[Raised]] = {}
    wanted = set(versions)
    for flag in session.scalars(query):
        if (flag.entry_id, flag.version) in wanted:
            found.setdefault((flag.entry_id, flag.version), []).append(_raised(flag))
    return found


def _query(wanted: Wanted) -> Select[EntryVersion, Entry]:
    entry = Entry
    query = (
        select(EntryVersion, entry)
        .join(entry, entry.id == EntryVersion.entry_id)
        .where(EntryVersion.state.in_(WORK[wanted.kind]), *_of_kind(wanted))
    )
    if wanted.department:
        query = query.join(Department).where(Department.name == wanted.department)
    if wanted.region:
        inner = wanted.region
        while inner.endswith("00"):
            inner = inner[:-2]
        query = query.where(entry.region_code.startswith(inner, autoescape=True))
    if wanted.topic:
        query = query.where(entry.topic == wanted.topic)
    if wanted.state:
        query = query.where(EntryVersion.state == State(wanted.state))
    if wanted.text:
        inside = entry.question.icontains(wanted.text, autoescape=True)
        query = query.where(inside | (entry.code == wanted.text))
    return query


def _of_kind(wanted: Wanted) -> list[ColumnElement[bool]]:
    own = EntryVersion.contributors.contains(f"|{wanted.actor}|", autoescape=True)
    current = EntryVersion.number == Entry.version
    latest = EntryVersion.number == (
        select(func.max(EntryVersion.number))
        .where(EntryVersion.entry_id == Entry.id)
        .correlate(Entry)
        .scalar_subquery()
    )
    if wanted.kind == "mine":
        # One that was returned is done with once there is a newer version.
        return [own, latest | EntryVersion.state.in_(OPEN)]
    if wanted.kind == "to_review":
        return [~own] if wanted.actor else []
    if wanted.kind == "flagged":
        open_ones = (Flag.entry_id == Entry.id, Flag.version == Entry.version)
        return [current, select(Flag.id).where(*open_ones, Flag.resolved_at.is_(None)).exists()]
    if wanted.kind == "due":
        return [current, (Entry.review_due <= wanted.day) | (Entry.expires_on <= wanted.day)]
    if wanted.kind == "published":
        return [current]
    return [latest] if wanted.kind == "all" else []


def _order(wanted: Wanted) -> list[ColumnElement[Any]]:
    if wanted.order == "question":
        return [Entry.question.asc(), EntryVersion.id.asc()]
    if wanted.order == "newest":
        return [EntryVersion.saved_at.desc(), EntryVersion.id.desc()]
    if wanted.order == "oldest":
        return [EntryVersion.saved_at.asc(), EntryVersion.id.asc()]
    if wanted.kind == "scheduled":
        return [EntryVersion.publish_at.asc(), EntryVersion.id.asc()]
    if wanted.kind == "due":
        soonest = func.coalesce(Entry.review_due, Entry.expires_on)
        return [soonest.asc(), EntryVersion.id.asc()]
    if wanted.kind in ("published", "all"):
        return [EntryVersion.saved_at.desc(), EntryVersion.id.desc()]
    return [EntryVersion.saved_at.asc(), EntryVersion.id.asc()]
