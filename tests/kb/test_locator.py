"""Precise citing: positions, numerals, parts of a clause, responsible departments."""

from __future__ import annotations

import pytest

from kb.locator import Locator, Step
from kb.numerals import chinese, number
from kb.parsing import subdivide
from kb.responsibility import responsible_units


def test_subdivide_names_paragraphs_items_and_points_of_an_article() -> None:
    text = (
        "第二条 下列人员可以申请：\n（一）老年人，包括：\n1.失能的；\n2.独居的；\n"
        "（二）儿童。\n具体办法另定。"
    )
    assert subdivide(text) == [
        ("第一款", "第二条 下列人员可以申请："),
        ("第一款第（一）项", "（一）老年人，包括："),
        ("第一款第（一）项第1目", "1.失能的；"),
        ("第一款第（一）项第2目", "2.独居的；"),
        ("第一款第（二）项", "（二）儿童。"),
        ("第二款", "具体办法另定。"),
    ]


def test_subdivide_does_not_name_the_only_paragraph() -> None:
    assert subdivide("第一条 为了便民，制定本办法。") == [("", "第一条 为了便民，制定本办法。")]
    labels = [label for label, _ in subdivide("第二条 包括：\n（一）甲；\n（二）乙。")]
    assert labels == ["", "第（一）项", "第（二）项"]


def test_subdivide_item_of_a_circular_with_inline_points() -> None:
    text = "（一）抓落实。一是公开清单。二是限时办结。三是定期回访。"
    assert subdivide(text) == [
        ("", "（一）抓落实。"),
        ("一是", "一是公开清单。"),
        ("二是", "二是限时办结。"),
        ("三是", "三是定期回访。"),
    ]


def test_subdivide_inline_items_and_paragraphs() -> None:
    labels = [label for label, _ in subdivide("一、登记。（一）甲类。（二）乙类。")]
    assert labels == ["", "（一）", "（二）"]
    labels = [label for label, _ in subdivide("甲类事项。\n乙类事项。")]
    assert labels == ["第一段", "第二段"]
    assert subdivide("") == []


def test_locator_citations() -> None:
    chapter, article = Step("chapter", "第二章"), Step("article", "第十二条之一")
    assert str(Locator()) == ""
    assert str(Locator((chapter,))) == "第二章"
    assert str(Locator((chapter, article))) == "第十二条之一"
    path = (
        Step("annex", "附件2"),
        Step("first", "一"),
        Step("second", "（二）"),
        Step("third", "3"),
    )
    assert str(Locator(path)) == "附件2 一、（二）3."
    assert Locator(path).at("second") == "（二）"
    dotted = (Step("third", "1"), Step("decimal", "1.2"), Step("subdecimal", "1.2.3"))
    assert str(Locator(dotted)) == "1.2.3"


@pytest.mark.parametrize(
    ("printed", "value"),
    [("十", 10), ("十二", 12), ("二十", 20), ("一百零八", 108), ("一千二百六十", 1260),
     ("１２", 12), ("二〇二四", 2024), ("两百", 200), ("", None), ("甲", None), ("12345", None)],
)  # fmt: skip
def test_numerals(printed: str, value: int | None) -> None:
    assert number(printed) == value


def test_chinese_numerals_round_trip() -> None:
    assert all(number(chinese(value)) == value for value in range(1, 100))


def test_responsible_units_skip_deadlines_and_keep_nested_brackets() -> None:
    text = "推进。（牵头单位：市教育局（体育局）、市财政局等部门；完成时限：2024年底、长期）"
    assert responsible_units(text) == ("市教育局（体育局）", "市财政局")
    assert responsible_units("（责任单位：没有右括号的文字") == ()
    in_charge = "（市财政局牵头，市民政局、各镇按职责分工负责）（由用人单位自行负责）"
    assert responsible_units(in_charge) == ("市财政局", "市民政局", "各镇")
    assert responsible_units("责任单位应当公开。") == ()
