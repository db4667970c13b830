"""Plays the platforms: writes genuine deliveries and reads what comes back; hides formats.

What is written here is what each platform would post for an account with these credentials, so
that a city can see its installation answer before the platform lets it.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from service.channels import Delivery, dingtalk, envelope, feishu, signatures, wechat, wecom, xml
from service.channels.configured import Described


@dataclass(frozen=True)
class Habits:
    """How a platform delivers.

    Attributes:
        patience: seconds after which it hangs up.
        pauses: seconds before each further try.
    """

    patience: float
    pauses: tuple[float, ...]


class Platform(Protocol):
    """One platform with one account."""

    @property
    def habits(self) -> Habits:
        """How it delivers."""

    def deliver(self, message_id: str, user: str, text: str, *, at: datetime) -> Delivery:
        """A message of a person, posted at a time; a retry has the same id at a later time."""

    def read(self, body: bytes) -> str:
        """The words in an answer to a delivery; empty where it says nothing to the person.

        Raises:
            ValueError: the platform would not accept the answer.
        """


class WeChatPlatform:
    """WeChat, in the mode of the account."""

    habits = Habits(5.0, (0.0, 0.0))

    def __init__(self, account: wechat.Account) -> None:
        self._account = account

    def deliver(self, message_id: str, user: str, text: str, *, at: datetime) -> Delivery:
        """A text."""
        return self.post(
            {
                "ToUserName": "gh_policyqa",
                "FromUserName": user,
                "CreateTime": int(at.timestamp()),
                "MsgType": "text",
                "Content": text,
                "MsgId": message_id,
            },
            at=at,
        )

    def post(self, fields: Mapping[str, xml.Value], *, at: datetime) -> Delivery:
        """Any message."""
        account, body = self._account, xml.write(fields)
        query = {"timestamp": str(int(at.timestamp())), "nonce": secrets.token_hex(5)}
        query["signature"] = signatures.sha1_of_sorted(account.token, *query.values())
        if account.mode != "plain":
            sealed = envelope.encrypted(envelope.aes_key(account.keys[0]), body, account.app_id)
            query["msg_signature"] = signatures.sha1_of_sorted(
                account.token, query["timestamp"], query["nonce"], sealed
            )
            query["encrypt_type"] = "aes"
            beside = fields if account.mode == "compatible" else {"ToUserName": "gh_policyqa"}
            body = xml.write({**beside, "Encrypt": sealed})
        return Delivery("POST", query, {"content-type": "text/xml"}, body, at)

    def check(self, *, at: datetime) -> Delivery:
        """The question whether the address is ours."""
        query = {"timestamp": str(int(at.timestamp())), "nonce": secrets.token_hex(5)}
        query["signature"] = signatures.sha1_of_sorted(self._account.token, *query.values())
        return Delivery("GET", {**query, "echostr": "4375120948345356249"}, {}, b"", at)

    def read(self, body: bytes) -> str:
        """The text of a passive reply, or the words of its article."""
        if body in (b"", b"success"):
            return ""
        fields = xml.read(body.decode())
        if self._account.mode != "plain":
            account = self._account
            fields = _unsealed(fields, account.token, keys=account.keys, to=account.app_id)
        if fields["MsgType"] == "text":
            return fields["Content"]
        article = (fields[f"Articles/item/{name}"] for name in ("Title", "Description", "Url"))
        return "\n".join(article)


class WeComPlatform:
    """WeCom."""

    habits = Habits(5.0, (0.0, 0.0))

    def __init__(self, account: wecom.Account) -> None:
        self._account = account

    def deliver(self, message_id: str, user: str, text: str, *, at: datetime) -> Delivery:
        """A text."""
        return self.post(
            {
                "ToUserName": self._account.corp_id,
                "FromUserName": user,
                "CreateTime": int(at.timestamp()),
                "MsgType": "text",
                "Content": text,
                "MsgId": message_id,
                "AgentID": self._account.agent_id,
            },
            at=at,
        )

    def post(self, fields: Mapping[str, xml.Value], *, at: datetime) -> Delivery:
        """Any message."""
        sealed, query = self._sealed(xml.write(fields), at)
        outer = {"ToUserName": self._account.corp_id, "AgentID": self._account.agent_id}
        body = xml.write({**outer, "Encrypt": sealed})
        return Delivery("POST", query, {"content-type": "text/xml"}, body, at)

    def check(self, *, at: datetime) -> Delivery:
        """The question whether the address is ours."""
        sealed, query = self._sealed(b"1616140317555161061", at)
        return Delivery("GET", {**query, "echostr": sealed}, {}, b"", at)

    def read(self, body: bytes) -> str:
        """The text of a passive reply."""
        if not body:
            return ""
        account = self._account
        fields = xml.read(body.decode())
        return _unsealed(fields, account.token, keys=account.keys, to=account.corp_id)["Content"]

    def _sealed(self, message: bytes, at: datetime) -> tuple[str, dict[str, str]]:
        account = self._account
        sealed = envelope.encrypted(envelope.aes_key(account.keys[0]), message, account.corp_id)
        query = {"timestamp": str(int(at.timestamp())), "nonce": secrets.token_hex(5)}
        signature = signatures.sha1_of_sorted(account.token, *query.values(), sealed)
        return sealed, {"msg_signature": signature, **query}


class DingTalkPlatform:
    """DingTalk, a robot in HTTP mode.

    Args:
        api: where the account expects later words to be sent.
    """

    habits = Habits(5.0, ())

    def __init__(self, account: dingtalk.Account, api: str = dingtalk.API) -> None:
        self._account = account
        self._api = api.rstrip("/")

    def deliver(self, message_id: str, user: str, text: str, *, at: datetime) -> Delivery:
        """A text in a chat of two."""
        moment = int(at.timestamp() * 1000)
        fields = {
            "conversationId": f"cid-{user}",
            "conversationType": "1",
            "msgId": message_id,
            "msgtype": "text",
            "text": {"content": f" {text}"},
            "senderStaffId": user,
            "senderId": f"$:LWCP_v1:${user}",
            "senderNick": user,
            "sessionWebhook": f"{self._api}{dingtalk.SESSION_PATH}?session=session-{message_id}",
            "sessionWebhookExpiredTime": moment + 5_400_000,
            "createAt": moment,
            "robotCode": self._account.app_key,
        }
        return self.post(fields, at=at)

    def post(self, fields: Mapping[str, Any], *, at: datetime) -> Delivery:
        """Any message to the robot."""
        stamp = str(int(at.timestamp() * 1000))
        sign = dingtalk.robot_signature(stamp, self._account.app_secret)
        headers = {"content-type": "application/json", "timestamp": stamp, "sign": sign}
        return Delivery("POST", {}, headers, json.dumps(fields).encode(), at)

    def event(self, fields: Mapping[str, Any], *, at: datetime) -> Delivery:
        """An event callback."""
        account, message = self._account, json.dumps(fields).encode()
        to = account.corp_id or account.app_key
        sealed = envelope.encrypted(envelope.aes_key(account.keys[0]), message, to)
        query = {"timestamp": str(int(at.timestamp() * 1000)), "nonce": secrets.token_hex(4)}
        query["msg_signature"] = signatures.sha1_of_sorted(account.token, *query.values(), sealed)
        return Delivery("POST", query, {}, json.dumps({"encrypt": sealed}).encode(), at)

    def read(self, body: bytes) -> str:
        """The text of an answer to the robot's message."""
        fields = json.loads(body) if body else {}
        return str(fields["text"]["content"]) if fields.get("msgtype") == "text" else ""

    def read_event(self, body: bytes) -> str:
        """The word in the sealed answer to an event."""
        fields, account = json.loads(body), self._account
        expected = signatures.sha1_of_sorted(
            account.token, fields["timeStamp"], fields["nonce"], fields["encrypt"]
        )
        if fields["msg_signature"] != expected:
            raise ValueError("wrong signature")
        message, _ = envelope.decrypted(envelope.aes_key(account.keys[0]), fields["encrypt"])
        return message.decode()


class FeishuPlatform:
    """Feishu, encrypted and signed if the account has an Encrypt Key."""

    habits = Habits(3.0, (15.0, 300.0, 3600.0, 21600.0))

    def __init__(self, account: feishu.Account) -> None:
        self._account = account

    def deliver(self, message_id: str, user: str, text: str, *, at: datetime) -> Delivery:
        """A text in a chat of two."""
        event = {
            "sender": {"sender_id": {"open_id": user}, "sender_type": "user"},
            "message": {
                "message_id": f"om_{message_id}",
                "chat_id": f"oc_{user}",
                "chat_type": "p2p",
                "message_type": "text",
                "content": json.dumps({"text": text}, ensure_ascii=False),
            },
        }
        return self.event(message_id, event, at=at)

    def event(
        self,
        event_id: str,
        event: Mapping[str, Any],
        *,
        at: datetime,
        sort: str = "im.message.receive_v1",
    ) -> Delivery:
        """Any event."""
        header = {
            "event_id": event_id,
            "event_type": sort,
            "create_time": str(int(at.timestamp() * 1000)),
            "token": self._account.verification_token,
            "app_id": self._account.app_id,
            "tenant_key": "policyqa",
        }
        return self.post({"schema": "2.0", "header": header, "event": event}, at=at)

    def post(self, fields: Mapping[str, Any], *, at: datetime) -> Delivery:
        """Any content."""
        key, headers = self._account.encrypt_key, {"content-type": "application/json"}
        body = json.dumps(fields).encode()
        if key:
            body = json.dumps({"encrypt": feishu_encrypted(key, body)}).encode()
            stamp, nonce = str(int(at.timestamp())), secrets.token_hex(8)
            headers |= {
                "x-lark-request-timestamp": stamp,
                "x-lark-request-nonce": nonce,
                "x-lark-signature": feishu.signature(stamp, nonce, key, body),
            }
        return Delivery("POST", {}, headers, body, at)

    def check(self, *, at: datetime) -> Delivery:
        """The question whether the address is ours; it is not signed."""
        token = self._account.verification_token
        fields = {"challenge": "ajls384kdjx98XX", "token": token, "type": "url_verification"}
        signed = self.post(fields, at=at)
        return Delivery("POST", {}, {"content-type": "application/json"}, signed.body, at)

    def read(self, body: bytes) -> str:
        """Nothing: this platform takes no words in an answer."""
        json.loads(body)
        return ""


def platform(described: Described) -> Platform:
    """The platform that knows an account."""
    match described.account:
        case wechat.Account() as account:
            return WeChatPlatform(account)
        case wecom.Account() as account:
            return WeComPlatform(account)
        case dingtalk.Account() as account:
            return DingTalkPlatform(account, described.api)
        case feishu.Account() as account:
            return FeishuPlatform(account)


def feishu_encrypted(encrypt_key: str, message: bytes) -> str:
    """A message as Feishu encrypts it."""
    start, padder = secrets.token_bytes(16), PKCS7(128).padder()
    key = hashlib.sha256(encrypt_key.encode()).digest()
    cipher = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    padded = padder.update(message) + padder.finalize()
    return base64.b64encode(start + cipher.update(padded) + cipher.finalize()).decode()


def _unsealed(
    fields: Mapping[str, str], token: str, *, keys: tuple[str, ...], to: str
) -> dict[str, str]:
    """The fields of a sealed passive reply."""
    expected = signatures.sha1_of_sorted(
        token, fields["TimeStamp"], fields["Nonce"], fields["Encrypt"]
    )
    if fields["MsgSignature"] != expected:
        raise ValueError("wrong signature")
    message, receive_id = envelope.decrypted(envelope.aes_key(keys[0]), fields["Encrypt"])
    if receive_id != to.encode():
        raise ValueError("for another account")
    return xml.read(message.decode())
