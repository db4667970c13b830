"""An entry's way to the public: draft, submission, review, publication, withdrawal.

Hides which step may follow which, who may take it beside whom, and what each leaves behind. Nobody
reviews what they contributed to, nobody overwrites what they have not seen, and citizens go on
getting the old version until the new one takes its place. Rights are the caller's to check.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kb import clock
from kb.clock import day_of, start_of
from kb.db import Database
from kb.errors import Conflict, InvalidEntry, NotFound
from kb.exchange import HEADINGS, EntryRecord
from kb.history import Version, view
from kb.journal import audit, changed, entry_group
from kb.models import Entry, EntryVersion, Flag, State, Status
from kb.records import as_content, fill, from_content, problems
from kb.regions import Regions
from kb.releases import (
    end_public,
    make_public,
    next_number,
    open_version,
    review,
    review_all,
    settle_flags,
    shown_version,
)
from kb.steps import (
    CALLED,
    expect,
    expect_another,
    expect_base,
    expect_unchanged,
    get_public,
    get_version,
    in_words,
    vouched_version,
)

# What keeps a record of an entry from being published: field → why, in Chinese.
Obstacles = Callable[[EntryRecord, int], Mapping[str, str]]
SCHEDULER = "system"


class Versions:
    """Every step of a version.

    Args:
        obstacles: what keeps a record from being submitted, approved and published.
        now: the present instant.
    """

    def __init__(
        self,
        db: Database,
        *,
        regions: Regions,
        obstacles: Obstacles = lambda _record, _entry: {},
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._regions = regions
        self._obstacles = obstacles
        self._now = now
        self._reviewed_on: date | None = None

    def draft(
        self, entry_id: int | None, record: EntryRecord, *, actor: str, based_on: int | None = None
    ) -> Version:
        """Begin a version; of a new entry where `entry_id` is None.

        Args:
            based_on: number of the public version that the author had before them.

        Raises:
            InvalidEntry: fields that not even a draft may have so.
            NotFound: no such entry.
            Conflict: somebody is working on the entry, or has published meanwhile.
        """
        with self._db.transaction() as session:
            self._db.serialise(session)
            record = self._fit(session, record, entry_id)
            entry = self._entry(session, entry_id, record)
            held = open_version(session, entry.id)
            if held:
                when = in_words(held.saved_at)
                raise Conflict(
                    f"{held.author} 正在修改这条问答（第 {held.number} 版，{CALLED[held.state]}，"
                    f"{when}保存），不能同时有两份修改"
                )
            expect_base(session, entry, based_on)
            now = self._now()
            version = EntryVersion(
                entry_id=entry.id,
                number=next_number(session, entry.id),
                state=State.DRAFT,
                content=as_content(record, record.region or None),
                origin="edit",
                based_on=based_on,
                author=actor,
                contributors=f"|{actor}|",
                edits=1,
                created_at=now,
                saved_at=now,
                comment="",
                reason="",
            )
            session.add(version)
            self._show_unpublished(session, entry, version)
            return self._noted(session, version, "version.draft", actor)

    def save(
        self,
        version_id: int,
        record: EntryRecord,
        *,
        actor: str,
        seen: int,
        based_on: int | None = None,
    ) -> Version:
        """Change a draft.

        Args:
            seen: `edits` of the draft as the author had it before them.
            based_on: a later public version that the author has now taken into account.

        Raises:
            InvalidEntry, NotFound: as `draft`.
            Conflict: it was saved by somebody meanwhile, or is no draft any more.
        """
        with self._db.transaction() as session:
            self._db.serialise(session)
            version = get_version(session, version_id)
            expect(version, State.DRAFT)
            expect_unchanged(version, seen)
            record = self._fit(session, record, version.entry_id)
            if based_on is not None:
                expect_base(session, version.entry, based_on)
                version.based_on = based_on
            if f"|{actor}|" not in version.contributors:
                version.contributors += f"{actor}|"
            version.content = as_content(record, record.region or None)
            version.edits, version.saved_at = version.edits + 1, self._now()
            # The last who wrote answers for it.
            version.author = actor
            self._show_unpublished(session, version.entry, version)
            return self._noted(session, version, "version.save", actor)

    def discard(self, version_id: int, *, actor: str, seen: int) -> Version:
        """Give a draft up; it stays in the history.

        Raises:
            NotFound, Conflict: as `save`.
        """
        with self._db.transaction() as session:
            self._db.serialise(session)
            version = get_version(session, version_id)
            expect(version, State.DRAFT)
            expect_unchanged(version, seen)
            version.state = State.DISCARDED
            return self._noted(session, version, "version.discard", actor)

    def submit(self, version_id: int, *, actor: str, seen: int, comment: str = "") -> Version:
        """Hand a draft in for review; from now on its content is frozen.

        Args:
            comment: to whoever reviews it; kept in the audit log.

        Raises:
            InvalidEntry: something keeps it from being published.
            NotFound, Conflict: as `save`; or another version was published meanwhile.
        """
        with self._db.transaction() as session:
            self._db.serialise(session)
            version = get_version(session, version_id)
            expect(version, State.DRAFT)
            expect_unchanged(version, seen)
            expect_base(session, version.entry, version.based_on)
            self._demand_fit(version)
            version.state, version.submitted_at = State.SUBMITTED, self._now()
            version.saved_at = version.submitted_at
            if version.entry.status is Status.DRAFT:
                version.entry.status = Status.SUBMITTED
            said = {"comment": comment.strip()} if comment.strip() else {}
            return self._noted(session, version, "version.submit", actor, **said)

    def return_(self, version_id: int, *, actor: str, reason: str) -> Version:
        """Send a submitted or an approved version back to its author, who writes another draft.

        Raises:
            InvalidEntry: no reason.
            NotFound: no such version.
            Conflict: it is not up for review, or the reviewer wrote on it.
        """
        if not reason.strip():
            raise InvalidEntry({"reason": "请写明退回的理由"})
        with self._db.transaction() as session:
            self._db.serialise(session)
            version = get_version(session, version_id)
            expect(version, State.SUBMITTED, State.APPROVED)
            expect_another(version, actor)
            self._send_back(version, version.reviewer or actor, reason.strip())
            return self._noted(session, version, "version.return", actor, reason=version.reason)

    def approve(
        self,
        version_id: int,
        *,
        actor: str,
        comment: str = "",
        publish_at: datetime | None = None,
    ) -> Version:
        """Vouch for a submitted version and publish it, now or when its time comes.

        A version that takes effect on a later day waits for that day where another one is public:
        until then that one is right.

        Raises:
            InvalidEntry: something keeps it from being published.
            NotFound: no such version.
            Conflict: it is not up for review, the reviewer wrote on it, or another version was
                published meanwhile.
        """
        with self._db.transaction() as session:
            self._db.serialise(session)
            version = get_version(session, version_id)
            expect(version, State.SUBMITTED)
            expect_another(version, actor)
            expect_base(session, version.entry, version.based_on)
            self._demand_fit(version)
            now = self._now()
            version.state, version.reviewer, version.reviewed_at = State.APPROVED, actor, now
            version.comment = comment.strip()
            version.publish_at = _time_of(version, publish_at)
            at = version.publish_at.isoformat() if version.publish_at else None
            done = self._noted(session, version, "version.approve", actor, publish_at=at)
            if version.publish_at and version.publish_at > now:
                return done
            return self._publish(session, version, actor)

    def publish(self, version_id: int, *, actor: str) -> Version:
        """Publish an approved version before its time.

        Raises:
            InvalidEntry, NotFound, Conflict: as `approve`.
        """
        with self._db.transaction() as session:
            self._db.serialise(session)
            version = get_version(session, version_id)
            expect(version, State.APPROVED)
            expect_base(session, version.entry, version.based_on)
            self._demand_fit(version)
            return self._publish(session, version, actor)

    def withdraw(self, entry_id: int, *, actor: str, reason: str) -> None:
        """Take an entry out of every answer at once; it stays in the base.

        Raises:
            InvalidEntry: no reason.
            NotFound: no such entry.
            Conflict: it is not public.
        """
        if not reason.strip():
            raise InvalidEntry({"reason": "请写明撤回的理由"})
        with self._db.transaction() as session:
            self._db.serialise(session)
            entry = get_public(session, entry_id)
            now = self._now()
            shown = shown_version(session, entry)
            if shown is not None:
                end_public(shown, State.WITHDRAWN, now, reason=reason.strip())
            entry.status, entry.updated_at = Status.WITHDRAWN, now
            settle_flags(session, [entry_id], now)
            subject = entry_group(entry_id)
            audit(
                session,
                actor=actor,
                action="entry.withdraw",
                subject=subject,
                version=entry.version,
                reason=reason.strip(),
            )
            changed(self._db, session, subject)

    def confirm(
        self, entry_id: int, *, actor: str, note: str, review_due: date | None = None
    ) -> None:
        """Vouch for the public version in spite of its flags, or because its review was due.

        Args:
            note: why it still holds.
            review_due: when to look at it again; None for never.

        Raises:
            InvalidEntry: no note, or a day that is past.
            NotFound: no such entry.
            Conflict: it is not public, has run out, or is withheld and was written by the actor.
        """
        now = self._now()
        if not note.strip():
            raise InvalidEntry({"note": "请写明为什么仍然有效"})
        if review_due and review_due <= day_of(now):
            raise InvalidEntry({"review_due": f"“{HEADINGS['review_due']}”应晚于今天"})
        with self._db.transaction() as session:
            self._db.serialise(session)
            entry = get_public(session, entry_id)
            if entry.expires_on and entry.expires_on < day_of(now):
                raise Conflict("这条问答已过失效日期，请修订后重新发布")
            version = vouched_version(session, entry)
            flags = session.scalars(
                select(Flag).where(
                    Flag.entry_id == entry.id,
                    Flag.version == entry.version,
                    Flag.resolved_at.is_(None),
                )
            ).all()
            if any(flag.withhold_on for flag in flags):
                expect_another(version, actor)
            for flag in flags:
                flag.resolved_at, flag.resolved_by, flag.how = now, actor, "confirmed"
                flag.note = note.strip()
            entry.review_due = review_due
            audit(
                session,
                actor=actor,
                action="entry.confirm",
                subject=entry_group(entry_id),
                version=entry.version,
                flags=[flag.id for flag in flags],
                note=note.strip(),
            )
            review(session, [entry_id], now)

    def job(self) -> bool:
        """Publish what is due, and once a day bring up what the day has changed.

        Whether anything was published. Any number of processes may do this at once, at any time,
        and be killed while doing it: each step is one transaction that looks again first.
        """
        now = self._now()
        with self._db.reading() as session:
            due = session.scalars(
                select(EntryVersion.id)
                .where(EntryVersion.state == State.APPROVED, EntryVersion.publish_at <= now)
                .order_by(EntryVersion.publish_at, EntryVersion.id)
            ).all()
        for version_id in due:
            self._publish_due(version_id, now)
        if self._reviewed_on != day_of(now):
            with self._db.transaction() as session:
                self._db.serialise(session)
                review_all(session, now)
            self._reviewed_on = day_of(now)
        return bool(due)

    def _publish_due(self, version_id: int, now: datetime) -> None:
        with self._db.transaction() as session:
            self._db.serialise(session)
            version = get_version(session, version_id)
            due = version.publish_at is not None and version.publish_at <= now
            if version.state is not State.APPROVED or not due:
                return  # another process was quicker
            try:
                expect_base(session, version.entry, version.based_on)
                self._demand_fit(version)
            except (Conflict, InvalidEntry) as error:
                reason = f"到了发布时间，但是不能发布：{error}"
                self._send_back(version, version.reviewer or SCHEDULER, reason)
                self._noted(session, version, "version.return", SCHEDULER, reason=reason)
                return
            self._publish(session, version, SCHEDULER)

    def _publish(self, session: Session, version: EntryVersion, actor: str) -> Version:
        now = self._now()
        entry = version.entry
        make_public(session, entry, version, now, shown=shown_version(session, entry))
        settle_flags(session, [entry.id], now)
        review(session, [version.entry_id], now)
        changed(self._db, session, entry_group(version.entry_id))
        return self._noted(session, version, "version.publish", actor)

    def _entry(self, session: Session, entry_id: int | None, record: EntryRecord) -> Entry:
        if entry_id is not None:
            held = session.get(Entry, entry_id)
            if held is None:
                raise NotFound(f"没有编号为 {entry_id} 的问答条目")
            return held
        now = self._now()
        entry = Entry(status=Status.DRAFT, version=1, created_at=now, updated_at=now)
        fill(session, entry, record, record.region or None)
        session.add(entry)
        session.flush()
        return entry

    def _fit(self, session: Session, record: EntryRecord, entry_id: int | None) -> EntryRecord:
        """A record fit for a draft, its region as a code."""
        wrong = problems(record, complete=False)
        try:
            region = self._regions.resolve(record.region)
        except NotFound as error:
            region, wrong = None, {**wrong, "region": str(error)}
        if record.code:
            bearer = session.scalar(select(Entry.id).where(Entry.code == record.code))
            if bearer not in (None, entry_id):
                wrong["code"] = f"“{HEADINGS['code']}”{record.code} 已经用在另一条问答上"
        if wrong:
            raise InvalidEntry(wrong)
        return replace(record, region=region or "")

    def _demand_fit(self, version: EntryVersion) -> None:
        record = from_content(version.content)
        wrong = problems(record) or self._obstacles(record, version.entry_id)
        if wrong:
            raise InvalidEntry(dict(wrong))

    def _show_unpublished(self, session: Session, entry: Entry, version: EntryVersion) -> None:
        """Let the rows of an entry that was never public say what its draft says."""
        if entry.status in (Status.DRAFT, Status.SUBMITTED):
            record = from_content(version.content)
            fill(session, entry, record, record.region or None)
            entry.status, entry.version = Status.DRAFT, version.number
            entry.updated_at = self._now()

    def _send_back(self, version: EntryVersion, reviewer: str, reason: str) -> None:
        version.state, version.reason = State.RETURNED, reason
        version.reviewer, version.reviewed_at = reviewer, self._now()
        if version.entry.status is Status.SUBMITTED:
            version.entry.status = Status.DRAFT

    def _noted(
        self, session: Session, version: EntryVersion, action: str, actor: str, **detail: object
    ) -> Version:
        session.flush()
        audit(
            session,
            actor=actor,
            action=action,
            subject=entry_group(version.entry_id),
            version=version.number,
            **detail,
        )
        return view(version)


def _time_of(version: EntryVersion, publish_at: datetime | None) -> datetime | None:
    begin = from_content(version.content).effective_on
    if begin is None or version.entry.status is not Status.PUBLISHED:
        return publish_at
    return max(start_of(begin), publish_at or start_of(begin))
