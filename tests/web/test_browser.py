"""The public pages in a real browser: walks, keyboard, phone sizes, print, accessibility."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.web.browsing import DESKTOP, PHONE, TARGET, violations
from tests.web.conftest import Held

pytestmark = pytest.mark.browser

# 1280 pixels at a zoom of 200 % and of 400 % (WCAG 1.4.4 and 1.4.10).
WIDTHS = (360, 320, 640)


@pytest.fixture
def context(browser: Browser, site: str) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=PHONE, base_url=site)
    context.set_default_timeout(5000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A phone's page that must stay without errors, also those of the content policy."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda said: errors.append(said.text) if "Content Security" in said.text else None,
    )
    yield page
    assert not errors


def addresses(held: Held) -> dict[str, str]:
    return {
        "first": "/",
        "answered": "/?q=公积金怎么提取？",
        "clarify": "/?q=签发居住证需要几天",
        "clause": "/?q=毕业生租房补贴",
        "outdated": "/?q=流动人口居住证年度签注",
        "unanswerable": "/?q=天气怎么样",
        "handed-off": "/?q=转人工",
        "unsound": "/?q=%20",
        "search": "/search",
        "found": "/search?q=居住证",
        "filtered": "/search?q=居住证&validity=any&kind=clause&per_page=5&page=2",
        "nothing-found": "/search?q=居住证&department=没有这个局",
        "repealed": f"/documents/{held.repealed}",
        "guide": f"/documents/{held.guide}",
        "hostile-document": f"/documents/{held.hostile_document}",
        "entry": f"/entries/{held.entry}",
        "hostile-entry": f"/entries/{held.hostile_entry}",
        "missing": "/nothing/here",
    }


def test_from_a_question_to_the_clause_and_back(page: Page) -> None:
    page.goto("/")
    page.get_by_label("请输入您的问题").fill("流动人口居住证年度签注")
    page.get_by_role("button", name="提问").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("流动人口居住证年度签注")
    expect(page).to_have_title("流动人口居住证年度签注｜政策问答")
    page.get_by_role("link", name="《示例市流动人口居住证管理办法》").first.click()
    expect(page.locator(".banner--repealed")).to_contain_text("示例市居住证服务管理办法")
    target = page.locator(".clause:target")
    expect(target).to_be_in_viewport()
    expect(target).to_have_css("border-left-color", "rgb(168, 32, 26)")
    expect(target).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("流动人口居住证年度签注")


def test_suggestions_by_keyboard(page: Page) -> None:
    page.goto("/")
    field = page.get_by_role("combobox", name="请输入您的问题")
    expect(field).to_have_attribute("aria-expanded", "false")
    field.press_sequentially("居住证")
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    assert options.count() > 1
    field.press("ArrowDown")
    field.press("ArrowDown")
    field.press("ArrowUp")
    expect(options.first).to_have_attribute("aria-selected", "true")
    first = options.first.get_attribute("id")
    expect(field).to_have_attribute("aria-activedescendant", first or "")
    wording = options.first.inner_text()
    field.press("Escape")
    expect(options).to_have_count(0)
    expect(field).to_have_value("居住证")
    field.press_sequentially("办")
    field.press("Backspace")
    expect(options.first).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(wording)


def test_suggestions_leave_an_input_method_alone(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "suggest" in request.url else 0)
    page.goto("/")
    field = page.get_by_role("combobox")
    field.focus()
    session = page.context.new_cdp_session(page)
    session.send(
        "Input.imeSetComposition", {"text": "ju zhu", "selectionStart": 6, "selectionEnd": 6}
    )
    page.wait_for_timeout(400)
    assert not asked
    expect(page.get_by_role("option")).to_have_count(0)
    session.send("Input.insertText", {"text": "居住证"})
    expect(page.get_by_role("option").first).to_be_visible()
    assert asked and all(quote("居住证") in url for url in asked)


def test_a_suggestion_can_be_tapped(page: Page) -> None:
    page.goto("/search")
    page.get_by_role("combobox").press_sequentially("居住证")
    option = page.get_by_role("option").first
    wording = option.inner_text()
    option.click()
    page.wait_for_url("**/search?q=*")
    expect(page.get_by_role("combobox")).to_have_value(wording)


def test_feedback_without_a_new_page(page: Page) -> None:
    page.goto("/?q=公积金怎么提取？")
    before = page.url
    page.get_by_text("想补充几句").click()
    page.get_by_label("哪里说得不清楚").fill("很清楚")
    page.get_by_role("button", name="有帮助").click()
    expect(page.locator("[data-feedback-status]")).to_contain_text("谢谢")
    expect(page.get_by_role("button", name="有帮助")).to_have_attribute("aria-pressed", "true")
    assert page.url == before


def test_feedback_is_sent_as_a_form_when_the_api_cannot_be_reached(page: Page) -> None:
    page.goto("/?q=公积金怎么提取？")
    page.route("**/api/v1/feedback", lambda route: route.abort())
    page.get_by_role("button", name="没帮助").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("谢谢您的评价")
    page.get_by_role("link", name="回到刚才的回答").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("公积金怎么提取？")


def test_an_answer_can_be_copied_with_its_basis(page: Page, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/?q=公积金怎么提取？")
    page.get_by_role("button", name="复制回答").click()
    expect(page.locator("[data-copy-status]")).to_have_text("已复制")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "依据：《住房公积金管理条例》第二十四条" in copied
    answer = page.locator("[data-copy]").inner_text()
    assert copied.startswith(answer) and copied.endswith(page.url)


def test_everything_works_without_javascript(browser: Browser, site: str) -> None:
    context = browser.new_context(viewport=PHONE, base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("请输入您的问题").fill("公积金怎么提取？")
    page.get_by_label("请输入您的问题").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("公积金怎么提取？")
    expect(page.get_by_role("button", name="复制回答")).to_have_count(0)
    page.get_by_text("更多相关内容").click()
    expect(page.locator(".more .result").first).to_be_visible()
    page.get_by_role("button", name="有帮助").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("谢谢您的评价")
    page.get_by_role("link", name="适老版").click()
    expect(page.locator("html")).to_have_class("large-text")
    context.close()


def test_larger_text_is_kept_from_page_to_page(page: Page) -> None:
    root = page.locator("html")
    page.goto("/")
    page.get_by_role("link", name="适老版").click()
    # 18 points, the least size that the guideline for elder-friendly sites asks for.
    expect(root).to_have_css("font-size", "24px")
    expect(page.locator("main p").first).to_have_css("font-size", "24px")
    page.get_by_role("link", name="检索").click()
    expect(page).to_have_title("检索政策和问答｜政策问答")
    expect(root).to_have_css("font-size", "24px")
    page.get_by_role("link", name="标准版").click()
    expect(root).not_to_have_css("font-size", "24px")
    expect(page).to_have_url(re.compile("/search$"))


@pytest.mark.parametrize("large", [False, True], ids=["standard", "large"])
def test_nothing_is_wider_than_the_screen(
    page: Page, context: BrowserContext, site: str, held: Held, large: bool
) -> None:
    if large:
        context.add_cookies([{"name": "text_size", "value": "large", "url": site}])
    for name, address in addresses(held).items():
        page.goto(address)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 640})
            widest = page.evaluate("document.documentElement.scrollWidth")
            assert widest <= width, (name, width, widest)


def test_what_is_tapped_is_large_enough(page: Page, held: Held) -> None:
    small = """least => [...document.querySelectorAll(
        'button, summary, input:not([type=hidden]), textarea, .menu a, .brand, .choices a, ' +
        '.chip, .contents a, a.button, .phone')]
      .filter(each => each.checkVisibility())
      .map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
      .filter(([_, box]) => box.height < least - 0.5 || box.width < least - 0.5)
      .map(([html, box]) => `${html} ${box.width}x${box.height}`)"""
    shown = addresses(held)
    for name in ("answered", "clarify", "found", "filtered", "guide", "entry", "missing"):
        page.goto(shown[name])
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate(small, TARGET) == [], name


def test_no_accessibility_violation_on_a_phone(page: Page, held: Held) -> None:
    shown = addresses(held)
    # What these leave out is made of the same pieces.
    for name in sorted(
        shown.keys() - {"handed-off", "search", "filtered", "hostile-entry", "clause"}
    ):
        page.goto(shown[name])
        assert violations(page) == [], name


def test_no_accessibility_violation_on_a_desktop(page: Page, held: Held) -> None:
    page.set_viewport_size(DESKTOP)
    shown = addresses(held)
    for name in ("first", "outdated", "found", "repealed"):
        page.goto(shown[name])
        assert violations(page) == [], name


def test_the_open_list_of_suggestions_is_accessible(page: Page) -> None:
    page.goto("/")
    page.get_by_role("combobox").press_sequentially("居住证")
    expect(page.get_by_role("option").first).to_be_visible()
    page.get_by_role("combobox").press("ArrowDown")
    assert violations(page) == []


def test_the_contents_lead_to_their_headings(page: Page, held: Held) -> None:
    page.set_viewport_size(DESKTOP)
    page.goto(f"/documents/{held.successor}")
    page.get_by_role("navigation", name="目录").get_by_role("link", name="第四章").click()
    expect(page.get_by_role("heading", name="第四章 服务与便利")).to_be_in_viewport()


def test_a_long_document_opens_at_the_clause_asked_for(page: Page, held: Held) -> None:
    page.goto(f"/documents/{held.long_document}")
    last = page.locator(".clause__mark").last.get_attribute("href")
    page.goto(f"/documents/{held.long_document}{last}")
    expect(page.locator(".clause:target")).to_be_in_viewport()


def test_the_keyboard_reaches_the_text_first(page: Page) -> None:
    page.goto("/search?q=居住证")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="跳到正文")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("combobox")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_document_prints_as_a_document(page: Page, held: Held) -> None:
    page.goto(f"/documents/{held.successor}")
    page.emulate_media(media="print")
    for hidden in (".masthead", ".contents", ".document__tools"):
        expect(page.locator(hidden).first).to_be_hidden()
    for shown in ("h1", ".banner", ".meta", ".clause"):
        expect(page.locator(shown).first).to_be_visible()
