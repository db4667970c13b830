"""Tables of the service: what was asked and what was said, kept as it was at that moment.

Questions are stored masked; see `service.guards`. Times are UTC.
"""

from datetime import date, datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from kb.models import REGION_DIGITS, Base


class Conversation(Base):
    """Questions of one person on one channel that follow each other."""

    __tablename__ = "conversation"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    channel: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime]


class Exchange(Base):
    """One question and the answer given to it."""

    __tablename__ = "exchange"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), index=True)
    question: Mapped[str] = mapped_column(Text)
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    as_of: Mapped[date]
    outcome: Mapped[str] = mapped_column(String(32), index=True)
    text: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float]
    # No foreign key: what was said stays on record whatever becomes of the entry.
    entry_id: Mapped[int | None] = mapped_column(index=True)
    entry_version: Mapped[int | None]
    milliseconds: Mapped[int]
    asked_at: Mapped[datetime] = mapped_column(index=True)

    citations: Mapped[list["CitedClause"]] = relationship(order_by="CitedClause.ordinal")


class CitedClause(Base):
    """A citation of an answer, with the text as it stood."""

    __tablename__ = "cited_clause"
    __table_args__ = (UniqueConstraint("exchange_id", "ordinal"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    exchange_id: Mapped[str] = mapped_column(ForeignKey("exchange.id"))
    ordinal: Mapped[int]
    document_id: Mapped[int | None]
    title: Mapped[str] = mapped_column(String(512))
    locator: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    validity: Mapped[str] = mapped_column(String(16))


class Feedback(Base):
    """What a person thought of an answer; the last word counts."""

    __tablename__ = "feedback"

    exchange_id: Mapped[str] = mapped_column(ForeignKey("exchange.id"), primary_key=True)
    helpful: Mapped[bool]
    comment: Mapped[str] = mapped_column(Text, default="")
    given_at: Mapped[datetime]
