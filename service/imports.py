"""Entry tables on their way into the base: uploaded, looked at, imported as somebody decides.

Hides where files and reports lie; the work itself is in `service.importing`.
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kb.db import Database
from kb.errors import Conflict, NotFound
from kb.exchange import MAX_BYTES, TABLE_SUFFIXES
from kb.journal import audit
from service.accounts import Account
from service.errors import Forbidden, InvalidRequest
from service.models import ImportJob
from service.rights import RIGHTS, Reach

log = logging.getLogger(__name__)

MODES = {
    "draft": "导入为草稿",
    "submit": "导入并提交审核",
    "given": "按表中“状态”一列导入",
    "publish": "全部直接发布",
}
# These put rows before the public without a reviewer: an administrator's act, on record.
AT_ONCE = ("given", "publish")
# A file that nobody decided on is dropped after so long.
KEPT = timedelta(days=1)
PER_PAGE = 50
WORKING = ("waiting", "checking", "queued", "importing")


@dataclass(frozen=True)
class ImportView:
    """An import as its page shows it; see `service.models.ImportJob`."""

    id: int
    sha256: str
    filename: str
    size: int
    state: str
    mode: str
    done: int
    total: int
    counts: Mapping[str, Any]
    problem: str
    created_by: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def working(self) -> bool:
        """Whether it goes on by itself."""
        return self.state in WORKING


class Store:
    """Where the jobs and their files are.

    Args:
        folder: keeps files until their jobs are over.
        now: the present instant.
    """

    def __init__(self, db: Database, folder: Path, now: Callable[[], datetime]) -> None:
        self.db = db
        self.folder = folder
        self.now = now

    def file(self, number: int, kind: str) -> Path:
        """Of a job: its `upload`, the `report` on it, or the `rows` to import."""
        return self.folder / f"{number}.{kind}"

    def drop(self, number: int) -> None:
        """Remove the files of a job."""
        for kind in ("upload", "rows", "report"):
            self.file(number, kind).unlink(missing_ok=True)


class Imports:
    """What a page does with imports.

    Args:
        store: shared with the `service.importing.Importer` that does the work.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._db = store.db
        self._now = store.now

    def begin(self, stream: IO[bytes], filename: str, *, by: Account) -> int:
        """Keep an uploaded table and have it checked; returns the number of the job.

        Raises:
            InvalidRequest: no table, empty, or too large.
        """
        name = PurePath(filename.replace("\\", "/")).name[-255:]
        if PurePath(name).suffix.lower() not in TABLE_SUFFIXES:
            raise InvalidRequest({"file": f"只支持 {'、'.join(TABLE_SUFFIXES)} 格式的表格"})
        self._store.folder.mkdir(parents=True, exist_ok=True)
        fresh = self._store.folder / f".{uuid.uuid4().hex}.new"
        try:
            digest, size = _keep(stream, fresh)
            with self._db.transaction() as session:
                job = ImportJob(
                    sha256=digest, filename=name, size=size, state="waiting", counts={},
                    created_by=by.name, created_at=self._now(),
                )  # fmt: skip
                session.add(job)
                session.flush()
                fresh.replace(self._store.file(job.id, "upload"))
                note(session, job, "import.upload", by.name)
                return job.id
        finally:
            fresh.unlink(missing_ok=True)

    def one(self, number: int, *, by: Account) -> ImportView:
        """A job of this person; administrators see those of others too.

        Raises:
            NotFound: there is none.
        """
        with self._db.reading() as session:
            job = session.get(ImportJob, number)
        if job is None or not (job.created_by == by.name or may_publish(by)):
            raise NotFound("没有这次导入")
        return _view(job)

    def recent(self, *, by: Account) -> list[ImportView]:
        """The last jobs that this person may see, the latest first."""
        query = select(ImportJob).order_by(ImportJob.id.desc()).limit(20)
        if not may_publish(by):
            query = query.where(ImportJob.created_by == by.name)
        with self._db.reading() as session:
            return [_view(job) for job in session.scalars(query)]

    def report(self, number: int, outcome: str, page: int) -> tuple[list[dict[str, Any]], int]:
        """Rows of a checked table with one outcome, or with `warn`, and how many there are."""
        found: list[dict[str, Any]] = []
        total = 0
        for row in read_lines(self._store.file(number, "report")):
            if row["outcome"] == outcome or (outcome == "warn" and row["warnings"]):
                if (page - 1) * PER_PAGE <= total < page * PER_PAGE:
                    found.append(row)
                total += 1
        return found, total

    def choose(self, number: int, mode: str, *, by: Account) -> None:
        """Have a checked table imported; one that stopped half-way goes on as it was begun.

        Raises:
            NotFound: no such job.
            InvalidRequest: no such way.
            Forbidden: a way that is not for this person.
            Conflict: it is not waiting for a decision.
        """
        self.one(number, by=by)
        if mode not in MODES:
            raise InvalidRequest({"mode": "请选择怎样导入"})
        if mode in AT_ONCE and not may_publish(by):
            raise Forbidden("只有管理员可以不经审核直接发布")
        with self._db.transaction() as session:
            job = session.get_one(ImportJob, number, with_for_update=True)
            if job.state == "failed" and job.mode:
                mode = job.mode
            elif job.state != "checked":
                raise Conflict("这次导入已经开始或已经结束，请刷新页面")
            # Whoever decides answers for it.
            job.created_by = by.name
            job.state, job.mode, job.problem, job.attempts = "queued", mode, "", 0
            job.claimed_by, job.claimed_at = "", None
            note(session, job, "import.begin", by.name, mode=mode)

    def discard(self, number: int, *, by: Account) -> None:
        """Give a table up before it is imported.

        Raises:
            NotFound: no such job.
            Conflict: it is being worked on, or over.
        """
        self.one(number, by=by)
        with self._db.transaction() as session:
            job = session.get_one(ImportJob, number, with_for_update=True)
            if job.state not in ("checked", "failed", "waiting"):
                raise Conflict("这次导入正在进行或已经结束，不能放弃")
            job.state, job.finished_at = "expired", self._now()
            note(session, job, "import.discard", by.name)
        self._store.drop(number)


def may_publish(account: Account) -> bool:
    """Whether a person may put imported rows before the public without a reviewer."""
    return RIGHTS["import"][account.role] >= Reach.REGION


def _keep(stream: IO[bytes], target: Path) -> tuple[str, int]:
    """Copy a stream; its SHA-256 and its bytes.

    Raises:
        InvalidRequest: empty or too large.
    """
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        while part := stream.read(2**20):
            size += len(part)
            if size > MAX_BYTES:
                raise InvalidRequest({"file": f"文件超过 {MAX_BYTES // 2**20} MB，请拆分后再导入"})
            digest.update(part)
            file.write(part)
    if not size:
        raise InvalidRequest({"file": "文件是空的，没有任何内容"})
    return digest.hexdigest(), size


def read_lines(path: Path) -> Iterator[Any]:
    """The values of a file of JSON lines; none where there is no file."""
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _view(job: ImportJob) -> ImportView:
    return ImportView(**{name: getattr(job, name) for name in ImportView.__dataclass_fields__})


def note(session: Session, job: ImportJob, action: str, actor: str, **detail: object) -> None:
    """Put a step of a job on record."""
    audit(
        session,
        actor=actor,
        action=action,
        subject=f"import:{job.id}",
        filename=job.filename,
        sha256=job.sha256,
        **detail,
    )
