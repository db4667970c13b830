"""The public contract over the whole URL map: one error shape, one success shape, headers."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app import create_app
from kb import errors as kb_errors
from service import errors
from service.commands import load_samples
from service.config import Settings
from service.web.runtime import runtime


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    # All tests come from one address.
    settings = Settings(
        data_dir=str(tmp_path_factory.mktemp("contracts")), public_per_minute=100_000
    )
    app = create_app(settings, follow=False)
    with app.app_context():
        load_samples(runtime())
        runtime().indexer.catch_up()
        yield app
        runtime().close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def api_rules(app: Flask) -> list[Rule]:
    return [r for r in app.url_map.iter_rules() if r.rule.startswith(("/api/", "/healthz/"))]


def assert_error_shape(body: Any, status: int) -> None:
    assert body["ok"] is False and status >= 400
    assert set(body) == {"ok", "error", "request_id"}
    assert set(body["error"]) == {"code", "message", "fields"}
    assert body["error"]["code"].isidentifier() and body["error"]["message"]


def test_every_leaf_error_has_a_status() -> None:
    def leaves(kind: type[Exception]) -> list[type[Exception]]:
        below = kind.__subclasses__()
        return [leaf for each in below for leaf in leaves(each)] if below else [kind]

    for leaf in (*leaves(kb_errors.KnowledgeError), *leaves(errors.ServiceError)):
        assert leaf in errors.STATUSES, leaf


def test_wrong_methods_and_addresses_have_the_one_error_shape(
    app: Flask, client: FlaskClient
) -> None:
    for rule in api_rules(app):
        address = rule.rule.replace("<int:id>", "1")
        response = client.delete(address)
        assert response.status_code == 405, rule
        assert_error_shape(response.get_json(), 405)
    response = client.get("/api/v1/nowhere")
    assert_error_shape(response.get_json(), response.status_code)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "question"),
        ({"question": ""}, "question"),
        ({"question": "   "}, "question"),
        ({"question": 5}, "question"),
        ({"question": None}, "question"),
        ({"question": ["社保"]}, "question"),
        ({"question": "问" * 501}, "question"),
        ({"question": "社保\x00"}, "question"),
        ({"question": "社保", "as_of": "明天"}, "as_of"),
        ({"question": "社保", "region": 370283}, "region"),
        ({"question": "社保", "channel": "a b"}, "channel"),
        ({"question": "社保", "conversation_id": "../x"}, "conversation_id"),
        ({"question": "社保", "nonsense": 1}, "nonsense"),
        ([1, 2], "body"),
        ("社保", "body"),
    ],
)
def test_ask_names_the_field_that_does_not_hold(client: FlaskClient, body: Any, field: str) -> None:
    response = client.post("/api/v1/ask", json=body)
    assert response.status_code == 400
    assert_error_shape(response.get_json(), 400)
    assert field in response.get_json()["error"]["fields"] or field == "body"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"question": "\\ud800"}', "application/json"),
        (b"question=x", "application/x-www-form-urlencoded"),
        (b"[" * 5000, "application/json"),
    ],
)
def test_ask_refuses_what_is_not_a_question(client: FlaskClient, data: bytes, kind: str) -> None:
    response = client.post("/api/v1/ask", data=data, content_type=kind)
    assert response.status_code == 400
    assert_error_shape(response.get_json(), 400)


def test_a_question_of_100_kilobytes_and_a_body_of_2_megabytes(client: FlaskClient) -> None:
    response = client.post("/api/v1/ask", json={"question": "问" * 34_000})
    assert response.status_code == 400
    response = client.post("/api/v1/ask", json={"question": "x" * 2_000_000})
    assert response.status_code == 413
    assert_error_shape(response.get_json(), 413)


def test_unknown_region_is_not_found(client: FlaskClient) -> None:
    for region in ("999999", "桃花源", "鼓楼区"):
        response = client.post("/api/v1/ask", json={"question": "社保", "region": region})
        assert response.status_code == 404
        assert_error_shape(response.get_json(), 404)


def test_ask_has_every_field_of_the_contract(client: FlaskClient) -> None:
    response = client.post("/api/v1/ask", json={"question": "居住证丢了怎么补办？"})
    body = response.get_json()
    assert response.status_code == 200 and body["ok"] is True
    assert {
        "ok", "request_id", "conversation_id", "answer_id", "outcome", "text", "ai_generated",
        "confidence", "question_understood", "rewrites", "entry", "citations", "passages",
        "options", "suggestions", "contact",
    } <= set(body)  # fmt: skip
    assert body["outcome"] == "answered" and body["ai_generated"] is False
    assert 0 <= body["confidence"] <= 1
    assert {
        "id", "question", "department", "region", "effective_on", "expires_on", "updated_at",
    } <= set(body["entry"])  # fmt: skip
    assert {
        "document_id", "title", "document_number", "issuer", "locator", "text", "validity",
        "effective_on", "expires_on", "url",
    } <= set(body["citations"][0])  # fmt: skip
    assert {"key", "kind", "title", "text", "confidence"} <= set(body["passages"][0])
    assert {"department", "phone"} == set(body["contact"])


def test_search_pages_and_counts_agree(client: FlaskClient) -> None:
    first = client.get("/api/v1/search?q=居住证&per_page=5").get_json()
    second = client.get("/api/v1/search?q=居住证&per_page=5&page=2").get_json()
    keys = [row["key"] for row in first["results"] + second["results"]]
    assert first["total"] == second["total"] > 5 and len(set(keys)) == len(keys)
    for kind in first["facets"]["kind"]:
        only = client.get(f"/api/v1/search?q=居住证&kind={kind['value']}").get_json()
        assert {row["kind"] for row in only["results"]} == {kind["value"]}
    assert sum(row["count"] for row in first["facets"]["kind"]) == first["total"]


@pytest.mark.parametrize(
    "query", ["", "q=", "q=社保&page=0", "q=社保&page=x", "q=社保&kind=law", "q=社保&per_page=999",
              "q=社保&validity=maybe", "q=社保&year=0", "q=社保&as_of=never", "q=社保&page=900"],
)  # fmt: skip
def test_search_refuses_wrong_filters(client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/v1/search?{query}")
    assert response.status_code == 400
    assert_error_shape(response.get_json(), 400)


def test_suggestions_take_wildcards_literally(client: FlaskClient) -> None:
    assert client.get("/api/v1/suggest?q=%25").get_json()["suggestions"] == []
    assert client.get("/api/v1/suggest?q=_").get_json()["suggestions"] == []
    assert client.get("/api/v1/suggest?q=公积金").get_json()["suggestions"]


def test_feedback_is_kept_once_and_only_for_known_answers(client: FlaskClient) -> None:
    asked = client.post("/api/v1/ask", json={"question": "公积金怎么提取"}).get_json()
    given = {"answer_id": asked["answer_id"], "helpful": True, "comment": "电话13812345678"}
    assert client.post("/api/v1/feedback", json=given).get_json()["ok"] is True
    assert client.post("/api/v1/feedback", json={**given, "helpful": False}).status_code == 200
    assert client.post("/api/v1/feedback", json={**given, "answer_id": "0" * 32}).status_code == 404
    assert client.post("/api/v1/feedback", json={**given, "helpful": "maybe"}).status_code == 400


def test_documents_and_entries_by_number(client: FlaskClient) -> None:
    document = client.get("/api/v1/documents/1").get_json()["document"]
    assert document["clauses"] and document["clauses"][0]["url"].startswith("/documents/1#clause-")
    entry = client.get("/api/v1/entries/1").get_json()["entry"]
    assert entry["question"] and entry["answer"]
    for address in ("/api/v1/documents/99999", "/api/v1/entries/99999", "/api/v1/entries/0"):
        response = client.get(address)
        assert response.status_code in (400, 404)
        assert_error_shape(response.get_json(), response.status_code)


def test_request_id_is_echoed_when_it_is_sane(client: FlaskClient) -> None:
    response = client.get("/healthz/live", headers={"X-Request-Id": "abc-123_XYZ"})
    assert response.headers["X-Request-Id"] == response.get_json()["request_id"] == "abc-123_XYZ"
    response = client.get("/healthz/live", headers={"X-Request-Id": "<script>"})
    assert response.headers["X-Request-Id"] != "<script>"


def test_every_response_has_the_security_headers(app: Flask, client: FlaskClient) -> None:
    for address in ("/", "/healthz/ready", "/metrics", "/openapi.json", "/nowhere"):
        headers = client.get(address).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"], address
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_description_covers_the_api(app: Flask, client: FlaskClient) -> None:
    described = client.get("/openapi.json").get_json()
    assert described["openapi"].startswith("3.")
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/"):
            address = rule.rule.replace("<int:id>", "{id}").replace("<id>", "{id}")
            assert address in described["paths"], rule
    error = described["components"]["schemas"]["ErrorBody"]
    assert set(error["properties"]) == {"ok", "error", "request_id"}


def test_metrics_count_answers(client: FlaskClient) -> None:
    client.post("/api/v1/ask", json={"question": "公积金怎么提取"})
    text = client.get("/metrics").get_data(as_text=True)
    assert "policyqa_answers_total{" in text and "policyqa_index_lag 0.0" in text


def test_unexpected_errors_tell_nothing_of_the_inside(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    held = app.extensions.pop("policyqa.runtime")
    try:
        response = client.get("/api/v1/entries/1")
    finally:
        app.extensions["policyqa.runtime"] = held
    assert response.status_code == 500
    assert_error_shape(response.get_json(), 500)
    assert "KeyError" not in response.get_data(as_text=True)
    assert response.get_json()["request_id"] in [
        getattr(r, "request_id", "") for r in caplog.records
    ]
