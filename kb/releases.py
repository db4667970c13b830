"""How a version becomes what citizens get, and ceases to be; hides what that does to the rows.

Shared by everyone who publishes: a version that is made public ends the one before it at the same
instant, in one transaction, and the entry's rows say from then on what the new version says.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from kb.amendments import ACTOR, ending, review_documents, review_entries
from kb.clock import day_of
from kb.journal import audit, entry_group
from kb.models import Document, Entry, EntryVersion, Flag, State, Status
from kb.records import fill, from_content

# States of the version that an entry's rows show, whether or not it is in force today.
SHOWN = (State.PUBLISHED, State.IN_REVIEW, State.EXPIRED, State.REPEALED)
# States of a version on its way to the public; an entry has one such version at most.
OPEN = (State.DRAFT, State.SUBMITTED, State.APPROVED)
_AT_ONCE = 500


def open_version(session: Session, entry_id: int) -> EntryVersion | None:
    """The version of an entry that somebody is working on."""
    return session.scalar(
        select(EntryVersion).where(EntryVersion.entry_id == entry_id, EntryVersion.state.in_(OPEN))
    )


def next_number(session: Session, entry_id: int) -> int:
    """The number of an entry's next version."""
    last = select(func.max(EntryVersion.number)).where(EntryVersion.entry_id == entry_id)
    return (session.scalar(last) or 0) + 1


def shown_version(session: Session, entry: Entry) -> EntryVersion | None:
    """The version that the rows of a public entry show."""
    if entry.status is not Status.PUBLISHED:
        return None
    return session.scalar(
        select(EntryVersion).where(
            EntryVersion.entry_id == entry.id,
            EntryVersion.number == entry.version,
            EntryVersion.state.in_(SHOWN),
        )
    )


def make_public(
    session: Session,
    entry: Entry,
    version: EntryVersion,
    now: datetime,
    *,
    shown: EntryVersion | None,
) -> None:
    """Let citizens get a version from now on in place of the one shown, if any.

    The flags of that one are the caller's to settle, for many entries at once: `settle_flags`.
    """
    if shown is not None:
        end_public(shown, State.REVISED, now)
    record = from_content(version.content)
    fill(session, entry, record, record.region or None)
    entry.status, entry.version, entry.updated_at = Status.PUBLISHED, version.number, now
    version.state, version.public_from = State.PUBLISHED, now


def end_public(shown: EntryVersion, state: State, now: datetime, *, reason: str = "") -> None:
    """Let citizens get a version no longer."""
    # What had run out before it was replaced keeps saying so.
    if shown.state in (State.PUBLISHED, State.IN_REVIEW) or state is State.WITHDRAWN:
        shown.state = state
    shown.public_until, shown.reason = now, reason or shown.reason


def settle_flags(session: Session, ids: Sequence[int], now: datetime) -> None:
    """Close the flags on versions that citizens no longer get."""
    session.flush()
    for start in range(0, len(ids), _AT_ONCE):
        of_these = (Flag.entry_id.in_(ids[start : start + _AT_ONCE]), Flag.resolved_at.is_(None))
        current = select(Entry.version).where(
            Entry.id == Flag.entry_id, Entry.status == Status.PUBLISHED
        )
        public = func.coalesce(current.correlate(Flag).scalar_subquery(), 0)
        gone = update(Flag).where(*of_these, Flag.version != public)
        session.execute(
            gone.values(resolved_at=now, how=case((public == 0, "withdrawn"), else_="revised")),
            execution_options={"synchronize_session": False},
        )


def review(session: Session, ids: Sequence[int], now: datetime) -> None:
    """Flag published entries as their bases demand, and say in which state that leaves them."""
    session.flush()
    for start in range(0, len(ids), _AT_ONCE):
        public = session.scalars(
            select(Entry.id).where(
                Entry.id.in_(ids[start : start + _AT_ONCE]), Entry.status == Status.PUBLISHED
            )
        ).all()
        if public:
            review_entries(session, public, day_of(now), now)
            settle(session, public, day_of(now))


def review_citing(
    session: Session, documents: Sequence[Document], today: date, now: datetime
) -> None:
    """The same for all entries that rest on documents."""
    if documents:
        session.flush()
        settle(session, review_documents(session, documents, today, now), today)


def review_all(session: Session, now: datetime) -> None:
    """Bring up what the passing of days alone has changed."""
    today = day_of(now)
    review_documents(session, ending(session, today), today, now)
    flagged = select(Flag.entry_id).where(Flag.resolved_at.is_(None))
    marked = select(EntryVersion.entry_id).where(EntryVersion.state.in_(SHOWN[1:]))
    ids = session.scalars(
        select(Entry.id).where(
            Entry.status == Status.PUBLISHED,
            (Entry.expires_on < today)
            | (Entry.review_due <= today)
            | Entry.id.in_(flagged)
            | Entry.id.in_(marked),
        )
    ).all()
    settle(session, ids, today)


def settle(session: Session, ids: Sequence[int], today: date) -> None:
    """Write down the state of public versions, which lists go by; answers go by the dates."""
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        flags: dict[int, list[Flag]] = {}
        query = select(Flag).join(Entry, Entry.id == Flag.entry_id)
        open_ones = (Flag.entry_id.in_(some), Flag.resolved_at.is_(None))
        for flag in session.scalars(query.where(*open_ones, Flag.version == Entry.version)):
            flags.setdefault(flag.entry_id, []).append(flag)
        rows = session.execute(
            select(
                EntryVersion.id,
                EntryVersion.state,
                Entry.id,
                Entry.expires_on,
                Entry.review_due,
            )
            .join(Entry, Entry.id == EntryVersion.entry_id)
            .where(
                Entry.id.in_(some),
                EntryVersion.number == Entry.version,
                EntryVersion.state.in_(SHOWN),
            )
        ).all()
        for version_id, state, entry_id, expires_on, review_due in rows:
            fresh = _state(flags.get(entry_id, ()), expires_on, review_due, today)
            if fresh is not state:
                _mark(session, version_id, entry_id, fresh)


def _state(
    flags: Sequence[Flag], expires_on: date | None, review_due: date | None, today: date
) -> State:
    if expires_on and expires_on < today:
        return State.EXPIRED
    ended = {f.reason for f in flags if f.withhold_on and f.withhold_on <= today}
    if "repealed" in ended:
        return State.REPEALED
    if "expired" in ended:
        return State.EXPIRED
    if flags or (review_due and review_due <= today):
        return State.IN_REVIEW
    return State.PUBLISHED


def _mark(session: Session, version_id: int, entry_id: int, state: State) -> None:
    of_version = update(EntryVersion).where(EntryVersion.id == version_id)
    session.execute(of_version.values(state=state))
    if state not in (State.EXPIRED, State.REPEALED):
        return  # what brought it there has its own row
    action = f"entry.{state.value}"
    audit(session, actor=ACTOR, action=action, subject=entry_group(entry_id))
