"""What is understood in place of what was typed, over a small base, and how it follows the base."""

import threading
from collections.abc import Sequence

import pytest

from kb.db import Database
from kb.entries import Entries
from kb.indexing import Indexer
from kb.search import Scope, Search
from kb.understanding import Dictionary, Rewrite, Understanding
from tests.factories import TODAY, entry

SCOPE = Scope(as_of=TODAY)
DICTIONARY = Dictionary(alike={"往": "住"})
ENTRIES = (
    entry("公积金怎么提取？", "可以在网上提取公积金。", similar=("公积金提取条件", "租房提公积金")),
    entry("公积金贷款额度怎么算？", "按公积金账户余额计算。", similar=("公积金贷款最多多少",)),
    entry("居住证怎么办理？", "到派出所办理居住证。", similar=("居住证签注", "办居住证要什么")),
    entry("护照到期怎么换发？", "提前六个月申请换发护照。", similar=("护照换发", "护照丢了")),
    entry("ETC怎么注销？", "到银行注销ETC。"),
)


@pytest.fixture
def publish(entries: Entries, indexer: Indexer) -> object:
    def save(*records: object) -> None:
        entries.save(list(enumerate(records, 1)), actor="编辑", publish=True)  # type: ignore[arg-type]
        indexer.catch_up()

    return save


def understanding(
    database: Database, search: Search, steps: Sequence[str] = ("typo",)
) -> Understanding:
    return Understanding(database, search, DICTIONARY, steps=steps)


@pytest.fixture
def ready(database: Database, search: Search, publish: object) -> Understanding:
    publish(*ENTRIES)  # type: ignore[operator]
    made = understanding(database, search)
    assert made.catch_up()
    return made


def test_a_wrong_character_is_put_right_and_said(ready: Understanding) -> None:
    understood = ready.understand("公机金贷款最多能贷多少", SCOPE)
    assert understood.text == "公积金贷款最多能贷多少"
    assert understood.rewrites == (Rewrite("typo", "公机金", "公积金"),)


def test_the_rest_stays_as_it_was_typed(ready: Understanding) -> None:
    assert ready.understand("ETC和居往证，PM2.5", SCOPE).text == "ETC和居住证，PM2.5"


def test_traditional_characters_are_read_with_the_rest(ready: Understanding) -> None:
    assert ready.understand("居往證怎麼辦理", SCOPE).text == "居住证怎么办理"


@pytest.mark.parametrize(
    "text",
    [
        "公积金怎么提取？",
        "居住證怎麼辦理",
        "今天天气怎么样",
        "",
        "   ",
        "<script>alert(1)</script>",
        "'; DROP TABLE entry; --",
        "(a+)+$" * 50,
        "\u202e\u200b公\u202c",
        "\U0001f600" * 100,
        "啊" * 500,
    ],
)
def test_right_foreign_and_hostile_texts_stay(ready: Understanding, text: str) -> None:
    understood = ready.understand(text, SCOPE)
    assert understood.text == text and understood.rewrites == ()


def test_a_question_in_an_entrys_own_words_is_never_touched(
    database: Database, search: Search, publish: object
) -> None:
    publish(*ENTRIES, entry("公机金是什么？", "本地一家基金的名字。"))  # type: ignore[operator]
    made = understanding(database, search)
    made.catch_up()
    assert made.understand("公机金是什么", SCOPE).rewrites == ()


def test_a_correction_that_finds_nothing_better_is_not_made(
    database: Database, search: Search, publish: object
) -> None:
    publish(*ENTRIES)  # type: ignore[operator]
    made = understanding(database, search)
    made.catch_up()
    # Nothing of that kind is in scope, whatever the spelling.
    assert made.understand("公机金贷款", Scope(as_of=TODAY, department="没有")).rewrites == ()


def test_a_step_that_is_switched_off_is_not_taken(
    database: Database, search: Search, publish: object
) -> None:
    publish(*ENTRIES)  # type: ignore[operator]
    made = understanding(database, search, steps=("none",))
    made.catch_up()
    assert made.understand("公机金贷款最多能贷多少", SCOPE).rewrites == ()


def test_nothing_is_changed_before_the_words_are_learnt(
    database: Database, search: Search, publish: object
) -> None:
    publish(*ENTRIES)  # type: ignore[operator]
    assert understanding(database, search).understand("公机金贷款", SCOPE).rewrites == ()


def test_new_words_of_the_base_are_learnt(ready: Understanding, publish: object) -> None:
    assert ready.understand("残级人证怎么办", SCOPE).rewrites == ()
    publish(entry("残疾人证怎么办理？", "到残联办残疾人证。", similar=("残疾人证丢了",)))  # type: ignore[operator]
    ready.catch_up()
    assert ready.understand("残级人证怎么办", SCOPE).text == "残疾人证怎么办"


def test_learning_can_be_cut_short_and_goes_on(
    database: Database, search: Search, publish: object
) -> None:
    publish(*(entry(f"第{n}件公积金的事怎么办？", "公积金这样办。") for n in range(120)))  # type: ignore[operator]
    made = understanding(database, search)
    assert not made.catch_up(seconds=0.0)
    assert made.catch_up()


def test_watching_learns_in_the_background(
    database: Database, search: Search, publish: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb.understanding.EVERY", 0.01)
    publish(*ENTRIES)  # type: ignore[operator]
    made, stop = understanding(database, search), threading.Event()
    thread = threading.Thread(target=made.watch, args=(stop,))
    thread.start()
    try:
        assert made.ready.wait(timeout=30)
    finally:
        stop.set()
        thread.join()
    assert made.understand("公机金贷款最多能贷多少", SCOPE).rewrites


@pytest.fixture
def reading(database: Database, search: Search, publish: object) -> Understanding:
    publish(*ENTRIES)  # type: ignore[operator]
    made = understanding(database, search, steps=("pinyin", "fuzzy"))
    made.catch_up()
    return made


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gongjijin tiqu", "公积金提取"),
        ("Gongjijin daikuan", "公积金贷款"),
        ("juzhuzheng怎么办理", "居住证怎么办理"),
        ("公积金tq", "公积金提取"),
        ("gjj", "公积金"),
        ("GJJ", "公积金"),
        ("fuzhao换发", "护照换发"),
        ("我想问：juzhuzheng，要什么", "我想问：居住证，要什么"),
    ],
)
def test_letters_are_read_as_pinyin(reading: Understanding, typed: str, meant: str) -> None:
    understood = reading.understand(typed, SCOPE)
    assert understood.text == meant
    assert [each.kind for each in understood.rewrites] == ["pinyin"]


@pytest.mark.parametrize(
    "typed",
    [
        "ETC怎么注销",  # stands in the base
        "etc怎么注销",
        "POS机手续费",
        "VIP会员能退吗",
        "vip会员能退吗",
        "hello",
        "how do I renew my passport",
        "GJJ 14城市公厕",  # a standard
        "C1驾照",
        "a",
        "jz",  # too little to go by
        "http://example.org/?q=gjj",
        "x" * 500,
        "gjj" * 160,
    ],
)
def test_other_letters_stay(reading: Understanding, typed: str) -> None:
    assert reading.understand(typed, SCOPE).text == typed


def test_pinyin_is_read_only_where_that_is_switched_on(
    database: Database, search: Search, publish: object
) -> None:
    publish(*ENTRIES)  # type: ignore[operator]
    made = understanding(database, search, steps=("typo",))
    made.catch_up()
    assert made.understand("gongjijin tiqu", SCOPE).rewrites == ()
    strict = understanding(database, search, steps=("pinyin",))
    strict.catch_up()
    assert strict.understand("fuzhao huanfa", SCOPE).rewrites == ()


@pytest.mark.parametrize(
    ("typed", "first"),
    [("gongjij", "公积金"), ("gjj", "公积金"), ("juzhuzh", "居住证"), ("居住zheng", "居住证")],
)
def test_first_keystrokes_are_completed(reading: Understanding, typed: str, first: str) -> None:
    assert reading.completions(typed)[0] == first


def test_a_misspelt_beginning_is_completed_too(ready: Understanding) -> None:
    assert ready.completions("公机金贷款") == ("公积金贷款",)
    assert ready.completions("公积金贷款") == ()
    assert ready.completions("<b>") == ()
