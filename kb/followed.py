"""A value made from a table, kept in memory and made anew once the table's version has grown.

Hides how rarely the database is looked at: reading the value costs nothing but a clock, and what
another process wrote is seen within a second.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute, Session

from kb.db import Database

log = logging.getLogger(__name__)

Value = TypeVar("Value")
# Seconds between two looks at the version.
EVERY = 1.0


class Followed(Generic[Value]):
    """The value of a table.

    Args:
        version: column that grows over the whole table with every change; rows are never deleted.
        make: the value, from the table as it stands.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        db: Database,
        version: InstrumentedAttribute[int],
        make: Callable[[Session], Value],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._version = version
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._due = 0.0
        # Number and value in one, so that a reader without the lock never sees half of each.
        self._held: tuple[int, Value] | None = None

    def current(self) -> Value:
        """The value, at most `EVERY` seconds old; an older one where the database does not answer.

        Raises:
            SQLAlchemyError: the database does not answer, and never did.
        """
        return self._fresh()[1]

    @property
    def number(self) -> int:
        """The version of `current()`; 0 for an empty table."""
        return self._fresh()[0]

    def refresh(self) -> Value:
        """The value as it stands now: for whoever has just changed the table."""
        with self._lock:
            return self._look()[1]

    def _fresh(self) -> tuple[int, Value]:
        held = self._held
        if held is not None and self._clock() < self._due:
            return held
        # Whoever comes while another looks is served what is there.
        if held is not None and not self._lock.acquire(blocking=False):
            return held
        if held is None:
            self._lock.acquire()
        try:
            return self._look() if self._held is held else self._held or self._look()
        except SQLAlchemyError:
            if self._held is None:
                raise
            log.exception("looking for a change failed")
            return self._held
        finally:
            self._due = self._clock() + EVERY
            self._lock.release()

    def _look(self) -> tuple[int, Value]:
        with self._db.reading() as session:
            number = session.scalar(select(func.max(self._version))) or 0
            if self._held is None or self._held[0] != number:
                self._held = (number, self._make(session))
        return self._held


def next_version(db: Database, session: Session, version: InstrumentedAttribute[int]) -> int:
    """The version to write within a transaction, which from here on is the only one to do so."""
    db.serialise(session)
    return (session.scalar(select(func.max(version))) or 0) + 1
