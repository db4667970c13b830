"""Boot settings from the environment, read once; hides defaults, secrets in files and checks.

Every problem is collected before anything starts, so an administrator sees them all at once.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from kb.understanding import STEPS
from service.addresses import Proxies

PREFIX = "POLICYQA_"
MAX_PER_MINUTE = 100_000
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_CHOICES = {
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR"),
    "totp": ("off", "optional", "admin"),
}
ROOT = Path(__file__).resolve().parent.parent


class ConfigurationError(Exception):
    """The settings do not hold; `str(error)` lists every problem, one a line."""


def _setting(default: Any, help_text: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"help": help_text, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """All boot settings; the environment variable is `POLICYQA_` + the name in capitals."""

    database_url: str = _setting(
        "", "数据库地址；留空用数据目录下的 SQLite，也可填 PostgreSQL 地址"
    )
    data_dir: str = _setting(str(ROOT / "data"), "运行数据（数据库、索引、上传原件、密钥）所在目录")
    model: str = _setting("", "向量模型：文件夹或模型名；留空用随产品附带的模型")
    secret_key: str = _setting("", "会话签名密钥；留空则首次启动生成并保存", secret=True)
    region: str = _setting("", "默认地区，六位行政区划代码；留空则不限地区")
    wrong_entries: float = _setting(0.15, "用标准答案作答时，允许答错的比例（0 到 1）；越小越谨慎")
    wrong_clauses: float = _setting(0.3, "引用条文作答时，允许答错的比例（0 到 1）")
    wrong_options: float = _setting(
        0.75, "请用户选择时，允许选项不对的比例（0 到 1）；越大越多追问"
    )
    understand: str = _setting(
        ",".join(STEPS),
        "理解问题的步骤，用逗号分隔，去掉哪个就不做哪个：typo 改错字，pinyin 认拼音，"
        "fuzzy 认拼音时不分平翘舌、前后鼻音、n 和 l、h 和 f，"
        "synonym 补上规范的说法，follow_up 把接着上文说的半句话补完整，"
        "place 按问题里的地名找当地规定；填 none 都不做",
    )
    conversation_minutes: int = _setting(30, "对话停了多少分钟后，再说的话不再接着上文理解")
    public_url: str = _setting(
        "", "本服务对外的网址，如 https://policy.example.gov.cn；填了以后，发到别处的答复才带链接"
    )
    public_per_minute: int = _setting(
        1200, "没有密钥时，每个来访地址每分钟最多调用接口多少次；0 表示不带密钥不能调用"
    )
    widget_per_minute: int = _setting(
        60, "网站小窗里，每个来访地址每分钟最多提问多少次（输入提示和等待人工另计，为其十倍）"
    )
    trusted_proxies: str = _setting(
        "", "可信的反向代理地址或网段，用逗号分隔；只采信它们写的 X-Forwarded-For"
    )
    idle_minutes: int = _setting(30, "工作人员多少分钟没有操作就自动退出登录")
    session_hours: int = _setting(12, "工作人员登录后最长多少小时须重新登录")
    sessions: int = _setting(3, "一个账号最多同时登录几处；超过时最早的一处退出")
    password_days: int = _setting(90, "密码多少天必须更换；0 表示不要求定期更换")
    totp: str = _setting(
        "optional",
        "登录时的手机验证码（TOTP）：off 不用，optional 各人自愿，admin 管理员必须使用",
    )
    handoff_minutes: int = _setting(30, "转人工后最多等几分钟；到时没有坐席接待就如实告诉对方")
    cti_secret: str = _setting(
        "", "来电弹屏的校验密钥；填了以后，没有正确签名的来电信息一律不用", secret=True
    )
    wechat_app_id: str = _setting("", "微信公众号：开发者 ID（AppID）；填了就启用")
    wechat_token: str = _setting("", "微信公众号：令牌（Token）", secret=True)
    wechat_aes_key: str = _setting("", "微信公众号：消息加解密密钥（43 位）", secret=True)
    wechat_aes_key_previous: str = _setting(
        "", "微信公众号：更换前的消息加解密密钥，更换期间填写", secret=True
    )
    wechat_app_secret: str = _setting(
        "", "微信公众号：开发者密码（AppSecret）；留空则不用客服消息补发答复", secret=True
    )
    wechat_mode: str = _setting(
        "secure", "微信公众号：消息加解密方式，与公众平台一致：secure、compatible、plain"
    )
    wechat_api: str = _setting("https://api.weixin.qq.com", "微信公众号：接口地址")
    wecom_corp_id: str = _setting("", "企业微信：企业 ID；填了就启用")
    wecom_agent_id: str = _setting("", "企业微信：应用的 AgentId")
    wecom_token: str = _setting("", "企业微信：接收消息的 Token", secret=True)
    wecom_aes_key: str = _setting("", "企业微信：接收消息的 EncodingAESKey", secret=True)
    wecom_aes_key_previous: str = _setting(
        "", "企业微信：更换前的 EncodingAESKey，更换期间填写", secret=True
    )
    wecom_secret: str = _setting("", "企业微信：应用的 Secret；留空则不能补发答复", secret=True)
    wecom_api: str = _setting(
        "https://qyapi.weixin.qq.com", "企业微信：接口地址；政务微信等私有部署填自己的地址"
    )
    dingtalk_app_key: str = _setting("", "钉钉：应用的 AppKey（Client ID）；填了就启用")
    dingtalk_app_secret: str = _setting("", "钉钉：应用的 AppSecret（Client Secret）", secret=True)
    dingtalk_token: str = _setting(
        "", "钉钉：事件订阅的签名 token；不用事件订阅可留空", secret=True
    )
    dingtalk_aes_key: str = _setting(
        "", "钉钉：事件订阅的加密 aes_key；不用事件订阅可留空", secret=True
    )
    dingtalk_corp_id: str = _setting("", "钉钉：企业 CorpId；事件以它为接收方时填写")
    dingtalk_api: str = _setting(
        "https://oapi.dingtalk.com", "钉钉：接口地址；私有部署填自己的地址"
    )
    feishu_app_id: str = _setting("", "飞书：应用的 App ID；填了就启用")
    feishu_app_secret: str = _setting("", "飞书：应用的 App Secret", secret=True)
    feishu_verification_token: str = _setting(
        "", "飞书：事件订阅的 Verification Token", secret=True
    )
    feishu_encrypt_key: str = _setting(
        "", "飞书：事件订阅的 Encrypt Key；强烈建议设置，设置后才有签名", secret=True
    )
    feishu_api: str = _setting(
        "https://open.feishu.cn", "飞书：接口地址；国际版 Lark 填 https://open.larksuite.com"
    )
    llm_url: str = _setting(
        "", "语言模型：OpenAI 兼容接口的地址，如 http://10.0.0.8:8000/v1；填了就启用，默认不用"
    )
    llm_model: str = _setting("", "语言模型：模型名称")
    llm_key: str = _setting("", "语言模型：接口密钥；不需要就留空", secret=True)
    llm_timeout: float = _setting(8.0, "语言模型：最多等几秒（0.5 到 60）；到时改为引用原文")
    llm_tokens: int = _setting(600, "语言模型：每次最多生成多少词元（token）")
    threads: int = _setting(8, "网页服务的线程数")
    log_level: str = _setting("INFO", "日志级别：DEBUG、INFO、WARNING、ERROR")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read settings.

        Raises:
            ConfigurationError: unknown names, wrong values or unreadable secret files.
        """
        values: dict[str, Any] = {}
        problems: list[str] = []
        known = {f"{PREFIX}{each.name.upper()}": each for each in fields(cls)}
        secret_files = {f"{name}_FILE": name for name, f in known.items() if f.metadata["secret"]}
        for name, value in sorted(environ.items()):
            if not name.startswith(PREFIX):
                continue
            if name in secret_files:
                if secret_files[name] in environ:
                    problems.append(f"{secret_files[name]} 与 {name} 只能设置一个")
                else:
                    values[known[secret_files[name]].name] = _read_secret(name, value, problems)
            elif name not in known:
                problems.append(f"不认识的设置 {name}（可用的设置见 README）")
            else:
                values[known[name].name] = _convert(name, value, known[name].type, problems)
        if problems:
            raise ConfigurationError("\n".join(problems))
        return cls(**values)._checked()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data_dir).expanduser().resolve()

    @property
    def url(self) -> str:
        """The database's SQLAlchemy URL."""
        if self.database_url.startswith("postgresql://"):
            return self.database_url.replace("postgresql://", "postgresql+psycopg://", 1)
        return self.database_url or f"sqlite:///{self.folder / 'policy.db'}"

    @property
    def steps(self) -> frozenset[str]:
        """The steps of understanding a question that are taken."""
        return frozenset(each.strip() for each in self.understand.split(",") if each.strip())

    def _checked(self) -> "Settings":
        problems = self._choice_problems()
        for name in ("wrong_entries", "wrong_clauses", "wrong_options"):
            if not 0 <= getattr(self, name) <= 1:
                problems.append(f"{PREFIX}{name.upper()} 应在 0 到 1 之间")
        if self.public_url and not _WEB_ADDRESS.fullmatch(self.public_url):
            problems.append(f"{PREFIX}PUBLIC_URL 应是网址，如 https://policy.example.gov.cn")
        if not 0 <= self.public_per_minute <= MAX_PER_MINUTE:
            problems.append(f"{PREFIX}PUBLIC_PER_MINUTE 应在 0 到 {MAX_PER_MINUTE} 之间")
        if not 1 <= self.widget_per_minute <= MAX_PER_MINUTE // 10:
            problems.append(f"{PREFIX}WIDGET_PER_MINUTE 应在 1 到 {MAX_PER_MINUTE // 10} 之间")
        try:
            Proxies(self.trusted_proxies)
        except ValueError:
            problems.append(f"{PREFIX}TRUSTED_PROXIES 应是地址或网段，如 10.0.0.5,10.1.0.0/16")
        for name, least, most in (
            ("idle_minutes", 1, 1440),
            ("conversation_minutes", 1, 1440),
            ("session_hours", 1, 168),
            ("sessions", 1, 100),
            ("password_days", 0, 3650),
            ("threads", 1, 256),
        ):
            if not least <= getattr(self, name) <= most:
                problems.append(f"{PREFIX}{name.upper()} 应在 {least} 到 {most} 之间")
        problems += self._model_problems()
        problems += [
            f"{PREFIX}UNDERSTAND 不认识“{each}”，可用的有 {'、'.join(STEPS)}、none"
            for each in sorted(self.steps - {*STEPS, "none"})
        ]
        if not self.url.startswith(("sqlite:///", "postgresql+psycopg://")):
            problems.append(f"{PREFIX}DATABASE_URL 只支持 sqlite:/// 或 postgresql://")
        if problems:
            raise ConfigurationError("\n".join(problems))
        return self

    def _choice_problems(self) -> list[str]:
        return [
            f"{PREFIX}{name.upper()} 的值“{getattr(self, name)}”不对，应是 {'、'.join(known)} 之一"
            for name, known in _CHOICES.items()
            if getattr(self, name) not in known
        ]

    def _model_problems(self) -> list[str]:
        problems = []
        if bool(self.llm_url) != bool(self.llm_model):
            problems.append(f"{PREFIX}LLM_URL 与 {PREFIX}LLM_MODEL 要一起设置")
        if self.llm_url and not _WEB_ADDRESS.fullmatch(self.llm_url):
            problems.append(f"{PREFIX}LLM_URL 应是网址，如 http://10.0.0.8:8000/v1")
        elif "@" in self.llm_url:
            problems.append(f"{PREFIX}LLM_URL 里不能带密码，请用 {PREFIX}LLM_KEY")
        if not re.fullmatch(r"[!-~]*", self.llm_key):
            problems.append(f"{PREFIX}LLM_KEY 里有空格或密钥不会有的字符")
        if not 0.5 <= self.llm_timeout <= 60:
            problems.append(f"{PREFIX}LLM_TIMEOUT 应在 0.5 到 60 之间")
        if not 50 <= self.llm_tokens <= 4000:
            problems.append(f"{PREFIX}LLM_TOKENS 应在 50 到 4000 之间")
        return problems


def settings_table() -> list[tuple[str, str, str]]:
    """(environment variable, default, help) of every setting, for the documentation."""
    return [
        (
            f"{PREFIX}{each.name.upper()}",
            "" if each.name == "data_dir" or each.default is MISSING else str(each.default),
            each.metadata["help"],
        )
        for each in fields(Settings)
    ]


def secret_key(settings: Settings) -> str:
    """The signing key: the configured one, else one kept in the data folder, made on first use."""
    if settings.secret_key:
        return settings.secret_key
    path = settings.folder / "secret_key"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="ascii") as file:
            path.chmod(0o600)
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    return path.read_text(encoding="ascii").strip()


def _read_secret(name: str, path: str, problems: list[str]) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        problems.append(f"{name} 指向的文件读不了：{error.strerror}")
        return ""
    if not value:
        problems.append(f"{name} 指向的文件是空的")
    return value


def _convert(name: str, value: str, kind: Any, problems: list[str]) -> Any:
    if kind not in (int, float):
        return value
    try:
        return kind(value)
    except ValueError:
        wanted = "整数" if kind is int else "数"
        problems.append(f"{name} 应是{wanted}，不能是“{value}”")
        return kind(0)
