"""立改废: what happens to entries when their bases are amended, repealed or expire.

Hides how that is found out: every basis keeps a sketch of the words that somebody vouched for, and
whatever stands in their place on a coming day is compared with it. The result is a set of flags
that is worked out anew at every write that may concern it, in the same transaction, so there is no
moment at which citizens get an entry whose basis has gone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from kb.clock import DAY, day_of
from kb.db import Database
from kb.differences import ClauseChange, clause_changes
from kb.errors import NotFound
from kb.grounds import Basis, Grounds, period
from kb.journal import audit, entry_group
from kb.models import Basis as BasisRow
from kb.models import Clause, Document, Entry, Flag, Revision, Status
from kb.validity import Validity

# An end that was known from the beginning is brought up so many days ahead.
AHEAD = timedelta(days=30)
# Ends that are past are looked at again for so long, in case nobody was there to do it.
BEHIND = timedelta(days=60)
ACTOR = "system"
_AT_ONCE = 500


@dataclass(frozen=True)
class Event:
    """Something that befalls a basis; see `kb.models.Flag`."""

    reason: str
    document_id: int
    article: str
    since: date
    withhold_on: date | None
    sketch: str = ""
    found: str = ""

    @property
    def key(self) -> tuple[str, int, str, date]:
        """What makes two events the same."""
        return self.reason, self.document_id, self.article, self.since


class Amendments:
    """Reads what a new revision of a document changes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def changes(self, document_id: int, *, old: int, new: int) -> tuple[ClauseChange, ...]:
        """The difference between two revisions, clause by clause, in the order of the new one.

        Args:
            old: number of a revision.
            new: number of another one.

        Raises:
            NotFound: no such document or revision.
        """
        with self._db.reading() as session:
            before, after = (self._clauses(session, document_id, each) for each in (old, new))
        return clause_changes(before, after)

    def turning(self, document_id: int, since: date) -> tuple[int, int] | None:
        """Numbers of the revision that took over on a day and of the one before it, old first.

        None where there was none before it.
        """
        with self._db.reading() as session:
            rows = session.scalars(
                select(Revision).where(
                    Revision.document_id == document_id, Revision.published_at.is_not(None)
                )
            ).all()
        begun = sorted(
            (each.effective_on or each.issued_on or _imported(each, since), each.number)
            for each in rows
        )
        reached = [number for day, number in begun if day <= since]
        return (reached[-2], reached[-1]) if len(reached) > 1 else None

    def _clauses(self, session: Session, document_id: int, number: int) -> list[tuple[str, str]]:
        revision_id = session.scalar(
            select(Revision.id).where(
                Revision.document_id == document_id, Revision.number == number
            )
        )
        if revision_id is None:
            raise NotFound(f"编号为 {document_id} 的文件没有第 {number} 版")
        rows = session.execute(
            select(Clause.locator, Clause.text)
            .where(Clause.revision_id == revision_id)
            .order_by(Clause.ordinal)
        )
        return [(locator, text) for locator, text in rows]


def review_documents(
    session: Session, documents: Iterable[Document], today: date, now: datetime
) -> list[int]:
    """Flag the published entries that rest on documents as their bases now demand.

    Returns:
        The entries looked at.
    """
    names: set[str] = set()
    for document in documents:
        names.add(document.title)
        numbers = [document.document_number, *(r.document_number for r in document.revisions)]
        names |= {number for number in numbers if number}
    if not names:
        return []
    cited = select(BasisRow.entry_id).where(BasisRow.target.in_(names))
    ids = session.scalars(
        select(Entry.id).where(Entry.id.in_(cited), Entry.status == Status.PUBLISHED)
    ).all()
    review_entries(session, ids, today, now)
    return list(ids)


def ending(session: Session, today: date) -> Sequence[Document]:
    """Documents that end by their own last day about now."""
    soon = Revision.expires_on.between(today - BEHIND, today + AHEAD)
    return session.scalars(
        select(Document)
        .where(
            Document.status == Status.PUBLISHED,
            Document.id.in_(select(Revision.document_id).where(soon)),
        )
        .options(selectinload(Document.revisions))
    ).all()


def review_entries(session: Session, ids: Sequence[int], today: date, now: datetime) -> None:
    """Let the flags of published entries be those that their bases demand; again is harmless."""
    for start in range(0, len(ids), _AT_ONCE):
        entries = session.scalars(
            select(Entry)
            .options(selectinload(Entry.bases), joinedload(Entry.department))
            .where(Entry.id.in_(ids[start : start + _AT_ONCE]))
        ).all()
        grounds = Grounds(session, {basis.target for e in entries for basis in e.bases})
        held = _flags(session, [entry.id for entry in entries])
        _preload(grounds, entries, today)
        for entry in entries:
            own = [flag for flag in held.get(entry.id, ()) if flag.version == entry.version]
            _review(session, entry, grounds, own, (today, now))
    session.flush()


def _preload(grounds: Grounds, entries: Iterable[Entry], today: date) -> None:
    """Read the cited articles of all entries in one go."""
    bases = [(_basis(row, entry), row.article) for entry in entries for row in entry.bases]
    meant = [(grounds.revision(basis, today), article) for basis, article in bases]
    grounds.load((revision, article) for revision, article in meant if revision)


def _flags(session: Session, ids: Sequence[int]) -> dict[int, list[Flag]]:
    held: dict[int, list[Flag]] = {}
    for flag in session.scalars(select(Flag).where(Flag.entry_id.in_(ids))):
        held.setdefault(flag.entry_id, []).append(flag)
    return held


def _review(
    session: Session,
    entry: Entry,
    grounds: Grounds,
    held: Sequence[Flag],
    at: tuple[date, datetime],
) -> None:
    today, now = at
    vouched = {flag.sketch for flag in held if flag.how == "confirmed" and flag.sketch}
    demanded: dict[tuple[str, int, str, date], Event] = {}
    for row in entry.bases:
        basis = _basis(row, entry)
        if not row.sketch:
            # Nobody has seen the words until now, so these are the ones that are vouched for.
            row.sketch = _sketch_on(grounds, basis, today)
            basis = basis._replace(sketch=row.sketch)
        for event in _events(grounds, basis, today, vouched):
            demanded.setdefault(event.key, event)
    known = {(f.reason, f.document_id, f.article, f.since): f for f in held}
    for key, event in demanded.items():
        flag = known.get(key)
        if flag is None:
            session.add(_flag(entry, event, now))
        elif flag.how == "lifted":
            flag.resolved_at, flag.resolved_by, flag.how = None, "", ""
        else:
            continue
        _note(session, entry, "entry.flag", event.reason, event.since)
    for key, flag in known.items():
        if key not in demanded and flag.resolved_at is None:
            flag.resolved_at, flag.resolved_by, flag.how = now, ACTOR, "lifted"
            _note(session, entry, "entry.lift", flag.reason, flag.since)


def _basis(row: BasisRow, entry: Entry) -> Basis:
    return Basis(row.target, row.article, entry.region_code, row.sketch)


def _sketch_on(grounds: Grounds, basis: Basis, day: date) -> str:
    revision = grounds.revision(basis, day)
    return grounds.sketch(basis, revision) if revision else ""


def _events(grounds: Grounds, basis: Basis, today: date, vouched: set[str]) -> Iterator[Event]:
    """What befalls a basis today and on every later day on which something is known to change."""
    for day in _days(grounds, basis, today):
        revision = grounds.revision(basis, day)
        if revision is None:
            continue
        document = revision.document
        validity = period(document, revision).on(day)
        if validity is Validity.REPEALED and document.repealed_on:
            on = document.repealed_on
            yield Event("repealed", document.id, basis.article, on, on)
        elif validity is Validity.EXPIRED and revision.expires_on:
            on = revision.expires_on + DAY
            if on <= today + AHEAD:
                yield Event("expired", document.id, basis.article, on, on)
        elif validity is Validity.IN_FORCE:
            since = revision.effective_on or revision.issued_on or _imported(revision, today)
            yield from _altered(grounds, basis, revision, since, vouched)


def _imported(revision: Revision, today: date) -> date:
    return day_of(revision.published_at) if revision.published_at else today


def _days(grounds: Grounds, basis: Basis, today: date) -> list[date]:
    days = {today}
    for document in grounds.documents(basis):
        ends = [document.repealed_on]
        for each in document.revisions:
            if each.published_at:
                ends += [each.effective_on or each.issued_on, each.superseded_on]
                ends.append(each.expires_on + DAY if each.expires_on else None)
        days |= {day for day in ends if day and day > today}
    return sorted(days)


def _altered(
    grounds: Grounds, basis: Basis, revision: Revision, since: date, vouched: set[str]
) -> Iterator[Event]:
    """Whether the words that a revision has at the cited place are those vouched for."""
    if not basis.sketch:
        return
    words = grounds.sketch(basis, revision)
    if words == basis.sketch or words in vouched:
        return
    moved = grounds.moved(basis, revision) if basis.article else None
    if moved is not None:
        yield Event(
            "renumbered", revision.document_id, basis.article, since, None, words, moved.locator
        )
        return
    reason = "amended" if words else "removed"
    yield Event(reason, revision.document_id, basis.article, since, since, words)


def _flag(entry: Entry, event: Event, now: datetime) -> Flag:
    return Flag(
        entry_id=entry.id,
        version=entry.version,
        reason=event.reason,
        document_id=event.document_id,
        article=event.article,
        since=event.since,
        withhold_on=event.withhold_on,
        sketch=event.sketch,
        found=event.found,
        raised_at=now,
    )


def _note(session: Session, entry: Entry, action: str, reason: str, since: date) -> None:
    audit(
        session,
        actor=ACTOR,
        action=action,
        subject=entry_group(entry.id),
        version=entry.version,
        reason=reason,
        since=since.isoformat(),
    )
