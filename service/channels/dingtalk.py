"""DingTalk robots and events; hides their two kinds of signature and where answers may be sent.

A robot's signature does not cover its body, so that the address for later words, which is in the
body, is never trusted: only its session is kept, and used at the platform's own address.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from service.channels import (
    Capability,
    Delivery,
    Kind,
    Message,
    Rejected,
    Reply,
    Response,
    Undelivered,
    dress,
    payloads,
    signatures,
    tokens,
)
from service.channels.envelope import Envelope

API = "https://oapi.dingtalk.com"
SESSION_PATH = "/robot/sendBySession"
# The platform's own rule for robots.
ROBOT_WINDOW = 3600.0
# The platform does not say how much it takes; this much is shown in full.
LIMIT = 5000

# Not a session, session over, robot stopped or not in the group.
HOPELESS = {300001, 300005, 310000, 400101, 400102, 400105}


@dataclass(frozen=True)
class Account:
    """What the platform's console shows of an application.

    Attributes:
        token: signs event callbacks; empty where none are subscribed to.
        keys: EncodingAESKeys of event callbacks, the present one first.
        corp_id: an alternative to the AppKey as the receiver of event callbacks.
    """

    app_key: str
    app_secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)
    corp_id: str = ""


class DingTalk:
    """One application with a robot in HTTP mode and, if set up, event callbacks.

    Args:
        api: where the platform's API is; nothing is ever sent anywhere else.
        clock: Unix time.

    Raises:
        ValueError: keys that are none.
    """

    name = "dingtalk"
    # Event callbacks must be answered within 1.5 s; robots are held to the same.
    capability = Capability(patience=1.2, tries=1, passive=True, push=True)

    def __init__(
        self, account: Account, *, api: str = API, clock: Callable[[], float] = time.time
    ) -> None:
        self.account = account.app_key
        self._own = account
        self._api = api.rstrip("/")
        self._clock = clock
        self._envelope = (
            Envelope(
                account.token,
                keys=account.keys,
                receive_ids=[each for each in (account.app_key, account.corp_id) if each],
                per_second=1000,
            )
            if account.token
            else None
        )

    def receive(self, delivery: Delivery) -> Message | Response:
        """The message of a genuine delivery; on the check of an address, what proves it ours."""
        fields = payloads.read_json(payloads.body_of(delivery))
        if "encrypt" in fields:
            return self._event(fields, delivery)
        stamp = delivery.headers.get("timestamp", "")
        signatures.check_signature(
            delivery.headers.get("sign", ""), robot_signature(stamp, self._own.app_secret)
        )
        signatures.check_fresh(stamp, delivery, window=ROBOT_WINDOW, per_second=1000)
        user = payloads.text_at(fields, "senderStaffId") or payloads.text_at(fields, "senderId")
        number = payloads.text_at(fields, "msgId")
        if not user or not number:
            raise Rejected(400, "no sender or no number")
        text = _words(fields).strip()
        return Message(
            kind=Kind.TEXT if text else Kind.OTHER,
            key=payloads.key_of(number),
            user=user,
            text=text,
            reply_to=self._session(fields),
        )

    def render(self, message: Message, reply: Reply) -> Response:
        """A text."""
        text = dress.dressed(reply, LIMIT)
        if not text or message.echo:
            return self.acknowledge(message)
        return payloads.write_json(_text(text))

    def acknowledge(self, message: Message) -> Response:
        """Nothing to a robot's message, a sealed `success` to an event."""
        return self._success(message.echo) if message.echo else payloads.write_json({})

    def push(self, reply_to: str, reply: Reply, *, key: str) -> None:
        """A text into the chat from which the message came."""
        text = dress.dressed(reply, LIMIT)
        if not text:
            return
        address = tokens.address_in(reply_to)
        if self._clock() * 1000 >= address["until"]:
            raise Undelivered("the session is over", permanent=True)
        params = {"session": address["session"]}
        outcome = tokens.post(f"{self._api}{SESSION_PATH}", _text(text), params=params)
        if code := tokens.code_of(outcome, "errcode"):
            raise Undelivered(f"code {code}", permanent=code in HOPELESS)

    def _event(self, fields: dict[str, Any], delivery: Delivery) -> Message | Response:
        if not self._envelope:
            raise Rejected(403, "event callback without token and key being set")
        query = delivery.query
        opened = self._envelope.open(
            payloads.text_at(fields, "encrypt"),
            delivery,
            signature=query.get("msg_signature") or query.get("signature", ""),
        )
        event = payloads.text_at(payloads.read_json(opened.text), "EventType")
        if event.startswith("check_"):
            return self._success(opened.echo)
        key = payloads.key_of("event", opened.text)
        return Message(kind=Kind.SILENT, key=key, user=event or "event", echo=opened.echo)

    def _success(self, echo: Any) -> Response:
        if not self._envelope:
            return payloads.write_json({})
        sealed = self._envelope.seal(b"success", echo)
        return payloads.write_json(
            {
                "msg_signature": sealed.signature,
                "timeStamp": sealed.timestamp,
                "nonce": sealed.nonce,
                "encrypt": sealed.encrypt,
            }
        )

    def _session(self, fields: dict[str, Any]) -> str:
        """Where later words go; empty where the message names any place but the platform's."""
        try:
            parts = urlsplit(payloads.text_at(fields, "sessionWebhook"))
            sessions = parse_qs(parts.query).get("session", [])
            until = int(payloads.text_at(fields, "sessionWebhookExpiredTime") or 0)
        except ValueError:
            return ""
        ours = f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self._api}{SESSION_PATH}"
        if not ours or len(sessions) != 1 or not until:
            return ""
        return json.dumps({"session": sessions[0], "until": until})


def robot_signature(stamp: str, secret: str) -> str:
    """The signature of a robot, in and out."""
    signed = f"{stamp}\n{secret}".encode("utf-8", "replace")
    return signatures.hmac_sha256(secret.encode(), signed)


def _words(fields: dict[str, Any]) -> str:
    """What was written, or said and recognised."""
    match payloads.text_at(fields, "msgtype"):
        case "text":
            return payloads.text_at(fields, "text", "content")
        case "audio":
            return payloads.text_at(fields, "content", "recognition")
        case "richText":
            content = fields.get("content")
            pieces = content.get("richText") if isinstance(content, dict) else None
            if isinstance(pieces, list):
                return "".join(payloads.text_at(piece, "text") for piece in pieces)
    return ""


def _text(text: str) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": text}}
