"""Messages of platforms and the one reply to each, as rows; hides SQL, leases and seals.

Every step is one compare-and-set, so that of several processes only one takes it:

    received ─ claim → answering ─ answered → answered ─ speak, pushed → said

A claim that was not renewed within the lease belongs to a process that died: another may take it.
Who speaks is decided once, by whoever sets `said_by`:

    passive   the response to a delivery; it answers every later delivery of the message too
    push      the platform's interface for sending; on its way until the state is "said"
    later     nobody yet: this person's next message will be answered with it
    next      the reply to another message, which began with it
    nobody    there is nothing to say, or the person left
"""

import json
import logging
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from kb.db import Database
from service import guards
from service.channels import Message, Option, Reply
from service.models import Inbound
from service.sealing import Sealer

log = logging.getLogger(__name__)

RECEIVED, ANSWERING, ANSWERED, SAID = "received", "answering", "answered", "said"
PASSIVE, PUSH, LATER, NEXT, NOBODY = "passive", "push", "later", "next", "nobody"

LEASE = timedelta(seconds=10)
# Platforms send a message again up to seven hours later.
KEPT = timedelta(hours=24)
# Words that could not be said wait this long for the person to write again.
KEPT_UNSAID = timedelta(hours=48)
# After this time a platform's own tries are over for certain.
TRIED = timedelta(minutes=1)
PUSHED_FOR = timedelta(hours=1)
LONGEST_PAUSE = timedelta(minutes=10)
BATCH = 50


@dataclass(frozen=True)
class Letter:
    """A message as it stands.

    Attributes:
        deliveries: how often it was delivered so far.
        ready: there is a reply, or nothing to say.
        abandoned: nobody is answering it: its claim, if any, has lapsed.
        pushable: words can be sent to its writer later.
    """

    id: int
    deliveries: int
    ready: bool
    abandoned: bool
    pushable: bool


@dataclass(frozen=True)
class Claim:
    """The right to answer a message, or to push the reply to it.

    Attributes:
        question: masked; empty where the reply is to be pushed, or the seal does not open.
        answer_id: the same whoever answers the message; 32 characters of [0-9a-f].
        reply_to: empty where nothing can be sent later.
        reply: present where it is to be pushed.
    """

    id: int
    token: str
    channel: str
    account: str
    person: str
    question: str = field(repr=False)
    answer_id: str
    reply_to: str = field(repr=False)
    received_at: datetime
    reply: Reply | None = None


class InboundLog:
    """The messages of all platforms.

    Args:
        lease: how long a claim holds without being renewed; None for `LEASE`. Clocks of processes
            that share a database must agree better than this.
    """

    def __init__(
        self,
        db: Database,
        sealer: Sealer,
        now: Callable[[], datetime],
        *,
        lease: timedelta | None = None,
    ) -> None:
        self._db = db
        self._sealer = sealer
        self._insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[db.dialect]
        self.now = now
        self.lease = lease or LEASE

    def person(self, channel: str, account: str, user: str) -> str:
        """The pseudonym of a person on a channel."""
        return self._sealer.pseudonym("person", channel, account, user)

    def receive(
        self, source: tuple[str, str], message: Message, *, question: str, claim: bool
    ) -> tuple[Letter, Claim | None]:
        """Note a delivery of a message that asks something.

        Args:
            source: name and account of the channel.
            question: what is to be answered.
            claim: take the claim of a message that is new.

        Returns:
            The message, and the claim of it where it was taken.
        """
        with self._db.transaction() as session:
            row, new = self._note(session, source, message)
            if not new:
                return self._letter(row), None
            row.question = self._sealer.seal(guards.mask(question))
            session.flush()
            return self._letter(row), self._claim(session, row.id) if claim else None

    def receive_answered(
        self, source: tuple[str, str], message: Message, *, reply: Reply, instead: bool = False
    ) -> Letter:
        """Note a delivery of a message whose reply is known at once.

        Args:
            instead: replies that waited for this message take the place of `reply`.
        """
        with self._db.transaction() as session:
            row, new = self._note(session, source, message)
            if new:
                kept = self._collected(session, row)
                row.state = ANSWERED
                row.reply = _written(_merged(kept, None if instead and kept else reply))
            return self._letter(row)

    def read(self, id: int) -> Letter | None:
        """A message as it stands now; None when it is gone."""
        with self._db.reading() as session:
            row = session.get(Inbound, id)
            return self._letter(row) if row else None

    def claim(self, id: int) -> Claim | None:
        """Take the right to answer a message that nobody is answering."""
        with self._db.transaction() as session:
            return self._claim(session, id)

    def renew(self, tokens: Collection[str]) -> None:
        """Say that the holder of these claims is alive."""
        with self._db.transaction() as session:
            session.execute(
                update(Inbound).where(Inbound.claim.in_(tokens)).values(claimed_at=self.now()),
                execution_options={"synchronize_session": False},
            )

    def answered(self, claim: Claim, reply: Reply) -> bool:
        """Keep the reply to a message, which begins with what the person was still to be told.

        Args:
            reply: one without words says nothing.

        Returns:
            False when the claim was lost.
        """
        with self._db.transaction() as session:
            row = _take(
                session,
                (Inbound.id == claim.id, Inbound.claim == claim.token, Inbound.state == ANSWERING),
                state=ANSWERED,
                claim="",
                question="",
            )
            if row is None:
                return False
            if reply.text:
                row.reply = _written(_merged(self._collected(session, row), reply))
            else:
                _said(row, NOBODY, self.now())
            return True

    def speak(self, id: int) -> Reply | None:
        """The words for the response to a delivery; None when somebody else says them."""
        with self._db.transaction() as session:
            row = _take(
                session,
                (
                    Inbound.id == id,
                    Inbound.state == ANSWERED,
                    Inbound.said_by.in_(("", LATER)),
                ),
                said_by=PASSIVE,
            )
            if row is not None:
                _said(row, PASSIVE, self.now())
            else:
                row = session.get(Inbound, id)
            return _read(row.reply) if row and row.said_by == PASSIVE else None

    def postpone(self, id: int) -> bool:
        """Leave the reply for the person's next message; False when somebody says it already."""
        with self._db.transaction() as session:
            row = _take(
                session,
                (Inbound.id == id, Inbound.state != SAID, Inbound.said_by.in_(("", LATER))),
                said_by=LATER,
            )
            return row is not None

    def retract(self, letter: Letter) -> None:
        """An earlier response was not seen: its reply is to be said, unless a later one says it."""
        where = (
            Inbound.id == letter.id,
            Inbound.state == SAID,
            Inbound.said_by == PASSIVE,
            Inbound.deliveries == letter.deliveries,
        )
        with self._db.transaction() as session:
            _take(session, where, state=ANSWERED, said_by="")

    def claim_push(self, id: int) -> Claim | None:
        """Take the right to push a reply that nobody says, or whose pusher died or failed."""
        now = self.now()
        with self._db.transaction() as session:
            row = _take(
                session,
                (
                    Inbound.id == id,
                    Inbound.state == ANSWERED,
                    Inbound.reply_to != "",
                    self._unsaid(now),
                ),
                said_by=PUSH,
                claim=uuid.uuid4().hex,
                claimed_at=now,
            )
            return self._claim_of(row) if row else None

    def pushed(self, claim: Claim) -> None:
        """The platform took the words."""
        with self._db.transaction() as session:
            row = _take(session, (Inbound.id == claim.id, Inbound.claim == claim.token), claim="")
            if row is not None:
                _said(row, PUSH, self.now())

    def not_pushed(self, claim: Claim, *, permanent: bool) -> None:
        """The platform did not take the words: try again after a pause that grows, or keep them."""
        now = self.now()
        age = now - claim.received_at
        if permanent or age > PUSHED_FOR:
            change: dict[str, Any] = {"said_by": LATER, "reply_to": "", "claim": ""}
        else:
            # As if claimed a little in the future: the lease runs out after the pause.
            change = {"claim": "", "claimed_at": now + min(age, LONGEST_PAUSE)}
        with self._db.transaction() as session:
            _take(session, (Inbound.id == claim.id, Inbound.claim == claim.token), **change)

    def abandoned(self) -> Sequence[int]:
        """Messages that nobody is answering, oldest first."""
        with self._db.reading() as session:
            return session.scalars(
                select(Inbound.id).where(self._free()).order_by(Inbound.id).limit(BATCH)
            ).all()

    def unsaid(self, channels: Collection[str]) -> Sequence[tuple[int, str, datetime]]:
        """Replies to be pushed, as (id, channel, when the message came in), oldest first."""
        with self._db.reading() as session:
            rows = session.execute(
                select(Inbound.id, Inbound.channel, Inbound.received_at)
                .where(
                    Inbound.channel.in_(channels),
                    Inbound.state == ANSWERED,
                    Inbound.reply_to != "",
                    self._unsaid(self.now()),
                )
                .order_by(Inbound.id)
                .limit(BATCH)
            )
            return [(row.id, row.channel, row.received_at) for row in rows]

    def waits(self, person: str) -> bool:
        """Whether a person was told to write again for an answer."""
        with self._db.reading() as session:
            found = session.scalar(
                select(Inbound.id)
                .where(Inbound.person == person, Inbound.said_by == LATER, Inbound.state != SAID)
                .limit(1)
            )
        return found is not None

    def erase(self, person: str) -> None:
        """Forget who wrote and what they were told; later deliveries stay known as such."""
        with self._db.transaction() as session:
            session.execute(
                update(Inbound)
                .where(Inbound.person == person)
                .values(
                    person="", question="", reply="", reply_to="", claim="",
                    state=SAID, said_by=NOBODY,
                ),
                execution_options={"synchronize_session": False},
            )  # fmt: skip

    def erased(self, id: int) -> bool:
        """Whether the writer of a message has left since."""
        with self._db.reading() as session:
            row = session.get(Inbound, id)
            return row is None or not row.person

    def tidy(self) -> None:
        """Drop what no platform delivers again and nobody waits for."""
        now = self.now()
        over = (Inbound.said_by == PASSIVE, Inbound.said_at < now - TRIED, Inbound.reply_to != "")
        with self._db.transaction() as session:
            session.execute(
                update(Inbound).where(*over).values(reply_to=""),
                execution_options={"synchronize_session": False},
            )
            session.execute(
                delete(Inbound).where(
                    or_(
                        Inbound.received_at < now - KEPT_UNSAID,
                        and_(Inbound.state == SAID, Inbound.received_at < now - KEPT),
                    )
                ),
                execution_options={"synchronize_session": False},
            )

    def _note(
        self, session: Session, source: tuple[str, str], message: Message
    ) -> tuple[Inbound, bool]:
        """The row of a message, and whether it is new."""
        channel, account = source
        identity = {"channel": channel, "account": account, "key": message.key}
        table = Inbound.__table__
        inserted = session.execute(
            self._insert(table)
            .values(
                **identity,
                person=self.person(channel, account, message.user),
                reply_to=self._sealer.seal(message.reply_to),
                received_at=self.now(),
            )
            .on_conflict_do_nothing(index_elements=list(identity))
            .returning(table.c.id)
        ).scalar()
        row = session.scalars(select(Inbound).filter_by(**identity)).one()
        if inserted is None:
            row.deliveries = Inbound.deliveries + 1
            session.flush()
        return row, inserted is not None

    def _letter(self, row: Inbound) -> Letter:
        lapsed = row.claimed_at is None or row.claimed_at < self.now() - self.lease
        return Letter(
            id=row.id,
            deliveries=row.deliveries,
            ready=row.state in (ANSWERED, SAID),
            abandoned=row.state == RECEIVED or (row.state == ANSWERING and lapsed),
            pushable=bool(row.reply_to) or row.said_by == PUSH,
        )

    def _free(self) -> ColumnElement[bool]:
        lapsed = Inbound.claimed_at < self.now() - self.lease
        return or_(Inbound.state == RECEIVED, and_(Inbound.state == ANSWERING, lapsed))

    def _unsaid(self, now: datetime) -> ColumnElement[bool]:
        lapsed = Inbound.claimed_at < now - self.lease
        return or_(Inbound.said_by == "", and_(Inbound.said_by == PUSH, lapsed))

    def _claim(self, session: Session, id: int) -> Claim | None:
        row = _take(
            session,
            (Inbound.id == id, self._free()),
            state=ANSWERING,
            claim=uuid.uuid4().hex,
            claimed_at=self.now(),
        )
        return self._claim_of(row) if row else None

    def _claim_of(self, row: Inbound) -> Claim:
        return Claim(
            id=row.id,
            token=row.claim,
            channel=row.channel,
            account=row.account,
            person=row.person,
            question=self._opened(row.question),
            answer_id=self._sealer.pseudonym("answer", row.channel, row.account, row.key),
            reply_to=self._opened(row.reply_to),
            received_at=row.received_at,
            reply=_read(row.reply) if row.reply else None,
        )

    def _opened(self, sealed: str) -> str:
        try:
            return self._sealer.open(sealed)
        except ValueError:
            log.warning("sealed with another key")
            return ""

    def _collected(self, session: Session, row: Inbound) -> list[Reply]:
        """Take the replies that wait for a person's next message, which `row` is."""
        tried = and_(
            Inbound.said_by == "", Inbound.reply_to == "", Inbound.received_at < self.now() - TRIED
        )
        theirs = (Inbound.person == row.person, Inbound.id != row.id, Inbound.state == ANSWERED)
        waiting = session.scalars(
            select(Inbound.id)
            .where(*theirs, or_(Inbound.said_by == LATER, tried))
            .order_by(Inbound.id)
        ).all()
        replies = []
        for id in waiting:
            unsaid = Inbound.said_by.in_(("", LATER))
            kept = _take(session, (Inbound.id == id, *theirs, unsaid), said_by=NEXT)
            if kept is not None:
                _said(kept, NEXT, self.now())
                replies.append(_read(kept.reply))
        return replies


def _take(session: Session, where: Sequence[Any], **values: Any) -> Inbound | None:
    """Change the one row that is in the state wanted; None when none is, or another was faster."""
    statement = update(Inbound).where(*where).values(**values).returning(Inbound)
    return session.scalars(
        statement, execution_options={"synchronize_session": False, "populate_existing": True}
    ).one_or_none()


def _said(row: Inbound, by: str, now: datetime) -> None:
    row.state, row.said_by, row.said_at = SAID, by, now
    # Where to reach the person is needed no more, unless a response turns out to be lost.
    if by != PASSIVE:
        row.reply_to = ""


def _merged(kept: Sequence[Reply], own: Reply | None) -> Reply:
    """One reply that says what was kept, then the own words; `kept` or `own` is not empty."""
    parts = [*kept, *([own] if own else [])]
    last = parts[-1]
    if len(parts) == 1:
        return last
    before = [part.short or part.text for part in parts[:-1]]
    return replace(
        last,
        text="\n\n".join([*before, last.text]),
        short="\n\n".join([*before, last.short or last.text]),
        options=next((part.options for part in reversed(parts) if part.options), ()),
        label=next((part.label for part in parts if part.label), ""),
    )


def _written(reply: Reply) -> str:
    return json.dumps(asdict(reply), ensure_ascii=False)


def _read(text: str) -> Reply:
    held = json.loads(text)
    return Reply(**{**held, "options": tuple(Option(**each) for each in held["options"])})
