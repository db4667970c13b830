"""Tables of the service: what was asked and what was said, kept as it was at that moment.

Questions are stored masked; see `service.guards`. Times are UTC.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from kb.models import REGION_DIGITS, Base


class Conversation(Base):
    """Questions of one person on one channel that follow each other."""

    __tablename__ = "conversation"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    channel: Mapped[str] = mapped_column(String(32))
    # Pseudonym of the person on a messaging platform; empty where the browser keeps the thread.
    person: Mapped[str] = mapped_column(
        String(32), default="", server_default=text("''"), index=True
    )
    # Name of the system whose key it was begun with; empty for none.
    system: Mapped[str] = mapped_column(String(64), default="", server_default=text("''"))
    # What it is about (JSON, masked), see `service.conversations.Context`; goes out of date.
    context: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    context_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Exchange(Base):
    """One question and the answer given to it."""

    __tablename__ = "exchange"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), index=True)
    # Name of the system whose key the question came with; empty for none.
    system: Mapped[str] = mapped_column(String(64), default="", server_default=text("''"))
    question: Mapped[str] = mapped_column(Text)
    # The whole question that was looked for, where half of one or a number was typed.
    understood: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    as_of: Mapped[date]
    outcome: Mapped[str] = mapped_column(String(32), index=True)
    text: Mapped[str] = mapped_column(Text)
    # Whether a language model wrote the words; what it rests on stands among the citations.
    ai_generated: Mapped[bool] = mapped_column(default=False, server_default=false())
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
    given_at: Mapped[datetime] = mapped_column(index=True)


class Inbound(Base):
    """A message of a platform, and the one reply to it.

    `state` goes received → answering → answered → said; every step is a compare-and-set. A claim
    that is older than its lease may be taken over. See `service.inbound`.
    """

    __tablename__ = "inbound"
    __table_args__ = (UniqueConstraint("channel", "account", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(128))
    key: Mapped[str] = mapped_column(String(128))
    person: Mapped[str] = mapped_column(String(32), index=True)
    state: Mapped[str] = mapped_column(String(16), default="received", index=True)
    claim: Mapped[str] = mapped_column(String(32), default="")
    claimed_at: Mapped[datetime | None]
    deliveries: Mapped[int] = mapped_column(default=1)
    # Sealed and masked; erased once it is answered.
    question: Mapped[str] = mapped_column(Text, default="")
    # The answer as the channel will dress it (JSON), kept for retries.
    reply: Mapped[str] = mapped_column(Text, default="")
    said_by: Mapped[str] = mapped_column(String(16), default="")
    # Sealed; erased once the reply is said.
    reply_to: Mapped[str] = mapped_column(Text, default="")
    received_at: Mapped[datetime] = mapped_column(index=True)
    said_at: Mapped[datetime | None]


class User(Base):
    """A person who works with the service."""

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    display_name: Mapped[str] = mapped_column(String(64), default="")
    role: Mapped[str] = mapped_column(String(16))
    department_id: Mapped[int | None] = mapped_column(ForeignKey("department.id"))
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    password_hash: Mapped[str] = mapped_column(String(256))
    password_changed_at: Mapped[datetime]
    must_change_password: Mapped[bool] = mapped_column(default=True)
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    # Grows with each change by an administrator, so that an old form is told from a new one.
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))


class UserSession(Base):
    """A signed-in browser; known by the hash of its token."""

    __tablename__ = "user_session"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    # The password was right, the second factor is still to come: opens nothing.
    pending: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Where it was begun from.
    address: Mapped[str] = mapped_column(String(64), default="", server_default=text("''"))


class SecondFactor(Base):
    """The device that shows a person's codes; see `service.second_factor`."""

    __tablename__ = "second_factor"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    # Sealed.
    secret: Mapped[str] = mapped_column(Text)
    # None until a code of the device was right once.
    confirmed_at: Mapped[datetime | None]
    # The 30 seconds whose code was used last, counted since 1970; no earlier one is taken again.
    last_step: Mapped[int] = mapped_column(default=0)


class RecoveryCode(Base):
    """A code for somebody without their device, known by its pseudonym; gone once used."""

    __tablename__ = "recovery_code"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(32), primary_key=True)


class Site(Base):
    """A website that may embed the widget."""

    __tablename__ = "site"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    # Space-separated, each scheme://host[:port].
    origins: Mapped[str] = mapped_column(Text)
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    created_at: Mapped[datetime]


class ApiKey(Base):
    """A system that may use the API under its own name; known by the hash of its key."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(16))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    # Space-separated: ask, search, read, harvest.
    scopes: Mapped[str] = mapped_column(String(256))
    per_minute: Mapped[int]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Handoff(Base):
    """A conversation that waits for, or is with, an operator."""

    __tablename__ = "handoff"
    # One conversation is handed over once at a time, whoever asks at the same moment.
    __table_args__ = (
        Index(
            "uq_handoff_open",
            "conversation_id",
            unique=True,
            sqlite_where=text("state <> 'closed'"),
            postgresql_where=text("state <> 'closed'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), index=True)
    channel: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(128), default="")
    # Sealed; erased when the handoff is closed.
    reply_to: Mapped[str] = mapped_column(Text, default="")
    # Masked: what the person last asked.
    question: Mapped[str] = mapped_column(Text, default="")
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    # waiting → claimed → closed
    state: Mapped[str] = mapped_column(String(16), default="waiting", index=True)
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(index=True)
    claimed_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    messages: Mapped[list["HandoffMessage"]] = relationship(order_by="HandoffMessage.id")


class HandoffMessage(Base):
    """Words between a person and an operator."""

    __tablename__ = "handoff_message"

    id: Mapped[int] = mapped_column(primary_key=True)
    handoff_id: Mapped[int] = mapped_column(ForeignKey("handoff.id"), index=True)
    # person, operator or system
    author: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    # How far an operator's words got: "" for the widget, which fetches them; else
    # pending, sent or failed.
    delivery: Mapped[str] = mapped_column(String(16), default="")
    attempts: Mapped[int] = mapped_column(default=0)
    # Pending words are not sent before; whoever sends them moves it on, so nobody else does.
    due_at: Mapped[datetime | None]
    at: Mapped[datetime]


class Call(Base):
    """One caller's questions at the operator console, from the first to the wrap-up."""

    __tablename__ = "call"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    # Pseudonym of the caller's number; empty where it is unknown.
    caller: Mapped[str] = mapped_column(String(32), default="", index=True)
    # The number, sealed; erased with the wrap-up.
    number: Mapped[str] = mapped_column(Text, default="")
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    started_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    # resolved, partly, ticket, transferred, no_answer, not_a_call; empty while it lasts
    wrap_up: Mapped[str] = mapped_column(String(16), default="")
    note: Mapped[str] = mapped_column(Text, default="")


class Lookup(Base):
    """What an operator searched for in a call, and what was read out."""

    __tablename__ = "lookup"

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("call.id"), index=True)
    question: Mapped[str] = mapped_column(Text)
    # Key of the passage that was opened (entry:12, clause:7); empty for none.
    passage: Mapped[str] = mapped_column(String(64), default="")
    title: Mapped[str] = mapped_column(String(512), default="")
    copied: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime]


class Ticket(Base):
    """A question that the base could not answer, sent to a department with a deadline."""

    __tablename__ = "ticket"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(32), unique=True)
    call_id: Mapped[str | None] = mapped_column(ForeignKey("call.id"))
    question: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text, default="")
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    department_id: Mapped[int | None] = mapped_column(ForeignKey("department.id"), index=True)
    # Sealed; erased when the ticket is closed.
    call_back: Mapped[str] = mapped_column(Text, default="")
    urgent: Mapped[bool] = mapped_column(default=False)
    # open → answered → closed
    state: Mapped[str] = mapped_column(String(16), default="open", index=True)
    reply: Mapped[str] = mapped_column(Text, default="")
    due_on: Mapped[date] = mapped_column(index=True)
    created_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class Report(Base):
    """An operator's word that an answer is wrong or outdated; its department looks into it."""

    __tablename__ = "report"

    id: Mapped[int] = mapped_column(primary_key=True)
    passage: Mapped[str] = mapped_column(String(64), index=True)
    title: Mapped[str] = mapped_column(String(512))
    # wrong or outdated
    reason: Mapped[str] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(Text, default="")
    reported_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    reported_at: Mapped[datetime] = mapped_column(index=True)
    settled_at: Mapped[datetime | None]


class Favourite(Base):
    """A passage that an operator keeps at hand."""

    __tablename__ = "favourite"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    passage: Mapped[str] = mapped_column(String(64), primary_key=True)
    title: Mapped[str] = mapped_column(String(512))
    added_at: Mapped[datetime]


# What administrators set while the service runs, and what they try it with.


class Setting(Base):
    """One setting as it was last changed; see `service.tuning`.

    Attributes:
        value: None for the default.
        version: grows over the whole table with every change.
    """

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    version: Mapped[int] = mapped_column(index=True)
    comment: Mapped[str] = mapped_column(Text)
    changed_by: Mapped[str] = mapped_column(String(64))
    changed_at: Mapped[datetime]


class GoldenQuestion(Base):
    """A question whose right answer is known; see `service.golden`."""

    __tablename__ = "golden_question"

    id: Mapped[int] = mapped_column(primary_key=True)
    # Masked.
    question: Mapped[str] = mapped_column(Text)
    # Key of an entry or a clause, code of an entry, or title; None where nothing may be answered.
    expect: Mapped[str | None] = mapped_column(String(512))
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    # None for the day on which it is asked.
    as_of: Mapped[date | None]
    added_by: Mapped[str] = mapped_column(String(64))
    added_at: Mapped[datetime]


# What is imported by a page.


class ImportJob(Base):
    """An entry table on its way into the base; see `service.imports`.

    Attributes:
        sha256: of the file, which lies beside the database until the job is over.
        state: waiting, checking, checked, queued, importing, done, failed or expired.
        mode: how it is to be imported; empty until somebody has said so.
        done: rows dealt with in this step.
        counts: outcome → rows; `failures` → row and reason of those that failed at the end.
        problem: why it failed, in Chinese.
        attempts: how often a process began with it and was not heard of again.
        claimed_by: the process that works on it, as of `claimed_at`.
    """

    __tablename__ = "import_job"

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    filename: Mapped[str] = mapped_column(String(255))
    size: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), index=True)
    mode: Mapped[str] = mapped_column(String(16), default="")
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    counts: Mapped[dict[str, Any]] = mapped_column(JSON)
    problem: Mapped[str] = mapped_column(Text, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str] = mapped_column(String(32), default="")
    claimed_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
