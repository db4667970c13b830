"""What the platforms send, kind by kind, as they send it."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.channels import Channel, Delivery, Kind, Message, Rejected, Reply, Response
from service.channels.dingtalk import DingTalk
from service.channels.feishu import Feishu
from service.channels.simulator import (
    DingTalkPlatform,
    FeishuPlatform,
    WeChatPlatform,
    WeComPlatform,
    feishu_encrypted,
)
from service.channels.wechat import WeChat
from service.channels.wecom import WeCom
from service.channels.xml import read
from tests.channels.platforms import DINGTALK, FEISHU, KEY, NOW, OTHER_KEY, WECHAT, WECOM

FOLDER = Path(__file__).parent / "fixtures"
Recorded = dict[str, Any]


def recorded(platform: str) -> pytest.MarkDecorator:
    payloads = json.loads((FOLDER / f"{platform}.json").read_text(encoding="utf-8"))
    return pytest.mark.parametrize("payload", payloads, ids=lambda payload: payload["name"])


def message_of(channel: Channel, delivery: Delivery) -> Message:
    message = channel.receive(delivery)
    assert isinstance(message, Message)
    return message


def check(message: Message, payload: Recorded) -> None:
    assert (message.kind, message.text) == (Kind(payload["kind"]), payload["text"])
    assert "key" not in payload or message.key == payload["key"]
    assert message.user not in message.key


@recorded("wechat")
def test_wechat(payload: Recorded) -> None:
    fields = {name: text for name, text in read(payload["body"]).items() if "/" not in name}
    message = message_of(WeChat(WECHAT), WeChatPlatform(WECHAT).post(fields, at=NOW))
    check(message, payload)
    assert bool(message.reply_to) == (message.kind is not Kind.LEFT)


@recorded("wechat")
def test_wechat_as_it_was_posted_in_plain_mode(payload: Recorded) -> None:
    account = replace(WECHAT, mode="plain", keys=())
    delivery = WeChatPlatform(account).post({}, at=NOW)
    check(message_of(WeChat(account), replace(delivery, body=payload["body"].encode())), payload)


def test_wechat_answers_an_account_that_chose_json_in_json() -> None:
    account = replace(WECHAT, mode="plain", keys=())
    fields = {"ToUserName": "gh", "FromUserName": "o1", "CreateTime": 1, "MsgType": "text"}
    body = json.dumps({**fields, "Content": "医保", "MsgId": 24000000000000001}).encode()
    channel, delivery = WeChat(account), WeChatPlatform(account).post({}, at=NOW)
    message = message_of(channel, replace(delivery, body=body))
    assert (message.text, message.key) == ("医保", "24000000000000001")
    response = channel.render(message, Reply("答复"))
    answer = json.loads(response.body)
    assert response.content_type.startswith("application/json")
    assert (answer["ToUserName"], answer["FromUserName"]) == ("o1", "gh")
    assert (answer["MsgType"], answer["Content"]) == ("text", "答复")


def test_the_mode_is_the_accounts_and_not_the_deliverys() -> None:
    plain = WeChatPlatform(replace(WECHAT, mode="plain")).deliver("1", "u", "医保", at=NOW)
    for mode in ("secure", "compatible"):
        for query in (dict(plain.query), {**plain.query, "encrypt_type": "raw"}):
            with pytest.raises(Rejected, match="plain delivery") as caught:
                WeChat(replace(WECHAT, mode=mode)).receive(replace(plain, query=query))
            assert caught.value.status == 403


def test_in_compatible_mode_only_the_sealed_message_counts() -> None:
    account = replace(WECHAT, mode="compatible")
    delivery = WeChatPlatform(account).deliver("1", "u", "医保", at=NOW)
    changed = delivery.body.replace("医保".encode(), "社保".encode())
    assert changed != delivery.body
    assert message_of(WeChat(account), replace(delivery, body=changed)).text == "医保"


def test_a_signature_of_the_address_does_not_open_an_envelope() -> None:
    delivery = WeChatPlatform(WECHAT).deliver("1", "u", "医保", at=NOW)
    query = {**delivery.query, "msg_signature": delivery.query["signature"]}
    with pytest.raises(Rejected):
        WeChat(WECHAT).receive(replace(delivery, query=query))


def test_wechat_and_wecom_check_the_address() -> None:
    asked = WeChatPlatform(WECHAT).check(at=NOW)
    assert WeChat(WECHAT).receive(asked) == Response(b"4375120948345356249")
    asked = WeComPlatform(WECOM).check(at=NOW)
    assert WeCom(WECOM).receive(asked) == Response(b"1616140317555161061")


def test_a_key_is_changed_without_losing_a_message() -> None:
    old, new = replace(WECHAT, keys=(OTHER_KEY,)), replace(WECHAT, keys=(KEY, OTHER_KEY))
    platform, channel = WeChatPlatform(old), WeChat(new)
    message = message_of(channel, platform.deliver("1", "u", "医保", at=NOW))
    # The answer is sealed with the key that the platform still uses.
    assert platform.read(channel.render(message, Reply("答复")).body) == "答复"
    message = message_of(channel, WeChatPlatform(new).deliver("2", "u", "医保", at=NOW))
    assert WeChatPlatform(new).read(channel.render(message, Reply("答复")).body) == "答复"


def test_an_article_stands_for_a_text_that_is_too_long() -> None:
    channel, platform = WeChat(WECHAT), WeChatPlatform(WECHAT)
    message = message_of(channel, platform.deliver("1", "u", "医保", at=NOW))
    reply = Reply("长" * 3000, short="简短答复", source="依据：某办法", url="https://a.gov.cn/1")
    shown = platform.read(channel.render(message, reply).body)
    assert shown.endswith("简短答复\n\n依据：某办法\nhttps://a.gov.cn/1")
    labelled = platform.read(channel.render(message, replace(reply, label="AI生成")).body)
    assert labelled.endswith("AI生成") and "查看全文：https://a.gov.cn/1" in labelled


@recorded("wecom")
def test_wecom(payload: Recorded) -> None:
    check(
        message_of(WeCom(WECOM), WeComPlatform(WECOM).post(read(payload["body"]), at=NOW)), payload
    )


@recorded("dingtalk")
def test_dingtalk(payload: Recorded) -> None:
    message = message_of(
        DingTalk(DINGTALK), DingTalkPlatform(DINGTALK).post(payload["body"], at=NOW)
    )
    check(message, payload)
    assert json.loads(message.reply_to) == {"session": "9d2b6c", "until": 1768447800000}


@pytest.mark.parametrize(
    "place",
    [
        "http://oapi.dingtalk.com/robot/sendBySession?session=1",
        "https://oapi.dingtalk.com.evil.example/robot/sendBySession?session=1",
        "https://oapi.dingtalk.com@evil.example/robot/sendBySession?session=1",
        "https://oapi.dingtalk.com:8443/robot/sendBySession?session=1",
        "https://oapi.dingtalk.com\\@evil.example/robot/sendBySession?session=1",
        "https://oapi.dingtalk.com/robot/sendBySession/../send?session=1",
        "https://127.0.0.1/robot/sendBySession?session=1",
        "https://[::1/robot/sendBySession?session=1",
        "https://oapi.dingtalk.com/robot/sendBySession?session=1&session=2",
        "file:///etc/passwd",
        "",
    ],
)
def test_later_words_go_to_the_platform_and_nowhere_else(place: str) -> None:
    fields = {"msgId": "1", "senderStaffId": "u", "msgtype": "text", "text": {"content": "医保"}}
    fields |= {"sessionWebhook": place, "sessionWebhookExpiredTime": 1768447800000}
    message = message_of(DingTalk(DINGTALK), DingTalkPlatform(DINGTALK).post(fields, at=NOW))
    assert (message.text, message.reply_to) == ("医保", "")


def test_dingtalk_events_are_answered_with_a_sealed_success() -> None:
    channel, platform = DingTalk(DINGTALK), DingTalkPlatform(DINGTALK)
    checked = channel.receive(platform.event({"EventType": "check_url"}, at=NOW))
    assert isinstance(checked, Response) and platform.read_event(checked.body) == "success"
    message = message_of(channel, platform.event({"EventType": "user_add_org"}, at=NOW))
    assert (message.kind, message.reply_to) == (Kind.SILENT, "")
    for response in (channel.acknowledge(message), channel.render(message, Reply("好"))):
        assert platform.read_event(response.body) == "success"


def test_dingtalk_events_may_be_meant_for_the_application_or_the_organisation() -> None:
    event = {"EventType": "check_url"}
    for sender in (DINGTALK, replace(DINGTALK, corp_id="")):
        delivery = DingTalkPlatform(sender).event(event, at=NOW)
        assert isinstance(DingTalk(DINGTALK).receive(delivery), Response)
    foreign = DingTalkPlatform(replace(DINGTALK, corp_id="dingother")).event(event, at=NOW)
    for account in (DINGTALK, replace(DINGTALK, token="", keys=())):
        with pytest.raises(Rejected) as caught:
            DingTalk(account).receive(foreign)
        assert caught.value.status == 403


@recorded("feishu")
def test_feishu(payload: Recorded) -> None:
    delivery = FeishuPlatform(FEISHU).event("ev1", payload["body"], at=NOW, sort=payload["sort"])
    message = message_of(Feishu(FEISHU), delivery)
    check(message, payload)
    assert message.key == "ev1"
    assert json.loads(message.reply_to or "null") == payload.get("reply_to")


@pytest.mark.parametrize("key", ["encrypt-key", ""])
def test_feishu_checks_the_address(key: str) -> None:
    account = replace(FEISHU, encrypt_key=key)
    asked = FeishuPlatform(account).check(at=NOW)
    response = Feishu(account).receive(asked)
    assert isinstance(response, Response)
    assert json.loads(response.body) == {"challenge": "ajls384kdjx98XX"}
    with pytest.raises(Rejected):
        Feishu(replace(account, verification_token="other")).receive(asked)


def test_feishu_takes_nothing_in_the_clear_once_a_key_is_set() -> None:
    plain = FeishuPlatform(replace(FEISHU, encrypt_key=""))
    for delivery in (plain.check(at=NOW), plain.deliver("1", "u", "医保", at=NOW)):
        with pytest.raises(Rejected) as caught:
            Feishu(FEISHU).receive(delivery)
        assert caught.value.status == 403


def test_feishu_tells_nobody_how_far_decryption_got() -> None:
    """One status for wrong padding and for readable nonsense: no padding oracle."""
    delivery = FeishuPlatform(FEISHU).deliver("1", "u", "医保", at=NOW)
    whole = base64.b64decode(json.loads(delivery.body)["encrypt"])
    nonsense = feishu_encrypted(FEISHU.encrypt_key, b"\xff nonsense")
    torn = base64.b64encode(whole[:-16]).decode()
    for sealed in (nonsense, torn, feishu_encrypted(FEISHU.encrypt_key, b"{}"), "AAAA", ""):
        forged = replace(delivery, headers={}, body=json.dumps({"encrypt": sealed}).encode())
        with pytest.raises(Rejected) as caught:
            Feishu(FEISHU).receive(forged)
        assert caught.value.status == 403


def test_feishu_events_that_tell_microseconds_are_fresh_too() -> None:
    account = replace(FEISHU, encrypt_key="")
    delivery = FeishuPlatform(account).deliver("1", "u", "医保", at=NOW)
    stamp = str(int(NOW.timestamp() * 1000))
    body = delivery.body.replace(stamp.encode(), f"{stamp}000".encode())
    assert body != delivery.body
    assert message_of(Feishu(account), replace(delivery, body=body)).text == "医保"
