"""The operators' console without JavaScript: guards, forms, screen pops, hostile text."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete

from service import wording
from service.models import Call, Favourite, Handoff, HandoffMessage, Lookup, Report, Ticket
from service.web.runtime import install, runtime
from tests.web.conftest import HOSTILE, NOW, Held, Staff

SignIn = Callable[..., Staff]
MOBILE = "13812345678"
PAGES = (
    "/operator",
    "/operator?q=公积金怎么提取",
    "/operator/results?q=公积金",
    "/operator/shift",
    "/operator/queue",
    "/operator/tickets",
    "/operator/tickets/new?q=公积金",
    "/operator/tickets/reports",
)


@pytest.fixture(autouse=True)
def _fresh(app: Flask) -> Iterator[None]:
    """Each test begins with no calls and nobody waiting."""
    yield
    with app.app_context(), runtime().db.transaction() as session:
        for table in (HandoffMessage, Handoff, Ticket, Lookup, Call, Report, Favourite):
            session.execute(delete(table))


def post(desk: Staff, address: str, **fields: str) -> tuple[int, str]:
    """Send a form as a browser without a script does; status and page after redirects."""
    response = desk.post(
        address, data={**fields, "csrf": desk.csrf()["X-CSRF-Token"]}, follow_redirects=True
    )
    return response.status_code, response.get_data(as_text=True)


def page(desk: FlaskClient, address: str) -> str:
    response = desk.get(address, follow_redirects=True)
    assert response.status_code == 200, (address, response.status_code)
    return response.get_data(as_text=True)


def hand_over(client: FlaskClient, *questions: str) -> str:
    """A visitor of a website asks and then wants a person; their conversation."""
    conversation = None
    for text in (*questions, "转人工"):
        body = {"question": text, "channel": "widget", "conversation_id": conversation}
        answer = client.post("/api/v1/ask", json=body).json
        assert answer
        conversation = answer["conversation_id"]
    return str(conversation)


def queue_number(desk: Staff) -> int:
    found = re.search(r"/operator/queue/(\d+)", page(desk, "/operator/queue"))
    assert found
    return int(found[1])


@pytest.mark.parametrize("address", PAGES)
def test_only_operators_and_administrators_come_in(
    client: FlaskClient, signed_in: SignIn, address: str
) -> None:
    nobody = client.get(address)
    assert nobody.status_code == 303 and "/sign-in" in nobody.headers["Location"]
    for role in ("editor", "auditor"):
        assert signed_in(role).get(address).status_code == 403
    for role in ("operator", "admin"):
        assert signed_in(role).get(address).status_code == 200


def test_every_change_needs_the_token_of_the_session(app: Flask, signed_in: SignIn) -> None:
    desk = signed_in("operator")
    changes = [
        rule.rule.replace("<int:number>", "1").replace("<number>", "20260115-0001")
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/operator") and "POST" in (rule.methods or ())
    ]
    assert len(changes) > 10
    for address in changes:
        assert desk.post(address, data={"key": "entry:1"}).status_code in (400, 403), address


def test_search_read_out_and_wrap_up_without_a_script(signed_in: SignIn, held: Held) -> None:
    desk = signed_in("operator")
    found = page(desk, "/operator?q=公积金怎么提取")
    assert "什么情况下可以提取住房公积金" in found and "口播版" in found
    link = re.search(r'class="hit__link" href="(/operator\?[^"]+)"', found)
    assert link
    opened = page(desk, link[1].replace("&amp;", "&"))
    for words in ("完整答案", "材料", "政策依据", "《住房公积金管理条例》第二十四条", "12329"):
        assert words in opened, words
    assert "来电记录" in opened and "结束来电" in opened
    status, after = post(desk, "/operator/wrap-up", code="resolved", note="已告知")
    assert status == 200 and "上一个来电已小结" in after
    shift = page(desk, "/operator/shift")
    assert re.search(r"来电</dt><dd>1<", shift) and re.search(r"首次解答率</dt><dd>100%<", shift)


def test_a_search_without_result_is_counted_and_leads_to_a_department(signed_in: SignIn) -> None:
    desk = signed_in("operator")
    found = page(desk, "/operator?q=uuvvii")
    assert "没有找到能用的答案" in found and "/operator/tickets/new?q=uuvvii" in found
    assert re.search(r"没有答案</dt><dd>1<", page(desk, "/operator/shift"))


def test_a_screen_pop_begins_a_call_and_takes_the_number_off_the_address(
    signed_in: SignIn,
) -> None:
    desk = signed_in("operator")
    query = urlencode(
        {"call_id": "c1", "ani": MOBILE, "region": "370283", "q": "居住证", "ticket": HOSTILE}
    )
    response = desk.get(f"/operator?{query}")
    assert response.status_code == 303
    assert MOBILE not in response.headers["Location"] and "ani" not in response.headers["Location"]
    shown = page(desk, response.headers["Location"])
    assert "138****5678" in shown and MOBILE not in shown and "平度市" in shown
    assert HOSTILE not in shown and 'value="居住证"' in shown


def test_a_screen_pop_with_a_strange_region_uses_the_operators_own(signed_in: SignIn) -> None:
    desk = signed_in("operator")
    assert "青岛市" in page(desk, f"/operator?ani={MOBILE}&region=火星")


@pytest.fixture
def secret(app: Flask) -> Iterator[str]:
    """The same application, which now wants signed screen pops."""
    with app.app_context():
        before = runtime()
    install(app, replace(before, settings=replace(before.settings, cti_secret="tell no one")))
    yield "tell no one"
    install(app, before)


def signed(secret: str, at: datetime = NOW, **changes: str) -> str:
    moment = str(int(at.timestamp()))
    sig = hmac.new(secret.encode(), f"c2|{MOBILE}|{moment}".encode(), hashlib.sha256).hexdigest()
    return urlencode({"call_id": "c2", "ani": MOBILE, "ts": moment, "sig": sig, **changes})


def test_a_signed_screen_pop_is_believed(signed_in: SignIn, secret: str) -> None:
    assert "138****5678" in page(signed_in("operator"), f"/operator?{signed(secret)}")


@pytest.mark.parametrize(
    "changes",
    [
        {"ani": "13900000000"},
        {"call_id": "c3"},
        {"sig": ""},
        {"sig": "签名"},
        {"ts": "0"},
        {"ts": "١٢٣"},
        {"ts": "9" * 100},
    ],
)
def test_a_forged_screen_pop_is_not_used(
    signed_in: SignIn, secret: str, changes: dict[str, str]
) -> None:
    shown = page(signed_in("operator"), f"/operator?{signed(secret, **changes)}")
    assert "没有通过校验" in shown and "没有进行中的来电" in shown


def test_a_stale_screen_pop_is_not_used(signed_in: SignIn, secret: str) -> None:
    old = datetime.fromtimestamp(NOW.timestamp() - 301, NOW.tzinfo)
    assert "没有通过校验" in page(signed_in("operator"), f"/operator?{signed(secret, at=old)}")


def test_favourites_and_reports_by_form(signed_in: SignIn, held: Held) -> None:
    desk, key = signed_in("operator"), f"entry:{held.entry}"
    _, shown = post(desk, "/operator/favourites", key=key)
    assert "收藏</h2>" in shown and 'aria-pressed="true">收藏' in shown
    _, shown = post(desk, "/operator/reports", key=key, reason="outdated")
    assert "已反映：已经过时" in shown
    reports = page(desk, "/operator/tickets/reports")
    number = re.search(r"reports/(\d+)/settle", reports)
    assert number and "已经过时" in reports
    _, after = post(desk, f"/operator/tickets/reports/{number[1]}/settle")
    assert "没有待核实的问题" in after
    assert post(desk, "/operator/reports", key=key, reason="boring")[0] == 400


@pytest.mark.parametrize("key", ["entry:999999", "entry:0", "x", "entry:1 OR 1=1", "clause:-1"])
def test_what_is_not_there_is_said(signed_in: SignIn, key: str) -> None:
    response = signed_in("operator").get("/operator/passage", query_string={"key": key})
    assert response.status_code == 404


def test_a_ticket_from_a_call_to_its_end(signed_in: SignIn) -> None:
    desk = signed_in("operator")
    page(desk, f"/operator?call_id=c5&ani={MOBILE}&region=370283")
    form = page(desk, "/operator/tickets/new?q=居住证怎么办理")
    assert 'value="平度市"' in form and "138****5678" in form and "5 个工作日" in form
    proposed = re.search(r"<option selected>([^<]+)</option>", form)
    assert proposed and "公安" in proposed[1]
    facts = {"question": "养鸡补贴", "department": proposed[1], "region": "平度市"}
    status, shown = post(desk, "/operator/tickets", **facts, callers_number="yes")
    assert status == 200 and "工单 20260115-0001" in shown and "2026年1月22日" in shown
    assert "138****5678" in shown and MOBILE not in shown
    address = "/operator/tickets/20260115-0001"
    assert MOBILE in post(desk, f"{address}/call-back")[1]
    _, shown = post(desk, f"{address}/answer", reply=f"没有这项补贴{HOSTILE}")
    assert "已答复" in shown and HOSTILE not in shown
    _, shown = post(desk, f"{address}/close")
    assert "已办结" in shown and "已删除" in shown
    assert post(desk, f"{address}/close")[0] == 409
    assert "养鸡补贴" in page(desk, "/operator/tickets?show=mine")


def test_a_ticket_that_does_not_hold_keeps_what_was_written(signed_in: SignIn) -> None:
    facts = {"question": "养鸡补贴", "department": "", "detail": "说过两次", "region": "火星"}
    status, shown = post(signed_in("operator"), "/operator/tickets", **facts)
    assert status == 400 and "没有地区“火星”" in shown
    status, shown = post(signed_in("operator"), "/operator/tickets", **facts | {"region": ""})
    assert status == 400 and "请选择承办部门" in shown and "说过两次" in shown


def test_a_conversation_from_the_widget_to_the_operator_and_back(
    client: FlaskClient, signed_in: SignIn
) -> None:
    conversation = hand_over(client, "居住证怎么办理？")
    address = f"/api/v1/conversations/{conversation}/messages"
    assert client.get(address).json["state"] == "waiting"  # type: ignore[index]
    desk, other = signed_in("operator"), signed_in("operator", 2)
    assert "居住证怎么办理" in page(desk, "/operator/queue")
    number = queue_number(desk)
    status, shown = post(desk, f"/operator/queue/{number}/claim")
    assert status == 200 and "可能用得上的答案" in shown
    status, refused = post(other, f"/operator/queue/{number}/claim")
    assert status == 409 and "已由另一位坐席接待" in refused
    asked = {"question": "我是外地人", "channel": "widget", "conversation_id": conversation}
    answer = client.post("/api/v1/ask", json=asked).json
    assert answer and (answer["outcome"], answer["text"]) == ("handed_off", "")
    assert "我是外地人" in page(desk, f"/operator/queue/{number}/messages")
    post(desk, f"/operator/queue/{number}/reply", text="带身份证来就行")
    body = client.get(address).json
    assert body and body["state"] == "claimed"
    said = [(each["author"], each["text"]) for each in body["messages"]]
    assert said == [("system", wording.OPERATOR_HERE), ("operator", "带身份证来就行")]
    assert body["messages"][0]["at"].endswith("Z")
    last = body["messages"][-1]["id"]
    assert client.get(f"{address}?after={last}").json["messages"] == []  # type: ignore[index]
    assert post(other, f"/operator/queue/{number}/close")[0] == 409
    post(desk, f"/operator/queue/{number}/close")
    assert client.get(address).json["state"] == "closed"  # type: ignore[index]


def test_nobody_learns_anything_from_a_made_up_conversation(client: FlaskClient) -> None:
    body = client.get("/api/v1/conversations/abc/messages").json
    assert body and (body["state"], body["messages"]) == ("none", [])
    assert client.get("/api/v1/conversations/a'b/messages").status_code == 400
    assert client.get("/api/v1/conversations/abc/messages?after=-1").status_code == 400


def test_the_badge_counts_who_waits(client: FlaskClient, signed_in: SignIn) -> None:
    hand_over(client, "居住证怎么办理？")
    desk = signed_in("operator")
    headers = {"Accept": "application/json"}
    counts = desk.get("/operator/queue", headers=headers).json
    assert counts and (counts["waiting"], counts["unread"], counts["overdue"]) == (1, 0, 0)


def test_hostile_text_is_shown_as_text(client: FlaskClient, signed_in: SignIn, held: Held) -> None:
    conversation = hand_over(client, f"{HOSTILE}怎么办")
    desk = signed_in("operator")
    number = queue_number(desk)
    post(desk, f"/operator/queue/{number}/claim")
    client.post(
        "/api/v1/ask",
        json={"question": HOSTILE, "channel": "widget", "conversation_id": conversation},
    )
    post(desk, f"/operator/queue/{number}/reply", text=HOSTILE)
    post(desk, "/operator/favourites", key=f"entry:{held.hostile_entry}")
    post(desk, "/operator/reports", key=f"entry:{held.hostile_entry}", reason="wrong", note=HOSTILE)
    query = urlencode({"q": HOSTILE, "key": f"entry:{held.hostile_entry}"})
    for address in (
        f"/operator?{query}",
        f"/operator/results?{query}",
        f"/operator/passage?{query}",
        f"/operator/tickets/new?{query}",
        "/operator/queue",
        "/operator/tickets/reports",
        f"/operator/queue/{number}",
        f"/operator/queue/{number}/messages",
    ):
        shown = page(desk, address)
        assert "&lt;script&gt;" in shown, address
        assert "<script>alert" not in shown and "<img" not in shown, address


def test_nothing_of_the_console_is_kept_by_a_cache(signed_in: SignIn) -> None:
    response = signed_in("operator").get("/operator")
    assert response.headers["Cache-Control"] == "no-store"
    assert "unsafe-inline" not in response.headers["Content-Security-Policy"]


def test_a_strange_day_is_refused(signed_in: SignIn) -> None:
    assert signed_in("operator").get("/operator/shift?day=yesterday").status_code == 400


def test_an_administrator_sees_every_operators_figures(signed_in: SignIn, held: Held) -> None:
    page(signed_in("operator"), f"/operator?key=entry:{held.entry}")
    assert "所有坐席" in page(signed_in("admin"), "/operator/shift")
    assert "所有坐席" not in page(signed_in("operator"), "/operator/shift")
