"""People who work with the service: who they are, and whether it is them.

Hides when an account is locked, how the two steps of signing in hang together, and that an
unknown name costs the same work and gets the same words as a wrong password.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from kb.db import Database
from kb.journal import audit
from kb.models import Department
from service.addresses import subscriber
from service.errors import InvalidRequest, SignInRefused, TooManyRequests
from service.limits import Limits
from service.models import SecondFactor, User
from service.passwords import Passwords, weakness
from service.second_factor import Enrolment, SecondFactors
from service.sessions import OpenSession, Sessions

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
        second_factor: a device is asked for at each sign-in.
        factor_due: one must be set up before anything else.
        version: grows with each change by an administrator.
    """

    id: int
    name: str
    display_name: str
    role: str
    department: str
    region_code: str | None
    state: str = "active"
    password_due: bool = False
    second_factor: bool = False
    factor_due: bool = False
    version: int = 1


class Accounts:
    """Signing in, and what people do with their own accounts; see `service.people` for the rest.

    Args:
        sessions: they bring the rules and the clock along.
    """

    def __init__(
        self,
        db: Database,
        sessions: Sessions,
        factors: SecondFactors,
        *,
        limits: Limits,
        passwords: Passwords | None = None,
    ) -> None:
        self._db = db
        self._limits = limits
        self._now = sessions.now
        self._rules = sessions.rules
        self.sessions = sessions
        self.factors = factors
        self.passwords = passwords or Passwords()

    # Reading

    @property
    def second_factors(self) -> bool:
        """Whether this installation uses second factors at all."""
        return self._rules.second_factor != "off"

    def exist(self) -> bool:
        """Whether anyone could sign in."""
        with self._db.reading() as session:
            enabled = select(User.id).where(User.disabled_at.is_(None)).limit(1)
            return session.scalar(enabled) is not None

    def select(self) -> Select[User, str, datetime | None]:
        """What `view` takes, of every account."""
        return (
            select(User, Department.name, SecondFactor.confirmed_at)
            .outerjoin(Department, Department.id == User.department_id)
            .outerjoin(SecondFactor, SecondFactor.user_id == User.id)
        )

    def view(self, row: Row[User, str, datetime | None]) -> Account:
        """An account as at this moment."""
        user, department, confirmed_at = row
        life = self._rules.password
        old = bool(life) and self._now() - user.password_changed_at >= life
        needed = self._rules.second_factor == "admin" and user.role == "admin"
        return Account(
            id=user.id,
            name=user.name,
            display_name=user.display_name,
            role=user.role,
            department=department or "",
            region_code=user.region_code,
            state="disabled" if user.disabled_at else "locked" if self._locked(user) else "active",
            password_due=user.must_change_password or old,
            second_factor=confirmed_at is not None and self.second_factors,
            factor_due=needed and confirmed_at is None,
            version=user.version,
        )

    # Signing in

    def sign_in(self, name: str, password: str, *, address: str) -> str:
        """Begin a session; return its token, for the browser alone.

        Where the person has a second factor the token opens nothing yet: see `second_step`.

        Args:
            address: where the request comes from.

        Raises:
            SignInRefused: wrong, unknown, locked or disabled; it does not tell which.
            TooManyRequests: too many failures from this address.
        """
        self._hold_back(address)
        with self._db.reading() as session:
            known = session.scalar(select(User).where(User.name == folded(name)[:64]))
        stored = known.password_hash if known else None
        right = self.passwords.matches(stored, password)
        fresh = self._fresh(known, password) if right else None
        with self._db.transaction() as session:
            user = self._locked_row(session, known.id if known else None)
            if user is not None and right and self._open(user) and user.password_hash == stored:
                user.password_hash = fresh or user.password_hash
                if self.second_factors and self.factors.active(session, user.id):
                    # Failures are kept: guessing codes must not begin anew with the password.
                    note(session, user.name, "sign_in.password", user, address=address)
                    return self.sessions.begin_pending(session, user.id, address=address)
                return self._enter(session, user, address)
            self._failed(session, user, address)
        self._count(address)
        raise SignInRefused(_SAYS_NOTHING_MORE)

    def awaits_code(self, token: str) -> bool:
        """Whether the password was right and the second step is still to come."""
        with self._db.reading() as session:
            return self.sessions.find(session, token, pending=True) is not None

    def second_step(self, token: str, code: str, *, address: str) -> str:
        """Begin the session that `sign_in` prepared; return its token.

        Args:
            code: of the device, or a recovery code.

        Raises:
            InvalidRequest: field `code` is wrong or used; counts as a failed sign-in.
            SignInRefused: the first step was too long ago, or the account is locked or disabled.
            TooManyRequests: too many failures from this address.
        """
        self._hold_back(address)
        with self._db.transaction() as session:
            found = self.sessions.find(session, token, pending=True)
            user = self._locked_row(session, found.user_id if found else None)
            if user is None or not self._open(user):
                raise SignInRefused("登录没有完成，请重新输入用户名和密码")
            kind = self.factors.accepts(session, user.id, code)
            if kind:
                self.sessions.end_one(session, token)
                return self._enter(session, user, address, factor=kind)
            self._failed(session, user, address)
        self._count(address)
        raise InvalidRequest({"code": "验证码不对，或者已经用过。请等手机上换出新的一组再输"})

    def session(self, token: str, *, active: bool = True) -> Account | None:
        """Whose session it is; None when there is none, or it has run out.

        Args:
            active: the person did something; a page that asks by itself keeps nobody signed in.
        """
        with self._db.reading() as session:
            found = self.sessions.find(session, token)
            if found is None:
                return None
            own = self.select().where(User.id == found.user_id)
            account = self.view(session.execute(own).one())
        if account.state == "disabled":
            return None
        if active:
            self.sessions.seen(found)
        return account

    def sign_out(self, token: str) -> None:
        """End a session; harmless when there is none."""
        with self._db.transaction() as session:
            ended = self.sessions.end_one(session, token)
            if ended is not None:
                user = session.get_one(User, ended)
                note(session, user.name, "sign_out", user)

    # The own account

    def change_password(self, token: str, old: str, new: str, *, address: str) -> str:
        """Choose a new password; end all sessions of the account and return a token for a new one.

        Raises:
            InvalidRequest: fields `old` or `new` will not do. A wrong old one counts as a failed
                sign-in, and too many of them end the sessions.
            SignInRefused: no session, or the account is locked.
            TooManyRequests: too many failures from this address.
        """
        account = self._proven(token, old, address, field="old")
        problem = "新密码不能与原密码相同" if old == new else weakness(new, name=account.name)
        if problem:
            raise InvalidRequest({"new": problem})
        fresh = self.passwords.hash(new)
        with self._db.transaction() as session:
            user = self._own_row(session, token)
            self.keep(user, fresh, must_change=False)
            ended = self.sessions.end(session, user.id)
            note(session, user.name, "password_change", user, sessions=ended)
            return self._begin(session, user, address)

    def open_sessions(self, token: str) -> list[OpenSession]:
        """The sessions of whoever asks, the latest first."""
        account = self.session(token)
        return self.sessions.of(account.id, token) if account else []

    def end_sessions(self, token: str, key: str = "") -> int:
        """End another session of the own account, or all others; how many there were.

        Args:
            key: of an `OpenSession`; empty for all others.

        Raises:
            SignInRefused: no session.
        """
        with self._db.transaction() as session:
            user = self._own_row(session, token)
            ended = self.sessions.end(session, user.id, but=token, key=key)
            if ended:
                note(session, user.name, "session.end", user, sessions=ended)
            return ended

    def begin_factor(self, token: str, password: str, *, address: str) -> None:
        """Prepare a device; the password keeps out whoever finds an open browser.

        Raises:
            InvalidRequest: field `password` is wrong; counts as a failed sign-in.
            SignInRefused: no session, or the account is locked.
            TooManyRequests: too many failures from this address.
        """
        self._proven(token, password, address, field="password")
        with self._db.transaction() as session:
            user = self._own_row(session, token)
            self.factors.begin(session, user.id)
            note(session, user.name, "factor.begin", user)

    def enrolment(self, account: Account) -> Enrolment | None:
        """What the device of an account needs while it is being set up; None otherwise."""
        with self._db.reading() as session:
            return self.factors.enrolment(session, account.id, account.name)

    def recovery_left(self, account: Account) -> int:
        """How many recovery codes are not used yet."""
        with self._db.reading() as session:
            return self.factors.recovery_left(session, account.id)

    def confirm_factor(self, token: str, code: str) -> list[str]:
        """Put the device into use; end all other sessions; return the recovery codes.

        Raises:
            InvalidRequest: field `code` is wrong.
            SignInRefused: no session.
        """
        with self._db.transaction() as session:
            user = self._own_row(session, token)
            codes = self.factors.confirm(session, user.id, code)
            if not codes:
                raise InvalidRequest({"code": "验证码不对。请核对手机时间是否准确，再输新的一组"})
            ended = self.sessions.end(session, user.id, but=token)
            note(session, user.name, "factor.add", user, sessions=ended)
            return codes

    def renew_recovery(self, token: str, password: str, *, address: str) -> list[str]:
        """New recovery codes; those before are worthless.

        Raises:
            as `begin_factor`.
        """
        self._proven(token, password, address, field="password")
        with self._db.transaction() as session:
            user = self._own_row(session, token)
            if not self.factors.active(session, user.id):
                raise InvalidRequest({"password": "还没有启用手机验证码"})
            note(session, user.name, "factor.recovery", user)
            return self.factors.renew_recovery(session, user.id)

    def remove_factor(self, token: str, password: str, *, address: str) -> None:
        """Do without a device from now on.

        Raises:
            as `begin_factor`; also where this role must have one.
        """
        account = self._proven(token, password, address, field="password")
        if self._rules.second_factor == "admin" and account.role == "admin":
            raise InvalidRequest({"password": "管理员必须使用手机验证码，不能停用"})
        with self._db.transaction() as session:
            user = self._own_row(session, token)
            if self.factors.forget(session, user.id):
                note(session, user.name, "factor.remove", user)

    # What the above share

    def keep(self, user: User, stored: str, *, must_change: bool) -> None:
        """Give an account a password (its hash), which also opens a lock."""
        user.password_hash, user.password_changed_at = stored, self._now()
        user.must_change_password = must_change
        user.failures, user.locked_until = 0, None

    def _proven(self, token: str, password: str, address: str, *, field: str) -> Account:
        """Whose session it is, once the password is right."""
        account = self.session(token)
        if account is None:
            raise SignInRefused("登录已过期，请重新登录")
        self._hold_back(address)
        with self._db.reading() as session:
            stored = session.get_one(User, account.id).password_hash
        right = self.passwords.matches(stored, password)
        with self._db.transaction() as session:
            user = self._locked_row(session, account.id)
            if user is None or not self._open(user) or user.password_hash != stored:
                raise SignInRefused(_SAYS_NOTHING_MORE)
            if right:
                return account
            self._failed(session, user, address)
        self._count(address)
        raise InvalidRequest({field: "原密码不对" if field == "old" else "密码不对"})

    def _own_row(self, session: Session, token: str) -> User:
        found = self.sessions.find(session, token)
        user = self._locked_row(session, found.user_id if found else None)
        if user is None or not self._open(user):
            raise SignInRefused("登录已过期，请重新登录")
        return user

    def _enter(self, session: Session, user: User, address: str, *, factor: str = "") -> str:
        user.failures, user.locked_until = 0, None
        detail = {"factor": factor} if factor else {}
        token = self._begin(session, user, address)
        note(session, user.name, "sign_in", user, address=address, **detail)
        return token

    def _begin(self, session: Session, user: User, address: str) -> str:
        token, surplus = self.sessions.begin(session, user.id, address=address)
        if surplus:
            note(session, user.name, "session.surplus", user, sessions=surplus)
        return token

    def _count(self, address: str) -> None:
        self._limits.allow("sign-in", subscriber(address), per_minute=FAILURES_PER_MINUTE)

    def _hold_back(self, address: str) -> None:
        names = ("sign-in", subscriber(address))
        if not self._limits.room(*names, per_minute=FAILURES_PER_MINUTE):
            wait = self._limits.seconds_left(*names, per_minute=FAILURES_PER_MINUTE)
            raise TooManyRequests("这里输错的次数太多了，请过一分钟再试", retry_after=wait)

    def _fresh(self, user: User | None, password: str) -> str | None:
        """A hash at today's cost where the stored one was made at another."""
        if user is None or not self.passwords.outdated(user.password_hash):
            return None
        return self.passwords.hash(password)

    def _locked_row(self, session: Session, user_id: int | None) -> User | None:
        """The account as it is now; until the transaction ends nobody else changes it."""
        if user_id is None:
            return None
        return session.get(User, user_id, with_for_update=True, populate_existing=True)

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
        note(session, "anonymous", "sign_in.failed", user, address=address)
        if self._locked(user):
            return
        if user.locked_until is not None:  # a lock that has run out
            user.failures, user.locked_until = 0, None
        user.failures += 1
        if user.failures >= TRIES:
            user.locked_until = self._now() + LOCKED_FOR
            ended = self.sessions.end(session, user.id)
            note(session, "anonymous", "account.lock", user, address=address, sessions=ended)


def folded(name: str) -> str:
    """A name as it is compared: case and width do not count."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def note(session: Session, actor: str, action: str, user: User, **detail: object) -> None:
    """Add an audit row about an account to the transaction."""
    audit(session, actor=actor, action=action, subject=f"account:{user.id}", **detail)
