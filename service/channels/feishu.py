"""Feishu (Lark) robots; hides their encryption, signature, events and API.

The platform never carries an answer back on a delivery: words are always sent by its API, which
itself drops what is sent twice with the same key.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

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

API = "https://open.feishu.cn"
# The platform takes 150 kB; nobody reads that on a phone.
LIMIT = 20_000
# Without signatures only the event tells its time, and it is sent again for seven hours.
RETRIES = 8 * 3600.0
BLOCK_BYTES = 16

# The platform's codes: token missing, wrong or expired.
TOKEN_REFUSED = {99991661, 99991663, 99991664, 99991668, 99991677}
# Robot not in the chat, message withdrawn or deleted, person out of reach, no permission.
HOPELESS = {230001, 230002, 230006, 230011, 230013, 230018, 230027, 230035, 230050, 231003}


@dataclass(frozen=True)
class Account:
    """What the platform's console shows of an application.

    Attributes:
        encrypt_key: encrypts and signs deliveries; without it only the verification token
            shows that they are genuine.
    """

    app_id: str
    app_secret: str = field(repr=False)
    verification_token: str = field(repr=False)
    encrypt_key: str = field(default="", repr=False)


class Feishu:
    """One application with a robot.

    Args:
        api: where the platform's API is.
    """

    name = "feishu"
    capability = Capability(patience=2.5, tries=5, passive=False, push=True, repeatable=True)

    def __init__(self, account: Account, *, api: str = API) -> None:
        self.account = account.app_id
        self._own = account
        self._api = api.rstrip("/")
        self._tokens = tokens.Tokens(self._fetch_token)

    def receive(self, delivery: Delivery) -> Message | Response:
        """The message of a genuine delivery; on the check of an address, what proves it ours."""
        fields = payloads.read_json(payloads.body_of(delivery))
        signed = self._own.encrypt_key and self._signed(delivery)
        if self._own.encrypt_key:
            fields = self._decrypted(fields)
        token = payloads.text_at(fields, "header", "token") or payloads.text_at(fields, "token")
        if not signatures.same(token, self._own.verification_token):
            raise Rejected(403, "wrong verification token")
        if payloads.text_at(fields, "type") == "url_verification":
            return payloads.write_json({"challenge": payloads.text_at(fields, "challenge")})
        if self._own.encrypt_key and not signed:
            raise Rejected(403, "wrong signature")
        if payloads.text_at(fields, "schema") != "2.0":
            raise Rejected(400, "event of version 1; subscribe to version 2")
        if payloads.text_at(fields, "header", "app_id") != self._own.app_id:
            raise Rejected(403, "for another application")
        if not signed:
            _check_age(payloads.text_at(fields, "header", "create_time"), delivery)
        return _message(fields)

    def render(self, message: Message, reply: Reply) -> Response:
        """Nothing: a delivery cannot be answered with words."""
        return self.acknowledge(message)

    def acknowledge(self, message: Message) -> Response:
        """An empty JSON object."""
        return payloads.write_json({})

    def push(self, reply_to: str, reply: Reply, *, key: str) -> None:
        """A reply to the message, or a new message to who opened the chat."""
        text = dress.dressed(reply, LIMIT)
        if not text:
            return
        address = tokens.address_in(reply_to)
        content: dict[str, Any] = {
            "msg_type": "text",
            "content": json.dumps({"text": text}, ensure_ascii=False),
            "uuid": key,
        }
        messages, params = f"{self._api}/open-apis/im/v1/messages", {}
        if number := address.get("message"):
            url = f"{messages}/{quote(number, safe='')}/reply"
        else:
            url, params = messages, {"receive_id_type": "open_id"}
            content["receive_id"] = address["user"]
        outcome = self._tokens.use(
            lambda token: tokens.post(
                url, content, params=params, headers={"Authorization": f"Bearer {token}"}
            ),
            refused=lambda answer: tokens.code_of(answer, "code") in TOKEN_REFUSED,
        )
        if code := tokens.code_of(outcome, "code"):
            raise Undelivered(f"code {code}", permanent=code in HOPELESS)

    def _signed(self, delivery: Delivery) -> bool:
        """Whether the delivery carries a signature; a check of the address has none.

        Raises:
            Rejected: 403, it has one, and that is wrong or stale.
        """
        given = delivery.headers.get("x-lark-signature", "")
        if not given:
            return False
        stamp = delivery.headers.get("x-lark-request-timestamp", "")
        nonce = delivery.headers.get("x-lark-request-nonce", "")
        expected = signature(stamp, nonce, self._own.encrypt_key, delivery.body)
        signatures.check_signature(given, expected)
        signatures.check_fresh(stamp, delivery)
        return True

    def _decrypted(self, fields: dict[str, Any]) -> dict[str, Any]:
        try:
            plain = decrypted(self._own.encrypt_key, payloads.text_at(fields, "encrypt"))
            return payloads.read_json(payloads.decoded(plain))
        except (ValueError, Rejected):
            # One status for all: a second would tell a forger how far decryption got.
            raise Rejected(403, "not encrypted with our key") from None

    def _fetch_token(self) -> tuple[str, float]:
        content = {"app_id": self._own.app_id, "app_secret": self._own.app_secret}
        url = f"{self._api}/open-apis/auth/v3/tenant_access_token/internal"
        answer = tokens.post(url, content)
        return tokens.token_in(answer, name="tenant_access_token", lifetime="expire")


def signature(stamp: str, nonce: str, encrypt_key: str, body: bytes) -> str:
    """The signature of an event (version 2): over the body as it came in."""
    before = f"{stamp}{nonce}{encrypt_key}".encode("utf-8", "replace")
    return hashlib.sha256(before + body).hexdigest()


def decrypted(encrypt_key: str, encrypt: str) -> bytes:
    """What a delivery says.

    Raises:
        ValueError: not Base64, damaged, or encrypted with another key.
    """
    sealed = base64.b64decode(encrypt, validate=True)
    start, rest = sealed[:BLOCK_BYTES], sealed[BLOCK_BYTES:]
    if not rest or len(rest) % BLOCK_BYTES:
        raise ValueError("not a whole number of blocks")
    key = hashlib.sha256(encrypt_key.encode()).digest()
    cipher = Cipher(algorithms.AES(key), modes.CBC(start)).decryptor()
    unpadder = PKCS7(BLOCK_BYTES * 8).unpadder()
    return unpadder.update(cipher.update(rest) + cipher.finalize()) + unpadder.finalize()


def _check_age(moment: str, delivery: Delivery) -> None:
    """Events tell their time in milliseconds, some in microseconds."""
    per_second = 1_000_000 if len(moment) > 13 else 1000
    signatures.check_fresh(moment, delivery, window=RETRIES, per_second=per_second)


def _message(fields: dict[str, Any]) -> Message:
    event, sort = fields.get("event"), payloads.text_at(fields, "header", "event_type")
    identifier = payloads.text_at(fields, "header", "event_id")
    if not identifier:
        raise Rejected(400, "no event_id")
    key = payloads.key_of(identifier)
    if sort == "im.chat.access_event.bot_p2p_chat_entered_v1":
        user = payloads.text_at(event, "operator_id", "open_id")
        # The event comes each time; only who comes for the first time is welcomed.
        first = user and not payloads.text_at(event, "last_message_id")
        if not first:
            return Message(Kind.SILENT, key, user or sort)
        return Message(Kind.ARRIVED, key, user, reply_to=json.dumps({"user": user}))
    if sort != "im.message.receive_v1":
        return Message(Kind.SILENT, key, sort or "event")
    user = payloads.text_at(event, "sender", "sender_id", "open_id")
    number = payloads.text_at(event, "message", "message_id")
    if not user or not number:
        raise Rejected(400, "no sender or no number")
    if not _meant_for_us(event):
        return Message(Kind.SILENT, key, user)
    text = _words(event)
    return Message(
        kind=Kind.TEXT if text else Kind.OTHER,
        key=key,
        user=user,
        text=text,
        reply_to=json.dumps({"message": number}),
    )


def _meant_for_us(event: Any) -> bool:
    """Whether a person wrote to the robot: other robots, and talk in a group, are left alone."""
    if payloads.text_at(event, "sender", "sender_type") not in ("user", ""):
        return False
    return payloads.text_at(event, "message", "chat_type") != "group" or bool(_mentions(event))


def _mentions(event: Any) -> list[Any]:
    found = event["message"].get("mentions")
    return found if isinstance(found, list) else []


def _words(event: Any) -> str:
    sort = payloads.text_at(event, "message", "message_type")
    if sort not in ("text", "post"):
        return ""
    content = payloads.read_json(payloads.text_at(event, "message", "content"))
    if sort == "text":
        text = payloads.text_at(content, "text")
    else:
        text = "\n".join(filter(None, _lines(content)))
    for mention in _mentions(event):
        text = text.replace(payloads.text_at(mention, "key") or "\0", "")
    return text.strip()


def _lines(content: dict[str, Any]) -> Iterator[str]:
    """The title and the paragraphs of rich text."""
    yield payloads.text_at(content, "title")
    paragraphs = content.get("content")
    for paragraph in paragraphs if isinstance(paragraphs, list) else []:
        pieces = paragraph if isinstance(paragraph, list) else []
        yield "".join(payloads.text_at(p, "text") for p in pieces if isinstance(p, dict))
