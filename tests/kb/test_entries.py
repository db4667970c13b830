"""Entries: what a saved record adds, updates or leaves; round trips; how a basis is read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from kb.db import Database
from kb.entries import Entries, Saved, Sieve
from kb.errors import NotFound
from kb.exchange import TABLE_SUFFIXES, EntryRecord, read_entries, write_entries
from kb.models import Audit, Base, Change, Department, Entry, Phrasing, Status, Tag
from kb.records import parse_basis
from tests.factories import entry

FULL = EntryRecord(
    question="怎样办停车证？",
    answer="第一段。\n\n第二段，“带引号”。",
    department="市交通局",
    similar=("停车证去哪办", "停车证怎么申请"),
    negative=("怎样交停车费",),
    short_answer="到窗口办理。",
    region="370283",
    topic="交通",
    tags=("停车", "证件"),
    audience="个人",
    basis=("某政发〔2024〕1号 第三条", "《某市停车管理办法》第二条"),
    effective_on=date(2024, 1, 5),
    expires_on=date(2027, 1, 4),
    review_due=date(2026, 6, 30),
    phone="0532-00012345",
    status="published",
    code="007",
)


def save(entries: Entries, *records: EntryRecord, publish: bool = False) -> list[Saved]:
    return entries.save(enumerate(records, start=2), actor="编辑", publish=publish)


def outcomes(saved: list[Saved]) -> list[str]:
    return [each.outcome for each in saved]


def count(database: Database, table: type[Base]) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


class TestSave:
    def test_all_fields_come_back(self, entries: Entries) -> None:
        [saved] = save(entries, FULL)
        assert (saved.row, saved.outcome) == (2, "added")
        [held] = entries.records()
        assert held == replace(FULL, tags=held.tags)
        assert set(held.tags) == set(FULL.tags)

    def test_the_same_record_changes_nothing(self, database: Database, entries: Entries) -> None:
        save(entries, FULL)
        reordered = replace(FULL, tags=FULL.tags[::-1], region="平度市")
        assert outcomes(save(entries, FULL, reordered)) == ["unchanged", "unchanged"]
        assert count(database, Change) == count(database, Audit) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"question": "停车证怎么办？"},
            {"answer": "到大厅。"},
            {"department": "市公安局"},
            {"similar": ()},
            {"similar": FULL.similar[::-1]},
            {"negative": ("办残疾证",)},
            {"tags": ("停车",)},
            {"basis": ()},
            {"expires_on": None},
            {"region": ""},
            {"status": "withdrawn"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_a_known_code_updates(
        self, database: Database, entries: Entries, change: dict[str, object]
    ) -> None:
        [first] = save(entries, FULL)
        changed = replace(FULL, **change)  # type: ignore[arg-type]
        [again] = save(entries, changed)
        assert (again.outcome, again.entry_id) == ("updated", first.entry_id)
        [held] = entries.records()
        assert held == replace(changed, tags=held.tags)
        with database.reading() as session:
            # What is withdrawn says nothing new: that makes no version.
            expected = 1 if "status" in change else 2
            assert session.scalars(select(Entry.version)).all() == [expected]
            groups = session.scalars(select(Change.group)).all()
        assert groups == [f"entry:{first.entry_id}"] * 2

    def test_parts_that_went_leave_no_rows(self, database: Database, entries: Entries) -> None:
        save(entries, FULL)
        save(entries, replace(FULL, similar=("停车证去哪办",), negative=()))
        assert count(database, Phrasing) == 1

    def test_a_known_question_updates(self, entries: Entries) -> None:
        plain = entry("怎样办证？")
        [first] = save(entries, plain)
        [again] = save(entries, replace(plain, answer="到大厅。"))
        assert (again.outcome, again.entry_id) == ("updated", first.entry_id)

    def test_the_same_question_elsewhere_is_another_entry(self, entries: Entries) -> None:
        plain = entry("怎样办证？")
        regions = ("", "370200", "370283", "370200")
        saved = save(entries, *(replace(plain, region=region) for region in regions))
        assert outcomes(saved) == ["added", "added", "added", "unchanged"]

    def test_a_new_code_is_given_to_an_entry_without_one(self, entries: Entries) -> None:
        plain = entry("怎样办证？")
        [first] = save(entries, plain)
        [again] = save(entries, replace(plain, code="A-1"))
        assert (again.outcome, again.entry_id) == ("updated", first.entry_id)
        assert [each.code for each in entries.records()] == ["A-1"]

    def test_two_codes_are_two_entries(self, entries: Entries) -> None:
        plain = entry("怎样办证？", code="A-1")
        assert outcomes(save(entries, plain, replace(plain, code="A-2"))) == ["added", "added"]

    def test_a_row_without_a_code_keeps_the_code(self, entries: Entries) -> None:
        save(entries, entry("怎样办证？", code="A-1"))
        assert outcomes(save(entries, entry("怎样办证？"))) == ["unchanged"]
        assert outcomes(save(entries, entry("怎样办证？", "到大厅。"))) == ["updated"]
        assert [each.code for each in entries.records()] == ["A-1"]

    def test_bad_rows_among_good_ones(self, database: Database, entries: Entries) -> None:
        saved = save(
            entries,
            entry("甲？"),
            entry("乙？", region="某省"),
            entry("丙？", region="鼓楼区"),
            entry("丁？"),
        )
        assert outcomes(saved) == ["added", "failed", "failed", "added"]
        assert [(each.row, each.field) for each in saved[1:3]] == [(3, "region"), (4, "region")]
        assert "某省" in saved[1].reason
        assert "320106" in saved[2].reason
        assert count(database, Entry) == 2

    @pytest.mark.parametrize(
        ("field", "limit"),
        [("topic", 64), ("audience", 64), ("phone", 64), ("code", 64), ("department", 128)],
    )
    def test_a_field_wider_than_its_column(self, entries: Entries, field: str, limit: int) -> None:
        """PostgreSQL refuses it, and the whole table with it, where SQLite keeps it."""
        fits, wide = (entry(f"{n}？", **{field: "字" * n}) for n in (limit, limit + 1))
        saved = save(entries, fits, wide, entry("丁？"))
        assert outcomes(saved) == ["added", "failed", "added"]
        assert (saved[1].row, saved[1].field) == (3, field)
        assert str(limit + 1) in saved[1].reason

    def test_a_tag_wider_than_its_column(self, entries: Entries) -> None:
        saved = save(
            entries, entry("甲？", tags=("签", "字" * 65)), entry("乙？", tags=("字" * 64,))
        )
        assert outcomes(saved) == ["failed", "added"]
        assert saved[0].field == "tags"

    def test_departments_and_tags_are_made_once(self, database: Database, entries: Entries) -> None:
        save(entries, *(entry(f"{n}？", tags=("证件", "停车")) for n in range(3)))
        assert count(database, Department) == 1
        assert count(database, Tag) == 2

    def test_publish_overrides_the_status_of_the_row(self, entries: Entries) -> None:
        draft = entry("甲？", status="draft")
        assert outcomes(save(entries, draft)) == ["added"]
        assert outcomes(save(entries, draft, publish=True)) == ["updated"]
        assert outcomes(save(entries, draft, publish=True)) == ["unchanged"]
        assert [each.status for each in entries.records()] == ["published"]

    def test_several_tables_at_once(self, database: Database, entries: Entries) -> None:
        """The same new departments and tags in every thread: nobody fails."""
        records = [
            entry(f"{n}？", department=f"第{n % 3}局", tags=(f"签{n % 4}",)) for n in range(20)
        ]

        def work(turn: int) -> list[str]:
            return outcomes(save(entries, *records[turn:], *records[:turn]))

        with ThreadPoolExecutor(4) as pool:
            results = [each for row in pool.map(work, range(4)) for each in row]
        assert sorted(results) == ["added"] * 20 + ["unchanged"] * 60
        assert count(database, Department) == 3


class TestStatus:
    @pytest.mark.parametrize("status", list(Status))
    def test_is_set_audited_and_told_to_the_index(
        self, database: Database, entries: Entries, status: Status
    ) -> None:
        [saved] = save(entries, entry("甲？"))
        assert saved.entry_id is not None
        entries.set_status(saved.entry_id, status, actor="审核")
        with database.reading() as session:
            held = session.get_one(Entry, saved.entry_id)
            last = session.scalars(select(Audit).order_by(Audit.id)).all()[-1]
        assert held.status is status
        assert (last.actor, last.action, last.subject) == ("审核", status.value, "entry:1")
        assert count(database, Change) == 2

    def test_of_what_is_not_there(self, entries: Entries) -> None:
        with pytest.raises(NotFound, match="99"):
            entries.set_status(99, Status.PUBLISHED, actor="审核")

    def test_records_of_one_status(self, entries: Entries) -> None:
        save(entries, entry("甲？"), entry("乙？", status="draft"))
        assert [each.question for each in entries.records(Sieve(Status.DRAFT))] == ["乙？"]
        assert [each.question for each in entries.records()] == ["甲？", "乙？"]


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_what_was_exported_imports_to_the_same_base(entries: Entries, suffix: str) -> None:
    save(
        entries,
        FULL,
        entry("=甲？", "-到大厅。", status="draft", phone="00123"),
        entry("乙？", region="青岛市", tags=("停车",), basis=("《关于〈某办法〉的通知》",)),
        entry("丙？", status="withdrawn", effective_on=date(2020, 2, 29)),
    )
    before = list(entries.records())
    rows, problems = read_entries(write_entries(before, suffix), f"条目{suffix}")
    assert problems == []
    assert outcomes(entries.save(rows, actor="编辑")) == ["unchanged"] * 4
    assert [record for _, record in rows] == before == list(entries.records())


class TestBasis:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("《某市停车管理办法》第五十八条", ("某市停车管理办法", "第五十八条")),
            ("《某市停车管理办法》第五十八条第二款第（三）项", ("某市停车管理办法", "第五十八条")),
            ("《某市停车管理办法》 第十二条之一", ("某市停车管理办法", "第十二条之一")),
            ("《某市停车管理办法》第58条", ("某市停车管理办法", "第五十八条")),
            ("《某法典》第1105条", ("某法典", "第一千一百零五条")),
            ("《某市停车管理办法》第10条", ("某市停车管理办法", "第十条")),
            ("《某市停车管理办法》", ("某市停车管理办法", "")),
            ("《某市停车管理办法》（某政发〔2024〕1号）第三条", ("某市停车管理办法", "第三条")),
            ("某政发〔2024〕1号", ("某政发〔2024〕1号", "")),
            ("某政发[2024]01号 第三条", ("某政发〔2024〕1号", "第三条")),
            ("某政发〔2024〕1号《关于停车的通知》第三条", ("某政发〔2024〕1号", "第三条")),
            ("《关于印发〈停车规定〉的通知》第三条", ("关于印发《停车规定》的通知", "第三条")),
            ("《关于印发《停车规定》的通知》第三条", ("关于印发《停车规定》的通知", "第三条")),
            ("《甲办法》第一条、《乙办法》第二条", ("甲办法", "第一条")),
            ("《甲办法》和《乙办法》第二条", ("甲办法", "")),
            ("  市民服务中心的答复 ", ("市民服务中心的答复", "")),
            ("《没有写完", ("《没有写完", "")),
            ("", ("", "")),
        ],
    )
    def test_names_document_and_article(self, text: str, expected: tuple[str, str]) -> None:
        assert parse_basis(text) == expected

    @given(st.text(alphabet="《》〈〉〔〕号第三条1 某法", max_size=30))
    def test_never_fails(self, text: str) -> None:
        target, article = parse_basis(text)
        assert len(target) <= len(text) + 5
        assert article == "" or article.startswith("第")
