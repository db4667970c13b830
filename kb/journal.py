"""What every write leaves behind: an audit row, and change-log rows for the indexes to follow."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from kb.db import Database
from kb.models import Audit, Change

# What the names of index groups begin with.
REVISIONS = "revision:"
ENTRIES = "entry:"


def revision_group(revision_id: int) -> str:
    """The index group that holds the clauses of a revision."""
    return f"{REVISIONS}{revision_id}"


def entry_group(entry_id: int) -> str:
    """The index group that holds the phrasings and the answer of an entry."""
    return f"{ENTRIES}{entry_id}"


def audit(session: Session, *, actor: str, action: str, subject: str, **detail: Any) -> None:
    """Add an audit row to the transaction."""
    session.add(
        Audit(at=datetime.now(UTC), actor=actor, action=action, subject=subject, detail=detail)
    )


def changed(db: Database, session: Session, *groups: str) -> None:
    """Tell the indexes to read these groups again once the transaction commits."""
    db.serialise(session)
    session.add_all(Change(group=group) for group in groups)
