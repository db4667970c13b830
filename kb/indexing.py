"""The index as a projection of the database; hides how rows become texts to search.

`Indexer` follows the change log: every change names a group ("revision:7", "entry:31"), and the
group is read again as it stands now. So it does not matter how often, or by how many processes,
a change is applied.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from typing import Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from embeddings import Item
from kb.db import Database
from kb.index import Index
from kb.journal import ENTRIES, REVISIONS, entry_group, revision_group
from kb.models import Change, Clause, Document, Entry, Phrasing, Revision, Status
from kb.wordings import UNKNOWN, Wordings

log = logging.getLogger(__name__)

# A passage that says one thing is found best; longer clauses are searched window by window.
WINDOW = 280
WHOLE_UP_TO = 450
# Groups read in one go: bounds the memory of a rebuild.
GROUPS_AT_ONCE = 400
# Changes of another kind after which a retriever's position is written down all the same, so that
# the next start need not read them again.
SETTLE_AFTER = 1000
MERGE_EVERY = 2.0
RETRY_AFTER = 5.0

_SENTENCE_END = re.compile(r"(?<=[。！？；\n])")
_CONTENTS = re.compile(r"^\s*目\s*[录次]")


class Indexer:
    """Keeps an index level with the database.

    Clauses and entries follow the log side by side, each for its own groups: an editor who
    publishes an answer does not wait until a mass import of documents has been indexed.
    """

    def __init__(self, db: Database, index: Index, wordings: Wordings = UNKNOWN) -> None:
        self._db = db
        self._index = index
        clause_items = partial(_clause_items, wordings=wordings)
        self._followers = (
            _Follower(db, index.entries, ENTRIES, _entry_items),
            _Follower(db, index.clauses, REVISIONS, clause_items),
        )
        # Made anew in every process, from the beginning of the log.
        self._typed = (
            _Follower(db, index.questions, ENTRIES, _wording_items),
            _Follower(db, index.titles, REVISIONS, _title_items),
        )

    def catch_up(self) -> int:
        """Apply all changes that the index has not seen; return how many there were.

        Raises:
            EncoderUnavailable: the changes stay open and are taken up by the next call.
        """
        applied = sum(follower.catch_up() for follower in self._followers)
        self._follow_typed()
        return applied

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Index everything from nothing; return the number of groups.

        Args:
            progress: called with (groups done, groups in all).

        Raises:
            EncoderUnavailable: the model failed.
        """
        with self._db.reading() as session:
            position = session.scalar(select(func.max(Change.number))) or 0
            groups = [_published_entries(session), _published_revisions(session)]
        total = sum(map(len, groups))
        done = 0
        for follower, ids in zip(self._followers, groups, strict=True):
            for count in follower.rebuild(ids, position):
                done += count
                if progress:
                    progress(done, total)
        self._follow_typed()
        return total

    def close(self) -> None:
        """Let another process write the index on disk."""
        self._index.close()

    def merge(self) -> bool:
        """Merge some segments of the index; whether there was anything to merge."""
        return self._index.merge()

    @property
    def owner(self) -> bool:
        """Whether this process writes the index on disk; another one does while a service runs."""
        return self._index.owner

    def lag(self) -> int:
        """How many changes the index has yet to see."""
        return sum(follower.lag() for follower in self._followers)

    def watch(self, stop: threading.Event, interval: float = 0.2) -> None:
        """Follow the log until told to stop; run in a thread of its own."""
        jobs: list[tuple[Callable[[], object], float]] = [(self.merge, MERGE_EVERY)]
        jobs.append((self._follow_typed, interval))
        jobs += [(follower.catch_up, interval) for follower in self._followers]
        threads = [
            threading.Thread(target=_repeat, args=(job, stop, pause), daemon=True)
            for job, pause in jobs
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        for thread in threads:
            thread.join(timeout=30)

    def _follow_typed(self) -> None:
        for follower in self._typed:
            follower.catch_up()


class _Followed(Protocol):
    """What `_Follower` keeps level with the log: a retriever or a typeahead."""

    position: int

    def apply(self, items: Sequence[Item], *, replaced: Iterable[str], position: int) -> None: ...

    def clear(self) -> None: ...

    def merge(self) -> bool: ...


class _Follower:
    """One retriever or typeahead and its place in the change log."""

    def __init__(
        self,
        db: Database,
        retriever: _Followed,
        prefix: str,
        items: Callable[[Session, Sequence[int]], Iterator[Item]],
    ) -> None:
        self._db = db
        self._retriever = retriever
        self._prefix = prefix
        self._items = items
        self._lock = threading.Lock()
        # How far the log was read; ahead of the retriever's position by changes of another kind.
        self._seen = retriever.position

    def catch_up(self) -> int:
        applied = 0
        with self._lock:
            while True:
                changes, last = self._next_changes()
                if changes:
                    self._apply([group for _, group in changes], changes[-1][0])
                    applied += len(changes)
                # With fewer changes than were asked for, the log was read to its end.
                self._seen = last if len(changes) < GROUPS_AT_ONCE else changes[-1][0]
                if len(changes) < GROUPS_AT_ONCE:
                    break
            if self._seen - self._retriever.position > SETTLE_AFTER:
                self._retriever.apply([], replaced=(), position=self._seen)
        return applied

    def rebuild(self, ids: Sequence[int], position: int) -> Iterator[int]:
        """Index the groups that there were at a position; yield the size of each batch done."""
        with self._lock:
            self._retriever.clear()
            remaining = iter(ids)
            while batch := list(islice(remaining, GROUPS_AT_ONCE)):
                # The position is claimed at the end: a killed rebuild starts over.
                self._apply([f"{self._prefix}{each}" for each in batch], 0)
                while self._retriever.merge():
                    pass
                yield len(batch)
            self._retriever.apply([], replaced=(), position=position)
            self._seen = position

    def lag(self) -> int:
        with self._db.reading() as session:
            query = select(func.count()).where(Change.number > self._seen)
            return session.scalar(query.where(Change.group.startswith(self._prefix))) or 0

    def _next_changes(self) -> tuple[list[tuple[int, str]], int]:
        """The next changes of this kind, and the number of the last change of any."""
        with self._db.reading() as session:
            last = session.scalar(select(func.max(Change.number))) or 0
            rows = session.execute(
                select(Change.number, Change.group)
                .where(Change.number > self._seen, Change.group.startswith(self._prefix))
                .order_by(Change.number)
                .limit(GROUPS_AT_ONCE)
            )
            return [(number, group) for number, group in rows], last

    def _apply(self, groups: Sequence[str], position: int) -> None:
        ids = list(dict.fromkeys(int(group.removeprefix(self._prefix)) for group in groups))
        with self._db.reading() as session:
            items = list(self._items(session, ids))
        self._retriever.apply(items, replaced=groups, position=position)


def _repeat(job: Callable[[], object], stop: threading.Event, pause: float) -> None:
    """Do a job again and again; whatever fails is tried again after a while."""
    while not stop.wait(pause):
        try:
            job()
        except Exception:
            # The database or the model may be away for a while; the thread must outlive that.
            log.exception("keeping the index level failed, trying again")
            stop.wait(RETRY_AFTER)


def windows(text: str) -> list[str]:
    """Cut a text at sentence ends into parts of about `WINDOW` characters; nothing is lost."""
    if len(text) <= WHOLE_UP_TO:
        return [text]
    parts, current = [], ""
    for sentence in _SENTENCE_END.split(text):
        if current and len(current) + len(sentence) > WINDOW:
            parts.append(current)
            current = ""
        current += sentence
        while len(current) > 2 * WINDOW:
            parts.append(current[:WINDOW])
            current = current[WINDOW:]
    return [*parts, current] if current.strip() else parts


def _published_entries(session: Session) -> list[int]:
    query = select(Entry.id).where(Entry.status == Status.PUBLISHED)
    return list(session.scalars(query.order_by(Entry.id)))


def _published_revisions(session: Session) -> list[int]:
    query = select(Revision.id).where(Revision.published_at.is_not(None))
    return list(session.scalars(query.order_by(Revision.id)))


def _clause_items(
    session: Session, revision_ids: Sequence[int], wordings: Wordings
) -> Iterator[Item]:
    rows = session.execute(
        select(Clause, Document.title)
        .join(Clause.revision)
        .join(Revision.document)
        .where(
            Clause.revision_id.in_(revision_ids),
            Clause.kind != "closing",
            Revision.published_at.is_not(None),
            Document.status == Status.PUBLISHED,
        )
        .order_by(Clause.revision_id, Clause.ordinal)
    )
    for revision_id, group in groupby(rows, key=lambda row: row[0].revision_id):
        yield from _revision_items(revision_id, [(row[0], row[1]) for row in group], wordings)


def _revision_items(
    revision_id: int, rows: Sequence[tuple[Clause, str]], wordings: Wordings
) -> Iterator[Item]:
    """Items of one revision, whose clauses are given with the document's title."""
    # The title is searched with every clause; a clause that only repeats it adds nothing, unless
    # the document says nothing else.
    telling = [row for row in rows if _squeezed(row[0].text) != _squeezed(row[1])] or rows
    group = revision_group(revision_id)
    for clause, title in telling:
        if clause.kind == "front" and _CONTENTS.match(clause.text):
            continue
        headings = " ".join(clause.headings)
        key = f"clause:{clause.id}"
        for part in windows(clause.text):
            yield Item(key, f"{headings}\n{part}" if headings else part, title, group)
        for question in wordings.asking_for(clause.text):
            yield Item(key, question, "", group, wording=True)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _entry_items(session: Session, entry_ids: Sequence[int]) -> Iterator[Item]:
    entries = session.scalars(
        select(Entry)
        .options(selectinload(Entry.phrasings))
        .where(Entry.id.in_(entry_ids), Entry.status == Status.PUBLISHED)
        .order_by(Entry.id)
    )
    for entry in entries:
        group = entry_group(entry.id)
        wordings = [entry.question]
        wordings += [each.text for each in entry.phrasings if not each.negative]
        for wording in wordings:
            yield Item(group, wording, "", group, wording=True)
        for part in windows(entry.answer):
            yield Item(group, part, entry.question, group)


def _wording_items(session: Session, entry_ids: Sequence[int]) -> Iterator[Item]:
    """Standard questions, each with its other wordings after it."""
    published = (Entry.id.in_(entry_ids), Entry.status == Status.PUBLISHED)
    others: dict[int, list[str]] = {}
    for entry_id, text in session.execute(
        select(Phrasing.entry_id, Phrasing.text)
        .join(Phrasing.entry)
        .where(*published, Phrasing.negative.is_(False))
        .order_by(Phrasing.entry_id, Phrasing.ordinal)
    ):
        others.setdefault(entry_id, []).append(text)
    entries = select(Entry.id, Entry.question).where(*published).order_by(Entry.id)
    for entry_id, question in session.execute(entries):
        group = entry_group(entry_id)
        for wording in (question, *others.get(entry_id, ())):
            yield Item(group, wording, "", group, wording=True)


def _title_items(session: Session, revision_ids: Sequence[int]) -> Iterator[Item]:
    """Titles of documents, under the name of each of their revisions."""
    rows = session.execute(
        select(Revision.id, Document.id, Document.title)
        .join(Revision.document)
        .where(
            Revision.id.in_(revision_ids),
            Revision.published_at.is_not(None),
            Document.status == Status.PUBLISHED,
        )
        .order_by(Revision.id)
    )
    for revision_id, document_id, title in rows:
        yield Item(f"document:{document_id}", title, "", revision_group(revision_id))
