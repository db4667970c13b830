"""Signed-in browsers: how long they last and how many one person may have.

Hides that the base knows a token by its hash alone.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from kb.db import Database
from service.models import UserSession

# How long one may take for the second step of signing in.
SECOND_STEP = timedelta(minutes=5)

_SEEN_NOTED_EVERY = timedelta(minutes=1)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_KEY_DIGITS = 16


@dataclass(frozen=True)
class Rules:
    """How long sessions and passwords last, and who needs a second factor.

    Attributes:
        idle: a session ends when nothing is done for so long.
        longest: and in any case so long after signing in.
        sessions: how many one person may have; the oldest ends when there are more.
        password: after so long a new password is due; zero for never.
        second_factor: off, optional, or admin: administrators must have one.
    """

    idle: timedelta = timedelta(minutes=30)
    longest: timedelta = timedelta(hours=12)
    sessions: int = 3
    password: timedelta = timedelta(days=90)
    second_factor: str = "optional"


@dataclass(frozen=True)
class OpenSession:
    """A session as its person sees it.

    Attributes:
        key: names it in forms; opens nothing.
        here: it is the one that asks.
    """

    key: str
    address: str
    created_at: datetime
    seen_at: datetime
    here: bool


class Sessions:
    """All sessions of one installation.

    Args:
        now: the clock; aware times.
    """

    def __init__(self, db: Database, rules: Rules, now: Callable[[], datetime]) -> None:
        self._db = db
        self.rules = rules
        self.now = now

    def begin(self, session: Session, user_id: int, *, address: str) -> tuple[str, int]:
        """A new session: its token, and how many others ended because they were too many."""
        surplus = self._make_room(session, user_id)
        return self._add(session, user_id, address=address, pending=False), surplus

    def begin_pending(self, session: Session, user_id: int, *, address: str) -> str:
        """The token of a session that opens nothing but the second step of signing in."""
        self._clear(session)
        return self._add(session, user_id, address=address, pending=True)

    def find(self, session: Session, token: str, *, pending: bool = False) -> UserSession | None:
        """The session of a token; None when there is none, or it has run out."""
        found = session.get(UserSession, _hash(token)) if _TOKEN.fullmatch(token) else None
        if found is None or found.pending != pending or self._over(found):
            return None
        return found

    def seen(self, found: UserSession) -> None:
        """The person did something: the idle time begins anew."""
        now = self.now()
        if now - found.seen_at >= _SEEN_NOTED_EVERY:
            with self._db.transaction() as session:
                session.execute(
                    update(UserSession).where(UserSession.id == found.id).values(seen_at=now)
                )

    def of(self, user_id: int, token: str) -> list[OpenSession]:
        """The open sessions of a person, the latest first; `token` tells which one asks."""
        with self._db.reading() as session:
            own = select(UserSession).where(UserSession.user_id == user_id, ~UserSession.pending)
            rows = session.scalars(own.order_by(UserSession.seen_at.desc())).all()
        return [
            OpenSession(
                each.id[:_KEY_DIGITS], each.address, each.created_at, each.seen_at,
                here=each.id == _hash(token),
            )
            for each in rows
            if not self._over(each)
        ]  # fmt: skip

    def end(self, session: Session, user_id: int, *, but: str = "", key: str = "") -> int:
        """End sessions of an account; how many there were.

        Args:
            but: a token whose session goes on.
            key: of the only one to end; empty for all.
        """
        own = select(UserSession.id).where(UserSession.user_id == user_id)
        held = [
            each for each in session.scalars(own) if each != _hash(but) and each.startswith(key)
        ]
        session.execute(delete(UserSession).where(UserSession.id.in_(held)))
        return len(held)

    def end_one(self, session: Session, token: str) -> int | None:
        """End a session, pending or not; whose it was, by number."""
        found = session.get(UserSession, _hash(token))
        if found is None:
            return None
        session.delete(found)
        return found.user_id

    def _add(self, session: Session, user_id: int, *, address: str, pending: bool) -> str:
        now, token = self.now(), new_token()
        session.add(
            UserSession(
                id=_hash(token),
                user_id=user_id,
                created_at=now,
                seen_at=now,
                pending=pending,
                address=address[:64],
            )
        )
        return token

    def _clear(self, session: Session) -> None:
        """Forget those that have run out."""
        now, rules = self.now(), self.rules
        session.execute(
            delete(UserSession).where(
                or_(
                    UserSession.seen_at <= now - rules.idle,
                    UserSession.created_at <= now - rules.longest,
                    UserSession.pending & (UserSession.created_at <= now - SECOND_STEP),
                )
            )
        )

    def _make_room(self, session: Session, user_id: int) -> int:
        self._clear(session)
        own = select(UserSession.id).where(UserSession.user_id == user_id, ~UserSession.pending)
        latest = own.order_by(UserSession.created_at.desc(), UserSession.id)
        surplus = session.scalars(latest.offset(self.rules.sessions - 1)).all()
        if surplus:
            session.execute(delete(UserSession).where(UserSession.id.in_(surplus)))
        return len(surplus)

    def _over(self, found: UserSession) -> bool:
        now = self.now()
        longest = SECOND_STEP if found.pending else self.rules.longest
        return now - found.seen_at >= self.rules.idle or now - found.created_at >= longest


def new_token() -> str:
    """A token that opens nothing until a session is begun with it."""
    return secrets.token_urlsafe(32)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
