"""From badly answered questions to entries, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from sqlalchemy import func, select

from kb.db import Database
from kb.departments import department_named
from kb.errors import Conflict, NotFound
from service.conversations import Conversations
from service.errors import InvalidRequest
from service.insights.evidence import showable
from service.insights.gaps import GapView, Sieve
from service.insights.gathering import HIDDEN
from service.insights.insights import Insights
from service.insights.models import GapQuestion
from tests.factories import Clock
from tests.service.insights.conftest import Ask, later

HENS = ("养鸡场用电有补助吗", "养鸡场用电补贴怎么申请", "养鸡场的用电补助怎么领")
CARDS = ("社保卡丢了怎么补", "社保卡补办要带什么")
DRONE = "无人机怎么报备"


def gaps(insights: Insights, **sieve: object) -> dict[str, GapView]:
    return {gap.title: gap for gap in insights.gaps.listed(Sieve(**sieve))[0]}  # type: ignore[arg-type]


def only(insights: Insights) -> GapView:
    [gap] = gaps(insights).values()
    return gap


def test_each_question_is_counted_once_and_gaps_keep_their_numbers(
    insights: Insights, ask: Ask, clock: Clock
) -> None:
    for text in (HENS[0], CARDS[0], HENS[1], HENS[0]):
        ask(text)
    assert insights.gatherer.gather().questions == 4
    first = gaps(insights)
    assert {title: gap.size for title, gap in first.items()} == {HENS[0]: 3, CARDS[0]: 1}
    assert insights.gatherer.gather().questions == 0
    later(clock, days=1)
    ask(CARDS[1])
    ask(DRONE)
    done = insights.gatherer.gather()
    assert (done.questions, done.opened) == (2, 1)
    second = {gap.id: gap for gap in gaps(insights).values()}
    assert second[first[HENS[0]].id].size == 3
    assert second[first[CARDS[0]].id].size == 2
    assert sum(gap.size for gap in second.values()) == 6


def test_what_was_answered_well_chosen_or_only_tried_is_no_gap(
    insights: Insights, ask: Ask, clock: Clock
) -> None:
    ask(HENS[0], "answered", confidence=0.9, helpful=True)
    ask(HENS[0], channel="eval")
    ask(HENS[0], channel="cli")
    ask(CARDS[0], "clarify", asker="c" * 32)
    later(clock, minutes=1)
    ask("社保卡怎么补办？", "answered", asker="c" * 32)
    ask(DRONE, "clarify")
    assert insights.gatherer.gather().questions == 0
    later(clock, hours=1)
    assert insights.gatherer.gather().questions == 1
    assert insights.gaps.details(only(insights).id).kinds == (("abandoned", 1),)


def test_an_unsure_and_an_unhelpful_answer_are_gaps(insights: Insights, ask: Ask) -> None:
    ask(HENS[0], "answered", confidence=0.4)
    ask(CARDS[0], "answered", confidence=0.99, helpful=False)
    insights.gatherer.gather()
    kinds = {
        title: insights.gaps.details(gap.id).kinds[0][0] for title, gap in gaps(insights).items()
    }
    assert kinds == {HENS[0]: "unsure", CARDS[0]: "unhelpful"}


def test_what_only_one_person_asked_is_shown_only_without_personal_data(
    insights: Insights, ask: Ask
) -> None:
    private = "我叫王小明，养鸡场用电有补助吗"
    ask(private)
    insights.gatherer.gather()
    gap = only(insights)
    assert gap.title == HIDDEN
    assert insights.gaps.details(gap.id).wordings == ()
    assert insights.gaps.details(gap.id).hidden == 1
    ask(HENS[0])
    insights.gatherer.gather()
    assert only(insights).title == HENS[0]
    assert not showable("电话138****5678怎么改", 1)
    assert showable("低保标准2024年是多少", 1) and showable(private, 2)


def test_questions_of_a_person_who_is_erased_are_gone_from_their_gap(
    insights: Insights, ask: Ask, database: Database
) -> None:
    ask(HENS[0], asker="a" * 32)
    ask(HENS[1])
    insights.gatherer.gather()
    Conversations(database).erase_one("a" * 32)
    insights.gatherer.gather()
    gap = only(insights)
    assert (gap.size, gap.askers, gap.title) == (1, 1, HENS[1])


def test_several_askers_make_it_the_task_of_who_owns_the_matter(
    insights: Insights, ask: Ask, publish: Callable[..., int]
) -> None:
    number = publish("养鸡场用电怎么收费", department="市发改委", topic="农业")
    publish("居住证怎么办理", department="市公安局")
    ask(HENS[0], region_code="370283")
    ask(DRONE)
    insights.gatherer.gather()
    assert insights.gatherer.assign().gaps == 0
    ask(HENS[1], region_code="370281")
    insights.gatherer.gather()
    assert insights.gatherer.assign().gaps == 1
    gap = gaps(insights)[HENS[0]]
    assert (gap.state, gap.department, gap.topic) == ("assigned", "市发改委", "农业")
    assert gap.due_on == date(2026, 1, 22) and gap.routing >= 0.5
    assert gap.nearest[0].entry_id == number and gap.region_code == "370200"


def test_an_overdue_gap_comes_first_and_is_counted(
    insights: Insights, ask: Ask, clock: Clock, database: Database
) -> None:
    with database.transaction() as session:
        department_named(session, "市发改委")
    ask(CARDS[0])
    ask(HENS[0])
    ask(HENS[0])
    insights.gatherer.gather()
    late = gaps(insights)[CARDS[0]].id
    insights.gaps.assign(late, "市发改委", actor="admin-1")
    later(clock, days=9)
    assert insights.gaps.listed(Sieve())[0][0].id == late
    assert insights.gaps.counts(Sieve())["overdue"] == 1
    assert list(gaps(insights, overdue=True)) == [CARDS[0]]
    assert list(gaps(insights, department="市发改委")) == [CARDS[0]]


def test_a_draft_carries_what_people_asked_and_is_begun_once(insights: Insights, ask: Ask) -> None:
    for text in (*HENS, HENS[0]):
        ask(text, region_code="370283")
    insights.gatherer.gather()
    gap = only(insights)
    version = insights.gaps.draft(gap.id, department="市发改委", actor="editor-1")
    assert version.record.question == HENS[0] and set(version.record.similar) == set(HENS[1:])
    assert (version.record.department, version.record.region) == ("市发改委", "370283")
    assert version.record.answer == ""
    assert insights.gaps.find(gap.id).draft_id == version.id
    with pytest.raises(Conflict, match="已起草"):
        insights.gaps.draft(gap.id, department="市发改委", actor="editor-2")


def test_wordings_are_added_to_an_entry_that_there_is(
    insights: Insights, ask: Ask, publish: Callable[..., int]
) -> None:
    number = publish("养鸡场用电怎么收费", similar=("养鸡电价",))
    ask(HENS[0])
    insights.gatherer.gather()
    gap = only(insights)
    with pytest.raises(InvalidRequest):
        insights.gaps.add_phrasings(gap.id, number, ["没有人这样问过"], actor="editor-1")
    version = insights.gaps.add_phrasings(gap.id, number, [HENS[0]], actor="editor-1")
    assert version.record.similar == ("养鸡电价", HENS[0]) and version.entry_id == number


def test_a_gap_closes_by_itself_when_what_is_published_answers_it_and_reopens(
    insights: Insights, ask: Ask, publish: Callable[..., int], clock: Clock
) -> None:
    for text in HENS[:2]:
        ask(text)
    insights.gatherer.gather()
    number = only(insights).id
    assert insights.closing.close() == 0
    publish(HENS[0], similar=(HENS[1],))
    assert insights.closing.close() == 1
    gap = insights.gaps.find(number)
    assert gap.state == "answered" and HENS[0] in gap.reason and gaps(insights) == {}
    later(clock, days=1)
    ask(HENS[2])
    assert insights.gatherer.gather().reopened == 1
    assert insights.gaps.find(number).state == "open"


def test_a_gap_stays_while_people_would_be_asked_back(
    insights: Insights, ask: Ask, publish: Callable[..., int]
) -> None:
    """It was once closed by any entry that was sure enough, though it depends on the place."""
    ask(HENS[0], region_code=None)
    insights.gatherer.gather()
    for region in ("370200", "320100"):
        publish(HENS[0], region=region)
    assert insights.closing.close() == 0


def test_a_dismissed_gap_takes_new_questions_and_stays_dismissed(
    insights: Insights, ask: Ask
) -> None:
    ask(HENS[0])
    insights.gatherer.gather()
    number = only(insights).id
    with pytest.raises(InvalidRequest):
        insights.gaps.dismiss(number, " ", actor="admin-1")
    insights.gaps.dismiss(number, "不属于本市职权", actor="admin-1")
    ask(HENS[1])
    insights.gatherer.gather()
    gap = insights.gaps.find(number)
    assert (gap.state, gap.size, gap.reason) == ("dismissed", 2, "不属于本市职权")
    with pytest.raises(Conflict):
        insights.gaps.dismiss(number, "再说一次", actor="admin-1")
    insights.gaps.reopen(number, actor="admin-1")
    assert insights.gaps.find(number).state == "open"
    with pytest.raises(NotFound):
        insights.gaps.find(number + 1)


def test_no_question_is_lost_or_doubled_when_the_log_is_read_in_between(
    insights: Insights, ask: Ask, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process gathers while this one is comparing: this one begins again."""
    ask(HENS[0])
    group, times = insights.gatherer._clusters.group, 0

    def interrupted(*arguments: object) -> list[int]:
        nonlocal times
        times += 1
        if times == 1:
            insights.gatherer.gather()
        return group(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(insights.gatherer._clusters, "group", interrupted)
    insights.gatherer.gather()
    with database.reading() as session:
        assert session.scalar(select(func.count(GapQuestion.id))) == 1
