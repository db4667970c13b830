"""Signing in with a real browser: keyboard, phone, no JavaScript, larger text, accessibility."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.web.browsing import DESKTOP, PHONE, TARGET, violations
from tests.web.conftest import Staff

pytestmark = pytest.mark.browser

SMALL = """least => [...document.querySelectorAll(
      'button, input:not([type=hidden], .unseen), nav a')]
  .filter(each => each.checkVisibility())
  .map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
  .filter(([_, box]) => box.height < least - 0.5 || box.width < least - 0.5)
  .map(([html, box]) => `${html} ${box.width}x${box.height}`)"""


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def context(
    browser: Browser, site: str, request: pytest.FixtureRequest
) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=PHONE, base_url=site, java_script_enabled=request.param)
    context.set_default_timeout(5000)
    yield context
    context.close()


@pytest.fixture
def phone(browser: Browser, site: str) -> Iterator[Page]:
    context = browser.new_context(viewport=PHONE, base_url=site)
    context.set_default_timeout(5000)
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda m: refused.append(m.text) if "Content Security" in m.text else None)
    yield page
    context.close()
    assert not refused


def fill(page: Page, name: str, password: str) -> None:
    page.get_by_label("用户名").fill(name)
    page.get_by_label("密码").fill(password)


def test_signing_in_and_out_with_the_keyboard_alone(
    context: BrowserContext, signed_in: Callable[..., Staff], passwords: dict[str, str]
) -> None:
    signed_in("auditor")
    page = context.new_page()
    page.goto("/password")
    expect(page).to_have_title("工作人员登录｜政策问答")
    page.get_by_label("用户名").focus()
    page.keyboard.type("auditor-1")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("用户名或密码不对")
    expect(page.get_by_label("用户名")).to_have_value("auditor-1")
    expect(page.get_by_label("密码")).to_have_value("")
    page.get_by_label("密码").fill(passwords["auditor-1"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("修改密码")
    page.get_by_role("button", name="退出", exact=True).press("Enter")
    expect(page.get_by_role("status")).to_have_text("您已退出登录。")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("工作人员登录")


def test_a_new_password_is_chosen_with_help(
    phone: Page, signed_in: Callable[..., Staff], passwords: dict[str, str]
) -> None:
    signed_in("reviewer")
    phone.goto("/sign-in")
    fill(phone, "reviewer-1", passwords["reviewer-1"])
    phone.get_by_role("button", name="登录").click()
    phone.goto("/password")
    phone.get_by_label("原密码").fill(passwords["reviewer-1"])
    new = phone.get_by_label("新密码", exact=True)
    expect(new).to_have_accessible_description(re.compile("至少10位"))
    new.fill("Password1234!")
    phone.get_by_label("再输一次新密码").fill("Password1234!")
    phone.get_by_role("button", name="修改密码").click()
    expect(phone.get_by_role("alert")).to_contain_text("太常见")
    assert violations(phone) == []
    passwords_now = "Boat-sails-58-deep"
    phone.get_by_label("原密码").fill(passwords["reviewer-1"])
    phone.get_by_label("新密码", exact=True).fill(passwords_now)
    phone.get_by_label("再输一次新密码").fill(passwords_now)
    phone.get_by_role("button", name="修改密码").click()
    expect(phone.get_by_role("status")).to_contain_text("密码已修改")
    passwords["reviewer-1"] = passwords_now
    assert violations(phone) == []


@pytest.mark.parametrize("large", [False, True], ids=["standard", "large"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_pages_are_accessible_and_fit(
    phone: Page,
    signed_in: Callable[..., Staff],
    passwords: dict[str, str],
    site: str,
    size: dict[str, int],
    large: bool,
) -> None:
    signed_in("editor")
    phone.set_viewport_size(size)  # type: ignore[arg-type]
    if large:
        phone.context.add_cookies([{"name": "text_size", "value": "large", "url": site}])

    def check() -> None:
        assert violations(phone) == []
        assert phone.evaluate(SMALL, TARGET) == []
        assert phone.evaluate("document.documentElement.scrollWidth") <= size["width"]
        phone.set_viewport_size({"width": 320, "height": 640})
        assert phone.evaluate("document.documentElement.scrollWidth") <= 320
        phone.set_viewport_size(size)  # type: ignore[arg-type]

    phone.goto("/sign-in")
    check()
    fill(phone, "editor-1", "wrong")
    phone.get_by_role("button", name="登录").click()
    expect(phone.get_by_role("alert")).to_be_visible()
    check()
    fill(phone, "editor-1", passwords["editor-1"])
    phone.get_by_role("button", name="登录").click()
    expect(phone.get_by_role("heading", level=1)).to_contain_text("您好")
    for address in ("/admin", "/account", "/password", "/account/second-factor"):
        phone.goto(address)
        check()
    if phone.get_by_role("button", name="开始设置").is_visible():  # else begun by a test before
        phone.get_by_label("先输入现在的密码").fill(passwords["editor-1"])
        phone.get_by_role("button", name="开始设置").click()
    expect(phone.get_by_label("二维码")).to_be_visible()
    check()
