"""Tables of what questions say about the base: gaps, proposals, tallies, checks. Times are UTC."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kb.models import REGION_DIGITS, Base


class Gap(Base):
    """Questions of one meaning that the base did not answer well, until somebody sees to it.

    `state` goes open → assigned → drafted → answered, or to dismissed; every step is a
    compare-and-set. What is counted here is counted again from `gap_question` on every gathering.
    """

    __tablename__ = "gap"

    id: Mapped[int] = mapped_column(primary_key=True)
    # A wording that may be shown: see `service.insights.gathering`.
    title: Mapped[str] = mapped_column(String(512))
    state: Mapped[str] = mapped_column(String(16), default="open", index=True)
    # Why it was dismissed or counts as answered, in Chinese.
    reason: Mapped[str] = mapped_column(Text, default="")
    department_id: Mapped[int | None] = mapped_column(ForeignKey("department.id"), index=True)
    # How sure the routing is, 0 to 1; 1 where a person chose the department.
    routing: Mapped[float] = mapped_column(default=0.0)
    topic: Mapped[str] = mapped_column(String(64), default="")
    # None where it was asked for several regions, or for none.
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    # Published entries near it: [entry id, question, department, likeness 0 to 1].
    nearest: Mapped[list[list[Any]]] = mapped_column(JSON)
    # The version that was begun from it; no foreign key: versions live their own life.
    draft_id: Mapped[int | None]
    due_on: Mapped[date | None] = mapped_column(index=True)
    size: Mapped[int] = mapped_column(default=0, index=True)
    askers: Mapped[int] = mapped_column(default=0)
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime] = mapped_column(index=True)
    closed_at: Mapped[datetime | None]


class GapQuestion(Base):
    """One question of a gap; goes with the exchange it was asked in."""

    __tablename__ = "gap_question"

    id: Mapped[int] = mapped_column(primary_key=True)
    gap_id: Mapped[int] = mapped_column(ForeignKey("gap.id"), index=True)
    exchange_id: Mapped[str | None] = mapped_column(
        ForeignKey("exchange.id", ondelete="CASCADE"), unique=True
    )
    ticket_id: Mapped[int | None] = mapped_column(
        ForeignKey("ticket.id", ondelete="CASCADE"), unique=True
    )
    # unanswerable, unsure, abandoned, unhelpful or ticket
    kind: Mapped[str] = mapped_column(String(16))
    # Masked.
    text: Mapped[str] = mapped_column(Text)
    # The conversation, or the ticket: what tells one asker from another.
    asker: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(32))
    region_code: Mapped[str | None] = mapped_column(String(REGION_DIGITS))
    asked_at: Mapped[datetime] = mapped_column(index=True)


class PhrasingProposal(Base):
    """A wording that people's choices speak for (or against) as one of an entry."""

    __tablename__ = "phrasing_proposal"
    __table_args__ = (UniqueConstraint("entry_id", "text", "negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    # No foreign key: proposals of an entry that is gone are simply never read.
    entry_id: Mapped[int] = mapped_column(index=True)
    text: Mapped[str] = mapped_column(String(256))
    negative: Mapped[bool]
    # In how many conversations.
    evidence: Mapped[int]
    last_seen: Mapped[datetime]
    # open, accepted or dismissed
    state: Mapped[str] = mapped_column(String(16), default="open", index=True)
    decided_by: Mapped[str] = mapped_column(String(64), default="")
    decided_at: Mapped[datetime | None]


class Tally(Base):
    """Exchanges of a day in China on a channel, from a region, answered by a department: counted.

    Made again whenever they change. There is a row for each of what can be filtered by; what is
    only looked at is counted inside it: `counts` has outcome, topic, hour of the day, speed (the
    time to answer, in classes; see `service.insights.tallies`) and entry → value → exchanges.
    """

    __tablename__ = "tally"

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(index=True)
    channel: Mapped[str] = mapped_column(String(32))
    region: Mapped[str] = mapped_column(String(REGION_DIGITS))
    department: Mapped[str] = mapped_column(String(128))
    count: Mapped[int]
    helpful: Mapped[int]
    unhelpful: Mapped[int]
    counts: Mapped[dict[str, dict[str, int]]] = mapped_column(JSON)


class TalliedDay(Base):
    """Up to which moment a day was counted."""

    __tablename__ = "tallied_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class DailyCheck(Base):
    """The check of a day in China; the row is also what one process claims it by."""

    __tablename__ = "daily_check"

    day: Mapped[date] = mapped_column(primary_key=True)
    claimed_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    # good, warning or bad; empty while it runs
    verdict: Mapped[str] = mapped_column(String(16), default="")
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
