"""What every channel owes: what is genuine is read, all else refused, nothing else raised."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.channels import (
    Delivery,
    Kind,
    Message,
    Option,
    Rejected,
    Reply,
    Response,
    envelope,
    signatures,
    wechat,
    wecom,
    xml,
)
from service.channels.payloads import MAX_BYTES
from service.channels.simulator import (
    DingTalkPlatform,
    FeishuPlatform,
    WeChatPlatform,
    WeComPlatform,
)
from tests.channels.platforms import DINGTALK, FEISHU, KEY, NOW, WECHAT, WECOM, Case, cases

CASES = cases()
HOSTILE = "完]]>整🙂\x00\x0b\ud800<script>&amp;\r\n第二行"


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def message_of(case: Case, delivery: Delivery) -> Message:
    message = case.channel.receive(delivery)
    assert isinstance(message, Message)
    return message


def status_of(case: Case, delivery: Delivery) -> int:
    with pytest.raises(Rejected) as caught:
        case.channel.receive(delivery)
    return caught.value.status


def test_a_genuine_delivery_is_read(case: Case) -> None:
    message = message_of(case, case.deliver("24000000000000001", "张三-openid", "医保怎么交？🙂"))
    assert (message.kind, message.text, message.user) == (
        Kind.TEXT,
        "医保怎么交？🙂",
        "张三-openid",
    )
    assert bool(message.reply_to) == case.channel.capability.push


def test_a_retry_has_the_same_key_and_another_message_has_another(case: Case) -> None:
    first = message_of(case, case.deliver("24000000000000001", "u", "医保"))
    retry = message_of(case, case.deliver("24000000000000001", "u", "医保"))
    other = message_of(case, case.deliver("24000000000000002", "u", "医保"))
    assert first.key == retry.key != other.key
    assert 0 < len(first.key) <= 128 and "u" not in first.key


def test_a_stranger_refuses_it(case: Case) -> None:
    delivery = case.deliver("1", "u", "医保")
    for stranger in case.strangers:
        with pytest.raises(Rejected) as caught:
            stranger.receive(delivery)
        assert caught.value.status == 403


@pytest.mark.parametrize("way", [1, -1], ids=["stale", "future"])
def test_it_is_refused_at_another_time(case: Case, way: int) -> None:
    delivery = case.deliver("1", "u", "医保")
    late = NOW + way * timedelta(seconds=case.window + 2)
    assert status_of(case, replace(delivery, received_at=late)) == 403
    just = NOW + way * timedelta(seconds=case.window - 2)
    assert isinstance(case.channel.receive(replace(delivery, received_at=just)), Message)


def test_without_a_signature_it_is_refused(case: Case) -> None:
    delivery = case.deliver("1", "u", "医保")
    if delivery.query or len(delivery.headers) > 1:
        assert status_of(case, replace(delivery, query={}, headers={})) == 403


def test_every_changed_byte_is_noticed(case: Case) -> None:
    delivery = case.deliver("1", "u", "医保")
    proofs = {"msg_signature", "signature", "sign", "x-lark-signature", "webhook-signature"}
    proofs |= {"timestamp", "nonce", "x-lark-request-nonce"}
    for where in ("query", "headers"):
        values = getattr(delivery, where)
        for name in proofs & set(values):
            if name == "signature" and "msg_signature" in values:
                continue  # does not cover the body, and is not looked at beside the one that does
            changed = {**values, name: flipped(values[name])}
            assert status_of(case, replace(delivery, **{where: changed})) == 403, name
    if not case.covers_body:
        return
    for place in range(0, len(delivery.body), 7):
        body = bytearray(delivery.body)
        body[place] ^= 1
        try:
            case.channel.receive(replace(delivery, body=bytes(body)))
        except Rejected as error:
            assert error.status in (400, 403)
        else:
            # Only what stands around the sealed message can change without being noticed.
            assert b"<ToUserName>" in delivery.body or b"<AgentID>" in delivery.body


def test_proofs_that_no_encoding_can_write_are_refused(case: Case) -> None:
    delivery = case.deliver("1", "u", "医保")
    for where in ("query", "headers"):
        values = getattr(delivery, where)
        for name in set(values) - {"content-type"}:
            changed = {**values, name: "\ud800社"}
            if name == "signature" and "msg_signature" in values:
                continue
            assert status_of(case, replace(delivery, **{where: changed})) == 403, name


def flipped(text: str) -> str:
    return ("1" if text[0] == "0" else "0") + text[1:]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b" \n", 400),
        (b"\xff\xfe<\x00x\x00m\x00l\x00", 400),
        ("<xml><Content>社</Content></xml>".encode("gb18030"), 400),
        (b"<xml><a>", 400),
        (b"<xml></xml><xml></xml>", 400),
        (b"<html></html>", 400),
        (b'<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><b>&a;</b></xml>', 400),
        (b'<?xml version="1.0"?><!DOCTYPE xml><xml><b>1</b></xml>', 400),
        (b"<xml>" + b"<a>" * 1000 + b"</a>" * 1000 + b"</xml>", 400),
        (b"[" * 10_000 + b"]" * 10_000, 400),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400),
        (b'{"a":' * 100 + b"1" + b"}" * 100, 400),
        (b"null", 400),
        (b'{"a":' + b"9" * 5_000 + b"}", 400),
        (b" " * (MAX_BYTES + 1), 413),
    ],
)
def test_what_cannot_be_read_is_refused(case: Case, body: bytes, status: int) -> None:
    delivery = case.deliver("1", "u", "医保")
    found = status_of(case, replace(delivery, body=body))
    # Channels whose signature covers the raw body may notice that first.
    assert found == status or (found == 403 and status == 400)


def test_only_the_methods_of_platforms_are_taken(case: Case) -> None:
    for method in ("PUT", "DELETE", "HEAD", "OPTIONS"):
        assert status_of(case, replace(case.deliver("1", "u", "医保"), method=method)) == 400


def test_an_unsigned_get_is_refused(case: Case) -> None:
    assert status_of(case, Delivery("GET", {}, {}, b"", NOW)) in (400, 403)


@pytest.mark.parametrize("text", [HOSTILE, "社" * 700, "👨‍👩‍👧" * 300, "]]>" * 900])
def test_words_survive_the_way_to_the_platform(case: Case, text: str) -> None:
    message = message_of(case, case.deliver("1", "u", "医保"))
    reply = Reply(text, source="依据：《办法》第一条", url="https://example.gov.cn/entries/1")
    response = case.channel.render(message, reply)
    words = case.read(response.body)
    if not case.channel.capability.passive:
        assert words == ""
        return
    if text == HOSTILE:
        assert words.startswith("完]]>整🙂<script>&amp;\n第二行")
    if case.channel.name in ("wechat", "wecom"):
        assert len(words.encode()) <= 2048
        assert "https://example.gov.cn/entries/1" in words or text == HOSTILE
    assert "依据：《办法》第一条" in words


def test_options_and_label_are_shown(case: Case) -> None:
    message = message_of(case, case.deliver("1", "u", "医保"))
    options = (Option("职工医保", "职工医保怎么交？"), Option("居民医保", "居民医保怎么交？"))
    reply = Reply("您想问哪一个？" + "社" * 3000, options=options, label="内容由AI生成")
    if case.channel.capability.passive:
        words = case.read(case.channel.render(message, reply).body)
        assert "1. 职工医保\n2. 居民医保\n回复序号（1、2）" in words
        assert words.endswith("内容由AI生成")


def test_silence_says_nothing(case: Case) -> None:
    message = message_of(case, case.deliver("1", "u", "医保"))
    for response in (case.channel.acknowledge(message), case.channel.render(message, Reply(""))):
        assert case.read(response.body) == ""


NAMES = [
    *("signature", "msg_signature", "timestamp", "nonce", "echostr", "encrypt_type", "sign"),
    *("x-lark-signature", "x-lark-request-timestamp", "x-lark-request-nonce"),
    *("webhook-id", "webhook-timestamp", "webhook-signature"),
]
ANY_TEXT = st.text(st.characters(), max_size=40) | st.just("1768442400")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=10,
)
FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def readable(case: Case, delivery: Delivery) -> None:
    """Either a refusal or something that everybody can work with."""
    try:
        found = case.channel.receive(delivery)
    except Rejected as error:
        assert error.status in (400, 403, 413)
        return
    if isinstance(found, Response):
        return
    assert 0 < len(found.key) <= 128 and found.user
    for text in (found.key, found.user, found.text, found.reply_to, *found.echo.values()):
        text.encode()
        assert "\x00" not in text
    case.channel.acknowledge(found)
    case.channel.render(found, Reply("好"))


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST"]),
    query=st.dictionaries(st.sampled_from(NAMES), ANY_TEXT),
    headers=st.dictionaries(st.sampled_from(NAMES), ANY_TEXT),
    body=st.binary(max_size=200) | ANYTHING.map(lambda value: json.dumps(value).encode()),
)
def test_anything_else_is_refused_and_nothing_else_is_raised(
    case: Case, method: str, query: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    readable(case, Delivery(method, query, headers, body, NOW))


@FUZZ
@given(data=st.data())
def test_a_damaged_genuine_delivery_raises_nothing_else(case: Case, data: st.DataObject) -> None:
    delivery = case.deliver("1", "u", "医保")
    query = {**delivery.query, **data.draw(st.dictionaries(st.sampled_from(NAMES), ANY_TEXT))}
    body = bytearray(delivery.body)
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        body[place] = data.draw(st.integers(0, 255))
    readable(case, replace(delivery, query=query, body=bytes(body)))


@FUZZ
@given(text=st.text(st.characters(), max_size=60), user=st.text(st.characters(), max_size=20))
def test_hostile_text_and_names_are_carried_or_refused(case: Case, text: str, user: str) -> None:
    def clean(value: str) -> Iterator[str]:
        return (c for c in value if not "\ud800" <= c <= "\udfff")

    delivery = case.deliver("1", "".join(clean(user)), "".join(clean(text)))
    readable(case, delivery)


FIELDS = [
    *("message", "sender", "sender_id", "open_id", "sender_type", "message_id", "message_type"),
    *("chat_type", "content", "mentions", "key", "text", "title", "operator_id"),
    *("msgtype", "msgId", "senderStaffId", "richText", "sessionWebhook"),
    *("sessionWebhookExpiredTime", "EventType", "encrypt"),
]
WORDS = [
    "text",
    "post",
    "richText",
    "audio",
    "group",
    "user",
    "{}",
    '{"text":1}',
    "[]",
    "1",
    "\x00",
]
STRUCTURE = st.recursive(
    st.sampled_from(WORDS) | st.none() | st.integers() | ANY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)
    ),
    max_leaves=25,
)
OBJECT = st.dictionaries(st.sampled_from(FIELDS), STRUCTURE, max_size=8)


@FUZZ
@given(fields=OBJECT)
def test_signed_nonsense_from_json_platforms_is_carried_or_refused(fields: dict[str, Any]) -> None:
    readable(CASES["dingtalk"], DingTalkPlatform(DINGTALK).post(fields, at=NOW))
    readable(CASES["dingtalk"], DingTalkPlatform(DINGTALK).event(fields, at=NOW))
    for name, key in (("feishu-encrypted", FEISHU.encrypt_key), ("feishu-plain", "")):
        platform = FeishuPlatform(replace(FEISHU, encrypt_key=key))
        readable(CASES[name], platform.event("1", fields, at=NOW))
        readable(CASES[name], platform.post(fields, at=NOW))


XML_FIELDS = ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "EventKey", "MsgId"]
XML_FIELDS += ["Content", "Recognition", "AgentID"]
XML_WORDS = ["text", "voice", "event", "CLICK", "subscribe", "1000002", "", "x" * 200]


@FUZZ
@given(
    fields=st.dictionaries(
        st.sampled_from(XML_FIELDS), st.sampled_from(XML_WORDS) | st.text(max_size=20)
    )
)
def test_signed_nonsense_from_xml_platforms_is_carried_or_refused(fields: dict[str, str]) -> None:
    for mode in wechat.MODES:
        delivery = WeChatPlatform(replace(WECHAT, mode=mode)).post(fields, at=NOW)
        readable(CASES[f"wechat-{mode}"], delivery)
    readable(CASES["wecom"], WeComPlatform(WECOM).post(fields, at=NOW))


@pytest.mark.parametrize("inner", [b"<!DOCTYPE xml><xml/>", b"\xff\xfe", b"", b"<xml/>", b"{}"])
def test_what_is_sealed_is_read_as_carefully(inner: bytes) -> None:
    sealed = envelope.encrypted(envelope.aes_key(KEY), inner, WECOM.corp_id)
    query = {"timestamp": str(int(NOW.timestamp())), "nonce": "n"}
    query["msg_signature"] = signatures.sha1_of_sorted(WECOM.token, *query.values(), sealed)
    body = xml.write({"Encrypt": sealed})
    with pytest.raises(Rejected) as caught:
        wecom.WeCom(WECOM).receive(Delivery("POST", query, {}, body, NOW))
    assert caught.value.status == 400
