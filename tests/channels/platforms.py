"""Every kind of account with its platform, so that one suite can hold them all to the contract."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service.channels import Channel, Delivery, dingtalk, feishu, wechat, wecom
from service.channels.recording import RecordingChannel
from service.channels.simulator import (
    DingTalkPlatform,
    FeishuPlatform,
    WeChatPlatform,
    WeComPlatform,
)

NOW = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OTHER_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"

WECHAT = wechat.Account("wx1234567890abcdef", "policyqa", (KEY,), "app-secret")
WECOM = wecom.Account("ww1234567890abcdef", "1000002", "policyqa", (KEY,), "secret")
DINGTALK = dingtalk.Account("dingkey", "app-secret", "policyqa", (KEY,), "dingcorp")
FEISHU = feishu.Account("cli_a1", "app-secret", "verification", "encrypt-key")


@dataclass(frozen=True)
class Case:
    """One kind of account.

    Attributes:
        deliver: (key, user, text) → a genuine delivery, signed and received at `NOW`.
        read: the body of a response → the words the person sees.
        strangers: channels that must not take its deliveries: another token, another account.
        window: seconds for which a delivery counts after it was signed, and before.
        covers_body: whether the signature does.
    """

    channel: Channel
    deliver: Callable[[str, str, str], Delivery]
    read: Callable[[bytes], str]
    strangers: tuple[Channel, ...]
    window: float = 300.0
    covers_body: bool = True


def cases() -> dict[str, Case]:
    """Name → case."""
    found = {f"wechat-{mode}": _wechat(mode) for mode in wechat.MODES}
    found["wecom"] = _wecom()
    found["dingtalk"] = _dingtalk()
    found["feishu-encrypted"] = _feishu(FEISHU, covers_body=True)
    found["feishu-plain"] = _feishu(replace(FEISHU, encrypt_key=""), covers_body=False)
    found["recording"] = _recording()
    return found


def _wechat(mode: str) -> Case:
    account = replace(WECHAT, mode=mode)
    platform = WeChatPlatform(account)
    strangers = [replace(account, token="other")]
    if mode != "plain":
        strangers += [replace(account, app_id="wxother"), replace(account, keys=(OTHER_KEY,))]
        strangers += [replace(account, mode="plain")]
    else:
        strangers += [replace(account, mode="secure")]
    return Case(
        channel=wechat.WeChat(account),
        deliver=lambda key, user, text: platform.deliver(key, user, text, at=NOW),
        read=platform.read,
        strangers=tuple(wechat.WeChat(each) for each in strangers),
        covers_body=mode == "secure",
    )


def _wecom() -> Case:
    platform = WeComPlatform(WECOM)
    strangers = (
        replace(WECOM, token="other"),
        replace(WECOM, corp_id="wwother"),
        replace(WECOM, keys=(OTHER_KEY,)),
        replace(WECOM, agent_id="1000003"),
    )
    return Case(
        channel=wecom.WeCom(WECOM),
        deliver=lambda key, user, text: platform.deliver(key, user, text, at=NOW),
        read=platform.read,
        strangers=tuple(wecom.WeCom(each) for each in strangers),
    )


def _dingtalk() -> Case:
    platform = DingTalkPlatform(DINGTALK)
    return Case(
        channel=dingtalk.DingTalk(DINGTALK),
        deliver=lambda key, user, text: platform.deliver(key, user, text, at=NOW),
        read=platform.read,
        strangers=(dingtalk.DingTalk(replace(DINGTALK, app_secret="other")),),
        window=3600.0,
        covers_body=False,
    )


def _feishu(account: feishu.Account, *, covers_body: bool) -> Case:
    platform = FeishuPlatform(account)
    strangers = [
        replace(account, verification_token="other"),
        replace(account, app_id="cli_other"),
        replace(account, encrypt_key="other"),
    ]
    return Case(
        channel=feishu.Feishu(account),
        deliver=lambda key, user, text: platform.deliver(key, user, text, at=NOW),
        read=platform.read,
        strangers=tuple(feishu.Feishu(each) for each in strangers),
        window=300.0 if covers_body else 8 * 3600.0,
        covers_body=covers_body,
    )


def _recording() -> Case:
    channel = RecordingChannel()
    return Case(
        channel=channel,
        deliver=lambda key, user, text: channel.delivery(key, user, text, at=NOW),
        read=lambda body: str(json.loads(body).get("text", "")),
        strangers=(RecordingChannel("other"), RecordingChannel(account="other")),
    )
