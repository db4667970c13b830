"""What people ask most, as standard questions of the base; hides counting, keeping and filling up.

Never a text that somebody typed: only questions of published entries that answered, each counted
once a conversation.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import distinct, func, select

from kb.db import Database
from kb.library import Library
from kb.models import Department, Entry, Status
from kb.passages import Passage
from kb.regions import Regions
from kb.search import Scope
from kb.validity import Validity
from service.conversations import Outcome
from service.models import Exchange

DAYS = timedelta(days=30)
# Counting takes a second over a million questions; so long it stays as it is.
KEPT = timedelta(minutes=10)
# Of the entries asked most, and of the newest, so many are looked at for a list.
LOOKED_AT = 60


class Popularity:
    """Counts answers by entry over the last days.

    Args:
        prefer: told the counts whenever they were made, so that suggestions can follow them.
    """

    def __init__(
        self,
        db: Database,
        library: Library,
        regions: Regions,
        *,
        now: Callable[[], datetime],
        prefer: Callable[[Mapping[int, int]], None],
    ) -> None:
        self._db = db
        self._library = library
        self._regions = regions
        self._now = now
        self._prefer = prefer
        self._counting = threading.Lock()
        self._counted_at: datetime | None = None
        # Conversations by region of the asker and entry.
        self._counts: dict[str | None, dict[int, int]] = {}

    def questions(self, scope: Scope, *, limit: int = 6, fill: bool = True) -> list[str]:
        """The standard questions asked most in a scope, those of its own region first.

        Of the scope the day, the region and the department count.

        Args:
            fill: whether the newest entries follow where few were asked.
        """
        self.refresh()
        found: dict[str, None] = {}
        for passage in self._candidates(scope, fill=fill):
            found.setdefault(passage.title)
            if len(found) == limit:
                break
        return list(found)

    def refresh(self) -> bool:
        """Count anew where it is time, unless somebody else is at it; whether it was done."""
        now = self._now()
        if self._counted_at and now - self._counted_at < KEPT:
            return False
        if not self._counting.acquire(blocking=self._counted_at is None):
            return False
        try:
            if self._counted_at and now - self._counted_at < KEPT:
                return False
            self._counts = self._count(now)
            self._counted_at = now
            self._prefer(_summed(self._counts.values()))
            return True
        finally:
            self._counting.release()

    def job(self) -> bool:
        """Keep the counts fresh, so that nobody waits for them; a job of `service.worker`."""
        self.refresh()
        return False

    def _count(self, now: datetime) -> dict[str | None, dict[int, int]]:
        query = (
            select(
                Exchange.region_code,
                Exchange.entry_id,
                func.count(distinct(Exchange.conversation_id)),
            )
            .where(
                Exchange.asked_at >= now - DAYS,
                Exchange.outcome == Outcome.ANSWERED.value,
                Exchange.entry_id.is_not(None),
            )
            .group_by(Exchange.region_code, Exchange.entry_id)
        )
        counts: dict[str | None, dict[int, int]] = {}
        with self._db.reading() as session:
            for region, entry_id, count in session.execute(query):
                if entry_id is not None:
                    counts.setdefault(region, {})[entry_id] = count
        return counts

    def _candidates(self, scope: Scope, *, fill: bool) -> Iterator[Passage]:
        """Entries in force in a scope: asked most there, asked most anywhere, newest."""
        path = self._regions.path(scope.region) if scope.region else ()
        here = self._counts.get(scope.region, {})
        everywhere = _summed(self._counts.values())
        newest = self._newest(scope.department) if fill else []
        for ids in (_most(here), _most(everywhere), newest):
            keys = [f"entry:{entry_id}" for entry_id in ids]
            for passage in self._library.passages(keys, scope.as_of):
                fits = scope.department in ("", passage.department)
                applies = not path or passage.region_code in (None, *path)
                if fits and applies and passage.validity is Validity.IN_FORCE:
                    yield passage

    def _newest(self, department: str) -> list[int]:
        query = (
            select(Entry.id)
            .where(Entry.status == Status.PUBLISHED)
            .order_by(Entry.updated_at.desc(), Entry.id)
            .limit(LOOKED_AT)
        )
        if department:
            query = query.join(Entry.department).where(Department.name == department)
        with self._db.reading() as session:
            return list(session.scalars(query))


def _summed(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for each in counts:
        for entry_id, count in each.items():
            total[entry_id] = total.get(entry_id, 0) + count
    return total


def _most(counts: Mapping[int, int]) -> list[int]:
    return sorted(counts, key=lambda entry_id: (-counts[entry_id], entry_id))[:LOOKED_AT]
