"""One delivery, one answer: who answers a message of a platform, when, and who says it.

Hides threads, waiting and the platforms' patience. A message is answered once, in a bounded pool
of threads. The request that delivered it waits as long as the platform does, and then:

- the platform lets words be sent later: it is told that the message came in, and whoever finishes
  the answer sends it;
- it does not: the request is left unanswered, and the platform's own retry collects the reply;
- that was its last try: the person is asked to write again, and gets the reply then.

A process may die at any of these points: its claims lapse, and another takes them over.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from service import wording
from service.channels import (
    Channel,
    Delivery,
    Kind,
    Message,
    Reply,
    Response,
    Undelivered,
)
from service.dialogue import number_in
from service.errors import NotReady
from service.inbound import Claim, InboundLog, Letter
from service.replies import Replies, problem_reply

log = logging.getLogger(__name__)

# Messages in hand at once, waiting for a thread included; others wait in the database.
ROOM = 64
SENDERS = 2
# A request waits this long whatever the load; longer only while few others do.
EVERYBODY_WAITS = 1.0
# How often a request looks for a reply that another process is making.
POLL = 0.05
# A retry is waited for past the platform's patience, since hanging up first would end the tries.
OVERTIME = 1.5
# A question that could not be answered by now, whoever tried, never will be.
GIVE_UP = timedelta(minutes=5)
TIDY_EVERY = 60.0


class Inbox:
    """Answers the deliveries of all channels.

    Args:
        channels: by name.
        threads: questions answered side by side, and requests that wait for long.
    """

    def __init__(
        self,
        rows: InboundLog,
        channels: Mapping[str, Channel],
        replies: Replies,
        *,
        threads: int = 4,
    ) -> None:
        self._rows = rows
        self._channels = channels
        self._replies = replies
        self._answering = ThreadPoolExecutor(threads, thread_name_prefix="answering")
        self._sending = ThreadPoolExecutor(SENDERS, thread_name_prefix="sending")
        self._patient = threading.Semaphore(threads)
        self._lock = threading.Lock()
        # Claims in hand, and what tells waiting requests that they are done.
        self._held: dict[int, tuple[Claim, threading.Event]] = {}
        self._renewed = self._tidied = time.monotonic()

    def receive(
        self, name: str, delivery: Delivery, *, hung_up: Callable[[], bool] = lambda: False
    ) -> Response:
        """The response to a delivery.

        Args:
            name: of a channel that is there.
            hung_up: whether the platform is known to listen no more.

        Raises:
            Rejected: it is not genuine, or not readable; nothing was done.
            NotReady: there is no reply yet; the platform will try again.
        """
        began = time.monotonic()
        channel = self._channels[name]
        message = channel.receive(delivery)
        if isinstance(message, Response):
            return message
        if message.kind is Kind.SILENT:
            return channel.acknowledge(message)
        if message.kind is Kind.LEFT:
            self._forget(self._rows.person(channel.name, channel.account, message.user))
            return channel.acknowledge(message)
        letter = self._note(channel, message)
        if channel.capability.passive:
            visit = _Visit(channel, message, began, hung_up)
            return self._respond(visit, letter)
        if letter.ready:
            self._sending.submit(self._push_unsaid, letter.id)
        return channel.acknowledge(message)

    def job(self) -> bool:
        """A background step: finish what others left undone, send what is unsaid, tidy up.

        Returns:
            Whether there may be more at once.
        """
        now = time.monotonic()
        if now - self._renewed >= self._rows.lease.total_seconds() / 3:
            self._renewed = now
            self._renew()
        if now - self._tidied >= TIDY_EVERY:
            self._tidied = now
            self._rows.tidy()
        took = self._take_over()
        for id, name, received_at in self._rows.unsaid(list(self._channels)):
            if self._is_due(name, received_at) and self._has_room():
                self._take_push(id)
        return took

    def close(self) -> None:
        """Finish what is in hand; what waits in the database is left to others."""
        self._answering.shutdown(cancel_futures=True)
        self._sending.shutdown(cancel_futures=True)

    def _note(self, channel: Channel, message: Message) -> Letter:
        """The row of a message; a new one is on its way to an answer."""
        source = (channel.name, channel.account)
        if message.kind is Kind.ARRIVED:
            return self._rows.receive_answered(source, message, reply=self._replies.welcome())
        if message.kind is Kind.OTHER:
            return self._rows.receive_answered(source, message, reply=Reply(wording.PLEASE_WRITE))
        problem = problem_reply(message.text)
        if problem is not None:
            return self._rows.receive_answered(source, message, reply=problem)
        if number_in(message.text) and self._rows.waits(self._rows.person(*source, message.user)):
            still = Reply(wording.STILL_LOOKING)
            return self._rows.receive_answered(source, message, reply=still, instead=True)
        letter, claim = self._rows.receive(
            source, message, question=message.text, claim=self._has_room()
        )
        if claim is not None:
            self._start(claim)
        return letter

    def _respond(self, visit: "_Visit", letter: Letter) -> Response:
        channel, message, can = visit.channel, visit.message, visit.channel.capability
        # Hanging up before the platform does might end its tries; answering after it did is lost.
        again = letter.deliveries < can.tries and not letter.pushable
        until = visit.began + can.patience * (OVERTIME if again else 1.0)
        waited = self._wait(letter, began=visit.began, until=until)
        if waited and visit.in_time():
            reply = self._rows.speak(letter.id)
            if visit.in_time():
                return channel.render(message, reply) if reply else channel.acknowledge(message)
        # This response will not be seen, nor was an earlier one, or else nobody would ask again.
        self._rows.retract(letter)
        if letter.pushable:
            return channel.acknowledge(message)
        if again and waited is not None:
            time.sleep(max(0.0, until - time.monotonic()))
            raise NotReady("还没有查到，请稍后再试")
        if self._rows.postpone(letter.id):
            return channel.render(message, Reply(wording.STILL_LOOKING))
        return channel.acknowledge(message)

    def _wait(self, letter: Letter, *, began: float, until: float) -> bool | None:
        """Whether the reply is there by the end; None when too many requests wait already."""
        if letter.ready:
            return True
        if self._ready_by(letter.id, min(until, began + EVERYBODY_WAITS)):
            return True
        if until <= began + EVERYBODY_WAITS:
            return False
        if not self._patient.acquire(blocking=False):
            return None
        try:
            return self._ready_by(letter.id, until)
        finally:
            self._patient.release()

    def _ready_by(self, id: int, until: float) -> bool:
        while True:
            with self._lock:
                held = self._held.get(id)
            left = until - time.monotonic()
            if held is not None and left > 0:
                held[1].wait(left)
            letter = self._rows.read(id)
            if letter is None or letter.ready:
                return letter is not None
            if time.monotonic() >= until:
                return False
            if letter.abandoned and self._has_room():
                claim = self._rows.claim(id)
                if claim is not None:
                    self._start(claim)
                    continue
            time.sleep(min(POLL, max(0.0, until - time.monotonic())))

    def _start(self, claim: Claim) -> None:
        self._hold(claim)
        self._answering.submit(self._answer, claim)

    def _answer(self, claim: Claim) -> None:
        """Answer a claimed message; runs in the pool."""
        try:
            now = self._rows.now()
            if now - claim.received_at > GIVE_UP:
                reply, conversation = Reply(wording.TRY_AGAIN), ""
            else:
                reply, conversation = self._replies.answer(claim, now)
            if not self._rows.answered(claim, reply) and self._rows.erased(claim.id):
                # The person left in the meantime: the record of this answer goes as well.
                self._replies.erase_one(conversation)
        except Exception:
            # The claim lapses, and the message is taken up again.
            log.exception("keeping a reply failed")
        finally:
            self._release(claim)
        if self._is_due(claim.channel, claim.received_at):
            self._push_unsaid(claim.id)

    def _hold(self, claim: Claim) -> None:
        with self._lock:
            self._held[claim.id] = (claim, threading.Event())

    def _release(self, claim: Claim) -> None:
        with self._lock:
            _, done = self._held.pop(claim.id)
        done.set()

    def _is_due(self, name: str, received_at: datetime) -> bool:
        """Whether nobody waits any more for the reply to a message, so that it is to be sent."""
        channel = self._channels.get(name)
        if channel is None or not channel.capability.push:
            return False
        waited = self._rows.now() - received_at
        return not channel.capability.passive or waited > timedelta(
            seconds=channel.capability.patience
        )

    def _push_unsaid(self, id: int) -> None:
        try:
            claim = self._rows.claim_push(id)
            if claim is not None:
                self._hold(claim)
                self._push(claim)
        except Exception:
            log.exception("sending a reply failed")

    def _take_push(self, id: int) -> None:
        claim = self._rows.claim_push(id)
        if claim is not None:
            self._hold(claim)
            self._sending.submit(self._push, claim)

    def _push(self, claim: Claim) -> None:
        """Send a claimed reply. One that fails on the way is sent again, under the same key."""
        try:
            channel = self._channels.get(claim.channel)
            if channel is None or channel.account != claim.account or not claim.reply_to:
                self._rows.not_pushed(claim, permanent=True)
                return
            if claim.reply is not None:
                channel.push(claim.reply_to, claim.reply, key=claim.answer_id)
            self._rows.pushed(claim)
        except Undelivered as error:
            log.warning(
                "platform did not take a reply",
                extra={"channel": claim.channel, "reason": str(error)},
            )
            self._rows.not_pushed(claim, permanent=error.permanent)
        except Exception:
            log.exception("sending a reply failed")
            self._rows.not_pushed(claim, permanent=False)
        finally:
            self._release(claim)

    def _take_over(self) -> bool:
        took = False
        for id in self._rows.abandoned():
            if not self._has_room():
                return False
            claim = self._rows.claim(id)
            if claim is not None:
                self._start(claim)
                took = True
        return took

    def _renew(self) -> None:
        with self._lock:
            tokens = [claim.token for claim, _ in self._held.values()]
        if tokens:
            self._rows.renew(tokens)

    def _has_room(self) -> bool:
        with self._lock:
            return len(self._held) < ROOM

    def _forget(self, person: str) -> None:
        self._rows.erase(person)
        self._replies.erase(person)


@dataclass(frozen=True)
class _Visit:
    """One delivery that waits for words.

    Attributes:
        began: when it came in, on the monotonic clock.
    """

    channel: Channel
    message: Message
    began: float
    hung_up: Callable[[], bool]

    def in_time(self) -> bool:
        """Whether a response now would still be read."""
        patience = self.channel.capability.patience
        return time.monotonic() - self.began <= patience and not self.hung_up()
