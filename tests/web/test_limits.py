"""Who may call the API: holders of keys, and everyone else within a limit of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import create_app
from embeddings import Encoder
from service.config import Settings
from service.models import Exchange
from service.web import access, api, completions
from service.web.runtime import runtime

Open = Callable[..., FlaskClient]
QUESTION = {"question": "居住证怎么办"}


@pytest.fixture
def opened(tmp_path: Path, encoder: Encoder) -> Iterator[Open]:
    """An installation of the test's own, with the settings that it names."""
    apps: list[Flask] = []

    def opened(**settings: Any) -> FlaskClient:
        app = create_app(
            Settings(data_dir=str(tmp_path), **settings), encoder=encoder, follow=False
        )
        apps.append(app)
        return app.test_client()

    yield opened
    for app in apps:
        with at(app):
            runtime().close()


@contextmanager
def at(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def key_for(client: FlaskClient, *scopes: str, per_minute: int = 60) -> dict[str, str]:
    with at(client.application):
        key = runtime().keys.add("热线平台", scopes, per_minute=per_minute)
    return {"Authorization": f"Bearer {key}"}


def refused(response: TestResponse, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    body = response.get_json()
    assert body["ok"] is False and body["error"]["code"] == code and body["error"]["message"]


def test_every_view_of_the_guarded_blueprints_has_a_scope(app: Flask) -> None:
    for name, scopes in (("api", api.SCOPES), ("completions", completions.SCOPES)):
        views = {rule.endpoint for rule in app.url_map.iter_rules()}
        own = {view.partition(".")[2] for view in views if view.startswith(f"{name}.")}
        assert own == scopes.keys(), name


def test_a_key_opens_its_scope(opened: Open) -> None:
    client = opened()
    headers = key_for(client, "ask")
    assert client.post("/api/v1/ask", json=QUESTION, headers=headers).status_code == 200
    search = client.get("/api/v1/search?q=居住证", headers=headers)
    refused(search, 403, "scope_missing")
    assert "search" in search.get_json()["error"]["message"]


def test_a_wrong_key_is_refused_though_the_api_is_public(opened: Open) -> None:
    client = opened()
    for given in ("Bearer pqa_wrong", "Bearer ", "bearer x", "Bearer 令牌"):
        response = client.post("/api/v1/ask", json=QUESTION, headers={"Authorization": given})
        refused(response, 401, "invalid_key")
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_authentication_meant_for_a_proxy_is_not_ours(opened: Open) -> None:
    headers = {"Authorization": "Basic dXNlcjpwYXNz"}
    assert opened().post("/api/v1/ask", json=QUESTION, headers=headers).status_code == 200


def test_a_revoked_key_stops_at_once(opened: Open) -> None:
    client = opened()
    headers = key_for(client, "ask")
    with at(client.application):
        runtime().keys.revoke("热线平台")
    refused(client.post("/api/v1/ask", json=QUESTION, headers=headers), 401, "invalid_key")


def test_a_key_has_a_limit_and_says_when_to_come_back(opened: Open) -> None:
    client = opened()
    headers = key_for(client, "search", per_minute=1)
    assert client.get("/api/v1/suggest?q=居", headers=headers).status_code == 200
    response = client.get("/api/v1/suggest?q=居", headers=headers)
    refused(response, 429, "too_many_requests")
    assert 1 <= int(response.headers["Retry-After"]) <= 60


def test_the_name_of_a_key_is_recorded_and_counted(opened: Open) -> None:
    client = opened()
    headers = key_for(client, "ask")
    body = client.post("/api/v1/ask", json=QUESTION, headers=headers).get_json()
    client.post("/api/v1/ask", json=QUESTION)
    with at(client.application), runtime().db.reading() as session:
        systems = {
            row.id: row.system for row in session.execute(select(Exchange.id, Exchange.system))
        }
    assert systems.pop(body["answer_id"]) == "热线平台" and list(systems.values()) == [""]
    assert 'system="热线平台"' in client.get("/metrics").get_data(as_text=True)


def test_without_a_key_everyone_has_a_limit_of_their_own(opened: Open) -> None:
    client = opened(public_per_minute=2)

    def suggest(address: str) -> TestResponse:
        return client.get("/api/v1/suggest?q=居", environ_base={"REMOTE_ADDR": address})

    assert [suggest("203.0.113.9").status_code for _ in range(2)] == [200, 200]
    response = suggest("203.0.113.9")
    refused(response, 429, "too_many_requests")
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert suggest("203.0.113.10").status_code == 200
    # A subscriber's IPv6 addresses count as one.
    assert [suggest(f"2001:db8::{n}").status_code for n in (1, 2, 3)] == [200, 200, 429]
    assert suggest("2001:db8:0:1::1").status_code == 200


def test_a_forged_forwarded_header_gains_nothing(opened: Open) -> None:
    client = opened(public_per_minute=1)
    statuses = [
        client.get(
            "/api/v1/suggest?q=居", headers={"X-Forwarded-For": f"198.51.100.{n}"}
        ).status_code
        for n in range(3)
    ]
    assert statuses == [200, 429, 429]


def test_behind_a_named_proxy_visitors_are_told_apart(opened: Open) -> None:
    client = opened(public_per_minute=1, trusted_proxies="127.0.0.1")
    statuses = [
        client.get(
            "/api/v1/suggest?q=居", headers={"X-Forwarded-For": f"1.1.1.1, {seen}"}
        ).status_code
        for seen in ("198.51.100.1", "198.51.100.2", "198.51.100.1")
    ]
    assert statuses == [200, 200, 429]


def test_a_proxy_that_nobody_named_is_told_to_the_administrator_once(
    opened: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_warned", set())
    client = opened()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            client.get("/api/v1/suggest?q=居", headers={"X-Forwarded-For": "198.51.100.1"})
    said = [record for record in caplog.records if "TRUSTED_PROXIES" in record.getMessage()]
    assert len(said) == 1


def test_without_a_public_api_only_keys_and_own_pages_are_served(opened: Open) -> None:
    client = opened(public_per_minute=0)
    response = client.post("/api/v1/ask", json=QUESTION)
    refused(response, 401, "invalid_key")
    assert "密钥" in response.get_json()["error"]["message"]
    own = {"Sec-Fetch-Site": "same-origin"}
    assert client.get("/api/v1/suggest?q=居", headers=own).status_code == 200
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 200
    assert (
        client.post("/api/v1/ask", json=QUESTION, headers=key_for(client, "ask")).status_code == 200
    )


def test_health_and_figures_are_not_limited(opened: Open) -> None:
    client = opened(public_per_minute=1)
    for address in ("/healthz/live", "/healthz/ready", "/metrics", "/openapi.json"):
        assert [client.get(address).status_code for _ in range(3)] == [200] * 3, address
