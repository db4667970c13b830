"""How fresh what is published is: due for review, ending soon, and by department."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from sqlalchemy import select

from kb import clock
from kb.clock import day_of
from kb.db import Database
from kb.models import Department, Document, Entry, Revision, Status

HORIZONS = (30, 60, 90)
LISTED = 100


@dataclass(frozen=True)
class Ending:
    """Something published that ends, or should be looked at again, on a day.

    Attributes:
        key: "entry:12" or "document:3".
    """

    key: str
    title: str
    department: str
    day: date


@dataclass(frozen=True)
class Standing:
    """How fresh the entries of a department are.

    Attributes:
        in_time: share of the entries whose review is not overdue, 0 to 1.
        age: median days since an entry was last changed or confirmed.
    """

    department: str
    entries: int
    overdue: int
    in_time: float
    age: int


@dataclass(frozen=True)
class Freshness:
    """All of it on a day.

    Attributes:
        overdue: reviews that are overdue, the longest first.
        due: reviews within 30 days.
        expired: published and already past its last day, the latest first.
        ending: days ahead (30, 60, 90) → what ends within them, each once.
    """

    overdue: tuple[Ending, ...]
    due: tuple[Ending, ...]
    expired: tuple[Ending, ...]
    ending: dict[int, tuple[Ending, ...]]
    league: tuple[Standing, ...]


class Shelf:
    """Looks through what is published."""

    def __init__(self, db: Database, *, now: Callable[[], datetime] = clock.now) -> None:
        self._db = db
        self._now = now

    def freshness(self, *, department: str = "", region: str | None = None) -> Freshness:
        """How things stand today.

        Args:
            department: by name; empty for all.
            region: code; what lies in it counts. None for all.
        """
        today = day_of(self._now())
        entries = self._entries(department, region)
        reviews = sorted(
            (
                Ending(f"entry:{each.id}", each.question, name, each.review_due)
                for each, name in entries
                if each.review_due and (each.expires_on or today) >= today
            ),
            key=lambda each: (each.day, each.key),
        )
        ends = [
            Ending(f"entry:{each.id}", each.question, name, each.expires_on)
            for each, name in entries
            if each.expires_on
        ]
        ends = sorted([*ends, *self._documents(department, region)], key=lambda each: each.day)
        soon = today + timedelta(days=HORIZONS[0])
        return Freshness(
            overdue=tuple(each for each in reviews if each.day < today),
            due=tuple(each for each in reviews if today <= each.day <= soon),
            expired=tuple(each for each in reversed(ends) if each.day < today),
            ending=_ahead(ends, today),
            league=_league(entries, today),
        )

    def _entries(self, department: str, region: str | None) -> list[tuple[Entry, str]]:
        query = (
            select(Entry, Department.name)
            .join(Department, Department.id == Entry.department_id)
            .where(Entry.status == Status.PUBLISHED)
            .order_by(Entry.id)
        )
        if department:
            query = query.where(Department.name == department)
        if region:
            query = query.where(Entry.region_code.startswith(region.rstrip("0") or region))
        with self._db.reading() as session:
            return [(entry, name) for entry, name in session.execute(query)]

    def _documents(self, department: str, region: str | None) -> list[Ending]:
        query = (
            select(Document.id, Document.title, Department.name, Revision.expires_on)
            .join(Revision, Revision.document_id == Document.id)
            .outerjoin(Department, Department.id == Document.department_id)
            .where(
                Document.status == Status.PUBLISHED,
                Document.repealed_on.is_(None),
                Revision.published_at.is_not(None),
                Revision.superseded_on.is_(None),
                Revision.expires_on.is_not(None),
            )
        )
        if department:
            query = query.where(Department.name == department)
        if region:
            query = query.where(Document.region_code.startswith(region.rstrip("0") or region))
        with self._db.reading() as session:
            rows = session.execute(query).all()
        return [
            Ending(f"document:{number}", title, name or "", day)
            for number, title, name, day in rows
            if day
        ]


def _ahead(ends: Sequence[Ending], today: date) -> dict[int, tuple[Ending, ...]]:
    ahead, begin = {}, today
    for days in HORIZONS:
        end = today + timedelta(days=days)
        ahead[days] = tuple(each for each in ends if begin <= each.day <= end)
        begin = end + timedelta(days=1)
    return ahead


def _league(entries: Sequence[tuple[Entry, str]], today: date) -> tuple[Standing, ...]:
    by_name: dict[str, list[Entry]] = {}
    for entry, name in entries:
        by_name.setdefault(name, []).append(entry)
    standings = []
    for name, held in by_name.items():
        late = sum(bool(each.review_due and each.review_due < today) for each in held)
        ages = [(today - day_of(each.updated_at)).days for each in held]
        standings.append(Standing(name, len(held), late, 1 - late / len(held), round(median(ages))))
    return tuple(sorted(standings, key=lambda each: (-each.in_time, each.age, each.department)))
