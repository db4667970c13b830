"""A hundred attempts to become markup, in every place that takes text, through every page."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from playwright.sync_api import Browser
from sqlalchemy import func, select

from app import create_app
from embeddings import Encoder
from kb.documents import Upload
from kb.exchange import EntryRecord
from service import guards
from service.channels.dingtalk import robot_signature
from service.config import Settings
from service.conversations import Question, Reach
from service.models import Handoff, Inbound
from service.people import Profile
from service.runtime import Runtime
from service.web.runtime import runtime
from tests.factories import TODAY, regulation
from tests.web.browsing import served
from tests.web.conftest import NOW, Staff

_TAGS = [
    "<script>alert(1)</script>", "<SCRIPT>alert(1)</SCRIPT>", "<script src=//e.test/x.js></script>",
    "<script/src=//e.test></script>", "<script\t>alert(1)</script\n>", "<scr<script>ipt>alert(1)",
    "<script>alert(1)//", "<<script>alert(1)//<</script>", "<script type=module>import'//e.test'",
    "</script><script>alert(1)</script>", "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>", "</style><script>alert(1)</script>",
    "</option></select><script>alert(1)</script>", "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>", "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>", "<!--><script>alert(1)</script>",
    "<noscript><p title='</noscript><script>alert(1)</script>'>",
    "<img src=x onerror=alert(1)>", "<img/src=x/onerror=alert(1)>", "<IMG SRC=x OnErRoR=alert(1)>",
    "<img src=x onerror=\"alert(1)\">", "<img src=`x` onerror=`alert(1)`>",
    "<img src onerror\n=alert(1)>", "<image src=x onerror=alert(1)>",
    "<img src=x:x onerror=alert(1)//",
    "<svg onload=alert(1)>", "<svg/onload=alert(1)>", "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x>", "<svg><a xlink:href='javascript:alert(1)'>a",
    "<svg><use href='data:image/svg+xml,x#a'/></svg>", "<svg><foreignObject><body onload=alert(1)>",
    "<math><a xlink:href=javascript:alert(1)>a", "<math><mtext><img src=x onerror=alert(1)>",
    "<body onload=alert(1)>", "<body onpageshow=alert(1)>", "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>", "<frameset onload=alert(1)>",
    "<object data=javascript:alert(1)>", "<embed src=javascript:alert(1)>",
    "<base href=//e.test/>", "<link rel=stylesheet href=//e.test/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<style>@import'//e.test/x.css';</style>", "<style onload=alert(1)></style>",
    "<form action=javascript:alert(1)><input type=submit>", "<form id=x></form><button form=x>",
    "<button formaction=javascript:alert(1)>a", "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)>", "<textarea autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>", "<video src=x onerror=alert(1)>",
    "<video><source onerror=alert(1)>", "<audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>", "<template><script>alert(1)</script></template>",
    "<a href=javascript:alert(1)>a</a>", "<a href='jAvAsCrIpT:alert(1)'>a</a>",
    "<a href=\"java\tscript:alert(1)\">a</a>", "<a href=&#106;avascript:alert(1)>a</a>",
    "<a href=data:text/html,<script>alert(1)</script>>a</a>", "<a href=vbscript:alert(1)>a</a>",
    "<div style=background:url(javascript:alert(1))>", "<x onclick=alert(1)>a</x>",
    "<policy-chat site=x server=//e.test>", "<p is=policy-chat onpointerenter=alert(1)>",
    "＜script＞alert(1)＜/script＞", "<script\u200b>alert(1)</script>", "<ſcript>alert(1)</ſcript>",
]  # fmt: skip
_ATTRIBUTES = [
    "\" onmouseover=\"alert(1)", "' onmouseover='alert(1)", "\"><script>alert(1)</script>",
    "'><script>alert(1)</script>", "\" autofocus onfocus=alert(1) x=\"", "` onclick=alert(1) `",
    "\"/><img src=x onerror=alert(1)>", "x\" style=\"x:expression(alert(1))",
    "\\\"><svg onload=alert(1)>",
    "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;", "&#34;&#62;<b onclick=alert(1)>",
    "javascript:alert(1)", "java&#10;script:alert(1)", "data:text/html;base64,PHNjcmlwdD4=",
]  # fmt: skip
_OTHER_LANGUAGES = [
    "{{7*7}}", "{{config}}", "{%print(7*7)%}", "${7*7}", "#{7*7}", "<%= 7*7 %>",
    "\";alert(1);//", "';alert(1);//", "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "%3Cscript%3Ealert(1)%3C/script%3E", "\r\nX-Injected: 1\r\n\r\n<script>alert(1)</script>",
    "' OR '1'='1' --",
]  # fmt: skip
PAYLOADS = [*_TAGS, *_ATTRIBUTES, *_OTHER_LANGUAGES]
# Where one text costs a search or a write, ten go in at once.
BUNDLES = ["甲".join(PAYLOADS[at::12]) for at in range(12)]

# Elements with which no page of the product is made.
FOREIGN = {
    "animate", "audio", "base", "embed", "foreignobject", "frameset", "iframe", "image",
    "marquee", "math", "object", "source", "style", "template", "use", "video", "x",
}  # fmt: skip
ADDRESSES = ("href", "src", "action", "formaction", "data", "srcdoc", "xlink:href", "server")
SECRET = "ding-secret"


@dataclass(frozen=True)
class Stored:
    """Numbers of what holds the payloads, in their order."""

    entries: list[int]
    documents: list[int]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[Flask]:
    settings = Settings(
        data_dir=str(tmp_path_factory.mktemp("hostile")),
        public_per_minute=100_000,
        dingtalk_app_key="ding-key",
        dingtalk_app_secret=SECRET,
    )
    app = create_app(settings, encoder=encoder, now=lambda: NOW, follow=False)
    with app.app_context():
        objects = runtime()
    yield app
    objects.close()


@pytest.fixture(scope="module")
def passwords() -> dict[str, str]:
    """Of this application's people."""
    return {}


@pytest.fixture(scope="module")
def stored(app: Flask) -> Stored:
    """Every payload in every field of an entry, and in every part of a document."""
    with app.app_context():
        _store(runtime())
        library = runtime().library
        counts = library.counts()
        assert counts.entries == counts.documents == len(PAYLOADS)
    numbers = list(range(1, len(PAYLOADS) + 1))
    return Stored(numbers, numbers)


def _store(objects: Runtime) -> None:
    records = [
        EntryRecord(
            question=f"第{at}问{payload}怎么办？",
            answer=f"答{payload}\n1. {payload}",
            short_answer=f"短{payload}",
            department=f"{payload}局{at}",
            topic=payload[:60],
            tags=(payload[:60],),
            audience=payload[:60],
            phone=payload[:60],
            basis=(f"《第{at}办法{payload}》第一条",),
            similar=(f"第{at}问{payload}如何办",),
            code=f"H-{at}",
            status="published",
        )
        for at, payload in enumerate(PAYLOADS)
    ]
    saved = objects.entries.save(list(enumerate(records, 1)), actor="编辑", publish=True)
    assert {each.outcome for each in saved} == {"added"}, saved
    uploads = [
        Upload(
            regulation(f"第{at}办法", f"登记{payload}须知。", "自公布之日起登记。").encode(),
            f"{payload.replace('/', '-')[:80]}.txt",
            title=f"第{at}办法{payload}",
            department=f"{payload}局{at}",
            source_url=payload,
        )
        for at, payload in enumerate(PAYLOADS)
    ]
    outcomes = [each.outcome for each in objects.documents.add(uploads, actor="编辑", publish=True)]
    assert set(outcomes) == {"imported"}, outcomes
    objects.indexer.catch_up()


def assert_harmless(text: str) -> html.HtmlElement:
    """Parse a page; nothing in it runs, loads or leads where the product does not.

    Whatever of a payload would be markup must not stand there as it was given.
    """
    for payload in PAYLOADS:
        if any(mark in payload for mark in ("<", '"')):
            assert payload not in text, payload
    page = html.document_fromstring(text)
    for element in page.iter():
        if not isinstance(element.tag, str):
            assert "alert" not in (element.text or ""), "a comment or an instruction of theirs"
            continue
        assert element.tag not in FOREIGN, html.tostring(element, encoding="unicode")[:300]
        if element.tag == "script":
            local = (element.get("src") or "").startswith(("/static/", "/widget.js"))
            assert local and not (element.text or "").strip(), element.get("src")
        assert element.get("http-equiv") is None
        for name, value in element.attrib.items():
            assert not name.startswith("on") and name != "style", (element.tag, name)
            if name in ADDRESSES:
                parts = urlsplit(value)
                assert parts.scheme in ("", "tel", "http", "https"), value
                assert "e.test" not in parts.netloc, value
    return page


def flat(text: str) -> str:
    """A text without spaces, invisible characters and differences of width."""
    folded = unicodedata.normalize("NFKC", guards.clean(text))
    return "".join(c for c in folded if unicodedata.category(c) != "Cf" and not c.isspace())


def shown(page: html.HtmlElement) -> str:
    return flat(page.text_content())


def get(client: FlaskClient, address: str, *statuses: int) -> html.HtmlElement:
    response = client.get(address)
    assert response.status_code in (statuses or (200,)), (address, response.status_code)
    assert "X-Injected" not in response.headers
    assert "'unsafe-inline'" not in response.headers["Content-Security-Policy"]
    return assert_harmless(response.text)


def post(client: FlaskClient, address: str, **fields: str) -> html.HtmlElement:
    headers = client.csrf() if isinstance(client, Staff) else {}
    response = client.post(address, data=fields, headers=headers, follow_redirects=True)
    assert response.status_code < 500, (address, response.status_code)
    return assert_harmless(response.text)


def test_the_corpus_is_a_hundred_different_attempts() -> None:
    assert len(PAYLOADS) == len(set(PAYLOADS)) == 100


def test_the_check_itself_notices() -> None:
    """Each attempt that is markup in the open is noticed, so that silence means something."""
    for payload in PAYLOADS:
        if "<" in payload or '"' in payload:
            with pytest.raises((AssertionError, ValueError)):
                assert_harmless(f"<html><body><p>{payload}</p></body></html>")


@pytest.mark.parametrize("at", range(0, len(PAYLOADS), 10))
def test_stored_texts_stay_texts(client: FlaskClient, stored: Stored, at: int) -> None:
    for number in range(at, at + 10):
        entry = get(client, f"/entries/{stored.entries[number]}")
        assert flat(f"第{number}问{PAYLOADS[number]}怎么办？") in shown(entry)
        document = get(client, f"/documents/{stored.documents[number]}")
        assert flat(f"登记{PAYLOADS[number]}须知。") in shown(document)


@pytest.mark.parametrize("at", range(0, len(PAYLOADS), 10))
def test_a_question_stays_a_question(client: FlaskClient, stored: Stored, at: int) -> None:
    for payload in PAYLOADS[at : at + 10]:
        page = get(client, f"/?q={quote(payload)}")
        assert flat(payload) in flat(page.xpath("string(//h1)"))


@pytest.mark.parametrize("bundle", BUNDLES)
def test_searches_filters_and_wrong_addresses(
    client: FlaskClient, stored: Stored, bundle: str
) -> None:
    text = quote(bundle[: guards.MAX_QUESTION])
    get(client, f"/search?q={text}&validity=any")
    short = quote(bundle[:60])
    get(client, f"/search?q=办法&department={short}&topic={short}&tag={short}&audience={short}")
    for name in ("kind", "validity", "page", "year", "region"):
        get(client, f"/search?q=办法&{name}={text}", 400, 404)
    get(client, f"/?q=办法&region={text}", 404)
    get(client, f"/?q={text}&conversation={text}")
    get(client, f"/{text}", 404, 308)
    get(client, f"/embed/{text}", 400, 404, 308)
    get(client, f"/?q={quote(bundle * 3)}", 400)
    away = client.get(f"/text-size?size=large&back={text}")
    assert urlsplit(away.headers["Location"]).netloc in ("", "localhost")


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_comment_is_kept_and_never_shown_as_markup(
    client: FlaskClient, stored: Stored, bundle: str
) -> None:
    page = get(client, "/?q=第7问")
    [answer_id] = page.xpath("//input[@name='answer_id']/@value")
    post(client, "/feedback", answer_id=answer_id, helpful="no", comment=bundle[:1000])
    post(client, "/feedback", answer_id=bundle[:32], helpful="no", comment=bundle)
    post(client, "/feedback", answer_id=answer_id, helpful=bundle, comment="")
    thanks = client.post(
        "/feedback",
        data={"answer_id": answer_id, "helpful": "yes"},
        headers={"Referer": f"http://localhost/?q={quote(bundle[:200])}"},
    )
    assert_harmless(thanks.text)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_programs_get_json_that_no_browser_takes_for_a_page(
    client: FlaskClient, stored: Stored, bundle: str
) -> None:
    text = bundle[: guards.MAX_QUESTION].replace("\r\n", " ")
    answers = [
        client.post("/api/v1/ask", json={"question": text}),
        client.post("/api/v1/ask", json={"question": "第7问", "channel": text, "region": text}),
        client.get(f"/api/v1/search?{urlencode({'q': text, 'validity': 'any'})}"),
        client.get(f"/api/v1/suggest?{urlencode({'q': text})}"),
        client.get(f"/api/v1/{quote(text)}"),
        client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": text}]}),
        client.get(f"/hooks/{quote(text)}"),
    ]
    for response in answers:
        assert response.content_type.startswith("application/json"), response.request.path
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        json.loads(response.text)


def test_signing_in(client: FlaskClient) -> None:
    for bundle in BUNDLES:
        get(client, f"/sign-in?next={quote(bundle)}")
        post(client, "/sign-in", name=bundle[:64], password=bundle, next=bundle)


@pytest.fixture
def operator(app: Flask, signed_in: Callable[..., Staff]) -> Staff:
    return signed_in("operator")


@pytest.mark.parametrize("at", range(0, len(PAYLOADS), 10))
def test_the_console_shows_stored_texts(operator: Staff, stored: Stored, at: int) -> None:
    for number in range(at, at + 10):
        address = f"?key=entry:{stored.entries[number]}&q={quote(PAYLOADS[number])}"
        page = get(operator, f"/operator/passage{address}")
        assert flat(PAYLOADS[number]) in shown(page)
    bundle = quote(PAYLOADS[at][:100])
    get(operator, f"/operator?q={bundle}&key=entry:{stored.entries[at]}")
    get(operator, f"/operator/results?q={bundle}")


@pytest.mark.parametrize("bundle", BUNDLES)
def test_what_an_operator_types_stays_text(
    operator: Staff, stored: Stored, app: Flask, bundle: str
) -> None:
    text = bundle[: guards.MAX_QUESTION]
    pop = {"call_id": text[:60], "ani": text[:30], "dnis": text[:60], "queue": text[:60],
           "ticket": text[:60], "region": text[:60], "q": text[:200]}  # fmt: skip
    response = operator.get(f"/operator?{urlencode(pop)}", follow_redirects=True)
    assert_harmless(response.text)
    post(operator, "/operator/reports", key="entry:1", reason="wrong", note=text[:200])
    post(operator, "/operator/reports", key=text[:60], reason=text[:60], note=text[:200])
    get(operator, f"/operator/tickets/new?q={quote(text)}")
    with app.app_context():
        department = runtime().tickets.departments()[len(bundle) % len(PAYLOADS)]
    given = {"question": text, "department": department, "detail": text}
    ticket = post(operator, "/operator/tickets", **given)
    assert flat(text) in shown(ticket)
    post(operator, "/operator/tickets", **{**given, "call_back": text, "region": text[:60]})
    get(operator, "/operator/tickets?show=mine")
    get(operator, f"/operator/tickets?show={quote(text)}")
    get(operator, f"/operator/tickets/{quote(text)}", 404, 308)
    post(operator, "/operator/wrap-up", code="answered", note=text[:200])
    get(operator, "/operator")
    get(operator, "/operator/shift")
    get(operator, f"/operator/shift?day={quote(text)}", 400)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_conversation_that_was_handed_over(
    operator: Staff, app: Flask, stored: Stored, bundle: str
) -> None:
    text = bundle[: guards.MAX_QUESTION]
    with app.app_context():
        first = runtime().answerer.answer(Question(text, TODAY, channel="web", reach=Reach()))
        asked = Question("转人工", TODAY, conversation_id=first.conversation_id, reach=Reach())
        runtime().answerer.answer(asked)
        with runtime().db.reading() as session:
            number = session.scalars(select(func.max(Handoff.id))).one()
    assert flat(text)[:40] in shown(get(operator, "/operator/queue"))
    post(operator, f"/operator/queue/{number}/claim")
    with app.app_context():
        runtime().answerer.answer(Question(text, TODAY, conversation_id=first.conversation_id))
    page = post(operator, f"/operator/queue/{number}/reply", text=text)
    assert flat(text) in shown(page)
    get(operator, f"/operator/queue/{number}/messages")
    said = operator.get(f"/api/v1/conversations/{first.conversation_id}/messages")
    assert said.content_type.startswith("application/json")
    post(operator, f"/operator/queue/{number}/close")


@pytest.mark.parametrize("at", range(0, len(PAYLOADS), 25))
def test_a_nickname_on_a_channel_goes_nowhere(
    app: Flask, client: FlaskClient, operator: Staff, stored: Stored, at: int
) -> None:
    for number in range(at, at + 25):
        stamp = str(round(NOW.timestamp() * 1000))
        body = {"conversationType": "1", "msgId": f"m-{number}", "msgtype": "text",
                "text": {"content": "你好"}, "senderStaffId": f"u-{number}",
                "senderNick": PAYLOADS[number]}  # fmt: skip
        headers = {"timestamp": stamp, "sign": robot_signature(stamp, SECRET)}
        response = client.post("/hooks/dingtalk", json=body, headers=headers)
        assert response.status_code == 200 and response.content_type.startswith("application/json")
    with app.app_context(), runtime().db.reading() as session:
        rows = session.scalars(select(Inbound)).all()
        assert len(rows) >= 25
    get(operator, "/operator/queue")


def test_names_of_people_and_websites(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        for at, bundle in enumerate(BUNDLES):
            name, origin = " ".join(bundle.split())[:60], f"https://s{at}.example.org"
            runtime().sites.add(f"site-{at}", name=name, origins=[origin])
        person = Profile("biting", "operator", display_name=PAYLOADS[0][:60], department="市政务局")
        accounts = runtime().accounts
        first = runtime().people.add(person, by="test")
        token = accounts.sign_in("biting", first, address="127.0.0.1")
        accounts.change_password(token, first, "Kite-flies-7-high", address="127.0.0.1")
        token = accounts.sign_in("biting", "Kite-flies-7-high", address="127.0.0.1")
    for at in range(len(BUNDLES)):
        get(client, f"/embed/site-{at}")
    client.set_cookie("policyqa", token)
    assert flat(PAYLOADS[0]) in shown(get(client, "/password"))
    get(client, "/operator")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("start", "field", "answering"),
    [
        ("/", "input[name=q]", "/api/v1/suggest"),
        ("/operator", "input[name=q]", "/operator/results"),
    ],
)
def test_scripts_show_texts_as_texts(
    app: Flask,
    operator: Staff,
    browser: Browser,
    stored: Stored,
    start: str,
    field: str,
    answering: str,
) -> None:
    cookie = operator.get_cookie("policyqa")
    assert cookie
    with served(app) as address:
        context = browser.new_context(locale="zh-CN")
        context.add_cookies([{"name": "policyqa", "value": cookie.value, "url": address}])
        page = context.new_page()
        page.on("dialog", lambda dialog: pytest.fail(f"it ran: {dialog.message}"))
        page.goto(f"{address}{start}")
        for typed in ("第2", "第20问", "第3", "img"):
            with page.expect_response(lambda response: answering in response.url):
                page.locator(field).first.fill(typed)
            page.wait_for_function("document.body.innerText.includes('alert(1)')")
            assert not page.query_selector_all(
                "img[src=x], svg[onload], script:not([src]), iframe, [onerror], [onfocus]"
            )
        context.close()
