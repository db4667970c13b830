"""Policy documents: import, publish, repeal, withdraw; hides identity, revisions and their periods.

Two files are revisions of one document when they come from the same address, else when they bear
the same document number, else when they are regulations of the same title for the same region.
"""

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path, PurePath

from sqlalchemy import ColumnElement, Select, String, bindparam, func, insert, select
from sqlalchemy.orm import Session

from kb import clock
from kb.db import Database
from kb.departments import department_named
from kb.errors import Conflict, DocumentRefused, DocumentUnreadable, KnowledgeError, NotFound
from kb.journal import audit, changed, revision_group
from kb.metadata import Metadata, extract
from kb.models import Clause, Document, Entry, Flag, Repeal, Revision, Status
from kb.parsing import ParsedDocument, parse
from kb.readers import read
from kb.regions import Regions
from kb.releases import review_citing
from kb.revisions import expect_pending, order_periods, repealable

log = logging.getLogger(__name__)

# Files of one transaction: few enough to lose little, many enough to be quick.
BATCH = 50
SOURCE_URL = 1024
_OUTER = str.maketrans("〈〉", "《》")
_TOUCHED = "documents touched by this transaction"
# Titles that end so name one regulation for a place, whatever number each version bears.
_REGULATION = re.compile(r"(法|法典|条例|办法|规定|规则|细则|章程|解释)([（(](试行|暂行)[）)])?$")


@dataclass(frozen=True)
class Upload:
    """A file to import and what its bearer knows about it; empty values are read from the file."""

    data: bytes
    filename: str
    title: str = ""
    region: str = ""
    department: str = ""
    topic: str = ""
    source_url: str = ""


@dataclass(frozen=True)
class Imported:
    """What became of one file: `imported`, `revised`, `unchanged` or `failed` (with a reason)."""

    filename: str
    outcome: str
    document_id: int | None = None
    title: str = ""
    clauses: int = 0
    reason: str = ""


@dataclass(frozen=True)
class _Read:
    """A file after reading: everything that can fail without the database has succeeded."""

    upload: Upload
    sha256: str
    metadata: Metadata
    parsed: ParsedDocument
    region_code: str | None


class _TakenBack(Exception):  # noqa: N818 (no error: ends a transaction that is not to be kept)
    """Raised to undo what was only tried."""


# Statements of every import, built once: building them took longer than running them.
_OF_FILE = select(Revision).where(Revision.sha256 == bindparam("sha256"))
# Published revisions of other documents that repeal this one; the reverse of `_named`.
_NAMING = (
    select(Revision)
    .join(Repeal)
    .join(Revision.document)
    .where(
        (Repeal.target == bindparam("number"))
        | (
            (Repeal.target == bindparam("title"))
            & (
                func.coalesce(Document.region_code, "")
                == func.coalesce(bindparam("region", type_=String), "")
            )
        ),
        Revision.document_id != bindparam("id"),
        Revision.published_at.is_not(None),
    )
    .order_by(Revision.id)
)


class Documents:
    """Every write to documents.

    Args:
        uploads: folder that keeps the original files; None keeps none.
        today: the current day in China.
        now: the present instant.
    """

    def __init__(
        self,
        db: Database,
        *,
        uploads: Path | None,
        regions: Regions,
        today: Callable[[], date],
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._uploads = uploads
        self._regions = regions
        self._today = today
        self._now = now

    def add(
        self,
        files: Iterable[Upload],
        *,
        actor: str,
        publish: bool,
        allowed: Callable[[str, str | None], bool] = lambda _department, _region: True,
    ) -> Iterator[Imported]:
        """Import files one by one; a bad file is reported and stops no other.

        Outcomes are yielded only after their transaction has committed.

        Args:
            allowed: department and region → whether the actor may revise a document of theirs.
        """
        remaining = iter(files)
        while batch := list(islice(remaining, BATCH)):
            readings = [self._read(upload) for upload in batch]
            # Each document is flushed once, with its revision; the queries between need no more.
            with self._writing() as session, session.no_autoflush:
                outcomes = [
                    reading
                    if isinstance(reading, Imported)
                    else self._others(session, reading, allowed)
                    or self._store(session, reading, actor=actor, publish=publish)
                    for reading in readings
                ]
            yield from outcomes

    def publish(self, document_id: int, *, actor: str) -> None:
        """Publish the newest revision of a document.

        Raises:
            NotFound: no such document.
        """
        with self._writing() as session:
            document = _get(session, document_id)
            self._publish(session, document, document.revisions[-1], actor=actor)

    def approve(self, document_id: int, *, number: int, actor: str) -> None:
        """Vouch for the newest revision of a document and publish it.

        Args:
            number: of the revision that the reviewer had before them.

        Raises:
            NotFound: no such document.
            Conflict: it is public, sent back or not the newest, or the reviewer worked on it.
        """
        with self._writing() as session:
            document = _get(session, document_id)
            revision = expect_pending(document, number)
            if f"|{actor}|" in revision.contributors:
                raise Conflict("您参与了这份文件的录入，请由另一位同事审核发布")
            revision.reviewer = actor
            self._publish(session, document, revision, actor=actor)

    def consequences(self, document_id: int) -> list[tuple[int, str, str]]:
        """Entries that publishing the newest revision would flag: id, question, reason.

        Found out by publishing and taking it back, so it is what will really happen today.

        Raises:
            NotFound: no such document.
        """
        found: list[tuple[int, str, str]] = []
        try:
            with self._db.transaction() as session:
                self._db.serialise(session)
                document = _get(session, document_id)
                open_flags = select(Flag).where(Flag.resolved_at.is_(None))
                before = {flag.id for flag in session.scalars(open_flags)}
                self._publish(session, document, document.revisions[-1], actor="")
                touched = session.info.pop(_TOUCHED, ())
                review_citing(session, touched, self._today(), self._now())
                for flag in session.scalars(open_flags.order_by(Flag.entry_id)):
                    if flag.id not in before:
                        question = session.get_one(Entry, flag.entry_id).question
                        found.append((flag.entry_id, question, flag.reason))
                raise _TakenBack
        except _TakenBack:
            return found

    def withdraw(self, document_id: int, *, actor: str, reason: str) -> None:
        """Take a document out of every answer; it stays in the base.

        Raises:
            NotFound: no such document.
        """
        with self._writing() as session:
            document = _get(session, document_id)
            document.status = Status.WITHDRAWN
            document.updated_at = datetime.now(UTC)
            subject = f"document:{document_id}"
            _touch(session, document)
            audit(session, actor=actor, action="withdraw", subject=subject, reason=reason)
            changed(self._db, session, *(revision_group(each.id) for each in document.revisions))

    def repeal(
        self, document_id: int, *, on: date, actor: str, successor_id: int | None = None
    ) -> None:
        """Record that a document is no longer in force from a day on; again is no error.

        Raises:
            NotFound: no such document, or no such successor.
        """
        with self._writing() as session:
            document = _get(session, document_id)
            if successor_id is not None:
                _get(session, successor_id)
            _repeal(session, document, on, successor_id, actor)

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """A transaction beside which no other one adds documents or departments of the same name.

        The lock comes first: taken after the first insert, two imports could wait for each other.
        """
        with self._db.transaction() as session:
            self._db.serialise(session)
            yield session
            # In the same transaction: no entry outlives its basis for a moment.
            touched = session.info.pop(_TOUCHED, ())
            review_citing(session, touched, self._today(), self._now())

    def _read(self, upload: Upload) -> _Read | Imported:
        filename = PurePath(upload.filename.replace("\\", "/")).name
        try:
            blocks = read(upload.data, upload.filename)
            metadata = extract(blocks, filename)
            if metadata.secrecy:
                raise DocumentRefused(f"文件标有“{metadata.secrecy}”密级，不得进入知识库")
            parsed = parse(blocks)
            if not parsed.clauses:
                raise DocumentUnreadable("文件里没有读到正文")
            if len(upload.source_url) > SOURCE_URL:
                # Cut short it would name another page.
                raise DocumentRefused(f"来源网址超过 {SOURCE_URL} 个字符")
            region_code = self._regions.resolve(upload.region)
        except KnowledgeError as error:
            return Imported(upload.filename, "failed", reason=str(error))
        except Exception:
            # Whatever a file does to the parser, the files after it are still imported.
            log.exception("reading a document failed", extra={"document": filename})
            return Imported(upload.filename, "failed", reason="读取时出了意外，请联系管理员")
        sha256 = hashlib.sha256(upload.data)
        if upload.source_url:
            # The same text at two addresses is two documents.
            sha256.update(upload.source_url.encode())
        return _Read(upload, sha256.hexdigest(), metadata, parsed, region_code)

    def _others(
        self, session: Session, reading: _Read, allowed: Callable[[str, str | None], bool]
    ) -> Imported | None:
        """Refuse a file that would be a revision of somebody else's document."""
        held = self._same_document(session, reading)
        if held is None:
            return None
        department = held.department.name if held.department else ""
        if allowed(department, held.region_code):
            return None
        said = f"它是《{held.title}》的新版本，那份文件不归您的单位或地区管"
        return Imported(reading.upload.filename, "failed", reason=said)

    def _store(self, session: Session, reading: _Read, *, actor: str, publish: bool) -> Imported:
        upload = reading.upload
        known = session.scalar(_OF_FILE, {"sha256": reading.sha256})
        if known is not None:
            if publish and known.published_at is None:
                self._publish(session, known.document, known, actor=actor)
            title = known.document.title
            return Imported(upload.filename, "unchanged", known.document_id, title)
        self._keep(reading)
        document = self._same_document(session, reading)
        outcome = "revised" if document else "imported"
        if document is None:
            document = self._new_document(session, reading)
        revision = _add_revision(session, document, reading)
        revision.contributors = f"|{actor}|"
        subject = f"document:{document.id}"
        filename = revision.filename
        audit(session, actor=actor, action=outcome, subject=subject, filename=filename)
        if publish:
            self._publish(session, document, revision, actor=actor)
        count = len(reading.parsed.clauses)
        return Imported(upload.filename, outcome, document.id, document.title, count)

    def _same_document(self, session: Session, reading: _Read) -> Document | None:
        upload, metadata = reading.upload, reading.metadata
        title = upload.title or metadata.title
        where: list[ColumnElement[bool]]
        if upload.source_url:
            where = [Document.source_url == upload.source_url]
        elif metadata.document_number and not _REGULATION.search(title):
            where = [Document.document_number == metadata.document_number]
        elif _REGULATION.search(title):
            where = [Document.title == title, Document.region_code == reading.region_code]
        else:
            return None
        start = metadata.effective_on or metadata.issued_on or date.min
        # Enacted again after its repeal, it is another document: the old one stays repealed.
        where.append(Document.repealed_on.is_(None) | (Document.repealed_on > start))
        return session.scalar(select(Document).where(*where).order_by(Document.id).limit(1))

    def _new_document(self, session: Session, reading: _Read) -> Document:
        upload, metadata = reading.upload, reading.metadata
        now = datetime.now(UTC)
        document = Document(
            title=(upload.title or metadata.title)[:512],
            document_number=metadata.document_number,
            issuer=metadata.issuer[:256] if metadata.issuer else None,
            index_number=metadata.index_number,
            topic=upload.topic[:64],
            source_url=upload.source_url,
            region_code=reading.region_code,
            department=department_named(session, upload.department) if upload.department else None,
            created_at=now,
            updated_at=now,
            revisions=[],
        )
        session.add(document)
        return document

    def _keep(self, reading: _Read) -> None:
        """Store the original under its hash, before the row that names it."""
        if self._uploads is None:
            return
        suffix = PurePath(reading.upload.filename).suffix.lower()[:8]
        folder = self._uploads / reading.sha256[:2]
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{reading.sha256}.new"
        with fresh.open("wb") as file:
            file.write(reading.upload.data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, folder / f"{reading.sha256}{suffix}")

    def _publish(
        self, session: Session, document: Document, revision: Revision, *, actor: str
    ) -> None:
        now = datetime.now(UTC)
        returning = document.status is Status.WITHDRAWN
        revision.published_at = now
        document.status = Status.PUBLISHED
        document.published_on = document.published_on or self._today()
        document.updated_at = now
        order_periods(document)
        _touch(session, document)
        self._apply_repeals(session, document, revision, actor)
        subject = f"document:{document.id}"
        audit(session, actor=actor, action="publish", subject=subject, revision=revision.number)
        touched = document.revisions if returning else [revision]
        changed(self._db, session, *(revision_group(each.id) for each in touched))

    def _apply_repeals(
        self, session: Session, document: Document, revision: Revision, actor: str
    ) -> None:
        """Repeal what this revision names, and this document where one in the base named it.

        The earliest repeal counts, and what began after a repeal is not meant by it, so the order
        of imports does not matter.
        """
        day = revision.effective_on or revision.issued_on or self._today()
        targets = [repeal.target for repeal in revision.repeals]
        for older in session.scalars(_named(targets, document)) if targets else ():
            if repealable(older, day):
                _repeal(session, older, day, document.id, actor)
        bears = {
            "id": document.id,
            "title": document.title,
            "number": document.document_number,
            "region": document.region_code,
        }
        for other in session.scalars(_NAMING, bears):
            day = other.effective_on or other.issued_on or self._today()
            if repealable(document, day):
                _repeal(session, document, day, other.document_id, actor)


def _touch(session: Session, document: Document) -> None:
    """Have the entries that rest on a document looked at when the transaction ends."""
    touched = session.info.setdefault(_TOUCHED, [])
    if document not in touched:
        touched.append(document)


def _get(session: Session, document_id: int) -> Document:
    document = session.get(Document, document_id)
    if document is None:
        raise NotFound(f"没有编号为 {document_id} 的文件")
    return document


def _named(targets: Sequence[str], by: Document) -> Select[Document]:
    """Documents that another one means: a number is unique, a title only within its region."""
    return select(Document).where(
        Document.document_number.in_(targets)
        | (Document.title.in_(targets) & _same_region(by.region_code)),
        Document.id != by.id,
    )


def _same_region(code: str | None) -> ColumnElement[bool]:
    return Document.region_code == code


def _add_revision(session: Session, document: Document, reading: _Read) -> Revision:
    metadata = reading.metadata
    revision = Revision(
        document=document,
        number=len(document.revisions) + 1,
        sha256=reading.sha256,
        filename=PurePath(reading.upload.filename.replace("\\", "/")).name[-255:],
        document_number=metadata.document_number,
        issued_on=metadata.issued_on,
        effective_on=metadata.effective_on,
        expires_on=metadata.expires_on,
        created_at=datetime.now(UTC),
        repeals=[],
    )
    session.add(revision)
    session.flush()
    session.execute(
        insert(Clause),
        [
            {
                "revision_id": revision.id,
                "ordinal": ordinal,
                "kind": clause.kind,
                "locator": str(clause.locator)[:255],
                "headings": list(clause.headings),
                "text": clause.text,
                "responsible": list(clause.responsible),
            }
            for ordinal, clause in enumerate(reading.parsed.clauses)
        ],
    )
    for target in metadata.repeals:
        # A title within a title is printed 〈〉 where it is named and 《》 on the document itself.
        revision.repeals.append(Repeal(target=target.translate(_OUTER)[:512]))
    return revision


def _repeal(
    session: Session, document: Document, on: date, successor_id: int | None, actor: str
) -> None:
    if (document.repealed_on, document.successor_id) == (on, successor_id):
        return
    document.repealed_on = on
    document.successor_id = successor_id
    _touch(session, document)
    document.updated_at = datetime.now(UTC)
    subject = f"document:{document.id}"
    audit(
        session,
        actor=actor,
        action="repeal",
        subject=subject,
        on=on.isoformat(),
        successor=successor_id,
    )
