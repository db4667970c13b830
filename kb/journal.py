"""What every write leaves behind: a chained audit row, and change-log rows for the indexes.

Hides how the chain is closed: each audit row bears the digest of its own content and of the row
before it, so that one that was altered, removed or slipped in is found. Triggers of the database
refuse changes in the first place.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, event, func, insert, select, text
from sqlalchemy.orm import Session

from kb.db import Database
from kb.models import Audit, Change

# What the names of index groups begin with.
REVISIONS = "revision:"
ENTRIES = "entry:"
# Of the first row, which has none before it.
BEGINNING = ""
# Any constant but that of `kb.db`: whoever holds this lock adds to the chain.
_CHAIN_LOCK = 7_301_202_7
_PENDING = "audit rows of this transaction"
_AT_ONCE = 1000


@dataclass(frozen=True)
class AuditRow:
    """One row of the audit log; `digest` closes the chain up to it."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    digest: str


@dataclass(frozen=True)
class Wanted:
    """Which audit rows to read; what is empty admits all.

    Attributes:
        action: the beginning of the action's name: "sign_in" admits "sign_in.failed".
        since: earliest instant.
        until: first instant that is too late.
    """

    actor: str = ""
    action: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether the chain holds.

    Attributes:
        rows: how many rows there are.
        broken: number of the first row that does not fit the one before it; None when all do.
        last: number and digest of the last row. Noted elsewhere, they show later that nothing was
            cut off at the end, which the chain by itself cannot show.
    """

    rows: int
    broken: int | None
    last: tuple[int, str] | None


class AuditLog:
    """Reads the audit log; nothing can be taken from it or put right in it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def page(
        self, wanted: Wanted, *, offset: int = 0, limit: int = 50
    ) -> tuple[list[AuditRow], int]:
        """Rows, the latest first, and how many there are in all."""
        conditions = _conditions(wanted)
        with self._db.reading() as session:
            total = session.scalar(select(func.count(Audit.id)).where(*conditions)) or 0
            rows = session.scalars(
                select(Audit)
                .where(*conditions)
                .order_by(Audit.id.desc())
                .offset(offset)
                .limit(limit)
            ).all()
        return [_view(row) for row in rows], total

    def rows(self, wanted: Wanted | None = None) -> Iterator[AuditRow]:
        """All rows in their order, read bit by bit."""
        query = select(Audit).where(*_conditions(wanted or Wanted())).order_by(Audit.id)
        with self._db.reading() as session:
            for row in session.scalars(query.execution_options(yield_per=_AT_ONCE)):
                yield _view(row)

    def verify(self, known: tuple[int, str] | None = None) -> Verdict:
        """Work out the whole chain again.

        Args:
            known: number and digest of a row as noted earlier; the chain must still have it.
        """
        digest, count, last, broken = BEGINNING, 0, None, None
        found = known is None
        for row in self.rows():
            count += 1
            digest = _digest(digest, row.at, row.actor, row.action, row.subject, row.detail)
            if row.digest != digest and broken is None:
                broken = row.id
            digest = row.digest
            last = (row.id, row.digest)
            found = found or last == known
        if not found and known is not None and broken is None:
            broken = known[0]
        return Verdict(count, broken, last)


def revision_group(revision_id: int) -> str:
    """The index group that holds the clauses of a revision."""
    return f"{REVISIONS}{revision_id}"


def entry_group(entry_id: int) -> str:
    """The index group that holds the phrasings and the answer of an entry."""
    return f"{ENTRIES}{entry_id}"


def audit(session: Session, *, actor: str, action: str, subject: str, **detail: Any) -> None:
    """Add an audit row to the transaction, to be chained at the very moment it commits.

    Chained earlier, it would hold up every other writer until this transaction ends, and two that
    each hold what the other wants would wait for ever.
    """
    if _PENDING not in session.info:
        session.info[_PENDING] = []
        event.listen(session, "before_commit", _chain)
    session.info[_PENDING].append(
        {
            "at": datetime.now(UTC),
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": json.loads(_canonical(detail)),
        }
    )


def changed(db: Database, session: Session, *groups: str) -> None:
    """Tell the indexes to read these groups again once the transaction commits."""
    db.serialise(session)
    session.add_all(Change(group=group) for group in groups)


def chained(previous: str, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of the audit table with their digests, in order.

    Args:
        previous: digest of the row before them.
    """
    for row in rows:
        previous = _digest(
            previous, row["at"], row["actor"], row["action"], row["subject"], row["detail"]
        )
        yield {**row, "digest": previous}


def _chain(session: Session) -> None:
    rows: Sequence[dict[str, Any]] = session.info[_PENDING]
    if not rows:
        return
    session.info[_PENDING] = []
    if session.get_bind().dialect.name == "postgresql":
        # Number and digest must be given out in one order; SQLite has one writer anyway.
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK})
    last = session.scalar(select(Audit.digest).order_by(Audit.id.desc()).limit(1))
    session.execute(insert(Audit), list(chained(last or BEGINNING, rows)))


def _digest(previous: str, at: datetime, actor: str, *rest: str | Mapping[str, Any]) -> str:
    """SHA-256 over the digest before and the row as canonical JSON, in hexadecimal."""
    row = _canonical([at.astimezone(UTC).isoformat(timespec="microseconds"), actor, *rest])
    return hashlib.sha256(f"{previous}\n{row}".encode()).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actor:
        conditions.append(Audit.actor == wanted.actor)
    if wanted.action:
        conditions.append(Audit.action.startswith(wanted.action, autoescape=True))
    if wanted.subject:
        conditions.append(Audit.subject == wanted.subject)
    if wanted.since:
        conditions.append(Audit.at >= wanted.since)
    if wanted.until:
        conditions.append(Audit.at < wanted.until)
    return conditions


def _view(row: Audit) -> AuditRow:
    return AuditRow(row.id, row.at, row.actor, row.action, row.subject, row.detail, row.digest)
