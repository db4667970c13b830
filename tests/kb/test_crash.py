"""Killed at any moment: a process that writes all the time dies, and nothing promised is lost.

Run as a program, this module is that process: it imports, publishes and rebuilds in a loop and
prints a line for each outcome once it has committed.
"""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from embeddings import HashingEncoder
from kb.db import Database
from kb.documents import Documents, Upload
from kb.entries import Entries
from kb.index import Index
from kb.indexing import Indexer
from kb.models import Change, Clause, Document, Entry, Revision, Status
from kb.regions import Regions
from kb.search import Scope, Search
from tests.factories import DIVISIONS, TODAY, entry, regulation, upload

ROOT = Path(__file__).parents[2]
RULES = 4


def files(start: int, many: int) -> Iterator[Upload]:
    for number in range(start, start + many):
        rules = [f"第{number}号事项按第{number}{rule}种标准办理。" for rule in "甲乙丙丁"[:RULES]]
        content = regulation(f"某市第{number}号事项管理办法", *rules)
        yield upload(content, f"{number}.txt", department=f"第{number % 3}局")


def write(url: str, folder: Path, start: int) -> None:
    """Change the base until killed; print each outcome, as JSON, after its commit."""
    db, regions = Database(url), Regions(DIVISIONS)
    documents = Documents(db, uploads=folder / "uploads", regions=regions, today=lambda: TODAY)
    entries = Entries(db, regions=regions)
    index = Index.open(HashingEncoder(), folder / "index")
    indexer = Indexer(db, index)
    say(ready=True)
    for number in count(start, 10):
        for outcome in documents.add(files(number, 8), actor="编辑", publish=True):
            say(document=outcome.document_id, title=outcome.title)
        [saved] = entries.save([(2, entry(f"{number}号窗口在哪？"))], actor="编辑")
        say(entry=saved.entry_id, question=f"{number}号窗口在哪？")
        indexer.catch_up()
        entries.set_status(saved.entry_id or 0, Status.WITHDRAWN, actor="审核")
        entries.set_status(saved.entry_id or 0, Status.PUBLISHED, actor="审核")
        indexer.catch_up()
        index.merge()
        if number % 30 == 0:
            indexer.rebuild()


def say(**fact: Any) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def outcomes_until_killed(
    url: str, folder: Path, start: int, seconds: float
) -> list[dict[str, Any]]:
    """Let the writer run for a while, kill it, and return what it had said."""
    command = [sys.executable, "-m", "tests.kb.test_crash", url, str(folder), str(start)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"ready": True}
        threading.Timer(seconds, process.kill).start()
        lines = process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -signal.SIGKILL
    # The last line may be cut in the middle.
    return [json.loads(line) for line in lines if line.endswith("\n")]


def assert_sound(db: Database, folder: Path) -> None:
    """Every row is whole, and every revision has all its clauses and its file."""
    with db.reading() as session:
        clauses = select(Revision.id, func.count(Clause.id)).join(Clause).group_by(Revision.id)
        whole = [revision for revision, number in session.execute(clauses) if number > RULES]
        revisions = session.scalars(select(Revision)).all()
        changes = set(session.scalars(select(Change.group)))
    assert len(whole) == len(revisions)
    for revision in revisions:
        assert (folder / "uploads" / revision.sha256[:2] / f"{revision.sha256}.txt").is_file()
        assert f"revision:{revision.id}" in changes
    if db.dialect == "sqlite":
        with sqlite3.connect(str(db.engine.url.database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()


def assert_answered(db: Database, folder: Path, said: list[dict[str, Any]]) -> None:
    """The index opens or is made again, and what was promised is found by it."""
    index = Index.open(HashingEncoder(), folder / "index")
    Indexer(db, index).catch_up()
    search = Search(db, index, Regions(DIVISIONS))
    fresh = Index.in_memory(HashingEncoder())
    Indexer(db, fresh).rebuild()
    assert len(index) == len(fresh)
    index.close()
    for fact in said[:3] + said[-12:]:
        wanted = fact.get("title") or fact["question"]
        found = search.passages(wanted, Scope(as_of=TODAY), limit=20).passages
        assert wanted in {passage.title for passage in found}


def test_kill_at_any_moment(database: Database, tmp_path: Path) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    chance = random.Random(20260115)
    rounds = 6 if database.dialect == "sqlite" else 2
    promised: list[dict[str, Any]] = []
    for number in range(rounds):
        start = 30 * 10_000 * number
        said = outcomes_until_killed(url, tmp_path, start, chance.uniform(0.05, 0.7))
        promised += said
        assert_sound(database, tmp_path)
        with database.reading() as session:
            held = {
                "document": dict(session.execute(select(Document.id, Document.title)).all()),
                "entry": dict(session.execute(select(Entry.id, Entry.question)).all()),
            }
        for fact in promised:
            kind = "document" if "document" in fact else "entry"
            assert held[kind][fact[kind]] == fact.get("title", fact.get("question"))
        # The last entry may have been between withdrawn and published.
        last = max((at for at, fact in enumerate(said) if "entry" in fact), default=-1)
        assert_answered(database, tmp_path, [f for at, f in enumerate(said) if at != last])
    assert len(promised) > rounds


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
