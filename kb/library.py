"""Reading documents and entries for display; hides queries.

Writing is in `kb.documents` and `kb.entries`, finding in `kb.search`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from kb.db import Database
from kb.errors import NotFound
from kb.grounds import period, revision_on
from kb.models import Change, Clause, Document, Entry, Revision, Status
from kb.passages import Passage, load_passages
from kb.validity import Validity

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

    def counts(self) -> Counts:
        """How much there is, and the number of the last change."""
        with self._db.reading() as session:
            documents, clauses, entries = (
                session.scalar(select(func.count()).select_from(table)) or 0
                for table in (Document, Clause, Entry)
            )
            changes = session.scalar(select(func.max(Change.number))) or 0
        return Counts(documents, clauses, entries, changes)


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
