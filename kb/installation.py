"""The identity of a base, so that an index made for another one is never used."""

import uuid
from datetime import UTC, datetime

from sqlalchemy import select

from kb.db import Database
from kb.models import Installation


def identify(db: Database) -> str:
    """Return the base's identity, giving it one the first time."""
    with db.reading() as session:
        known = session.scalars(select(Installation)).first()
    if known is not None:
        return known.id
    with db.transaction() as session:
        db.serialise(session)
        known = session.scalars(select(Installation)).first()
        if known is None:
            known = Installation(id=uuid.uuid4().hex, created_at=datetime.now(UTC))
            session.add(known)
    return known.id
