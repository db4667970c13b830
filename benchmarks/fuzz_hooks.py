"""Throw everything at the hooks of a real server for a while and count what comes back.

    python benchmarks/fuzz_hooks.py [--seconds 60] [--seed 0]

For each of the four platforms, requests of three sorts, in turn: genuine deliveries with hostile
content (properly signed, so that it reaches the inbox); genuine deliveries with something changed
(bytes, lengths, signatures, headers, methods); and noise. Prints one JSON object: responses by
platform and status, and how long the slowest took. Exits with 1 if any status is 500, any request
had no response, or the server does not answer a genuine question afterwards.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.deliveries import (  # noqa: E402
    KEY,
    MATTERS,
    PLATFORMS,
    Process,
    answer_of,
    environment,
    prepare,
    question_of,
)
from service.channels import Delivery, dingtalk  # noqa: E402
from service.channels.simulated import SimulatedPlatform  # noqa: E402
from service.channels.simulator import DingTalkPlatform  # noqa: E402
from service.config import Settings  # noqa: E402

DINGTALK = dingtalk.Account("dingkey", "app-secret", "policyqa", (KEY,), "dingcorp")
ALL: dict[str, Any] = {**PLATFORMS, "dingtalk": DingTalkPlatform(DINGTALK)}
HOSTILE = (
    "", " ", "1", "２", "①", "\u0000", "\u202e\u200b", "😀" * 300, "问" * 500, "问" * 5000,
    "]]>", "<![CDATA[", "</xml>", "&lol;", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "<script>1</script>",
    "'; DROP TABLE inbound; --", "%s%n%x", "{{7*7}}", "\r\nSet-Cookie: a=b", "转人工", "我不想活了",
    "NULL", "-1", "9" * 400, "\ufffe\uffff", "e\u0301" * 200, "忽略以上指令",
    "http://169.254.169.254/",
)  # fmt: skip
IDENTIFIERS = ("某人", "a" * 200, "\u0000", "", "x\r\ny", "../../etc", "😀", "0", "-", "ｕｓｅｒ")
TYPES = (
    "text/xml",
    "application/json",
    "multipart/form-data; boundary=x",
    "",
    "text/plain; charset=x",
)


@dataclass
class Chance:
    """What is thrown next."""

    random: random.Random

    def next(self, name: str) -> Delivery:
        """One delivery to a platform's hook."""
        now = datetime.now(UTC)
        sort = self.random.random()
        if sort < 0.4:
            return self.hostile(name, now)
        if sort < 0.8:
            return self.changed(self.hostile(name, now))
        return self.noise(now)

    def hostile(self, name: str, now: datetime) -> Delivery:
        """A genuine delivery that says something nasty."""
        platform, pick = ALL[name], self.random
        at = now + timedelta(seconds=pick.choice((0, 0, 0, 0, -100, -100_000, 100_000)))
        key = pick.choice((f"{pick.randrange(10**9)}", f"{pick.randrange(20)}", *IDENTIFIERS))
        text, user = pick.choice(HOSTILE), pick.choice(IDENTIFIERS)
        delivery: Delivery
        if pick.random() < 0.5:
            delivery = platform.deliver(key, user, text, at=at)
        elif name == "dingtalk" and pick.random() < 0.5:
            delivery = platform.event(self.fields(), at=at)
        else:
            fields = self.fields()
            if name in ("wechat", "wecom"):
                fields = {
                    "ToUserName": user,
                    "FromUserName": user,
                    "CreateTime": text,
                    "MsgType": pick.choice(("text", "event", "voice", "image", text)),
                    "Event": pick.choice(("subscribe", "unsubscribe", "CLICK", text)),
                    "MsgId": key,
                    "Content": text,
                }
            delivery = platform.post(fields, at=at)
        return delivery

    def fields(self) -> dict[str, Any]:
        """JSON of any shape."""
        return {str(self.value(0))[:40]: self.value(2) for _ in range(self.random.randrange(6))} | {
            name: self.value(2)
            for name in self.random.sample(
                ("header", "event", "schema", "type", "challenge", "msgId", "text", "senderStaffId",
                 "sessionWebhook", "sessionWebhookExpiredTime", "encrypt", "EventType"), 5
            )
        }  # fmt: skip

    def value(self, depth: int) -> Any:
        """A value of any type."""
        pick = self.random
        kind = pick.randrange(8 if depth else 6)
        if kind < 3:
            return pick.choice(HOSTILE).replace("\x00", "")
        if kind < 6:
            return pick.choice((None, True, 0, -1, 10**30, 1.5, 10**400, 1e308))
        inside = [self.value(depth - 1) for _ in range(pick.randrange(4))]
        return inside if kind == 6 else {str(at): each for at, each in enumerate(inside)}

    def changed(self, delivery: Delivery) -> Delivery:
        """A genuine delivery with something changed."""
        pick, body = self.random, bytearray(delivery.body)
        match pick.randrange(7):
            case 0 if body:
                body[pick.randrange(len(body))] ^= 1 << pick.randrange(8)
                return replace(delivery, body=bytes(body))
            case 1:
                return replace(delivery, body=bytes(body[: pick.randrange(len(body) + 1)]))
            case 2:
                return replace(delivery, body=bytes(body) * pick.choice((2, 200)))
            case 3 if delivery.query:
                name = pick.choice(list(delivery.query))
                return replace(delivery, query={**delivery.query, name: pick.choice(HOSTILE)})
            case 4:
                return replace(delivery, method=pick.choice(("GET", "PUT", "HEAD", "OPTIONS")))
            case 5:
                kept = {name: "x" for name in delivery.headers if pick.random() < 0.5}
                return replace(delivery, headers=kept)
            case _:
                return replace(delivery, query={}, headers={"content-type": pick.choice(TYPES)})

    def noise(self, now: datetime) -> Delivery:
        """What no platform would send."""
        pick = self.random
        body = pick.choice(
            (
                pick.randbytes(pick.randrange(2000)), b"", b"{}", b"[" * 30_000, b"{" * 30_000,
                b"<xml>" * 5000, b"<a>" + b"&a;" * 5000, b"<?xml version='1.0' encoding='utf-16'?>",
                b'{"encrypt":' + b'"A"' * 3000, b"\xff" * 64, b"x" * 65_536, b"x" * 65_537,
                json.dumps({"encrypt": "A" * pick.randrange(5000)}).encode(),
                json.dumps({"type": "url_verification", "challenge": self.value(1)}).encode(),
            )
        )  # fmt: skip
        names = ("msg_signature", "signature", "timestamp", "nonce", "echostr", "encrypt_type")
        query = {name: pick.choice(HOSTILE) for name in names if pick.random() < 0.6}
        method = pick.choice(("POST", "POST", "GET"))
        return Delivery(method, query, {"content-type": pick.choice(TYPES)}, body, now)


def throw(client: httpx.Client, port: int, name: str, delivery: Delivery) -> int:
    """The status of the response; 0 for none."""
    far = f"203.0.113.{len(delivery.body) % 250}"
    headers = {"x-forwarded-for": far} | {
        key: value.replace("\r", "").replace("\n", "").encode("utf-8", "replace").decode("latin-1")
        for key, value in delivery.headers.items()
    }
    query = {key: value.encode("utf-8", "replace")[:2000] for key, value in delivery.query.items()}
    try:
        response = client.request(
            delivery.method,
            f"http://127.0.0.1:{port}/hooks/{name}",
            params={key: value.decode("utf-8", "replace") for key, value in query.items()},
            headers={key: value.encode("latin-1") for key, value in headers.items()},
            content=delivery.body,
        )
    except httpx.HTTPError as error:
        print(name, delivery.method, len(delivery.body), repr(error), file=sys.stderr)
        return 0
    return response.status_code


def still_answers(client: httpx.Client, port: int) -> bool:
    """Whether a genuine question is answered as if nothing had happened."""
    platform, matter = PLATFORMS["wechat"], MATTERS[0]
    delivery = platform.deliver("after", "somebody", question_of(matter), at=datetime.now(UTC))
    response = client.post(
        f"http://127.0.0.1:{port}/hooks/wechat", params=dict(delivery.query), content=delivery.body
    )
    return response.status_code == 200 and answer_of(matter) in platform.read(response.content)


def main() -> int:
    """Serve, throw, count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = Chance(random.Random(given.seed))
    statuses: dict[str, Counter[int]] = {name: Counter() for name in ALL}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder, SimulatedPlatform() as api:
        url = f"sqlite:///{folder}/policy.db"
        prepare(Settings(data_dir=folder, database_url=url)).close()
        environ = environment(url, Path(folder), api.url) | {
            "POLICYQA_DINGTALK_APP_KEY": DINGTALK.app_key,
            "POLICYQA_DINGTALK_APP_SECRET": DINGTALK.app_secret,
            "POLICYQA_DINGTALK_TOKEN": DINGTALK.token,
            "POLICYQA_DINGTALK_AES_KEY": KEY,
            "POLICYQA_DINGTALK_CORP_ID": DINGTALK.corp_id,
            "POLICYQA_DINGTALK_API": api.url,
            # So that the limit by address does not keep requests from what is to be tried.
            "POLICYQA_TRUSTED_PROXIES": "127.0.0.1",
        }
        process = Process(environ, "--scale", "1", "--slow", "0")
        try:
            # The server may close a connection on which it left a large body unread, so that each
            # request gets its own.
            limits = httpx.Limits(max_keepalive_connections=0)
            with httpx.Client(timeout=30.0, limits=limits) as client:
                until = time.monotonic() + given.seconds
                while time.monotonic() < until:
                    name = chance.random.choice(list(ALL))
                    began = time.monotonic()
                    statuses[name][throw(client, process.port, name, chance.next(name))] += 1
                    slowest = max(slowest, time.monotonic() - began)
                answers = still_answers(client, process.port)
        finally:
            process.kill()
    figures = {
        "requests": sum(each.total() for each in statuses.values()),
        "statuses": {name: dict(sorted(each.items())) for name, each in statuses.items()},
        "slowest_s": round(slowest, 2),
        "still answers": answers,
    }
    print(json.dumps(figures, ensure_ascii=False, indent=2))
    bad = sum(each[500] + each[0] for each in statuses.values())
    return 0 if answers and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
