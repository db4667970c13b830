"""A channel to oneself: signed JSON in, JSON out, pushed words kept in memory.

For trying the service without an account anywhere, and for tests. Deliveries are signed as
Standard Webhooks describes, so that they are as genuine, or as forged, as those of a platform.
"""

import json
from dataclasses import dataclass
from datetime import datetime

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
)

LIMIT = 2000
# A message is pushed to whoever wrote it, so any person will do.
EVERYTHING = Capability(patience=4.0, tries=3, passive=True, push=True)


@dataclass(frozen=True)
class Pushed:
    """Words sent later: to whom, under which key."""

    user: str
    key: str
    text: str


class RecordingChannel:
    """One account of the channel to oneself.

    Args:
        secret: signs deliveries.
        capability: what the account is to allow.

    Attributes:
        pushed: what was sent later, oldest first.
        refusal: raised by `push` instead of keeping the words, while it is set.
    """

    name = "recording"

    def __init__(
        self,
        secret: str = "recording",
        *,
        account: str = "recording",
        capability: Capability = EVERYTHING,
    ) -> None:
        self.account = account
        self.capability = capability
        self.pushed: list[Pushed] = []
        self.refusal: Undelivered | None = None
        self._secret = secret.encode()

    def receive(self, delivery: Delivery) -> Message | Response:
        """The message of a genuine delivery."""
        text = payloads.body_of(delivery)
        identifier = delivery.headers.get("webhook-id", "")
        stamp = delivery.headers.get("webhook-timestamp", "")
        signatures.check_signature(
            delivery.headers.get("webhook-signature", ""),
            signature(self._secret, identifier, stamp, delivery.body),
        )
        signatures.check_fresh(stamp, delivery)
        fields = payloads.read_json(text)
        if payloads.text_at(fields, "account") != self.account:
            raise Rejected(403, "for another account")
        user, kind = payloads.text_at(fields, "user"), payloads.text_at(fields, "kind")
        if not user or kind not in set(Kind):
            raise Rejected(400, "no user, or an unknown kind")
        return Message(
            kind=Kind(kind),
            key=payloads.key_of(identifier),
            user=user,
            text=payloads.text_at(fields, "text").strip(),
            reply_to=json.dumps({"user": user}) if self.capability.push else "",
            echo={"key": identifier},
        )

    def render(self, message: Message, reply: Reply) -> Response:
        """JSON with the dressed text; empty where there is nothing to say."""
        return payloads.write_json({"text": dress.dressed(reply, LIMIT)})

    def acknowledge(self, message: Message) -> Response:
        """An empty JSON object."""
        return payloads.write_json({})

    def push(self, reply_to: str, reply: Reply, *, key: str) -> None:
        """Keep the words."""
        if self.refusal:
            raise self.refusal
        user = str(json.loads(reply_to)["user"])
        self.pushed.append(Pushed(user, key, dress.dressed(reply, LIMIT)))

    def delivery(
        self, key: str, user: str, text: str, *, at: datetime, kind: Kind = Kind.TEXT
    ) -> Delivery:
        """A genuine delivery, as a platform would post it.

        Args:
            key: identifies the message; the same for each retry.
            at: when it is posted.
        """
        fields = {"account": self.account, "user": user, "kind": kind, "text": text}
        body = json.dumps(fields, ensure_ascii=False).encode()
        stamp = str(int(at.timestamp()))
        headers = {
            "webhook-id": key,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(self._secret, key, stamp, body),
        }
        return Delivery("POST", {}, headers, body, at)


def signature(secret: bytes, identifier: str, stamp: str, body: bytes) -> str:
    """The signature of Standard Webhooks, version 1."""
    signed = f"{identifier}.{stamp}.".encode("utf-8", "replace") + body
    return f"v1,{signatures.hmac_sha256(secret, signed)}"
