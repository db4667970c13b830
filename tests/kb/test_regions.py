"""Divisions: codes and names, what lies in what, and the list that the product ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.errors import NotFound
from kb.regions import Regions, depth, nested

SHIPPED = Path(__file__).parents[2] / "data" / "dictionary" / "regions.csv"


@pytest.mark.parametrize("text", ["", "  ", "全国", "国家"])
def test_the_whole_country_has_no_code(regions: Regions, text: str) -> None:
    assert regions.resolve(text) is None


@pytest.mark.parametrize("text", ["370283", " 370283 ", "平度市"])
def test_a_code_or_a_name_gives_the_code(regions: Regions, text: str) -> None:
    assert regions.resolve(text) == "370283"


def test_a_name_that_two_cities_have_is_refused_with_a_way_out(regions: Regions) -> None:
    with pytest.raises(NotFound, match=r"鼓楼区.*有多个.*320106"):
        regions.resolve("鼓楼区")


@pytest.mark.parametrize("text", ["某市", "999999", "37028"])
def test_what_is_unknown_is_refused(regions: Regions, text: str) -> None:
    with pytest.raises(NotFound, match=text):
        regions.resolve(text)


def test_names(regions: Regions) -> None:
    assert regions.name("370200") == "青岛市"
    assert regions.name(None) == "全国"
    assert regions.name("999999") == "999999"


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("370283", ("370283", "370200", "370000")),
        ("370200", ("370200", "370000")),
        ("370000", ("370000",)),
        ("370299", ("370200", "370000")),
        ("110105", ()),
    ],
)
def test_path_leads_outwards_over_known_divisions(
    regions: Regions, code: str, path: tuple[str, ...]
) -> None:
    assert regions.path(code) == path


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (None, None, True),
        (None, "370283", True),
        ("370000", "370283", True),
        ("370200", "370283", True),
        ("370283", "370283", True),
        ("370281", "370283", False),
        ("370200", "371000", False),
        ("371000", "371002", True),
        ("320000", "370283", False),
    ],
)
def test_nested_either_way_round(one: str | None, other: str | None, expected: bool) -> None:
    assert nested(one, other) is nested(other, one) is expected


def test_depth_counts_from_the_whole_country() -> None:
    assert [depth(code) for code in (None, "370000", "371000", "370283")] == [0, 1, 2, 3]


def test_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "regions.csv"
    path.write_text("# 代码,名称\n370000,山东省\n\n370200,青岛市\n", encoding="utf-8")
    assert Regions.load(path).path("370200") == ("370200", "370000")


def test_the_shipped_list() -> None:
    regions = Regions.load(SHIPPED)
    assert regions.resolve("平度市") == "370283"
    assert regions.path("370283") == ("370283", "370200", "370000")
    assert regions.name("110105") == "朝阳区"
    with pytest.raises(NotFound):
        regions.resolve("朝阳区")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("重庆市对疫情防控所需药品有什么优惠政策", ("重庆",)),
        ("内蒙古和西藏的补贴一样吗", ("内蒙古", "西藏")),
        ("户口在平度市，想到青岛上学", ("平度市", "青岛")),
        ("西双版纳、延边能异地就医吗", ("西双版纳", "延边")),
        ("广西广西", ("广西",)),
        ("和平解决资源纠纷，县城的市辖区怎么办", ()),
        ("", ()),
    ],
)
def test_places_are_found_as_people_name_them(text: str, places: tuple[str, ...]) -> None:
    assert Regions.load(SHIPPED).mentioned(text) == places
