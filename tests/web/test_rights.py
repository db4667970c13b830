"""Every route of the product for every role: who gets in, by what, to whose things.

The routes are read from the application; the table says what is expected of each. A route that is
added must be added here, or these tests fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from kb.models import Audit
from service.accounts import ROLES, Account
from service.models import User
from service.people import Profile
from service.rights import roles_for
from service.web.admin import NAVIGATION, STAFF
from service.web.runtime import runtime
from service.web.sign_in import guards
from tests.web.conftest import Staff, filled

SignIn = Callable[..., Staff]
CITY, OTHER_CITY = "370200", "370100"
# No object has this number.
NOBODY = 987654321


class Route(NamedTuple):
    """What is expected of a route.

    Attributes:
        rule: as in the URL map.
        action: of `service.rights`; for whom it is follows from the table there.
        owned: it names an object by number; one that is not there is not found.
    """

    method: str
    rule: str
    action: str
    owned: bool


# Routes below /admin: what one must have the right to do there, method, rule. A rule with a
# place in it names an object.
_TABLE = """
audit.read       GET   /admin/audit
audit.read       GET   /admin/audit/export
audit.read       POST  /admin/audit/chain
entry.read       GET   /admin/answers/<number>
entry.read       GET   /admin/corrections
entry.write      POST  /admin/corrections/<int:number>/settle
entry.read       GET   /admin/entries
entry.write      GET   /admin/entries/new
entry.write      POST  /admin/entries/new
entry.read       GET   /admin/entries/<int:number>
entry.read       GET   /admin/entries/<int:number>/difference
entry.write      POST  /admin/entries/<int:number>/draft
entry.withdraw   POST  /admin/entries/<int:number>/withdraw
entry.write      POST  /admin/entries/<int:number>/confirm
entry.read       GET   /admin/entries/versions/<int:number>
entry.read       GET   /admin/entries/versions/<int:number>/preview
entry.write      GET   /admin/entries/versions/<int:number>/edit
entry.write      POST  /admin/entries/versions/<int:number>/edit
entry.review     GET   /admin/reviews
entry.review     GET   /admin/reviews/<int:number>
entry.review     POST  /admin/reviews/<int:number>/approve
entry.review     POST  /admin/reviews/<int:number>/return
entry.review     POST  /admin/reviews/<int:number>/publish
document.read    GET   /admin/documents
document.write   POST  /admin/documents
document.read    GET   /admin/documents/<int:number>
document.read    GET   /admin/documents/<int:number>/original
document.review  POST  /admin/documents/<int:number>/<any(correct, publish, return, repeal, withdraw):step>
entry.read       GET   /admin/export
entry.read       GET   /admin/export/file
import           GET   /admin/import
import           POST  /admin/import
import           GET   /admin/import/template.xlsx
import           GET   /admin/import/<int:number>
import           POST  /admin/import/<int:number>/begin
import           POST  /admin/import/<int:number>/discard
entry.write      GET   /admin/tickets
entry.write      GET   /admin/tickets/<number>
entry.write      POST  /admin/tickets/<number>
figures.read     GET   /admin/daily
figures.read     GET   /admin/figures
figures.read     GET   /admin/figures.xlsx
figures.read     GET   /admin/report
gap.read         GET   /admin/gaps
gap.read         GET   /admin/gaps/<int:number>
gap.assign       POST  /admin/gaps/<int:number>/assign
gap.assign       POST  /admin/gaps/<int:number>/dismiss
gap.assign       POST  /admin/gaps/<int:number>/reopen
entry.write      POST  /admin/gaps/<int:number>/draft
entry.write      POST  /admin/gaps/<int:number>/phrasings
gap.read         GET   /admin/phrasings
entry.write      POST  /admin/phrasings/<int:number>/<any(accept, dismiss):step>
lab.use          GET   /admin/lab
lab.use          GET   /admin/lab/golden
lab.use          GET   /admin/lab/golden/run
golden.write     POST  /admin/lab/golden
golden.write     POST  /admin/lab/golden/import
golden.write     POST  /admin/lab/golden/<int:number>/remove
people.manage    GET   /admin/people
people.manage    GET   /admin/people/new
people.manage    POST  /admin/people
people.manage    GET   /admin/people/<int:number>
people.manage    POST  /admin/people/<int:number>
people.manage    POST  /admin/people/<int:number>/password
people.manage    POST  /admin/people/<int:number>/disable
people.manage    POST  /admin/people/<int:number>/enable
people.manage    POST  /admin/people/<int:number>/unlock
people.manage    POST  /admin/people/<int:number>/sign-out
people.manage    POST  /admin/people/<int:number>/factor
settings.change  GET   /admin/settings
settings.change  GET   /admin/settings/stop
settings.change  POST  /admin/settings/stop
settings.change  POST  /admin/settings/<name>
synonyms.write   GET   /admin/synonyms
synonyms.write   GET   /admin/synonyms/export.csv
synonyms.write   GET   /admin/synonyms/group
synonyms.write   POST  /admin/synonyms/group
synonyms.write   POST  /admin/synonyms/import
synonyms.write   POST  /admin/synonyms/<any(on, off, drop):step>
"""  # noqa: E501
ROUTES = tuple(
    Route(method, rule, action, owned="number>" in rule)
    for action, method, rule in (line.split(maxsplit=2) for line in _TABLE.strip().splitlines())
)
# What only looks although it is sent by a form.
LOOKS = {"/admin/audit/chain"}
# Guarded blueprints elsewhere, with the roles that they are for.
ELSEWHERE = {
    "account": set(ROLES),
    "admin": set(STAFF),
    "operators": set(roles_for("desk.use")),
    "handovers": set(roles_for("desk.use")),
    "ticketing": set(roles_for("desk.use")),
}


@pytest.fixture
def others(app: Flask) -> Iterator[list[int]]:
    """Accounts that a regional administrator must not reach: of another city, and of all."""
    with app.app_context():
        people = runtime().people
        for name, region in (("elsewhere", OTHER_CITY), ("everywhere", None)):
            people.add(Profile(name, "editor", department="乙局", region_code=region), by="test")
        yield [people.named("elsewhere").id, people.named("everywhere").id]
        with runtime().db.transaction() as session:
            session.execute(delete(User).where(User.name.in_(["elsewhere", "everywhere"])))


@pytest.fixture
def regional(app: Flask, signed_in: SignIn) -> Staff:
    """The browser of an administrator of one city."""
    browser = signed_in("admin", 3)
    account = named(app, "admin-3")
    if account.region_code is None:
        bound = Profile("admin-3", "admin", display_name="市管理员", region_code=CITY)
        with app.app_context():
            runtime().people.change(account.id, bound, by="test", seen=account.version)
    return browser


def named(app: Flask, name: str) -> Account:
    with app.app_context():
        return runtime().people.named(name)


def test_every_admin_route_is_in_the_table(app: Flask) -> None:
    mapped = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/admin/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert mapped == {(route.method, route.rule) for route in ROUTES}


def test_every_other_guarded_blueprint_is_in_the_table(app: Flask) -> None:
    below_admin = {
        rule.endpoint.rpartition(".")[0]
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/admin/")
    }
    declared = {name: set(roles) for name, roles in guards(app).items()}
    assert {n: r for n, r in declared.items() if n not in below_admin} == ELSEWHERE


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_in_where_the_table_says_and_nowhere_else(
    app: Flask, signed_in: SignIn, role: str
) -> None:
    browser = signed_in(role)
    token = browser.csrf()["X-CSRF-Token"]
    for route in ROUTES:
        # A number that nobody has: whoever is let in finds nothing there, and changes nothing.
        address = filled(route.rule, NOBODY)
        if route.rule == "/admin/settings/stop" and route.method == "POST":
            continue  # an empty form ends a stop: see the tests of that page
        status = browser.open(address, method=route.method, data={"csrf": token}).status_code
        if role not in roles_for(route.action):
            assert status in ((403, 404) if route.owned else (403,)), (role, route, status)
        else:
            assert status == 404 if route.owned else status not in (401, 403, 500), (route, status)


def test_auditors_change_nothing(signed_in: SignIn) -> None:
    for route in ROUTES:
        if route.method != "GET" and route.rule not in LOOKS:
            assert "auditor" not in roles_for(route.action), route
            assert route.action not in ("lab.use", "figures.read", "gap.read"), route


@pytest.mark.parametrize("role", ROLES)
def test_the_first_page_leads_only_where_one_gets_in(
    app: Flask, signed_in: SignIn, role: str
) -> None:
    browser = signed_in(role)
    response = browser.get("/admin")
    assert response.status_code == (200 if role in STAFF else 403)
    page = response.get_data(as_text=True)
    for place in NAVIGATION:
        shown = f'href="{place.address}"' in page
        assert shown == (role in roles_for(place.action) and role in STAFF), place
        if shown:
            assert browser.get(place.address).status_code == 200, place


def test_nothing_is_changed_without_the_token_of_the_session(app: Flask, signed_in: SignIn) -> None:
    admin = signed_in("admin")
    stolen = signed_in("admin", 2).csrf()["X-CSRF-Token"]
    before = kept(app)
    for route in ROUTES:
        if route.method == "GET":
            continue
        address = filled(route.rule)
        for form in ({}, {"csrf": ""}, {"csrf": stolen}):
            assert admin.post(address, data=form).status_code == 403, (route, form)
    assert kept(app) == before


def kept(app: Flask) -> list[tuple[object, ...]]:
    """What of the accounts must not change by itself, and how long the audit log is."""
    with app.app_context(), runtime().db.reading() as session:
        columns = (User.name, User.role, User.disabled_at, User.password_hash, User.version)
        rows = [tuple(row) for row in session.execute(select(*columns).order_by(User.id))]
        return [*rows, (session.scalar(select(func.count(Audit.id))),)]


def test_pages_of_staff_are_kept_by_nobody_and_framed_by_nobody(signed_in: SignIn) -> None:
    admin = signed_in("admin")
    for route in ROUTES:
        if route.method == "GET" and not route.owned:
            headers = admin.get(route.rule).headers
            assert headers["Cache-Control"] == "no-store", route
            assert "frame-ancestors 'self'" in headers["Content-Security-Policy"], route
            assert "unsafe-inline" not in headers["Content-Security-Policy"], route


def test_guessing_numbers_of_others_looks_like_guessing_numbers_of_nobody(
    app: Flask, regional: Staff, others: list[int]
) -> None:
    token = regional.csrf()["X-CSRF-Token"]
    before = kept(app)
    for route in ROUTES:
        if not (route.owned and route.action == "people.manage"):
            continue
        said = set()
        for number in (*others, NOBODY):
            address = filled(route.rule, number)
            response = regional.open(address, method=route.method, data={"csrf": token})
            assert response.status_code == 404, (route, number)
            page = re.sub(r"[0-9a-f]{32}", "", response.get_data(as_text=True))
            said.add(re.sub(r"%2F\d+", "", page))
        assert len(said) == 1, route
    listed = regional.get("/admin/people").get_data(as_text=True)
    assert "elsewhere" not in listed and "everywhere" not in listed
    assert kept(app) == before


@pytest.mark.parametrize(
    "wider", ["", "全国", "370000", OTHER_CITY], ids=["empty", "all", "province", "other"]
)
def test_a_regional_administrator_makes_no_wider_account(
    app: Flask, regional: Staff, wider: str
) -> None:
    token = regional.csrf()["X-CSRF-Token"]
    form = {"csrf": token, "name": "escalated", "role": "admin", "region": wider}
    response = regional.post("/admin/people", data=form)
    assert response.status_code == 400 and "只能选您负责的地区" in response.get_data(as_text=True)
    own = named(app, "admin-3")
    form |= {"seen": str(own.version)}
    assert regional.post(f"/admin/people/{own.id}", data=form).status_code == 400
    assert named(app, "admin-3") == own


def test_a_form_sets_the_fields_it_has_and_no_others(app: Flask, signed_in: SignIn) -> None:
    admin = signed_in("admin")
    signed_in("reviewer")
    target = named(app, "reviewer-1")
    smuggled = {
        "id": "1", "name": "renamed", "password_hash": "x", "must_change_password": "1",
        "version": "99", "disabled_at": "2026-01-01", "failures": "9", "state": "disabled",
    }  # fmt: skip
    form = {
        **smuggled,
        "csrf": admin.csrf()["X-CSRF-Token"],
        "seen": str(target.version),
        "role": "reviewer",
        "display_name": "王审核",
        "department": target.department,
        "region": "",
    }
    assert admin.post(f"/admin/people/{target.id}", data=form).status_code == 303
    now = named(app, "reviewer-1")
    assert (now.id, now.name, now.state, now.password_due) == (
        target.id, "reviewer-1", "active", False
    )  # fmt: skip
    assert (now.display_name, now.version) == ("王审核", target.version + 1)
