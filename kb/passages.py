"""What search returns: entries and clauses as frozen values, read from the database as of a day.

Hides the tables: nothing that leaves here is tied to a session.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from kb.clock import end_of
from kb.exchange import EntryRecord
from kb.grounds import Basis, Grounds, period
from kb.models import Clause, Document, Entry, EntryVersion, Flag, Revision, State, Status
from kb.records import from_content, parse_basis, record_of
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
class Amended:
    """The document under an entry that was changed, and from which day on."""

    document_id: int
    title: str
    since: date


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
        amended: why an entry is withheld whose words no longer fit its basis.
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
    amended: Amended | None = None


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
    earlier = _versions_on(session, entries, day)
    texts = [earlier.get(entry.id) or _present(entry) for entry in entries]
    flags: dict[tuple[int, int], list[Flag]] = {}
    of_these = select(Flag).where(Flag.entry_id.in_([entry.id for entry in entries]))
    for flag in session.scalars(of_these.options(joinedload(Flag.document)).order_by(Flag.id)):
        flags.setdefault((flag.entry_id, flag.version), []).append(flag)
    cited = cite_bases(session, [basis for text in texts for basis in text.bases], day)
    for entry, text in zip(entries, texts, strict=True):
        citations = tuple(cited[basis] for basis in text.bases)
        held = flags.get((entry.id, text.number), ())
        validity, amended = _entry_validity(text, citations, held, day)
        yield replace(_entry_passage(entry.id, text, citations, validity), amended=amended)


def as_passage(
    session: Session, record: EntryRecord, day: date, *, entry: tuple[int, int], since: datetime
) -> Passage:
    """What citizens would get from a record that need not be public.

    Args:
        record: its region as a code.
        entry: id of its entry and number of its version.
        since: when it was written.
    """
    entry_id, number = entry
    region = record.region or None
    bases = tuple(Basis(*parse_basis(text), region) for text in record.basis)
    text = _Text(number, record, region, bases, since)
    cited = cite_bases(session, bases, day)
    citations = tuple(cited[basis] for basis in bases)
    validity, _ = _entry_validity(text, citations, (), day)
    return _entry_passage(entry_id, text, citations, validity)


@dataclass(frozen=True)
class _Text:
    """What an entry says on a day, by its rows or by an earlier version."""

    number: int
    record: EntryRecord
    region_code: str | None
    bases: tuple[Basis, ...]
    since: datetime


def _present(entry: Entry) -> _Text:
    region = entry.region_code
    bases = tuple(Basis(b.target, b.article, region, b.sketch) for b in entry.bases)
    return _Text(entry.version, record_of(entry), region, bases, entry.updated_at)


def _past(version: EntryVersion, since: datetime) -> _Text:
    record = from_content(version.content, "published")
    region = record.region or None
    bases = tuple(Basis(*parse_basis(text), region) for text in record.basis)
    return _Text(version.number, record, region, bases, since)


def _versions_on(session: Session, entries: Sequence[Entry], day: date) -> dict[int, _Text]:
    """Earlier versions, where the present one was not yet public on a day or not yet in force.

    Before anything was public, what is known of the day counts: the latest version whose own dates
    admit it.
    """
    evening = end_of(day)
    late = {
        entry.id: entry
        for entry in entries
        if entry.version > 1
        and (entry.updated_at >= evening or (entry.effective_on and entry.effective_on > day))
    }
    if not late:
        return {}
    versions = session.scalars(
        select(EntryVersion)
        .where(EntryVersion.entry_id.in_(late), EntryVersion.public_from.is_not(None))
        .order_by(EntryVersion.public_from.desc(), EntryVersion.number.desc())
    )
    known: dict[int, list[EntryVersion]] = {}
    for version in versions:
        known.setdefault(version.entry_id, []).append(version)
    found = {}
    for entry_id, history in known.items():
        chosen = _chosen(history, late[entry_id], day, evening)
        if chosen and chosen.number != late[entry_id].version and chosen.public_from:
            found[entry_id] = _past(chosen, chosen.public_from)
    return found


def _chosen(
    history: Sequence[EntryVersion], entry: Entry, day: date, evening: datetime
) -> EntryVersion | None:
    """Of versions, the latest first, the one that answers for a day."""
    shown = [each for each in history if each.public_from and each.public_from < evening]
    fit = [each for each in shown or history if _begun(each, day)]
    if not fit:
        return None
    latest = (shown or history)[0]
    # What was withdrawn does not come back because its successor has yet to begin.
    if fit[0] is not latest and fit[0].state is not State.REVISED:
        return latest
    return fit[0]


def _begun(version: EntryVersion, day: date) -> bool:
    begin = version.content.get("effective_on")
    return not begin or date.fromisoformat(begin) <= day


def _entry_passage(
    entry_id: int, text: _Text, citations: tuple[Citation, ...], validity: Validity
) -> Passage:
    record = text.record
    return Passage(
        key=f"entry:{entry_id}",
        kind="entry",
        title=record.question,
        text=record.answer,
        headings=(),
        department=record.department,
        topic=record.topic,
        tags=record.tags,
        audience=record.audience,
        region_code=text.region_code,
        effective_on=record.effective_on,
        expires_on=record.expires_on,
        published_on=None,
        validity=validity,
        citations=citations,
        entry=EntryFacts(
            id=entry_id,
            code=record.code,
            version=text.number,
            question=record.question,
            wordings=(record.question, *record.similar),
            negatives=record.negative,
            answer=record.answer,
            short_answer=record.short_answer,
            phone=record.phone,
            review_due=record.review_due,
            updated_at=text.since,
        ),
    )


def _entry_validity(
    text: _Text, citations: Sequence[Citation], flags: Iterable[Flag], day: date
) -> tuple[Validity, Amended | None]:
    """An entry is in force on its own dates and as long as each of its bases is.

    The dates of the bases decide, whether or not anybody has flagged the entry. A basis that was
    amended ends it by the flag alone, which says whether the cited words are touched. Somebody who
    confirmed the entry after an event has vouched for it in spite of that event.
    """
    record = text.record
    own = Period(effective_on=record.effective_on, expires_on=record.expires_on).on(day)
    if own is not Validity.IN_FORCE:
        return own, None
    confirmed = {(flag.document_id, flag.reason) for flag in flags if flag.how == "confirmed"}
    for each in citations:
        event = (each.document_id, each.validity.value)
        if each.validity in _ENDED.values() and event not in confirmed:
            return each.validity, None
    for flag in flags:
        # What was revised since does not make the old words good for that day.
        stands = flag.how not in ("confirmed", "lifted")
        if stands and flag.withhold_on and flag.withhold_on <= day:
            if flag.reason in _ENDED:
                return _ENDED[flag.reason], None
            document = flag.document
            return Validity.AMENDED, Amended(document.id, document.title, flag.since)
    return own, None


_ENDED = {"repealed": Validity.REPEALED, "expired": Validity.EXPIRED}


def cite_bases(session: Session, bases: Sequence[Basis], day: date) -> dict[Basis, Citation]:
    """The clauses that bases name, in the revision that is in force on the day."""
    grounds = Grounds(session, {basis.target for basis in bases})
    meant = {basis: grounds.revision(basis, day) for basis in bases}
    grounds.load((revision, basis.article) for basis, revision in meant.items() if revision)
    return {basis: _cite_basis(basis, revision, grounds, day) for basis, revision in meant.items()}


def _cite_basis(basis: Basis, revision: Revision | None, grounds: Grounds, day: date) -> Citation:
    if revision is None:
        return Citation(None, None, basis.target, None, None, basis.article, "", Validity.UNKNOWN)
    clause = grounds.clause(basis, revision)
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
