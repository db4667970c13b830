"""Keys by which other systems use the API under their own name; hides how they are kept.

Only a hash of a key is stored, so whoever reads the database learns none. A key is 256 random
bits, which no dictionary holds: a plain SHA-256 guards it as well as a slow hash would, and can
be looked up in an index.
"""

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from kb.db import Database
from kb.errors import Conflict, NotFound
from service.config import MAX_PER_MINUTE
from service.errors import InvalidKey, InvalidRequest, ScopeMissing, TooManyRequests
from service.limits import Limits
from service.models import ApiKey

log = logging.getLogger(__name__)

MARK = "pqa_"
PREFIX = 12
PER_MINUTE = 60
# What a scope opens, in the words of the command line.
SCOPES = {
    "ask": "提问、评价和兼容 OpenAI 的接口",
    "search": "检索和输入提示",
    "read": "读取政策文件和问答条目",
    "harvest": "批量收割",
}
_NAME = re.compile(r"\w[\w.-]{0,63}")
_USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class System:
    """A system that holds a key.

    Attributes:
        prefix: the first characters of its key, to tell keys apart.
        per_minute: how many requests it may make.
        used_at: last use, exact to a minute; None before the first.
    """

    id: int
    name: str
    prefix: str
    scopes: frozenset[str]
    per_minute: int
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class Keys:
    """The keys of an installation."""

    def __init__(self, db: Database, limits: Limits, now: Callable[[], datetime]) -> None:
        self._db = db
        self._limits = limits
        self._now = now

    def add(self, name: str, scopes: Iterable[str], *, per_minute: int) -> str:
        """Make a key and return it; it cannot be had again.

        Raises:
            InvalidRequest: the name, a scope or the limit does not hold.
            Conflict: the name is taken, even if by a revoked key: what was answered under a name
                stays that system's.
        """
        wanted = set(scopes)
        _check(name, wanted, per_minute)
        key = MARK + secrets.token_urlsafe(32)
        row = ApiKey(
            name=name,
            prefix=key[:PREFIX],
            hash=_hash(key),
            scopes=" ".join(each for each in SCOPES if each in wanted),
            per_minute=per_minute,
            created_at=self._now(),
        )
        try:
            with self._db.transaction() as session:
                session.add(row)
        except IntegrityError as error:
            raise Conflict(f"名称“{name}”已经用过，请换一个") from error
        return key

    def all(self) -> list[System]:
        """All keys ever made, oldest first."""
        with self._db.reading() as session:
            return [_system(row) for row in session.scalars(select(ApiKey).order_by(ApiKey.id))]

    def revoke(self, name: str) -> None:
        """End a key at once; ending it again changes nothing.

        Raises:
            NotFound: no key of that name.
        """
        with self._db.transaction() as session:
            row = session.scalar(select(ApiKey).where(ApiKey.name == name))
            if row is None:
                raise NotFound(f"没有名称是“{name}”的密钥")
            row.revoked_at = row.revoked_at or self._now()

    def holder(self, key: str) -> System:
        """Whose key it is.

        Raises:
            InvalidKey: nobody's, or it was revoked.
        """
        with self._db.reading() as session:
            row = session.scalar(select(ApiKey).where(ApiKey.hash == _hash(key)))
            if row is None or row.revoked_at is not None:
                raise InvalidKey("密钥无效或已停用，请向管理员索取")
            return _system(row)

    def use(self, system: System, scope: str) -> None:
        """Count one use of a key.

        Raises:
            ScopeMissing: the key does not open this.
            TooManyRequests: it was used too often within a minute.
        """
        if scope not in system.scopes:
            raise ScopeMissing(f"这个密钥没有“{scope}”权限（{SCOPES[scope]}），请向管理员申请")
        names = ("key", str(system.id))
        if not self._limits.allow(*names, per_minute=system.per_minute):
            raise TooManyRequests(
                f"这个密钥每分钟最多请求 {system.per_minute} 次，请稍后再试",
                retry_after=self._limits.seconds_left(*names, per_minute=system.per_minute),
            )
        self._note(system)

    def _note(self, system: System) -> None:
        now = self._now()
        due = now - _USE_NOTED_EVERY
        if system.used_at is not None and system.used_at > due:
            return
        stale = or_(ApiKey.used_at.is_(None), ApiKey.used_at <= due)
        try:
            with self._db.transaction() as session:
                session.execute(
                    update(ApiKey).where(ApiKey.id == system.id, stale).values(used_at=now)
                )
        except SQLAlchemyError:
            # Nobody's question waits for, or fails by, this bookkeeping.
            log.exception("noting the use of a key failed")


def _check(name: str, scopes: set[str], per_minute: int) -> None:
    problems = {}
    if not _NAME.fullmatch(name):
        problems["name"] = "名称由汉字、字母、数字、点、横线组成，最多64个字"
    unknown = sorted(scopes - SCOPES.keys())
    if unknown or not scopes:
        problems["scope"] = f"权限只能是 {'、'.join(SCOPES)}，至少选一个"
    if not 1 <= per_minute <= MAX_PER_MINUTE:
        problems["per_minute"] = f"每分钟次数应在 1 到 {MAX_PER_MINUTE} 之间"
    if problems:
        raise InvalidRequest(problems)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _system(row: ApiKey) -> System:
    return System(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scopes=frozenset(row.scopes.split()),
        per_minute=row.per_minute,
        created_at=row.created_at,
        used_at=row.used_at,
        revoked_at=row.revoked_at,
    )
