"""Synonyms: what officials write is looked for besides what people say."""

import json
from pathlib import Path

import pytest

from kb.db import Database
from kb.entries import Entries
from kb.indexing import Indexer
from kb.search import Scope, Search
from kb.synonyms import Added, Synonyms
from kb.understanding import Dictionary, Rewrite, Understanding
from tests.factories import TODAY, entry

SAID = {
    "社保": ["社会保险"],
    "社保卡": ["社会保障卡"],
    "小产": ["流产"],
    "坐月子": ["产假"],
    "事业": ["事业单位"],
}
SYNONYMS = Synonyms(SAID)


def used(word: str) -> float:
    """A base that uses official terms only."""
    return 0.0 if word in SAID else 10.0


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("社保怎么交", [Added("社保", "社会保险")]),
        ("社保卡丢了", [Added("社保卡", "社会保障卡")]),  # the longest word, nothing inside it
        ("社会保险就是社保吗", []),  # has the official term already
        ("事业单位招人吗", []),  # part of an official term is not what people say
        ("小产能坐月子吗", [Added("小产", "流产"), Added("坐月子", "产假")]),
        ("社保、社保、社保", [Added("社保", "社会保险")]),
        ("社保卡和社保", [Added("社保卡", "社会保障卡"), Added("社保", "社会保险")]),
        ("社會保險", []),
        ("今天天气", []),
        ("", []),
    ],
)
def test_official_terms_are_added(text: str, added: list[Added]) -> None:
    assert SYNONYMS.added(text, used) == added


def test_nothing_is_added_where_the_base_says_it_as_people_do() -> None:
    assert SYNONYMS.added("社保怎么交", lambda word: 10.0) == []
    assert SYNONYMS.added("社保怎么交", lambda word: 0.0) == []


def test_the_dictionary_that_ships_holds_together() -> None:
    path = Path(__file__).parents[2] / "data" / "dictionary" / "synonyms.jsonl"
    synonyms = Synonyms.load(path)
    for line in path.read_text("utf-8").splitlines():
        group = json.loads(line)
        assert group["official"] not in group["said"], group
    assert len(synonyms.words) > 1500
    assert Synonyms({}).added("社保怎么交", used) == []


@pytest.fixture
def understanding(
    database: Database, search: Search, entries: Entries, indexer: Indexer
) -> Understanding:
    records = [
        entry("住院费用怎么报销？", "由基本医疗保险报销。", similar=("医疗费报销比例",)),
        entry("流产可以休息几天？", "流产的女职工休十五天产假。流产假照发工资。"),
        entry("护照到期怎么换发？", "提前六个月申请换发护照。"),
    ]
    entries.save(list(enumerate(records, 1)), actor="编辑", publish=True)
    indexer.catch_up()
    made = Understanding(database, search, Dictionary(synonyms=SYNONYMS))
    made.catch_up()
    return made


def test_what_is_said_otherwise_is_found_and_named(
    understanding: Understanding, search: Search
) -> None:
    scope = Scope(as_of=TODAY)
    understood = understanding.understand("小产了能歇几天", scope)
    assert understood.text == "小产了能歇几天"
    assert understood.also == "流产"
    assert understood.rewrites == (Rewrite("synonym", "小产", "流产"),)
    found = search.passages(understood.text, scope, also=understood.also).passages
    assert found[0].title == "流产可以休息几天？"


def test_added_terms_judge_nothing(search: Search, understanding: Understanding) -> None:
    """They find and rank; how much a passage has of the question is counted without them."""
    scope = Scope(as_of=TODAY)
    alone = search.passages("护照换发", scope).passages[0]
    helped = search.passages("护照换发", scope, also="流产").passages[0]
    assert alone.key == helped.key
    assert (alone.coverage, alone.breadth) == (helped.coverage, helped.breadth)
    assert (alone.agreement, alone.closeness) == (helped.agreement, helped.closeness)
