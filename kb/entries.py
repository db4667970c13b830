"""Entries in bulk: an administrator's import and export; hides how rows become versions.

What one person writes and another reviews goes through `kb.versions`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, selectinload

from kb import clock
from kb.db import Database
from kb.errors import KnowledgeError, NotFound
from kb.exchange import EntryRecord
from kb.journal import audit, changed, entry_group
from kb.models import Department, Entry, EntryVersion, State, Status
from kb.records import as_content, fill, problems, record_of, same
from kb.regions import Regions
from kb.releases import OPEN, SHOWN, end_public, make_public, review, settle_flags

# Rows that are looked up and written together.
BATCH = 500
_Rows = Sequence[tuple[int, EntryRecord]]


@dataclass(frozen=True)
class Saved:
    """What became of one record: `added`, `updated`, `unchanged` or `failed` (with a reason)."""

    row: int
    outcome: str
    entry_id: int | None = None
    field: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Planned:
    """What would become of one record: `add`, `change`, `unchanged` or `refuse` (with a reason).

    Attributes:
        record: as it would be kept, its region as a code.
        held: what the entry says now; None for a new one.
    """

    row: int
    outcome: str
    record: EntryRecord
    held: EntryRecord | None = None
    entry_id: int | None = None
    field: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Sieve:
    """Which entries to read; what is empty admits all, and a region what lies in it."""

    status: Status | None = None
    department: str = ""
    region: str | None = None
    topic: str = ""


class Entries:
    """Entry tables in and out.

    Args:
        now: the present instant.
    """

    def __init__(
        self, db: Database, *, regions: Regions, now: Callable[[], datetime] = clock.now
    ) -> None:
        self._db = db
        self._regions = regions
        self._now = now

    def save(
        self,
        rows: Iterable[tuple[int, EntryRecord]],
        *,
        actor: str,
        publish: bool = False,
        within: Callable[[Session, Sequence[Saved]], None] = lambda _session, _saved: None,
    ) -> list[Saved]:
        """Add or update entries; a record with a known code, else a known question, updates.

        A row that does not hold is reported and stops no other; all good rows commit together. A
        row that is to be published becomes a version that an administrator answers for; a draft of
        a published entry waits beside it, and citizens go on getting the old version.

        Args:
            publish: publish every saved entry whatever status its row names.
            within: what else is to be written in the same transaction.
        """
        saved: list[Saved] = []
        with self._db.transaction() as session:
            # First of all, lest two imports wait for each other's tags and departments.
            self._db.serialise(session)
            now, remaining = self._now(), iter(rows)
            while batch := list(islice(remaining, BATCH)):
                fit: list[tuple[int, EntryRecord]] = []
                for row, given in batch:
                    record = replace(given, status="published") if publish else given
                    placed = self._placed(row, record)
                    if isinstance(placed, Saved):
                        saved.append(placed)
                    else:
                        fit.append((row, placed))
                saved += _Batch(session, fit, actor, now).save()
            touched = [e.entry_id for e in saved if e.entry_id and e.outcome != "unchanged"]
            settle_flags(session, touched, now)
            review(session, touched, now)
            changed(self._db, session, *map(entry_group, touched))
            within(session, saved)
        return sorted(saved, key=lambda each: each.row)

    def plan(self, rows: Sequence[tuple[int, EntryRecord]]) -> list[Planned]:
        """What `save` would do with rows, at the present state of the base; writes nothing."""
        plans: list[Planned] = []
        fit: list[tuple[int, EntryRecord]] = []
        for row, record in rows:
            placed = self._placed(row, record)
            if isinstance(placed, Saved):
                plans.append(
                    Planned(row, "refuse", record, field=placed.field, reason=placed.reason)
                )
            else:
                fit.append((row, placed))
        with self._db.reading() as session:
            for start in range(0, len(fit), BATCH):
                plans += _Batch(session, fit[start : start + BATCH], "", self._now()).plan()
        return sorted(plans, key=lambda each: each.row)

    def set_status(self, entry_id: int, status: Status, *, actor: str) -> None:
        """Publish, withdraw or send back an entry as it is, as an administrator.

        Raises:
            NotFound: no such entry.
        """
        with self._db.transaction() as session:
            self._db.serialise(session)
            entry = session.get(Entry, entry_id)
            if entry is None:
                raise NotFound(f"没有编号为 {entry_id} 的问答条目")
            now = self._now()
            record = replace(record_of(entry), status=status.value)
            batch = _Batch(session, [(0, record)], actor, now)
            if status is Status.PUBLISHED:
                batch.turn(entry, record)
            else:
                batch.take_down(entry)
            entry.status, entry.updated_at = status, now
            settle_flags(session, [entry_id], now)
            audit(session, actor=actor, action=status.value, subject=entry_group(entry_id))
            review(session, [entry_id], now)
            changed(self._db, session, entry_group(entry_id))

    def records(self, sieve: Sieve = Sieve()) -> Iterator[EntryRecord]:
        """Entries as table rows, in the order they were added."""
        query = _sifted(_whole(), sieve).order_by(Entry.id)
        with self._db.reading() as session:
            for entry in session.scalars(query.execution_options(yield_per=500)):
                yield record_of(entry)

    def count(self, sieve: Sieve) -> int:
        """How many entries `records` would read."""
        query = _sifted(select(func.count(Entry.id)), sieve)
        with self._db.reading() as session:
            return session.scalar(query) or 0

    def choices(self) -> tuple[list[str], list[str]]:
        """Names of the departments, and topics, that entries have."""
        with self._db.reading() as session:
            departments = session.scalars(select(Department.name).order_by(Department.name)).all()
            topics = session.scalars(select(Entry.topic).distinct().order_by(Entry.topic)).all()
        return list(departments), [topic for topic in topics if topic]

    def _placed(self, row: int, record: EntryRecord) -> EntryRecord | Saved:
        """A record with its region as a code, or why it cannot be saved."""
        try:
            region_code = self._regions.resolve(record.region)
        except KnowledgeError as error:
            return Saved(row, "failed", field="region", reason=str(error))
        for field, reason in problems(record).items():
            return Saved(row, "failed", field=field, reason=reason)
        return replace(record, region=region_code or "")


class _Batch:
    """Some rows of a table, with all that is known of their entries read at one go."""

    def __init__(self, session: Session, rows: _Rows, actor: str, now: datetime) -> None:
        self._session = session
        self._rows = rows
        self._actor = actor
        self._now = now
        codes = {record.code for _, record in rows if record.code}
        questions = {record.question for _, record in rows}
        known = Entry.code.in_(codes) | Entry.question.in_(questions)
        held = session.scalars(_whole().where(known).order_by(Entry.id)).all()
        self._coded = {entry.code: entry for entry in held if entry.code}
        self._asked: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for entry in held:
            self._asked[entry.question, entry.region_code or ""].append(entry)
        self._read_versions([entry.id for entry in held])

    def _read_versions(self, ids: Sequence[int]) -> None:
        last = select(EntryVersion.entry_id, func.max(EntryVersion.number))
        of_these = EntryVersion.entry_id.in_(ids)
        rows = self._session.execute(last.where(of_these).group_by(EntryVersion.entry_id))
        self._last = {entry_id: number for entry_id, number in rows}
        versions = self._session.scalars(
            select(EntryVersion).where(of_these, EntryVersion.state.in_((*OPEN, *SHOWN)))
        ).all()
        self._open = {each.entry_id: each for each in versions if each.state in OPEN}
        self._shown = {
            (each.entry_id, each.number): each for each in versions if each.state in SHOWN
        }

    def save(self) -> list[Saved]:
        """Store the rows, and say what became of each."""
        session = self._session
        done: list[tuple[int, str, Entry | None, str, str]] = []
        with session.no_autoflush:
            for row, given in self._rows:
                entry = self._find(given)
                held = record_of(entry) if entry else None
                record = replace(given, code=given.code or (held.code if held else ""))
                if held and same(held, record) and held.status == record.status:
                    done.append((row, "unchanged", entry, "", record.status))
                    continue
                outcome = "updated" if entry else "added"
                problem = ""
                if entry is None:
                    entry = self._add(record)
                else:
                    self._number(entry)
                    problem = self.turn(entry, record)
                done.append((row, "failed" if problem else outcome, entry, problem, record.status))
            session.flush()
        return [self._saved(*each) for each in done]

    def plan(self) -> list[Planned]:
        """What would become of each row."""
        plans = []
        for row, given in self._rows:
            entry = self._find(given)
            if entry is None:
                plans.append(Planned(row, "add", given))
                continue
            held = record_of(entry)
            record = replace(given, code=given.code or held.code)
            known = {"record": record, "held": held, "entry_id": entry.id}
            if same(held, record):
                plans.append(Planned(row, "unchanged", **known))  # type: ignore[arg-type]
            elif problem := self._in_the_way(entry, Status(record.status)):
                plans.append(Planned(row, "refuse", reason=problem, **known))  # type: ignore[arg-type]
            else:
                plans.append(Planned(row, "change", **known))  # type: ignore[arg-type]
        return plans

    def turn(self, entry: Entry, record: EntryRecord) -> str:
        """Make a version of a record of a known entry; what stands in the way, in Chinese."""
        status = Status(record.status)
        shown = self._shown_version(entry)
        if status is Status.PUBLISHED:
            if shown is None or not same(record_of(entry), record):
                self._publish(entry, record, shown)
        elif status is Status.WITHDRAWN:
            self._withdraw(entry, record)
        else:
            return self._draft(entry, record, status)
        return ""

    def take_down(self, entry: Entry) -> None:
        """Let citizens get an entry no longer."""
        shown = self._shown_version(entry)
        if shown is not None:
            end_public(shown, State.WITHDRAWN, self._now)

    def _saved(
        self, row: int, outcome: str, entry: Entry | None, problem: str, status: str
    ) -> Saved:
        if entry is None or problem:
            return Saved(row, "failed", reason=problem)
        if outcome != "unchanged":
            subject = entry_group(entry.id)
            audit(
                self._session,
                actor=self._actor,
                action=outcome,
                subject=subject,
                version=entry.version,
                status=status,
            )
        return Saved(row, outcome, entry.id)

    def _find(self, record: EntryRecord) -> Entry | None:
        """The entry that a record is about: a code is the key, a question is one without a code."""
        if record.code and record.code in self._coded:
            return self._coded[record.code]
        asked = self._asked.get((record.question, record.region), ())
        fit = (entry for entry in asked if not record.code or not entry.code)
        return next((e for e in fit if e.question == record.question), None)

    def _shown_version(self, entry: Entry) -> EntryVersion | None:
        if entry.status is not Status.PUBLISHED:
            return None
        return self._shown.get((entry.id, entry.version))

    def _add(self, record: EntryRecord) -> Entry:
        status = Status(record.status)
        entry = Entry(
            status=status, version=1, created_at=self._now, updated_at=self._now,
            phrasings=[], bases=[], tags=[],
        )  # fmt: skip
        # Filling it asks the database, which must not be handed half an entry before.
        fill(self._session, entry, record, record.region or None)
        self._session.add(entry)
        version = self._version(entry, record, State(status.value))
        if status is Status.PUBLISHED:
            version.public_from = self._now
        if record.code:
            self._coded[record.code] = entry
        self._asked[record.question, record.region].append(entry)
        return entry

    def _publish(self, entry: Entry, record: EntryRecord, shown: EntryVersion | None) -> None:
        version = self._version(entry, record, State.PUBLISHED)
        make_public(self._session, entry, version, self._now, shown=shown)

    def _number(self, entry: Entry) -> None:
        """Give an entry of a row further up its id, since another row is about it as well."""
        if entry.id is None:
            self._session.flush()
            self._read_versions([entry.id, *self._last])

    def _withdraw(self, entry: Entry, record: EntryRecord) -> None:
        self.take_down(entry)
        if not same(record_of(entry), record):
            version = self._version(entry, record, State.WITHDRAWN)
            fill(self._session, entry, record, record.region or None)
            entry.version = version.number
        entry.status, entry.updated_at = Status.WITHDRAWN, self._now

    def _in_the_way(self, entry: Entry, status: Status) -> str:
        """What keeps a draft from being imported, in Chinese; empty for nothing."""
        held = self._open.get(entry.id)
        drafted = status in (Status.DRAFT, Status.SUBMITTED)
        if drafted and held and (held.origin != "import" or held.state is not State.DRAFT):
            return f"{held.author} 正在修改这条问答（第 {held.number} 版），请等改完再导入"
        return ""

    def _draft(self, entry: Entry, record: EntryRecord, status: Status) -> str:
        if problem := self._in_the_way(entry, status):
            return problem
        held = self._open.get(entry.id)
        if held:
            held.state = State.DISCARDED
            self._session.flush()
        version = self._version(entry, record, State(status.value))
        self._open[entry.id] = version
        if entry.status is not Status.PUBLISHED:
            fill(self._session, entry, record, record.region or None)
            entry.status, entry.version = status, version.number
            entry.updated_at = self._now
        return ""

    def _version(self, entry: Entry, record: EntryRecord, state: State) -> EntryVersion:
        number = self._last.get(entry.id, 0) + 1
        version = EntryVersion(
            entry=entry,
            number=number,
            state=state,
            content=as_content(record, record.region or None),
            origin="import",
            based_on=entry.version if entry.status is Status.PUBLISHED and number > 1 else None,
            author=self._actor,
            contributors=f"|{self._actor}|",
            edits=1,
            created_at=self._now,
            saved_at=self._now,
            submitted_at=None if state is State.DRAFT else self._now,
            comment="",
            reason="",
        )
        self._session.add(version)
        if entry.id is not None:
            self._last[entry.id] = number
            if state is State.PUBLISHED:
                self._shown[entry.id, number] = version
        return version


def _whole() -> Select[Entry]:
    """Entries with all their parts."""
    parts = (Entry.phrasings, Entry.bases, Entry.tags, Entry.department)
    return select(Entry).options(*(selectinload(part) for part in parts))


def _sifted(query: Select[Any], sieve: Sieve) -> Select[Any]:
    if sieve.status is not None:
        query = query.where(Entry.status == sieve.status)
    if sieve.topic:
        query = query.where(Entry.topic == sieve.topic)
    if sieve.region:
        prefix = sieve.region.removesuffix("00").removesuffix("00")
        query = query.where(Entry.region_code.startswith(prefix, autoescape=True))
    if sieve.department:
        query = query.join(Entry.department).where(Department.name == sieve.department)
    return query
