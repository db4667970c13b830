"""Settings, synonyms and the lab as pages: forms that say what is wrong, and who may use them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete

from kb.models import SynonymGroup
from service.models import Exchange, GoldenQuestion, Setting
from service.web.runtime import runtime
from tests.web.conftest import HOSTILE, Staff

SignIn = Callable[..., Staff]
PAGES = ("/admin/settings", "/admin/settings/stop", "/admin/synonyms", "/admin/lab")
FORM = {"wrong_entries": "5", "wrong_clauses": "30", "wrong_options": "75", "seen": "0"}


@pytest.fixture(autouse=True)
def _as_it_was(app: Flask) -> Iterator[None]:
    yield
    with app.app_context():
        with runtime().db.transaction() as session:
            for table in (Setting, SynonymGroup, GoldenQuestion):
                session.execute(delete(table))
        runtime().tuning.fresh()
        runtime().thesaurus.groups()


@pytest.fixture
def admin(signed_in: SignIn) -> Staff:
    return signed_in("admin")


def post(staff: Staff, address: str, **form: object) -> tuple[int, str]:
    response = staff.post(address, data=form, headers=staff.csrf(), follow_redirects=True)
    return response.status_code, response.get_data(as_text=True)


def page(client: FlaskClient, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_data(as_text=True)


@pytest.mark.parametrize("address", PAGES)
def test_only_those_whom_it_is_for_see_a_page(signed_in: SignIn, address: str) -> None:
    for role in ("admin", "editor", "reviewer", "auditor", "operator"):
        may = role == "admin" or (address == "/admin/lab" and role != "operator")
        assert signed_in(role).get(address).status_code == (200 if may else 403), role


def test_an_auditor_tries_but_keeps_nothing(signed_in: SignIn) -> None:
    auditor = signed_in("auditor")
    assert "用标准答案回答" in page(
        auditor, f"/admin/lab?q={quote('什么情况下可以提取住房公积金？')}"
    )
    assert post(auditor, "/admin/lab/golden", question="问题", expect="")[0] == 403


def test_a_setting_is_changed_seen_and_reset(admin: Staff, client: FlaskClient) -> None:
    status, text = post(admin, "/admin/settings/answers", **FORM, comment="投诉多")
    assert status == 200 and "已保存" in text and "投诉多" in text
    assert "投诉多" in page(admin, "/admin/audit?action=setting")
    # A form from before the change is not taken.
    assert post(admin, "/admin/settings/answers", **FORM, comment="又改")[0] == 409
    seen = runtime_version(text)
    form = FORM | {"seen": seen, "reset": "wrong_entries"}
    assert "已保存" in post(admin, "/admin/settings/answers", **form, comment="还原")[1]


def runtime_version(text: str) -> str:
    """What the form of the cuts carries."""
    form = text.partition('action="/admin/settings/answers"')[2]
    return form.partition('name="seen" value="')[2].partition('"')[0]


def test_what_is_wrong_is_said_and_what_was_typed_stays(admin: Staff) -> None:
    form = FORM | {"wrong_entries": "很多"}
    status, text = post(admin, "/admin/settings/answers", **form, comment="我的说明")
    assert status == 400 and 'value="很多"' in text and 'value="我的说明"' in text
    assert 'href="#wrong_entries"' in text
    assert post(admin, "/admin/settings/answers", **FORM, comment="")[0] == 400
    assert post(admin, "/admin/settings/nothing", comment="x")[0] == 404
    assert post(admin, "/admin/settings/stop", stopped="mars", comment="x")[0] == 400


def test_a_stop_shows_everywhere_and_citizens_are_told_whom_to_ring(
    admin: Staff, client: FlaskClient, signed_in: SignIn
) -> None:
    post(admin, "/admin/settings/stop", stopped="all", comment="紧急停止")
    assert "自动回答已停止" in page(signed_in("editor"), "/admin/lab")
    text = page(client, f"/?q={quote('公积金怎么提取')}")
    assert "暂时不能自动回答" in text and "12345" in text
    body = client.post("/api/v1/ask", json={"question": "公积金怎么提取"}).get_json()
    assert body["ok"] and body["outcome"] == "blocked"
    post(admin, "/admin/settings/stop", comment="改好了")
    assert "自动回答已停止" not in page(admin, "/admin")
    assert client.post("/api/v1/ask", json={"question": "公积金怎么提取"}).get_json()["entry"]


def test_a_banner_is_text_on_every_public_way_in(admin: Staff, client: FlaskClient) -> None:
    assert "made-known" not in page(client, "/")
    form = {
        "banner": "今晚10点维护",
        "banner_level": "urgent",
        "banner_from": "",
        "banner_until": "",
    }
    status, _ = post(admin, "/admin/settings/banner", **form, seen=0, comment="维护")
    assert status == 200
    for address in ("/", "/search"):
        assert "今晚10点维护" in page(client, address)
    greeting = client.get("/api/v1/greeting").get_json()
    assert greeting["notice"] == {"text": "今晚10点维护", "level": "紧急通知"}
    form |= {"banner": HOSTILE}
    assert post(admin, "/admin/settings/banner", **form, seen=99, comment="x")[0] == 400


def test_a_link_to_the_lab_tries_what_citizens_get(admin: Staff) -> None:
    """A link with nothing but a question once came with all steps of understanding off."""
    linked = page(admin, f"/admin/lab?q={quote('公机金怎么提取')}")
    assert "公积金怎么提取" in linked and "这一步没有打开" not in linked
    unticked = page(admin, f"/admin/lab?q={quote('公机金怎么提取')}&steps=")
    assert "这一步没有打开" in unticked


def test_the_lab_compares_two_cuts_and_leaves_no_trace(admin: Staff, app: Flask) -> None:
    def recorded() -> int:
        with app.app_context(), runtime().db.reading() as session:
            return session.query(Exchange).count()

    before = recorded()
    query = f"q={quote('离婚孩子归谁')}&compare=yes&steps=typo&b_steps=typo"
    text = page(admin, f"/admin/lab?{query}&wrong_entries=15&b_wrong_entries=0")
    assert "甲：用标准答案回答" in text and "乙：请群众选择" in text
    assert "存为正式设置" not in text, "the first variant is as it is"
    assert recorded() == before
    kept = page(admin, "/admin/settings?wrong_entries=3&wrong_clauses=30&wrong_options=75")
    assert 'name="wrong_entries" type="text" inputmode="decimal" value="3"' in kept


@pytest.mark.parametrize(
    "query",
    ["q=x&as_of=gestern", "q=x&region=月球", "q=x&wrong_entries=abc", "q=", f"q={'长' * 501}"],
)
def test_the_lab_says_what_it_cannot_read(admin: Staff, query: str) -> None:
    response = admin.get(f"/admin/lab?{query}")
    assert response.status_code == 400 and "ask__problem" in response.get_data(as_text=True)


def test_hostile_text_stays_text_in_the_lab(admin: Staff) -> None:
    text = page(admin, f"/admin/lab?q={quote(HOSTILE)}")
    assert "<script>alert" not in text and "<img" not in text
    assert admin.get("/admin/lab?exchange=nothing").status_code == 404


def test_why_this_answer_leads_from_the_record(admin: Staff, client: FlaskClient) -> None:
    body = client.post("/api/v1/ask", json={"question": "公积金怎么提取"}).get_json()
    text = page(admin, f"/admin/lab?exchange={body['answer_id']}")
    assert "记录里的回答" in text and 'value="公积金怎么提取"' in text and "比较过的内容" in text


def test_a_golden_question_is_kept_with_one_click_and_run(admin: Staff) -> None:
    form = {"question": "公积金怎么提取", "expect": "SAMPLE-HF-001", "region": "370200"}
    status, text = post(admin, "/admin/lab/golden", **form)
    assert status == 200 and "共 1 题" in text
    assert "100.0%" in page(admin, "/admin/lab/golden/run")
    worse = page(admin, "/admin/lab/golden/run?wrong_entries=0&wrong_clauses=0&wrong_options=0")
    assert "变坏 1 题" in worse
    data = {"file": (io.BytesIO(b"{"), "x.jsonl")}
    assert post(admin, "/admin/lab/golden/import", **data)[0] == 422


def test_a_group_of_synonyms_is_added_tried_exported_and_deleted(app: Flask, admin: Staff) -> None:
    with app.app_context():
        runtime().understanding.catch_up()
    form = {"official": "住房公积金", "said": "房子攒的钱\n公家攒的钱"}
    # The dictionary has this term already: its group is to be edited instead.
    status, text = post(admin, "/admin/synonyms/group", **form)
    assert status == 400 and "已经有" in text
    form |= {"was": "住房公积金"}
    shown = post(admin, "/admin/synonyms/group", **form, preview="yes")[1]
    assert "已发布的标准问和相似问" in shown and "已保存" not in shown
    status, text = post(admin, "/admin/synonyms/group", **form)
    assert status == 200 and "已保存" in text
    tried = page(admin, f"/admin/synonyms?try={quote('房子攒的钱怎么取')}")
    assert "<strong>住房公积金</strong>" in tried
    exported = admin.get("/admin/synonyms/export.csv").data
    assert "房子攒的钱|公家攒的钱" in exported.decode("utf-8-sig")
    same = {"file": (io.BytesIO(exported), "synonyms.csv")}
    assert "什么都没有变" in post(admin, "/admin/synonyms/import", **same)[1]
    assert "已删除或恢复" in post(admin, "/admin/synonyms/drop", official="住房公积金")[1]


def test_a_broken_synonym_file_names_its_lines(admin: Staff) -> None:
    text = "规范说法,群众的说法,启用\n生育的钱,坐月子的钱,是\n生,养,是\n"
    data = {"file": (io.BytesIO(text.encode("gb18030")), "x.csv")}
    status, body = post(admin, "/admin/synonyms/import", **data)
    assert status == 422 and "第 3 行" in body
    assert "生育的钱" not in page(admin, "/admin/synonyms?show=own")
