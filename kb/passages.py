"""What search returns: entries and clauses as frozen values, read from the database as of a day.

Hides the tables: nothing that leaves here is tied to a session.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from kb.models import Basis, Clause, Document, Entry, Revision, Status
from kb.regions import depth, nested
from kb.validity import Period, Validity


@dataclass(frozen=True)
class Citation:
    """A place in a policy document, with its words and its standing on the day.

    `document_id` and `clause_id` are None, and `text` is empty, for a document not in the base.
    """

    document_id: int | None
    clause_id: int | None
    title: str
    document_number: str | None
    issuer: str | None
    locator: str
    text: str
    validity: Validity
    effective_on: date | None = None
    expires_on: date | None = None
    repealed_on: date | None = None
    successor: tuple[int, str] | None = None


@dataclass(frozen=True)
class EntryFacts:
    """A reviewed entry, complete."""

    id: int
    code: str
    version: int
    question: str
    wordings: tuple[str, ...]
    negatives: tuple[str, ...]
    answer: str
    short_answer: str
    phone: str
    review_due: date | None
    updated_at: datetime


@dataclass(frozen=True)
class Passage:
    """An entry or a clause that may answer a question.

    Attributes:
        key: "entry:12" or "clause:812".
        kind: "entry" or "clause".
        title: the entry's question, or the document's title.
        text: the answer, or the clause verbatim.
        validity: on the day of the question.
        citations: an entry's bases; a clause cites itself.
        entry: present when `kind` is "entry".
        quotable: false for the front matter of a document, which rules nothing.
        score: for ordering within one question.
        agreement: overlap of the question with an entry's best phrasing, 0 to 1.
        coverage: share of the question that the best part of the passage contains, 0 to 1.
        breadth: share of the question that the whole entry or document contains, 0 to 1.
        similarity: cosine of the encoder between the question and the passage's best part.
        closeness: overlap of the question with the most telling wording, asking words and all.
        confidence: probability that this is the right answer, 0 to 1.
        wording: the phrasing of an entry that the question agreed with best.
    """

    key: str
    kind: str
    title: str
    text: str
    headings: tuple[str, ...]
    department: str
    topic: str
    tags: tuple[str, ...]
    audience: str
    region_code: str | None
    effective_on: date | None
    expires_on: date | None
    published_on: date | None
    validity: Validity
    citations: tuple[Citation, ...]
    entry: EntryFacts | None = None
    quotable: bool = True
    score: float = 0.0
    agreement: float = 0.0
    coverage: float = 0.0
    breadth: float = 0.0
    similarity: float = 0.0
    closeness: float = 0.0
    confidence: float = 0.0
    wording: str = ""


def load_passages(session: Session, keys: Sequence[str], day: date) -> dict[str, Passage]:
    """Read passages by key; keys of what is no longer published are absent."""
    ids: dict[str, list[int]] = {"entry": [], "clause": []}
    for key in keys:
        kind, _, number = key.partition(":")
        ids[kind].append(int(number))
    found = [*_entries(session, ids["entry"], day), *_clauses(session, ids["clause"], day)]
    return {passage.key: passage for passage in found}


def cite(clause: Clause, day: date) -> Citation:
    """The citation of a clause whose revision and document are loaded."""
    revision, document = clause.revision, clause.revision.document
    successor = document.successor
    return Citation(
        document_id=document.id,
        clause_id=clause.id,
        title=document.title,
        document_number=revision.document_number or document.document_number,
        issuer=document.issuer,
        locator=clause.locator,
        text=clause.text,
        validity=period(document, revision).on(day),
        effective_on=revision.effective_on,
        expires_on=revision.expires_on,
        repealed_on=document.repealed_on,
        successor=(successor.id, successor.title) if successor else None,
    )


def period(document: Document, revision: Revision) -> Period:
    """The dates that bound the validity of a revision; issued without a first day, it has that day.

    This is also the day on which it takes over from an earlier one, so no two are in force at once.
    """
    return Period(
        effective_on=revision.effective_on or revision.issued_on,
        expires_on=revision.expires_on,
        superseded_on=revision.superseded_on,
        repealed_on=document.repealed_on,
    )


def _clauses(session: Session, ids: Sequence[int], day: date) -> Iterable[Passage]:
    rows = session.scalars(
        select(Clause)
        .join(Clause.revision)
        .join(Revision.document)
        .options(
            joinedload(Clause.revision)
            .joinedload(Revision.document)
            .options(joinedload(Document.department), joinedload(Document.successor))
        )
        .where(
            Clause.id.in_(ids),
            Revision.published_at.is_not(None),
            Document.status == Status.PUBLISHED,
        )
    )
    for clause in rows:
        document, citation = clause.revision.document, cite(clause, day)
        yield Passage(
            key=f"clause:{clause.id}",
            kind="clause",
            title=document.title,
            text=clause.text,
            headings=tuple(clause.headings),
            department=document.department.name if document.department else "",
            topic=document.topic,
            tags=(),
            audience=document.audience,
            region_code=document.region_code,
            effective_on=citation.effective_on,
            expires_on=citation.expires_on,
            published_on=document.published_on,
            validity=citation.validity,
            citations=(citation,),
            quotable=clause.kind != "front",
        )


def _entries(session: Session, ids: Sequence[int], day: date) -> Iterable[Passage]:
    entries = session.scalars(
        select(Entry)
        .options(
            joinedload(Entry.department),
            selectinload(Entry.phrasings),
            selectinload(Entry.bases),
            selectinload(Entry.tags),
        )
        .where(Entry.id.in_(ids), Entry.status == Status.PUBLISHED)
    ).all()
    cited = _bases(session, [basis for entry in entries for basis in entry.bases], day)
    for entry in entries:
        citations = tuple(cited[basis.id] for basis in entry.bases)
        positive = [each.text for each in entry.phrasings if not each.negative]
        yield Passage(
            key=f"entry:{entry.id}",
            kind="entry",
            title=entry.question,
            text=entry.answer,
            headings=(),
            department=entry.department.name,
            topic=entry.topic,
            tags=tuple(tag.name for tag in entry.tags),
            audience=entry.audience,
            region_code=entry.region_code,
            effective_on=entry.effective_on,
            expires_on=entry.expires_on,
            published_on=None,
            validity=_entry_validity(entry, citations, day),
            citations=citations,
            entry=EntryFacts(
                id=entry.id,
                code=entry.code or "",
                version=entry.version,
                question=entry.question,
                wordings=(entry.question, *positive),
                negatives=tuple(each.text for each in entry.phrasings if each.negative),
                answer=entry.answer,
                short_answer=entry.short_answer,
                phone=entry.phone,
                review_due=entry.review_due,
                updated_at=entry.updated_at,
            ),
        )


def _entry_validity(entry: Entry, citations: Sequence[Citation], day: date) -> Validity:
    """An entry is in force on its own dates and as long as each of its bases is.

    A basis that was merely amended keeps its successor clause; that is not the end of the entry.
    """
    own = Period(effective_on=entry.effective_on, expires_on=entry.expires_on).on(day)
    if own is not Validity.IN_FORCE:
        return own
    ended = (Validity.REPEALED, Validity.EXPIRED)
    return next((each.validity for each in citations if each.validity in ended), own)


def _bases(session: Session, bases: Sequence[Basis], day: date) -> dict[int, Citation]:
    """Find the clauses that bases name, in the revision that is in force on the day."""
    targets = {basis.target for basis in bases}
    documents = session.scalars(
        select(Document)
        .options(selectinload(Document.revisions), joinedload(Document.successor))
        .where(
            Document.status == Status.PUBLISHED,
            Document.title.in_(targets) | Document.document_number.in_(targets),
        )
    ).all()
    named: dict[str | None, list[Revision]] = {}
    for document in documents:
        if revision := revision_on(document, day):
            for name in {document.title, document.document_number}:
                named.setdefault(name, []).append(revision)
    meant = {basis.id: _meant(basis, named.get(basis.target, ()), day) for basis in bases}
    revisions = {basis_id: revision for basis_id, revision in meant.items() if revision}
    wanted = {(revisions[b.id].id, b.article) for b in bases if b.id in revisions}
    rows = session.scalars(
        select(Clause).where(
            Clause.revision_id.in_({revision_id for revision_id, _ in wanted}),
            Clause.locator.in_({article for _, article in wanted if article}),
        )
    )
    clauses = {(clause.revision_id, clause.locator): clause for clause in rows}
    return {basis.id: _cite_basis(basis, revisions, clauses, day) for basis in bases}


def _meant(basis: Basis, candidates: Sequence[Revision], day: date) -> Revision | None:
    """Of documents of one name, the one that binds where the entry holds, in force if possible."""
    region = basis.entry.region_code
    binding = [
        each
        for each in candidates
        if each.document.document_number == basis.target
        or nested(each.document.region_code, region)
    ]

    def preference(revision: Revision) -> tuple[bool, int, int]:
        document = revision.document
        in_force = period(document, revision).on(day) is Validity.IN_FORCE
        return in_force, depth(document.region_code), document.id

    return max(binding, key=preference, default=None)


def revision_on(document: Document, day: date) -> Revision | None:
    """The published revision that is in force on a day, else the latest published one."""
    published = [each for each in document.revisions if each.published_at]
    current = [each for each in published if period(document, each).on(day) is Validity.IN_FORCE]

    def beginning(revision: Revision) -> tuple[date, int]:
        return revision.effective_on or revision.issued_on or date.min, revision.number

    return max(current or published, key=beginning, default=None)


def _cite_basis(
    basis: Basis,
    revisions: dict[int, Revision],
    clauses: dict[tuple[int, str], Clause],
    day: date,
) -> Citation:
    revision = revisions.get(basis.id)
    if revision is None:
        return Citation(None, None, basis.target, None, None, basis.article, "", Validity.UNKNOWN)
    clause = clauses.get((revision.id, basis.article))
    if clause is not None:
        return cite(clause, day)
    document = revision.document
    return Citation(
        document_id=document.id,
        clause_id=None,
        title=document.title,
        document_number=revision.document_number,
        issuer=document.issuer,
        locator=basis.article,
        text="",
        validity=period(document, revision).on(day),
        effective_on=revision.effective_on,
        expires_on=revision.expires_on,
        repealed_on=document.repealed_on,
        successor=(document.successor.id, document.successor.title) if document.successor else None,
    )
