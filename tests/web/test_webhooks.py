"""The hooks over the real application and the real channels; the platforms are simulated."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app import create_app
from embeddings import Encoder
from service import wording
from service.channels import Delivery
from service.channels.simulated import SimulatedPlatform
from service.channels.simulator import (
    DingTalkPlatform,
    FeishuPlatform,
    WeChatPlatform,
    WeComPlatform,
)
from service.commands import load_samples
from service.config import Settings
from service.models import Exchange, Inbound
from service.runtime import Runtime
from service.web import webhooks
from service.web.runtime import runtime
from tests.channels.platforms import DINGTALK, FEISHU, KEY, WECHAT, WECOM
from tests.web.conftest import NOW

QUESTION = "居住证丢了怎么补办"
ADDRESS = "https://policy.example.gov.cn"


@pytest.fixture(scope="module")
def api() -> Iterator[SimulatedPlatform]:
    with SimulatedPlatform() as api:
        yield api


@pytest.fixture(scope="module")
def app(
    tmp_path_factory: pytest.TempPathFactory, encoder: Encoder, api: SimulatedPlatform
) -> Iterator[Flask]:
    settings = Settings(
        data_dir=str(tmp_path_factory.mktemp("hooks")),
        public_url=ADDRESS,
        wechat_app_id=WECHAT.app_id,
        wechat_token=WECHAT.token,
        wechat_aes_key=KEY,
        wecom_corp_id=WECOM.corp_id,
        wecom_agent_id=WECOM.agent_id,
        wecom_token=WECOM.token,
        wecom_aes_key=KEY,
        wecom_secret=WECOM.secret,
        wecom_api=api.url,
        feishu_app_id=FEISHU.app_id,
        feishu_app_secret=FEISHU.app_secret,
        feishu_verification_token=FEISHU.verification_token,
        feishu_encrypt_key=FEISHU.encrypt_key,
        feishu_api=api.url,
    )
    application = create_app(settings, encoder=encoder, now=lambda: NOW, follow=False)
    with application.app_context():
        load_samples(runtime())
        runtime().indexer.catch_up()
        objects = runtime()
    yield application
    objects.close()


@pytest.fixture
def objects(app: Flask) -> Runtime:
    with app.app_context():
        return runtime()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def post(client: FlaskClient, name: str, delivery: Delivery) -> TestResponse:
    return client.open(
        f"/hooks/{name}",
        method=delivery.method,
        query_string=dict(delivery.query),
        headers=dict(delivery.headers),
        data=delivery.body,
    )


def assert_refused(response: TestResponse, status: int, code: str) -> None:
    body: Any = response.get_json()
    assert response.status_code == status
    assert set(body) == {"ok", "error", "request_id"} and body["ok"] is False
    assert body["error"]["code"] == code and body["error"]["fields"] == {}


@pytest.mark.parametrize(
    ("name", "platform"), [("wechat", WeChatPlatform(WECHAT)), ("wecom", WeComPlatform(WECOM))]
)
def test_the_check_of_an_address_is_answered_in_its_own_words(
    client: FlaskClient, name: str, platform: WeChatPlatform | WeComPlatform
) -> None:
    response = post(client, name, platform.check(at=NOW))
    assert response.status_code == 200 and response.content_type.startswith("text/plain")
    assert response.data and not response.data.startswith(b"{")


def test_feishus_check_is_answered_with_its_challenge(client: FlaskClient) -> None:
    response = post(client, "feishu", FeishuPlatform(FEISHU).check(at=NOW))
    assert response.get_json() == {"challenge": "ajls384kdjx98XX"}


@pytest.mark.parametrize(
    ("name", "platform"), [("wechat", WeChatPlatform(WECHAT)), ("wecom", WeComPlatform(WECOM))]
)
def test_a_question_is_answered_in_the_chat_and_every_retry_alike(
    client: FlaskClient, objects: Runtime, name: str, platform: WeChatPlatform | WeComPlatform
) -> None:
    said = set()
    for seconds in (0, 5, 10):
        delivery = platform.deliver("101", "某人", QUESTION, at=NOW + timedelta(seconds=seconds))
        response = post(client, name, delivery)
        assert response.status_code == 200
        said.add(platform.read(response.data))
    [words] = said
    with objects.db.reading() as session:
        exchange = session.get(Exchange, answer_id(objects, name))
    assert exchange and exchange.question == QUESTION and exchange.entry_id
    assert "依据：《" in words
    assert exchange.text in words or f"{ADDRESS}/entries/{exchange.entry_id}" in words


def answer_id(objects: Runtime, name: str) -> str:
    with objects.db.reading() as session:
        row = session.scalars(select(Inbound).where(Inbound.channel == name)).first()
    assert row
    return objects.sealer.pseudonym("answer", row.channel, row.account, row.key)


def test_feishu_gets_its_answer_as_a_message(client: FlaskClient, api: SimulatedPlatform) -> None:
    platform = FeishuPlatform(FEISHU)
    for _ in range(3):
        response = post(client, "feishu", platform.deliver("7", "某人", QUESTION, at=NOW))
        assert response.status_code == 200
    said = api.said.get(timeout=30)
    assert said.to == "om_7" and "居住证" in said.text
    with pytest.raises(queue.Empty):
        api.said.get_nowait()


def test_whoever_follows_is_welcomed_and_whoever_leaves_is_forgotten(
    client: FlaskClient, objects: Runtime
) -> None:
    platform = WeChatPlatform(WECHAT)
    post(client, "wechat", platform.deliver("201", "过客", QUESTION, at=NOW))
    event = {"FromUserName": "过客", "ToUserName": "gh_x", "CreateTime": "1", "MsgType": "event"}
    arrived = post(client, "wechat", platform.post({**event, "Event": "subscribe"}, at=NOW))
    assert platform.read(arrived.data) == wording.WELCOME
    person = objects.sealer.pseudonym("person", "wechat", WECHAT.app_id, "过客")
    with objects.db.reading() as session:
        assert session.scalar(select(func.count()).where(Inbound.person == person)) == 2
    left = post(client, "wechat", platform.post({**event, "Event": "unsubscribe"}, at=NOW))
    assert left.status_code == 200 and platform.read(left.data) == ""
    with objects.db.reading() as session:
        assert session.scalar(select(func.count()).where(Inbound.person == person)) == 0


def test_who_is_not_there_is_not_found(client: FlaskClient) -> None:
    for name in ("dingtalk", "nowhere", "..", "%00", "wechat%20"):
        for method in ("get", "post"):
            response = getattr(client, method)(f"/hooks/{name}")
            assert response.status_code == 404, name
    assert_refused(client.post("/hooks/dingtalk"), 404, "not_found")
    forged = DingTalkPlatform(DINGTALK).deliver("1", "某人", QUESTION, at=NOW)
    assert_refused(post(client, "dingtalk", forged), 404, "not_found")


def test_other_methods_are_not_allowed(client: FlaskClient) -> None:
    assert_refused(client.put("/hooks/wechat"), 405, "method_not_allowed")


def test_a_forger_learns_nothing_and_nothing_is_done(
    client: FlaskClient, objects: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    genuine = WeChatPlatform(WECHAT).deliver("301", "某人", QUESTION, at=NOW)
    with objects.db.reading() as session:
        before = session.scalar(select(func.count(Inbound.id)))
    forged = [
        replace(genuine, query={**genuine.query, "msg_signature": "0" * 40}),
        replace(genuine, query={**genuine.query, "nonce": "1"}),
        replace(genuine, query={}),
        WeChatPlatform(replace(WECHAT, token="other")).deliver("1", "某人", QUESTION, at=NOW),
        WeChatPlatform(replace(WECHAT, app_id="wxother")).deliver("1", "某人", QUESTION, at=NOW),
        WeChatPlatform(WECHAT).deliver("1", "某人", QUESTION, at=NOW - timedelta(minutes=10)),
    ]
    bodies = set()
    for delivery in forged:
        response = post(client, "wechat", delivery)
        assert_refused(response, 403, "forbidden")
        bodies.add(response.get_json()["error"]["message"])
    assert len(bodies) == 1 and caplog.text.count("delivery rejected") == len(forged)
    for body in (b"", b"<xml>", b"\xff\xfe", b"<!DOCTYPE a><xml></xml>", b"{}", b"[" * 5000):
        assert post(client, "wechat", replace(genuine, body=body)).status_code in (400, 403)
        assert post(client, "feishu", replace(genuine, body=body)).status_code in (400, 403)
    with objects.db.reading() as session:
        assert session.scalar(select(func.count(Inbound.id))) == before


def test_a_body_of_more_than_64_kilobytes_is_too_large(client: FlaskClient) -> None:
    genuine = WeChatPlatform(WECHAT).deliver("401", "某人", QUESTION, at=NOW)
    fitting = post(client, "wechat", replace(genuine, body=b" " * webhooks.MAX_BODY))
    assert fitting.status_code in (400, 403)
    large = post(client, "wechat", replace(genuine, body=b" " * (webhooks.MAX_BODY + 1)))
    assert_refused(large, 413, "too_large")


def test_a_failure_inside_asks_the_platform_to_try_again(
    client: FlaskClient, objects: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    rows = objects.inbox._rows
    objects.inbox._rows = None  # type: ignore[assignment]
    genuine = WeChatPlatform(WECHAT).deliver("501", "某人", QUESTION, at=NOW)
    try:
        assert_refused(post(client, "wechat", genuine), 503, "not_ready")
    finally:
        objects.inbox._rows = rows
    assert "delivery failed" in caplog.text
    assert post(client, "wechat", genuine).status_code == 200


def test_too_many_from_one_address_are_refused(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "PER_MINUTE", 1)
    client.environ_base["REMOTE_ADDR"] = "203.0.113.9"
    first, second = client.post("/hooks/wechat"), client.post("/hooks/wechat")
    assert first.status_code in (400, 403)
    assert_refused(second, 429, "too_many_requests")
    assert int(second.headers["Retry-After"]) >= 1


def test_that_the_other_end_hung_up_shows_on_the_connection() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        hung_up = webhooks._hung_up({"gunicorn.socket": ours})
        with theirs:
            assert not hung_up()
            theirs.send(b"the next request")
            assert not hung_up()
            assert ours.recv(100) == b"the next request"
        assert hung_up()
    assert hung_up()
    assert not webhooks._hung_up({})()
