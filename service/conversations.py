"""The record of questions, answers and feedback; hides tables and masking."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kb.db import Database
from kb.errors import NotFound
from service import guards
from service.models import CitedClause, Conversation, Exchange, Feedback

if TYPE_CHECKING:
    from service.answering import Answer, Question

MAX_COMMENT = 1000


class Conversations:
    """Keeps what was asked and said. Personal numbers are masked before anything is stored."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def record(self, question: Question, answer: Answer, milliseconds: int) -> None:
        """Store one exchange with its citations as they stand."""
        now = datetime.now(UTC)
        with self._db.transaction() as session:
            if session.get(Conversation, answer.conversation_id) is None:
                session.add(
                    Conversation(
                        id=answer.conversation_id, channel=question.channel[:32], created_at=now
                    )
                )
                session.flush()
            entry = answer.entry.entry if answer.entry else None
            session.add(
                Exchange(
                    id=answer.id,
                    conversation_id=answer.conversation_id,
                    question=guards.mask(question.text),
                    region_code=question.region,
                    as_of=question.as_of,
                    outcome=answer.outcome.value,
                    text=answer.text,
                    confidence=answer.confidence,
                    entry_id=entry.id if entry else None,
                    entry_version=entry.version if entry else None,
                    milliseconds=milliseconds,
                    asked_at=now,
                    citations=[
                        CitedClause(
                            ordinal=number,
                            document_id=cited.document_id,
                            title=cited.title,
                            locator=cited.locator,
                            text=cited.text,
                            validity=cited.validity.value,
                        )
                        for number, cited in enumerate(answer.citations)
                    ],
                )
            )

    def rate(self, answer_id: str, *, helpful: bool, comment: str) -> None:
        """Keep what a person thought of an answer; a later word replaces an earlier one.

        Raises:
            NotFound: no such answer.
        """
        with self._db.transaction() as session:
            if session.get(Exchange, answer_id) is None:
                raise NotFound("没有这条回答，可能已经过期")
            session.merge(
                Feedback(
                    exchange_id=answer_id,
                    helpful=helpful,
                    comment=guards.mask(guards.clean(comment))[:MAX_COMMENT],
                    given_at=datetime.now(UTC),
                )
            )
