"""Words sent later reach the platform with a good token; failures say whether to try again."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from service.channels import Channel, Message, Reply, Undelivered, tokens
from service.channels.dingtalk import DingTalk
from service.channels.feishu import Feishu
from service.channels.simulated import LIFETIME, SimulatedPlatform
from service.channels.simulator import (
    DingTalkPlatform,
    FeishuPlatform,
    Platform,
    WeChatPlatform,
    WeComPlatform,
)
from service.channels.wechat import WeChat
from service.channels.wecom import WeCom
from tests.channels.platforms import DINGTALK, FEISHU, NOW, WECHAT, WECOM

REPLY = Reply("答复：]]>“引号”🙂", source="依据：《办法》")
WORDS = "答复：]]>“引号”🙂\n\n依据：《办法》"


@dataclass(frozen=True)
class Pushing:
    """A channel that talks to the simulated platform; `to` is where its words should arrive."""

    channel: Channel
    platform: Platform
    to: str
    good: str

    def reply_to(self) -> str:
        message = self.channel.receive(self.platform.deliver("7", "某人", "医保", at=NOW))
        assert isinstance(message, Message)
        return message.reply_to


@pytest.fixture
def api() -> Iterator[SimulatedPlatform]:
    with SimulatedPlatform() as api:
        yield api


PUSHING: dict[str, Callable[[str], Pushing]] = {
    "wechat": lambda url: Pushing(
        WeChat(WECHAT, api=url), WeChatPlatform(WECHAT), "某人", "errcode"
    ),
    "wecom": lambda url: Pushing(WeCom(WECOM, api=url), WeComPlatform(WECOM), "某人", "errcode"),
    "dingtalk": lambda url: Pushing(
        DingTalk(DINGTALK, api=url, clock=NOW.timestamp),
        DingTalkPlatform(DINGTALK, url),
        "session-7",
        "errcode",
    ),
    "feishu": lambda url: Pushing(Feishu(FEISHU, api=url), FeishuPlatform(FEISHU), "om_7", "code"),
}


@pytest.fixture(params=list(PUSHING))
def pushing(request: pytest.FixtureRequest, api: SimulatedPlatform) -> Pushing:
    return PUSHING[request.param](api.url)


def test_words_arrive_unescaped(pushing: Pushing, api: SimulatedPlatform) -> None:
    pushing.channel.push(pushing.reply_to(), REPLY, key="k1")
    said = api.said.get(timeout=5)
    assert (said.to, said.text) == (pushing.to, WORDS)
    assert "答复".encode() in api.requests[-1].raw and b"\\u" not in api.requests[-1].raw


def test_nothing_to_say_is_not_sent(pushing: Pushing, api: SimulatedPlatform) -> None:
    pushing.channel.push(pushing.reply_to(), Reply(" "), key="k1")
    assert api.requests == []


def test_one_token_serves_many_threads(pushing: Pushing, api: SimulatedPlatform) -> None:
    to = pushing.reply_to()
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda n: pushing.channel.push(to, Reply(f"答复{n}"), key=f"k{n}"), range(16))
        )
    assert api.said.qsize() == 16
    assert api.fetched == (0 if pushing.channel.name == "dingtalk" else 1)


def test_a_token_that_became_invalid_is_renewed_once(
    pushing: Pushing, api: SimulatedPlatform
) -> None:
    to = pushing.reply_to()
    pushing.channel.push(to, REPLY, key="k1")
    before = api.fetched
    api.expire()
    pushing.channel.push(to, Reply("又一条"), key="k2")
    assert api.said.qsize() == 2
    if pushing.channel.name != "dingtalk":
        assert api.fetched == before + 2  # `expire` counts as one


@pytest.mark.parametrize("code", [40001, 42001, 99991663])
def test_a_token_is_not_renewed_for_ever(
    pushing: Pushing, api: SimulatedPlatform, code: int
) -> None:
    if (pushing.good == "code") != (code > 10**6) or pushing.channel.name == "dingtalk":
        return
    api.will(*[{pushing.good: code}] * 2)
    with pytest.raises(Undelivered) as caught:
        pushing.channel.push(pushing.reply_to(), REPLY, key="k1")
    assert not caught.value.permanent and api.fetched == 2 and api.said.empty()


@pytest.mark.parametrize(
    ("name", "code", "permanent"),
    [
        ("wechat", 45015, True),
        ("wechat", 45047, True),
        ("wechat", 48001, True),
        ("wechat", -1, False),
        ("wechat", 45009, False),
        ("wecom", 60111, True),
        ("wecom", 45009, False),
        ("dingtalk", 300005, True),
        ("dingtalk", 130101, False),
        ("feishu", 230002, True),
        ("feishu", 230020, False),
    ],
)
def test_failures_say_whether_trying_again_helps(
    api: SimulatedPlatform, name: str, code: int, permanent: bool
) -> None:
    pushing = PUSHING[name](api.url)
    api.will({pushing.good: code, "errmsg": "…"})
    with pytest.raises(Undelivered, match=str(code)) as caught:
        pushing.channel.push(pushing.reply_to(), REPLY, key="k1")
    assert caught.value.permanent is permanent


def test_wecom_says_when_there_is_no_such_person(api: SimulatedPlatform) -> None:
    pushing = PUSHING["wecom"](api.url)
    api.will({"errcode": 0, "invaliduser": "某人"})
    with pytest.raises(Undelivered) as caught:
        pushing.channel.push(pushing.reply_to(), REPLY, key="k1")
    assert caught.value.permanent


@pytest.mark.parametrize("answer", [b"<html>502</html>", b"[]", b"", b"\xff", {"errcode": "x"}])
def test_an_unreadable_answer_may_be_tried_again(
    pushing: Pushing, api: SimulatedPlatform, answer: bytes | dict[str, str]
) -> None:
    api.will(answer if isinstance(answer, bytes) else {pushing.good: "x"})
    with pytest.raises(Undelivered) as caught:
        pushing.channel.push(pushing.reply_to(), REPLY, key="k1")
    assert not caught.value.permanent


@pytest.mark.parametrize("name", list(PUSHING))
def test_nobody_listening_may_be_tried_again(name: str) -> None:
    with SimulatedPlatform() as gone:
        pushing = PUSHING[name](gone.url)
        to = pushing.reply_to()
    with pytest.raises(Undelivered) as caught:
        pushing.channel.push(to, REPLY, key="k1")
    assert not caught.value.permanent
    assert "token" not in str(caught.value) and "secret" not in str(caught.value)


def test_nowhere_to_send_to_is_permanent(pushing: Pushing, api: SimulatedPlatform) -> None:
    with pytest.raises(Undelivered) as caught:
        pushing.channel.push("", REPLY, key="k1")
    assert caught.value.permanent and api.requests == []


def test_feishu_drops_what_is_sent_twice(api: SimulatedPlatform) -> None:
    pushing = PUSHING["feishu"](api.url)
    for _ in range(2):
        pushing.channel.push(pushing.reply_to(), REPLY, key="same")
    assert api.said.qsize() == 1


def test_feishu_writes_first_to_who_opened_the_chat(api: SimulatedPlatform) -> None:
    channel, platform = Feishu(FEISHU, api=api.url), FeishuPlatform(FEISHU)
    sort = "im.chat.access_event.bot_p2p_chat_entered_v1"
    event = {"chat_id": "oc", "operator_id": {"open_id": "ou_1"}}
    message = channel.receive(platform.event("e", event, at=NOW, sort=sort))
    assert isinstance(message, Message)
    channel.push(message.reply_to, REPLY, key="k")
    assert api.said.get(timeout=5).to == "ou_1"
    assert dict(api.requests[-1].query) == {"receive_id_type": "open_id"}


def test_feishu_numbers_cannot_leave_their_place_in_the_address(api: SimulatedPlatform) -> None:
    channel = Feishu(FEISHU, api=api.url)
    channel.push(json.dumps({"message": "../../auth?x=1#"}), REPLY, key="k")
    assert api.requests[-1].path == "/open-apis/im/v1/messages/..%2F..%2Fauth%3Fx%3D1%23/reply"


def test_a_session_that_is_over_is_not_tried(api: SimulatedPlatform) -> None:
    late = DingTalk(DINGTALK, api=api.url, clock=lambda: NOW.timestamp() + 5401)
    with pytest.raises(Undelivered) as caught:
        late.push(PUSHING["dingtalk"](api.url).reply_to(), REPLY, key="k")
    assert caught.value.permanent and api.requests == []


def test_without_a_secret_nothing_can_be_said_later() -> None:
    for channel, platform in (
        (WeChat(replace(WECHAT, secret="")), WeChatPlatform(WECHAT)),
        (WeCom(replace(WECOM, secret="")), WeComPlatform(WECOM)),
    ):
        message = channel.receive(platform.deliver("1", "u", "医保", at=NOW))
        assert isinstance(message, Message)
        assert (channel.capability.push, message.reply_to) == (False, "")


def test_no_token_reaches_the_log(
    pushing: Pushing, api: SimulatedPlatform, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        pushing.channel.push(pushing.reply_to(), REPLY, key="k1")
    assert "token-1" not in caplog.text and "session-7" not in caplog.text


def test_secrets_are_not_shown_with_an_account() -> None:
    for account in (WECHAT, WECOM, DINGTALK, FEISHU):
        shown = repr(account)
        for secret in ("secret", "policyqa", "abcdefghijkl", "verification", "encrypt-key"):
            assert f"'{secret}" not in shown and "app-secret" not in shown, account


def test_a_token_is_renewed_before_its_end() -> None:
    now, made = [0.0], []

    def fetch() -> tuple[str, float]:
        made.append(f"t{len(made)}")
        return made[-1], float(LIFETIME)

    held = tokens.Tokens(fetch, clock=lambda: now[0])
    used: list[str] = []

    def call(token: str) -> dict[str, int]:
        used.append(token)
        return {}

    for moment in (0.0, LIFETIME - tokens.MARGIN - 1, LIFETIME - tokens.MARGIN, float(LIFETIME)):
        now[0] = moment
        held.use(call, refused=bool)
    assert used == ["t0", "t0", "t1", "t1"]


def test_threads_that_find_a_token_invalid_together_renew_it_once() -> None:
    made: list[str] = []
    both = threading.Barrier(2)

    def fetch() -> tuple[str, float]:
        made.append(f"t{len(made)}")
        return made[-1], 7200.0

    held = tokens.Tokens(fetch)

    def call(token: str) -> dict[str, bool]:
        if token == "t0":
            both.wait(timeout=5)
            return {"invalid": True}
        return {}

    with ThreadPoolExecutor(2) as pool:
        outcomes = [pool.submit(held.use, call, refused=bool) for _ in range(2)]
        assert [each.result() for each in outcomes] == [{}, {}]
    assert made == ["t0", "t1"]


def test_words_sent_again_after_a_crash_are_read_once(api: SimulatedPlatform) -> None:
    """Where the platform can drop them: Feishu by the key, WeCom by the words themselves."""
    for name in ("feishu", "wecom"):
        pushing = PUSHING[name](api.url)
        for _ in range(2):
            pushing.channel.push(pushing.reply_to(), REPLY, key="k1")
        assert api.said.get_nowait().text == WORDS
        assert api.said.empty()
