"""What pages make of values: highlights, extracts, numbers of clauses, addresses, words."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from kb.highlighting import extract, highlighted
from kb.library import ClauseView
from service.web.pages import (
    dial,
    narrowed,
    numbered,
    split_mark,
    sureness,
    web_address,
)
from service.web.searching import SearchQuery


@pytest.mark.parametrize(
    ("text", "query", "hits"),
    [
        ("居住证怎么办理", "办理居住证", ["居住证", "办理"]),
        ("怎么提取", "怎么办", []),
        ("养老金是怎么算出来的", "退休金怎么算", []),
        ("<b>居住</b>", "<b>居住", ["居住"]),
        ("Wi-Fi 和 WIFI", "wifi", ["Wi", "Fi", "WIFI"]),
        ("证", "证", []),
        ("", "居住证", []),
        ("İstanbul 居住", "居住", ["居住"]),
        ("辦理居住證", "居住证", ["居住證"]),
        ("ＥＴＣ办理", "etc", ["ＥＴＣ"]),
        ("〔2019〕12号，2025年", "〔2019〕12号", ["2019", "12号"]),
    ],
)
def test_highlighting(text: str, query: str, hits: list[str]) -> None:
    pieces = highlighted(text, query)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, hit in pieces if hit] == hits


def test_an_extract_shows_the_words_of_the_query() -> None:
    text = "前面的话。" * 60 + "这里才说居住证的签注。" + "后面的话。" * 60
    pieces = extract(text, "居住证签注")
    shown = "".join(piece for piece, _ in pieces)
    assert "居住证的签注" in shown
    assert len(shown) <= 112 and shown.startswith("…") and shown.endswith("…")
    assert extract("短文", "没有") == [("短文", False)]


@pytest.mark.parametrize(
    ("locator", "text", "mark", "rest"),
    [
        ("第五条", "第五条 条件如下", "第五条", "条件如下"),
        ("一、（二）", "（二）创业担保贷款", "（二）", "创业担保贷款"),
        ("一、（二）", "(二)创业担保贷款", "(二)", "创业担保贷款"),
        ("第一条", "条件如下", "", "条件如下"),
        ("", "落款", "", "落款"),
        ("第十条第（三）", "（三）其他", "（三）", "其他"),
    ],
)
def test_the_number_of_a_clause_is_told_from_its_text(
    locator: str, text: str, mark: str, rest: str
) -> None:
    clause = ClauseView(1, "article", locator, (), text, ())
    assert split_mark(clause) == (mark, rest)


@pytest.mark.parametrize(
    ("phone", "address"),
    [
        ("12345", "tel:12345"),
        ("0532-1234 5678", "tel:053212345678"),
        ("（0532）12345678转8001", "tel:053212345678"),
        ("+86 532 12345678", "tel:+8653212345678"),
        ("请到窗口咨询", ""),
    ],
)
def test_numbers_to_dial(phone: str, address: str) -> None:
    assert dial(phone) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://example.org/a?b=1", "https://example.org/a?b=1"),
        (" http://example.org ", "http://example.org"),
        ("javascript:alert(1)", ""),
        ("JaVaScRiPt:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//example.org", ""),
        ("https:///path", ""),
        ("http://[broken", ""),
        ("", ""),
    ],
)
def test_only_web_addresses_become_links(text: str, address: str) -> None:
    assert web_address(text) == address


def test_sureness_in_words() -> None:
    words = [sureness(value) for value in (0.95, 0.8, 0.65, 0.3)]
    assert words == ["很高", "较高", "一般", "不高，请核对原文"]


def test_numbered_lines() -> None:
    assert all(numbered(line) for line in ("1. 甲", "（一）甲", "(2)甲", "①甲", "二、甲", "3．甲"))
    assert not any(numbered(line) for line in ("甲", "1.5倍", "2025年", "（示例）", ""))


def test_narrowing_drops_the_page_and_what_is_empty() -> None:
    query = SearchQuery(q="证 件", department="公安局", page=3)
    assert narrowed(query, year=2025, department=None) == "/search?" + "&".join(
        [f"q={quote('证')}+{quote('件')}", "year=2025"]
    )
