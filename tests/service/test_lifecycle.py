"""The whole walk: written, returned, corrected, approved, answered, repealed, told why, revised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from app import compose
from embeddings import Encoder
from kb.models import State
from service.config import Settings
from service.conversations import Answer, Outcome, Question
from service.runtime import Runtime
from tests.factories import entry, publish, regulation

TITLE = "某市停车管理办法"
QUESTION = "路边停车怎么收费？"
TODAY = date(2026, 3, 2)


class Calendar:
    def __init__(self) -> None:
        self.day = TODAY

    def __call__(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, 4, tzinfo=UTC)


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def runtime(
    database_url: str, tmp_path: Path, encoder: Encoder, calendar: Calendar
) -> Iterator[Runtime]:
    settings = Settings(database_url=database_url, data_dir=str(tmp_path / "data"))
    runtime = compose(settings, encoder=encoder, channels={}, now=calendar)
    yield runtime
    runtime.close()


def ask(runtime: Runtime) -> Answer:
    runtime.indexer.catch_up()
    return runtime.answerer.answer(Question(QUESTION, runtime.today()))


def test_from_the_first_draft_to_the_revision(runtime: Runtime, calendar: Calendar) -> None:
    versions = runtime.versions
    old = regulation(TITLE, "路边停车每小时收费三元。", effective=date(2020, 1, 1))
    document_id = publish(runtime.documents, old)
    record = entry(QUESTION, "每小时四元。", basis=(f"《{TITLE}》第一条",))
    draft = versions.draft(None, record, actor="编辑")
    versions.submit(draft.id, actor="编辑", seen=1)
    versions.return_(draft.id, actor="审核", reason="应为三元")
    assert ask(runtime).entry is None
    record = replace(record, answer="每小时三元。")
    draft = versions.draft(draft.entry_id, record, actor="编辑")
    versions.submit(draft.id, actor="编辑", seen=1)
    versions.approve(draft.id, actor="审核")

    given = ask(runtime)
    assert (given.outcome, given.text) == (Outcome.ANSWERED, "每小时三元。")
    assert given.entry is not None
    assert given.entry.entry is not None

    calendar.day = TODAY + timedelta(days=30)
    runtime.documents.repeal(document_id, on=calendar.day, actor="审核")
    after = ask(runtime)
    assert after.outcome is not Outcome.ANSWERED
    assert "废止" in after.text
    assert runtime.history.versions(draft.entry_id)[0].state is State.REPEALED
    said = runtime.history.said(given.entry.entry.id, given.entry.entry.version)
    assert said.record.answer == "每小时三元。"

    publish(
        runtime.documents,
        regulation("某市静态交通办法", "路边停车每小时收费五元。", effective=calendar.day),
    )
    record = replace(record, answer="每小时五元。", basis=("《某市静态交通办法》第一条",))
    fresh = versions.draft(draft.entry_id, record, actor="编辑", based_on=said.number)
    versions.submit(fresh.id, actor="编辑", seen=1)
    versions.approve(fresh.id, actor="审核")
    again = ask(runtime)
    assert (again.outcome, again.text) == (Outcome.ANSWERED, "每小时五元。")
    assert runtime.audit_log.verify().broken is None


def test_an_amended_basis_is_said_and_the_new_words_are_quoted(
    runtime: Runtime, calendar: Calendar
) -> None:
    text = "路边停车每小时收费三元。"
    publish(runtime.documents, regulation(TITLE, text, effective=date(2020, 1, 1)))
    record = entry(QUESTION, "每小时三元。", basis=(f"《{TITLE}》第一条",))
    runtime.entries.save([(1, record)], actor="编辑", publish=True)
    assert ask(runtime).text == "每小时三元。"
    text = "路边停车每小时收费五元。"
    publish(runtime.documents, regulation(TITLE, text, effective=TODAY))
    after = ask(runtime)
    assert after.outcome is not Outcome.ANSWERED
    assert "三元" not in after.text
