"""People handed over to operators: who waits, who answers whom, and the words between them.

Hides the tables and the compare-and-set that gives a person to one operator alone. Personal
numbers are masked before anything is stored; where to send words is sealed.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from kb import clock
from kb.db import Database
from kb.errors import Conflict, NotFound
from service import guards, wording
from service.channels import Channel
from service.conversations import Question
from service.desk.dispatch import CLOSED, FETCHED, PENDING, Dispatch, count, forget_address
from service.errors import InvalidRequest
from service.models import Exchange, Handoff, HandoffMessage, User
from service.sealing import Sealer

log = logging.getLogger(__name__)

WAITING, CLAIMED = "waiting", "claimed"
MAX_TEXT = 2000
# A claimed conversation in which nobody has said anything for this long is closed.
IDLE = timedelta(hours=1)
# Deadlines are looked at no more often than this.
SWEEP = timedelta(seconds=20)


@dataclass(frozen=True)
class Words:
    """One message of a handed-over conversation.

    Attributes:
        author: person, operator or system.
        delivery: empty where the person's page fetches it; else pending, sent or failed.
        at: UTC.
    """

    id: int
    author: str
    text: str
    delivery: str
    at: datetime


@dataclass(frozen=True)
class Waiting:
    """A row of the queue.

    Attributes:
        operator: name to show of who has claimed it; empty while it waits.
        said_at: when the person last said something.
        unread: words of the person after the operator's last ones.
    """

    id: int
    channel: str
    question: str
    region_code: str | None
    state: str
    operator_id: int | None
    operator: str
    created_at: datetime
    said_at: datetime
    unread: int


@dataclass(frozen=True)
class Thread:
    """A handed-over conversation: what the service said before, and what was said since."""

    row: Waiting
    before: tuple[tuple[str, str], ...]
    words: tuple[Words, ...]


class Handoffs:
    """The queue of people and the conversations with them.

    Args:
        channels: by name; a conversation of a channel that is not there can only be fetched.
        patience: how long a person waits before being told that nobody is free.
    """

    def __init__(
        self,
        db: Database,
        sealer: Sealer,
        channels: Mapping[str, Channel],
        *,
        patience: timedelta = timedelta(minutes=30),
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._sealer = sealer
        self._channels = channels
        self._dispatch = Dispatch(db, sealer, channels, now)
        self._patience = patience
        self._now = now
        self._swept: datetime | None = None

    def open(self, question: Question, conversation_id: str) -> bool:
        """Put a person into the queue, once; False where an operator could not answer them.

        The conversation must be on record already.
        """
        reach = question.reach
        if reach is None:
            return False
        if reach.reply_to and question.channel not in self._channels:
            return False
        try:
            with self._db.transaction() as session:
                if _latest(session, conversation_id, state=(WAITING, CLAIMED)) is None:
                    session.add(
                        Handoff(
                            conversation_id=conversation_id,
                            channel=question.channel[:32],
                            account=reach.account[:128],
                            reply_to=self._sealer.seal(reach.reply_to),
                            question=self._asked_before(session, conversation_id, question),
                            region_code=question.region,
                            state=WAITING,
                            created_at=self._now(),
                        )
                    )
        except IntegrityError:
            # The same person asked twice at the same moment; the other one is in the queue.
            log.info("handoff opened twice", extra={"conversation": conversation_id})
        return True

    def said(self, conversation_id: str, text: str) -> bool:
        """Give a person's words to their operator; False when there is none."""
        with self._db.reading() as session:
            # Nearly always there is none; no question should wait for a writer to learn that.
            if _latest(session, conversation_id, state=(CLAIMED,)) is None:
                return False
        with self._db.transaction() as session:
            # Locks the row, so that an operator who leaves now leaves before or after.
            found = session.scalar(
                update(Handoff)
                .where(Handoff.conversation_id == conversation_id, Handoff.state == CLAIMED)
                .values(state=CLAIMED)
                .returning(Handoff.id)
            )
            if found is None:
                return False
            self._add(session, found, "person", text)
        return True

    def messages(self, conversation_id: str, after: int = 0) -> tuple[str, tuple[Words, ...]]:
        """State of a conversation (none, waiting, claimed, closed) and what is new for the person.

        Only what their page must fetch: words that a channel carries are not given out here.
        """
        with self._db.reading() as session:
            latest = _latest(session, conversation_id)
            if latest is None:
                return "none", ()
            rows = session.scalars(
                select(HandoffMessage)
                .join(Handoff, Handoff.id == HandoffMessage.handoff_id)
                .where(
                    Handoff.conversation_id == conversation_id,
                    HandoffMessage.id > after,
                    HandoffMessage.author != "person",
                    HandoffMessage.delivery == FETCHED,
                )
                .order_by(HandoffMessage.id)
            )
            return latest.state, tuple(_words(row) for row in rows)

    def queue(self) -> tuple[Waiting, ...]:
        """Everybody who waits or is being answered; who waits longest comes first."""
        with self._db.reading() as session:
            rows = session.execute(
                _rows().where(Handoff.state != CLOSED).order_by(Handoff.created_at)
            ).all()
        return tuple(_waiting(*row) for row in rows)

    def thread(self, handoff_id: int) -> Thread:
        """A conversation for its operator.

        Raises:
            NotFound: no such one.
        """
        with self._db.reading() as session:
            row = session.execute(_rows().where(Handoff.id == handoff_id)).first()
            if row is None:
                raise NotFound("没有这个会话")
            handoff: Handoff = row[0]
            exchanges = session.execute(
                select(Exchange.question, Exchange.text)
                .where(
                    Exchange.conversation_id == handoff.conversation_id,
                    # What was said to the operator stands in the thread.
                    Exchange.text != "",
                )
                .order_by(Exchange.asked_at)
            )
            words = session.scalars(
                select(HandoffMessage)
                .where(HandoffMessage.handoff_id == handoff_id)
                .order_by(HandoffMessage.id)
            ).all()
            before = tuple((asked, said) for asked, said in exchanges)
        return Thread(_waiting(*row), before, tuple(_words(each) for each in words))

    def claim(self, handoff_id: int, operator_id: int) -> None:
        """Take a waiting person; harmless for who has them already.

        Raises:
            NotFound: no such one.
            Conflict: another operator was quicker, or it is over.
        """
        with self._db.transaction() as session:
            if self._move(
                session,
                Handoff.state == WAITING,
                handoff_id,
                state=CLAIMED,
                operator_id=operator_id,
                claimed_at=self._now(),
            ):
                self._add(session, handoff_id, "system", wording.OPERATOR_HERE)
                return
            handoff = _existing(session, handoff_id)
            if handoff.state == CLOSED:
                raise Conflict("这次会话已经结束")
            if handoff.operator_id != operator_id:
                raise Conflict("已由另一位坐席接待")

    def release(self, handoff_id: int, operator_id: int) -> None:
        """Give a person back to the queue.

        Raises:
            NotFound, Conflict: as `reply`.
        """
        with self._db.transaction() as session:
            self._own(
                session, handoff_id, operator_id, state=WAITING, operator_id=None, claimed_at=None
            )
            self._add(session, handoff_id, "system", wording.OPERATOR_LEFT)

    def reply(self, handoff_id: int, operator_id: int, text: str) -> None:
        """Say something to the person; a bot's person gets it in the chat, within seconds.

        Raises:
            InvalidRequest: no words, or too many.
            NotFound: no such one.
            Conflict: it is not with this operator (any more).
        """
        said = text.replace("\x00", "").strip()
        if not said:
            raise InvalidRequest({"text": "请先写回复内容"})
        if len(said) > MAX_TEXT:
            raise InvalidRequest({"text": f"回复太长了，请控制在{MAX_TEXT}个字以内"})
        with self._db.transaction() as session:
            self._own(session, handoff_id, operator_id, state=CLAIMED)
            self._add(session, handoff_id, "operator", said)

    def close(self, handoff_id: int, operator_id: int) -> None:
        """End it; the person's next words are answered by the service again.

        Raises:
            NotFound, Conflict: as `reply`.
        """
        with self._db.transaction() as session:
            self._own(session, handoff_id, operator_id, state=CLOSED, closed_at=self._now())
            self._end(session, handoff_id, wording.OPERATOR_DONE)

    def sweep(self) -> int:
        """End what has waited, or been silent, for too long; returns how many that were."""
        now = self._now()
        ended = 0
        with self._db.transaction() as session:
            last = (
                select(func.max(HandoffMessage.at))
                .where(HandoffMessage.handoff_id == Handoff.id)
                .scalar_subquery()
            )
            late = {
                wording.OPERATORS_BUSY: (
                    Handoff.state == WAITING,
                    func.coalesce(last, Handoff.created_at) < now - self._patience,
                ),
                wording.OPERATOR_IDLE: (
                    Handoff.state == CLAIMED,
                    func.coalesce(last, Handoff.claimed_at) < now - IDLE,
                ),
            }
            for notice, (state, silent) in late.items():
                for number in session.scalars(select(Handoff.id).where(state, silent)).all():
                    if self._move(session, state, number, state=CLOSED, closed_at=now):
                        self._end(session, number, notice)
                        ended += 1
        return ended

    def deliver(self) -> bool:
        """A background step: send the next words of an operator into the person's own channel.

        Returns:
            Whether there may be more at once.
        """
        now = self._now()
        if self._swept is None or now - self._swept >= SWEEP:
            self._swept = now
            self.sweep()
        return self._dispatch.step()

    def _own(self, session: Session, handoff_id: int, owner: int, **values: object) -> None:
        mine = (Handoff.state == CLAIMED) & (Handoff.operator_id == owner)
        if not self._move(session, mine, handoff_id, **values):
            state = _existing(session, handoff_id).state
            raise Conflict(
                "这次会话已经结束" if state == CLOSED else "请先接待：这个会话现在不在您这里"
            )

    def _move(
        self,
        session: Session,
        condition: ColumnElement[bool],
        handoff_id: int,
        **values: object,
    ) -> bool:
        moved = session.execute(
            update(Handoff).where(Handoff.id == handoff_id, condition).values(**values)
        )
        return count(moved) == 1

    def _end(self, session: Session, handoff_id: int, notice: str) -> None:
        self._add(session, handoff_id, "system", notice)
        forget_address(session, handoff_id)

    def _add(self, session: Session, handoff_id: int, author: str, text: str) -> None:
        handoff = _existing(session, handoff_id)
        now = self._now()
        # That an operator is there shows by itself in a chat, where every message counts.
        pushed = handoff.reply_to and author != "person" and text != wording.OPERATOR_HERE
        session.add(
            HandoffMessage(
                handoff_id=handoff_id,
                author=author,
                text=guards.mask(text)[:MAX_TEXT],
                delivery=PENDING if pushed else FETCHED,
                due_at=now if pushed else None,
                at=now,
            )
        )
        session.flush()

    def _asked_before(self, session: Session, conversation_id: str, question: Question) -> str:
        """What the person wanted before they asked for an operator; else what they said."""
        asked = session.scalars(
            select(Exchange.question)
            .where(Exchange.conversation_id == conversation_id)
            .order_by(Exchange.asked_at.desc())
            .limit(10)
        )
        wanted = (each for each in asked if not guards.small_talk(each))
        return next(wanted, guards.mask(question.text))


def _rows() -> Any:
    """Selects a handoff, its operator's name, when the person last spoke, what is unread."""
    said = select(func.max(HandoffMessage.at)).where(
        HandoffMessage.handoff_id == Handoff.id, HandoffMessage.author == "person"
    )
    theirs = aliased(HandoffMessage)
    answered = (
        select(func.coalesce(func.max(theirs.id), 0))
        .where(theirs.handoff_id == Handoff.id, theirs.author == "operator")
        .correlate(Handoff)
    )
    unread = (
        select(func.count(HandoffMessage.id))
        .where(
            HandoffMessage.handoff_id == Handoff.id,
            HandoffMessage.author == "person",
            HandoffMessage.id > answered.scalar_subquery(),
        )
        .correlate(Handoff)
    )
    return select(
        Handoff,
        func.coalesce(func.nullif(User.display_name, ""), User.name, ""),
        said.scalar_subquery(),
        unread.scalar_subquery(),
    ).outerjoin(User, User.id == Handoff.operator_id)


def _waiting(handoff: Handoff, operator: str, said_at: datetime | None, unread: int) -> Waiting:
    return Waiting(
        id=handoff.id,
        channel=handoff.channel,
        question=handoff.question,
        region_code=handoff.region_code,
        state=handoff.state,
        operator_id=handoff.operator_id,
        operator=operator,
        created_at=handoff.created_at,
        said_at=said_at or handoff.created_at,
        unread=unread,
    )


def _words(row: HandoffMessage) -> Words:
    return Words(row.id, row.author, row.text, row.delivery, row.at)


def _latest(
    session: Session, conversation_id: str, state: Sequence[str] = (WAITING, CLAIMED, CLOSED)
) -> Handoff | None:
    return session.scalar(
        select(Handoff)
        .where(Handoff.conversation_id == conversation_id, Handoff.state.in_(state))
        .order_by(Handoff.id.desc())
        .limit(1)
    )


def _existing(session: Session, handoff_id: int) -> Handoff:
    handoff = session.get(Handoff, handoff_id, populate_existing=True)
    if handoff is None:
        raise NotFound("没有这个会话")
    return handoff
