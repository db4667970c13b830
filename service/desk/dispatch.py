"""Operators' words → the person's own channel; hides leases, retries and the seal.

Words of one conversation go out in their order. Where to send them is erased once the
conversation is over and the last of them is settled.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session, aliased

from kb.db import Database
from service import wording
from service.channels import Channel, Reply, Undelivered
from service.models import Handoff, HandoffMessage
from service.sealing import Sealer

log = logging.getLogger(__name__)

CLOSED = "closed"
# How far an operator's words into a channel got.
FETCHED, PENDING, SENT, FAILED = "", "pending", "sent", "failed"
# Whoever sends words has this long; then another process may send them.
LEASE = timedelta(seconds=60)
# Waits before words that a platform did not take are sent again; after the last one they failed.
RETRIES = tuple(timedelta(seconds=each) for each in (2, 10, 30, 120, 300))


class Dispatch:
    """Sends pending words one at a time; several processes may do so side by side."""

    def __init__(
        self,
        db: Database,
        sealer: Sealer,
        channels: Mapping[str, Channel],
        now: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._sealer = sealer
        self._channels = channels
        self._now = now

    def step(self) -> bool:
        """Send the oldest words that are due; whether there may be more at once."""
        now = self._now()
        taken = self._take(now)
        if taken is None:
            return False
        message, handoff = taken
        state, wait = SENT, timedelta()
        try:
            self._push(message, handoff)
        except Undelivered as error:
            log.warning("operator's words not delivered: %s", error)
            if error.permanent or message.attempts >= len(RETRIES):
                state = FAILED
            else:
                state, wait = PENDING, RETRIES[message.attempts]
        except Exception:
            # The fault is ours; the operator must know that nobody has read these words.
            log.exception("sending operator's words failed")
            state = FAILED
        self._settle(message, state, now + wait)
        return True

    def _take(self, now: datetime) -> tuple[HandoffMessage, Handoff] | None:
        """The oldest pending words that are due, not to be taken by anyone else for a while."""
        earlier = aliased(HandoffMessage)
        first = ~(
            select(earlier.id)
            .where(
                earlier.handoff_id == HandoffMessage.handoff_id,
                earlier.delivery == PENDING,
                earlier.id < HandoffMessage.id,
            )
            .exists()
        )
        pending = (
            select(HandoffMessage, Handoff)
            .join(Handoff, Handoff.id == HandoffMessage.handoff_id)
            .where(HandoffMessage.delivery == PENDING, HandoffMessage.due_at <= now, first)
            .order_by(HandoffMessage.id)
            .limit(1)
        )
        with self._db.reading() as session:
            found = session.execute(pending).first()
        if found is None:
            return None
        message, handoff = found
        with self._db.transaction() as session:
            taken = session.execute(
                update(HandoffMessage)
                .where(
                    HandoffMessage.id == message.id,
                    HandoffMessage.delivery == PENDING,
                    HandoffMessage.due_at == message.due_at,
                )
                .values(due_at=now + LEASE)
            )
        return (message, handoff) if count(taken) else None

    def _push(self, message: HandoffMessage, handoff: Handoff) -> None:
        channel = self._channels.get(handoff.channel)
        if channel is None or not channel.capability.push:
            raise Undelivered("channel is not there any more", permanent=True)
        try:
            reply_to = self._sealer.open(handoff.reply_to)
        except ValueError as error:
            raise Undelivered(str(error), permanent=True) from error
        lead = wording.FROM_OPERATOR if message.author == "operator" else ""
        channel.push(reply_to, Reply(f"{lead}{message.text}"), key=f"h{message.id}")

    def _settle(self, message: HandoffMessage, state: str, due_at: datetime) -> None:
        with self._db.transaction() as session:
            session.execute(
                update(HandoffMessage)
                .where(HandoffMessage.id == message.id, HandoffMessage.delivery == PENDING)
                .values(delivery=state, due_at=due_at, attempts=HandoffMessage.attempts + 1)
            )
            forget_address(session, message.handoff_id)


def forget_address(session: Session, handoff_id: int) -> None:
    """Erase the address of a closed conversation once nothing is to be sent there."""
    pending = select(HandoffMessage.id).where(
        HandoffMessage.handoff_id == handoff_id, HandoffMessage.delivery == PENDING
    )
    session.execute(
        update(Handoff)
        .where(Handoff.id == handoff_id, Handoff.state == CLOSED, ~pending.exists())
        .values(reply_to="")
    )


def count(result: Any) -> int:
    """How many rows a statement has changed."""
    return cast(CursorResult[Any], result).rowcount
