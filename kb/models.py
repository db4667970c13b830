"""Tables of the knowledge base.

A document has immutable revisions, a revision has clauses. An entry has phrasings and rests on
clauses. What is in force is a matter of dates, never of a flag that someone must switch at
midnight. Times are UTC; dates are calendar days in China.
"""

import enum
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

REGION_DIGITS = 6


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC; SQLite would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone rather than guess one."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time needs a zone")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Base(DeclarativeBase):
    """Common metadata of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, date: Date}  # noqa: RUF012 (SQLAlchemy's name)


class Status(enum.StrEnum):
    """Where an entry or a document stands on its way to the public."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


def _status() -> Enum:
    # Stored as its value in a plain string column: a new state needs no migration.
    return Enum(
        Status, native_enum=False, length=16, values_callable=lambda kinds: [k.value for k in kinds]
    )


class Department(Base):
    """The body that answers for documents and entries."""

    __tablename__ = "department"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    phone: Mapped[str] = mapped_column(String(64), default="")


class Tag(Base):
    """A free keyword on documents and entries."""

    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)


entry_tag = Table(
    "entry_tag",
    Base.metadata,
    Column("entry_id", ForeignKey("entry.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True, index=True),
)


class Document(Base):
    """A policy document over all its revisions."""

    __tablename__ = "document"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(512), index=True)
    document_number: Mapped[str | None] = mapped_column(String(128), index=True)
    issuer: Mapped[str | None] = mapped_column(String(256))
    index_number: Mapped[str | None] = mapped_column(String(128))
    topic: Mapped[str] = mapped_column(String(64), default="", index=True)
    audience: Mapped[str] = mapped_column(String(64), default="")
    source_url: Mapped[str] = mapped_column(String(1024), default="", index=True)
    department_id: Mapped[int | None] = mapped_column(ForeignKey("department.id"), index=True)
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS), index=True)
    status: Mapped[Status] = mapped_column(_status(), default=Status.DRAFT)
    repealed_on: Mapped[date | None]
    successor_id: Mapped[int | None] = mapped_column(ForeignKey("document.id"))
    published_on: Mapped[date | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    department: Mapped[Department | None] = relationship()
    successor: Mapped["Document | None"] = relationship(remote_side=[id])
    revisions: Mapped[list["Revision"]] = relationship(
        back_populates="document", order_by="Revision.number"
    )


class Revision(Base):
    """One uploaded file and what was read from it; never changed once published.

    A revision is in force from `effective_on` to `expires_on` (inclusive) unless a later one
    took over on `superseded_on` (exclusive).
    """

    __tablename__ = "revision"
    __table_args__ = (UniqueConstraint("document_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("document.id"))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    filename: Mapped[str] = mapped_column(String(255))
    document_number: Mapped[str | None] = mapped_column(String(128))
    issued_on: Mapped[date | None]
    effective_on: Mapped[date | None]
    expires_on: Mapped[date | None]
    superseded_on: Mapped[date | None]
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    # Names of all who worked on it before it was public, each between bars: "|alice|bob|".
    contributors: Mapped[str] = mapped_column(Text, default="", server_default=sql("''"))
    reviewer: Mapped[str | None] = mapped_column(String(64))
    # Why a reviewer sent it back; empty while it waits for one.
    reason: Mapped[str] = mapped_column(Text, default="", server_default=sql("''"))

    document: Mapped[Document] = relationship(back_populates="revisions")
    clauses: Mapped[list["Clause"]] = relationship(
        back_populates="revision", order_by="Clause.ordinal"
    )
    repeals: Mapped[list["Repeal"]] = relationship(order_by="Repeal.id")


class Clause(Base):
    """A unit of a revision that can be found and quoted, verbatim."""

    __tablename__ = "clause"
    __table_args__ = (UniqueConstraint("revision_id", "ordinal"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))
    ordinal: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    locator: Mapped[str] = mapped_column(String(255))
    headings: Mapped[list[str]] = mapped_column(JSON)
    text: Mapped[str] = mapped_column(Text)
    responsible: Mapped[list[str]] = mapped_column(JSON)

    revision: Mapped[Revision] = relationship(back_populates="clauses")


class Repeal(Base):
    """A document named in another one as repealed by it, whether or not it is in the base yet."""

    __tablename__ = "repeal"

    id: Mapped[int] = mapped_column(primary_key=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), index=True)
    target: Mapped[str] = mapped_column(String(512), index=True)


class Entry(Base):
    """A reviewed question and its answer, as citizens get it now; `EntryVersion` has its history.

    One that was never public bears what its latest draft says.
    """

    __tablename__ = "entry"
    __table_args__ = (Index("ix_entry_question_region", "question", "region_code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str | None] = mapped_column(String(64), unique=True)
    question: Mapped[str] = mapped_column(String(256))
    answer: Mapped[str] = mapped_column(Text)
    short_answer: Mapped[str] = mapped_column(Text, default="")
    topic: Mapped[str] = mapped_column(String(64), default="", index=True)
    audience: Mapped[str] = mapped_column(String(64), default="")
    phone: Mapped[str] = mapped_column(String(64), default="")
    department_id: Mapped[int] = mapped_column(ForeignKey("department.id"), index=True)
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS), index=True)
    status: Mapped[Status] = mapped_column(_status(), default=Status.DRAFT)
    effective_on: Mapped[date | None]
    expires_on: Mapped[date | None]
    review_due: Mapped[date | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    department: Mapped[Department] = relationship()
    phrasings: Mapped[list["Phrasing"]] = relationship(
        back_populates="entry", order_by="Phrasing.ordinal", cascade="all, delete-orphan"
    )
    bases: Mapped[list["Basis"]] = relationship(
        back_populates="entry", order_by="Basis.ordinal", cascade="all, delete-orphan"
    )
    tags: Mapped[list[Tag]] = relationship(secondary=entry_tag, order_by=Tag.name)


class Phrasing(Base):
    """Another wording of an entry's question, or (negative) one that it must not answer."""

    __tablename__ = "phrasing"

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id", ondelete="CASCADE"), index=True)
    ordinal: Mapped[int]
    text: Mapped[str] = mapped_column(String(256))
    negative: Mapped[bool] = mapped_column(default=False)

    entry: Mapped[Entry] = relationship(back_populates="phrasings")


class Basis(Base):
    """The clause that an entry rests on.

    The link goes by name (`target`, `article`), so it holds for a document that is imported later
    and for each new revision of it.
    """

    __tablename__ = "basis"

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id", ondelete="CASCADE"), index=True)
    ordinal: Mapped[int]
    text: Mapped[str] = mapped_column(String(512))
    target: Mapped[str] = mapped_column(String(512), index=True)
    article: Mapped[str] = mapped_column(String(64), default="")
    # What the cited words were when somebody last vouched for the entry, see `kb.amendments`.
    sketch: Mapped[str] = mapped_column(String(64), default="", server_default=sql("''"))

    entry: Mapped[Entry] = relationship(back_populates="bases")


class State(enum.StrEnum):
    """Where a version of an entry stands; `kb.versions` says which step leads where."""

    DRAFT = "draft"
    DISCARDED = "discarded"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"
    PUBLISHED = "published"
    IN_REVIEW = "in_review"
    EXPIRED = "expired"
    REPEALED = "repealed"
    REVISED = "revised"
    WITHDRAWN = "withdrawn"


class EntryVersion(Base):
    """One version of an entry: what was written, who vouched for it, when citizens got it.

    The database itself refuses to change the content once it was submitted, to delete a version,
    to let anyone review what they contributed to, and to have two versions under way at once.

    Attributes:
        number: of the entry's versions; `entry.version` is that of the public one.
        content: the fields of an `EntryRecord` but its status.
        origin: "edit" needs a reviewer; "import" is an administrator's bulk act.
        contributors: names of all who wrote on it, each between bars: "|alice|bob|".
        edits: how often it was saved, so that nobody overwrites what they have not seen.
        publish_at: when an approved version is to be published.
        public_from: when it became what citizens get.
        public_until: when another one took its place, or it was withdrawn.
    """

    __tablename__ = "entry_version"
    __table_args__ = (
        UniqueConstraint("entry_id", "number"),
        Index(
            "uq_entry_version_open",
            "entry_id",
            unique=True,
            sqlite_where=sql("state IN ('draft', 'submitted', 'approved')"),
            postgresql_where=sql("state IN ('draft', 'submitted', 'approved')"),
        ),
        CheckConstraint(
            "reviewer IS NULL OR replace(contributors, '|' || reviewer || '|', '') = contributors",
            name="reviewed_by_another",
        ),
        CheckConstraint(
            "origin <> 'edit' OR reviewer IS NOT NULL"
            " OR state IN ('draft', 'discarded', 'submitted')",
            name="reviewed_at_all",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"))
    number: Mapped[int]
    state: Mapped[State] = mapped_column(
        Enum(State, native_enum=False, length=16, values_callable=lambda s: [k.value for k in s]),
        index=True,
    )
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    origin: Mapped[str] = mapped_column(String(16))
    based_on: Mapped[int | None]
    author: Mapped[str] = mapped_column(String(64), index=True)
    contributors: Mapped[str] = mapped_column(Text)
    edits: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    saved_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    reviewer: Mapped[str | None] = mapped_column(String(64))
    reviewed_at: Mapped[datetime | None]
    comment: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    publish_at: Mapped[datetime | None]
    public_from: Mapped[datetime | None]
    public_until: Mapped[datetime | None]

    entry: Mapped[Entry] = relationship()


class Flag(Base):
    """Something that happened to the basis of one version of an entry, and what was done about it.

    Attributes:
        reason: repealed, expired, amended, removed or renumbered.
        article: as the entry cites it; empty where it cites the whole document.
        since: first day on which it is so.
        withhold_on: first day on which citizens no longer get the version, unless it was confirmed;
            None where they go on getting it.
        sketch: of the words that now stand in place of the cited ones.
        found: where the cited words stand now, when only their number changed.
        how: confirmed, revised, withdrawn, or lifted when it turned out not to be so.
    """

    __tablename__ = "flag"
    __table_args__ = (
        UniqueConstraint(
            "entry_id", "version", "reason", "document_id", "article", "since", name="uq_flag_event"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"))
    version: Mapped[int]
    reason: Mapped[str] = mapped_column(String(16))
    document_id: Mapped[int] = mapped_column(ForeignKey("document.id"), index=True)
    article: Mapped[str] = mapped_column(String(64), default="")
    since: Mapped[date]
    withhold_on: Mapped[date | None]
    sketch: Mapped[str] = mapped_column(String(64), default="")
    found: Mapped[str] = mapped_column(String(255), default="")
    raised_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None] = mapped_column(index=True)
    resolved_by: Mapped[str] = mapped_column(String(64), default="")
    how: Mapped[str] = mapped_column(String(16), default="")
    note: Mapped[str] = mapped_column(Text, default="")

    document: Mapped[Document] = relationship()


class Audit(Base):
    """Who did what to which object, when; only ever added to.

    The database refuses to change or delete a row; `digest` chains each to the one before it, see
    `kb.journal`.
    """

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(64), index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(String(64), default="", server_default=sql("''"))


class Change(Base):
    """The log that indexes follow: "read this group again". Numbers grow in commit order."""

    __tablename__ = "change"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 (SQLAlchemy's name)

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    group: Mapped[str] = mapped_column("group_key", String(64))


class Installation(Base):
    """One row: the identity of this base, so that an index of another one is never used."""

    __tablename__ = "installation"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    created_at: Mapped[datetime]


class SynonymGroup(Base):
    """What administrators made of a group of synonyms; see `kb.thesaurus`.

    A row stands for the group of its official term, in place of one that ships with the product.

    Attributes:
        state: on, off, or dropped: then the group is what ships, or none.
        version: grows over the whole table with every change.
    """

    __tablename__ = "synonym_group"

    official: Mapped[str] = mapped_column(String(64), primary_key=True)
    said: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(unique=True)
    changed_by: Mapped[str] = mapped_column(String(64))
    changed_at: Mapped[datetime]
