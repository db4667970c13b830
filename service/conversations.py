"""Questions and answers as values, and the record of them; hides tables and masking."""

import enum
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from kb import clock
from kb.db import Database
from kb.errors import NotFound
from kb.followups import Matter
from kb.passages import Citation, Passage
from kb.understanding import Rewrite
from service import guards, wording
from service.models import (
    CitedClause,
    Conversation,
    Exchange,
    Feedback,
    Handoff,
    HandoffMessage,
)

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
class Reach:
    """How an operator's words get back to a person; empty where the person's page fetches them.

    Attributes:
        account: the account on the platform that the person wrote to.
        reply_to: what the channel needs to send words later, in the open; never stored like that.
    """

    account: str = ""
    reply_to: str = ""


@dataclass(frozen=True)
class Question:
    """A question as it came in.

    Attributes:
        region: code of the asker's region; None where none is known, which admits every region.
        as_of: the day whose law applies.
        conversation_id: continues that conversation; None starts one.
        system: name of the system that asks with its key; empty for none.
        person: pseudonym of the asker on a messaging platform; empty for none.
        answer_id: of the answer to it; a question answered twice under one id is recorded once.
            Empty for a new one.
        reach: how an operator could answer; None where nobody could.
    """

    text: str
    as_of: date
    channel: str = "web"
    region: str | None = None
    conversation_id: str | None = None
    system: str = ""
    person: str = ""
    answer_id: str = ""
    reach: Reach | None = None


@dataclass(frozen=True)
class Contact:
    """Whom to ask."""

    department: str = wording.HOTLINE
    phone: str = wording.HOTLINE_PHONE


@dataclass(frozen=True)
class Choice:
    """Something to choose: what it is called, and the question that it stands for."""

    label: str
    question: str


@dataclass(frozen=True)
class Context:
    """What a conversation is about; empty for one that has just begun.

    Attributes:
        matter: what half a question is completed with.
        last: what the last answer was looked for with; empty where nothing was looked for.
        region: code of the place that was named for the last answer.
        choices: what the last answer offered, in the order of its numbers.
        clarified: whether the last answer was a question back.
    """

    matter: Matter = field(default_factory=Matter)
    last: str = ""
    region: str | None = None
    choices: tuple[Choice, ...] = ()
    clarified: bool = False


@dataclass(frozen=True)
class Answer:
    """What is said, and everything it rests on.

    Attributes:
        confidence: probability that the answer is right, 0 to 1.
        understood: the question as it was searched for.
        rewrites: what was changed or added to get there.
        entry: the reviewed entry that was answered from.
        passages: what else was found, best first.
        options: what to choose from, when the outcome is `clarify`.
    """

    outcome: Outcome
    text: str
    confidence: float = 0.0
    understood: str = ""
    rewrites: tuple[Rewrite, ...] = ()
    entry: Passage | None = None
    citations: tuple[Citation, ...] = ()
    passages: tuple[Passage, ...] = ()
    options: tuple[Choice, ...] = ()
    suggestions: tuple[str, ...] = ()
    contact: Contact = field(default_factory=Contact)
    ai_generated: bool = False
    id: str = ""
    conversation_id: str = ""

    @property
    def offered(self) -> tuple[Choice, ...]:
        """What is there to go on with where there is no answer yet."""
        if self.options or self.outcome is not Outcome.UNANSWERABLE:
            return self.options
        return tuple(Choice(each, each) for each in self.suggestions)


class Conversations:
    """Keeps what was asked and said. Personal numbers are masked before anything is stored.

    Args:
        idle: how long after the last question a conversation still goes on from it.
    """

    def __init__(
        self,
        db: Database,
        now: Callable[[], datetime] = clock.now,
        *,
        idle: timedelta = timedelta(minutes=30),
    ) -> None:
        self._db = db
        self._now = now
        self._idle = idle

    def resume(self, question: Question) -> tuple[Question, Context]:
        """A question with what its conversation is about.

        A conversation of another channel, person or system is nobody else's to go on with: the
        question then begins one of its own.
        """
        if question.conversation_id is None:
            return question, Context()
        with self._db.reading() as session:
            held = session.get(Conversation, question.conversation_id)
            if held is None:
                return question, Context()
            if (held.channel, held.person, held.system) != _asker(question):
                return replace(question, conversation_id=None), Context()
            fresh = held.context_at and self._now() - held.context_at <= self._idle
            return question, _read(held.context) if fresh else Context()

    def record(
        self, question: Question, answer: Answer, milliseconds: int, context: Context | None = None
    ) -> None:
        """Store one exchange with its citations as they stand; one on record stays as it is.

        Args:
            context: what the conversation is about from now on; None leaves that as it is.
        """
        now = self._now()
        with self._db.transaction() as session:
            if session.get(Exchange, answer.id) is not None:
                return
            held = session.get(Conversation, answer.conversation_id)
            if held is None:
                channel, person, system = _asker(question)
                held = Conversation(
                    id=answer.conversation_id,
                    channel=channel,
                    person=person,
                    system=system,
                    created_at=now,
                )
                session.add(held)
                session.flush()
            if context is not None:
                held.context = guards.mask(json.dumps(asdict(context), ensure_ascii=False))
            held.context_at = now
            session.add(_exchange(question, answer, milliseconds, now))

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
                    given_at=self._now(),
                )
            )

    def latest(self, person: str, *, since: datetime) -> str | None:
        """The conversation in which a person last asked something, if that was not before `since`.

        Args:
            person: their pseudonym.
        """
        with self._db.reading() as session:
            return session.scalar(
                select(Exchange.conversation_id)
                .join(Conversation, Conversation.id == Exchange.conversation_id)
                .where(Conversation.person == person, Exchange.asked_at >= since)
                .order_by(Exchange.asked_at.desc(), Exchange.id)
                .limit(1)
            )

    def spoken_since(self, conversation_id: str, moment: datetime) -> bool:
        """Whether something was asked in a conversation at a moment or after it."""
        with self._db.reading() as session:
            found = session.scalar(
                select(Exchange.id)
                .where(Exchange.conversation_id == conversation_id, Exchange.asked_at >= moment)
                .limit(1)
            )
        return found is not None

    def erase(self, person: str) -> None:
        """Delete all conversations of a person, with what was asked, said and handed over."""
        if not person:
            return  # conversations without a person are everybody's
        with self._db.transaction() as session:
            held = session.scalars(select(Conversation.id).where(Conversation.person == person))
            _delete(session, held.all())

    def erase_one(self, conversation_id: str) -> None:
        """Delete one conversation, with what was asked, said and handed over."""
        with self._db.transaction() as session:
            _delete(session, [conversation_id])


def _exchange(question: Question, answer: Answer, milliseconds: int, now: datetime) -> Exchange:
    entry = answer.entry.entry if answer.entry else None
    return Exchange(
        id=answer.id,
        conversation_id=answer.conversation_id,
        system=question.system,
        question=guards.mask(question.text),
        understood=guards.mask(answer.understood),
        region_code=question.region,
        as_of=question.as_of,
        outcome=answer.outcome.value,
        text=answer.text,
        ai_generated=answer.ai_generated,
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


def _asker(question: Question) -> tuple[str, str, str]:
    """Whose a conversation is: channel, person and system."""
    return question.channel[:32], question.person, question.system


def _read(context: str) -> Context:
    if not context:
        return Context()
    held = json.loads(context)
    choices = tuple(Choice(**each) for each in held.pop("choices"))
    return Context(matter=Matter(**held.pop("matter")), choices=choices, **held)


def _delete(session: Session, conversations: Sequence[str]) -> None:
    exchanges = select(Exchange.id).where(Exchange.conversation_id.in_(conversations))
    handoffs = select(Handoff.id).where(Handoff.conversation_id.in_(conversations))
    for statement in (
        delete(Feedback).where(Feedback.exchange_id.in_(exchanges)),
        delete(CitedClause).where(CitedClause.exchange_id.in_(exchanges)),
        delete(Exchange).where(Exchange.conversation_id.in_(conversations)),
        delete(HandoffMessage).where(HandoffMessage.handoff_id.in_(handoffs)),
        delete(Handoff).where(Handoff.conversation_id.in_(conversations)),
        delete(Conversation).where(Conversation.id.in_(conversations)),
    ):
        session.execute(statement, execution_options={"synchronize_session": False})
