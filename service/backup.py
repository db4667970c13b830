"""One-file backup and restore of everything that cannot be derived; hides the archive's layout.

A backup is a ZIP with the database, the original files and the signing key. The index is left
out: it is rebuilt from the database.
"""

import fcntl
import os
import shutil
import tempfile
import uuid
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from kb.db import Database
from kb.errors import Conflict, DocumentUnreadable
from service.config import Settings

DATABASE = "policy.db"
KEPT = ("uploads", "secret_key")
# Notes when a backup was last made; left out of it.
LAST = "last_backup"


def create(db: Database, folder: Path, target: Path) -> int:
    """Write a backup while the service may be running; return its size in bytes.

    Raises:
        Conflict: the database is not SQLite; it has backup tools of its own.
    """
    if db.dialect != "sqlite":
        raise Conflict("PostgreSQL 数据库请用 pg_dump 备份；上传的原件在数据目录的 uploads 下")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        copy = Path(work) / DATABASE
        db.backup(copy)
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(copy, DATABASE)
            for name in KEPT:
                for path in _files(folder / name):
                    archive.write(path, path.relative_to(folder))
    os.replace(fresh, target)
    (folder / LAST).write_text(datetime.now(UTC).isoformat(), encoding="ascii")
    return target.stat().st_size


def last(folder: Path) -> datetime | None:
    """When a backup of a data folder was last made here; None where none is known."""
    try:
        return datetime.fromisoformat((folder / LAST).read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def restore(source: Path, settings: Settings) -> Path | None:
    """Put a backup in place; return where the former data went, None if there was none.

    Raises:
        Conflict: the configured database is not the SQLite file of the data folder, or a service
            is running on it, whose later writes would be lost.
        DocumentUnreadable: the file is not a whole backup; nothing was changed.
    """
    folder = settings.folder
    if settings.database_url:
        raise Conflict("只能恢复到数据目录里的 SQLite 数据库，请先去掉 POLICYQA_DATABASE_URL")
    if _in_use(folder):
        raise Conflict("服务正在运行，请先停止服务再恢复")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        fresh = Path(work)
        _unpack(source, fresh)
        _check(fresh / DATABASE, source)
        aside = folder / f"before-restore-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        moved = False
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "index", *KEPT):
            if (folder / name).exists():
                aside.mkdir(exist_ok=True)
                shutil.move(folder / name, aside / name)
                moved = True
            if (fresh / name).exists():
                os.replace(fresh / name, folder / name)
    return aside if moved else None


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file whole, or not at all."""
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    fresh.write_bytes(data)
    os.replace(fresh, path)


def _in_use(folder: Path) -> bool:
    """Whether another process holds the lock of an index in the folder, as a service does."""
    for path in (folder / "index").rglob("LOCK"):
        with path.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
    return False


def _unpack(source: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            names = archive.namelist()
            inside = all(
                (folder / name).resolve().is_relative_to(folder.resolve()) for name in names
            )
            if DATABASE not in names or not inside or archive.testzip() is not None:
                raise DocumentUnreadable(f"{source.name} 不是完整的备份文件")
            archive.extractall(folder)
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise DocumentUnreadable(f"{source.name} 不是完整的备份文件") from error


def _check(path: Path, source: Path) -> None:
    db = Database(f"sqlite:///{path}")
    try:
        known = db.version()
        problem = db.problem()
    except Exception as error:
        raise DocumentUnreadable(f"{source.name} 里的数据库打不开") from error
    finally:
        db.dispose()
    if problem or known is None:
        raise DocumentUnreadable(problem or f"{source.name} 里没有知识库")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [each for each in sorted(path.rglob("*")) if each.is_file()]
