"""The commands of `python app.py`; hides how their reports are worded."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import click

from kb.documents import Imported, Upload
from kb.entries import Sieve
from kb.errors import KnowledgeError, NotFound
from kb.exchange import TABLE_SUFFIXES, read_entries, write_entries
from kb.metadata import parse_date
from kb.models import Status
from kb.readers import DOCUMENT_SUFFIXES, MAX_BYTES
from service import accounts, backup, checkup, evaluation, guards
from service.config import ROOT, ConfigurationError, Settings
from service.conversations import Answer, Question
from service.errors import ServiceError
from service.presentation import answer_json, rewrite_json
from service.runtime import Runtime
from service.wording import GENERATED, VALIDITY, percent, understood_as

SAMPLES = ROOT / "data" / "samples"
# Seconds that one question on the terminal may spend on learning the words of the base.
LEARN_FOR = 3.0
ACTOR = "command-line"


class Composer:
    """Makes runtimes on demand: the configured one, or a temporary one for an evaluation."""

    def __init__(
        self, configured: Callable[[], Runtime], from_settings: Callable[[Settings], Runtime]
    ) -> None:
        self._configured = configured
        self._from_settings = from_settings

    def runtime(self) -> Runtime:
        """The runtime that the environment describes."""
        runtime = self._configured()
        click.get_current_context().call_on_close(runtime.close)
        return runtime

    def settings(self) -> Settings:
        """The settings of the environment, without opening anything."""
        return Settings.from_env(os.environ)

    def temporary(self, folder: Path, model: str) -> Runtime:
        """A runtime in a folder of its own that touches nothing else."""
        return self._from_settings(Settings(data_dir=str(folder), model=model))


def register(cli: click.Group) -> None:
    """Add all commands."""
    for command in (init, ask, import_, export, reindex, doctor, backup_, restore, eval_):
        cli.add_command(command)


def readable(error: Exception) -> str:
    """One line that an administrator can act on."""
    if isinstance(error, (KnowledgeError, ServiceError, ConfigurationError, click.ClickException)):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}：{error.filename or ''}"
    return f"{type(error).__name__}：{str(error).splitlines()[0] if str(error) else ''}"


@click.command(help="建库或升级数据库；空库时载入示例数据")
@click.pass_obj
def init(composer: Composer) -> None:
    """Create or migrate the database, load samples into an empty one, bring the index level."""
    runtime = composer.runtime()
    counts = runtime.library.counts()
    if counts.documents == counts.entries == 0:
        loaded = load_samples(runtime)
        click.echo(f"已载入示例数据：{loaded} 项（编号以 SAMPLE- 开头，可随时撤回）", err=True)
    runtime.indexer.catch_up()
    if not runtime.accounts.exist():
        click.echo(f"还没有工作人员账号。{accounts.HOW_TO_BEGIN}", err=True)


def load_samples(runtime: Runtime) -> int:
    """Publish the sample entries and documents; return how many there are."""
    count = 0
    for path in sorted((SAMPLES / "entries").glob("*.jsonl")):
        rows, problems = read_entries(path.read_bytes(), path.name)
        if problems:
            raise click.ClickException(f"示例数据 {path.name} 有误：{problems[0].message}")
        count += len(runtime.entries.save(rows, actor="samples", publish=True))
    documents = sorted((SAMPLES / "documents").iterdir())
    uploads = (Upload(path.read_bytes(), path.name) for path in documents)
    return count + len(list(runtime.documents.add(uploads, actor="samples", publish=True)))


@click.command(help="在终端提问")
@click.argument("question")
@click.option("--region", default="", help="地区：六位代码或名称")
@click.option("--as-of", default="", help="按哪一天的政策回答，如 2025-05-01")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON")
@click.pass_obj
def ask(composer: Composer, question: str, region: str, as_of: str, as_json: bool) -> None:
    """Answer one question with its citations."""
    problem = guards.problem_with(question)
    if problem:
        raise click.ClickException(problem)
    runtime = composer.runtime()
    runtime.indexer.catch_up()
    runtime.understanding.catch_up(LEARN_FOR)
    answer = runtime.answerer.answer(
        Question(
            text=question,
            channel="cli",
            region=runtime.regions.resolve(region or runtime.settings.region),
            as_of=_date(as_of) or runtime.today(),
        )
    )
    if as_json:
        body = {"ok": True, **answer_json(answer, runtime.regions)}
        click.echo(json.dumps(body, ensure_ascii=False, indent=2))
    else:
        _print_answer(answer)


def _print_answer(answer: Answer) -> None:
    notice = understood_as([rewrite_json(each) for each in answer.rewrites])
    if notice:
        click.echo(notice)
    click.echo(answer.text)
    if answer.ai_generated:
        click.echo(f"（{GENERATED}）")
    for option in answer.options:
        click.echo(f"  · {option.label}")
    for cited in answer.citations:
        number = f"（{cited.document_number}）" if cited.document_number else ""
        standing = VALIDITY[cited.validity.value]
        click.echo(f"  依据：《{cited.title}》{number}{cited.locator}［{standing}］")
    contact = answer.contact
    sure = percent(answer.confidence)
    click.echo(f"  把握：{sure}　咨询：{contact.department} {contact.phone}")


@click.command("import", help="导入文件或文件夹：政策文件和问答表")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--publish", is_flag=True, help="导入后立即发布")
@click.option("--region", default="", help="适用地区：六位代码或名称")
@click.option("--department", default="", help="责任单位")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON 报告")
@click.pass_obj
def import_(
    composer: Composer,
    paths: tuple[Path, ...],
    *,
    publish: bool,
    region: str,
    department: str,
    as_json: bool,
) -> None:
    """Import documents and entry tables; exit 1 if anything failed."""
    runtime = composer.runtime()
    runtime.regions.resolve(region)
    files = list(_files(paths))
    report: list[dict[str, Any]] = []
    tables = [path for path in files if path.suffix.lower() in TABLE_SUFFIXES]
    documents = [path for path in files if path not in set(tables)]
    hidden = as_json or not sys.stderr.isatty()
    with click.progressbar(length=len(files), label="导入", hidden=hidden, file=sys.stderr) as bar:
        uploads = _uploads(documents, report, region, department)
        for imported in runtime.documents.add(uploads, actor=ACTOR, publish=publish):
            report.append(_document_row(imported))
            bar.update(1)
        for path in tables:
            report.append(_import_table(runtime, path, publish=publish, region=region))
            bar.update(1)
    if runtime.indexer.owner:
        runtime.indexer.catch_up()
    _print_report(report, as_json=as_json, live=not runtime.indexer.owner)
    if any(row["outcome"] == "failed" or row.get("problems") for row in report):
        raise click.exceptions.Exit(1)


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """The files named, and those in the folders named whose kind is known, in a stable order.

    A link that leads out of its folder is left out: whoever fills a folder does not thereby
    choose among the other files of the machine.
    """
    for path in paths:
        if path.is_dir():
            home = path.resolve()
            inside = (each for each in sorted(path.rglob("*")) if each.is_file())
            known = (*DOCUMENT_SUFFIXES, *TABLE_SUFFIXES)
            yield from (
                each
                for each in inside
                if each.suffix.lower() in known and each.resolve().is_relative_to(home)
            )
        else:
            yield path


def _uploads(
    documents: list[Path], report: list[dict[str, Any]], region: str, department: str
) -> Iterator[Upload]:
    for path in documents:
        data = _contents(path, report)
        if data is not None:
            yield Upload(data, str(path), region=region, department=department)


def _contents(path: Path, report: list[dict[str, Any]]) -> bytes | None:
    """A file's bytes; None, with a row in the report, when they cannot be had."""
    try:
        if path.stat().st_size > MAX_BYTES:
            reason = f"文件超过 {MAX_BYTES // 2**20} MB，请拆分后再导入"
        else:
            return path.read_bytes()
    except OSError as error:
        reason = "找不到这个文件" if isinstance(error, FileNotFoundError) else str(error.strerror)
    report.append({"file": str(path), "outcome": "failed", "reason": reason})
    return None


def _document_row(imported: Imported) -> dict[str, Any]:
    row = asdict(imported)
    row["file"] = row.pop("filename")
    return {key: value for key, value in row.items() if value not in ("", None)}


def _import_table(runtime: Runtime, path: Path, *, publish: bool, region: str) -> dict[str, Any]:
    failures: list[dict[str, Any]] = []
    data = _contents(path, failures)
    if data is None:
        return failures[0]
    try:
        rows, problems = read_entries(data, path.name)
    except KnowledgeError as error:
        return {"file": str(path), "outcome": "failed", "reason": str(error)}
    rows = [(number, replace(row, region=row.region or region)) for number, row in rows]
    saved = runtime.entries.save(rows, actor=ACTOR, publish=publish)
    wrong = [asdict(each) for each in problems]
    wrong += [
        {"row": each.row, "field": each.field, "message": each.reason}
        for each in saved
        if each.outcome == "failed"
    ]
    counts = {
        outcome: sum(each.outcome == outcome for each in saved)
        for outcome in ("added", "updated", "unchanged")
    }
    outcome = "imported" if any(counts.values()) or not wrong else "failed"
    return {"file": str(path), "outcome": outcome, **counts, "problems": wrong}


def _print_report(report: list[dict[str, Any]], *, as_json: bool, live: bool) -> None:
    outcomes = [row["outcome"] for row in report]
    totals = {name: outcomes.count(name) for name in sorted(set(outcomes))}
    if as_json:
        click.echo(json.dumps({"totals": totals, "files": report}, ensure_ascii=False, indent=2))
        return
    words = {"imported": "已导入", "revised": "新版本", "unchanged": "无变化", "failed": "失败"}
    for row in report:
        if row["outcome"] == "failed":
            click.echo(f"失败　{row['file']}：{row.get('reason') or '没有一行可以导入'}")
        for problem in row.get("problems", ()):
            click.echo(
                f"　　　{row['file']} 第{problem['row']}行 {problem['field']}：{problem['message']}"
            )
    click.echo("，".join(f"{words[name]} {count} 个文件" for name, count in totals.items()))
    if live:
        click.echo("服务正在运行，几秒内即可检索到新内容。", err=True)


@click.command(help="导出问答表：.xlsx .csv .jsonl")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--status", type=click.Choice([each.value for each in Status]), help="只导出这种状态")
@click.pass_obj
def export(composer: Composer, path: Path, status: str | None) -> None:
    """Write all entries to a table that imports again to the same base."""
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise click.ClickException(f"只能导出为 {'、'.join(TABLE_SUFFIXES)}")
    runtime = composer.runtime()
    records = list(runtime.entries.records(Sieve(Status(status) if status else None)))
    data = write_entries(records, path.suffix.lower())
    backup.write_atomically(path, data)
    click.echo(f"已导出 {len(records)} 条到 {path}")


@click.command(help="从数据库重建索引")
@click.pass_obj
def reindex(composer: Composer) -> None:
    """Index everything from nothing."""
    runtime = composer.runtime()
    if not runtime.indexer.owner:
        raise click.ClickException("服务正在运行，请先停止服务再重建索引")
    with click.progressbar(length=1, label="重建索引", file=sys.stderr) as bar:

        def advance(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        groups = runtime.indexer.rebuild(advance)
    click.echo(f"已重建：{groups} 个文件版本和问答条目")


@click.command(help="自检")
@click.pass_obj
def doctor(composer: Composer) -> None:
    """Check everything that can be checked; exit 1 if something needs attention."""
    findings = checkup.examine(composer.runtime())
    for finding in findings:
        click.echo(f"{'正常' if finding.good else '注意'}　{finding.name}：{finding.detail}")
    bad = sum(not finding.good for finding in findings)
    click.echo(f"结论：有 {bad} 处需要处理" if bad else "结论：一切正常")
    if bad:
        raise click.exceptions.Exit(1)


@click.command("backup", help="把全部数据备份为一个文件")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def backup_(composer: Composer, path: Path) -> None:
    """One file with everything that cannot be derived."""
    runtime = composer.runtime()
    size = backup.create(runtime.db, runtime.settings.folder, path)
    click.echo(f"已备份到 {path}（{size / 2**20:.1f} MB）")


@click.command(help="从备份恢复；现有数据移到一旁，不删除")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.pass_obj
def restore(composer: Composer, path: Path) -> None:
    """Put the data of a backup in place of the present data."""
    settings = composer.settings()
    aside = backup.restore(path, settings)
    click.echo("已恢复。" + (f"原有数据保存在 {aside}" if aside else ""))


@click.group("eval", help="评测")
def eval_() -> None:
    """Measure the product by its own path."""


@eval_.command("retrieval", help="BEIR 格式的检索评测，在临时库中进行")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--queries", type=click.Path(path_type=Path, exists=True))
@click.option("--qrels", type=click.Path(path_type=Path, exists=True))
@click.option("--limit", type=int, default=0, help="只测前 N 个问题")
@click.option("--json", "as_json", is_flag=True, help="只输出一行 JSON")
@click.pass_obj
def eval_retrieval(
    composer: Composer,
    folder: Path,
    *,
    queries: Path | None,
    qrels: Path | None,
    limit: int,
    as_json: bool,
) -> None:
    """Import a corpus into a temporary base, ask its questions, print the usual figures."""
    task = evaluation.Task.read(folder, queries=queries, qrels=qrels, limit=limit)
    if not as_json:
        click.echo(f"{len(task.corpus)} 份文件，{len(task.queries)} 个问题", err=True)
    model = composer.settings().model
    figures = evaluation.retrieval(task, lambda data: composer.temporary(data, model))
    click.echo(json.dumps(figures, ensure_ascii=False))


@eval_.command("golden", help="用当前知识库回答一组有标准答案的问题")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="只输出一行 JSON")
@click.pass_obj
def eval_golden(composer: Composer, file: Path, as_json: bool) -> None:
    """Ask every question of a golden set of the present base and compare."""
    runtime = composer.runtime()
    runtime.indexer.catch_up()
    figures, wrong = evaluation.golden(runtime, file)
    if not as_json:
        for line in wrong:
            click.echo(line)
    click.echo(json.dumps(figures, ensure_ascii=False))


def _date(text: str) -> date | None:
    if not text:
        return None
    day = parse_date(text)
    if day is None:
        raise NotFound(f"看不懂日期“{text}”，请写成 2025-05-01 这样")
    return day
