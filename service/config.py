"""Boot settings from the environment, read once; hides defaults, secrets in files and checks.

Every problem is collected before anything starts, so an administrator sees them all at once.
"""

import secrets
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "POLICYQA_"
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

    def _checked(self) -> "Settings":
        problems = []
        if self.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            problems.append(f"{PREFIX}LOG_LEVEL 的值“{self.log_level}”不对")
        for name in ("wrong_entries", "wrong_clauses", "wrong_options"):
            if not 0 <= getattr(self, name) <= 1:
                problems.append(f"{PREFIX}{name.upper()} 应在 0 到 1 之间")
        if not 1 <= self.threads <= 256:
            problems.append(f"{PREFIX}THREADS 应在 1 到 256 之间")
        if not self.url.startswith(("sqlite:///", "postgresql+psycopg://")):
            problems.append(f"{PREFIX}DATABASE_URL 只支持 sqlite:/// 或 postgresql://")
        if problems:
            raise ConfigurationError("\n".join(problems))
        return self


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
