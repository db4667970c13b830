"""The index as a projection of the database; hides how rows become texts to search.

`Indexer` follows the change log: every change names a group ("revision:7", "entry:31"), and the
group is read again as it stands now. So it does not matter how often, or by how many processes,
a change is applied.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from embeddings import Item, RetrievalError
from kb.db import Database
from kb.index import Index
from kb.journal import entry_group, revision_group
from kb.models import Change, Clause, Document, Entry, Revision, Status

log = logging.getLogger(__name__)

# A passage that says one thing is found best; longer clauses are searched window by window.
WINDOW = 280
WHOLE_UP_TO = 450
# Groups read in one go: bounds the memory of a rebuild.
GROUPS_AT_ONCE = 400

_SENTENCE_END = re.compile(r"(?<=[。！？；\n])")
_CONTENTS = re.compile(r"^\s*目\s*[录次]")


class Indexer:
    """Keeps an index level with the database."""

    def __init__(self, db: Database, index: Index) -> None:
        self._db = db
        self._index = index
        self._lock = threading.Lock()

    def catch_up(self) -> int:
        """Apply all changes that the index has not seen; return how many there were.

        Raises:
            EncoderUnavailable: the changes stay open and are taken up by the next call.
        """
        applied = 0
        with self._lock:
            while changes := self._next_changes():
                groups = list(dict.fromkeys(group for _, group in changes))
                self._apply(groups, changes[-1][0])
                applied += len(changes)
            if applied >= GROUPS_AT_ONCE:
                self._index.settle(self._index.position)
        return applied

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Index everything from nothing; return the number of groups.

        Args:
            progress: called with (groups done, groups in all).

        Raises:
            EncoderUnavailable: the model failed.
        """
        with self._lock:
            with self._db.reading() as session:
                position = session.scalar(select(func.max(Change.number))) or 0
                groups = [*_all_groups(session)]
            self._index.clear()
            remaining = iter(groups)
            done = 0
            while batch := list(islice(remaining, GROUPS_AT_ONCE)):
                done += len(batch)
                # The position is claimed at the end: a killed rebuild starts over.
                self._apply(batch, 0)
                while self._index.merge():
                    pass
                if progress:
                    progress(done, len(groups))
            self._index.settle(position)
        return len(groups)

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
        with self._db.reading() as session:
            last = session.scalar(select(func.max(Change.number))) or 0
        return max(0, last - self._index.position)

    def watch(self, stop: threading.Event, interval: float = 0.2) -> None:
        """Follow the log until told to stop; run in a thread of its own."""
        merger = threading.Thread(target=self._merge, args=(stop,), name="merge", daemon=True)
        merger.start()
        while not stop.wait(interval):
            try:
                self.catch_up()
            except RetrievalError:
                log.exception("indexing failed, trying again")
                stop.wait(10)
            except Exception:
                # The database may be away for a while; the thread must outlive that.
                log.exception("following changes failed, trying again")
                stop.wait(5)
        merger.join(timeout=30)

    def _merge(self, stop: threading.Event) -> None:
        while not stop.wait(2):
            try:
                self._index.merge()
            except Exception:
                log.exception("merging segments failed, trying again")
                stop.wait(60)

    def _next_changes(self) -> list[tuple[int, str]]:
        with self._db.reading() as session:
            rows = session.execute(
                select(Change.number, Change.group)
                .where(Change.number > self._index.position)
                .order_by(Change.number)
                .limit(GROUPS_AT_ONCE)
            )
            return [(number, group) for number, group in rows]

    def _apply(self, groups: Sequence[str], position: int) -> None:
        with self._db.reading() as session:
            items = list(_items(session, groups))
        self._index.apply(items, replaced=groups, position=position)


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


def _all_groups(session: Session) -> Iterator[str]:
    published = select(Revision.id).where(Revision.published_at.is_not(None)).order_by(Revision.id)
    yield from (revision_group(each) for each in session.scalars(published))
    entries = select(Entry.id).where(Entry.status == Status.PUBLISHED).order_by(Entry.id)
    yield from (entry_group(each) for each in session.scalars(entries))


def _items(session: Session, groups: Iterable[str]) -> Iterator[Item]:
    ids: dict[str, list[int]] = {"revision": [], "entry": []}
    for group in groups:
        kind, _, number = group.partition(":")
        ids[kind].append(int(number))
    yield from _clause_items(session, ids["revision"])
    yield from _entry_items(session, ids["entry"])


def _clause_items(session: Session, revision_ids: Sequence[int]) -> Iterator[Item]:
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
    for clause, title in rows:
        if clause.kind == "front" and _CONTENTS.match(clause.text):
            continue
        group = revision_group(clause.revision_id)
        headings = " ".join(clause.headings)
        for number, part in enumerate(windows(clause.text)):
            text = f"{headings}\n{part}" if headings else part
            yield Item(f"clause:{clause.id}/{number}", text, title, group)


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
        for number, wording in enumerate(wordings):
            yield Item(f"entry:{entry.id}/{number}", wording, "", group)
        for number, part in enumerate(windows(entry.answer), start=len(wordings)):
            yield Item(f"entry:{entry.id}/{number}", part, entry.question, group)
