"""Which department a question is for: the one that owns what is published nearest to it."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from sqlalchemy import select

from kb.db import Database
from kb.models import Clause, Department
from kb.passages import Passage
from kb.search import Scope, Search

NEAREST = 5
LOOKED_AT = 8
# Likeness from which on a passage is surely of the same matter.
SAME_MATTER = 0.65


class Near(NamedTuple):
    """A published entry near a question; likeness is a cosine, 0 to 1."""

    entry_id: int
    question: str
    department: str
    likeness: float


@dataclass(frozen=True)
class Routing:
    """Where a question belongs.

    Attributes:
        department: a name the base knows; empty where nothing is near.
        sureness: 0 to 1: the share of the nearest passages that speak for the department, less
            where even the nearest is far.
    """

    department: str
    sureness: float
    topic: str
    nearest: tuple[Near, ...]


class Router:
    """Looks at what is in force."""

    def __init__(self, db: Database, search: Search) -> None:
        self._db = db
        self._search = search

    def route(self, text: str, region: str | None, day: date) -> Routing:
        """Find the owner of a question's topic."""
        scope = Scope(as_of=day, region=region)
        passages = self._search.passages(text, scope, limit=LOOKED_AT, per_document=1).passages
        votes: defaultdict[str, float] = defaultdict(float)
        topics: defaultdict[str, float] = defaultdict(float)
        for passage, owners in zip(passages, self._owners(passages), strict=True):
            weight = _likeness(passage) ** 2
            if passage.topic:
                topics[passage.topic] += weight
            for owner in owners:
                votes[owner] += weight / len(owners)
        department = max(votes, key=lambda name: (votes[name], name), default="")
        closest = max(map(_likeness, passages), default=0.0)
        total = sum(votes.values())
        share = votes[department] / total if total else 0.0
        return Routing(
            department if share else "",
            round(share * min(1.0, closest / SAME_MATTER) ** 2, 2),
            max(topics, key=lambda name: (topics[name], name), default=""),
            tuple(_near(passages)),
        )

    def _owners(self, passages: tuple[Passage, ...]) -> list[list[str]]:
        """For each passage the bodies that answer for it: those a clause names, if the base knows
        them, else the department of its document or entry."""
        clauses = [int(p.key.partition(":")[2]) for p in passages if p.kind == "clause"]
        with self._db.reading() as session:
            named = dict(
                session.execute(
                    select(Clause.id, Clause.responsible).where(Clause.id.in_(clauses))
                ).all()
            )
            bodies = {name for names in named.values() for name in names}
            known = set(session.scalars(select(Department.name).where(Department.name.in_(bodies))))
        owners = []
        for passage in passages:
            kind, _, number = passage.key.partition(":")
            responsible = named.get(int(number), []) if kind == "clause" else []
            own = [passage.department] if passage.department else []
            owners.append([name for name in responsible if name in known] or own)
        return owners


def _near(passages: tuple[Passage, ...]) -> list[Near]:
    entries = [passage for passage in passages if passage.entry]
    entries.sort(key=lambda passage: -_likeness(passage))
    return [
        Near(each.entry.id, each.title, each.department, round(_likeness(each), 2))
        for each in entries[:NEAREST]
        if each.entry
    ]


def _likeness(passage: Passage) -> float:
    return min(1.0, max(0.0, passage.similarity))
