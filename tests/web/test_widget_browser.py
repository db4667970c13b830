"""The chat window in a real browser, on the pages of another website with a strict policy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from flask import Flask, Response, render_template_string, request
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, expect
from sqlalchemy import select

from service.models import Conversation, Exchange, Feedback
from service.runtime import Runtime
from service.web.pages import sureness
from service.web.runtime import runtime
from service.wording import GENERATED
from tests.web.browsing import DESKTOP, PHONE, TARGET, served, violations
from tests.web.conftest import HOSTILE, Held

pytestmark = pytest.mark.browser

POLL, POLL_AWAY = 3000, 10_000
HOST_PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>示例市人民政府</title>
<link rel="stylesheet" href="/host.css">
{% for _ in times if attributes %}<script src="{{ service }}/widget.js" defer
{%- for name, value in attributes.items() %} data-{{ name }}="{{ value }}"{% endfor %}></script>
{% endfor %}</head>
<body><main><h1>示例市人民政府</h1><p>要闻</p><p><a href="/next?{{ query }}">下一页</a></p>
{% if frame %}<iframe title="政策问答" width="400" height="600"
 src="{{ service }}/embed/{{ frame }}"></iframe>{% endif %}</main></body></html>"""
# A page whose own rules would spoil everything they can reach.
HOST_STYLE = """* { font-size: 10px; letter-spacing: 3px; color: rgb(140, 0, 0); line-height: 1 }
button, input { background: lime; border-radius: 0 }
:root { --policy-chat-primary: rgb(20, 80, 40) }"""


def website(service: str) -> Flask:
    """A city's website: nothing inline, nothing from elsewhere but the service, no markup made."""
    site = Flask("website")

    def page(**_: str) -> Response:
        attributes = request.args.to_dict()
        frame, times = attributes.pop("frame", ""), int(attributes.pop("times", "1"))
        response = Response(
            render_template_string(
                HOST_PAGE,
                service=service,
                attributes=attributes,
                frame=frame,
                times=range(times),
                query=request.query_string.decode(),
            )
        )
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; style-src 'self'; script-src {service}; connect-src {service}; "
            f"frame-src {service}; require-trusted-types-for 'script'"
        )
        return response

    site.add_url_rule("/", "first", page)
    site.add_url_rule("/next", "next", page)
    site.add_url_rule("/host.css", "style", lambda: Response(HOST_STYLE, mimetype="text/css"))
    site.add_url_rule("/favicon.ico", "icon", lambda: Response(status=204))
    return site


@pytest.fixture(scope="session")
def host(site: str) -> Iterator[str]:
    with served(website(site)) as address:
        yield address


@pytest.fixture
def objects(app: Flask) -> Runtime:
    with app.app_context():
        return runtime()


_numbers = itertools.count()


@pytest.fixture
def key(objects: Runtime, host: str) -> Iterator[str]:
    """A site of this test alone, so that no test uses up another's questions."""
    key = f"test-{next(_numbers)}"
    objects.sites.add(key, name="门户网站", origins=[host], region="370200")
    yield key
    if objects.sites.find(key):
        objects.sites.remove(key)


@dataclass(frozen=True)
class Window:
    """A page of the website and the chat window in it."""

    page: Page

    def open(self) -> Window:
        self.page.get_by_role("button", name="打开政策问答").click()
        expect(self.page.get_by_role("dialog", name="政策问答")).to_be_visible()
        return self

    def ask(self, text: str) -> None:
        count = self.page.locator(".turn--answer").count()
        self.page.get_by_role("combobox").fill(text)
        self.page.get_by_role("button", name="发送").click()
        expect(self.page.locator(".turn--answer")).to_have_count(count + 1)


@pytest.fixture
def context(browser: Browser, host: str) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP, base_url=host)
    context.set_default_timeout(5000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must stay without errors, dialogs and breaches of its own policy."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))
    page.on(
        "console",
        lambda said: (
            errors.append(said.text)
            if "Security Policy" in said.text or "Trusted" in said.text
            else None
        ),
    )
    yield page
    assert not errors


@pytest.fixture
def window(page: Page, key: str) -> Window:
    page.goto(f"/?site={key}")
    return Window(page).open()


def test_from_a_question_to_the_clause_feedback_and_back(
    window: Window, context: BrowserContext, objects: Runtime, key: str
) -> None:
    page = window.page
    expect(page.get_by_role("combobox", name="请输入您的问题")).to_be_focused()
    expect(page.locator(".head")).to_contain_text("青岛市")
    examples = page.locator(".choices button")
    assert 4 <= examples.count() <= 6
    window.ask("流动人口居住证年度签注")
    answer = page.get_by_role("log", name="问答记录").locator(".turn--answer").last
    expect(answer.locator(".notice")).to_contain_text("已于2025年5月1日废止")
    expect(answer.locator(".quote")).to_contain_text("居住证每年签注一次")
    expect(answer.get_by_text("原文摘录")).to_be_visible()
    expect(answer.get_by_text("现行有效")).to_be_visible()
    expect(answer.get_by_text("已废止", exact=True)).to_be_visible()
    with context.expect_page() as opened:
        answer.get_by_role("link", name="《示例市居住证服务管理办法》第十一条").first.click()
    clause = opened.value
    expect(clause.locator(".clause:target")).to_be_in_viewport()
    expect(clause.locator(".clause:target")).to_contain_text("居住证每年签注一次")
    assert clause.evaluate("window.opener") is None
    clause.close()
    answer.get_by_role("button", name="有帮助").click()
    expect(answer.get_by_text("谢谢您的评价。")).to_be_visible()
    with objects.db.reading() as session:
        last = session.scalars(
            select(Exchange).where(Exchange.question == "流动人口居住证年度签注")
            .order_by(Exchange.asked_at.desc())
        ).first()  # fmt: skip
        assert last and last.region_code == "370200"
        conversation = session.get(Conversation, last.conversation_id)
        assert conversation and conversation.channel == "widget"
        feedback = session.get(Feedback, last.id)
        assert feedback and feedback.helpful


def test_a_reviewed_answer_has_everything_it_rests_on(window: Window) -> None:
    page = window.page
    page.get_by_role("button", name="公积金怎么提取？").click()
    answer = page.locator(".turn--answer .card--answered").last
    expect(answer.get_by_text("人工审核")).to_be_visible()
    expect(answer.locator(".sure")).to_have_text(f"把握{sureness(0.95)}")
    expect(answer.locator("dt")).to_contain_text(["责任单位", "咨询电话", "适用地区", "更新日期"])
    expect(answer.get_by_role("link", name="12329")).to_have_attribute("href", "tel:12329")
    assert answer.locator(".line--numbered").count() >= 2
    expect(answer.get_by_text("《住房公积金管理条例》第二十四条")).to_be_visible()
    expect(page.locator(".turn--person").last).to_be_in_viewport()


@pytest.mark.parametrize("confidence", [0.95, 0.9, 0.8, 0.75, 0.7, 0.6, 0.3])
def test_confidence_has_the_same_words_as_on_pages(
    window: Window, site: str, confidence: float
) -> None:
    def changed(route: Route) -> None:
        response = route.fetch()
        body = response.json() | {"confidence": confidence, "ai_generated": True}
        route.fulfill(response=response, json=body)

    window.page.route("**/api/v1/ask", changed)
    window.ask("公积金怎么提取？")
    answer = window.page.locator(".card--answered").last
    expect(answer.locator(".sure")).to_have_text(f"把握{sureness(confidence)}")
    expect(answer).to_contain_text(GENERATED)
    expect(answer.get_by_text("人工审核")).to_have_count(0)


def test_everything_by_keyboard(page: Page, key: str) -> None:
    page.goto(f"/?site={key}")
    launcher = page.get_by_role("button", name="打开政策问答")
    expect(launcher).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(launcher).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="政策问答")
    field = page.get_by_role("combobox")
    expect(field).to_be_focused()
    expect(page.get_by_role("button", name="收起政策问答")).to_have_attribute(
        "aria-expanded", "true"
    )
    page.keyboard.type("居住证")
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute(
        "aria-activedescendant", options.first.get_attribute("id") or ""
    )
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    expect(field).to_have_value("居住证")
    expect(dialog).to_be_visible()
    page.keyboard.type("办")
    expect(options.first).to_be_visible()
    page.keyboard.press("ArrowDown")
    wording = options.first.inner_text()
    page.keyboard.press("Enter")
    expect(page.locator(".turn--person .said")).to_have_text(wording)
    expect(page.locator(".card--answered").last).to_be_visible()
    expect(field).to_have_value("")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(launcher).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".turn--person .said")).to_have_text(wording)


def test_keys_typed_here_are_not_heard_by_the_page(window: Window) -> None:
    window.page.evaluate(
        "() => { window.heard = []; addEventListener('keydown', e => heard.push(e.key)) }"
    )
    window.page.get_by_role("combobox").press_sequentially("a/")
    window.page.keyboard.press("Escape")
    expect(window.page.get_by_role("dialog")).to_be_hidden()
    assert window.page.evaluate("heard") == []


def test_an_input_method_is_left_alone(window: Window) -> None:
    page = window.page
    asked: list[str] = []
    page.on("request", lambda each: asked.append(each.url) if "suggest?" in each.url else None)
    field = page.get_by_role("combobox")
    session = page.context.new_cdp_session(page)
    session.send(
        "Input.imeSetComposition", {"text": "ju zhu", "selectionStart": 6, "selectionEnd": 6}
    )
    # Enter takes a candidate of the input method, Escape gives the word up: neither is for us.
    composing = "(field, key) => field.dispatchEvent(new KeyboardEvent('keydown', {key,"
    composing += " isComposing: true, bubbles: true, composed: true}))"
    for pressed in ("Enter", "Escape"):
        field.evaluate(f"field => ({composing})(field, '{pressed}')")
    field.evaluate("field => field.form.requestSubmit()")
    page.wait_for_timeout(300)  # longer than suggestions wait for quiet
    assert not asked
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator(".turn--person")).to_have_count(0)
    session.send("Input.insertText", {"text": "居住证"})
    expect(page.get_by_role("option").first).to_be_visible()
    assert asked and all(quote("居住证") in url for url in asked)


def test_a_stale_suggestion_is_given_up(window: Window) -> None:
    page = window.page
    held: list[Route] = []
    page.route("**/suggest?q=%E5%85%AC&*", lambda route: held.append(route))
    field = page.get_by_role("combobox")
    with page.expect_event("requestfailed") as failed:
        with page.expect_request("**/suggest?q=%E5%85%AC&*"):
            field.press_sequentially("公")
        field.press_sequentially("积金")
    assert "ABORTED" in (failed.value.failure or "")
    expect(page.get_by_role("option").first).to_contain_text("公积金")


def test_options_are_buttons_that_ask(window: Window) -> None:
    page = window.page
    window.ask("签发居住证需要几天")
    clarify = page.locator(".card--clarify")
    expect(clarify.get_by_role("heading")).to_have_text("您是不是想问")
    option = clarify.locator(".choices button").first
    wording = option.inner_text()
    option.click()
    expect(page.locator(".turn--person .said").last).to_have_text(wording)
    expect(page.locator(".card--answered").last).to_be_visible()


def test_no_answer_names_whom_to_call_and_a_comment_is_kept_masked(
    window: Window, objects: Runtime
) -> None:
    page = window.page
    window.ask("天气怎么样")
    answer = page.locator(".turn--answer").last
    expect(answer.get_by_role("link", name="12345")).to_have_attribute("href", "tel:12345")
    answer.get_by_role("button", name="没帮助").click()
    expect(answer.get_by_role("button", name="没帮助")).to_have_attribute("aria-pressed", "true")
    answer.get_by_label("想补充几句吗").fill(f"电话13812345678{HOSTILE}")
    answer.get_by_role("button", name="提交").click()
    expect(answer.get_by_text("我们已经记下")).to_be_visible()
    with objects.db.reading() as session:
        said = Feedback.comment == f"电话138****5678{HOSTILE}"
        [kept] = session.scalars(select(Feedback).where(said))
        assert not kept.helpful


@pytest.mark.parametrize("clipboard", [True, False], ids=["clipboard", "without"])
def test_an_answer_is_copied_with_its_basis_and_address(
    page: Page, key: str, context: BrowserContext, site: str, held: Held, clipboard: bool
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    if not clipboard:  # as on pages without TLS
        page.add_init_script("navigator.clipboard.writeText = undefined")
    page.goto(f"/?site={key}")
    Window(page).open().ask("公积金怎么提取？")
    page.get_by_role("button", name="复制回答").click()
    expect(page.get_by_text("已复制")).to_be_visible()
    expect(page.get_by_role("button", name="复制回答")).to_be_focused()
    copied = page.evaluate("navigator.clipboard.readText()").replace("\r\n", "\n")
    assert "依据：《住房公积金管理条例》第二十四条" in copied
    assert re.search(rf"\n{re.escape(site)}/entries/\d+$", copied)


def test_a_reload_keeps_the_conversation_and_a_new_tab_does_not(
    window: Window, context: BrowserContext, key: str
) -> None:
    page = window.page
    window.ask("公积金怎么提取？")
    page.locator(".card--answered").last.get_by_role("button", name="有帮助").click()
    expect(page.get_by_text("谢谢您的评价。")).to_be_visible()
    page.get_by_role("link", name="下一页").click()
    # It is still open, and leaves the focus to the page that was just opened.
    expect(page.get_by_role("dialog", name="政策问答")).to_be_visible()
    expect(page.get_by_role("combobox")).not_to_be_focused()
    expect(page.locator(".turn--person .said")).to_have_text("公积金怎么提取？")
    expect(page.get_by_role("button", name="有帮助")).to_have_attribute("aria-pressed", "true")
    asked: list[str | None] = []
    page.on("request", lambda each: asked.append(each.post_data) if "ask" in each.url else None)
    window.ask("失业金怎么领？")
    assert asked and '"conversation_id":null' not in (asked[0] or "")
    tab = context.new_page()
    tab.goto(f"/?site={key}")
    Window(tab).open()
    expect(tab.get_by_text("大家常问")).to_be_visible()
    expect(tab.locator(".turn--person")).to_have_count(0)


def test_clearing_starts_a_new_conversation(window: Window) -> None:
    page = window.page
    window.ask("公积金怎么提取？")
    page.get_by_role("button", name="清空对话").click()
    expect(page.locator(".turn--person")).to_have_count(0)
    expect(page.get_by_role("combobox")).to_be_focused()
    with page.expect_request("**/api/v1/ask") as asked:
        window.ask("居住证怎么办理？")
    assert '"conversation_id":null' in (asked.value.post_data or "")


def test_offline_nothing_is_lost(window: Window, context: BrowserContext) -> None:
    page = window.page
    context.set_offline(True)
    page.get_by_role("combobox").fill("公积金怎么提取？")
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("网络断开了。您的问题还在")
    context.set_offline(False)
    expect(alert).to_contain_text("网络已经恢复")
    alert.get_by_role("button", name="重试").click()
    expect(page.locator(".card--answered").last).to_be_visible()
    expect(page.locator(".trouble")).to_be_empty()
    expect(page.locator(".turn--person")).to_have_count(1)


def test_a_question_without_an_answer_survives_a_reload(window: Window) -> None:
    page = window.page
    page.route("**/api/v1/ask", lambda route: route.abort())
    page.get_by_role("combobox").fill("公积金怎么提取？")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("暂时连不上服务")
    page.unroute("**/api/v1/ask")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("还没有得到回答")
    page.get_by_role("button", name="重试").click()
    expect(page.locator(".card--answered").last).to_be_visible()
    expect(page.locator(".turn--person")).to_have_count(1)


def test_a_broken_server_is_met_with_words(window: Window) -> None:
    page = window.page
    page.route(
        "**/api/v1/ask",
        lambda route: route.fulfill(
            status=502, body="<html>Bad", headers={"Access-Control-Allow-Origin": "*"}
        ),
    )
    page.get_by_role("combobox").fill("公积金")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("服务出了点问题，请稍后再试，或拨打12345。")
    expect(page.get_by_role("alert").get_by_role("button", name="重试")).to_be_visible()


def test_too_many_questions_are_asked_to_wait(
    window: Window, client: FlaskClient, key: str
) -> None:
    page = window.page
    body = {"answer_id": "0" * 32, "helpful": True}
    while client.post("/api/v1/feedback", json=body, headers={"X-Site": key}).status_code != 429:
        pass
    page.get_by_role("combobox").fill("公积金")
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("您问得有点快")
    expect(alert).to_contain_text(re.compile(r"约\d+秒后可以再问"))


def test_a_site_taken_off_the_list_leads_to_the_page(
    window: Window, objects: Runtime, key: str, site: str
) -> None:
    page = window.page
    expect(page.get_by_text("大家常问")).to_be_visible()
    objects.sites.remove(key)
    page.get_by_role("combobox").fill("公积金")
    page.keyboard.press("Enter")
    # Without the header that lets a page read it, the refusal has no words for this page.
    expect(page.get_by_role("alert")).to_contain_text("暂时连不上服务")


def test_an_unlisted_website_gets_nothing(page: Page, objects: Runtime) -> None:
    objects.sites.add("elsewhere", name="别处", origins=["https://elsewhere.example"], replace=True)
    page.goto("/?site=elsewhere")
    Window(page).open()
    page.get_by_role("combobox").fill("公积金")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("拨打12345")
    expect(page.locator(".card--answered")).to_have_count(0)


def test_larger_text_is_kept_in_this_tab(window: Window, context: BrowserContext, key: str) -> None:
    page = window.page
    larger = page.get_by_role("button", name="大字版")
    expect(larger).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".panel")).to_have_css("font-size", "17px")
    larger.click()
    expect(larger).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".panel")).to_have_css("font-size", "24px")
    page.reload()
    expect(page.locator(".panel")).to_have_css("font-size", "24px")
    tab = context.new_page()
    tab.goto(f"/?site={key}")
    Window(tab).open()
    expect(tab.locator(".panel")).to_have_css("font-size", "17px")


def hostile_elements(page: Page) -> int:
    count: int = page.evaluate(
        "document.querySelector('policy-chat').shadowRoot.querySelectorAll('script, img').length"
    )
    return count


def test_nothing_hostile_becomes_markup(page: Page, key: str, objects: Runtime) -> None:
    query = "&".join(f"{name}={quote(HOSTILE)}" for name in ("heading", "greeting", "examples"))
    page.goto(f"/?site={key}&{query}")
    page.get_by_role("button", name=f"打开{HOSTILE}").click()
    window = Window(page)
    expect(page.locator(".card").first).to_have_text(HOSTILE)
    expect(page.locator(".choices button").first).to_have_text(HOSTILE)
    window.ask(HOSTILE)
    expect(page.locator(".turn--person .said").last).to_have_text(HOSTILE)
    window.ask(f"牧场围栏{HOSTILE}怎么登记？")
    answer = page.locator(".card--answered").last
    expect(answer).to_contain_text(f"第一行{HOSTILE}")
    expect(answer.locator(".source")).to_contain_text(f"《{HOSTILE}管理办法》第一条")
    assert hostile_elements(page) == 0
    for link in answer.get_by_role("link").all():
        assert re.match(r"http://127\.0\.0\.1:\d+/|tel:", link.get_attribute("href") or "")
    page.reload()
    expect(page.locator(".card--answered").last).to_contain_text(f"第一行{HOSTILE}")
    assert hostile_elements(page) == 0
    field = page.get_by_role("combobox")
    field.press_sequentially("牧场围栏")
    expect(page.get_by_role("option").first).to_contain_text(HOSTILE)
    assert hostile_elements(page) == 0


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "//evil.example/x", "/\\evil.example", "data:text/html,x", None, 7],
)
def test_an_address_of_elsewhere_is_no_link(window: Window, site: str, url: object) -> None:
    def changed(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        body["entry"]["url"] = url
        for cited in body["citations"]:
            cited["url"] = url
        route.fulfill(response=response, json=body)

    window.page.route("**/api/v1/ask", changed)
    window.ask("公积金怎么提取？")
    links = window.page.locator(".card--answered").last.get_by_role("link").all()
    outward = [link.get_attribute("href") or "" for link in links]
    assert all(href.startswith(("tel:", f"{site}/")) for href in outward)


def test_the_page_is_left_as_it_was(page: Page, key: str) -> None:
    page.goto("/")
    before = page.evaluate("Object.getOwnPropertyNames(window)")
    page.goto(f"/?site={key}")
    Window(page).open().ask("公积金怎么提取？")
    assert page.evaluate("Object.getOwnPropertyNames(window)") == before
    assert page.evaluate("document.cookie") == "" and page.context.cookies() == []
    assert page.evaluate("document.querySelectorAll('style, [style]').length") == 0
    assert page.evaluate("localStorage.length") == 0


def test_the_pages_own_style_stays_outside_and_its_variables_come_in(window: Window) -> None:
    page = window.page
    panel = page.locator(".panel")
    expect(panel).to_have_css("font-size", "17px")
    expect(panel).to_have_css("letter-spacing", "normal")
    expect(panel).to_have_css("color", "rgb(27, 36, 48)")
    expect(page.locator(".choices button").first).to_have_css(
        "background-color", "rgb(255, 255, 255)"
    )
    expect(page.locator(".head")).to_have_css("background-color", "rgb(20, 80, 40)")


def test_there_is_one_window_however_often_the_script_is_loaded(page: Page, key: str) -> None:
    page.goto(f"/?site={key}&position=left&times=2")
    expect(page.locator("script")).to_have_count(2)
    expect(page.locator("policy-chat")).to_have_count(1)
    box = page.get_by_role("button", name="打开政策问答").bounding_box()
    assert box and box["x"] < 40


def test_the_page_can_open_it_itself(page: Page, key: str) -> None:
    page.goto(f"/?site={key}")
    page.evaluate("document.querySelector('policy-chat').open()")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.evaluate("document.querySelector('policy-chat').close()")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_moved_within_the_page_it_keeps_working(window: Window) -> None:
    page = window.page
    window.ask("公积金怎么提取？")
    page.evaluate("document.querySelector('main').append(document.querySelector('policy-chat'))")
    window.ask("居住证怎么办理？")
    expect(page.locator(".turn--person")).to_have_count(2)


def test_an_operator_takes_over_and_leaves(
    page: Page, key: str, objects: Runtime, signed_in: Callable[..., FlaskClient]
) -> None:
    signed_in("operator")
    [operator] = [each for each in objects.people.all() if each.name == "operator-1"]
    page.clock.install()
    page.goto(f"/?site={key}")
    window = Window(page).open()
    window.ask("公积金怎么提取？")
    page.get_by_role("button", name="转人工").click()
    state = page.locator(".state")
    expect(state).to_contain_text("正在为您转接人工")
    expect(page.get_by_role("button", name="转人工")).to_be_hidden()
    [waiting] = [each for each in objects.handoffs.queue() if each.question == "公积金怎么提取？"]

    objects.handoffs.claim(waiting.id, operator.id)
    page.clock.run_for(POLL)
    expect(state).to_contain_text("人工客服正在为您服务")
    objects.handoffs.reply(waiting.id, operator.id, f"请带身份证来{HOSTILE}")
    page.clock.run_for(POLL)
    expect(page.locator(".turn--operator .said")).to_have_text(f"请带身份证来{HOSTILE}")

    # What the person says now is the operator's to answer: nothing else is shown.
    answers = page.locator(".turn--answer").count()
    page.get_by_role("combobox").fill("星期六上班吗？")
    with page.expect_response("**/api/v1/ask"):
        page.keyboard.press("Enter")
    expect(page.locator(".turn--person .said").last).to_have_text("星期六上班吗？")
    assert page.locator(".turn--answer").count() == answers
    said = [words.text for words in objects.handoffs.thread(waiting.id).words]
    assert "星期六上班吗？" in said

    # A closed window still hears, and says so on its button; a reload forgets nothing.
    page.keyboard.press("Escape")
    objects.handoffs.reply(waiting.id, operator.id, "上班，九点到十二点。")
    page.clock.run_for(POLL_AWAY)
    launcher = page.get_by_role("button", name="打开政策问答，有1条新回复")
    expect(launcher).to_be_visible()
    launcher.click()
    expect(page.locator(".turn--operator .said").last).to_have_text("上班，九点到十二点。")
    expect(page.get_by_role("button", name="收起政策问答")).not_to_have_attribute(
        "data-unread", "1"
    )
    page.reload()
    expect(page.locator(".turn--operator")).to_have_count(2)

    objects.handoffs.close(waiting.id, operator.id)
    page.clock.run_for(POLL)
    expect(page.locator(".turn--system").last).to_be_visible()
    expect(state).to_be_empty()
    expect(page.get_by_role("button", name="转人工")).to_be_visible()
    looks: list[str] = []
    page.on("request", lambda each: looks.append(each.url))
    page.clock.run_for(20 * POLL)
    assert looks == []


def test_words_of_danger_wait_for_nobody(window: Window) -> None:
    page = window.page
    with page.expect_response("**/messages?*"):
        window.ask("我不想活了")
    expect(page.locator(".turn--answer").last).to_contain_text("12356")
    expect(page.locator(".state")).to_be_empty()
    expect(page.get_by_role("button", name="转人工")).to_be_visible()


@pytest.fixture
def phone(page: Page, key: str) -> Window:
    page.set_viewport_size(PHONE)
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"/?site={key}")
    return Window(page).open()


def test_on_a_phone_it_fills_the_screen_and_keeps_the_focus(phone: Window) -> None:
    page = phone.page
    dialog = page.get_by_role("dialog", name="政策问答")
    assert dialog.bounding_box() == {"x": 0, "y": 0, **PHONE}
    expect(dialog).to_have_attribute("aria-modal", "true")
    expect(page.get_by_role("button", name="收起政策问答")).to_be_hidden()
    phone.ask("公积金怎么提取？")
    inside = "document.activeElement.tagName"
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate(inside) == "POLICY-CHAT"
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        assert page.evaluate(inside) == "POLICY-CHAT"
    page.get_by_role("button", name="关闭政策问答").click()
    expect(page.get_by_role("button", name="打开政策问答")).to_be_focused()
    page.get_by_role("button", name="打开政策问答").click()
    page.get_by_role("combobox").press("Escape")
    # A window over the whole screen does not come back by itself on the next page.
    page.get_by_role("button", name="打开政策问答").click()
    page.reload()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_keyboard_of_a_phone_covers_nothing(phone: Window) -> None:
    page = phone.page
    page.evaluate(
        """() => {
          Object.defineProperty(visualViewport, 'height', {value: 420, configurable: true});
          Object.defineProperty(visualViewport, 'offsetTop', {value: 30, configurable: true});
          visualViewport.dispatchEvent(new Event('resize'));
        }"""
    )
    box = page.get_by_role("dialog").bounding_box()
    assert box and (box["y"], box["height"]) == (30, 420)
    field = page.get_by_role("combobox").bounding_box()
    assert field and field["y"] + field["height"] <= 450
    page.evaluate(
        """() => {
          delete visualViewport.height; delete visualViewport.offsetTop;
          visualViewport.dispatchEvent(new Event('resize'));
        }"""
    )
    assert page.get_by_role("dialog").bounding_box() == {"x": 0, "y": 0, **PHONE}


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
@pytest.mark.parametrize("large", [False, True], ids=["standard", "large"])
def test_nothing_is_cut_off_at_any_width(window: Window, width: int, large: bool) -> None:
    page = window.page
    if large:
        page.get_by_role("button", name="大字版").click()
    window.ask("公积金怎么提取？")
    window.ask("毕业生租房补贴")
    page.set_viewport_size({"width": width, "height": 700})
    for part in (".panel", ".log", ".foot", ".head"):
        inner, outer = page.locator(part).evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert inner <= outer, part
    box = page.locator(".panel").bounding_box()
    assert box and box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= width
    assert page.locator(".log").evaluate("e => e.clientHeight") >= 160


def test_what_is_tapped_is_large_enough(phone: Window) -> None:
    page = phone.page
    phone.ask("公积金怎么提取？")
    page.get_by_role("button", name="没帮助").click()
    expect(page.get_by_role("button", name="提交")).to_be_visible()
    phone.ask("签发居住证需要几天")
    page.get_by_role("combobox").press_sequentially("居住证")
    expect(page.get_by_role("option").first).to_be_visible()
    small = page.evaluate(
        """least => [...document.querySelector('policy-chat').shadowRoot
            .querySelectorAll('button, input, textarea, a.button, .phone, [role=option]')]
          .filter(each => each.checkVisibility())
          .map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
          .filter(([_, box]) => box.height < least - 0.5 || box.width < least - 0.5)
          .map(([html, box]) => `${html} ${box.width}x${box.height}`)""",
        TARGET,
    )
    assert small == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_accessibility_violation(page: Page, key: str, size: dict[str, int], theme: str) -> None:
    # Half-faded text has no contrast to speak of.
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.goto(f"/?site={key}&theme={theme}")
    found = {"closed": violations(page)}
    window = Window(page).open()
    expect(page.get_by_text("大家常问")).to_be_visible()
    found["welcome"] = violations(page)
    page.get_by_role("combobox").press_sequentially("居住证")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    found["suggestions"] = violations(page)
    window.ask("流动人口居住证年度签注")
    found["clause"] = violations(page)
    window.ask("公积金怎么提取？")
    page.locator(".turn--answer").last.get_by_role("button", name="没帮助").click()
    expect(page.get_by_role("button", name="提交")).to_be_visible()
    page.get_by_role("button", name="大字版").click()
    found["rated, larger"] = violations(page)
    page.route("**/api/v1/ask", lambda route: route.abort())
    page.get_by_role("combobox").fill("公积金")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="重试")).to_be_visible()
    found["trouble"] = violations(page)
    assert {name: each for name, each in found.items() if each} == {}


def test_themes_motion_and_print(page: Page, key: str) -> None:
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.goto(f"/?site={key}&theme=auto")
    Window(page).open().ask("公积金怎么提取？")
    panel = page.locator(".panel")
    expect(panel).to_have_css("color", "rgb(232, 237, 243)")
    expect(panel).to_have_css("animation-name", "none")
    page.emulate_media(color_scheme="light", reduced_motion="no-preference", forced_colors="active")
    expect(panel).to_have_css("border-top-style", "solid")
    page.emulate_media(media="print", forced_colors="none")
    expect(panel).to_be_hidden()
    expect(page.get_by_role("heading", name="示例市人民政府")).to_be_visible()


def test_a_frame_on_a_listed_page_shows_the_window(page: Page, key: str, site: str) -> None:
    page.goto(f"/?frame={key}")
    frame = page.frame_locator("iframe")
    frame.get_by_role("combobox").fill("公积金怎么提取？")
    frame.get_by_role("button", name="发送").click()
    expect(frame.locator(".card--answered").last).to_contain_text("公积金")
    expect(frame.get_by_role("button", name="打开政策问答")).to_have_count(0)
    expect(frame.get_by_role("button", name="关闭政策问答")).to_have_count(0)


def test_a_frame_on_any_other_page_stays_empty(
    context: BrowserContext, objects: Runtime, site: str
) -> None:
    objects.sites.add("elsewhere", name="别处", origins=["https://elsewhere.example"], replace=True)
    page = context.new_page()
    with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
        page.goto("/?frame=elsewhere")
    with pytest.raises(Error):
        page.frame_locator("iframe").get_by_role("combobox").wait_for(timeout=300)


def test_the_page_for_frames_and_the_demonstration_are_accessible(
    page: Page, key: str, site: str
) -> None:
    page.goto(f"{site}/embed/{key}")
    expect(page.get_by_text("大家常问")).to_be_visible()
    assert violations(page) == []
    page.goto(f"{site}/demo")
    Window(page).open().ask("公积金怎么提取？")
    assert violations(page) == []
    for width in (320, 390, 640):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_printing_a_frame_prints_the_conversation(page: Page, key: str, site: str) -> None:
    page.goto(f"{site}/embed/{key}")
    Window(page).ask("公积金怎么提取？")
    page.emulate_media(media="print")
    expect(page.locator(".card--answered").last).to_be_visible()
    expect(page.locator(".foot")).to_be_hidden()
    inner, outer = page.locator(".log").evaluate("e => [e.scrollHeight, e.clientHeight]")
    assert inner <= outer
