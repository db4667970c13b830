"""Accounts as administrators look after them: made, found, changed, closed.

Hides the rules that keep anyone from reaching farther than they do themselves, and a service from
losing its last administrator. Whoever acts is an account, or, at the server's own command line,
a word for the audit log: who has the server has everything.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kb.db import Database
from kb.departments import department_named
from kb.errors import Conflict, NotFound
from service.accounts import ROLES, Account, Accounts, folded, note
from service.errors import InvalidRequest
from service.models import User
from service.passwords import one_time, weakness
from service.rights import covers, demand, may

_NAME = re.compile(r"[\w.-]{2,32}")
_MOST_SHOWN, _MOST_OF_DEPARTMENT = 64, 128

Actor = Account | str


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
class Wanted:
    """Which accounts to list; what is empty admits all.

    Attributes:
        text: part of the name or of the name shown.
        state: active, locked or disabled.
    """

    text: str = ""
    role: str = ""
    department: str = ""
    state: str = ""


class People:
    """All accounts.

    Everything that takes `by` raises NotFound for an account that does not exist or is out of
    the actor's reach, and Forbidden where the actor manages nobody.

    Args:
        now: the clock; aware times.
    """

    def __init__(self, db: Database, accounts: Accounts, now: Callable[[], datetime]) -> None:
        self._db = db
        self._accounts = accounts
        self._now = now

    def all(self, wanted: Wanted | None = None, *, by: Actor = "") -> list[Account]:
        """Accounts within reach, by name."""
        _demand_some(by)
        with self._db.reading() as session:
            rows = session.execute(self._accounts.select().order_by(User.name)).all()
        found = (self._accounts.view(row) for row in rows)
        return [each for each in found if _reaches(by, each) and _fits(each, wanted or Wanted())]

    def one(self, number: int, *, by: Actor) -> Account:
        """The account with a number."""
        _demand_some(by)
        with self._db.reading() as session:
            row = session.execute(self._accounts.select().where(User.id == number)).first()
        account = self._accounts.view(row) if row else None
        if account is None or not _reaches(by, account):
            raise NotFound("没有这个账号，或者它不归您管理")
        return account

    def named(self, name: str) -> Account:
        """The account with a name.

        Raises:
            NotFound: there is none.
        """
        with self._db.reading() as session:
            own = self._accounts.select().where(User.name == folded(name)[:64])
            row = session.execute(own).first()
        if row is None:
            raise NotFound(f"没有账号“{name}”")
        return self._accounts.view(row)

    def add(self, profile: Profile, *, by: Actor, password: str = "") -> str:
        """Make an account; return its password, which must be changed at the first sign-in.

        Args:
            password: empty for one that is made up.

        Raises:
            InvalidRequest: name, role, region or password do not hold.
            Conflict: the name is taken.
        """
        _demand_some(by)
        profile = _checked(profile, by)
        password = _chosen(password, profile.name)
        user = User(
            name=profile.name,
            display_name=profile.display_name,
            role=profile.role,
            region_code=profile.region_code,
            password_hash=self._accounts.passwords.hash(password),
            password_changed_at=self._now(),
            created_at=self._now(),
        )
        try:
            with self._db.transaction() as session:
                _place(session, user, profile.department)
                session.add(user)
                session.flush()
                # Under `name`, who it is of; the reader of the log knows accounts by it.
                note(session, _name(by), "account.add", user, **asdict(profile))
        except IntegrityError as error:
            raise Conflict(f"用户名“{profile.name}”已有人用") from error
        return password

    def change(self, number: int, profile: Profile, *, by: Actor, seen: int) -> Account:
        """Give an account another role, department, region or name to show; at once.

        Args:
            profile: its `name` is that of the account and does not change.
            seen: the version that the change was made from.

        Raises:
            InvalidRequest: role or region do not hold.
            Conflict: somebody else changed it since, or it is the last administrator.
        """
        with self._db.transaction() as session:
            user, account = self._held(session, number, by)
            profile = _checked(replace(profile, name=account.name), by)
            if user.version != seen:
                raise Conflict("这个账号刚刚被别人改过，请核对后再改")
            if profile.role != "admin" or profile.region_code != user.region_code:
                self._keep_an_administrator(session, user)
            before = _profile(account)
            user.display_name, user.role = profile.display_name, profile.role
            user.region_code = profile.region_code
            _place(session, user, profile.department)
            changes = _differences(before, profile)
            if changes:
                user.version += 1
                note(session, _name(by), "account.change", user, name=user.name, **changes)
        return self.one(number, by="")

    def disable(self, number: int, *, by: Actor) -> None:
        """Let nobody in by this account any more, and end its sessions; harmless when it is so.

        Raises:
            Conflict: it is the actor's own, or the last administrator.
        """
        with self._db.transaction() as session:
            user, _ = self._held(session, number, by)
            if isinstance(by, Account) and by.id == number:
                raise Conflict("不能停用自己的账号，请由另一位管理员操作")
            self._keep_an_administrator(session, user)
            user.disabled_at = user.disabled_at or self._now()
            user.version += 1
            ended = self._accounts.sessions.end(session, user.id)
            note(session, _name(by), "account.disable", user, name=user.name, sessions=ended)

    def enable(self, number: int, *, by: Actor) -> None:
        """Undo `disable`."""
        with self._db.transaction() as session:
            user, _ = self._held(session, number, by)
            user.disabled_at = None
            user.version += 1
            note(session, _name(by), "account.enable", user, name=user.name)

    def unlock(self, number: int, *, by: Actor) -> None:
        """Forget the failures of an account."""
        with self._db.transaction() as session:
            user, _ = self._held(session, number, by)
            user.failures, user.locked_until = 0, None
            note(session, _name(by), "account.unlock", user, name=user.name)

    def reset_password(self, number: int, *, by: Actor, password: str = "") -> str:
        """Give an account a new password that must be changed, end its sessions, unlock it.

        Raises:
            InvalidRequest: the password will not do.
        """
        account = self.one(number, by=by)
        password = _chosen(password, account.name)
        stored = self._accounts.passwords.hash(password)
        with self._db.transaction() as session:
            user, _ = self._held(session, number, by)
            self._accounts.keep(user, stored, must_change=True)
            ended = self._accounts.sessions.end(session, user.id)
            note(session, _name(by), "account.password_reset", user, name=user.name, sessions=ended)
        return password

    def reset_factor(self, number: int, *, by: Actor) -> None:
        """Forget somebody's lost device, and end their sessions; harmless when there is none."""
        with self._db.transaction() as session:
            user, _ = self._held(session, number, by)
            if self._accounts.factors.forget(session, user.id):
                ended = self._accounts.sessions.end(session, user.id)
                note(
                    session, _name(by), "account.factor_reset", user, name=user.name, sessions=ended
                )

    def end_sessions(self, number: int, *, by: Actor) -> int:
        """Sign somebody out everywhere; from how many places."""
        with self._db.transaction() as session:
            user, _ = self._held(session, number, by)
            ended = self._accounts.sessions.end(session, user.id)
            note(session, _name(by), "account.sign_out", user, name=user.name, sessions=ended)
            return ended

    def _held(self, session: Session, number: int, by: Actor) -> tuple[User, Account]:
        """The row of an account within reach; until the transaction ends nobody changes it."""
        _demand_some(by)
        # One administrator at a time: two who demote each other must not both succeed.
        self._db.serialise(session)
        user = session.get(User, number, with_for_update=True, populate_existing=True)
        own = self._accounts.select().where(User.id == number)
        account = self._accounts.view(session.execute(own).one()) if user else None
        if user is None or account is None or not _reaches(by, account):
            raise NotFound("没有这个账号，或者它不归您管理")
        return user, account

    def _keep_an_administrator(self, session: Session, user: User) -> None:
        """Refuse to take the last one away whose reach is that of this account or wider."""
        if user.role != "admin" or user.disabled_at is not None:
            return
        others = select(User.region_code).where(
            User.role == "admin", User.disabled_at.is_(None), User.id != user.id
        )
        left = session.scalars(others).all()
        if not left or (user.region_code is None and None not in left):
            raise Conflict(
                "这是最后一位"
                + ("" if not left else "管理全部地区的")
                + "管理员，请先设立另一位再改"
            )


def _demand_some(by: Actor) -> None:
    if isinstance(by, Account):
        demand(by, "people.manage", region=by.region_code)


def _reaches(by: Actor, account: Account) -> bool:
    return isinstance(by, str) or may(by, "people.manage", region=account.region_code)


def _name(by: Actor) -> str:
    return by.name if isinstance(by, Account) else by


def _fits(account: Account, wanted: Wanted) -> bool:
    text = folded(wanted.text)
    return (
        (text in account.name or text in folded(account.display_name))
        and wanted.role in ("", account.role)
        and wanted.department in ("", account.department)
        and wanted.state in ("", account.state)
    )


def _profile(account: Account) -> Profile:
    return Profile(
        account.name,
        account.role,
        display_name=account.display_name,
        department=account.department,
        region_code=account.region_code,
    )


def _checked(profile: Profile, by: Actor) -> Profile:
    """The profile as it is kept.

    Raises:
        InvalidRequest: something in it does not hold, or goes beyond the actor's own reach.
    """
    name = folded(profile.name)
    if not _NAME.fullmatch(name):
        raise InvalidRequest({"name": "用户名应为2到32个字母、汉字、数字或 . _ -"})
    if profile.role not in ROLES:
        raise InvalidRequest({"role": f"角色应是 {'、'.join(ROLES)} 之一"})
    if isinstance(by, Account) and not covers(by, profile.role, profile.region_code):
        raise InvalidRequest({"region": "只能选您负责的地区和其中的地区"})
    return replace(
        profile,
        name=name,
        display_name=profile.display_name.strip()[:_MOST_SHOWN] or name,
        department=profile.department.strip()[:_MOST_OF_DEPARTMENT],
    )


def _place(session: Session, user: User, department: str) -> None:
    user.department_id = department_named(session, department).id if department else None


def _differences(before: Profile, after: Profile) -> dict[str, dict[str, object]]:
    """Field → how it was and how it is, of those that differ."""
    was, now = asdict(before), asdict(after)
    return {
        field: {"before": was[field], "after": now[field]}
        for field in was
        if was[field] != now[field]
    }


def _chosen(password: str, name: str) -> str:
    """The password given if it will do, else one that is made up."""
    problem = weakness(password, name=name) if password else ""
    if problem:
        raise InvalidRequest({"password": problem})
    return password or one_time(name=name)
