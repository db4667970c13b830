"""Answers that were given, as they were given; hides the tables of conversations."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from kb.db import Database
from kb.errors import NotFound
from service.models import Conversation, Exchange, Feedback

LISTED = 10


@dataclass(frozen=True)
class Cited:
    """A basis of an answer with its words as they stood."""

    title: str
    locator: str
    text: str
    validity: str


@dataclass(frozen=True)
class Given:
    """One question, masked, and the answer to it.

    Attributes:
        helpful: what the person said of it; None for nothing.
    """

    id: str
    channel: str
    question: str
    region: str | None
    outcome: str
    text: str
    ai_generated: bool
    confidence: float
    entry_id: int | None
    entry_version: int | None
    asked_at: datetime
    citations: tuple[Cited, ...]
    helpful: bool | None
    comment: str


class AnswersOnRecord:
    """Reads exchanges."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def one(self, answer_id: str) -> Given:
        """An answer by its number.

        Raises:
            NotFound: there is none.
        """
        with self._db.reading() as session:
            row = session.get(Exchange, answer_id, options=[selectinload(Exchange.citations)])
            if row is None:
                raise NotFound("没有这条回答，可能已经过了保存期")
            talk = session.get(Conversation, row.conversation_id)
            rated = session.get(Feedback, answer_id)
            return _view(row, talk.channel if talk else "", rated)

    def of_entry(self, entry_id: int) -> list[Given]:
        """The latest answers that were given from an entry."""
        with self._db.reading() as session:
            rows = session.execute(
                select(Exchange, Conversation.channel, Feedback)
                .join(Conversation, Conversation.id == Exchange.conversation_id)
                .outerjoin(Feedback, Feedback.exchange_id == Exchange.id)
                .options(selectinload(Exchange.citations))
                .where(Exchange.entry_id == entry_id)
                .order_by(Exchange.asked_at.desc())
                .limit(LISTED)
            ).all()
            return [_view(row, channel, rated) for row, channel, rated in rows]


def _view(row: Exchange, channel: str, rated: Feedback | None) -> Given:
    return Given(
        id=row.id,
        channel=channel,
        question=row.question,
        region=row.region_code,
        outcome=row.outcome,
        text=row.text,
        ai_generated=row.ai_generated,
        confidence=row.confidence,
        entry_id=row.entry_id,
        entry_version=row.entry_version,
        asked_at=row.asked_at,
        citations=tuple(
            Cited(each.title, each.locator, each.text, each.validity) for each in row.citations
        ),
        helpful=rated.helpful if rated else None,
        comment=rated.comment if rated else "",
    )
