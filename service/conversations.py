"""Questions and answers as values, and the record of them; hides tables and masking."""

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from kb.db import Database
from kb.errors import NotFound
from kb.passages import Citation, Passage
from service import guards, wording
from service.models import CitedClause, Conversation, Exchange, Feedback

MAX_COMMENT = 1000


class Outcome(enum.StrEnum):
    """How a question ended; the names are part of the public contract."""

    ANSWERED = "answered"
    ANSWERED_CLAUSE = "answered_clause"
    CLARIFY = "clarify"
    UNANSWERABLE = "unanswerable"
    HANDED_OFF = "handed_off"
    BLOCKED = "blocked"
    ERROR = "error"


@dataclass(frozen=True)
class Question:
    """A question as it came in.

    Attributes:
        region: code of the asker's region; None where none is known, which admits every region.
        as_of: the day whose law applies.
        conversation_id: continues that conversation; None starts one.
    """

    text: str
    as_of: date
    channel: str = "web"
    region: str | None = None
    conversation_id: str | None = None


@dataclass(frozen=True)
class Contact:
    """Whom to ask."""

    department: str = wording.HOTLINE
    phone: str = wording.HOTLINE_PHONE


@dataclass(frozen=True)
class Answer:
    """What is said, and everything it rests on.

    Attributes:
        confidence: probability that the answer is right, 0 to 1.
        understood: the question as it was searched for.
        entry: the reviewed entry that was answered from.
        passages: what else was found, best first.
        options: questions to choose from, when the outcome is `clarify`.
    """

    outcome: Outcome
    text: str
    confidence: float = 0.0
    understood: str = ""
    entry: Passage | None = None
    citations: tuple[Citation, ...] = ()
    passages: tuple[Passage, ...] = ()
    options: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    contact: Contact = field(default_factory=Contact)
    ai_generated: bool = False
    id: str = ""
    conversation_id: str = ""


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
