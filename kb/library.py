"""Reading documents and entries for display; hides queries.

Writing is in `kb.documents` and `kb.entries`, finding in `kb.search`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from kb.db import Database
from kb.errors import NotFound
from kb.models import Change, Clause, Document, Entry, Phrasing, Revision, Status
from kb.passages import Passage, load_passages, period, revision_on
from kb.validity import Validity

PAIR = 2
# Of more wordings than this, only the shortest are looked at.
CONSIDERED = 200
# What a standard question has ahead of other wordings.
OWN = 0.1
_KEY = re.compile(r"(entry|clause):[1-9]\d{0,8}")


@dataclass(frozen=True)
class ClauseView:
    """A clause as a page shows it."""

    id: int
    kind: str
    locator: str
    headings: tuple[str, ...]
    text: str
    responsible: tuple[str, ...]


@dataclass(frozen=True)
class DocumentView:
    """A published document in the revision that counts on a day, with its clauses."""

    id: int
    title: str
    document_number: str | None
    issuer: str | None
    index_number: str | None
    department: str
    topic: str
    region_code: str | None
    source_url: str
    validity: Validity
    issued_on: date | None
    effective_on: date | None
    expires_on: date | None
    repealed_on: date | None
    published_on: date | None
    successor: tuple[int, str] | None
    clauses: tuple[ClauseView, ...]


@dataclass(frozen=True)
class Match:
    """An entry that is written like what somebody types."""

    entry_id: int
    question: str


@dataclass(frozen=True)
class Counts:
    """How much the base holds."""

    documents: int
    clauses: int
    entries: int
    changes: int


class Library:
    """Published documents and entries by number."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def document(self, document_id: int, day: date) -> DocumentView:
        """A published document as of a day.

        Raises:
            NotFound: no such document, or it is not public.
        """
        with self._db.reading() as session:
            document = session.get(
                Document,
                document_id,
                options=[
                    joinedload(Document.department),
                    joinedload(Document.successor),
                    selectinload(Document.revisions),
                ],
            )
            revision = revision_on(document, day) if document else None
            if document is None or revision is None or document.status is not Status.PUBLISHED:
                raise NotFound("没有这份文件，或者它尚未公开")
            clauses = session.scalars(
                select(Clause).where(Clause.revision_id == revision.id).order_by(Clause.ordinal)
            ).all()
        return _document_view(document, revision, clauses, day)

    def entry(self, entry_id: int, day: date) -> Passage:
        """A published entry as of a day.

        Raises:
            NotFound: no such entry, or it is not public.
        """
        with self._db.reading() as session:
            passage = load_passages(session, [f"entry:{entry_id}"], day).get(f"entry:{entry_id}")
        if passage is None:
            raise NotFound("没有这条问答，或者它尚未公开")
        return passage

    def passages(self, keys: Sequence[str], day: date) -> list[Passage]:
        """Published passages by key ("entry:12", "clause:812") as of a day; absent ones left out.

        Raises:
            NotFound: something that is no key.
        """
        if not all(_KEY.fullmatch(key) for key in keys):
            raise NotFound("没有这条内容")
        with self._db.reading() as session:
            found = load_passages(session, keys, day)
        return [found[key] for key in keys if key in found]

    def suggest(self, text: str, day: date, *, limit: int = 8) -> list[str]:
        """Standard questions of the entries that are written like a text, see `matches`."""
        return [match.question for match in self.matches(text, day, limit=limit)]

    def matches(self, text: str, day: date, *, limit: int = 8) -> list[Match]:
        """Entries one of whose wordings contains a text, or all parts of it; the closest first.

        Wordings that begin with the text come before those that contain it, and of these the
        shorter ones; then those that contain its pairs of characters in any order.
        """
        with self._db.reading() as session:
            found = list(_containing(session, [text], day))
            if len({entry_id for entry_id, _, _ in found}) < limit and len(text) > PAIR:
                pairs = [text[at : at + PAIR] for at in range(len(text) - 1)]
                found += _containing(session, pairs, day)
        best: dict[int, tuple[float, str]] = {}
        for entry_id, question, wording in found:
            closeness = _closeness(text, wording, own=wording == question)
            if entry_id not in best or closeness > best[entry_id][0]:
                best[entry_id] = (closeness, question)
        ranked = sorted(best, key=lambda entry_id: (-best[entry_id][0], entry_id))
        seen: dict[str, Match] = {}
        for entry_id in ranked:
            # The same question may be answered for several regions: one line is enough.
            seen.setdefault(best[entry_id][1], Match(entry_id, best[entry_id][1]))
        return list(seen.values())[:limit]

    def counts(self) -> Counts:
        """How much there is, and the number of the last change."""
        with self._db.reading() as session:
            documents, clauses, entries = (
                session.scalar(select(func.count()).select_from(table)) or 0
                for table in (Document, Clause, Entry)
            )
            changes = session.scalar(select(func.max(Change.number))) or 0
        return Counts(documents, clauses, entries, changes)


def _containing(
    session: Session, parts: Sequence[str], day: date
) -> Iterator[tuple[int, str, str]]:
    """(entry, its question, wording) for wordings that contain all of some parts."""
    for wording in (Entry.question, Phrasing.text):
        query = (
            select(Entry.id, Entry.question, wording)
            .where(
                *(wording.icontains(part, autoescape=True) for part in parts),
                Entry.status == Status.PUBLISHED,
                func.coalesce(Entry.effective_on, day) <= day,
                func.coalesce(Entry.expires_on, day) >= day,
            )
            # Of very many the shorter ones are the closer ones.
            .order_by(func.length(wording), Entry.id)
            .limit(CONSIDERED)
        )
        if wording is Phrasing.text:
            query = query.join(Phrasing, Phrasing.entry_id == Entry.id).where(
                Phrasing.negative.is_(False)
            )
        yield from session.execute(query)


def _closeness(text: str, wording: str, *, own: bool) -> float:
    """How well a text fits a wording, 0 to 3; a standard question a bit better."""
    share = len(text) / max(len(wording), len(text))
    at = wording.lower().find(text.lower())
    place = 0.0 if at < 0 else 2.0 if at == 0 else 1.0
    return place + share + (OWN if own else 0.0)


def _document_view(
    document: Document, revision: Revision, clauses: Sequence[Clause], day: date
) -> DocumentView:
    successor = document.successor
    return DocumentView(
        id=document.id,
        title=document.title,
        document_number=revision.document_number or document.document_number,
        issuer=document.issuer,
        index_number=document.index_number,
        department=document.department.name if document.department else "",
        topic=document.topic,
        region_code=document.region_code,
        source_url=document.source_url,
        validity=period(document, revision).on(day),
        issued_on=revision.issued_on,
        effective_on=revision.effective_on,
        expires_on=revision.expires_on,
        repealed_on=document.repealed_on,
        published_on=document.published_on,
        successor=(successor.id, successor.title) if successor else None,
        clauses=tuple(
            ClauseView(
                id=clause.id,
                kind=clause.kind,
                locator=clause.locator,
                headings=tuple(clause.headings),
                text=clause.text,
                responsible=tuple(clause.responsible),
            )
            for clause in clauses
        ),
    )
