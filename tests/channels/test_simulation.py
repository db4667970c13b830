"""A platform plays its part over real HTTP: patience, retries, passive answers and pushed ones."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import CliRunner

from app import cli
from service.channels import Channel, Delivery, Message, Rejected, Reply, Response
from service.channels.dingtalk import DingTalk
from service.channels.feishu import Feishu
from service.channels.simulator import (
    DingTalkPlatform,
    FeishuPlatform,
    Habits,
    Platform,
    WeChatPlatform,
    WeComPlatform,
)
from service.channels.wechat import WeChat
from service.channels.wecom import WeCom
from service.simulation import deliver
from tests.channels.platforms import DINGTALK, FEISHU, KEY, WECHAT, WECOM

Answer = Callable[[Delivery], tuple[int, Response]]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server that answers every request with `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(parts.query))
            delivery = Delivery("POST", query, headers, body, datetime.now(UTC))
            status, response = answer(delivery)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def by(channel: Channel, reply: Reply) -> Answer:
    def answer(delivery: Delivery) -> tuple[int, Response]:
        try:
            message = channel.receive(delivery)
        except Rejected as error:
            return error.status, Response()
        assert isinstance(message, Message)
        if channel.capability.passive:
            return 200, channel.render(message, reply)
        channel.push(message.reply_to, reply, key="k")
        return 200, channel.acknowledge(message)

    return answer


@pytest.mark.parametrize(
    ("channel", "played"),
    [
        (WeChat(WECHAT), WeChatPlatform(WECHAT)),
        (WeCom(WECOM), WeComPlatform(WECOM)),
        (DingTalk(DINGTALK), DingTalkPlatform(DINGTALK)),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_an_answer_comes_back_over_http(channel: Channel, played: Platform) -> None:
    with serving(by(channel, Reply("答复]]>🙂"))) as url:
        assert deliver(played, url=url, user="某人", text="医保+ &怎么交？") == "答复]]>🙂"


def test_it_tries_again_when_patience_runs_out_with_the_same_message() -> None:
    channel, keys, enough = WeChat(WECHAT), [], threading.Event()
    pauses: list[float] = []

    class Impatient(WeChatPlatform):
        habits = Habits(0.3, (0.0, 1.0))

    def answer(delivery: Delivery) -> tuple[int, Response]:
        message = channel.receive(delivery)
        assert isinstance(message, Message)
        keys.append(message.key)
        if len(keys) < 3:
            enough.wait(timeout=10)
        return 200, channel.render(message, Reply("终于"))

    with serving(answer) as url:
        said = deliver(Impatient(WECHAT), url=url, user="u", text="医保", sleep=pauses.append)
        enough.set()
    assert said == "终于" and len(set(keys)) == 1 and len(keys) == 3
    assert pauses == [0.0, 0.0, 1.0]


def test_a_refusal_is_not_tried_again() -> None:
    asked: list[Delivery] = []

    def answer(delivery: Delivery) -> tuple[int, Response]:
        asked.append(delivery)
        return 403, Response()

    with serving(answer) as url:
        assert deliver(WeChatPlatform(WECHAT), url=url, user="u", text="医保") == ""
    assert len(asked) == 1


def test_the_command_shows_a_passive_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("APP_ID", WECHAT.app_id), ("TOKEN", WECHAT.token), ("AES_KEY", KEY)):
        monkeypatch.setenv(f"POLICYQA_WECHAT_{name}", value)
    with serving(by(WeChat(WECHAT), Reply("带身份证去窗口。"))) as url:
        found = CliRunner().invoke(cli, ["simulate", "wechat", "居住证", "--url", url])
    assert found.exit_code == 0, found.output
    assert "带身份证去窗口。" in found.output and "第 1 次投递" in found.output


def test_the_command_shows_a_pushed_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: (500, Response())) as free:
        pass  # its port was free a moment ago
    account = FEISHU
    for name, value in (
        ("APP_ID", account.app_id),
        ("APP_SECRET", account.app_secret),
        ("VERIFICATION_TOKEN", account.verification_token),
        ("ENCRYPT_KEY", account.encrypt_key),
        ("API", free),
    ):
        monkeypatch.setenv(f"POLICYQA_FEISHU_{name}", value)
    with serving(by(Feishu(account, api=free), Reply("带身份证去窗口。"))) as url:
        found = CliRunner().invoke(cli, ["simulate", "feishu", "居住证", "--url", url])
    assert found.exit_code == 0, found.output
    assert "带身份证去窗口。" in found.output


def test_the_command_says_what_is_missing() -> None:
    found = CliRunner().invoke(cli, ["simulate", "wecom", "居住证"])
    assert found.exit_code == 1 and "POLICYQA_WECOM_*" in found.output


def test_the_answers_are_read_as_strictly_as_the_platform_would() -> None:
    channel, played = WeChat(WECHAT), WeChatPlatform(WECHAT)
    message = channel.receive(played.deliver("1", "u", "医保", at=datetime.now(UTC)))
    assert isinstance(message, Message)
    body = channel.render(message, Reply("好")).body
    with pytest.raises(ValueError, match="signature"):
        played.read(body.replace(message.echo["nonce"].encode(), b"other"))


def test_feishu_never_reads_words_in_an_answer() -> None:
    assert FeishuPlatform(FEISHU).read(b'{"text": "x"}') == ""
