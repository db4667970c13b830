"""Settings → the channels they describe; hides which settings each platform needs.

A platform none of whose settings is given is not there; one that is only half described keeps the
service from starting, since it would fail later, in front of citizens.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from service.channels import Channel, dingtalk, feishu, wechat, wecom
from service.channels.envelope import aes_key
from service.config import PREFIX, ConfigurationError, Settings

Account = wechat.Account | wecom.Account | dingtalk.Account | feishu.Account

# What may be left out, with the rest of a platform being there.
OPTIONAL = {
    "wechat": {"aes_key_previous", "app_secret", "mode", "api"},
    "wecom": {"aes_key_previous", "secret", "api"},
    "dingtalk": {"token", "aes_key", "corp_id", "api"},
    "feishu": {"encrypt_key", "api"},
}
# What has a value even where a platform is not used.
PRESET = {"mode", "api"}

# In the clear only to this machine, where a simulated platform may listen.
_ADDRESS = re.compile(r"https://[^/?#@\s]+/?|http://(127\.0\.0\.1|localhost)(:\d+)?/?")


@dataclass(frozen=True)
class Described:
    """An account, and where the API of its platform is."""

    account: Account
    api: str


def configured(settings: Settings) -> dict[str, Channel]:
    """Name → channel, for every platform that is set up.

    Raises:
        ConfigurationError: settings are missing or wrong; it names all of them.
    """
    return {name: _channel(each) for name, each in described(settings).items()}


def described(settings: Settings) -> dict[str, Described]:
    """Name → account, for every platform that is set up; raises as `configured`."""
    problems: list[str] = []
    found: dict[str, Described] = {}
    for name, account in PLATFORMS.items():
        values = _values(settings, name)
        if not any(value for key, value in values.items() if key not in PRESET):
            continue
        wrong = _problems(name, values)
        problems += wrong
        if not wrong:
            found[name] = Described(account(values), values["api"])
    if problems:
        raise ConfigurationError("\n".join(problems))
    return found


def _channel(described: Described) -> Channel:
    api = described.api
    match described.account:
        case wechat.Account() as account:
            return wechat.WeChat(account, api=api)
        case wecom.Account() as account:
            return wecom.WeCom(account, api=api)
        case dingtalk.Account() as account:
            return dingtalk.DingTalk(account, api=api)
        case feishu.Account() as account:
            return feishu.Feishu(account, api=api)


def _values(settings: Settings, name: str) -> dict[str, str]:
    """The settings of one platform, without its name before them."""
    prefix = f"{name}_"
    return {
        each.name.removeprefix(prefix): getattr(settings, each.name)
        for each in fields(settings)
        if each.name.startswith(prefix)
    }


def _problems(name: str, values: Mapping[str, str]) -> list[str]:
    def setting(key: str) -> str:
        return f"{PREFIX}{name}_{key}".upper()

    needless = set(OPTIONAL[name])
    if name == "wechat" and values["mode"] == "plain":
        needless.add("aes_key")
    if name == "dingtalk" and (values["token"] or values["aes_key"]):
        needless -= {"token", "aes_key"}
    missing = [setting(key) for key, value in values.items() if not value and key not in needless]
    problems = [f"缺少 {'、'.join(missing)}"] if missing else []
    for key in ("aes_key", "aes_key_previous"):
        try:
            aes_key(values.get(key) or "A" * 43)
        except ValueError:
            problems.append(f"{setting(key)} 不是 43 位的消息加解密密钥")
    if name == "wechat" and values["mode"] not in wechat.MODES:
        problems.append(f"{setting('mode')} 应是 {'、'.join(wechat.MODES)} 之一")
    if name == "wecom" and values["agent_id"] and not _digits(values["agent_id"]):
        problems.append(f"{setting('agent_id')} 应是数字")
    if not _ADDRESS.fullmatch(values["api"]):
        problems.append(f"{setting('api')} 应是 https:// 开头、不带路径的地址")
    return problems


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _keys(values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(filter(None, (values["aes_key"], values.get("aes_key_previous"))))


def _wechat(values: Mapping[str, str]) -> Account:
    return wechat.Account(
        app_id=values["app_id"],
        token=values["token"],
        keys=_keys(values),
        secret=values["app_secret"],
        mode=values["mode"],
    )


def _wecom(values: Mapping[str, str]) -> Account:
    return wecom.Account(
        corp_id=values["corp_id"],
        agent_id=values["agent_id"],
        token=values["token"],
        keys=_keys(values),
        secret=values["secret"],
    )


def _dingtalk(values: Mapping[str, str]) -> Account:
    return dingtalk.Account(
        app_key=values["app_key"],
        app_secret=values["app_secret"],
        token=values["token"],
        keys=_keys(values),
        corp_id=values["corp_id"],
    )


def _feishu(values: Mapping[str, str]) -> Account:
    return feishu.Account(
        app_id=values["app_id"],
        app_secret=values["app_secret"],
        verification_token=values["verification_token"],
        encrypt_key=values["encrypt_key"],
    )


PLATFORMS: dict[str, Callable[[Mapping[str, str]], Account]] = {
    "wechat": _wechat,
    "wecom": _wecom,
    "dingtalk": _dingtalk,
    "feishu": _feishu,
}
