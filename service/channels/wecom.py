"""WeCom applications; hides their envelope, XML and API.

Private installations (such as those of governments) have the same protocol at another address.
"""

import json
from dataclasses import dataclass, field

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
    tencent,
    tokens,
    xml,
)
from service.channels.envelope import Envelope

API = "https://qyapi.weixin.qq.com"
# The platform takes 2048 bytes.
LIMIT = 2000

# The platform drops the same words to the same person within so many seconds: a reply sent again
# after a crash is not read twice.
SAME_WORDS_WITHIN = 60

# The platform's codes.
TOKEN_REFUSED = {40001, 40014, 42001}
# No such person, person may not see the application, no permission, application removed.
HOPELESS = {40003, 40031, 46004, 60011, 60111, 81013, 48002, 301002, 40056}


@dataclass(frozen=True)
class Account:
    """What the platform's console shows of an application.

    Attributes:
        keys: EncodingAESKeys, the present one first.
        secret: without it nothing can be said later.
    """

    corp_id: str
    agent_id: str
    token: str = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)
    secret: str = field(default="", repr=False)


class WeCom:
    """One application of one organisation.

    Args:
        api: where the platform's API is.

    Raises:
        ValueError: keys that are none, or an agent that is no number.
    """

    name = "wecom"

    def __init__(self, account: Account, *, api: str = API) -> None:
        self._agent = int(account.agent_id)
        self.account = f"{account.corp_id}/{account.agent_id}"
        self.capability = Capability(patience=4.0, tries=3, passive=True, push=bool(account.secret))
        self._own = account
        self._api = api.rstrip("/")
        self._envelope = Envelope(account.token, keys=account.keys, receive_ids=[account.corp_id])
        self._tokens = tokens.Tokens(self._fetch_token)

    def receive(self, delivery: Delivery) -> Message | Response:
        """The message of a genuine delivery; on GET, what proves that the address is ours."""
        signature = delivery.query.get("msg_signature", "")
        if delivery.method == "GET":
            echo = delivery.query.get("echostr", "")
            opened = self._envelope.open(echo, delivery, signature=signature)
            return Response(opened.text.encode())
        outer = xml.read(payloads.body_of(delivery).strip())
        opened = self._envelope.open(outer.get("Encrypt", ""), delivery, signature=signature)
        fields = xml.read(opened.text.strip())
        if fields.get("AgentID", str(self._agent)) != str(self._agent):
            raise Rejected(403, "for another application")
        user = fields.get("FromUserName", "")
        reply_to = json.dumps({"touser": user}) if self.capability.push else ""
        now = str(int(delivery.received_at.timestamp()))
        return tencent.message_of(fields, reply_to=reply_to, echo={**opened.echo, "now": now})

    def render(self, message: Message, reply: Reply) -> Response:
        """A text in an envelope."""
        text = dress.dressed(reply, LIMIT)
        if not text:
            return self.acknowledge(message)
        inner = xml.write(
            {
                "ToUserName": message.echo["user"],
                "FromUserName": message.echo["us"],
                "CreateTime": int(message.echo["now"]),
                "MsgType": "text",
                "Content": text,
            }
        )
        sealed = self._envelope.seal(inner, message.echo)
        outer = xml.write(
            {
                "Encrypt": sealed.encrypt,
                "MsgSignature": sealed.signature,
                "TimeStamp": int(sealed.timestamp),
                "Nonce": sealed.nonce,
            }
        )
        return Response(outer, xml.XML_TYPE)

    def acknowledge(self, message: Message) -> Response:
        """An empty body."""
        return Response()

    def push(self, reply_to: str, reply: Reply, *, key: str) -> None:
        """A message of the application."""
        text = dress.dressed(reply, LIMIT)
        if not text:
            return
        content = {
            **tokens.address_in(reply_to),
            "msgtype": "text",
            "agentid": self._agent,
            "text": {"content": text},
            "enable_duplicate_check": 1,
            "duplicate_check_interval": SAME_WORDS_WITHIN,
        }
        send = f"{self._api}/cgi-bin/message/send"
        outcome = self._tokens.use(
            lambda token: tokens.post(send, content, params={"access_token": token}),
            refused=lambda answer: tokens.code_of(answer, "errcode") in TOKEN_REFUSED,
        )
        if code := tokens.code_of(outcome, "errcode"):
            raise Undelivered(f"code {code}", permanent=code in HOPELESS)
        if outcome.get("invaliduser"):
            raise Undelivered("no such person", permanent=True)

    def _fetch_token(self) -> tuple[str, float]:
        params = {"corpid": self._own.corp_id, "corpsecret": self._own.secret}
        answer = tokens.get(f"{self._api}/cgi-bin/gettoken", params)
        return tokens.token_in(answer, name="access_token", lifetime="expires_in")
