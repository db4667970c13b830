"""The database itself, on SQLite and PostgreSQL: tables, types, locks, snapshots, backup."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import IntegrityError, StatementError

import service.insights.models
import service.models
from kb.db import MIGRATIONS, Database
from kb.departments import department_named
from kb.journal import changed
from kb.models import Audit, Base, Change, Department, Entry, Revision

ROOT = Path(__file__).parents[2]
MIGRATE = "import sys; from kb.db import Database; Database(sys.argv[1]).migrate()"


def entry_of(department: Department) -> Entry:
    now = datetime.now(UTC)
    return Entry(
        question="怎样办证？",
        answer="到窗口。",
        department=department,
        created_at=now,
        updated_at=now,
    )


def test_migrations_reach_the_models(database: Database) -> None:
    for table in (service.models.Feedback, service.insights.models.Gap):
        assert table.__table__.metadata is Base.metadata
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_migrate_again_changes_nothing(database: Database) -> None:
    newest = max(path.stem[:4] for path in (MIGRATIONS / "versions").glob("0*.py"))
    with database.transaction() as session:
        department_named(session, "市财政局")
    database.migrate()
    assert database.version() == newest
    with database.reading() as session:
        assert session.scalars(select(Department.name)).all() == ["市财政局"]


def test_a_database_without_tables_has_no_version(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    assert database.version() is None
    database.dispose()


def test_processes_that_migrate_at_once_do_not_disturb_each_other(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> None:
    url = database_url
    if url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path / 'fresh.db'}"
    else:
        database = Database(url)
        with database.transaction() as session:
            session.execute(text("DROP SCHEMA public CASCADE"))
            session.execute(text("CREATE SCHEMA public"))
        database.dispose()
    command = [sys.executable, "-c", MIGRATE, url]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    said = [process.communicate()[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said


def test_times_keep_their_instant_and_have_a_zone(database: Database) -> None:
    beijing = timezone(timedelta(hours=8))
    at = datetime(2026, 1, 15, 0, 30, tzinfo=beijing)
    with database.transaction() as session:
        session.add(
            Audit(at=at, actor="编辑", action="x", subject="entry:1", detail={"on": "2026"})
        )
    with database.reading() as session:
        held = session.scalars(select(Audit)).one()
    assert held.at == at
    assert held.at.utcoffset() == timedelta(0)
    assert held.at.date() == date(2026, 1, 14)
    assert held.detail == {"on": "2026"}


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    naive = datetime(2026, 1, 15)
    with pytest.raises(StatementError, match="zone"), database.transaction() as session:
        session.add(Audit(at=naive, actor="编辑", action="x", subject="entry:1", detail={}))
    with database.reading() as session:
        assert session.scalar(select(func.count(Audit.id))) == 0


def test_foreign_keys_are_enforced(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as session:
        revision = Revision(document_id=999, number=1, sha256="0", filename="x.txt")
        revision.created_at = datetime.now(UTC)
        session.add(revision)
    with database.transaction() as session:
        session.add(entry_of(department_named(session, "市财政局")))
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(delete(Department))


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as session:
        changed(database, session, "entry:1")
        raise RuntimeError
    with database.reading() as session:
        assert session.scalar(select(func.count(Change.number))) == 0


def test_what_a_reader_writes_is_not_kept(database: Database) -> None:
    with database.reading() as session:
        session.add(Change(group="entry:1"))
        session.flush()
    with database.reading() as session:
        assert session.scalar(select(func.count(Change.number))) == 0


def test_a_reader_sees_one_state_from_its_first_look_on(database: Database) -> None:
    count = select(func.count(Change.number))
    with database.reading() as session:
        assert session.scalar(count) == 0
        with database.transaction() as other:
            changed(database, other, "entry:1")
        assert session.scalar(count) == 0
    with database.reading() as session:
        assert session.scalar(count) == 1


def test_concurrent_writers_wait_for_each_other(database: Database) -> None:
    """Each writer reads before it writes, which is what SQLite refuses with "is locked"."""
    together = threading.Barrier(8)

    def write(writer: int) -> None:
        together.wait()
        for number in range(10):
            with database.transaction() as session:
                database.serialise(session)
                session.scalar(select(func.count(Change.number)))
                changed(database, session, f"entry:{writer * 100 + number}")
            with database.reading() as session:
                session.scalar(select(func.max(Change.number)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with database.reading() as session:
        groups = session.scalars(select(Change.group)).all()
    assert len(groups) == len(set(groups)) == 80


def test_sqlite_is_set_up_for_readers_beside_a_writer(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'policy.db'}")
    with database.reading() as session:
        held = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    database.dispose()
    full = 2
    assert held == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": full,
        "busy_timeout": 30_000,
    }


def test_backup_is_one_whole_file(sqlite_file: Path, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{shutil.copy(sqlite_file, tmp_path / 'policy.db')}")
    with database.transaction() as session:
        changed(database, session, "entry:1")
    with database.transaction() as session:
        changed(database, session, "entry:2")
        # A backup neither waits for a writer nor holds what is not committed.
        database.backup(tmp_path / "backup.db")
    database.dispose()
    copy = sqlite3.connect(tmp_path / "backup.db")
    assert copy.execute("SELECT group_key FROM change").fetchall() == [("entry:1",)]
    assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    copy.close()
