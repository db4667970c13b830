"""Figures of what was asked, on SQLite and PostgreSQL: days in China, sums that agree."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import openpyxl
import pytest
from sqlalchemy import select

from kb.db import Database
from kb.formats.workbook import Sheet, figures_workbook
from service.conversations import Conversations
from service.insights import charts
from service.insights.figures import Slice, Sums
from service.insights.insights import Insights
from service.insights.models import TalliedDay
from service.insights.tallies import BOUNDS, speed_class
from tests.factories import Clock
from tests.service.insights.conftest import BEGIN, Ask, later

TODAY = date(2026, 1, 15)


def sums(insights: Insights, first: date = TODAY, last: date = TODAY, **kept: str) -> Sums:
    insights.figures.level()
    return insights.figures.sums(Slice(first, last, **kept))  # type: ignore[arg-type]


def test_every_breakdown_adds_up_to_the_same_total(insights: Insights, ask: Ask) -> None:
    ask("一", "answered", helpful=True, channel="wechat")
    ask("二", "unanswerable", region_code=None, milliseconds=900)
    ask("三", "clarify", helpful=False, region_code="370283")
    ask("四", "answered", channel="eval")
    found = sums(insights)
    assert found.total == 3 and found.helpful == found.unhelpful == 1
    for counted in (found.outcomes, found.channels, found.regions, found.topics,
                    found.departments, found.hours, found.speeds, found.days[TODAY]):  # fmt: skip
        assert sum(counted.values()) == 3
    assert found.outcomes == Counter(answered=1, unanswerable=1, clarify=1)
    assert found.hours == Counter({10: 3}) and found.answered == 1 / 3
    assert found.helpful_share == 0.5


def test_a_day_begins_at_midnight_in_china(insights: Insights, ask: Ask, clock: Clock) -> None:
    for at in (
        datetime(2026, 1, 13, 15, 59, tzinfo=UTC),
        datetime(2026, 1, 13, 16, 0, tzinfo=UTC),
        datetime(2026, 1, 14, 15, 59, tzinfo=UTC),
        datetime(2026, 1, 14, 16, 0, tzinfo=UTC),
    ):
        ask("问", "answered", asked_at=at)
    found = sums(insights, TODAY - timedelta(days=2), TODAY)
    assert [sum(counts.values()) for counts in found.days.values()] == [1, 2, 1]
    assert found.hours == Counter({23: 2, 0: 2})


def test_filters_narrow_by_channel_region_and_what_lies_in_it(insights: Insights, ask: Ask) -> None:
    ask("问", channel="wechat", region_code="370283")
    ask("问", channel="web", region_code="370200")
    ask("问", channel="web", region_code="320100")
    assert sums(insights, region="370200").total == 2
    assert sums(insights, region="370283").total == 1
    assert sums(insights, region="370000", channel="web").total == 1
    assert sums(insights, department="没有这个局").total == 0


def test_a_judgement_given_later_counts_for_the_day_of_the_question(
    insights: Insights, ask: Ask, clock: Clock, database: Database
) -> None:
    number = ask("问", "answered")
    assert sums(insights).helpful == 0
    later(clock, days=1, hours=2)
    assert sums(insights).total == 1
    later(clock, hours=1)
    Conversations(database, clock).rate(number, helpful=True, comment="")
    later(clock, minutes=1)
    assert sums(insights).helpful == 1


def test_closed_days_are_counted_once_and_the_rest_some_at_a_time(
    insights: Insights, ask: Ask, clock: Clock, database: Database
) -> None:
    ask("问", asked_at=BEGIN - timedelta(days=9))
    assert insights.tallies.bring_level(most=4) == 6
    assert insights.tallies.bring_level(most=99) == 0
    later(clock, minutes=5)
    insights.tallies.bring_level()
    with database.reading() as session:
        counted = {row.day: row.at for row in session.scalars(select(TalliedDay))}
    assert len(counted) == 10
    assert [day for day, at in counted.items() if at == clock()] == [TODAY]


def test_times_are_read_from_classes(insights: Insights, ask: Ask) -> None:
    for spent in (5, 20, 20, 5000):
        ask("问", "answered", milliseconds=spent)
    found = sums(insights)
    assert found.milliseconds(0.5) == 25 and found.milliseconds(0.95) == 6310
    assert Sums().milliseconds(0.5) is None and Sums().answered is None
    assert speed_class(0) == 0 and speed_class(10**9) == len(BOUNDS) - 1
    assert all(BOUNDS[speed_class(bound)] == bound for bound in BOUNDS)


@pytest.mark.parametrize(("most", "top"), [(0, 4), (4, 4), (5, 5), (11, 20), (41, 50), (99, 100)])
def test_axes_end_at_round_numbers(most: float, top: float) -> None:
    assert charts.nice(most) == top


def test_a_chart_is_as_high_as_its_numbers_and_escapes_words() -> None:
    drawn = charts.stacked("标<题", "说明", ["一", "二"], [charts.Series("<甲>", [0, 4])])
    assert drawn.count("<rect") == 1 and 'height="196.0"' in drawn
    assert "<题" not in drawn and "&lt;甲&gt; 4" in drawn and 'role="img"' in drawn
    assert "style=" not in drawn


def test_what_looks_like_a_formula_is_a_text_in_the_export() -> None:
    data = figures_workbook([Sheet("表:1", ("名称", "数"), [('=HYPERLINK("x")', 3), ("@a", None)])])
    [sheet] = openpyxl.load_workbook(io.BytesIO(data)).worksheets
    assert sheet.title == "表1"
    cells = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert cells == [["名称", "数"], ['\'=HYPERLINK("x")', 3], ["'@a", None]]
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


def test_hot_questions_are_those_of_the_slice(
    insights: Insights, ask: Ask, publish: Callable[..., int]
) -> None:
    hens, cards = publish("养鸡场用电怎么收费"), publish("社保卡怎么补办")
    for entry_id, channel in ((hens, "web"), (cards, "web"), (cards, "web"), (hens, "wechat")):
        ask("问", "answered", entry_id=entry_id, channel=channel)
    ask("问", "answered", entry_id=10**6)
    hot = insights.figures.hot(sums(insights, channel="web"))
    assert [(each.entry_id, each.count) for each in hot] == [(cards, 2), (hens, 1)]
    assert hot[0].question == "社保卡怎么补办"
