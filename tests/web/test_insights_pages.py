"""Pages from questions to entries, figures, checks: who sees what, what forms do, the browser."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import openpyxl
import pytest
from flask import Flask
from playwright.sync_api import Browser

from kb.departments import department_named
from service.desk.tickets import NewTicket
from service.insights.daily import Finding
from service.insights.models import Gap, GapQuestion
from service.web.runtime import runtime
from tests.web.browsing import DESKTOP, PHONE, violations
from tests.web.conftest import HOSTILE, NOW, Staff

SignIn = Callable[..., Staff]
ASKED = f"养鸡场{HOSTILE}有补助吗"
PAGES = ("/admin/gaps", "/admin/phrasings", "/admin/tickets", "/admin/figures?period=365",
         "/admin/report", "/admin/daily")  # fmt: skip


def _gap(department: str, state: str = "assigned") -> int:
    """A gap that two people asked about; returns its number."""
    with runtime().db.transaction() as session:
        gap = Gap(
            title=ASKED, state=state, department_id=department_named(session, department).id,
            routing=0.8, nearest=[[1, "养鸡怎么办", "市发改委", 0.7]], size=2, askers=2,
            first_seen=NOW, last_seen=NOW,
        )  # fmt: skip
        session.add(gap)
        session.flush()
        for asker in "ab":
            session.add(
                GapQuestion(
                    gap_id=gap.id,
                    kind="unanswerable",
                    text=ASKED,
                    asker=asker,
                    channel="web",
                    asked_at=NOW,
                )
            )
        return gap.id


@pytest.fixture
def own(app: Flask) -> int:
    with app.app_context():
        return _gap("市政务局")


@pytest.fixture
def others(app: Flask) -> int:
    with app.app_context():
        return _gap("市发改委")


def test_an_editor_sees_the_own_departments_gaps_only(
    signed_in: SignIn, own: int, others: int
) -> None:
    editor, admin = signed_in("editor"), signed_in("admin")
    listed = editor.get("/admin/gaps").get_data(as_text=True)
    assert f'"/admin/gaps/{own}"' in listed and f'"/admin/gaps/{others}"' not in listed
    assert editor.get(f"/admin/gaps/{own}").status_code == 200
    assert editor.get(f"/admin/gaps/{others}").status_code == 404
    assert f'"/admin/gaps/{others}"' in admin.get("/admin/gaps").get_data(as_text=True)
    page = admin.get(f"/admin/gaps/{others}").get_data(as_text=True)
    assert "<script>alert" not in page and "&lt;script&gt;" in page


def test_an_editor_drafts_from_a_gap_with_one_click_and_only_once(
    signed_in: SignIn, own: int, others: int, app: Flask
) -> None:
    editor = signed_in("editor")
    token = editor.csrf()
    assert editor.post(f"/admin/gaps/{own}/draft").status_code == 403
    assert editor.post(f"/admin/gaps/{others}/draft", headers=token).status_code == 404
    assert editor.post(f"/admin/gaps/{own}/draft", headers=token).status_code == 303
    with app.app_context():
        gap = runtime().insights.gaps.find(own)
    assert gap.state == "drafted" and gap.draft_id
    assert editor.post(f"/admin/gaps/{own}/draft", headers=token).status_code == 409


def test_an_administrator_assigns_and_dismisses(signed_in: SignIn, own: int, app: Flask) -> None:
    admin, auditor = signed_in("admin"), signed_in("auditor")
    form = {"department": "市发改委"}
    refused = auditor.post(f"/admin/gaps/{own}/assign", data=form, headers=auditor.csrf())
    assert refused.status_code == 403
    admin.post(f"/admin/gaps/{own}/assign", data=form, headers=admin.csrf())
    with app.app_context():
        gap = runtime().insights.gaps.find(own)
        assert (gap.department, gap.routing) == ("市发改委", 1.0) and gap.due_on
    empty = admin.post(f"/admin/gaps/{own}/dismiss", data={"reason": ""}, headers=admin.csrf())
    assert empty.status_code == 400
    admin.post(f"/admin/gaps/{own}/dismiss", data={"reason": "重复"}, headers=admin.csrf())
    assert "重复" in admin.get(f"/admin/gaps/{own}").get_data(as_text=True)


def test_a_department_answers_its_ticket_and_the_desk_sees_it(
    signed_in: SignIn, app: Flask
) -> None:
    operator, editor = signed_in("operator"), signed_in("editor")
    with app.app_context(), runtime().db.transaction() as session:
        department_named(session, "市政务局"), department_named(session, "市发改委")
    with app.app_context():
        tickets = [
            runtime().tickets.create(NewTicket("停车场怎么备案", name), 1)
            for name in ("市政务局", "市发改委")
        ]
    own, other = tickets
    listed = editor.get("/admin/tickets").get_data(as_text=True)
    assert own in listed and other not in listed
    assert editor.get(f"/admin/tickets/{other}").status_code == 404
    token = editor.csrf()
    assert (
        editor.post(f"/admin/tickets/{own}", data={"reply": ""}, headers=token).status_code == 400
    )
    form = {"reply": "到政务大厅三楼备案。"}
    assert editor.post(f"/admin/tickets/{own}", data=form, headers=token).status_code == 303
    shown = operator.get(f"/operator/tickets/{own}").get_data(as_text=True)
    assert form["reply"] in shown


def test_figures_refuse_periods_that_are_none(signed_in: SignIn) -> None:
    auditor = signed_in("auditor")
    for query in (
        "period=custom&from=x&to=y",
        "period=custom&from=2026-01-02&to=2026-01-01",
        "period=custom&from=2000-01-01&to=2026-01-01",
    ):
        assert auditor.get(f"/admin/figures?{query}").status_code == 400
    assert auditor.get("/admin/report?month=never").status_code == 400
    assert signed_in("operator").get("/admin/figures").status_code == 403


def test_the_export_has_a_sheet_for_every_table(signed_in: SignIn) -> None:
    response = signed_in("auditor").get("/admin/figures.xlsx?period=7")
    book = openpyxl.load_workbook(io.BytesIO(response.data))
    assert book.sheetnames == [
        "概况", "按天", "按小时", "按渠道", "按地区", "按主题", "按责任单位", "热点问题",
        "热点缺口", "各单位", "到期和复核",
    ]  # fmt: skip
    assert len(list(book["按天"].rows)) == 8


@pytest.fixture
def token(signed_in: SignIn, app: Flask) -> Iterator[str]:
    cookie = signed_in("admin").get_cookie("policyqa")
    assert cookie is not None
    with app.app_context():
        finding = Finding("备份", "bad", "没有备份过", "请备份", "/admin/audit", ("一行",))
        runtime().insights.daily.run(lambda: [finding], again=True)
    yield cookie.value


@pytest.mark.browser
@pytest.mark.parametrize("large", [False, True])
def test_pages_are_accessible_and_fit_a_phone(
    browser: Browser, site: str, token: str, own: int, large: bool
) -> None:
    context = browser.new_context(viewport=PHONE if large else DESKTOP, locale="zh-CN")
    context.add_cookies([{"name": "policyqa", "value": token, "url": site}])
    page = context.new_page()
    if large:
        page.goto(f"{site}/text-size?size=large&back=/admin")
    for address in (*PAGES, f"/admin/gaps/{own}"):
        page.goto(f"{site}{address}")
        assert violations(page) == [], address
        too_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not too_wide, address
    context.close()
