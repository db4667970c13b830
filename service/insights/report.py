"""The report of a month: what was asked and done, against the month before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select

from kb.clock import end_of, start_of
from kb.db import Database
from kb.models import Entry, EntryVersion, Status
from service.insights.figures import HotQuestion, Slice, Sums
from service.insights.freshness import Freshness
from service.insights.gaps import GapView, Sieve
from service.insights.insights import Insights
from service.insights.models import Gap
from service.models import Ticket


@dataclass(frozen=True)
class Work:
    """What was done in a month.

    Attributes:
        published: versions that became public.
        gaps_found, gaps_closed: questions without an answer that came up, and that were settled.
        tickets, tickets_closed: sent to departments, and settled.
    """

    published: int
    gaps_found: int
    gaps_closed: int
    tickets: int
    tickets_closed: int


@dataclass(frozen=True)
class Report:
    """A month, the month before, and how things stand today.

    Attributes:
        checked: days of the month that were checked; `wrong` of them with something to do.
        entries: published today.
    """

    first: date
    last: date
    sums: Sums
    before: Sums
    work: Work
    work_before: Work
    hot: tuple[HotQuestion, ...]
    gaps: Sequence[GapView]
    fresh: Freshness
    checked: int
    wrong: int
    entries: int


def month_of(insights: Insights, db: Database, first: date, last: date) -> Report:
    """The report of a month, up to a day of it."""
    before_last = first - timedelta(days=1)
    before = before_last.replace(day=1)
    wanted = Slice(first, last)
    sums = insights.figures.sums(wanted)
    verdicts = insights.daily.between(first, last)
    with db.reading() as session:
        entries = session.scalar(select(func.count()).where(Entry.status == Status.PUBLISHED))
    return Report(
        first=first,
        last=last,
        sums=sums,
        before=insights.figures.sums(Slice(before, before_last)),
        work=_work(db, first, last),
        work_before=_work(db, before, before_last),
        hot=insights.figures.hot(sums),
        gaps=insights.gaps.listed(Sieve(several=True))[0][:10],
        fresh=insights.shelf.freshness(),
        checked=len(verdicts),
        wrong=sum(verdict != "good" for verdict in verdicts.values()),
        entries=entries or 0,
    )


def _work(db: Database, first: date, last: date) -> Work:
    begin, end = start_of(first), end_of(last)
    with db.reading() as session:

        def within(column: Any, *more: Any) -> int:
            query = select(func.count()).where(column >= begin, column < end, *more)
            return session.scalar(query) or 0

        return Work(
            published=within(EntryVersion.public_from),
            gaps_found=within(Gap.first_seen, Gap.askers > 1),
            gaps_closed=within(Gap.closed_at),
            tickets=within(Ticket.created_at),
            tickets_closed=within(Ticket.closed_at),
        )
