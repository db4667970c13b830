"""Settings and the lab in a real browser: try a cut, keep it, find it in the audit, undo it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete

from service.models import Setting
from service.web.runtime import runtime
from tests.web.browsing import DESKTOP, PHONE, violations
from tests.web.conftest import Staff

pytestmark = pytest.mark.browser

QUESTION = "离婚孩子归谁"


@pytest.fixture(params=["script", "plain"])
def page(
    browser: Browser,
    site: str,
    app: Flask,
    signed_in: Callable[..., Staff],
    request: pytest.FixtureRequest,
) -> Iterator[Page]:
    """The page of an administrator, with and without scripts."""
    context = browser.new_context(
        viewport=DESKTOP, base_url=site, java_script_enabled=request.param == "script"
    )
    context.set_default_timeout(30_000)
    cookie = signed_in("admin").get_cookie("policyqa")
    assert cookie
    context.add_cookies([{"name": "policyqa", "value": cookie.value, "url": site}])
    yield context.new_page()
    context.close()
    with app.app_context():
        with runtime().db.transaction() as session:
            session.execute(delete(Setting))
        runtime().tuning.fresh()


def test_a_cut_is_tried_kept_found_in_the_audit_and_taken_back(page: Page) -> None:
    page.goto("/admin/lab")
    page.get_by_label("问题", exact=True).fill(QUESTION)
    page.get_by_role("button", name="问一问").click()
    expect(page.get_by_role("heading", name="用标准答案回答")).to_be_visible()
    page.get_by_text("改门槛和理解步骤").click()
    page.get_by_label("用标准答案作答，最多允许答错").fill("0")
    page.get_by_role("button", name="问一问").click()
    expect(page.get_by_role("heading", name="请群众选择")).to_be_visible()
    page.get_by_role("link", name="存为正式设置").click()
    answers = page.get_by_role("form", name="答得多，还是答得准")
    expect(answers.get_by_label("用标准答案作答，最多允许答错")).to_have_value("0")
    answers.get_by_label("为什么改").fill("先严一点")
    answers.get_by_role("button", name="保存").click()
    expect(page.get_by_role("status").first).to_contain_text("已保存")
    page.goto(f"/?q={QUESTION}")
    expect(page.get_by_text("您想问的是下面这个吗")).to_be_visible()
    page.goto("/admin/settings")
    page.get_by_role("link", name="设置的审计记录").click()
    expect(page.get_by_text("先严一点").first).to_be_visible()
    page.goto("/admin/settings")
    answers.get_by_label("为什么改").fill("还是照旧")
    answers.get_by_role("button", name="用标准答案作答，最多允许答错：恢复默认").click()
    expect(answers.get_by_label("用标准答案作答，最多允许答错")).to_have_value("15")


def test_a_stop_takes_two_clicks(page: Page) -> None:
    page.goto("/admin/settings")
    page.get_by_role("link", name="紧急停止自动回答").click()
    page.get_by_role("button", name="立即停止").click()
    expect(page.get_by_text("自动回答已停止：全部渠道")).to_be_visible()
    page.goto(f"/?q={QUESTION}")
    expect(page.get_by_text("暂时停用")).to_be_visible()


def test_no_accessibility_violation(
    browser: Browser, site: str, signed_in: Callable[..., Staff]
) -> None:
    cookie = signed_in("admin").get_cookie("policyqa")
    assert cookie
    for viewport, address in (
        (DESKTOP, f"/admin/lab?q={QUESTION}&compare=yes&b_wrong_entries=0"),
        (PHONE, "/admin/settings"),
        (PHONE, "/admin/settings/stop"),
        (PHONE, "/admin/synonyms?try=小产"),
        (DESKTOP, "/admin/lab/golden"),
    ):
        context = browser.new_context(viewport=viewport, base_url=site)
        context.add_cookies([{"name": "policyqa", "value": cookie.value, "url": site}])
        page = context.new_page()
        page.goto(address)
        assert violations(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        context.close()
