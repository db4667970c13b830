"""What is found while a question is still being typed."""

from __future__ import annotations

import pytest

from kb.db import Database
from kb.documents import Documents
from kb.entries import Entries
from kb.errors import NotFound
from kb.index import Index
from kb.indexing import Indexer
from kb.library import Library
from kb.passages import Passage
from kb.regions import Regions
from kb.search import Scope, Search
from kb.suggestions import Suggestions
from kb.understanding import Dictionary, Understanding
from service.desk.finding import SHOWN, Finder
from tests.factories import TODAY, entry, regulation, upload
from tests.factories import add as add_documents

SCOPE = Scope(as_of=TODAY)
ENTRIES = (
    entry("什么情况下可以提取住房公积金？", similar=("公积金怎么取出来", "买房提公积金")),
    entry("公积金贷款额度怎么算？", negative=("公积金怎么退",)),
    entry("护照到期怎么换发？", similar=("passport renewal",)),
    entry("100%退税怎么办？"),
    entry("退税怎么办？", region="370283"),
    entry("身份证丢了怎么补领？", expires_on=TODAY.replace(year=2020)),
)


@pytest.fixture
def library(database: Database, entries: Entries) -> Library:
    saved = entries.save(list(enumerate(ENTRIES, 1)), actor="编辑", publish=True)
    assert {each.outcome for each in saved} == {"added"}
    return Library(database)


@pytest.fixture
def suggestions(
    database: Database, library: Library, index: Index, regions: Regions, indexer: Indexer
) -> Suggestions:
    indexer.catch_up()
    return Suggestions(database, index, regions)


@pytest.fixture
def finder(
    database: Database, library: Library, search: Search, suggestions: Suggestions
) -> Finder:
    understanding = Understanding(database, search, Dictionary())
    understanding.catch_up()
    return Finder(understanding, library, suggestions)


def suggested(suggestions: Suggestions, text: str) -> list[str]:
    return [each.question for each in suggestions.questions(text, SCOPE)]


def titles(passages: tuple[Passage, ...]) -> list[str]:
    return [passage.title for passage in passages]


def test_other_wordings_are_matched_inside_and_the_closest_comes_first(
    suggestions: Suggestions,
) -> None:
    assert suggested(suggestions, "公积金") == [
        "什么情况下可以提取住房公积金？",
        "公积金贷款额度怎么算？",
    ]
    assert suggested(suggestions, "公积金贷款")[0] == "公积金贷款额度怎么算？"
    assert suggested(suggestions, "公积金怎么")[0] == "什么情况下可以提取住房公积金？"
    assert suggested(suggestions, "提公积金") == ["什么情况下可以提取住房公积金？"]
    assert suggested(suggestions, "PASSPORT") == ["护照到期怎么换发？"]


def test_pairs_of_characters_may_stand_in_another_order(suggestions: Suggestions) -> None:
    assert suggested(suggestions, "额度怎么算") == ["公积金贷款额度怎么算？"]
    assert suggested(suggestions, "怎么换护照") == []
    assert suggested(suggestions, "换发护照") == []


def test_nothing_is_suggested_by_a_wording_that_must_not_match(suggestions: Suggestions) -> None:
    assert suggested(suggestions, "公积金怎么退") == []


def test_what_has_expired_is_not_suggested(suggestions: Suggestions) -> None:
    assert suggested(suggestions, "身份证") == []


@pytest.mark.parametrize("text", ["%", "_", "100%", "\\", "'", "退%怎"])
def test_signs_of_the_query_language_are_text(suggestions: Suggestions, text: str) -> None:
    held = ["100%退税怎么办？"] if text in "100%" else []
    assert suggested(suggestions, text) == held


def test_passages_by_key(library: Library) -> None:
    [found] = library.passages(["entry:1", "entry:999", "clause:999"], TODAY)
    assert found.key == "entry:1"
    for key in ("entry:x", "entry:0", "", "entry:1;", "document:1"):
        with pytest.raises(NotFound):
            library.passages([key], TODAY)


def test_beginnings_and_meanings_find_alike(finder: Finder) -> None:
    assert titles(finder.find("公积金怎么取", SCOPE))[0] == "什么情况下可以提取住房公积金？"
    assert titles(finder.find("护照快过期要换新的", SCOPE)) == ["护照到期怎么换发？"]
    assert finder.find(" ", SCOPE) == ()


def test_what_has_nothing_of_the_text_is_not_shown(finder: Finder) -> None:
    assert finder.find("uuvvii", SCOPE) == ()
    assert finder.find("天气怎么样", SCOPE) == ()


def test_only_entries_of_the_region_are_shown(finder: Finder) -> None:
    here = titles(finder.find("退税怎么", Scope(as_of=TODAY, region="370283")))
    there = titles(finder.find("退税怎么", Scope(as_of=TODAY, region="320100")))
    assert "退税怎么办？" in here and "退税怎么办？" not in there
    assert "100%退税怎么办？" in there


def test_entries_come_before_clauses_and_all_fit_on_one_screen(
    finder: Finder, documents: Documents, indexer: Indexer
) -> None:
    rules = [f"公积金第{number}种提取办法由中心规定。" for number in range(12)]
    text = regulation("公积金办法", *rules[:8])
    add_documents(documents, upload(text))
    indexer.catch_up()
    kinds = [passage.kind for passage in finder.find("公积金提取", SCOPE)]
    assert kinds == sorted(kinds, reverse=True) and set(kinds) == {"entry", "clause"}
    assert len(kinds) <= SHOWN
