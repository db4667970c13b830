"""WeChat Official Accounts; hides their signatures, three modes, two formats and their API.

The mode is that of the account, never that of the delivery: the signature of a plain delivery
does not cover its body, so that whoever saw one could pass anything off as plain.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service import wording
from service.channels import (
    Capability,
    Delivery,
    Message,
    Rejected,
    Reply,
    Response,
    Undelivered,
    dress,
    payloads,
    signatures,
    tencent,
    tokens,
    xml,
)
from service.channels.envelope import Envelope

API = "https://api.weixin.qq.com"
# The platform takes 2048 bytes.
LIMIT = 2000
DESCRIPTION_LIMIT = 500
MODES = ("plain", "compatible", "secure")

# The platform's codes.
TOKEN_REFUSED = {40001, 40014, 42001}
# Window closed, quota used up, no permission, no such person, person does not follow.
HOPELESS = {45015, 45047, 48001, 48002, 40003, 43004, 40013}

SUCCESS = Response(b"success")


@dataclass(frozen=True)
class Account:
    """What the platform's console shows of an account.

    Attributes:
        keys: EncodingAESKeys, the present one first; not needed in plain mode.
        secret: AppSecret; without it nothing can be said later.
    """

    app_id: str
    token: str = field(repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)
    secret: str = field(default="", repr=False)
    mode: str = "secure"


class WeChat:
    """One Official Account.

    Args:
        api: where the platform's API is.

    Raises:
        ValueError: keys that are none, or an unknown mode.
    """

    name = "wechat"

    def __init__(self, account: Account, *, api: str = API) -> None:
        if account.mode not in MODES:
            raise ValueError("unknown mode")
        self.account = account.app_id
        self.capability = Capability(patience=4.0, tries=3, passive=True, push=bool(account.secret))
        self._own = account
        self._api = api.rstrip("/")
        self._envelope = (
            None
            if account.mode == "plain"
            else Envelope(account.token, keys=account.keys, receive_ids=[account.app_id])
        )
        self._tokens = tokens.Tokens(self._fetch_token)

    def receive(self, delivery: Delivery) -> Message | Response:
        """The message of a genuine delivery; on GET, what proves that the address is ours."""
        if delivery.method == "GET":
            self._check_plain(delivery)
            return Response(payloads.clean(delivery.query.get("echostr", "")).encode())
        form, fields = _read(payloads.body_of(delivery))
        echo: dict[str, str] = {}
        if self._envelope:
            if delivery.query.get("encrypt_type") != "aes":
                raise Rejected(403, "plain delivery to an account whose mode is encrypted")
            opened = self._envelope.open(
                fields.get("Encrypt", ""),
                delivery,
                signature=delivery.query.get("msg_signature", ""),
            )
            form, fields = _read(opened.text)
            echo.update(opened.echo)
        else:
            if delivery.query.get("encrypt_type", "raw") != "raw":
                raise Rejected(403, "encrypted delivery to an account whose mode is plain")
            self._check_plain(delivery)
        echo |= {"form": form, "now": str(int(delivery.received_at.timestamp()))}
        user = fields.get("FromUserName", "")
        reply_to = json.dumps({"touser": user}) if self.capability.push else ""
        return tencent.message_of(fields, reply_to=reply_to, echo=echo)

    def render(self, message: Message, reply: Reply) -> Response:
        """A text; a single article where a short answer stands for one too long for a text."""
        text = dress.dressed(reply, LIMIT)
        if not text:
            return SUCCESS
        fields: dict[str, xml.Value] = {
            "ToUserName": message.echo["user"],
            "FromUserName": message.echo["us"],
            "CreateTime": int(message.echo["now"]),
        }
        if article := _article(reply):
            fields |= {"MsgType": "news", "ArticleCount": 1, "Articles": [article]}
        else:
            fields |= {"MsgType": "text", "Content": text}
        return self._response(_written(fields, message.echo["form"]), message.echo)

    def acknowledge(self, message: Message) -> Response:
        """`success`, which stays plain in every mode."""
        return SUCCESS

    def push(self, reply_to: str, reply: Reply, *, key: str) -> None:
        """A customer-service message."""
        text = dress.dressed(reply, LIMIT)
        if not text:
            return
        content = {**tokens.address_in(reply_to), "msgtype": "text", "text": {"content": text}}
        send = f"{self._api}/cgi-bin/message/custom/send"
        outcome = self._tokens.use(
            lambda token: tokens.post(send, content, params={"access_token": token}),
            refused=lambda answer: tokens.code_of(answer, "errcode") in TOKEN_REFUSED,
        )
        if code := tokens.code_of(outcome, "errcode"):
            raise Undelivered(f"code {code}", permanent=code in HOPELESS)

    def _check_plain(self, delivery: Delivery) -> None:
        query = delivery.query
        timestamp = query.get("timestamp", "")
        signatures.check_signature(
            query.get("signature", ""),
            signatures.sha1_of_sorted(self._own.token, timestamp, query.get("nonce", "")),
        )
        signatures.check_fresh(timestamp, delivery)

    def _response(self, body: Response, echo: Mapping[str, str]) -> Response:
        if not self._envelope:
            return body
        sealed = self._envelope.seal(body.body, echo)
        fields: dict[str, xml.Value] = {
            "Encrypt": sealed.encrypt,
            "MsgSignature": sealed.signature,
            "TimeStamp": int(sealed.timestamp),
            "Nonce": sealed.nonce,
        }
        return _written(fields, echo["form"])

    def _fetch_token(self) -> tuple[str, float]:
        # This kind of token can be asked for by several servers without undoing one another's.
        content = {
            "grant_type": "client_credential",
            "appid": self._own.app_id,
            "secret": self._own.secret,
        }
        answer = tokens.post(f"{self._api}/cgi-bin/stable_token", content)
        return tokens.token_in(answer, name="access_token", lifetime="expires_in")


def _read(text: str) -> tuple[str, Mapping[str, str]]:
    """(form, fields): an account chooses between XML and JSON, with the same names in both."""
    if not text.lstrip().startswith("{"):
        return "xml", xml.read(text.strip())
    values = payloads.read_json(text)
    return "json", {name: payloads.text_at(values, name) for name in values}


def _written(fields: Mapping[str, xml.Value], form: str) -> Response:
    if form == "json":
        return payloads.write_json(fields)
    return Response(xml.write(fields), xml.XML_TYPE)


def _article(reply: Reply) -> dict[str, Any] | None:
    """An article in place of a text that is too long, if nothing gets lost in it."""
    short = payloads.clean(reply.short).strip()
    if not (short and reply.url) or reply.options or reply.label:
        return None
    if dress.fits(reply, LIMIT):
        return None
    described = dress.dressed(Reply(short, source=reply.source), DESCRIPTION_LIMIT)
    if not dress.fits(Reply(short, source=reply.source), DESCRIPTION_LIMIT):
        return None
    return {
        "Title": wording.NEWS_TITLE,
        "Description": described,
        "PicUrl": "",
        "Url": payloads.clean(reply.url),
    }
