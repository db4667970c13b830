"""Search as a service: counts, paging, highlights, names, corrections and ways to go on."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from kb.facets import FACETS
from kb.search import Scope
from service.conversations import Answer, Outcome, Question
from service.web.runtime import runtime
from tests.web.conftest import HOSTILE, Held

HOSTILE_QUESTIONS = (
    "公" * 500,
    "a" * 500,
    "😀👨‍👩‍👧" * 60,
    "‮‏居住证‪" * 40,
    "(" * 250 + ")" * 250,
    "(a+)+$" * 80,
    ".*" * 250,
    "' OR 1=1; DROP TABLE entry; --",
    "%_%_" * 100,
    HOSTILE,
    "第" * 250 + "条" * 250,
    "《" * 250 + "》" * 250,
    "〔2024〕1号" * 60,
    "gongjijin" * 55,
    "1234567890" * 50,
    "公积金\u0000提取",
)


@pytest.fixture(autouse=True)
def _learnt(app: Flask) -> None:
    with app.app_context():
        runtime().understanding.catch_up()


def search(client: FlaskClient, q: str, status: int = 200, **query: Any) -> dict[str, Any]:
    response = client.get(
        f"/api/v1/search?{urlencode({'q': q, **query}, doseq=True)}",
        headers={"Accept": "application/json"},
    )
    assert response.status_code == status, response.get_data(as_text=True)
    body = response.get_json()
    assert isinstance(body, dict)
    return body


def page(client: FlaskClient, q: str, **query: Any) -> str:
    response = client.get(f"/search?{urlencode({'q': q, **query}, doseq=True)}")
    assert response.status_code == 200
    return response.get_data(as_text=True)


@pytest.mark.parametrize("q", ["居住证", "补贴", "公机金怎么提取"])
def test_choosing_a_value_finds_exactly_what_it_counts(client: FlaskClient, q: str) -> None:
    everything = search(client, q)
    assert set(everything["facets"]) == set(FACETS)
    for name in FACETS:
        for row in everything["facets"][name]:
            only = search(client, q, **{name: row["value"]})
            assert only["total"] == row["count"] > 0, (name, row)


def test_values_of_one_facet_widen_and_facets_narrow(client: FlaskClient) -> None:
    def total(**query: Any) -> int:
        return int(search(client, "社保", **query)["total"])

    counted = search(client, "社保", kind="entry")["facets"]["topic"]
    one, other = counted[0], counted[1]
    both = total(kind="entry", topic=[one["value"], other["value"]])
    assert both == one["count"] + other["count"]
    assert total(kind="clause", topic=one["value"]) + total(kind="entry", topic=one["value"]) <= (
        total(topic=one["value"])
    )


def test_pages_neither_repeat_nor_lose_a_result(client: FlaskClient) -> None:
    whole = [row["key"] for row in search(client, "社保", per_page=50)["results"]]
    pages = [search(client, "社保", per_page=7, page=n)["results"] for n in range(1, 9)]
    keys = [row["key"] for rows in pages for row in rows]
    assert keys[: len(whole)] == whole[: len(keys)] and len(set(keys)) == len(keys)
    total = search(client, "社保")["total"]
    assert search(client, "社保", per_page=50, page=6)["results"] == []
    assert total > len(whole) or total == len(whole)


def test_by_date_the_same_results_in_another_order(client: FlaskClient) -> None:
    best = search(client, "居住证", per_page=50)["results"]
    newest = search(client, "居住证", per_page=50, sort="date")["results"]
    assert {row["key"] for row in best} == {row["key"] for row in newest}
    assert [row["key"] for row in best] != [row["key"] for row in newest]


def test_the_words_that_matched_are_marked_and_nothing_else_is_html(client: FlaskClient) -> None:
    for row in search(client, "居住证办理")["results"][:3]:
        assert "<mark>" in row["highlight"]["title"] + row["highlight"]["text"]
    biting = search(client, "牧场围栏登记", validity="any")["results"]
    [row] = [each for each in biting if HOSTILE in each["title"] and each["kind"] == "entry"]
    assert "<script" not in row["highlight"]["title"] and "&lt;script" in row["highlight"]["title"]


def test_a_match_by_a_corrected_word_is_marked_and_says_why(client: FlaskClient) -> None:
    row = search(client, "公机金怎么提取")["results"][0]
    assert "<mark>公积金" in row["highlight"]["title"]
    assert row["matched_by"] == [{"kind": "typo", "from": "公机金", "to": "公积金"}]
    assert "按“公机金→公积金”查找" in page(client, "公机金怎么提取")


def test_as_typed_switches_understanding_off_for_one_search(client: FlaskClient) -> None:
    helped = search(client, "公机金怎么提取")
    assert helped["did_you_mean"] == "公机金怎么提取" and helped["rewrites"]
    plain = search(client, "公机金怎么提取", as_typed=1)
    assert plain["rewrites"] == [] and plain["question_understood"] == "公机金怎么提取"
    shown = page(client, "公机金怎么提取")
    assert "仍按原词搜索“公机金怎么提取”" in shown and "as_typed=True" in shown
    assert "仍按原词" not in page(client, "公机金怎么提取", as_typed="True")


@pytest.mark.parametrize(
    "typed",
    ["示政发〔2019〕12号", "示政发[2019]12号", "示政发（２０１９）12", "示政发 2019年 12号"],
)
def test_a_number_goes_straight_to_the_document(
    client: FlaskClient, held: Held, typed: str
) -> None:
    [document] = search(client, typed)["documents"]
    assert document["document_id"] == held.repealed and document["validity"] == "repealed"
    assert document["successor"]["document_id"] == held.successor
    first = search(client, typed, validity="any")["results"][0]
    assert (first["kind"], first["url"]) == ("document", f"/documents/{held.repealed}")
    # Repealed, it is no result unless asked for; the link on top says what it is.
    assert all(row["validity"] == "in_force" for row in search(client, typed)["results"])
    shown = page(client, typed)
    assert "您要找的可能是文件：" in shown and "banner--repealed" in shown and "已废止" in shown


def test_a_title_with_an_article_goes_to_the_clause(client: FlaskClient, held: Held) -> None:
    body = search(client, "居住证服务管理办法第五条")
    [document] = body["documents"]
    assert document["locator"] == "第五条"
    assert document["url"].startswith(f"/documents/{held.successor}#clause-")
    assert body["results"][0]["url"] == document["url"]


def test_what_is_out_of_force_shows_only_when_asked_for_and_never_first(
    client: FlaskClient,
) -> None:
    plain = search(client, "流动人口居住证管理", per_page=50)
    assert {row["validity"] for row in plain["results"]} <= {"in_force"}
    counts = {row["value"]: row["count"] for row in plain["facets"]["validity"]}
    assert counts["repealed"] > 0
    everything = search(client, "流动人口居住证管理", per_page=50, validity="any")["results"]
    validities = [row["validity"] for row in everything]
    assert validities == sorted(validities, key=lambda each: each != "in_force")
    shown = page(client, "流动人口居住证管理", validity="repealed")
    assert "badge--repealed" in shown and "badge--in_force" not in shown


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ("sort=best", "sort"),
        ("as_typed=maybe", "as_typed"),
        ("kind=entry&kind=law", "kind.1"),
        ("year=1&year=2024", "year.0"),
        ("validity=maybe", "validity.0"),
        ("&".join(f"tag={n}" for n in range(21)), "tag"),
        (f"department={'长' * 129}", "department.0"),
        ("page=200&per_page=50", "page"),
    ],
)
def test_a_wrong_value_is_refused_by_name(client: FlaskClient, wrong: str, name: str) -> None:
    response = client.get(f"/api/v1/search?q=x&{wrong}", headers={"Accept": "application/json"})
    assert response.status_code == 400
    assert name in response.get_json()["error"]["fields"]
    shown = client.get(f"/search?q=x&{wrong}")
    assert shown.status_code == 400 and "<html" in shown.get_data(as_text=True)


def test_an_unknown_region_is_said(client: FlaskClient) -> None:
    assert "乌有市" in search(client, "社保", 404, region="乌有市")["error"]["message"]


def test_spellings_find_the_same(client: FlaskClient) -> None:
    keys = [row["key"] for row in search(client, "2024年居住证")["results"]]
    for other in ("２０２４年居住证", "2024年居住證", "二〇二四年居住证", "二○二四年居住证"):
        assert [row["key"] for row in search(client, other)["results"]] == keys, other


def test_keywords_and_related_questions_lead_on(client: FlaskClient) -> None:
    body = search(client, "公积金")
    assert body["keywords"] and "公积金" not in body["keywords"]
    titles = {row["title"] for row in body["results"]}
    assert body["related"] and not titles & set(body["related"])
    assert search(client, body["keywords"][0])["total"] > 0
    shown = page(client, "公积金")
    assert body["keywords"][0] in shown and "相关关键词" in shown


def test_nothing_found_leads_to_what_others_ask(client: FlaskClient) -> None:
    body = search(client, "zzzz qqqq")
    assert body["total"] == 0 and body["popular"]
    shown = page(client, "zzzz qqqq")
    assert "没有找到" in shown and "大家都在问" in shown


def _asked(app: Flask, code: str, times: int, words: str) -> str:
    """Let people ask something that an entry answers; its standard question."""
    with app.app_context():
        objects = runtime()
        today = objects.today()
        entry = next(
            passage
            for number in range(1, 400)
            if (passage := objects.library.entry(number, today)).entry
            and passage.entry.code == code
        )
        for _ in range(times):
            objects.conversations.record(
                Question(words, today, region="370200"),
                Answer(
                    Outcome.ANSWERED,
                    "",
                    entry=entry,
                    id=f"{code[-3:]}{objects.now().microsecond}{_}".zfill(32),
                    conversation_id=f"{code[-3:]}{_}".zfill(32),
                ),
                1,
            )
        objects.popularity._counted_at = None
        return entry.title


def test_what_is_asked_most_is_shown_as_standard_questions_only(
    app: Flask, client: FlaskClient
) -> None:
    secret = "我叫某某住在某处想取公积金"
    title = _asked(app, "SAMPLE-VEH-001", 200, secret)
    asked = client.get("/api/v1/popular").get_json()
    assert asked["ok"] and asked["questions"][0] == title and len(asked["questions"]) == 6
    assert secret not in str(asked)
    assert title in client.get("/").get_data(as_text=True)
    assert title in client.get("/search").get_data(as_text=True)
    elsewhere = client.get("/api/v1/popular?department=公积金管理局乌有").get_json()
    assert elsewhere["questions"] == []
    police = client.get("/api/v1/popular?department=公安局&limit=3").get_json()["questions"]
    assert len(police) == 3 and police[0] == title
    assert client.get("/api/v1/popular?limit=0").status_code == 400
    suggested = client.get("/api/v1/suggest?q=上牌").get_json()["suggestions"]
    assert suggested[0]["text"] == title


def test_suggestions_keep_to_the_region_and_to_what_is_in_force(
    app: Flask, client: FlaskClient
) -> None:
    rows = client.get("/api/v1/suggest?q=流动人口居住证").get_json()["suggestions"]
    assert "示例市流动人口居住证管理办法" not in [row["text"] for row in rows]
    rows = client.get("/api/v1/suggest?q=居住证服务管理").get_json()["suggestions"]
    assert {"text": "示例市居住证服务管理办法", "kind": "term"} in rows
    with app.app_context():
        scope = Scope(as_of=runtime().today(), region="320100")
        titles = runtime().finder.suggest("居住证服务管理", scope)
        assert all(each.kind == "term" or each.text for each in titles)


@pytest.mark.parametrize("text", HOSTILE_QUESTIONS, ids=range(len(HOSTILE_QUESTIONS)))
def test_hostile_questions_get_an_answer_or_a_refusal(client: FlaskClient, text: str) -> None:
    statuses = {200, 400}
    asked = client.post("/api/v1/ask", json={"question": text})
    found = client.get(f"/api/v1/search?q={quote(text)}")
    suggested = client.get(f"/api/v1/suggest?q={quote(text)}")
    shown = client.get(f"/search?q={quote(text)}")
    assert {asked.status_code, found.status_code, suggested.status_code, shown.status_code} <= (
        statuses
    )
    assert asked.status_code == found.status_code
    assert "<script>alert(1)" not in shown.get_data(as_text=True)
