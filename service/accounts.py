"""People who work with the service: who they are, and whether it is them.

Hides how sessions are kept, when an account is locked, and that an unknown name costs the same
work and gets the same words as a wrong password.
"""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kb.db import Database
from kb.departments import department_named
from kb.errors import Conflict, NotFound
from kb.journal import audit
from kb.models import Department
from service.addresses import subscriber
from service.errors import InvalidRequest, SignInRefused, TooManyRequests
from service.limits import Limits
from service.models import User, UserSession
from service.passwords import Passwords, one_time, weakness

ROLES = {
    "admin": "管理员",
    "editor": "编辑",
    "reviewer": "审核员",
    "operator": "坐席",
    "auditor": "审计员",
}
HOW_TO_BEGIN = "请在服务器上运行 python app.py user add 用户名 --role admin 建立管理员"
TRIES = 5
LOCKED_FOR = timedelta(minutes=15)
# Wrong passwords from one address, whatever the names.
FAILURES_PER_MINUTE = 30

_NAME = re.compile(r"[\w.-]{2,32}")
_SEEN_NOTED_EVERY = timedelta(minutes=1)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_SAYS_NOTHING_MORE = (
    f"用户名或密码不对，或者账号暂时不能用。连续{TRIES}次输错会锁定"
    f"{LOCKED_FOR // timedelta(minutes=1)}分钟；急用请联系管理员。"
)


@dataclass(frozen=True)
class Account:
    """A person who works with the service, as at the moment of reading.

    Attributes:
        name: what they sign in with, in lower case.
        display_name: what others see.
        department: its name; empty for none.
        region_code: None for the whole country.
        state: active, locked or disabled.
        password_due: a new password must be chosen before anything else.
    """

    id: int
    name: str
    display_name: str
    role: str
    department: str
    region_code: str | None
    state: str = "active"
    password_due: bool = False


@dataclass(frozen=True)
class Profile:
    """What an account is made of.

    Attributes:
        department: its name; empty for none.
        region_code: of a known region; None for the whole country.
    """

    name: str
    role: str
    display_name: str = ""
    department: str = ""
    region_code: str | None = None


@dataclass(frozen=True)
class Rules:
    """How long sessions and passwords last.

    Attributes:
        idle: a session ends when nothing is done for so long.
        longest: and in any case so long after signing in.
        sessions: how many one person may have; the oldest ends when there are more.
        password: after so long a new password is due; zero for never.
    """

    idle: timedelta = timedelta(minutes=30)
    longest: timedelta = timedelta(hours=12)
    sessions: int = 3
    password: timedelta = timedelta(days=90)


class Accounts:
    """All accounts and their sessions.

    Args:
        now: the clock; aware times.
    """

    def __init__(
        self,
        db: Database,
        *,
        limits: Limits,
        now: Callable[[], datetime],
        rules: Rules | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        self._db = db
        self._limits = limits
        self._now = now
        self._rules = rules or Rules()
        self._passwords = passwords or Passwords()

    # Administration

    def add(self, profile: Profile, *, actor: str, password: str = "") -> str:
        """Make an account; return its password, which must be changed at the first sign-in.

        Args:
            password: empty for one that is made up.

        Raises:
            InvalidRequest: name, role or password do not hold.
            Conflict: the name is taken.
        """
        name = _folded(profile.name)
        if not _NAME.fullmatch(name):
            raise InvalidRequest({"name": "用户名应为2到32个字母、汉字、数字或 . _ -"})
        if profile.role not in ROLES:
            raise InvalidRequest({"role": f"角色应是 {'、'.join(ROLES)} 之一"})
        password = _chosen(password, name)
        user = User(
            name=name,
            display_name=profile.display_name.strip()[:64] or name,
            role=profile.role,
            region_code=profile.region_code,
            password_hash=self._passwords.hash(password),
            password_changed_at=self._now(),
            created_at=self._now(),
        )
        try:
            with self._db.transaction() as session:
                if profile.department.strip():
                    user.department_id = department_named(session, profile.department).id
                session.add(user)
                session.flush()
                _note(session, actor, "account.add", user, role=user.role)
        except IntegrityError as error:
            raise Conflict(f"用户名“{name}”已有人用") from error
        return password

    def all(self) -> list[Account]:
        """Every account by name."""
        with self._db.reading() as session:
            return [
                self._view(session, each)
                for each in session.scalars(select(User).order_by(User.name))
            ]

    def exist(self) -> bool:
        """Whether anyone could sign in."""
        with self._db.reading() as session:
            enabled = select(User.id).where(User.disabled_at.is_(None)).limit(1)
            return session.scalar(enabled) is not None

    def disable(self, name: str, *, actor: str) -> None:
        """Let nobody in by this account any more, and end its sessions; harmless when it is so.

        Raises:
            NotFound: no such account.
        """
        with self._db.transaction() as session:
            user = _named(session, name)
            user.disabled_at = user.disabled_at or self._now()
            ended = _end(session, user)
            _note(session, actor, "account.disable", user, sessions=ended)

    def enable(self, name: str, *, actor: str) -> None:
        """Undo `disable`.

        Raises:
            NotFound: no such account.
        """
        with self._db.transaction() as session:
            user = _named(session, name)
            user.disabled_at = None
            _note(session, actor, "account.enable", user)

    def unlock(self, name: str, *, actor: str) -> None:
        """Forget the failures of an account.

        Raises:
            NotFound: no such account.
        """
        with self._db.transaction() as session:
            user = _named(session, name)
            user.failures, user.locked_until = 0, None
            _note(session, actor, "account.unlock", user)

    def reset_password(self, name: str, *, actor: str, password: str = "") -> str:
        """Give an account a new password that must be changed, end its sessions, unlock it.

        Raises:
            NotFound: no such account.
            InvalidRequest: the password will not do.
        """
        password = _chosen(password, _folded(name))
        stored = self._passwords.hash(password)
        with self._db.transaction() as session:
            user = _named(session, name)
            self._keep(user, stored, must_change=True)
            ended = _end(session, user)
            _note(session, actor, "account.password_reset", user, sessions=ended)
        return password

    # Signing in

    def sign_in(self, name: str, password: str, *, address: str) -> str:
        """Begin a session; return its token, for the browser alone.

        Args:
            address: where the request comes from.

        Raises:
            SignInRefused: wrong, unknown, locked or disabled; it does not tell which.
            TooManyRequests: too many failures from this address.
        """
        self._hold_back(address)
        with self._db.reading() as session:
            known = session.scalar(select(User).where(User.name == _folded(name)[:64]))
        stored = known.password_hash if known else None
        right = self._passwords.matches(stored, password)
        fresh = self._fresh(known, password) if right else None
        with self._db.transaction() as session:
            user = self._locked_row(session, known)
            if user is not None and right and self._open(user) and user.password_hash == stored:
                user.failures, user.locked_until = 0, None
                user.password_hash = fresh or user.password_hash
                token = self._begin(session, user)
                _note(session, user.name, "sign_in", user, address=address)
                return token
            self._failed(session, user, address)
        self._count(address)
        raise SignInRefused(_SAYS_NOTHING_MORE)

    def session(self, token: str, *, active: bool = True) -> Account | None:
        """Whose session it is; None when there is none, or it has run out.

        Args:
            active: the person did something; a page that asks by itself keeps nobody signed in.
        """
        if not _TOKEN.fullmatch(token):
            return None
        now, key = self._now(), _hash(token)
        with self._db.reading() as session:
            found = session.get(UserSession, key)
            user = session.get(User, found.user_id) if found else None
            if found is None or user is None or user.disabled_at or self._over(found, now):
                return None
            account = self._view(session, user)
        if active and now - found.seen_at >= _SEEN_NOTED_EVERY:
            with self._db.transaction() as session:
                session.execute(
                    update(UserSession).where(UserSession.id == key).values(seen_at=now)
                )
        return account

    def sign_out(self, token: str) -> None:
        """End a session; harmless when there is none."""
        with self._db.transaction() as session:
            found = session.get(UserSession, _hash(token))
            if found is None:
                return
            user = session.get_one(User, found.user_id)
            session.delete(found)
            _note(session, user.name, "sign_out", user)

    def change_password(self, token: str, old: str, new: str, *, address: str) -> str:
        """Choose a new password; end all sessions of the account and return a token for a new one.

        Raises:
            InvalidRequest: fields `old` or `new` will not do. A wrong old one counts as a failed
                sign-in, and too many of them end the sessions.
            SignInRefused: no session, or the account is locked.
            TooManyRequests: too many failures from this address.
        """
        account = self.session(token)
        if account is None:
            raise SignInRefused("登录已过期，请重新登录")
        self._hold_back(address)
        with self._db.reading() as session:
            known = session.get_one(User, account.id)
        stored, right = known.password_hash, self._passwords.matches(known.password_hash, old)
        fields = _problems(old, new, known.name) if right else {"old": "原密码不对"}
        fresh = "" if fields else self._passwords.hash(new)
        with self._db.transaction() as session:
            user = self._locked_row(session, known)
            if user is None or not self._open(user) or user.password_hash != stored:
                raise SignInRefused(_SAYS_NOTHING_MORE)
            if not fields:
                self._keep(user, fresh, must_change=False)
                ended = _end(session, user)
                _note(session, user.name, "password_change", user, sessions=ended)
                return self._begin(session, user)
            if not right:
                self._failed(session, user, address)
        if not right:
            self._count(address)
        raise InvalidRequest(fields)

    # What the above share

    def _count(self, address: str) -> None:
        self._limits.allow("sign-in", subscriber(address), per_minute=FAILURES_PER_MINUTE)

    def _hold_back(self, address: str) -> None:
        names = ("sign-in", subscriber(address))
        if not self._limits.room(*names, per_minute=FAILURES_PER_MINUTE):
            wait = self._limits.seconds_left(*names, per_minute=FAILURES_PER_MINUTE)
            raise TooManyRequests("这里输错的次数太多了，请过一分钟再试", retry_after=wait)

    def _fresh(self, user: User | None, password: str) -> str | None:
        """A hash at today's cost where the stored one was made at another."""
        if user is None or not self._passwords.outdated(user.password_hash):
            return None
        return self._passwords.hash(password)

    def _locked_row(self, session: Session, known: User | None) -> User | None:
        """The account as it is now; until the transaction ends nobody else changes it."""
        if known is None:
            return None
        return session.get(User, known.id, with_for_update=True, populate_existing=True)

    def _open(self, user: User) -> bool:
        return user.disabled_at is None and not self._locked(user)

    def _locked(self, user: User) -> bool:
        return user.locked_until is not None and user.locked_until > self._now()

    def _failed(self, session: Session, user: User | None, address: str) -> None:
        """Count a failure and lock the account when there are too many.

        An unknown name is not noted: it may be a password typed into the wrong field.
        """
        if user is None:
            audit(
                session,
                actor="anonymous",
                action="sign_in.failed",
                subject="account:unknown",
                address=address,
            )
            return
        _note(session, "anonymous", "sign_in.failed", user, address=address)
        if self._locked(user):
            return
        if user.locked_until is not None:  # a lock that has run out
            user.failures, user.locked_until = 0, None
        user.failures += 1
        if user.failures >= TRIES:
            user.locked_until = self._now() + LOCKED_FOR
            ended = _end(session, user)
            _note(session, "anonymous", "account.lock", user, address=address, sessions=ended)

    def _begin(self, session: Session, user: User) -> str:
        """A new session; those that have run out go, and the oldest of too many."""
        now, token = self._now(), new_token()
        rules = self._rules
        over = or_(
            UserSession.seen_at <= now - rules.idle, UserSession.created_at <= now - rules.longest
        )
        session.execute(delete(UserSession).where(over))
        own = select(UserSession.id).where(UserSession.user_id == user.id)
        latest = own.order_by(UserSession.created_at.desc(), UserSession.id)
        surplus = session.scalars(latest.offset(rules.sessions - 1)).all()
        if surplus:
            session.execute(delete(UserSession).where(UserSession.id.in_(surplus)))
            _note(session, user.name, "session.surplus", user, sessions=len(surplus))
        session.add(UserSession(id=_hash(token), user_id=user.id, created_at=now, seen_at=now))
        return token

    def _over(self, found: UserSession, now: datetime) -> bool:
        idle, longest = self._rules.idle, self._rules.longest
        return now - found.seen_at >= idle or now - found.created_at >= longest

    def _keep(self, user: User, stored: str, *, must_change: bool) -> None:
        user.password_hash, user.password_changed_at = stored, self._now()
        user.must_change_password = must_change
        user.failures, user.locked_until = 0, None

    def _view(self, session: Session, user: User) -> Account:
        department = session.get(Department, user.department_id) if user.department_id else None
        life = self._rules.password
        old = bool(life) and self._now() - user.password_changed_at >= life
        state = "disabled" if user.disabled_at else "locked" if self._locked(user) else "active"
        return Account(
            id=user.id,
            name=user.name,
            display_name=user.display_name,
            role=user.role,
            department=department.name if department else "",
            region_code=user.region_code,
            state=state,
            password_due=user.must_change_password or old,
        )


def new_token() -> str:
    """A token that opens nothing until a session is begun with it."""
    return secrets.token_urlsafe(32)


def _folded(name: str) -> str:
    """A name as it is compared: case and width do not count."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _chosen(password: str, name: str) -> str:
    """The password given if it will do, else one that is made up."""
    problem = weakness(password, name=name) if password else ""
    if problem:
        raise InvalidRequest({"password": problem})
    return password or one_time(name=name)


def _problems(old: str, new: str, name: str) -> dict[str, str]:
    problem = "新密码不能与原密码相同" if old == new else weakness(new, name=name)
    return {"new": problem} if problem else {}


def _named(session: Session, name: str) -> User:
    user = session.scalar(select(User).where(User.name == _folded(name)).with_for_update())
    if user is None:
        raise NotFound(f"没有账号“{name}”")
    return user


def _end(session: Session, user: User) -> int:
    """End all sessions of an account; how many there were."""
    held = session.scalars(select(UserSession.id).where(UserSession.user_id == user.id)).all()
    session.execute(delete(UserSession).where(UserSession.user_id == user.id))
    return len(held)


def _note(session: Session, actor: str, action: str, user: User, **detail: object) -> None:
    audit(session, actor=actor, action=action, subject=f"account:{user.id}", **detail)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
