"""The count of keys until an entry is open."""

from benchmarks.keystrokes import Case, cases, measure, without
from tests.factories import entry

RECORDS = [
    entry("公积金怎么提取？", code="A", similar=("取公积金要什么条件", "公积金怎么取")),
    entry("护照到期怎么换发？", code="B", similar=("换新护照",)),
    entry("居住证怎么办理？", code="C"),
]


def test_cases_are_other_wordings_that_do_not_begin_like_the_title() -> None:
    assert cases(RECORDS, 3) == [Case("A", "取公积金要什么条件"), Case("B", "换新护照")]


def test_the_typed_wordings_can_be_taken_out() -> None:
    left = without(RECORDS, [Case("A", "取公积金要什么条件")])
    assert left[0].similar == ("公积金怎么取",) and left[1:] == RECORDS[1:]


def test_keys_are_characters_arrows_and_enter_and_what_never_shows_is_counted() -> None:
    found = measure(RECORDS, [Case("A", "取公积金要什么条件"), Case("C", "uuvvii")])
    assert (found["cases"], found["within"], found["never_shown"]) == (2, 1, 1)
    assert found["median_keys"] == 2  # its first character, and Enter
    assert found["missed"] == [["C", "uuvvii", None]]
