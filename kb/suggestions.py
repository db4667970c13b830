"""What is being typed → published questions and titles; hides scanning, checking and popularity.

The index only narrows: whatever it proposes is read again from the database, which alone decides
whether it is published, in force on the day and meant for the region.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, selectinload

from embeddings import Typed
from kb.db import Database
from kb.grounds import period, revision_on
from kb.index import Index
from kb.journal import ENTRIES, entry_group
from kb.models import Basis, Document, Entry, Flag, Revision, Status
from kb.passages import load_passages
from kb.regions import Regions
from kb.search import Scope
from kb.validity import Validity

# So many proposals more than are wanted are checked at first, and so many in all.
SPARE = 4
MOST_CHECKED = 200
# What the keys of documents begin with.
DOCUMENTS = "document:"
_KINDS = (ENTRIES, DOCUMENTS)


@dataclass(frozen=True)
class Match:
    """An entry that is written like what somebody types."""

    entry_id: int
    question: str


class Suggestions:
    """Questions and titles by any part of them, in force in a scope."""

    def __init__(self, db: Database, index: Index, regions: Regions) -> None:
        self._db = db
        self._index = index
        self._regions = regions

    def questions(self, text: str, scope: Scope, *, limit: int = 8) -> list[Match]:
        """Entries one of whose wordings contains a text, or all parts of it; the closest first.

        Wordings that begin with the text come before those that contain it, and of these those
        that people ask for more, and shorter ones; then those that contain its pairs of
        characters in any order. The same question for several regions is one line.
        """
        index = self._index.questions
        proposed = chain(index.containing(text), index.with_pairs_of(text))
        found: dict[str, Match] = {}
        for each in self._checked(proposed, scope, limit):
            found.setdefault(each.text, Match(int(each.key.partition(":")[2]), each.text))
            if len(found) == limit:
                break
        return list(found.values())

    def titles(self, text: str, scope: Scope, *, limit: int = 8) -> list[str]:
        """Titles of documents in force that contain a text; the closest first."""
        proposed = self._index.titles.containing(text)
        checked = self._checked(proposed, scope, limit)
        return list(islice(dict.fromkeys(each.text for each in checked), limit))

    def prefer(self, asked: Mapping[int, int]) -> None:
        """Put first what is asked most.

        Args:
            asked: how often each entry was; those not named were not.
        """
        most = max(asked.values(), default=1)
        self._index.questions.prefer(
            {entry_group(entry_id): count / most for entry_id, count in asked.items()}
        )

    def _checked(self, proposed: Iterable[Typed], scope: Scope, limit: int) -> Iterator[Typed]:
        """Those of some proposals that the database has in force in a scope, each once."""
        path = self._regions.path(scope.region) if scope.region else ()
        distinct = _each_once(proposed)
        size, checked = limit + SPARE, 0
        while checked < MOST_CHECKED and (batch := list(islice(distinct, size))):
            with self._db.reading() as session:
                regions = _in_force(session, [each.key for each in batch], scope.as_of)
            for each in batch:
                if each.key in regions and (not path or regions[each.key] in (None, *path)):
                    yield each
            checked += len(batch)
            size *= 2


def _each_once(proposed: Iterable[Typed]) -> Iterator[Typed]:
    seen: set[str] = set()
    for each in proposed:
        if each.key not in seen:
            seen.add(each.key)
            yield each


def _in_force(session: Session, keys: Sequence[str], day: date) -> dict[str, str | None]:
    """The region of each entry and document that is published and in force on a day, by key."""
    numbers = {
        kind: [int(k.partition(":")[2]) for k in keys if k.startswith(kind)] for kind in _KINDS
    }
    regions = _entries_in_force(session, numbers[ENTRIES], day) if numbers[ENTRIES] else {}
    documents = session.scalars(
        select(Document)
        .options(selectinload(Document.revisions))
        .where(Document.id.in_(numbers[DOCUMENTS]), Document.status == Status.PUBLISHED)
    )
    for document in documents if numbers[DOCUMENTS] else ():
        revision = revision_on(document, day)
        if revision and period(document, revision).on(day) is Validity.IN_FORCE:
            regions[f"{DOCUMENTS}{document.id}"] = document.region_code
    return regions


def _entries_in_force(session: Session, ids: Sequence[int], day: date) -> dict[str, str | None]:
    """Entries by their own dates alone; those whose basis may have ended are read in full."""
    own = (Entry.effective_on, Entry.expires_on)
    rows = session.execute(
        select(Entry.id, Entry.region_code, *own).where(
            Entry.id.in_(ids), Entry.status == Status.PUBLISHED
        )
    )
    ended = or_(
        Document.repealed_on <= day,
        Document.revisions.any(Revision.expires_on < day),
    )
    named = or_(Document.title == Basis.target, Document.document_number == Basis.target)
    doubtful = set(
        session.scalars(
            select(Basis.entry_id).join(Document, named).where(Basis.entry_id.in_(ids), ended)
        )
    )
    doubtful |= set(session.scalars(select(Flag.entry_id).where(Flag.entry_id.in_(ids))))
    regions: dict[str, str | None] = {}
    for entry_id, region, begin, end in rows:
        if begin and begin > day:
            doubtful.add(entry_id)  # an earlier version may still answer
        elif entry_id not in doubtful and not (end and end < day):
            regions[entry_group(entry_id)] = region
    full = load_passages(session, [entry_group(each) for each in doubtful], day)
    return regions | {
        key: passage.region_code
        for key, passage in full.items()
        if passage.validity is Validity.IN_FORCE
    }
