"""The pages of accounts, of the own account, and of the audit log, as a browser without scripts."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import openpyxl
import pyotp
import pytest
from flask import Flask
from sqlalchemy import select

from kb.models import Audit
from service.people import Profile
from service.web.runtime import runtime
from tests.web.conftest import HOSTILE, Staff

SignIn = Callable[..., Staff]


def post(browser: Staff, address: str, **fields: str) -> tuple[int, str]:
    """Send a form; status and page after redirects."""
    form = {**fields, "csrf": browser.csrf()["X-CSRF-Token"]}
    response = browser.post(address, data=form, follow_redirects=True)
    return response.status_code, response.get_data(as_text=True)


def page(browser: Staff, address: str) -> str:
    response = browser.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return response.get_data(as_text=True)


def number_of(app: Flask, name: str) -> int:
    with app.app_context():
        return runtime().people.named(name).id


def latest(app: Flask) -> Audit:
    with app.app_context(), runtime().db.reading() as session:
        return session.scalars(select(Audit).order_by(Audit.id.desc()).limit(1)).one()


def test_from_a_new_account_to_a_disabled_one(app: Flask, signed_in: SignIn) -> None:
    admin = signed_in("admin")
    form = {"name": "New.One", "role": "editor", "department": "市人社局", "region": "平度市"}
    status, shown = post(admin, "/admin/people", **form)
    [password] = re.findall(r'<p class="secret">(\S+)</p>', shown)
    assert status == 200 and "只显示这一次" in shown
    with app.app_context():
        assert runtime().accounts.sign_in("new.one", password, address="127.0.0.1")
        account = runtime().people.named("new.one")
    assert (account.department, account.region_code) == ("市人社局", "370283")
    address = f"/admin/people/{account.id}"
    assert password not in page(admin, address)
    for step, said in (
        ("sign-out", "已退出这个账号的全部登录"),
        ("disable", "已停用"),
        ("enable", "已恢复"),
        ("unlock", "已解除锁定"),
        ("factor", "已取消手机验证码"),
    ):
        assert said in post(admin, f"{address}/{step}")[1], step
    assert "只显示这一次" in post(admin, f"{address}/password")[1]
    listed = page(admin, "/admin/people?text=new.one&role=editor&department=市人社局")
    assert "共 1 个账号" in listed and "平度市" in listed


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "x"}, "用户名应为2到32个"),
        ({"role": "root"}, "角色应是"),
        ({"role": ""}, "角色应是"),
        ({"region": "桃花源"}, "没有地区"),
        ({"name": "admin-1"}, "已有人用"),
    ],
)
def test_what_does_not_hold_is_said_and_nothing_typed_is_lost(
    app: Flask, signed_in: SignIn, fields: dict[str, str], said: str
) -> None:
    admin = signed_in("admin")
    form = {"name": "li.si.2", "role": "editor", "department": "某个单位", "region": "", **fields}
    status, shown = post(admin, "/admin/people", **form)
    assert status in (400, 409) and said in shown and 'role="alert"' in shown
    assert 'value="某个单位"' in shown and f'value="{form["name"]}"' in shown


def test_an_old_form_says_so_and_keeps_what_was_typed(app: Flask, signed_in: SignIn) -> None:
    admin = signed_in("admin")
    signed_in("editor", 2)
    number = number_of(app, "editor-2")
    form = {"role": "editor", "region": "", "seen": "0", "display_name": "刚才写的名字"}
    status, shown = post(admin, f"/admin/people/{number}", **form)
    assert status == 409 and "刚刚被别人改过" in shown and "刚才写的名字" in shown


def test_the_last_administrator_cannot_be_taken_away(app: Flask, signed_in: SignIn) -> None:
    admin = signed_in("admin")
    own = number_of(app, "admin-1")
    status, shown = post(admin, f"/admin/people/{own}/disable")
    assert status == 409 and "不能停用自己的账号" in shown


def test_hostile_names_are_shown_as_words(app: Flask, signed_in: SignIn) -> None:
    admin = signed_in("admin")
    with app.app_context():
        biting = Profile("biting.two", "editor", display_name=HOSTILE[:60], department=HOSTILE)
        runtime().people.add(biting, by=HOSTILE[:64])
    for address in (
        "/admin/people",
        f"/admin/people/{number_of(app, 'biting.two')}",
        "/admin/audit",
        "/admin/audit?actor=" + "%3Cscript%3E",
    ):
        shown = page(admin, address)
        assert "<script>alert" not in shown and "<img" not in shown, address


def test_a_second_factor_from_the_account_page_to_signing_in(
    app: Flask, signed_in: SignIn, passwords: dict[str, str]
) -> None:
    browser, name = signed_in("operator", 3), "operator-3"
    password, address = passwords[name], "/account/second-factor"
    assert "没有启用" in page(browser, "/account")
    shown = post(browser, address, step="begin", password=password)[1]
    [key] = re.findall(r'<p class="secret">([A-Z2-7 ]+)</p>', shown)
    assert "<svg" in shown and "style=" not in shown
    device = pyotp.TOTP(key.replace(" ", ""))
    with app.app_context():
        code = device.at(runtime().now())
        spare = device.at(runtime().now(), counter_offset=1)
    assert post(browser, address, step="confirm", code="000000")[0] == 400
    shown = post(browser, address, step="confirm", code=code)[1]
    codes = re.findall(r"<li>([a-z0-9]{4}(?:-[a-z0-9]{4}){2})</li>", shown)
    assert len(codes) == 10 and codes[0] not in page(browser, address)

    again = app.test_client()
    again.environ_base["HTTP_ACCEPT"] = "text/html"
    [csrf] = re.findall(r'name="csrf" value="(\w+)"', again.get("/sign-in").get_data(as_text=True))
    form = {"name": name, "password": password, "csrf": csrf, "next": "/operator/shift"}
    response = again.post("/sign-in", data=form)
    assert response.headers["Location"] == "/sign-in/code?next=/operator/shift"
    assert again.get("/operator").status_code == 303, "half open"
    shown = again.get(response.headers["Location"]).get_data(as_text=True)
    [csrf] = re.findall(r'name="csrf" value="(\w+)"', shown)
    form = {"code": code, "csrf": csrf, "next": "/operator/shift"}
    assert again.post("/sign-in/code", data={**form, "csrf": "x"}).status_code == 400
    assert again.post("/sign-in/code", data=form).status_code == 401, "used before"
    response = again.post("/sign-in/code", data={**form, "code": spare})
    assert response.headers["Location"] == "/operator/shift"
    assert again.get("/operator").status_code == 200
    assert post(browser, address, step="remove", password=password)[0] == 200
    assert post(browser, address, step="nonsense")[0] == 400


def test_one_ends_the_other_sessions_of_ones_own_alone(signed_in: SignIn) -> None:
    here, there, foreign = signed_in("editor", 4), signed_in("editor", 4), signed_in("editor", 5)
    keys = re.findall(r'name="session" value="([0-9a-f]+)"', page(here, "/account"))
    for key in keys:
        assert post(foreign, "/account/sessions", session=key)[0] == 200
    assert there.get("/account").status_code == 200, "a key of somebody else ends nothing"
    for key in keys:
        assert post(here, "/account/sessions", session=key)[0] == 200
    assert there.get("/account").status_code == 303 and here.get("/account").status_code == 200


# The audit log


def test_the_log_is_searched_and_looking_is_on_record(app: Flask, signed_in: SignIn) -> None:
    auditor, admin = signed_in("auditor"), signed_in("admin")
    number = number_of(app, "admin-1")
    post(admin, f"/admin/people/{number}/unlock")
    shown = page(
        auditor, f"/admin/audit?actor=admin-1&action=account.unlock&subject=account:{number}"
    )
    assert "共 0" not in shown and "解除锁定" in shown and "账号 admin-1" in shown
    row = latest(app)
    assert (row.actor, row.action) == ("auditor-1", "audit.read")
    assert row.detail["wanted"]["actor"] == "admin-1"
    assert "没有符合条件" in page(auditor, "/admin/audit?since=2001-01-01&until=2001-01-02")
    for wrong in ("since=x", "since=2026-02-02&until=2026-02-01"):
        assert auditor.get(f"/admin/audit?{wrong}").status_code == 400


def test_exports_run_nothing_in_a_spreadsheet(app: Flask, signed_in: SignIn) -> None:
    auditor = signed_in("auditor")
    with app.app_context():
        runtime().people.add(Profile("formula", "editor", display_name="x"), by="=1+1")
    response = auditor.get("/admin/audit/export?format=csv&actor=%3D1%2B1")
    assert "attachment" in response.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(response.get_data().decode("utf-8-sig"))))
    assert rows[0][2] == "操作人" and rows[1][2] == "'=1+1"
    response = auditor.get("/admin/audit/export?format=xlsx&actor=%3D1%2B1")
    sheet = openpyxl.load_workbook(io.BytesIO(response.get_data())).active
    assert sheet is not None and sheet.cell(2, 3).value == "'=1+1"
    assert latest(app).action == "audit.export"
    assert auditor.get("/admin/audit/export?format=exe").status_code == 400


def test_the_chain_is_checked_on_demand(app: Flask, signed_in: SignIn) -> None:
    status, shown = post(signed_in("auditor"), "/admin/audit/chain")
    assert status == 200 and "没有被改动、删除或插入" in shown
    assert latest(app).action == "audit.verify"
