"""Self-check: one finding a question that an administrator would ask at night."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from service.accounts import HOW_TO_BEGIN
from service.config import secret_key
from service.runtime import Runtime

LEAST_FREE_GIB = 1.0


@dataclass(frozen=True)
class Finding:
    """The verdict on one thing."""

    name: str
    good: bool
    detail: str


def examine(runtime: Runtime) -> list[Finding]:
    """Check everything; a check that breaks is itself a finding."""
    findings = []
    for name, check in _CHECKS.items():
        try:
            good, detail = check(runtime)
        except Exception as error:
            good, detail = False, f"检查没能完成（{error}）"
        findings.append(Finding(name, good, detail))
    return findings


def _database(runtime: Runtime) -> tuple[bool, str]:
    problem = runtime.db.problem()
    return not problem, problem or f"{runtime.db.dialect}，结构版本 {runtime.db.version()}"


def _contents(runtime: Runtime) -> tuple[bool, str]:
    counts = runtime.library.counts()
    some = counts.documents + counts.entries > 0
    return some, f"文件 {counts.documents} 份，条款 {counts.clauses} 条，问答 {counts.entries} 条"


def _index(runtime: Runtime) -> tuple[bool, str]:
    lag = runtime.indexer.lag()
    if lag and runtime.indexer.owner:
        return False, f"落后 {lag} 项变更；启动服务或运行 python app.py reindex 即可"
    return True, "与数据库一致" if not lag else f"服务正在更新（{lag} 项）"


def _disk(runtime: Runtime) -> tuple[bool, str]:
    free = shutil.disk_usage(runtime.settings.folder).free / 2**30
    return free >= LEAST_FREE_GIB, f"剩余 {free:.1f} GB"


def _key(runtime: Runtime) -> tuple[bool, str]:
    secret_key(runtime.settings)
    path = runtime.settings.folder / "secret_key"
    if runtime.settings.secret_key or not path.exists():
        return True, "由环境设置"
    mode = path.stat().st_mode & 0o777
    return mode == 0o600, f"文件权限 {mode:o}" + ("" if mode == 0o600 else "，应为 600")


def _accounts(runtime: Runtime) -> tuple[bool, str]:
    open_to = sum(each.state != "disabled" for each in runtime.people.all())
    return True, f"{open_to} 个" if open_to else f"还没有；{HOW_TO_BEGIN}"


def _converter(_: Runtime) -> tuple[bool, str]:
    found = [name for name in ("soffice", "libreoffice", "antiword") if shutil.which(name)]
    return True, "、".join(found) or "没有安装 LibreOffice 或 antiword，.doc 文件暂不能导入"


_CHECKS: dict[str, Callable[[Runtime], tuple[bool, str]]] = {
    "数据库": _database,
    "内容": _contents,
    "索引": _index,
    "磁盘": _disk,
    "密钥": _key,
    "账号": _accounts,
    "旧版 Word": _converter,
}
