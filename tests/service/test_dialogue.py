"""Conversations: what half a question, a number or a word about the last answer is taken for."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from app import compose
from kb.places import Places
from kb.regions import Regions
from service import guards, wording
from service.config import ROOT, Settings
from service.conversations import Answer, Choice, Context, Outcome, Question
from service.dialogue import Turn, Wish, item, number_in, read
from service.models import Conversation, Exchange
from service.runtime import Runtime
from tests.factories import Clock, entry

TODAY = date(2026, 1, 15)
DICTIONARY = ROOT / "data" / "dictionary"
OFFERED = Context(
    last="养老保险怎么交",
    choices=(
        Choice("职工", "职工养老保险怎么交？"),
        Choice("灵活就业人员", "灵活就业人员养老保险怎么交？"),
    ),
    clarified=True,
)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Runtime]:
    folder = tmp_path_factory.mktemp("talk")
    runtime = compose(Settings(data_dir=str(folder)), now=clock)
    records = [
        entry(
            "居住证怎么办理？",
            "1. 住满半年，有工作、住处或在读之一。\n2. 带身份证和住址证明到派出所。\n3. 不收费。",
            similar=("办居住证需要什么材料", "居住证在哪里办"),
            short_answer="带身份证和住址证明到派出所，不收费。",
            basis=("《居住证暂行条例》第二条",),
            topic="居住证",
        ),
        entry(
            "居住证丢了怎么补办？",
            "到派出所挂失补领，工本费二十元。",
            similar=("居住证丢失",),
            topic="居住证",
        ),
        entry("居住证到期怎么签注？", "到期前一个月内到派出所签注。", topic="居住证"),
        entry("婚假有几天？", "婚假三天，各省可延长。", topic="假期"),
        entry("退役军人优待证怎么申领？", "到户籍地退役军人服务站申领。", topic="退役军人"),
        entry("养犬登记怎么办？", "带犬只免疫证明到派出所登记。", region="370200", topic="养犬"),
        entry("养犬登记怎么办？", "在网上登记。", region="370100", topic="养犬"),
        entry("职工医疗保险怎么缴费？", "由单位代扣代缴。", topic="医保"),
        entry("居民医疗保险怎么缴费？", "每年九月起由个人缴费。", topic="医保"),
    ]
    rows = list(enumerate(records, start=1))
    saved = runtime.entries.save(rows, actor="编辑", publish=True)
    assert all(each.outcome == "added" for each in saved), saved
    runtime.indexer.catch_up()
    runtime.understanding.catch_up()
    yield runtime
    runtime.close()


def talk(runtime: Runtime, *turns: str, **facts: object) -> list[Answer]:
    """The answers to what one person says in turn."""
    answers: list[Answer] = []
    for text in turns:
        number = answers[-1].conversation_id if answers else None
        asked = Question(text, as_of=TODAY, conversation_id=number)
        answers.append(runtime.answerer.answer(replace(asked, **facts)))  # type: ignore[arg-type]
    return answers


def entry_of(answer: Answer) -> str:
    return answer.entry.title if answer.entry else ""


@pytest.mark.parametrize("half", ["那需要什么材料？", "多少钱", "在哪办", "要几天"])
def test_half_a_question_is_about_what_was_spoken_of(runtime: Runtime, half: str) -> None:
    _, answer = talk(runtime, "居住证怎么办理？", half)
    assert entry_of(answer) == "居住证怎么办理？"
    rewrite = next(each for each in answer.rewrites if each.kind == "follow_up")
    assert rewrite.from_ == half and "居住证" in rewrite.to and answer.understood == rewrite.to


def test_what_replaces_the_old_deed_keeps_the_subject(runtime: Runtime) -> None:
    answers = talk(runtime, "居住证怎么办理？", "谢谢", "那丢了呢？", "多少钱")
    assert [entry_of(each) for each in answers[2:]] == ["居住证丢了怎么补办？"] * 2


def test_a_complete_question_is_not_dragged_back(runtime: Runtime) -> None:
    _, answer = talk(runtime, "居住证怎么办理？", "婚假有几天")
    assert entry_of(answer) == "婚假有几天？"
    assert not [each for each in answer.rewrites if each.kind == "follow_up"]


def test_what_is_in_no_entry_is_not_answered_with_the_old_one(runtime: Runtime) -> None:
    _, answer = talk(runtime, "居住证怎么办理？", "火星移民有补贴吗")
    assert answer.outcome is not Outcome.ANSWERED


def test_the_last_answer_again_in_short_and_its_basis(runtime: Runtime) -> None:
    first, again, short, second, basis = talk(
        runtime,
        "居住证怎么办理？",
        "再说一遍",
        "说简单点",
        "上一个说的第二条是什么",
        "刚才说的法条原文",
    )
    assert again.text == first.text and again.entry == first.entry
    assert short.text == "带身份证和住址证明到派出所，不收费。"
    assert second.text.endswith("2. 带身份证和住址证明到派出所。")
    assert basis.text.startswith("《居住证暂行条例》第二条")
    assert basis.citations == first.citations and basis.entry == first.entry


def test_of_a_conversation_that_has_gone_cold_nothing_is_left(
    runtime: Runtime, clock: Clock
) -> None:
    (first,) = talk(runtime, "居住证怎么办理？")
    clock.at += timedelta(minutes=31)
    (answer,) = talk(runtime, "再说一遍", conversation_id=first.conversation_id)
    assert answer.text == wording.NOTHING_BEFORE
    assert answer.conversation_id == first.conversation_id


@pytest.mark.parametrize(
    "stranger", [{"channel": "wechat", "person": "乙"}, {"person": "乙"}, {"system": "别的系统"}]
)
def test_a_conversation_of_somebody_else_reveals_nothing(
    runtime: Runtime, stranger: dict[str, str]
) -> None:
    (mine,) = talk(runtime, "居住证怎么办理？", person="甲")
    (theirs,) = talk(runtime, "再说一遍", **{"conversation_id": mine.conversation_id, **stranger})
    assert theirs.text == wording.NOTHING_BEFORE
    assert theirs.conversation_id != mine.conversation_id


def test_what_a_conversation_is_about_is_masked_and_erased_with_it(runtime: Runtime) -> None:
    (answer,) = talk(runtime, "我的电话13812345678，居住证怎么办理", person="丙")
    with runtime.db.reading() as session:
        held = session.get_one(Conversation, answer.conversation_id)
        assert "居住证" in held.context and "13812345678" not in held.context
    runtime.conversations.erase("丙")
    with runtime.db.reading() as session:
        assert session.get(Conversation, answer.conversation_id) is None


def test_one_question_back_about_the_place_and_its_answer_is_understood(runtime: Runtime) -> None:
    asked, chosen = talk(runtime, "养犬登记怎么办", "2")
    assert (asked.outcome, asked.text) == (Outcome.CLARIFY, wording.WHICH_PLACE)
    assert {each.label for each in asked.options} == {"青岛市", "济南市"}
    assert chosen.entry and runtime.regions.name(chosen.entry.region_code) == asked.options[1].label
    _, by_name = talk(runtime, "养犬登记怎么办", "济南的")
    assert by_name.text == "在网上登记。"


def test_one_question_back_about_who_somebody_is(runtime: Runtime) -> None:
    asked, chosen = talk(runtime, "医疗保险怎么缴费", "我是居民")
    assert asked.outcome is Outcome.CLARIFY
    assert entry_of(chosen) == "居民医疗保险怎么缴费？"


def test_nobody_is_asked_back_twice_in_a_row(runtime: Runtime) -> None:
    first, second = talk(runtime, "养犬登记怎么办", "养犬登记")
    assert first.outcome is Outcome.CLARIFY
    assert second.outcome is Outcome.UNANSWERABLE and second.suggestions


def test_a_number_that_stands_for_nothing_gets_kind_words(runtime: Runtime) -> None:
    (answer,) = talk(runtime, "2")
    assert answer.text == wording.no_such_number(0)
    with runtime.db.reading() as session:
        said = session.scalars(
            select(Exchange.question).where(Exchange.conversation_id == answer.conversation_id)
        ).all()
    assert said == ["2"]


def test_a_place_that_is_named_decides_whose_rules_are_given(runtime: Runtime) -> None:
    (own,) = talk(runtime, "青岛市养犬登记怎么办", region="370100")
    assert own.text.startswith("带犬只") and own.rewrites[-1].to == "青岛市"
    (wider,) = talk(runtime, "即墨区养犬登记怎么办")
    assert wider.text.startswith("带犬只")
    assert (wider.rewrites[-1].from_, wider.rewrites[-1].to) == ("即墨区", "青岛市")
    (national,) = talk(runtime, "深圳居住证怎么办理")
    assert national.rewrites[-1].to == "全国"


def test_a_place_without_rules_is_not_answered_with_those_of_another(runtime: Runtime) -> None:
    (answer,) = talk(runtime, "广州市养犬登记怎么办")
    assert answer.outcome is Outcome.UNANSWERABLE and "广州市" in answer.text


def test_the_next_question_stays_in_the_place(runtime: Runtime) -> None:
    _, answer = talk(runtime, "济南养犬登记怎么办", "要多少钱")
    assert answer.text == "在网上登记。"
    _, other = talk(runtime, "济南养犬登记怎么办", "那青岛的呢")
    assert other.text.startswith("带犬只")


def test_steps_can_be_switched_off(runtime: Runtime, tmp_path: Path) -> None:
    off = Settings(data_dir=str(tmp_path), understand="none")
    plain = compose(off)
    try:
        rows = [(1, entry("居住证怎么办理？", "到派出所办理。"))]
        plain.entries.save(rows, actor="编辑", publish=True)
        plain.indexer.catch_up()
        _, answer = talk(plain, "居住证怎么办理？", "那需要什么材料？")
        assert not answer.rewrites
        (placed,) = talk(plain, "深圳居住证怎么办理")
        assert not placed.rewrites
    finally:
        plain.close()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1), ("２", 2), ("③", 3), ("一", 1), (" 2 ", 2), ("3。", 3), ("选1", 1), ("第二个", 2),
        ("1、", 1), ("4", 4), ("最后一个", 3), ("0", 0), ("12", 0), ("一二", 0), ("1岁", 0),
        ("", 0), ("第一条", 0),
        ("二〇二五", 0), ("½", 0), ("１２３４５", 0),
    ],
)  # fmt: skip
def test_numbers_that_choose(text: str, number: int) -> None:
    assert number_in(text, 3) == number


@pytest.mark.parametrize("text", ["灵活就业的", "我是灵活就业人员", "灵活就业人员养老保险怎么交"])
def test_an_option_is_chosen_by_its_words(text: str) -> None:
    assert read(text, OFFERED) == Turn("灵活就业人员养老保险怎么交？", chosen=True)


@pytest.mark.parametrize("text", ["都不是", "没有我要的", "以上都不对。"])
def test_none_of_what_was_offered(text: str) -> None:
    assert read(text, OFFERED).said == wording.NONE_OF_THEM


@pytest.mark.parametrize(
    "text", ["居住证的法律依据是什么", "第二条街怎么走", "再说一遍养老保险怎么交", "说" * 500]
)
def test_what_only_sounds_like_a_word_about_the_last_answer(text: str) -> None:
    assert read(text, OFFERED).wish is Wish.ASK


def test_items_of_an_answer() -> None:
    text = "先看条件：\n1. 甲\n还是甲\n2、乙\n（三）丙"
    assert [item(text, number) for number in (1, 2, 3, 4)] == [
        "1. 甲\n还是甲",
        "2、乙",
        "（三）丙",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("转人工", "person"), ("没用，给我转人工", "person"), ("我要人工服务", "person"),
        ("人工授精能报销吗", ""), ("人工服务电话是多少", ""), ("人工服务几点上班", ""),
        ("嗯嗯", "noted"), ("好的，谢谢", "thanks"), ("好的那居住证呢", ""),
    ],
)  # fmt: skip
def test_remarks(text: str, kind: str) -> None:
    assert guards.small_talk(text) == kind


@pytest.mark.parametrize(
    ("text", "near", "place", "rest"),
    [
        ("青岛市公积金怎么提取", None, "370200", "公积金怎么提取"),
        ("羊城的社保怎么交", None, "440100", "社保怎么交"),
        ("那即墨的呢", "370200", "370215", "那呢"),
        ("北京市朝阳区低保", None, "110105", "低保"),
        ("河北户口在青岛能办居住证吗", "370200", "370200", "河北户口在青岛能办居住证吗"),
        ("北京路怎么走", None, "", ""),
        ("上海银行能交社保吗", None, "", ""),
        ("南京板鸭", None, "", ""),
        ("中国公民怎么办护照", None, "", ""),
        ("去香港要办什么证件", None, "", ""),
        ("去北京看病医保怎么报", "370200", "", ""),
        ("外地户口能办吗", "370200", "", ""),
        ("朝阳区低保", None, "", ""),
        ("和平分手怎么离婚", "210100", "", ""),
    ],
)  # fmt: skip
def test_which_place_is_meant(text: str, near: str | None, place: str, rest: str) -> None:
    regions = Regions.load(DICTIONARY / "regions.csv")
    found = Places.load(regions, DICTIONARY / "nicknames.csv").asked(text, near)
    assert (found.code if found else "", found.rest if found else "") == (place, rest)
