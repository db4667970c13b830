"""Settings become channels; what is missing or wrong is named before anything starts."""

import pytest

from service.channels.configured import configured
from service.channels.wechat import WeChat
from service.config import ConfigurationError, Settings
from tests.channels.platforms import KEY, OTHER_KEY

WECHAT = {"WECHAT_APP_ID": "wx1", "WECHAT_TOKEN": "t", "WECHAT_AES_KEY": KEY}
WECOM = {
    "WECOM_CORP_ID": "ww1",
    "WECOM_AGENT_ID": "1000002",
    "WECOM_TOKEN": "t",
    "WECOM_AES_KEY": KEY,
}
DINGTALK = {"DINGTALK_APP_KEY": "ding1", "DINGTALK_APP_SECRET": "s"}
FEISHU = {
    "FEISHU_APP_ID": "cli",
    "FEISHU_APP_SECRET": "s",
    "FEISHU_VERIFICATION_TOKEN": "v",
}


def settings(*groups: dict[str, str]) -> Settings:
    environ = {f"POLICYQA_{name}": value for group in groups for name, value in group.items()}
    return Settings.from_env(environ)


def problems(*groups: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        configured(settings(*groups))
    return str(caught.value)


def test_nothing_set_is_no_channel() -> None:
    assert configured(settings()) == {}


def test_every_platform_can_be_set_up() -> None:
    channels = configured(settings(WECHAT, WECOM, DINGTALK, FEISHU))
    assert {name: each.account for name, each in channels.items()} == {
        "wechat": "wx1",
        "wecom": "ww1/1000002",
        "dingtalk": "ding1",
        "feishu": "cli",
    }
    assert all(channels[name].name == name for name in channels)
    assert [channels[name].capability.push for name in channels] == [False, False, True, True]


def test_a_secret_allows_to_push() -> None:
    channels = configured(settings({**WECHAT, "WECHAT_APP_SECRET": "s"}))
    assert channels["wechat"].capability.push


def test_all_that_is_missing_is_named_at_once() -> None:
    told = problems({"WECHAT_APP_ID": "wx"}, {"WECOM_TOKEN": "t"}, {"DINGTALK_TOKEN": "t"})
    for name in (
        *("WECHAT_TOKEN", "WECHAT_AES_KEY", "WECOM_CORP_ID", "WECOM_AGENT_ID", "WECOM_AES_KEY"),
        *("DINGTALK_APP_KEY", "DINGTALK_APP_SECRET", "DINGTALK_AES_KEY"),
    ):
        assert f"POLICYQA_{name}" in told, name
    assert "APP_SECRET、" not in told.splitlines()[0] and "PREVIOUS" not in told


def test_plain_mode_needs_no_key() -> None:
    plain = {"WECHAT_APP_ID": "wx1", "WECHAT_TOKEN": "t", "WECHAT_MODE": "plain"}
    assert isinstance(configured(settings(plain))["wechat"], WeChat)


@pytest.mark.parametrize(
    ("group", "named"),
    [
        ({**WECHAT, "WECHAT_AES_KEY": "short"}, "WECHAT_AES_KEY 不是"),
        ({**WECHAT, "WECHAT_AES_KEY_PREVIOUS": "*" * 43}, "WECHAT_AES_KEY_PREVIOUS 不是"),
        ({**WECHAT, "WECHAT_MODE": "open"}, "WECHAT_MODE 应是"),
        ({**WECOM, "WECOM_AGENT_ID": "１０"}, "WECOM_AGENT_ID 应是数字"),
        ({**FEISHU, "FEISHU_API": "http://open.feishu.cn"}, "FEISHU_API 应是"),
        ({**FEISHU, "FEISHU_API": "https://open.feishu.cn/x"}, "FEISHU_API 应是"),
        ({**FEISHU, "FEISHU_API": "https://a@b"}, "FEISHU_API 应是"),
        ({**FEISHU, "FEISHU_API": ""}, "FEISHU_API 应是"),
    ],
)
def test_what_is_wrong_is_named(group: dict[str, str], named: str) -> None:
    told = problems(group)
    assert named in told
    assert "short" not in told and "*" not in told  # a secret is not repeated


def test_the_previous_key_is_used() -> None:
    both = {**WECHAT, "WECHAT_AES_KEY_PREVIOUS": OTHER_KEY}
    assert isinstance(configured(settings(both))["wechat"], WeChat)


def test_the_api_may_be_elsewhere() -> None:
    for api in ("https://wecom.gov.example:8443", "http://127.0.0.1:9009", "http://localhost:1/"):
        assert configured(settings({**WECOM, "WECOM_API": api}))
