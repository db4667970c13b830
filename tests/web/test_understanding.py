"""What pages and programs are told about a question that was read differently than typed."""

from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from kb.synonyms import Synonyms
from kb.understanding import Dictionary
from service.web.runtime import runtime
from service.wording import understood_as
from tests.web.conftest import HOSTILE


@pytest.fixture(autouse=True)
def _learnt(app: Flask) -> None:
    with app.app_context():
        runtime().understanding.catch_up()


def page(client: FlaskClient, path: str, **query: str) -> str:
    response = client.get(f"{path}?{urlencode(query)}")
    assert response.status_code == 200
    return response.get_data(as_text=True)


def test_the_answer_page_says_what_was_understood(client: FlaskClient) -> None:
    shown = page(client, "/", q="公机金怎么提取")
    assert "已按“公积金”为您查找。" in shown
    assert '<h1 class="asked">公机金怎么提取</h1>' in shown


def test_the_answer_page_says_nothing_where_nothing_was_changed(client: FlaskClient) -> None:
    assert "已按" not in page(client, "/", q="公积金怎么提取？")


def test_the_search_page_says_it_too(client: FlaskClient) -> None:
    assert "已按“公积金”为您查找。" in page(client, "/search", q="公机金怎么提取")


def test_programs_get_the_changes_by_name(client: FlaskClient) -> None:
    body = client.post("/api/v1/ask", json={"question": "公机金怎么提取"}).get_json()
    assert body["rewrites"] == [{"kind": "typo", "from": "公机金", "to": "公积金"}]
    assert body["question_understood"] == "公积金怎么提取"
    found = client.get("/api/v1/search", query_string={"q": "公机金怎么提取"}).get_json()
    assert found["rewrites"] == body["rewrites"]
    assert found["question_understood"] == "公积金怎么提取"


@pytest.mark.parametrize("path", ["/", "/search"])
def test_hostile_text_beside_a_wrong_character_stays_text(client: FlaskClient, path: str) -> None:
    shown = page(client, path, q=f"公机金怎么提取{HOSTILE}")
    assert "<script>alert(1)" not in shown and "<img src=x" not in shown


def test_words_of_a_rewrite_are_escaped(app: Flask) -> None:
    rows = [{"kind": "typo", "from": "a", "to": HOSTILE}]
    with app.test_request_context("/"):
        macro = app.jinja_env.get_template("parts.html").module.rewritten  # type: ignore[attr-defined]
        shown = str(macro(understood_as(rows)))
    assert "<script>" not in shown and "&lt;script&gt;" in shown


def test_what_was_read_and_what_was_added_are_told_apart() -> None:
    rows = [
        {"kind": "typo", "from": "公机金", "to": "公积金"},
        {"kind": "pinyin", "from": "tiqu", "to": "提取"},
        {"kind": "synonym", "from": "社保", "to": "社会保险"},
    ]
    assert understood_as(rows) == "已按“公积金”、“提取”为您查找。同时查找了“社会保险”。"
    assert understood_as([]) == ""


def suggested(client: FlaskClient, typed: str) -> list[dict[str, str]]:
    rows = client.get("/api/v1/suggest", query_string={"q": typed}).get_json()["suggestions"]
    assert isinstance(rows, list)
    return rows


@pytest.mark.parametrize("typed", ["gongjijin", "gjj", "gongji", "公机金提取"])
def test_suggestions_for_letters_and_wrong_characters(client: FlaskClient, typed: str) -> None:
    rows = suggested(client, typed)
    assert rows and rows[0]["kind"] == "term" and "公积金" in rows[0]["text"]
    assert any(row["kind"] == "question" and "公积金" in row["text"] for row in rows)


def test_what_is_written_like_the_text_comes_first(client: FlaskClient) -> None:
    rows = suggested(client, "公积金")
    assert {row["kind"] for row in rows} == {"question"}


def test_pinyin_is_answered_and_said(client: FlaskClient) -> None:
    shown = page(client, "/", q="gongjijin tiqu")
    assert "已按“公积金提取”为您查找。" in shown


def test_official_terms_are_named_on_the_page_and_for_programs(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        understanding = runtime().understanding
    synonyms = Synonyms({"红本本": ["公积金"]})
    monkeypatch.setattr(understanding, "_dictionary", Dictionary(synonyms=synonyms))
    assert "同时查找了“公积金”。" in page(client, "/", q="红本本怎么提取")
    body = client.post("/api/v1/ask", json={"question": "红本本怎么提取"}).get_json()
    assert body["rewrites"] == [{"kind": "synonym", "from": "红本本", "to": "公积金"}]
    assert body["question_understood"] == "红本本怎么提取（公积金）"
