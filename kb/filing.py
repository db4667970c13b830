"""Documents as staff keep them: lists, what was read from a file, corrections, sending back.

Hides queries and where originals lie. Every other write is in `kb.documents`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePath

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from kb.clock import now
from kb.db import Database
from kb.departments import department_named
from kb.errors import Conflict, InvalidEntry, NotFound
from kb.grounds import period, revision_on
from kb.journal import audit
from kb.metadata import normalise_document_number
from kb.models import Clause, Department, Document, Revision, Status
from kb.revisions import expect_pending
from kb.validity import Validity

STATES = {"pending": "待审核", "returned": "已退回", "public": "已发布", "withdrawn": "已撤回"}
PAGE = 50
_LONGEST = {"title": 512, "document_number": 128, "issuer": 256, "topic": 64, "department": 128}


@dataclass(frozen=True)
class Facts:
    """What a reviewer may correct; of a document that was public only number and dates."""

    title: str
    document_number: str
    issuer: str
    topic: str
    department: str
    region: str | None
    issued_on: date | None
    effective_on: date | None
    expires_on: date | None


@dataclass(frozen=True)
class Filed:
    """A document with its newest revision.

    Attributes:
        state: a key of `STATES`.
        number: of the newest revision; `public` that of the newest published one, 0 for none.
    """

    id: int
    state: str
    facts: Facts
    number: int
    public: int
    filename: str
    sha256: str
    contributors: tuple[str, ...]
    reviewer: str
    reason: str
    repealed_on: date | None
    successor: tuple[int, str] | None
    validity: Validity


@dataclass(frozen=True)
class Sieve:
    """Which documents to list; what is empty admits all, and a region what lies in it."""

    text: str = ""
    state: str = ""
    validity: str = ""
    department: str = ""
    region: str | None = None


class Filing:
    """Reads and corrects what is not public yet.

    Args:
        uploads: folder that keeps the original files.
        today: the current day in China.
    """

    def __init__(self, db: Database, *, uploads: Path, today: Callable[[], date]) -> None:
        self._db = db
        self._uploads = uploads
        self._today = today

    def listed(self, sieve: Sieve, *, page: int = 1) -> tuple[list[Filed], int]:
        """A page of documents, the last changed first, and how many there are in all."""
        query = _sifted(sieve)
        with self._db.reading() as session:
            if not sieve.state and not sieve.validity:
                total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
                query = query.offset((page - 1) * PAGE).limit(PAGE)
                return [self._filed(each) for each in _whole(session, query)], total
            # State and validity follow from dates and revisions, which no column holds.
            every = [self._filed(each) for each in _whole(session, query)]
        fit = [
            each
            for each in every
            if sieve.state in ("", each.state) and sieve.validity in ("", each.validity.value)
        ]
        return fit[(page - 1) * PAGE : page * PAGE], len(fit)

    def one(self, document_id: int) -> Filed:
        """A document.

        Raises:
            NotFound: there is none.
        """
        with self._db.reading() as session:
            for document in _whole(session, select(Document).where(Document.id == document_id)):
                return self._filed(document)
        raise NotFound(f"没有编号为 {document_id} 的文件")

    def clauses(self, document_id: int, number: int) -> list[tuple[str, str, str]]:
        """Kind, place and text of each clause of a revision, in order."""
        query = (
            select(Clause.kind, Clause.locator, Clause.text)
            .join(Revision)
            .where(Revision.document_id == document_id, Revision.number == number)
            .order_by(Clause.ordinal)
        )
        with self._db.reading() as session:
            return [(kind, locator, text) for kind, locator, text in session.execute(query)]

    def original(self, document_id: int) -> tuple[bytes, str]:
        """The file of the newest revision, and its name.

        Raises:
            NotFound: there is none, or it was not kept.
        """
        filed = self.one(document_id)
        suffix = PurePath(filed.filename).suffix.lower()[:8]
        path = self._uploads / filed.sha256[:2] / f"{filed.sha256}{suffix}"
        if not path.is_file():
            raise NotFound("没有保存这份文件的原件")
        return path.read_bytes(), filed.filename

    def correct(self, document_id: int, facts: Facts, *, number: int, actor: str) -> None:
        """Put right what was read from the newest revision, which then waits for review again.

        Raises:
            NotFound: no such document.
            InvalidEntry: something does not hold.
            Conflict: the revision is public, or not the newest.
        """
        wrong = _problems(facts)
        if wrong:
            raise InvalidEntry(wrong)
        with self._db.transaction() as session:
            self._db.serialise(session)
            document = _get(session, document_id)
            revision = document.revisions[-1]
            revision.reason = ""
            expect_pending(document, number)
            if not any(each.published_at for each in document.revisions):
                document.title, document.issuer = facts.title, facts.issuer or None
                document.topic, document.region_code = facts.topic, facts.region
                document.document_number = facts.document_number or None
                name = facts.department
                document.department = department_named(session, name) if name else None
            revision.document_number = facts.document_number or None
            revision.issued_on, revision.effective_on = facts.issued_on, facts.effective_on
            revision.expires_on = facts.expires_on
            if f"|{actor}|" not in revision.contributors:
                revision.contributors = f"{revision.contributors or '|'}{actor}|"
            document.updated_at = now()
            subject = f"document:{document_id}"
            audit(session, actor=actor, action="document.correct", subject=subject, revision=number)

    def send_back(self, document_id: int, *, number: int, actor: str, reason: str) -> None:
        """Return the newest revision to those who brought it in.

        Raises:
            NotFound: no such document.
            InvalidEntry: no reason.
            Conflict: it does not wait for review, or is not the newest.
        """
        if not reason.strip():
            raise InvalidEntry({"reason": "请写明退回的理由"})
        with self._db.transaction() as session:
            self._db.serialise(session)
            revision = expect_pending(_get(session, document_id), number)
            if f"|{actor}|" in revision.contributors:
                raise Conflict("您参与了这份文件的录入，请由另一位同事审核")
            revision.reason, revision.reviewer = reason.strip(), actor
            subject, said = f"document:{document_id}", revision.reason
            audit(session, actor=actor, action="document.return", subject=subject, reason=said)

    def _filed(self, document: Document) -> Filed:
        revision = document.revisions[-1]
        public = max((each.number for each in document.revisions if each.published_at), default=0)
        return Filed(
            id=document.id,
            state=_state(document, revision),
            facts=_facts(document, revision),
            number=revision.number,
            public=public,
            filename=revision.filename,
            sha256=revision.sha256,
            contributors=tuple(name for name in revision.contributors.split("|") if name),
            reviewer=revision.reviewer or "",
            reason=revision.reason,
            repealed_on=document.repealed_on,
            successor=(document.successor.id, document.successor.title)
            if document.successor
            else None,
            validity=period(document, _counting(document, self._today())).on(self._today()),
        )


def unnumbered(clauses: Sequence[tuple[str, str, str]]) -> int:
    """How many clauses of the body have no number: many of them mean that none was recognised."""
    return sum(1 for kind, locator, _ in clauses if kind == "text" and not locator)


def _state(document: Document, revision: Revision) -> str:
    if revision.published_at is None:
        return "returned" if revision.reason else "pending"
    return "withdrawn" if document.status is Status.WITHDRAWN else "public"


def _facts(document: Document, revision: Revision) -> Facts:
    return Facts(
        title=document.title,
        document_number=revision.document_number or document.document_number or "",
        issuer=document.issuer or "",
        topic=document.topic,
        department=document.department.name if document.department else "",
        region=document.region_code,
        issued_on=revision.issued_on,
        effective_on=revision.effective_on,
        expires_on=revision.expires_on,
    )


def _counting(document: Document, day: date) -> Revision:
    return revision_on(document, day) or document.revisions[-1]


def _problems(facts: Facts) -> dict[str, str]:
    wrong = {}
    if not facts.title:
        wrong["title"] = "标题不能为空"
    for name, longest in _LONGEST.items():
        if len(getattr(facts, name)) > longest:
            wrong[name] = f"不能超过 {longest} 字"
    number = facts.document_number
    if number and normalise_document_number(number) != number:
        wrong["document_number"] = "文号应写成“某政发〔2024〕1号”的样子"
    begin, end = facts.effective_on or facts.issued_on, facts.expires_on
    if begin and end and end < begin:
        wrong["expires_on"] = "有效期不能早于施行日期"
    return wrong


def _get(session: Session, document_id: int) -> Document:
    document = session.get(Document, document_id)
    if document is None:
        raise NotFound(f"没有编号为 {document_id} 的文件")
    return document


def _sifted(sieve: Sieve) -> Select[Document]:
    query = select(Document).order_by(Document.updated_at.desc(), Document.id.desc())
    if sieve.text:
        inside = Document.title.icontains(sieve.text, autoescape=True)
        numbered = Document.document_number.icontains(sieve.text, autoescape=True)
        query = query.where(or_(inside, numbered))
    if sieve.department:
        query = query.join(Document.department).where(Department.name == sieve.department)
    if sieve.region:
        prefix = sieve.region.removesuffix("00").removesuffix("00")
        query = query.where(Document.region_code.startswith(prefix, autoescape=True))
    return query


def _whole(session: Session, query: Select[Document]) -> Sequence[Document]:
    parts = (joinedload(Document.department), joinedload(Document.successor))
    return session.scalars(query.options(*parts, selectinload(Document.revisions))).unique().all()
