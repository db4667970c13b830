"""Who may ask from a browser, who may frame the chat window, and what its script is made of."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app import main
from service.models import Conversation, Exchange
from service.runtime import Runtime
from service.sites import Site
from service.web.runtime import runtime
from service.web.widget import SCRIPT

LISTED = "https://www.example.gov.cn"
MOST_BYTES = 20_000
ASK = {"question": "公积金怎么提取？"}


@pytest.fixture
def objects(app: Flask) -> Runtime:
    with app.app_context():
        return runtime()


@pytest.fixture
def city(objects: Runtime) -> Iterator[Site]:
    """A website on the list, in a region of its own."""
    origins = [LISTED, "http://10.1.2.3:8080"]
    yield objects.sites.add("city", name="门户网站", origins=origins, region="370283")
    objects.sites.remove("city")


@pytest.fixture
def other(objects: Runtime) -> Iterator[Site]:
    yield objects.sites.add("other", name="别的网站", origins=["https://other.example.cn"])
    if objects.sites.find("other"):
        objects.sites.remove("other")


def exchanges(objects: Runtime) -> int:
    with objects.db.reading() as session:
        return session.scalar(select(func.count()).select_from(Exchange)) or 0


def assert_not_shared(response: TestResponse) -> None:
    shared = [name for name, _ in response.headers if name.startswith("Access-Control-")]
    assert shared == []
    assert response.headers["Vary"] == "Origin"


def preflight(client: FlaskClient, origin: str, path: str = "/api/v1/ask") -> TestResponse:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-site",
    }
    return client.options(path, headers=headers)


@pytest.mark.parametrize(
    "path", ["ask", "suggest", "feedback", "greeting", "conversations/a/messages"]
)
def test_a_preflight_of_a_listed_origin_is_granted(
    client: FlaskClient, city: Site, path: str
) -> None:
    response = preflight(client, LISTED, f"/api/v1/{path}")
    assert response.status_code == 204 and response.data == b""
    assert response.headers["Access-Control-Allow-Origin"] == LISTED
    assert response.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert response.headers["Access-Control-Allow-Headers"] == "Content-Type, X-Site"
    assert response.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_preflight_of_any_other_origin_is_refused(client: FlaskClient, city: Site) -> None:
    response = preflight(client, "https://evil.example")
    assert response.status_code == 403
    assert_not_shared(response)


def test_a_listed_page_gets_its_answer_without_cookies(client: FlaskClient, city: Site) -> None:
    headers = {"Origin": LISTED, "X-Site": "city"}
    response = client.post("/api/v1/ask", json=ASK, headers=headers)
    assert response.status_code == 200 and response.get_json()["outcome"] == "answered"
    assert response.headers["Access-Control-Allow-Origin"] == LISTED
    assert response.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Set-Cookie" not in response.headers
    read = client.get("/api/v1/suggest?q=公积金&site=city", headers={"Origin": LISTED})
    assert read.get_json()["suggestions"]
    assert read.headers["Access-Control-Allow-Origin"] == LISTED


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "*", "https://evil.example",
        "HTTPS://WWW.EXAMPLE.GOV.CN", "https://WWW.example.gov.cn",
        "http://www.example.gov.cn", "https://www.example.gov.cn:8443",
        "https://www.example.gov.cn:443", "http://10.1.2.3", "http://10.1.2.3:80801",
        "https://example.gov.cn", "https://a.www.example.gov.cn",
        "https://www.example.gov.cn.evil.example", "https://evilwww.example.gov.cn",
        "https://www.example.gov.cn/", "https://www.example.gov.cn.",
        "https://www.example.gov.cn@evil.example", f"{LISTED} https://evil.example",
        f"{LISTED}, {LISTED}", "https://[", "file://", "chrome-extension://abc",
        "https://localhost.evil.example", "http://localhost@evil.example",
    ],
)  # fmt: skip
def test_tricks_with_origins_open_nothing(
    objects: Runtime, client: FlaskClient, city: Site, origin: str
) -> None:
    before = exchanges(objects)
    response = client.post("/api/v1/ask", json=ASK, headers={"Origin": origin, "X-Site": "city"})
    assert response.status_code == 403
    assert response.get_json()["error"]["code"] == "origin_refused"
    assert_not_shared(response)
    assert preflight(client, origin).status_code == 403
    assert exchanges(objects) == before


@pytest.mark.parametrize(
    "key", ["", "other", "nobody", "CITY", "city ", "../city", "市", "a" * 500]
)
def test_a_listed_page_must_name_its_own_site(
    client: FlaskClient, city: Site, other: Site, key: str
) -> None:
    headers = {"Origin": LISTED}
    response = client.get(
        "/api/v1/suggest", query_string={"q": "公积金", "site": key}, headers=headers
    )
    assert response.status_code == 403
    assert_not_shared(response)


def test_a_site_that_was_removed_is_refused_at_once(
    objects: Runtime, client: FlaskClient, other: Site
) -> None:
    headers = {"Origin": "https://other.example.cn", "X-Site": "other"}
    assert client.post("/api/v1/ask", json=ASK, headers=headers).status_code == 200
    objects.sites.remove("other")
    assert client.post("/api/v1/ask", json=ASK, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("base", "headers"),
    [
        ("http://localhost", {"Origin": "http://localhost"}),
        ("http://kb.example.cn:8000", {"Origin": "http://kb.example.cn:8000"}),
        # A proxy that ends TLS and passes the host on, and one that does not.
        ("http://kb.example.cn", {"Origin": "https://kb.example.cn"}),
        ("http://10.0.0.1", {"Origin": "https://kb.example.cn", "Sec-Fetch-Site": "same-origin"}),
        ("http://localhost", {}),
    ],
)
def test_the_services_own_pages_may_always_ask(
    client: FlaskClient, base: str, headers: dict[str, str]
) -> None:
    response = client.post("/api/v1/ask", json=ASK, headers=headers, base_url=base)
    assert response.status_code == 200
    assert_not_shared(response)


@pytest.mark.parametrize(
    ("base", "origin"),
    [
        ("https://kb.example.cn", "http://kb.example.cn"),
        ("http://kb.example.cn:8000", "http://kb.example.cn"),
        ("http://kb.example.cn", "http://kb.example.cn:8000"),
        ("http://kb.example.cn", "http://a.kb.example.cn"),
    ],
)
def test_a_neighbour_of_the_service_is_foreign(client: FlaskClient, base: str, origin: str) -> None:
    response = client.post("/api/v1/ask", json=ASK, headers={"Origin": origin}, base_url=base)
    assert response.status_code == 403


def test_other_addresses_are_never_shared(client: FlaskClient, city: Site) -> None:
    headers = {"Origin": LISTED, "X-Site": "city"}
    for address in ("/", "/api/v1/search?q=公积金", "/openapi.json", "/api/v1/asking"):
        response = client.get(address, headers=headers)
        assert "Access-Control-Allow-Origin" not in response.headers, address


def test_a_refusal_can_be_read_by_the_page_that_is_refused(client: FlaskClient, city: Site) -> None:
    headers = {"Origin": LISTED, "X-Site": "city"}
    for response in (
        client.post("/api/v1/ask", json={"question": ""}, headers=headers),
        client.post("/api/v1/ask", data=b"{", headers=headers),
        client.delete("/api/v1/ask", headers=headers),
    ):
        assert response.status_code in (400, 405)
        assert response.headers["Access-Control-Allow-Origin"] == LISTED


def test_a_sites_questions_have_its_region_and_channel(
    objects: Runtime, client: FlaskClient, city: Site
) -> None:
    def asked(**fields: str) -> tuple[str, str | None]:
        response = client.post("/api/v1/ask", json=ASK | fields, headers={"X-Site": "city"})
        with objects.db.reading() as session:
            body = response.get_json()
            exchange = session.get(Exchange, body["answer_id"])
            conversation = session.get(Conversation, body["conversation_id"])
            assert exchange and conversation
            return conversation.channel, exchange.region_code

    assert asked() == ("widget", "370283")
    assert asked(region="370281", channel="web") == ("widget", "370281")


def test_the_greeting_speaks_for_the_sites_region(
    client: FlaskClient, city: Site, other: Site
) -> None:
    greeting = client.get("/api/v1/greeting?site=city").get_json()
    assert greeting["region_name"] == "平度市"
    assert 4 <= len(greeting["examples"]) <= 6 and greeting["greeting"]
    assert greeting["hotline"]["phone"] == "12345"
    assert client.get("/api/v1/greeting?site=other").get_json()["region_name"] == "青岛市"


def test_one_visitor_who_asks_too_much_is_asked_to_wait(
    client: FlaskClient, city: Site, other: Site
) -> None:
    most = 60

    def rate(address: str, site: Site) -> TestResponse:
        body = {"answer_id": "0" * 32, "helpful": True}
        headers = {"Origin": site.origins[0], "X-Site": site.key}
        return client.post(
            "/api/v1/feedback", json=body, headers=headers, environ_base={"REMOTE_ADDR": address}
        )

    statuses = {rate("203.0.113.9", city).status_code for _ in range(most)}
    assert statuses == {404}
    refused = rate("203.0.113.9", city)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Access-Control-Allow-Origin"] == LISTED
    assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]
    assert "12345" in refused.get_json()["error"]["message"]
    # Neither another visitor, nor another site, nor this visitor's typing is held back.
    assert rate("203.0.113.10", city).status_code == 404
    assert rate("203.0.113.9", other).status_code == 404
    typing = client.get(
        "/api/v1/suggest?q=公积金&site=city", environ_base={"REMOTE_ADDR": "203.0.113.9"}
    )
    assert typing.status_code == 200


def test_a_page_for_frames_names_who_may_frame_it(client: FlaskClient, city: Site) -> None:
    response = client.get("/embed/city")
    policy = response.headers["Content-Security-Policy"]
    assert policy.endswith(f"frame-ancestors 'self' {LISTED} http://10.1.2.3:8080")
    assert "default-src 'self'" in policy and "unsafe" not in policy
    assert "X-Frame-Options" not in response.headers
    assert '<policy-chat site="city" embedded>' in response.text


@pytest.mark.parametrize(
    "key", ["nobody", "CITY", "%22%3E%3Cscript%3E", "a" * 500, "city%0d%0aX:y"]
)
def test_there_is_no_page_for_frames_of_an_unknown_site(
    client: FlaskClient, city: Site, key: str
) -> None:
    response = client.get(f"/embed/{key}")
    assert response.status_code in (400, 404)
    assert response.headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")
    assert "<script>" not in response.text


def test_all_other_pages_can_be_framed_by_the_service_alone(client: FlaskClient) -> None:
    for address in ("/", "/demo", "/search"):
        policy = client.get(address).headers["Content-Security-Policy"]
        assert policy.endswith("frame-ancestors 'self'"), address


def test_the_script_is_small_when_it_travels(client: FlaskClient) -> None:
    response = client.get("/widget.js", headers={"Accept-Encoding": "gzip, br"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(response.data) <= MOST_BYTES
    assert gzip.decompress(response.data) == SCRIPT.read_bytes()
    plain = client.get("/widget.js", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in plain.headers and plain.data == SCRIPT.read_bytes()
    for each in (response, plain):
        assert each.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert each.headers["Vary"] == "Accept-Encoding"


def test_the_script_is_fetched_again_only_when_it_changed(client: FlaskClient) -> None:
    first = client.get("/widget.js")
    assert first.headers["Cache-Control"] == "public, max-age=600"
    tag = first.headers["ETag"]
    again = client.get("/widget.js", headers={"If-None-Match": tag})
    assert again.status_code == 304 and again.data == b"" and again.headers["ETag"] == tag
    assert client.get("/widget.js", headers={"If-None-Match": 'W/"old"'}).status_code == 200


def test_any_page_may_load_the_script(client: FlaskClient) -> None:
    response = client.get("/widget.js", headers={"Origin": "https://anyone.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Set-Cookie" not in response.headers


def test_the_script_can_make_no_markup_of_data_and_keeps_nothing() -> None:
    code = SCRIPT.read_text(encoding="utf-8")
    for banned in (
        "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(",
        "new Function", "createContextualFragment", "setHTML", "srcdoc", "localStorage",
        "document.cookie", "indexedDB", "window.policy", "globalThis", "import(",
    ):  # fmt: skip
        assert banned not in code, banned
    elsewhere = set(re.findall(r"https?://[\w.-]+", code))
    assert elsewhere == {"http://www.w3.org"}  # the name of SVG, which nothing is loaded from


def test_the_demonstration_shows_the_snippet_of_this_server(client: FlaskClient) -> None:
    page = client.get("/demo", base_url="https://kb.example.cn:8443").text
    assert "&lt;script src=&#34;https" not in page
    assert 'src="https://kb.example.cn:8443/widget.js" data-site=' in page
    assert "https://kb.example.cn:8443/embed/" in page
    assert '<script src="/widget.js" data-site="" defer></script>' in page


def test_sites_are_kept_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POLICYQA_DATA_DIR", str(tmp_path))
    add = ["site", "add", "portal", "--name", "门户网站", "--region", "平度市"]
    assert main([*add, "--origin", "https://A.example.cn/"]) == 0
    assert main([*add, "--origin", "https://b.example.cn"]) == 1
    assert "已有编号为“portal”的网站" in capsys.readouterr().err
    assert main(["site", "add", "x1", "--name", "某", "--origin", "a.example.cn/path"]) == 1
    assert "不是网站来源" in capsys.readouterr().err
    assert main(["site", "list"]) == 0
    assert capsys.readouterr().out == "portal\t门户网站\t平度市\thttps://a.example.cn\n"
    assert main(["site", "remove", "portal"]) == 0
    assert main(["site", "remove", "portal"]) == 1
    capsys.readouterr()
    assert main(["site", "list"]) == 0
    assert capsys.readouterr().out == ""
