"""A log of questions on both databases, and what looks through it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app import make_insights
from embeddings import Encoder
from kb.clusters import Clusters
from kb.db import Database
from kb.entries import Entries
from kb.indexing import Indexer
from kb.regions import Regions
from kb.search import Search
from kb.understanding import Dictionary, Understanding
from kb.versions import Versions
from service.composing.composers import ExtractiveComposer
from service.insights.closing import Closing
from service.insights.gathering import Gatherer
from service.insights.insights import Insights
from service.insights.routing import Router
from service.models import Conversation, Exchange, Feedback
from service.policies import Policies
from service.tunables import Tuned
from tests.factories import Clock, entry

BEGIN = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
Ask = Callable[..., str]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ask(database: Database, clock: Clock) -> Ask:
    """Log a question that was just asked; returns the number of its exchange."""
    made = 0

    def log(text: str, outcome: str = "unanswerable", **facts: object) -> str:
        nonlocal made
        made += 1
        number = f"{made:032d}"
        asker = str(facts.pop("asker", number))
        channel = str(facts.pop("channel", "web"))
        helpful = facts.pop("helpful", None)
        held = {"region_code": "370200", "confidence": 0.9, "milliseconds": 20, **facts}
        at = held.pop("asked_at", clock())
        with database.transaction() as session:
            if session.get(Conversation, asker) is None:
                session.add(Conversation(id=asker, channel=channel, created_at=at))
                session.flush()
            session.add(
                Exchange(
                    id=number,
                    conversation_id=asker,
                    question=text,
                    as_of=clock().date(),
                    outcome=outcome,
                    text="",
                    asked_at=at,
                    **held,
                )
            )
            session.flush()
            if helpful is not None:
                session.add(Feedback(exchange_id=number, helpful=helpful, given_at=clock()))
        return number

    return log


@pytest.fixture
def publish(entries: Entries, indexer: Indexer) -> Callable[..., int]:
    """Publish an entry; returns its number."""

    def save(question: str, **facts: object) -> int:
        [saved] = entries.save([(1, entry(question, **facts))], actor="编辑", publish=True)
        indexer.catch_up()
        assert saved.entry_id is not None, saved
        return saved.entry_id

    return save


@pytest.fixture
def insights(
    database: Database, search: Search, encoder: Encoder, regions: Regions, clock: Clock
) -> Insights:
    understanding = Understanding(database, search, Dictionary(), steps=())
    return make_insights(
        database,
        Versions(database, regions=regions, now=clock),
        gatherer=Gatherer(database, Clusters(encoder), Router(database, search), now=clock),
        closing=Closing(
            database,
            understanding,
            lambda: Policies(search, Tuned(), ExtractiveComposer()),
            now=clock,
        ),
        now=clock,
    )


def later(clock: Clock, **gone: float) -> None:
    clock.at += timedelta(**gone)
