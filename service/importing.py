"""Checks uploaded entry tables and imports them, step by step; hides restarts and who takes over.

A table is imported in short transactions, each of which also records how far it got: whoever
continues after a crash repeats nothing and leaves nothing out.
"""

import json
import logging
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from kb.checks import Checks
from kb.differences import record_difference
from kb.entries import Entries, Planned, Saved
from kb.errors import Conflict, DocumentUnreadable, KnowledgeError, NotFound
from kb.exchange import HEADINGS, EntryRecord, RowProblem
from kb.records import as_content, from_content
from service.accounts import Account
from service.errors import Forbidden, ServiceError
from service.imports import AT_ONCE, KEPT, WORKING, Store, may_publish, note, read_lines
from service.models import ImportJob
from service.people import People
from service.reading import Apart
from service.rights import demand, may

log = logging.getLogger(__name__)

MAX_ROWS = 50_000
# Rows of one transaction: short enough that a question waits for none of them.
BATCH = 100
# New rows that are compared with the published entries by meaning; more would take minutes.
MOST_COMPARED = 300
# A job whose process was not heard of for so long is taken over by another one.
_SILENCE = timedelta(seconds=60)
_ATTEMPTS = 3
_SHOWN = 300
_MOST_FAILURES = 500


class Importer:
    """Works on jobs, one step of one job at a time.

    Args:
        store: shared with `service.imports.Imports`.
    """

    def __init__(self, store: Store, entries: Entries, *, checks: Checks, people: People) -> None:
        self._store = store
        self._db = store.db
        self._now = store.now
        self._entries = entries
        self._checks = checks
        self._people = people
        self._own = uuid.uuid4().hex
        self._apart = Apart()

    def job(self) -> bool:
        """Do a piece of work; whether there may be more. For `service.worker.watch`."""
        self._sweep()
        number = self._claim()
        if number is None:
            return False
        try:
            with self._db.reading() as session:
                job = session.get_one(ImportJob, number)
            account = self._people.named(job.created_by)
            if account.state == "disabled":
                raise Forbidden("导入人的账号已经停用")
            demand(account, "import", department=account.department, region=account.region_code)
            if job.state == "checking":
                self._check(number, account)
            else:
                self._import(number, account)
        except (KnowledgeError, ServiceError) as error:
            self._fail(number, str(error))
        except Exception:
            log.exception("import failed", extra={"job": number})
            self._fail(number, "出了意外，没有做完，请再试一次；还不行请联系管理员")
        return True

    def _claim(self) -> int | None:
        now = self._now()
        silent = ImportJob.claimed_at < now - _SILENCE
        free = or_(ImportJob.claimed_by.in_(("", self._own)), silent)
        wanted = select(ImportJob.id).where(ImportJob.state.in_(WORKING), free)
        with self._db.reading() as session:
            if session.scalar(wanted.limit(1)) is None:
                return None
        with self._db.transaction() as session:
            query = wanted.order_by(ImportJob.id).limit(1).with_for_update(skip_locked=True)
            number = session.scalar(query)
            if number is None:
                return None
            job = session.get_one(ImportJob, number)
            if job.attempts >= _ATTEMPTS:
                job.state, job.problem = "failed", "多次没有做完，可能是文件太大，请拆分后再导入"
                return None
            job.state = {"waiting": "checking", "queued": "importing"}.get(job.state, job.state)
            if job.state == "importing" and not job.claimed_by:
                self._reset(number, job)
            job.claimed_by, job.claimed_at = self._own, now
            job.attempts += 1
            return number

    def _reset(self, number: int, job: ImportJob) -> None:
        """Count anew for the second step; a job that goes on keeps what it has done."""
        if "rows" not in job.counts:
            job.done = 0
            job.total = sum(1 for _ in read_lines(self._store.file(number, "rows")))
            job.counts = {**job.counts, "rows": job.total, "failures": []}

    def _beat(self, number: int, **values: Any) -> None:
        with self._db.transaction() as session:
            job = session.get_one(ImportJob, number)
            for name, value in values.items():
                setattr(job, name, value)
            job.claimed_at = self._now()

    def _fail(self, number: int, said: str) -> None:
        self._beat(number, state="failed", problem=said, claimed_by="")

    def _check(self, number: int, account: Account) -> None:
        with self._db.reading() as session:
            job = session.get_one(ImportJob, number)
        path = self._store.file(number, "upload")
        rows, problems = self._apart.read(path, job.filename, beat=lambda: self._beat(number))
        if len(rows) > MAX_ROWS:
            raise DocumentUnreadable(f"一次最多导入 {MAX_ROWS} 行，请拆分后再导入")
        self._beat(number, total=len(rows), done=0)
        counts: Counter[str] = Counter()
        report = self._store.file(number, "report.new")
        kept = self._store.file(number, "rows.new")
        with report.open("w", encoding="utf-8") as seen, kept.open("w", encoding="utf-8") as fit:
            for line in _unread(problems):
                counts.update(_counted(line))
                seen.write(_json(line))
            for start in range(0, len(rows), BATCH):
                for plan in self._planned(rows[start : start + BATCH], account):
                    line = self._line(plan, compare=counts["add"] < MOST_COMPARED)
                    counts.update(_counted(line))
                    seen.write(_json(line))
                    if plan.outcome != "refuse":
                        record = plan.record
                        content = as_content(record, record.region or None)
                        fit.write(_json([plan.row, content, record.status]))
                self._beat(number, done=min(start + BATCH, len(rows)))
        kept.replace(self._store.file(number, "rows"))
        report.replace(self._store.file(number, "report"))
        self._beat(number, state="checked", counts=dict(counts), attempts=0, claimed_by="")

    def _planned(
        self, rows: Sequence[tuple[int, EntryRecord]], account: Account
    ) -> Iterator[Planned]:
        """What the base, and the rights of a person, make of rows."""
        own = account.region_code or ""
        at_home = [(row, replace(record, region=record.region or own)) for row, record in rows]
        for plan in self._entries.plan(at_home):
            yield _within_rights(plan, account) if plan.outcome != "refuse" else plan

    def _line(self, plan: Planned, *, compare: bool) -> dict[str, Any]:
        record, changes, warnings = plan.record, [], []
        if plan.outcome in ("add", "change"):
            for field, why in self._checks.obstacles(record, plan.entry_id or 0).items():
                warnings.append([HEADINGS.get(field, ""), f"不能提交或发布：{why}"])
        if plan.outcome == "add" and compare:
            alike = self._checks.alike(record, 0)
            warnings += [[HEADINGS[f.field], f"{f.what}：{f.why}"] for f in alike]
        if plan.outcome == "change" and plan.held is not None:
            changes = [
                [each.heading, [[s.kind, s.text[:_SHOWN]] for s in each.segments[:40]]]
                for each in record_difference(plan.held, record)
            ]
        problems = [[HEADINGS.get(plan.field, ""), plan.reason]] if plan.reason else []
        return {
            "row": plan.row, "outcome": plan.outcome, "question": record.question,
            "code": record.code, "entry_id": plan.entry_id, "changes": changes,
            "problems": problems, "warnings": warnings,
        }  # fmt: skip

    def _import(self, number: int, account: Account) -> None:
        with self._db.reading() as session:
            job = session.get_one(ImportJob, number)
        if job.mode in AT_ONCE and not may_publish(account):
            raise Forbidden("只有管理员可以不经审核直接发布")
        lines = list(read_lines(self._store.file(number, "rows")))
        if len(lines) != job.total:
            raise NotFound("检查过的文件已经过期，请重新上传")
        for start in range(job.done, len(lines), BATCH):
            rows = [
                (row, replace(from_content(content), status=_status(job.mode, status)))
                for row, content, status in lines[start : start + BATCH]
            ]
            self._batch(number, job.mode, account, rows)
        with self._db.transaction() as session:
            job = session.get_one(ImportJob, number)
            job.state, job.claimed_by, job.finished_at = "done", "", self._now()
            told = {name: job.counts.get(name, 0) for name in ("added", "updated", "failed")}
            note(session, job, "import.done", account.name, mode=job.mode, **told)

    def _batch(
        self, number: int, mode: str, account: Account, rows: Sequence[tuple[int, EntryRecord]]
    ) -> None:
        failed: list[Saved] = []
        wanted: list[tuple[int, EntryRecord]] = []
        for plan in self._planned(rows, account):
            if plan.outcome == "refuse":
                failed.append(Saved(plan.row, "failed", field=plan.field, reason=plan.reason))
            elif _idle(plan, mode):
                failed.append(Saved(plan.row, "unchanged", plan.entry_id))
            elif plan.record.status in ("submitted", "published") and (
                wrong := self._checks.obstacles(plan.record, plan.entry_id or 0)
            ):
                said = "；".join(wrong.values())
                failed.append(Saved(plan.row, "failed", field=next(iter(wrong)), reason=said))
            else:
                wanted.append((plan.row, plan.record))

        def record(session: Session, saved: Sequence[Saved]) -> None:
            job = session.get_one(ImportJob, number)
            if job.claimed_by != self._own:
                raise Conflict("这次导入已由另一个进程接手")
            outcomes = [*failed, *saved]
            counts = Counter({k: v for k, v in job.counts.items() if isinstance(v, int)})
            counts.update(each.outcome for each in outcomes)
            bad = [[s.row, s.reason] for s in outcomes if s.outcome == "failed"]
            failures = [*job.counts["failures"], *bad][:_MOST_FAILURES]
            job.counts = {**counts, "failures": failures}
            job.done += len(rows)
            job.claimed_at, job.attempts = self._now(), 0

        self._entries.save(wanted, actor=account.name, within=record)

    def _sweep(self) -> None:
        """Drop the files of jobs that are a day old."""
        old = ImportJob.created_at < self._now() - KEPT
        query = select(ImportJob.id).where(old, ImportJob.state.in_(("checked", "failed")))
        with self._db.reading() as session:
            numbers = session.scalars(query).all()
        for number in numbers:
            self._beat(number, state="expired", finished_at=self._now())
            self._store.drop(number)


def _within_rights(plan: Planned, account: Account) -> Planned:
    """A plan, refused where the row or the entry that it changes belongs to others."""
    for record in (plan.record, plan.held):
        if record is None:
            continue
        region = record.region or None
        if may(account, "import", department=record.department, region=region):
            continue
        own = may(account, "import", department=account.department, region=region)
        field, said = (
            ("department", "责任单位不是您所在的单位") if own else ("region", "不在您负责的地区")
        )
        if record is plan.held:
            said = f"库里这条问答的{said}" if own else f"库里这条问答{said}"
        return replace(plan, outcome="refuse", field=field, reason=said)
    return plan


def _status(mode: str, given: str) -> str:
    if mode == "given":
        return given
    if mode == "publish":
        return given if given == "withdrawn" else "published"
    return {"draft": "draft", "submit": "submitted"}[mode]


def _idle(plan: Planned, mode: str) -> bool:
    """Whether importing would change nothing that somebody wants changed."""
    if plan.outcome != "unchanged" or plan.held is None:
        return False
    held = plan.held.status
    return held == plan.record.status or mode == "draft" or (mode, held) == ("submit", "published")


def _unread(problems: Sequence[RowProblem]) -> Iterator[dict[str, Any]]:
    """A line for each row that could not be read, and for what holds for the whole table."""
    rows: dict[int, list[list[str]]] = {}
    for each in problems:
        rows.setdefault(each.row, []).append([HEADINGS.get(each.field, each.field), each.message])
    for row, said in rows.items():
        known = any(each.row == row and _about_a_column(each) for each in problems)
        yield {
            "row": row, "outcome": "note" if known else "refuse", "question": "", "code": "",
            "entry_id": None, "changes": [], "problems": said, "warnings": [],
        }  # fmt: skip


def _about_a_column(problem: RowProblem) -> bool:
    return "已忽略" in problem.message or "只取第一列" in problem.message


def _counted(line: Mapping[str, Any]) -> list[str]:
    return [line["outcome"], *(["warn"] if line["warnings"] else [])]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
