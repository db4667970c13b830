"""Typeahead: what is being typed finds the wordings that contain it, however they are kept."""

from __future__ import annotations

import random
from collections.abc import Iterable

from embeddings import Item, Typeahead
from embeddings.typeahead import folded


def wordings(number: int, *texts: str) -> list[Item]:
    return [Item(f"entry:{number}", text, "", f"entry:{number}", True) for text in texts]


def filled(*groups: list[Item]) -> Typeahead:
    typeahead = Typeahead()
    for position, items in enumerate(groups, 1):
        typeahead.apply(items, replaced=[items[0].group], position=position)
    return typeahead


def keys(found: Iterable[object]) -> list[str]:
    return [each.key for each in found]  # type: ignore[attr-defined]


def test_beginnings_come_first_and_the_standard_question_is_shown() -> None:
    typeahead = filled(
        wordings(1, "提取住房公积金要什么材料", "公积金怎么取"),
        wordings(2, "怎么提取公积金"),
        wordings(3, "护照怎么换发"),
    )
    found = list(typeahead.containing("公积金"))
    assert keys(found) == ["entry:1", "entry:2"]
    assert found[0].text == "提取住房公积金要什么材料"


def test_what_is_asked_more_comes_before_what_is_shorter() -> None:
    typeahead = filled(wordings(1, "公积金怎么提取出来"), wordings(2, "公积金贷款"))
    assert keys(typeahead.containing("公积金")) == ["entry:2", "entry:1"]
    typeahead.prefer({"entry:1": 1.0})
    assert keys(typeahead.containing("公积金")) == ["entry:1", "entry:2"]
    typeahead.apply(wordings(3, "公积金"), replaced=["entry:3"], position=9)
    assert keys(typeahead.containing("公积金"))[-1] == "entry:2"


def test_spelling_variants_are_one() -> None:
    typeahead = filled(wordings(1, "ＥＴＣ在哪办"), wordings(2, "《住房公積金》 缴存"))
    assert keys(typeahead.containing("etc")) == ["entry:1"]
    assert keys(typeahead.containing("住房公积金缴存")) == ["entry:2"]


def test_pairs_in_any_order() -> None:
    typeahead = filled(wordings(1, "额度是多少怎么算公积金贷款"), wordings(2, "公积金怎么算"))
    assert keys(typeahead.with_pairs_of("贷款公积金")) == []
    assert keys(typeahead.with_pairs_of("怎么算公积")) == ["entry:1"]
    assert keys(typeahead.with_pairs_of("公积")) == []


def test_nothing_and_signs_find_nothing() -> None:
    typeahead = filled(wordings(1, "公积金"))
    for text in ("", " ", "\x00", "%", "公积金公积金", "😀", "\ud800", "‮"):
        assert keys(typeahead.containing(text)) == []
        assert keys(typeahead.with_pairs_of(text)) == []
    assert keys(Typeahead().containing("公")) == []


def test_it_agrees_with_a_plain_scan_through_many_changes() -> None:
    """Replacing, removing and joining of blocks lose nothing and bring nothing back."""
    chance = random.Random(7)
    typeahead, held = Typeahead(), dict[int, list[str]]()
    for position in range(300):
        numbers = {chance.randrange(60) for _ in range(chance.randrange(1, 6))}
        items: list[Item] = []
        for number in sorted(numbers):
            held.pop(number, None)
            if chance.random() < 0.8:
                held[number] = [
                    "".join(chance.choices("公积金社保证件", k=chance.randrange(1, 7)))
                    for _ in range(chance.randrange(1, 4))
                ]
                items += wordings(number, *held[number])
        gone = [f"entry:{number}" for number in numbers]
        typeahead.apply(items, replaced=gone, position=position)
        text = "".join(chance.choices("公积金社保证件", k=chance.randrange(1, 4)))
        expected = {
            f"entry:{number}"
            for number, texts in held.items()
            if any(folded(text) in each for each in texts)
        }
        found = keys(typeahead.containing(text))
        assert set(found) == expected and len(found) == len(expected)
        assert len(typeahead) == len(held) and typeahead.position == position
