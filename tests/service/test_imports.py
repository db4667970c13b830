"""Imports beyond the page: a crash half-way, and tables that must come back as they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app import compose
from embeddings import Encoder
from kb.entries import Entries, Saved
from kb.exchange import EntryRecord, read_entries, write_entries
from kb.models import Entry, EntryVersion
from service.accounts import Account
from service.config import Settings
from service.importing import BATCH, Importer
from service.imports import Imports, Store
from service.people import Profile
from service.runtime import Runtime
from tests.factories import entry

HOSTILE = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2",
    "@x",
    "'已有引号",
    "''=双",
    "＝全角",
    "表情😀",
    "a,b\"c'",
)


class Killed(BaseException):
    """The process is gone: nothing after it is run."""


class Mortal(Entries):
    """Entries in a process that dies in its second transaction."""

    saves = 0

    def save(self, rows: Iterable[tuple[int, EntryRecord]], **given: Any) -> list[Saved]:
        self.saves += 1
        within = given["within"]

        def die(session: Any, saved: Sequence[Saved]) -> None:
            within(session, saved)
            if self.saves == 2:
                raise Killed

        return super().save(rows, **{**given, "within": die})


@pytest.fixture
def runtime(database_url: str, tmp_path: Path, encoder: Encoder) -> Iterable[Runtime]:
    runtime = compose(Settings(database_url=database_url, data_dir=str(tmp_path)), encoder=encoder)
    yield runtime
    runtime.close()


@pytest.fixture
def admin(runtime: Runtime) -> Account:
    runtime.people.add(Profile("boss", "admin"), by="test")
    return runtime.people.named("boss")


def test_a_killed_import_is_finished_by_the_next_process_once(
    runtime: Runtime, admin: Account, tmp_path: Path
) -> None:
    now = [datetime(2026, 1, 15, tzinfo=UTC)]
    store = Store(runtime.db, tmp_path / "imports", lambda: now[0])
    imports, count = Imports(store), 3 * BATCH
    records = [entry(f"第{n}件事怎么办？", code=f"K-{n}") for n in range(count)]
    number = imports.begin(BytesIO(write_entries(records, ".jsonl")), "a.jsonl", by=admin)
    mortal = Mortal(runtime.db, regions=runtime.regions)
    first = Importer(store, mortal, checks=runtime.checks, people=runtime.people)
    first.job()
    imports.choose(number, "submit", by=admin)
    with pytest.raises(Killed):
        first.job()
    job = imports.one(number, by=admin)
    assert (job.state, job.done) == ("importing", BATCH)
    second = Importer(store, runtime.entries, checks=runtime.checks, people=runtime.people)
    assert not second.job(), "the first may be alive"
    now[0] += timedelta(seconds=61)
    assert second.job()
    job = imports.one(number, by=admin)
    assert (job.state, job.done, job.counts["added"]) == ("done", count, count)
    with runtime.db.reading() as session:
        assert session.scalar(select(func.count(Entry.id))) == count
        assert session.scalar(select(func.count(EntryVersion.id))) == count


def test_a_job_nobody_decided_on_expires_with_its_files(
    runtime: Runtime, admin: Account, tmp_path: Path
) -> None:
    now = [datetime(2026, 1, 15, tzinfo=UTC)]
    store = Store(runtime.db, tmp_path / "imports", lambda: now[0])
    imports = Imports(store)
    importer = Importer(store, runtime.entries, checks=runtime.checks, people=runtime.people)
    data = write_entries([entry("甲？")], ".csv")
    number = imports.begin(BytesIO(data), "../../a.csv", by=admin)
    importer.job()
    assert [each.name for each in store.folder.iterdir()]
    now[0] += timedelta(days=1, seconds=1)
    importer.job()
    job = imports.one(number, by=admin)
    assert (job.state, job.filename) == ("expired", "a.csv")
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".jsonl"])
def test_hostile_cells_come_back_as_they_were(suffix: str) -> None:
    records = [
        entry(
            f"{text}{number}怎么办？",
            answer=f"{text}\n第二行",
            short_answer=text,
            topic=text[:20],
            similar=(f"{text}甲", "乙"),
            tags=(text.replace(",", ""),),
            code=f"{text}{number}",
        )
        for number, text in enumerate(HOSTILE)
    ]
    long = entry("长文怎么办？", answer="长" * 20_000)
    got, problems = read_entries(write_entries([*records, long], suffix), f"a{suffix}")
    assert not problems
    assert [record for _, record in got] == [*records, long]
