"""The public pages as a browser without JavaScript gets them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask import Flask, render_template
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.conversations import Answer, Choice, Contact, Outcome
from tests.web.conftest import ARTICLES, HOSTILE, Held

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """A page taken apart: its elements in order, and the text of each kind of element."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(response.text)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", self.texts["main"][0])

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self) -> list[str]:
        return [each["href"] for each in self.all("a")]

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def get(client: FlaskClient, address: str, status: int = 200) -> Page:
    response = client.get(address)
    assert response.status_code == status, response.text
    return Page(response)


def ask(client: FlaskClient, question: str) -> Page:
    return get(client, f"/?q={quote(question)}")


def addresses(held: Held) -> list[str]:
    return [
        "/",
        "/?q=公积金怎么提取？",
        "/?q=签发居住证需要几天",
        "/?q=毕业生租房补贴",
        "/?q=天气怎么样",
        "/?q=转人工",
        "/search",
        "/search?q=居住证",
        "/search?q=居住证&validity=any&kind=clause&page=2",
        "/search?q=居住证&department=没有这个局",
        f"/documents/{held.repealed}",
        f"/documents/{held.guide}",
        f"/documents/{held.hostile_document}",
        f"/entries/{held.entry}",
        f"/entries/{held.hostile_entry}",
    ]


def test_every_page_has_its_landmarks_and_nothing_inline(client: FlaskClient, held: Held) -> None:
    for address in addresses(held):
        page = get(client, address)
        assert page.all("html")[0]["lang"] == "zh-CN"
        assert page.texts["title"][0].endswith("｜政策问答") and len(page.texts["title"][0]) > 5
        for landmark in ("header", "nav", "main", "footer", "h1"):
            assert page.all(landmark), (address, landmark)
        assert len(page.all("main")) == len(page.all("h1")) == 1, address
        assert page.links()[0] == "#main"
        assert len(page.ids()) == len(set(page.ids())), address
        assert "答案以政策原文为准" in page.texts["footer"][-1]
        assert "12345" in page.texts["footer"][-1]
        for tag, attributes in page.elements:
            assert "style" not in attributes and tag != "style", address
            assert not any(name.startswith("on") for name in attributes), address
        assert [each.get("src") for each in page.all("script")] == ["/static/pages.js"]
        for link in page.links():
            assert urlsplit(link).scheme in ("", "tel", "http", "https"), link


def test_every_field_has_a_label(client: FlaskClient, held: Held) -> None:
    for address in addresses(held):
        page = get(client, address)
        labelled = {each["for"] for each in page.all("label") if "for" in each}
        for field in page.all("input") + page.all("textarea"):
            assert field.get("type") == "hidden" or field["id"] in labelled or "label" in page.texts


def test_links_within_the_site_lead_somewhere(client: FlaskClient, held: Held) -> None:
    seen: set[str] = set()
    for address in addresses(held):
        page = get(client, address)
        for link in page.links():
            parts = urlsplit(link)
            if parts.scheme or not parts.path:
                continue
            if parts.path.startswith(("/documents", "/entries", "/api")):
                seen.add(parts.path)
        for anchor in (link[1:] for link in page.links() if link.startswith("#")):
            assert anchor in page.ids(), (address, anchor)
    assert len(seen) > 10
    for path in seen:
        assert client.get(path).status_code == 200, path


def test_the_first_page_offers_questions(client: FlaskClient) -> None:
    page = get(client, "/")
    examples = [link for link in page.links() if link.startswith("/?q=")]
    assert len(examples) >= 4
    assert "青岛市" in page.text
    for example in examples:
        answered = get(client, example)
        assert answered.texts["h1"] == parse_qs(urlsplit(example).query)["q"]


def test_a_reviewed_entry_is_answered_verbatim_with_its_facts(client: FlaskClient) -> None:
    entry = client.get("/api/v1/suggest?q=什么情况下可以提取住房公积金").json
    assert entry["suggestions"]
    page = ask(client, "什么情况下可以提取住房公积金？")
    answer = client.post("/api/v1/ask", json={"question": "什么情况下可以提取住房公积金？"}).json
    for line in answer["text"].splitlines():
        assert line in page.text
    assert page.texts["title"] == ["什么情况下可以提取住房公积金？｜政策问答"]
    for said in ("人工审核", "示例条目", "把握", "住房公积金管理中心", "适用地区", "更新日期"):
        assert said in page.text
    assert "tel:12329" in page.links()
    assert "《住房公积金管理条例》第二十四条" in page.text
    # That regulation is not among the samples: nothing may be claimed of its standing.
    assert "本库未收录原文" in page.text


def test_a_clause_is_quoted_and_leads_to_its_place(client: FlaskClient) -> None:
    page = ask(client, "离校两年内未就业高校毕业生就业见习期限")
    assert page.all("blockquote"), page.text
    assert "示例文件" in page.text and "示政办发〔2025〕18号" in page.text
    link = next(each for each in page.links() if "#clause-" in each)
    document = get(client, urlsplit(link).path)
    assert urlsplit(link).fragment in document.ids()
    quoted = page.texts["blockquote"][0].split("——")[0]
    for line in quoted.split("\n"):
        assert line.strip() in document.text.replace(" ", "") or not line.strip(), line


def test_a_repealed_document_is_not_given_as_current(client: FlaskClient, held: Held) -> None:
    page = ask(client, "流动人口居住证年度签注")
    assert "已废止" in page.text
    assert f"/documents/{held.successor}" in page.links()


def test_without_an_answer_there_is_a_number_to_call(client: FlaskClient) -> None:
    page = ask(client, "天气怎么样")
    assert "抱歉" in page.text
    assert "tel:12345" in page.links()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_a_page(app: Flask, outcome: Outcome) -> None:
    answer = Answer(
        outcome,
        "说的话\n\n第二段",
        confidence=0.7,
        options=(
            (Choice("甲事怎么办？", "甲事怎么办？"), Choice("乙事怎么办？", "乙事怎么办？"))
            if outcome is Outcome.CLARIFY
            else ()
        ),
        contact=Contact("市民政局", "0532-12345678"),
        id="a" * 32,
        conversation_id="b" * 32,
    )
    with app.test_request_context("/?q=问"):
        page = render_template("ask.html", question="问", answer=answer)
    assert "说的话" in page
    assert ("tel:053212345678" in page) == (outcome is not Outcome.ANSWERED)
    assert ('action="/feedback"' in page) == (outcome not in (Outcome.ERROR, Outcome.BLOCKED))
    if outcome is Outcome.CLARIFY:
        assert f"/?{'q=' + quote('甲事怎么办？')}&amp;conversation={'b' * 32}" in page


def test_a_model_written_answer_says_so(app: Flask) -> None:
    answer = Answer(Outcome.ANSWERED, "说的话", ai_generated=True)
    with app.test_request_context("/?q=问"):
        page = render_template("ask.html", question="问", answer=answer)
    assert "内容由AI生成" in page and "人工审核" not in page


def test_a_follow_up_keeps_its_conversation_and_region(client: FlaskClient) -> None:
    page = get(client, "/?q=公积金怎么提取？&region=370283&conversation=abc123")
    hidden = {each["name"]: each["value"] for each in page.all("input") if each["type"] == "hidden"}
    assert hidden["conversation"] == "abc123" and hidden["region"] == "370283"
    assert any("conversation=abc123" in link for link in page.links())


def test_a_question_that_cannot_be_asked_is_explained_beside_its_field(client: FlaskClient) -> None:
    page = get(client, f"/?q={'长' * 501}", status=400)
    [field] = [each for each in page.all("input") if each.get("type") == "search"]
    assert field["aria-invalid"] == "true" and field["aria-describedby"] in page.ids()
    assert len(field["value"]) == 500
    assert "问题太长了" in page.text
    assert "请输入您的问题" in get(client, "/?q=%20", status=400).text


def test_feedback_works_as_a_form(client: FlaskClient) -> None:
    page = ask(client, "公积金怎么提取？")
    answer_id = next(each["value"] for each in page.all("input") if each["name"] == "answer_id")
    response = client.post(
        "/feedback",
        data={"answer_id": answer_id, "helpful": "no", "comment": HOSTILE},
        headers={"Referer": "http://localhost/?q=公积金"},
    )
    thanks = Page(response)
    assert response.status_code == 200 and "谢谢" in thanks.text
    assert f"/?q={quote('公积金')}" in [quote(link, safe="/?=%") for link in thanks.links()]


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"answer_id": "0" * 32, "helpful": "yes"}, 404, "没有这条回答"),
        ({"answer_id": "0" * 32}, 400, "请选择"),
        ({}, 400, "请选择"),
    ],
)
def test_feedback_that_does_not_hold(
    client: FlaskClient, form: dict[str, str], status: int, said: str
) -> None:
    response = client.post("/feedback", data=form)
    assert response.status_code == status
    assert said in Page(response).text


def test_thanks_lead_back_only_within_the_site(client: FlaskClient) -> None:
    page = ask(client, "公积金怎么提取？")
    answer_id = next(each["value"] for each in page.all("input") if each["name"] == "answer_id")
    data = {"answer_id": answer_id, "helpful": "yes"}
    for referrer in ("https://elsewhere.example/?q=1", "http://localhost//elsewhere.example"):
        response = client.post("/feedback", data=data, headers={"Referer": referrer})
        assert not [link for link in Page(response).links() if "elsewhere" in link]


def test_search_shows_counts_that_narrow(client: FlaskClient) -> None:
    page = get(client, "/search?q=居住证&validity=any")
    assert page.all("mark")
    [narrowing] = [link for link in page.links() if "kind=clause" in link]
    assert parse_qs(urlsplit(narrowing).query) == {
        "q": ["居住证"],
        "validity": ["any"],
        "kind": ["clause"],
    }
    only = get(client, narrowing)
    assert "取消这个条件" in only.text
    results = [link for link in only.links() if link.startswith(("/documents", "/entries"))]
    assert results and all(link.startswith("/documents") for link in results)


def test_search_turns_pages(client: FlaskClient) -> None:
    first = get(client, "/search?q=居住证&per_page=5")
    [following] = [each["href"] for each in first.all("a") if each.get("rel") == "next"]
    second = get(client, following)
    assert [each for each in second.all("a") if each.get("rel") == "prev"]
    assert second.all("ol")[0]["start"] == "6"
    found = [
        {link for link in page.links() if link.startswith(("/documents", "/entries"))}
        for page in (first, second)
    ]
    assert not found[0] & found[1]


def test_search_without_results_offers_a_way_on(client: FlaskClient) -> None:
    page = get(client, "/search?q=居住证&department=没有这个局")
    assert "没有找到" in page.text
    assert f"/?q={quote('居住证')}" in page.links()


@pytest.mark.parametrize("bad", ["year=x", "page=0", "validity=maybe", "as_of=someday"])
def test_search_conditions_that_do_not_hold(client: FlaskClient, bad: str) -> None:
    page = get(client, f"/search?q=居住证&{bad}", status=400)
    assert "检索条件不对" in page.text
    get(client, "/search?q=居住证&page=999", status=400)
    assert "请输入您的问题" in get(client, "/search?q=%20", status=400).text


def test_a_repealed_document_says_what_took_its_place(client: FlaskClient, held: Held) -> None:
    page = get(client, f"/documents/{held.repealed}")
    assert page.texts["title"] == ["示例市流动人口居住证管理办法（已废止）｜政策问答"]
    assert "已于2025年5月1日废止" in page.text
    assert "现在适用：《示例市居住证服务管理办法》" in page.text
    assert f"/documents/{held.successor}" in page.links()
    assert "banner--repealed" in {each.get("class", "").split(" ")[-1] for each in page.all("div")}
    for said in ("示政发〔2019〕12号", "示例市人民政府", "2019年5月20日", "示例文件"):
        assert said in page.text


def test_a_document_in_force(client: FlaskClient, held: Held) -> None:
    page = get(client, f"/documents/{held.successor}")
    assert "现行有效 自2025年5月1日起施行，有效期至2030年4月30日" in page.text
    # A heading is shown once, however many articles stand under it, and is in the contents.
    assert page.texts["h2"].count("第一章 总则") == 1
    assert page.text.count("第一章 总则") == 2
    assert page.texts["h1"] == ["示例市居住证服务管理办法"]


def test_responsible_units_stand_under_their_item(client: FlaskClient, held: Held) -> None:
    measures = get(client, "/search?q=高校毕业生就业见习&kind=clause&validity=any")
    [path] = {
        urlsplit(link).path
        for each, link in zip(measures.texts["h3"], _result_links(measures), strict=True)
        if "促进高校毕业生" in each
    }
    assert "责任单位：市民政局、市农业农村局、市卫生健康委" in get(client, path).text


def _result_links(page: Page) -> list[str]:
    return [link for link in page.links() if "#clause-" in link]


def test_a_long_document_is_complete(client: FlaskClient, held: Held) -> None:
    response = client.get(f"/documents/{held.long_document}")
    page = Page(response)
    marks = [each for each in page.all("a") if each.get("class") == "clause__mark"]
    assert len(marks) == ARTICLES
    assert {each["href"][1:] for each in marks} <= set(page.ids())
    assert "https://example.org/long?a=1&b=2" in page.links()


def test_nothing_in_data_or_requests_becomes_markup(client: FlaskClient, held: Held) -> None:
    biting = quote(HOSTILE)
    for address in (
        f"/documents/{held.hostile_document}",
        f"/entries/{held.hostile_entry}",
        f"/?q={quote('牧场围栏' + HOSTILE + '怎么登记？')}",
        f"/?q={biting}&region=370200&conversation={biting}",
        f"/search?q={biting}",
        f"/search?q={quote('牧场围栏登记')}&validity=any",
        f"/search?q={biting}&topic={biting}&department={biting}&tag={biting}",
        f"/search?q={biting}&year=x",
    ):
        response = client.get(address)
        page = Page(response)
        assert len(page.all("script")) == 1 and not page.all("img"), address
        assert "alert(1)" not in "".join(page.texts.get("script", [])), address
        assert not [link for link in page.links() if link.startswith("javascript:")], address
    assert "javascript:alert(3)" in get(client, f"/documents/{held.hostile_document}").text
    entry = get(client, f"/entries/{held.hostile_entry}")
    assert HOSTILE in entry.texts["h1"][0]
    assert "tel:053212345678" in entry.links()


def test_an_unknown_region_is_explained(client: FlaskClient) -> None:
    for address in (f"/?q=居住证&region={quote(HOSTILE)}", "/search?q=居住证&region=乌有市"):
        page = get(client, address, status=404)
        assert "没有地区" in page.text and not page.all("img")


def test_an_entry_page(client: FlaskClient, held: Held) -> None:
    page = get(client, f"/entries/{held.entry}")
    assert page.texts["h1"] == ["什么情况下可以提取住房公积金？"]
    for said in ("简单说", "人工审核", "现行有效", "SAMPLE-HF-001", "示例条目", "其他问法"):
        assert said in page.text
    assert f"/api/v1/entries/{held.entry}" in page.links()


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/documents/99999", 404, "not_found"),
        ("/entries/99999", 404, "not_found"),
        ("/nothing/here", 404, "not_found"),
        ("/feedback", 405, "method_not_allowed"),
        ("/search?q=居住证&page=999", 400, "invalid_request"),
    ],
)
def test_errors_are_pages_for_people_and_json_for_programs(
    client: FlaskClient, address: str, status: int, code: str
) -> None:
    page = Page(response := client.get(address))
    assert response.status_code == status
    assert response.headers["X-Request-Id"] in page.text
    assert "tel:12345" in page.links() and "/" in page.links()
    told = client.get(address, headers={"Accept": "application/json"})
    assert told.status_code == status
    assert told.json["ok"] is False and told.json["error"]["code"] == code


def test_the_api_answers_in_json_whatever_is_accepted(client: FlaskClient) -> None:
    response = client.get("/api/v1/documents/99999")
    assert response.status_code == 404 and response.json["error"]["code"] == "not_found"


def test_larger_text_is_kept_until_it_is_undone(client: FlaskClient) -> None:
    page = get(client, "/search?q=居住证")
    assert "large-text" not in page.all("html")[0].get("class", "")
    [switch] = [link for link in page.links() if link.startswith("/text-size")]
    response = client.get(switch)
    assert response.status_code == 303
    assert parse_qs(urlsplit(response.headers["Location"]).query) == {"q": ["居住证"]}
    for address in ("/", "/search", "/documents/1", "/nothing"):
        page = Page(client.get(address))
        assert page.all("html")[0]["class"] == "large-text", address
    assert "标准版" in page.texts["nav"][0]
    [switch] = [link for link in page.links() if link.startswith("/text-size")]
    client.get(switch)
    assert "class" not in get(client, "/").all("html")[0]


@pytest.mark.parametrize(
    "back",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/\n/x",
    ],
)
def test_the_text_size_switch_leads_only_within_the_site(client: FlaskClient, back: str) -> None:
    response = client.get(f"/text-size?size=large&back={quote(back)}")
    assert response.headers["Location"] == "/"


def test_pages_are_guarded_and_not_shared_by_caches(client: FlaskClient) -> None:
    headers = client.get("/?q=公积金怎么提取？").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "private, no-cache"
