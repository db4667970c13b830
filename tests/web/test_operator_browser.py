"""The operators' console in a real browser: a call by keyboard alone, two operators, one person."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from sqlalchemy import delete

from service.models import Call, Favourite, Handoff, HandoffMessage, Lookup, Report, Ticket
from service.web.runtime import runtime
from tests.web.browsing import DESKTOP, PHONE, TARGET, violations
from tests.web.conftest import Held, Staff
from tests.web.test_operators import MOBILE, hand_over

pytestmark = pytest.mark.browser

SignIn = Callable[..., Staff]
Desk = Callable[..., Page]
QUESTION = "什么情况下可以提取住房公积金？"
SMALL = """least => [...document.querySelectorAll(
      'button, input:not([type=hidden], [type=checkbox], [type=radio]), select, nav a, .hit')]
  .filter(each => each.checkVisibility())
  .map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
  .filter(([, box]) => box.height < least - 0.5 || box.width < least - 0.5)
  .map(([html, box]) => `${html} ${box.width}x${box.height}`)"""


@pytest.fixture(autouse=True)
def _fresh(app: Flask) -> Iterator[None]:
    yield
    with app.app_context(), runtime().db.transaction() as session:
        for table in (HandoffMessage, Handoff, Ticket, Lookup, Call, Report, Favourite):
            session.execute(delete(table))


@pytest.fixture
def desk(browser: Browser, site: str, signed_in: SignIn) -> Iterator[Desk]:
    """A factory: the page of operator NUMBER, which must stay without errors."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_desk(number: int = 1, *, script: bool = True, phone: bool = False) -> Page:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP, base_url=site, java_script_enabled=script
        )
        contexts.append(context)
        context.set_default_timeout(15_000)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        cookie = signed_in("operator", number).get_cookie("policyqa")
        assert cookie
        context.add_cookies([{"name": "policyqa", "value": cookie.value, "url": site}])
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if "Content Sec" in m.text else None)
        return page

    yield open_desk
    for context in contexts:
        context.close()
    assert not errors


def shown(page: Page, title: str) -> None:
    expect(page.locator(".reading__title")).to_have_text(title)


def test_a_call_from_the_screen_pop_to_the_wrap_up_by_keyboard_alone(desk: Desk) -> None:
    page = desk()
    page.goto(f"/operator?call_id=b1&ani={MOBILE}&region=370283")
    assert page.url.endswith("/operator") and MOBILE not in page.content()
    expect(page.get_by_text("138****5678")).to_be_visible()
    field = page.get_by_role("combobox", name="来电人问什么？")
    expect(field).to_be_focused()
    page.keyboard.type("公积金怎么提")
    shown(page, QUESTION)
    expect(field).to_have_attribute("aria-activedescendant", "hit-1")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".reading__title")).not_to_have_text(QUESTION)
    page.keyboard.press("ArrowUp")
    shown(page, QUESTION)
    page.keyboard.press("Enter")
    answer = page.get_by_role("region", name="答案", exact=True)
    expect(answer).to_be_focused()
    expect(page.get_by_role("link", name=QUESTION).first).to_be_visible()
    spoken = page.locator("[data-spoken]").inner_text()
    page.keyboard.press("c")
    expect(page.locator("[data-toast]")).to_have_text("已复制口播版")
    assert page.evaluate("navigator.clipboard.readText()") == spoken
    expect(page.get_by_text("已读", exact=True)).to_be_visible()
    page.keyboard.press("v")
    expect(page.locator("[data-toast]")).to_have_text("已复制全文")
    assert "1. 住房类" in page.evaluate("navigator.clipboard.readText()")
    page.keyboard.press("o")
    expect(page.locator("[data-toast]")).to_contain_text("已经过时：已记下")
    page.keyboard.press("o")
    expect(page.locator("[data-toast]")).to_contain_text("已经过时：已撤销")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="按键")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(answer).to_be_focused()
    page.keyboard.press("e")
    expect(page.get_by_label("小结")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_text("上一个来电已小结")).to_be_visible()
    expect(field).to_be_focused()
    page.goto("/operator/shift")
    expect(page.locator(".figures")).to_contain_text("100%")


def test_digits_pick_a_result_and_escape_goes_back(desk: Desk) -> None:
    page = desk()
    page.goto("/operator")
    field = page.get_by_role("combobox", name="来电人问什么？")
    page.keyboard.type("公积金")
    third = page.locator("#hit-3 .hit__title")
    expect(third).to_be_visible()
    title = third.inner_text()
    page.keyboard.press("Alt+Digit3")
    shown(page, title)
    expect(page.get_by_role("region", name="答案", exact=True)).to_be_focused()
    page.keyboard.press("2")
    shown(page, page.locator("#hit-2 .hit__title").inner_text())
    page.keyboard.press("Escape")
    expect(field).to_be_focused()
    page.keyboard.type("护照到期")
    expect(field).to_have_value("护照到期")
    shown(page, "护照快过期了怎么换发？")
    page.keyboard.type("2")
    expect(field).to_have_value("护照到期2")


def test_enter_before_the_results_have_come_opens_what_was_typed(desk: Desk) -> None:
    page = desk()
    page.goto("/operator")
    page.keyboard.type("护照到期")
    page.keyboard.press("Enter")
    shown(page, "护照快过期了怎么换发？")
    expect(page.get_by_role("region", name="答案", exact=True)).to_be_focused()


def test_a_slow_reply_never_replaces_a_newer_one(desk: Desk) -> None:
    page = desk()
    held: list[Route] = []

    def slow(route: Route) -> None:
        if len(held) == 0:
            held.append(route)
        else:
            route.continue_()

    page.route("**/operator/results?*", slow)
    page.goto("/operator")
    with page.expect_request("**/operator/results?*"):
        page.keyboard.type("居住证")
    page.get_by_role("combobox", name="来电人问什么？").fill("护照到期")
    shown(page, "护照快过期了怎么换发？")
    assert held and not page.get_by_text("居住证").filter(visible=True).count()


def test_typing_leaves_an_input_method_alone(desk: Desk) -> None:
    page = desk()
    asked: list[str] = []
    page.on("request", lambda each: asked.append(each.url) if "/results" in each.url else None)
    page.goto("/operator")
    session = page.context.new_cdp_session(page)
    composing = {"text": "hu zhao", "selectionStart": 7, "selectionEnd": 7}
    session.send("Input.imeSetComposition", composing)
    page.wait_for_timeout(300)
    assert not asked
    session.send("Input.insertText", {"text": "护照到期"})
    shown(page, "护照快过期了怎么换发？")
    assert len(asked) == 1


def test_a_begun_wrap_up_stays_while_answers_are_opened(desk: Desk) -> None:
    page = desk()
    page.goto("/operator?q=护照到期")
    page.get_by_role("combobox", name="来电人问什么？").press("Enter")
    expect(page.get_by_label("小结")).to_be_visible()
    page.get_by_label("备注（可不填）").fill("老人，听力不好")
    page.get_by_role("combobox", name="来电人问什么？").fill("公积金怎么提")
    page.get_by_role("combobox", name="来电人问什么？").press("Enter")
    shown(page, QUESTION)
    expect(page.locator(".history li")).to_have_count(2)
    expect(page.get_by_label("备注（可不填）")).to_have_value("老人，听力不好")


def test_no_answer_becomes_a_ticket_with_the_callers_number(desk: Desk) -> None:
    page = desk()
    page.goto(f"/operator?call_id=b2&ani={MOBILE}")
    page.keyboard.type("uuvvii")
    expect(page.get_by_text("没有找到。")).to_be_visible()
    page.get_by_role("link", name="转部门办理").first.click()
    expect(page.get_by_label("问题", exact=True)).to_have_value("uuvvii")
    expect(page.get_by_label("用来电号码 138****5678")).to_be_checked()
    page.get_by_label("承办部门").select_option("公安局")
    page.get_by_role("button", name="转出").click()
    expect(page.get_by_text("工单 20260115-0001")).to_be_visible()
    expect(page.get_by_text("138****5678")).to_be_visible()


def test_two_operators_claim_one_conversation(client: FlaskClient, desk: Desk) -> None:
    hand_over(client, "居住证怎么办理？")
    first, second = desk(1), desk(2)
    for page in (first, second):
        page.goto("/operator/queue")
    first.get_by_role("button", name="接待：居住证怎么办理？").click()
    expect(first.get_by_role("textbox", name="回复")).to_be_focused()
    second.route("**/operator/queue", lambda route: route.abort())  # as seen a moment ago
    second.get_by_role("button", name="接待：居住证怎么办理？").click()
    expect(second.get_by_text("已由另一位坐席接待")).to_be_visible()


def test_a_widget_conversation_from_question_to_close(client: FlaskClient, desk: Desk) -> None:
    page = desk()
    page.goto("/operator")
    conversation = hand_over(client, "居住证怎么办理？")
    address = f"/api/v1/conversations/{conversation}/messages"
    expect(page.locator("[data-waiting-count]")).to_have_text("1")
    page.get_by_role("link", name="转人工").click()
    page.get_by_role("button", name="接待").click()
    page.get_by_role("button", name="填入回复").first.click()
    field = page.get_by_role("textbox", name="回复")
    expect(field).to_be_focused()
    words = field.input_value()
    assert words
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bubble--operator")).to_contain_text(words)
    expect(field).to_have_value("")
    body = {"question": "要照片吗", "channel": "widget", "conversation_id": conversation}
    assert client.post("/api/v1/ask", json=body).json["text"] == ""  # type: ignore[index]
    field.type("我正在写")
    expect(page.get_by_role("log").locator(".bubble--person")).to_contain_text("要照片吗")
    expect(field).to_have_value("我正在写")
    page.get_by_role("button", name="结束会话").click()
    expect(page.get_by_role("heading", name="转人工", exact=True)).to_be_visible()
    said = client.get(address).json
    assert said and said["state"] == "closed" and words in [m["text"] for m in said["messages"]]


def test_words_that_could_not_be_sent_stay_in_the_field(client: FlaskClient, desk: Desk) -> None:
    hand_over(client, "居住证怎么办理？")
    page = desk()
    page.goto("/operator/queue")
    page.get_by_role("button", name="接待").click()
    page.route("**/reply", lambda route: route.fulfill(status=503, body="x"))
    field = page.get_by_role("textbox", name="回复")
    field.fill("请带身份证")
    page.get_by_role("button", name="发送").click()
    expect(page.locator("[data-toast]")).to_contain_text("再试一次")
    expect(field).to_have_value("请带身份证")


def test_the_essentials_work_without_a_script(client: FlaskClient, desk: Desk) -> None:
    hand_over(client, "居住证怎么办理？")
    page = desk(script=False)
    page.goto("/operator")
    page.get_by_label("来电人问什么？").fill("公积金怎么提")
    page.get_by_label("来电人问什么？").press("Enter")
    shown(page, QUESTION)
    page.locator(".hit__link").nth(1).click()
    expect(page.locator(".history li")).to_have_count(1)
    expect(page.get_by_role("button", name="复制口播版")).to_have_count(0)
    page.get_by_label("小结").select_option("resolved")
    page.get_by_role("button", name="结束来电").click()
    expect(page.get_by_text("上一个来电已小结")).to_be_visible()
    page.get_by_role("link", name="转人工").click()
    page.get_by_role("button", name="接待").click()
    page.get_by_role("textbox", name="回复").fill("您好")
    page.get_by_role("button", name="发送").click()
    expect(page.locator(".bubble--operator")).to_contain_text("您好")


@pytest.mark.parametrize("phone", [True, False], ids=["phone", "desktop"])
def test_no_accessibility_violation(
    client: FlaskClient, desk: Desk, held: Held, phone: bool
) -> None:
    hand_over(client, "居住证怎么办理？")
    page = desk(phone=phone)
    page.goto("/operator/queue")
    assert violations(page) == []
    page.get_by_role("button", name="接待").click()
    assert violations(page) == []
    for address in (
        "/operator",
        f"/operator?q=公积金&key=entry:{held.entry}",
        "/operator?q=毕业生租房补贴",
        "/operator/tickets/new?q=公积金",
        "/operator/tickets",
        "/operator/shift",
    ):
        page.goto(address)
        assert violations(page) == [], address
        assert page.evaluate(SMALL, TARGET) == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    page.goto("/operator?q=公积金")
    page.get_by_role("button", name="全部按键").click()
    assert violations(page) == []


def test_the_larger_text_mode_stays_within_the_page(desk: Desk, site: str) -> None:
    page = desk()
    page.context.add_cookies([{"name": "text_size", "value": "large", "url": site}])
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto("/operator?q=公积金怎么提")
        shown(page, QUESTION)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        assert violations(page) == []
