"""The platforms' own samples, and values computed from their rules, hold to the last bit."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from service.channels import (
    Delivery,
    Kind,
    Message,
    Rejected,
    Response,
    dingtalk,
    envelope,
    feishu,
    recording,
    signatures,
    wechat,
    wecom,
)

Vector = dict[str, Any]
VECTORS: dict[str, list[Vector]] = json.loads(
    (Path(__file__).parent / "fixtures" / "vectors.json").read_text(encoding="utf-8")
)


def vectors(group: str) -> pytest.MarkDecorator:
    names = [v.get("id", f"{group}-{i}") for i, v in enumerate(VECTORS[group])]
    return pytest.mark.parametrize("vector", VECTORS[group], ids=names)


def moment(vector: Vector) -> datetime:
    seconds = int(vector["timestamp"])
    return datetime.fromtimestamp(seconds / 1000 if seconds > 10**11 else seconds, UTC)


def delivery(vector: Vector, method: str = "POST", body: bytes = b"", **query: str) -> Delivery:
    query = {name: vector[name] for name in ("timestamp", "nonce")} | query
    return Delivery(method, query, {}, body, moment(vector))


def test_there_are_nineteen() -> None:
    assert sum(map(len, VECTORS.values())) == 19


@vectors("wechat_plain_signature")
def test_wechat_verifies_an_address(vector: Vector) -> None:
    echo = vector.get("echostr", "any")
    channel = wechat.WeChat(wechat.Account("wx", vector["token"], mode="plain"))
    asked = delivery(vector, "GET", signature=vector["signature"], echostr=echo)
    assert channel.receive(asked) == Response(vector.get("expect_body", "any").encode())
    with pytest.raises(Rejected):
        channel.receive(replace(asked, query={**asked.query, "nonce": "1"}))


@vectors("aes_envelope")
def test_the_envelope_opens_and_closes(vector: Vector) -> None:
    key, message = envelope.aes_key(vector["encoding_aes_key"]), vector["msg"].encode()
    assert envelope.decrypted(key, vector["encrypt"]) == (message, vector["receive_id"].encode())
    prefix = vector["random"].encode()
    assert (
        envelope.encrypted(key, message, vector["receive_id"], prefix=prefix) == vector["encrypt"]
    )
    whole = 16 + 4 + len(message) + len(vector["receive_id"])
    assert 32 - whole % 32 == vector["pad"]


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["aes_envelope"] if v["msg_signature"]], ids=lambda v: v["id"]
)
def test_the_envelope_is_signed(vector: Vector) -> None:
    milliseconds = len(vector["timestamp"]) > 10
    account = envelope.Envelope(
        vector["token"],
        keys=[vector["encoding_aes_key"]],
        receive_ids=[vector["receive_id"]],
        per_second=1000 if milliseconds else 1,
    )
    signature = vector["msg_signature"]
    opened = account.open(vector["encrypt"], delivery(vector), signature=signature)
    assert opened.text == vector["msg"]
    sealed = account.seal(b"x", opened.echo)
    again = account.open(sealed.encrypt, delivery(vector), signature=sealed.signature)
    assert (again.text, sealed.nonce) == ("x", vector["nonce"])
    assert sealed.timestamp == vector["timestamp"]
    with pytest.raises(Rejected):
        account.open(vector["encrypt"], delivery(vector, nonce="1"), signature=signature)


def aes(id: str) -> Vector:
    return next(v for v in VECTORS["aes_envelope"] if v["id"] == id)


def test_wechat_receives_its_official_sample() -> None:
    vector = aes("wx-official-in")
    keys = (vector["encoding_aes_key"],)
    channel = wechat.WeChat(wechat.Account(vector["receive_id"], vector["token"], keys))
    body = json.dumps({"ToUserName": "gh", "Encrypt": vector["encrypt"]}).encode()
    query = {"msg_signature": vector["msg_signature"], "encrypt_type": "aes"}
    message = channel.receive(delivery(vector, body=body, **query))
    assert isinstance(message, Message)
    assert (message.kind, message.user) == (Kind.SILENT, "o9AgO5Kd5ggOC-bXrbNODIiE3bGY")


def test_wechat_receives_chinese() -> None:
    vector = aes("wx-chinese-text")
    keys = (vector["encoding_aes_key"],)
    channel = wechat.WeChat(wechat.Account(vector["receive_id"], vector["token"], keys))
    body = f"<xml><ToUserName>gh</ToUserName><Encrypt>{vector['encrypt']}</Encrypt></xml>"
    query = {"msg_signature": vector["msg_signature"], "encrypt_type": "aes"}
    message = channel.receive(delivery(vector, body=body.encode(), **query))
    assert isinstance(message, Message)
    assert (message.text, message.key) == ("医保异地就医怎么备案?", "24000000000000001")


def wecom_account(vector: Vector) -> wecom.Account:
    return wecom.Account(
        vector["receive_id"], "218", vector["token"], (vector["encoding_aes_key"],)
    )


def test_wecom_verifies_an_address_with_its_official_sample() -> None:
    vector = aes("wecom-official-echostr")
    query = {"msg_signature": vector["msg_signature"], "echostr": vector["encrypt"]}
    asked = delivery(vector, "GET", **query)
    channel = wecom.WeCom(wecom_account(vector))
    assert channel.receive(asked) == Response(b"1616140317555161061")


def test_wecom_receives_its_official_sample() -> None:
    vector = aes("wecom-official-msg")
    body = f"<xml><AgentID>218</AgentID><Encrypt>{vector['encrypt']}</Encrypt></xml>".encode()
    posted = delivery(vector, body=body, msg_signature=vector["msg_signature"])
    message = wecom.WeCom(wecom_account(vector)).receive(posted)
    assert isinstance(message, Message)
    assert (message.text, message.user, message.key) == ("hello", "mycreate", "4561255354251345929")


def test_dingtalk_answers_the_check_of_its_official_sample() -> None:
    vector = aes("dingtalk-official-event")
    keys = (vector["encoding_aes_key"],)
    account = dingtalk.Account("key", "secret", vector["token"], keys, vector["receive_id"])
    body = json.dumps({"encrypt": vector["encrypt"]}).encode()
    posted = delivery(vector, body=body, signature=vector["msg_signature"])
    response = dingtalk.DingTalk(account).receive(posted)
    assert isinstance(response, Response)
    answer = json.loads(response.body)
    assert set(answer) == {"msg_signature", "timeStamp", "nonce", "encrypt"}
    opened = envelope.decrypted(envelope.aes_key(keys[0]), answer["encrypt"])
    assert opened == (b"success", vector["receive_id"].encode())


@vectors("feishu")
def test_feishu_decrypts_and_signs(vector: Vector) -> None:
    if "plaintext" in vector:
        plain = feishu.decrypted(vector["encrypt_key"], vector["encrypt"])
        assert plain == vector["plaintext"].encode()
    if "signature" in vector:
        made = feishu.signature(
            vector["timestamp"],
            vector["nonce"],
            vector["encrypt_key"],
            vector["raw_body"].encode(),
        )
        assert made == vector["signature"]


def test_feishu_answers_the_check_of_the_vector() -> None:
    vector = VECTORS["feishu"][1]
    channel = feishu.Feishu(feishu.Account("cli", "secret", "xxxxxx", vector["encrypt_key"]))
    response = channel.receive(
        Delivery("POST", {}, {}, vector["raw_body"].encode(), moment(vector))
    )
    assert isinstance(response, Response)
    assert json.loads(response.body) == {"challenge": "ajls384kdjx98XX"}


@vectors("dingtalk_sign")
def test_dingtalk_signs(vector: Vector) -> None:
    made = dingtalk.robot_signature(vector["timestamp"], vector["secret"])
    assert made == vector["sign"]
    assert quote(made, safe="") == vector.get("url_sign", quote(vector["sign"], safe=""))


@vectors("feishu_custom_bot_sign")
def test_the_same_digest_signs_for_robots_of_feishu_that_only_send(vector: Vector) -> None:
    key = f"{vector['timestamp']}\n{vector['secret']}".encode()
    assert signatures.hmac_sha256(key, b"") == vector["sign"]


@vectors("standard_webhooks")
def test_standard_webhooks(vector: Vector) -> None:
    secret = base64.b64decode(vector["secret"].removeprefix("whsec_"))
    payload = vector["payload"].encode()
    made = recording.signature(secret, vector["id"], vector["timestamp"], payload)
    assert made == vector["signature"]
