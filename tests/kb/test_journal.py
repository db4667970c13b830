"""The audit log: chained, append-only, in one order under concurrent writers, found again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from kb.db import Database
from kb.journal import AuditLog, Wanted, audit
from kb.models import Audit


def write(database: Database, action: str, *, actor: str = "甲", subject: str = "entry:1") -> None:
    with database.transaction() as session:
        audit(session, actor=actor, action=action, subject=subject, note="话费 3.5 元", n=1)


def without_triggers(database: Database, statement: str) -> None:
    """What somebody with all rights on the database could do."""
    with database.transaction() as session:
        on = " ON audit" if database.dialect == "postgresql" else ""
        for event in ("update", "delete"):
            session.execute(text(f"DROP TRIGGER audit_refuse_{event}{on}"))
        session.execute(text(statement))


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


def test_an_untouched_log_holds(database: Database, log: AuditLog) -> None:
    assert log.verify().last is None
    for number in range(5):
        write(database, f"a{number}")
    verdict = log.verify()
    assert (verdict.rows, verdict.broken) == (5, None)
    assert len({row.digest for row in log.rows()}) == 5


def test_the_database_refuses_to_change_or_delete(database: Database) -> None:
    write(database, "a")
    for statement in (update(Audit).values(actor="别人"), text("DELETE FROM audit")):
        with pytest.raises(IntegrityError), database.transaction() as session:
            session.execute(statement)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET actor = '乙' WHERE id = 2", 2),
        ("UPDATE audit SET detail = '{}' WHERE id = 3", 3),
        ("DELETE FROM audit WHERE id = 2", 3),
    ],
)
def test_what_was_done_behind_its_back_is_found(
    database: Database, log: AuditLog, statement: str, broken: int
) -> None:
    for number in range(4):
        write(database, f"a{number}")
    without_triggers(database, statement)
    assert log.verify().broken == broken


def test_an_end_that_was_cut_off_is_found_by_what_was_noted(
    database: Database, log: AuditLog
) -> None:
    for number in range(3):
        write(database, f"a{number}")
    noted = log.verify().last
    assert log.verify(noted).broken is None
    without_triggers(database, "DELETE FROM audit WHERE id = 3")
    assert log.verify().broken is None
    assert log.verify(noted).broken == 3


def test_concurrent_writers_make_one_chain(database: Database, log: AuditLog) -> None:
    together = threading.Barrier(6)

    def work(writer: int) -> None:
        together.wait()
        for number in range(8):
            write(database, f"w{writer}.{number}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    verdict = log.verify()
    assert (verdict.rows, verdict.broken) == (48, None)


def test_a_transaction_that_fails_leaves_no_row(database: Database, log: AuditLog) -> None:
    with pytest.raises(RuntimeError), database.transaction() as session:
        audit(session, actor="甲", action="a", subject="entry:1")
        raise RuntimeError
    write(database, "b")
    assert [row.action for row in log.rows()] == ["b"]
    assert log.verify().broken is None


def test_rows_are_found_by_who_what_and_when(database: Database, log: AuditLog) -> None:
    for action in ("sign_in", "sign_in.failed", "entry.flag"):
        write(database, action, actor="乙" if action == "sign_in" else "甲")
    write(database, "entry.flag", subject="entry:2")
    now = datetime.now(UTC)

    def found(**wanted: object) -> list[str]:
        rows, total = log.page(Wanted(**wanted))  # type: ignore[arg-type]
        assert total == len(rows)
        return [row.action for row in rows]

    assert found(action="sign_in") == ["sign_in.failed", "sign_in"]
    assert found(actor="乙") == ["sign_in"]
    assert found(subject="entry:2") == ["entry.flag"]
    assert found(since=now + timedelta(hours=1)) == []
    assert len(found(until=now + timedelta(hours=1))) == 4
    page, total = log.page(Wanted(), offset=1, limit=2)
    assert ([row.id for row in page], total) == ([3, 2], 4)
