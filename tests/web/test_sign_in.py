"""Signing in and out, and the guard: what browsers, programs and attackers get to see."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from argon2 import PasswordHasher
from flask import Blueprint, Flask, Response, jsonify, render_template_string
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app import compose, create_app
from embeddings import Encoder
from kb.wordings import Wordings
from service.accounts import ROLES, TRIES, Accounts
from service.config import Settings
from service.passwords import Passwords
from service.people import People, Profile
from service.web import application
from service.web.runtime import runtime
from service.web.sign_in import current_user, guarded, guards
from tests.factories import Clock
from tests.web.conftest import HOSTILE, Staff, filled

OWN = "Kite-flies-47-high"
OTHER = "Boat-sails-58-deep"
TLS = "https://localhost"
# Blueprints that anyone may use; every other one must be guarded.
PUBLIC = {"api", "completions", "openapi", "operations", "pages", "sign_in", "webhooks", "widget"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(tmp_path: Path, sqlite_file: Path, encoder: Encoder, clock: Clock) -> Iterator[Flask]:
    """An application with cheap passwords, and a desk for operators and administrators."""
    shutil.copy(sqlite_file, tmp_path / "policy.db")
    settings = Settings(data_dir=str(tmp_path))
    objects = compose(settings, encoder=encoder, wordings=Wordings.of(()), now=clock)
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    held = objects.accounts
    accounts = Accounts(
        objects.db, held.sessions, held.factors, limits=objects.limits, passwords=cheap
    )
    objects = replace(objects, accounts=accounts, people=People(objects.db, accounts, clock))
    app = application.build(objects, secret_key="x" * 32, version="0")
    app.register_blueprint(desk())
    yield app
    objects.close()


def desk() -> Blueprint:
    blueprint = guarded(Blueprint("desk", __name__), "operator", "admin")

    @blueprint.route("/desk", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def page() -> str:
        form = '{% extends "base.html" %}{% block main %}<p id="it">{{ name }}</p>{% endblock %}'
        return render_template_string(form, name=current_user().name)

    @blueprint.post("/api/v1/desk")
    def action() -> Response:
        return jsonify(ok=True)

    return blueprint


@pytest.fixture
def passwords() -> dict[str, str]:
    """Of this application's people."""
    return {}


@pytest.fixture
def accounts(app: Flask) -> Accounts:
    with app.app_context():
        return runtime().accounts


@pytest.fixture
def people(app: Flask) -> People:
    with app.app_context():
        return runtime().people


@pytest.fixture
def operator(app: Flask) -> str:
    return person(app, "wang.wu", "operator")


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return new_browser(app)


def new_browser(app: Flask) -> FlaskClient:
    browser = app.test_client()
    browser.environ_base["HTTP_ACCEPT"] = "text/html"
    return browser


def person(app: Flask, name: str, role: str) -> str:
    with app.app_context():
        accounts, people = runtime().accounts, runtime().people
    first = people.add(Profile(name, role, display_name="王五"), by="test")
    token = accounts.sign_in(name, first, address="192.0.2.1")
    accounts.sign_out(accounts.change_password(token, first, OWN, address="192.0.2.1"))
    return name


def token_of(browser: FlaskClient, address: str = "/sign-in", **more: str) -> str:
    page = browser.get(address, **more).get_data(as_text=True)
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found, page
    return found[1]


def enter(
    browser: FlaskClient, name: str = "wang.wu", password: str = OWN, **more: str
) -> Response:
    form = {"name": name, "password": password, "csrf": token_of(browser), **more}
    return browser.post("/sign-in", data=form)  # type: ignore[return-value]


def cookie(browser: FlaskClient, name: str = "policyqa") -> str:
    held = browser.get_cookie(name)
    return held.value if held else ""


def address(response: Response) -> str:
    assert response.status_code == 303, response.status_code
    return unquote(response.headers["Location"])


# Signing in


def test_a_person_signs_in_works_and_signs_out(browser: FlaskClient, operator: str) -> None:
    assert address(browser.get("/desk?page=2")) == "/sign-in?next=/desk?page=2"
    assert address(enter(browser, next="/desk?page=2")) == "/desk?page=2"
    page = browser.get("/desk").get_data(as_text=True)
    assert '<p id="it">wang.wu</p>' in page and "王五" in page
    csrf = token_of(browser, "/password")
    assert address(browser.post("/sign-out", data={"csrf": csrf})) == "/sign-in?out=1"
    assert cookie(browser) == ""
    assert "您已退出登录" in browser.get("/sign-in?out=1").get_data(as_text=True)
    assert browser.get("/desk").status_code == 303


def test_the_first_sign_in_leads_to_a_new_password_and_then_on(
    browser: FlaskClient, people: People
) -> None:
    first = people.add(Profile("zhang.san", "operator"), by="test")
    assert address(enter(browser, "zhang.san", first, next="/desk")) == "/desk"
    assert address(browser.get("/desk")) == "/password?next=/desk"
    assert browser.post("/api/v1/desk").status_code == 403
    page = browser.get("/password?next=/desk").get_data(as_text=True)
    assert "请先修改密码" in page and 'name="next" value="/desk"' in page
    form = {"csrf": token_of(browser, "/password"), "old": first, "new": OWN, "again": OWN}
    assert address(browser.post("/password", data={**form, "next": "/desk"})) == "/desk"
    assert browser.get("/desk").status_code == 200


@pytest.mark.parametrize(
    ("role", "home"), [("operator", "/operator"), ("admin", "/admin"), ("editor", "/admin")]
)
def test_everyone_begins_where_their_work_is(
    app: Flask, browser: FlaskClient, role: str, home: str
) -> None:
    assert address(enter(browser, person(app, "li.si", role))) == home
    assert address(browser.get("/sign-in")) == home
    assert f'href="{home}">去工作台' in browser.get("/account").get_data(as_text=True)


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("wang.wu", "wrong", "用户名或密码不对"),
        ("nobody", OWN, "用户名或密码不对"),
        ("", OWN, "请填写用户名和密码"),
        ("wang.wu", "", "请填写用户名和密码"),
    ],
)
def test_a_failed_sign_in_says_so_and_keeps_the_name_alone(
    browser: FlaskClient, operator: str, name: str, password: str, said: str
) -> None:
    response = enter(browser, name, password)
    page = response.get_data(as_text=True)
    assert response.status_code in (400, 401) and said in page
    assert f'value="{name}"' in page and OWN not in page and 'role="alert"' in page
    assert browser.get("/desk").status_code == 303


def test_unknown_and_locked_names_look_alike(browser: FlaskClient, operator: str) -> None:
    def said(name: str) -> str:
        page = enter(browser, name, "wrong").get_data(as_text=True)
        return re.sub(r'value="[^"]*"', "", page)

    known, unknown = said("wang.wu"), said("nobody")
    for _ in range(TRIES):
        locked = said("wang.wu")
    assert known == unknown == locked
    assert enter(browser).status_code == 401


def test_too_many_failures_from_one_address_are_held_back(
    browser: FlaskClient, operator: str
) -> None:
    statuses = [enter(browser, f"nobody-{number}", "x").status_code for number in range(31)]
    assert statuses == [401] * 30 + [429]
    response = enter(browser)
    assert response.status_code == 429 and int(response.headers["Retry-After"]) > 0


def test_hostile_words_are_shown_as_words(browser: FlaskClient, operator: str) -> None:
    page = enter(browser, HOSTILE[:60], "x", next=HOSTILE).get_data(as_text=True)
    assert "<script>alert" not in page and "<img" not in page
    assert "&lt;script&gt;" in page


def test_without_any_account_the_page_tells_how_to_make_one(
    app: Flask, browser: FlaskClient
) -> None:
    assert "user add" in browser.get("/sign-in").get_data(as_text=True)
    person(app, "li.si", "admin")
    assert "user add" not in browser.get("/sign-in").get_data(as_text=True)


# Where one is sent


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\n//evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/desk\r\nSet-Cookie: a=b",
        "https:evil.example",
    ],
)
def test_nobody_is_sent_to_another_site(
    browser: FlaskClient, operator: str, elsewhere: str
) -> None:
    response = enter(browser, next=elsewhere)
    assert address(response) == "/operator" and "a=b" not in str(response.headers)
    assert address(browser.get(f"/sign-in?next={quote(elsewhere)}")) == "/operator"


def test_a_password_change_leads_to_no_other_site(browser: FlaskClient, operator: str) -> None:
    enter(browser)
    form = {"csrf": token_of(browser, "/password"), "old": OWN, "new": OTHER, "again": OTHER}
    response = browser.post("/password", data={**form, "next": "//evil.example"})
    assert address(response) == "/account?done=password"


# The session


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    browser: FlaskClient, operator: str
) -> None:
    [header] = enter(browser).headers.getlist("Set-Cookie")
    parts = header.split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(parts)
    assert "Secure" not in parts and not any(part.startswith("Expires") for part in parts)


@pytest.mark.parametrize(
    "over_tls",
    [{"base_url": TLS}, {"headers": {"X-Forwarded-Proto": "https"}}],
    ids=["itself", "by a proxy"],
)
def test_over_tls_the_cookie_is_bound_to_it_and_to_this_host(
    browser: FlaskClient, operator: str, over_tls: dict[str, str]
) -> None:
    page = browser.get("/sign-in", **over_tls)
    [header] = page.headers.getlist("Set-Cookie")
    assert header.startswith("__Host-policyqa=") and "Secure" in header and "Path=/" in header
    assert "Domain" not in header
    csrf = re.findall(r'name="csrf" value="([0-9a-f]+)"', page.get_data(as_text=True))[0]
    browser.set_cookie("__Host-policyqa", header.partition("=")[2].partition(";")[0])
    form = {"name": "wang.wu", "password": OWN, "csrf": csrf}
    [header] = browser.post("/sign-in", data=form, **over_tls).headers.getlist("Set-Cookie")
    assert header.startswith("__Host-policyqa=") and "Secure" in header


def test_a_token_that_was_planted_before_signing_in_opens_nothing_after(
    app: Flask, browser: FlaskClient, operator: str
) -> None:
    attacker = new_browser(app)
    token_of(attacker)
    browser.set_cookie("policyqa", cookie(attacker))
    enter(browser)
    assert cookie(browser) != cookie(attacker)
    assert browser.get("/desk").status_code == 200
    assert attacker.get("/desk").status_code == 303


def test_signing_in_again_ends_the_session_before(
    app: Flask, browser: FlaskClient, accounts: Accounts, operator: str
) -> None:
    enter(browser)
    before, csrf = cookie(browser), token_of(browser, "/password")
    form = {"name": person(app, "li.si", "admin"), "password": OWN, "csrf": csrf}
    browser.post("/sign-in", data=form)
    assert accounts.session(before) is None
    assert "li.si" in browser.get("/desk").get_data(as_text=True)


def test_a_session_runs_out(browser: FlaskClient, operator: str, clock: Clock) -> None:
    enter(browser)
    clock.advance(timedelta(minutes=29))
    assert browser.get("/desk").status_code == 200
    clock.advance(timedelta(minutes=30))
    assert address(browser.get("/desk")) == "/sign-in?next=/desk"
    assert "请先登录" in browser.get("/sign-in?next=/desk").get_data(as_text=True)


def test_polling_does_not_keep_a_session(browser: FlaskClient, operator: str, clock: Clock) -> None:
    enter(browser)
    for _ in range(2):
        clock.advance(timedelta(minutes=15))
        response = browser.get("/desk", headers={"X-Background": "1"})
    assert response.status_code == 303


def test_a_disabled_person_is_out_at_once(
    browser: FlaskClient, people: People, operator: str
) -> None:
    enter(browser)
    people.disable(people.named(operator).id, by="test")
    assert browser.get("/desk").status_code == 303


def test_a_new_password_signs_out_everywhere_else(
    app: Flask, browser: FlaskClient, operator: str
) -> None:
    there = new_browser(app)
    enter(browser)
    enter(there)
    form = {"csrf": token_of(browser, "/password"), "old": OWN, "new": OTHER, "again": OTHER}
    assert address(browser.post("/password", data=form)) == "/account?done=password"
    assert "密码已修改" in browser.get("/account?done=password").get_data(as_text=True)
    assert browser.get("/desk").status_code == 200
    assert there.get("/desk").status_code == 303


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"old": "wrong"}, "原密码不对"),
        ({"new": "short", "again": "short"}, "密码太短"),
        ({"again": "other"}, "两次输入的新密码不一样"),
        ({"new": OWN, "again": OWN}, "不能与原密码相同"),
    ],
)
def test_a_password_that_will_not_do_is_explained_beside_its_field(
    browser: FlaskClient, operator: str, changes: dict[str, str], said: str
) -> None:
    enter(browser)
    form = {"csrf": token_of(browser, "/password"), "old": OWN, "new": OTHER, "again": OTHER}
    response = browser.post("/password", data={**form, **changes})
    page = response.get_data(as_text=True)
    assert response.status_code == 400 and said in page and "aria-invalid" in page
    assert OWN not in page and OTHER not in page
    assert browser.get("/desk").status_code == 200


def test_guessing_the_old_password_ends_at_the_sign_in_page(
    browser: FlaskClient, operator: str
) -> None:
    enter(browser)
    form = {"csrf": token_of(browser, "/password"), "old": "x", "new": OTHER, "again": OTHER}
    for _ in range(TRIES):
        browser.post("/password", data=form)
    assert browser.get("/desk").status_code == 303


def test_nothing_of_staff_is_kept_by_caches(browser: FlaskClient, operator: str) -> None:
    assert browser.get("/sign-in").headers["Cache-Control"] == "no-store"
    assert browser.get("/desk").headers["Cache-Control"] == "no-store"
    enter(browser)
    for page in ("/desk", "/password"):
        assert browser.get(page).headers["Cache-Control"] == "no-store"


def test_public_pages_give_out_no_cookie(browser: FlaskClient) -> None:
    for page in ("/", "/search", "/nowhere"):
        assert "Set-Cookie" not in browser.get(page).headers


# The guard


def test_programs_are_told_without_being_led_elsewhere(app: Flask, operator: str) -> None:
    program = app.test_client()
    for response in (program.get("/desk"), program.post("/api/v1/desk")):
        assert response.status_code == 401
        assert response.get_json()["error"]["code"] == "not_signed_in"


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"operator", "admin"}))
def test_other_roles_are_refused(app: Flask, browser: FlaskClient, role: str) -> None:
    enter(browser, person(app, "li.si", role))
    response = browser.get("/desk")
    assert response.status_code == 403 and ROLES[role] in response.get_data(as_text=True)


def test_a_guard_without_roles_or_with_unknown_ones_is_a_mistake() -> None:
    for roles in ((), ("root",), ("operator", "root")):
        with pytest.raises(ValueError, match="roles"):
            guarded(Blueprint("x", __name__), *roles)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_is_changed_without_the_token_of_the_session(
    app: Flask, browser: FlaskClient, operator: str, method: str
) -> None:
    enter(browser)
    right = token_of(browser, "/password")
    stranger = new_browser(app)
    foreign = token_of(stranger)
    enter(stranger, person(app, "li.si", "operator"))
    for wrong in (
        "",
        "x",
        right[:-1],
        right.upper(),
        foreign,
        token_of(stranger, "/password"),
        "字",
    ):
        assert browser.open("/desk", method=method, data={"csrf": wrong}).status_code == 403, wrong
        given = {"X-CSRF-Token": wrong.encode("ascii", "replace").decode()}
        assert browser.open("/desk", method=method, headers=given).status_code == 403, wrong
    assert browser.open("/desk", method=method, data={"csrf": right}).status_code == 200
    right_header = {"X-CSRF-Token": right}
    assert browser.open("/desk", method=method, headers=right_header).status_code == 200


def test_a_token_in_the_address_does_not_count(browser: FlaskClient, operator: str) -> None:
    enter(browser)
    csrf = token_of(browser, "/password")
    assert browser.post(f"/desk?csrf={csrf}").status_code == 403


def test_the_token_of_the_session_before_is_stale(browser: FlaskClient, operator: str) -> None:
    before = token_of(browser)
    enter(browser)
    response = browser.post("/desk", data={"csrf": before})
    assert response.status_code == 403 and "已经过期" in response.get_data(as_text=True)
    response = browser.post("/api/v1/desk", headers={"X-CSRF-Token": before})
    assert response.get_json()["error"]["code"] == "stale_form"


def test_scripts_find_the_token_in_the_head(browser: FlaskClient, operator: str) -> None:
    enter(browser)
    page = browser.get("/desk").get_data(as_text=True)
    [csrf] = re.findall(r'<meta name="csrf" content="([0-9a-f]+)">', page)
    assert browser.post("/api/v1/desk", headers={"X-CSRF-Token": csrf}).get_json() == {"ok": True}


def test_nobody_can_be_signed_in_by_another_site(
    app: Flask, browser: FlaskClient, operator: str
) -> None:
    form = {"name": "wang.wu", "password": OWN}
    for csrf in ("", token_of(new_browser(app))):
        response = browser.post("/sign-in", data={**form, "csrf": csrf})
        assert response.status_code == 400 and "再提交一次" in response.get_data(as_text=True)
        assert browser.get("/desk").status_code == 303


def test_nobody_can_be_signed_out_by_another_site(browser: FlaskClient, operator: str) -> None:
    enter(browser)
    assert browser.get("/sign-out").status_code == 405
    assert browser.post("/sign-out").status_code == 403
    assert browser.get("/desk").status_code == 200


def test_signing_out_twice_is_no_error(browser: FlaskClient, operator: str) -> None:
    enter(browser)
    csrf = token_of(browser, "/password")
    browser.post("/sign-out", data={"csrf": csrf})
    assert address(browser.post("/sign-out", data={"csrf": csrf})).startswith("/sign-in")


def test_a_form_sent_too_late_leads_back_to_its_page(browser: FlaskClient, operator: str) -> None:
    response = browser.post("/desk", headers={"Referer": "http://localhost/desk?page=2"})
    assert address(response) == "/sign-in?next=/desk?page=2"
    response = browser.post("/desk", headers={"Referer": "https://evil.example/desk"})
    assert address(response) == "/sign-in?next="


# Every blueprint of the product


def test_every_blueprint_is_guarded_or_known_to_be_public(tmp_path: Path, encoder: Encoder) -> None:
    app = create_app(Settings(data_dir=str(tmp_path)), encoder=encoder, follow=False)
    try:
        declared = guards(app)
        for name in app.blueprints:
            assert (name in declared) != (name in PUBLIC), name
        client = app.test_client()
        for rule in app.url_map.iter_rules():
            blueprint = rule.endpoint.rpartition(".")[0]
            if blueprint in declared:
                assert_closed(client, rule)
            else:
                assert blueprint in PUBLIC or rule.endpoint == "static", rule
    finally:
        with app.app_context():
            runtime().close()


def assert_closed(client: FlaskClient, rule: Rule) -> None:
    """Nobody gets in without signing in, by any method."""
    place = filled(rule.rule)
    for method in (rule.methods or set()) - {"OPTIONS"}:
        for accept, status in (("text/html", 303), ("application/json", 401)):
            response = client.open(place, method=method, headers={"Accept": accept})
            programs = place.startswith("/api/")
            assert response.status_code == (401 if programs else status), (method, rule)


def test_the_fixture_for_other_tests_signs_in_by_role(
    signed_in: Callable[..., Staff],
) -> None:
    here, there = signed_in("operator"), signed_in("operator", 2)
    assert "operator-1" in here.get("/password").get_data(as_text=True)
    assert "operator-2" in there.get("/password").get_data(as_text=True)
    assert here.post("/sign-out", headers=there.csrf()).status_code == 403
    assert here.post("/sign-out", headers=here.csrf()).status_code == 303
