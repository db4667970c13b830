"""What the daily check looks at, one function a matter; hides thresholds and how verdicts read."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import func, select

from kb.clock import day_of
from kb.journal import AuditLog
from kb.models import Document, Entry, EntryVersion, State, Status
from service import backup, checkup, evaluation
from service.insights import links
from service.insights.daily import BAD, GOOD, SHOWN, UNKNOWN, WARNING, Finding
from service.insights.gaps import Sieve
from service.models import Handoff, Report
from service.runtime import Runtime
from service.wording import display_date
from service.working_days import deadline

log = logging.getLogger(__name__)

# A golden set that takes longer is cut off, and that is said.
GOLDEN_SECONDS = 120.0
LEAST_ACCURACY = 0.9
BACKUP_DAYS = 7
REVIEW_DAYS = 3
HANDOFF_WAIT = timedelta(minutes=30)


def examine(runtime: Runtime) -> list[Finding]:
    """Look at everything; a look that fails is itself a finding."""
    findings = []
    for name, look in _LOOKS.items():
        try:
            findings.append(look(runtime, name))
        except Exception as error:
            log.exception("a daily check failed", extra={"check": name})
            findings.append(
                Finding(name, BAD, f"检查没能完成：{error}", "请让技术人员查看服务日志")
            )
    return findings


def _links(runtime: Runtime, name: str) -> Finding:
    held = _links_held(runtime)
    if not held:
        return Finding(name, GOOD, "已发布的内容里没有链接")
    urls = sorted(held)
    # A base with more links than a day can take is gone through in turn.
    start = (runtime.today().toordinal() * links.MOST) % len(urls) if len(urls) > links.MOST else 0
    verdicts = links.check((urls[start:] + urls[:start])[: links.MOST])
    asked = [each for each in verdicts if each.state != links.PRIVATE]
    if asked and all(each.state == links.UNREACHED for each in asked):
        return Finding(name, UNKNOWN, "无法访问外网，未检查链接", "服务器不能上外网时属正常情况")
    wrong = [each for each in asked if each.state != links.WORKS]
    skipped = len(verdicts) - len(asked)
    said = f"检查了 {len(asked)} 个链接，{len(wrong)} 个打不开" if asked else "没有可检查的外网链接"
    if skipped:
        said += f"；另有 {skipped} 个内网链接未检查"
    rows = tuple(f"{each.url}　{each.why}　见{held[each.url]}" for each in wrong[:SHOWN])
    if not wrong:
        return Finding(name, GOOD, said)
    return Finding(name, WARNING, said, "请责任单位改正或去掉这些链接", rows=rows)


def _links_held(runtime: Runtime) -> dict[str, str]:
    """Links of what is published → where one of them stands."""
    with runtime.db.reading() as session:
        entries = session.execute(
            select(Entry.question, Entry.answer).where(
                Entry.status == Status.PUBLISHED, Entry.answer.contains("://")
            )
        ).all()
        documents = session.execute(
            select(Document.title, Document.source_url).where(
                Document.status == Status.PUBLISHED, Document.source_url.startswith("http")
            )
        ).all()
    held = {url: f"问答“{title}”" for title, text in entries for url in links.links_in(text)}
    return held | {url: f"文件《{title}》" for title, url in documents}


def _expiries(runtime: Runtime, name: str) -> Finding:
    fresh = runtime.insights.shelf.freshness()
    soon = fresh.ending[30]
    rows = [f"{display_date(each.day)}已到期　{each.title}" for each in fresh.expired]
    rows += [f"{display_date(each.day)}到期　{each.title}" for each in soon]
    said = f"已到期仍挂在库里的 {len(fresh.expired)} 项，30 天内到期的 {len(soon)} 项"
    if not rows:
        return Finding(name, GOOD, "没有到期的内容，30 天内也没有要到期的")
    todo = "到期的内容不会再用来回答；请责任单位续期、修订或撤下"
    return Finding(name, WARNING, said, todo, "/admin/figures#ending", tuple(rows[:SHOWN]))


def _stale(runtime: Runtime, name: str) -> Finding:
    late = runtime.insights.shelf.freshness().overdue
    if not late:
        return Finding(name, GOOD, "没有超期未复核的问答")
    rows = tuple(
        f"{display_date(each.day)}应复核　{each.department}　{each.title}" for each in late[:SHOWN]
    )
    said = f"{len(late)} 条问答过了复核日期还没有复核"
    return Finding(name, WARNING, said, "请责任单位逐条复核", "/admin/figures#league", rows)


def _golden(runtime: Runtime, name: str) -> Finding:
    rows = [each.row() for each in runtime.golden.all()]
    if not rows:
        return Finding(name, UNKNOWN, "还没有标准问题", "加入标准问题后，每天会自动考一遍")
    began, judged = time.monotonic(), []
    for row in rows:
        if time.monotonic() - began > GOLDEN_SECONDS:
            break
        judged.append((row, evaluation.judge(runtime, row)))
    right = sum(each.correct for _, each in judged)
    share = right / len(judged) if judged else 1.0
    said = f"标准问题 {len(judged)} 题，答对 {right} 题"
    if len(judged) < len(rows):
        said += f"（时间有限，没有考完全部 {len(rows)} 题）"
    wrong = tuple(
        f"{row['question']}　应为 {row['expect']}" for row, each in judged if not each.correct
    )
    if share >= LEAST_ACCURACY:
        return Finding(name, GOOD, said, rows=wrong[:SHOWN])
    todo = "请看看最近发布或撤下了什么，使这些问题答错了"
    return Finding(name, BAD, said, todo, rows=wrong[:SHOWN])


def _queues(runtime: Runtime, name: str) -> Finding:
    now, today = runtime.now(), runtime.today()
    with runtime.db.reading() as session:
        waiting = session.scalar(
            select(func.count()).where(
                Handoff.state == "waiting", Handoff.created_at < now - HANDOFF_WAIT
            )
        )
        reports = session.scalars(
            select(Report.reported_at).where(Report.settled_at.is_(None))
        ).all()
        submitted = session.scalars(
            select(EntryVersion.submitted_at).where(EntryVersion.state == State.SUBMITTED)
        ).all()
    counts = {
        "转人工等待超过半小时": waiting or 0,
        "工单超期": runtime.tickets.overdue(),
        "问题缺口超期": runtime.insights.gaps.counts(Sieve())["overdue"],
        f"反映的问题超过 {REVIEW_DAYS} 个工作日没有处理": _late(reports, today),
        f"待审超过 {REVIEW_DAYS} 个工作日": _late(submitted, today),
    }
    late = tuple(f"{what}：{count}" for what, count in counts.items() if count)
    if not late:
        return Finding(name, GOOD, "工单、缺口、审核、转人工都没有超期")
    said = f"{sum(counts.values())} 件事情超期"
    return Finding(
        name, WARNING, said, "请承办单位和审核人尽快办理", "/admin/gaps?show=overdue", late
    )


def _late(moments: Sequence[datetime | None], today: date) -> int:
    return sum(deadline(day_of(moment), REVIEW_DAYS).day < today for moment in moments if moment)


def _audit(runtime: Runtime, name: str) -> Finding:
    verdict = AuditLog(runtime.db).verify()
    if verdict.broken is None:
        return Finding(name, GOOD, f"审计记录 {verdict.rows} 条，没有被改动过")
    said = f"审计记录从第 {verdict.broken} 条起对不上，可能被人改动过"
    return Finding(name, BAD, said, "请立即报告安全管理员，保留数据库现状", "/admin/audit")


def _backup(runtime: Runtime, name: str) -> Finding:
    if runtime.db.dialect != "sqlite":
        return Finding(name, UNKNOWN, "数据库由 PostgreSQL 自己的工具备份，请数据库管理员确认")
    last = backup.last(runtime.settings.folder)
    todo = "请运行 python app.py backup 路径，并设为每天自动运行"
    if last is None:
        return Finding(name, WARNING, "还没有备份过", todo)
    days = (runtime.today() - day_of(last)).days
    said = f"最近一次备份在 {display_date(day_of(last))}"
    if days > BACKUP_DAYS:
        return Finding(name, WARNING, f"{said}，已过 {days} 天", todo)
    return Finding(name, GOOD, said)


def _system(runtime: Runtime, name: str) -> Finding:
    found = checkup.examine(runtime)
    wrong = tuple(f"{each.name}：{each.detail}" for each in found if not each.good)
    if wrong:
        return Finding(name, BAD, f"{len(wrong)} 项不正常", "请让技术人员处理", rows=wrong)
    return Finding(name, GOOD, "数据库、索引、磁盘、密钥都正常")


_LOOKS: dict[str, Callable[[Runtime, str], Finding]] = {
    "链接": _links,
    "到期": _expiries,
    "复核": _stale,
    "标准问题": _golden,
    "办理时限": _queues,
    "审计记录": _audit,
    "备份": _backup,
    "系统": _system,
}
