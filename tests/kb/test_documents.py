"""Documents: import, identity, revisions and their periods, repeal, withdrawal; both databases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select

from kb.db import Database
from kb.departments import department_named
from kb.documents import BATCH, Documents, Imported, Upload
from kb.errors import NotFound
from kb.models import Audit, Change, Clause, Department, Document, Repeal, Revision, Status
from tests.factories import TODAY, add, circular, publish, regulation, upload

PARKING = "某市停车管理办法"


def parking(start: date | None, fee: str = "三元", **dates: date) -> str:
    return regulation(PARKING, f"路边停车每小时收费{fee}。", effective=start, **dates)


def held(database: Database, document_id: int) -> Document:
    with database.reading() as session:
        document = session.get_one(Document, document_id)
        assert document.revisions
        return document


def count(database: Database, table: type[object]) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def groups(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Change.group).order_by(Change.number)))


class TestImport:
    def test_first_time(self, database: Database, documents: Documents) -> None:
        content = circular(
            "某市人民政府关于发放取暖补贴的通知",
            "某政发〔2024〕5号",
            "低保家庭每户八百元。",
            "到社区窗口申请。",
            issued=date(2024, 1, 15),
            effective=date(2024, 2, 1),
            expires=date(2026, 1, 31),
        )
        [outcome] = add(
            documents, upload(content, "a/b/取暖.txt", topic="社会救助", region="平度市")
        )
        assert outcome.outcome == "imported"
        assert (outcome.filename, outcome.title) == (
            "a/b/取暖.txt",
            "某市人民政府关于发放取暖补贴的通知",
        )
        assert outcome.document_id is not None
        document = held(database, outcome.document_id)
        assert document.document_number == "某政发〔2024〕5号"
        assert document.issuer == "某市人民政府"
        assert (document.topic, document.region_code) == ("社会救助", "370283")
        assert (document.status, document.published_on) == (Status.PUBLISHED, TODAY)
        [revision] = document.revisions
        assert revision.filename == "取暖.txt"
        assert revision.issued_on == date(2024, 1, 15)
        assert (revision.effective_on, revision.expires_on) == (date(2024, 2, 1), date(2026, 1, 31))
        with database.reading() as session:
            clauses = session.scalars(select(Clause).order_by(Clause.ordinal)).all()
        assert len(clauses) == outcome.clauses
        assert "一、低保家庭每户八百元。" in [clause.text for clause in clauses]
        assert [clause.ordinal for clause in clauses] == list(range(len(clauses)))

    def test_the_same_bytes_again_are_unchanged(
        self, database: Database, documents: Documents
    ) -> None:
        first, again = add(documents, upload(parking(TODAY)), upload(parking(TODAY), "副本.txt"))
        assert (again.outcome, again.document_id) == ("unchanged", first.document_id)
        before = groups(database)
        assert add(documents, upload(parking(TODAY)))[0].outcome == "unchanged"
        assert count(database, Revision) == 1
        assert groups(database) == before

    def test_a_draft_stays_out_until_it_is_published(
        self, database: Database, documents: Documents
    ) -> None:
        [outcome] = add(documents, upload(parking(TODAY)), publish=False)
        assert outcome.document_id is not None
        assert held(database, outcome.document_id).status is Status.DRAFT
        assert groups(database) == []
        documents.publish(outcome.document_id, actor="审核")
        assert held(database, outcome.document_id).status is Status.PUBLISHED
        assert groups(database) == ["revision:1"]

    def test_a_draft_is_published_by_importing_it_again(
        self, database: Database, documents: Documents
    ) -> None:
        add(documents, upload(parking(TODAY)), publish=False)
        [outcome] = add(documents, upload(parking(TODAY)))
        assert outcome.outcome == "unchanged"
        assert held(database, 1).status is Status.PUBLISHED

    def test_bad_files_among_good_ones(self, database: Database, documents: Documents) -> None:
        outcomes = add(
            documents,
            upload(parking(TODAY)),
            Upload(b"", "空.txt"),
            Upload(b"MZ\x90", "程序.exe"),
            Upload(b"%PDF-1.7 broken", "坏.pdf"),
            upload(
                regulation("某市噪声管理办法", "夜间禁止施工。", effective=TODAY), region="某省"
            ),
            upload(regulation("某市绿化管理办法", "不得砍树。", effective=TODAY)),
        )
        assert [each.outcome for each in outcomes] == [
            "imported",
            *["failed"] * 4,
            "imported",
        ]
        assert all(each.reason and each.document_id is None for each in outcomes[1:5])
        assert "某省" in outcomes[4].reason
        assert count(database, Document) == 2

    def test_a_secrecy_mark_keeps_everything_out(
        self, database: Database, documents: Documents, tmp_path: Path
    ) -> None:
        content = "机密★1年\n\n" + circular("某市关于某事的通知", "某政发〔2024〕6号", "内容。")
        [outcome] = add(documents, upload(content))
        assert outcome.outcome == "failed"
        assert "机密" in outcome.reason
        for table in (Document, Revision, Clause, Audit, Change):
            assert count(database, table) == 0
        assert not list(tmp_path.glob("uploads/**/*.*"))

    def test_outcomes_come_after_their_commit(
        self, database: Database, documents: Documents
    ) -> None:
        def files() -> Iterator[Upload]:
            for number in range(BATCH + 5):
                yield upload(regulation(f"某市第{number}号事项管理办法", "内容。", effective=TODAY))

        seen = 0
        for outcome in documents.add(files(), actor="编辑", publish=True):
            seen += 1
            assert outcome.outcome == "imported"
            if seen in (1, BATCH, BATCH + 1):
                with database.reading() as session:
                    assert session.get(Document, outcome.document_id) is not None
        assert seen == BATCH + 5

    def test_a_batch_that_fails_reports_none_of_its_files(
        self, database: Database, documents: Documents
    ) -> None:
        def files() -> Iterator[Upload]:
            for number in range(BATCH + 3):
                yield upload(regulation(f"某市第{number}号事项管理办法", "内容。", effective=TODAY))
            raise OSError("the disk was unplugged")

        outcomes: list[Imported] = []
        with pytest.raises(OSError, match="unplugged"):
            outcomes.extend(documents.add(files(), actor="编辑", publish=True))
        assert len(outcomes) == BATCH == count(database, Document)

    def test_the_original_is_kept_under_its_hash(
        self, documents: Documents, tmp_path: Path
    ) -> None:
        data = parking(TODAY).encode()
        add(documents, Upload(data, "../../停车.TXT"), publish=False)
        name = hashlib.sha256(data).hexdigest()
        kept = [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()]
        assert kept == [tmp_path / "uploads" / name[:2] / f"{name}.txt"]
        assert kept[0].read_bytes() == data

    def test_no_folder_keeps_no_file(self, database: Database, documents: Documents) -> None:
        lean = Documents(database, uploads=None, regions=documents._regions, today=lambda: TODAY)
        assert add(lean, upload(parking(TODAY)))[0].outcome == "imported"

    def test_departments_are_made_once(self, database: Database, documents: Documents) -> None:
        texts = [
            regulation(f"某市第{n}号事项管理办法", "内容。", effective=TODAY) for n in range(3)
        ]
        add(documents, *(upload(each, department=" 市交通局 ") for each in texts))
        with database.reading() as session:
            assert session.scalars(select(Department.name)).all() == ["市交通局"]

    def test_several_importers_at_once(self, database: Database, documents: Documents) -> None:
        """The same files and the same new department in every thread: nobody fails."""
        texts = [
            regulation(f"某市第{n}号事项管理办法", "内容。", effective=TODAY) for n in range(12)
        ]

        def work(turn: int) -> list[str]:
            order = texts[turn:] + texts[:turn]
            return [
                outcome.outcome
                for content in order
                for outcome in add(documents, upload(content, department=f"第{turn % 2}处"))
            ]

        with ThreadPoolExecutor(4) as pool:
            outcomes = [each for row in pool.map(work, range(4)) for each in row]
        assert sorted(outcomes) == ["imported"] * 12 + ["unchanged"] * 36
        assert count(database, Document) == 12

    def test_values_longer_than_their_columns(
        self, database: Database, documents: Documents
    ) -> None:
        """One file with absurd facts must not take the others of its batch down."""
        outcomes = add(
            documents,
            upload(parking(TODAY), topic="题" * 300, department="局" * 300),
            upload(
                regulation("某市绿化管理办法", "不得砍树。"), source_url="https://x/" + "u" * 2000
            ),
            upload(regulation("某市噪声管理办法", "夜间禁止施工。", effective=TODAY)),
        )
        assert [each.outcome for each in outcomes] == ["imported", "failed", "imported"]
        assert "网址" in outcomes[1].reason

    def test_everything_is_audited(self, database: Database, documents: Documents) -> None:
        document_id = publish(documents, parking(TODAY))
        documents.repeal(document_id, on=TODAY, actor="审核")
        documents.withdraw(document_id, actor="审核", reason="有误")
        with database.reading() as session:
            rows = session.execute(select(Audit.actor, Audit.action).order_by(Audit.id)).all()
        assert [tuple(row) for row in rows] == [
            ("编辑", "imported"),
            ("编辑", "publish"),
            ("审核", "repeal"),
            ("审核", "withdraw"),
        ]


class TestIdentity:
    def test_a_regulation_of_the_same_title_is_revised(
        self, database: Database, documents: Documents
    ) -> None:
        first, second = add(
            documents,
            upload(parking(date(2010, 1, 1))),
            upload(parking(date(2020, 1, 1), "五元")),
        )
        assert (second.outcome, second.document_id) == ("revised", first.document_id)
        assert first.document_id is not None
        assert [each.number for each in held(database, first.document_id).revisions] == [1, 2]

    def test_drafts_of_one_batch_are_numbered_too(
        self, database: Database, documents: Documents
    ) -> None:
        texts = [parking(date(2010 + n, 1, 1)) for n in range(4)]
        outcomes = add(documents, *map(upload, texts), publish=False)
        assert [each.outcome for each in outcomes] == ["imported", "revised", "revised", "revised"]
        assert [each.number for each in held(database, 1).revisions] == [1, 2, 3, 4]

    def test_the_same_title_elsewhere_is_another_document(self, documents: Documents) -> None:
        outcomes = add(
            documents,
            upload(parking(date(2010, 1, 1)), region="370200"),
            upload(parking(date(2011, 1, 1)), region="370283"),
            upload(parking(date(2012, 1, 1))),
        )
        assert [each.outcome for each in outcomes] == ["imported"] * 3

    def test_a_circular_goes_by_its_number(self, documents: Documents) -> None:
        outcomes = add(
            documents,
            upload(circular("某市关于补贴的通知", "某政发〔2024〕5号", "每户八百元。")),
            upload(circular("某市关于补贴的通知", "某政发〔2024〕05号", "每户八百元整。")),
            upload(circular("某市关于补贴的通知", "某政发〔2025〕5号", "每户九百元。")),
        )
        assert [each.outcome for each in outcomes] == ["imported", "revised", "imported"]

    def test_circulars_without_a_number_never_meet(self, documents: Documents) -> None:
        outcomes = add(
            documents,
            upload("关于补贴的通知\n\n一、每户八百元。\n"),
            upload("关于补贴的通知\n\n一、每户九百元。\n"),
        )
        assert [each.outcome for each in outcomes] == ["imported", "imported"]

    def test_an_address_decides_before_title_and_number(
        self, database: Database, documents: Documents
    ) -> None:
        first = publish(documents, parking(date(2010, 1, 1)), source_url="https://a.test/1")
        other = publish(documents, parking(date(2011, 1, 1)), source_url="https://b.test/1")
        renamed = publish(
            documents,
            regulation("某市静态交通管理办法", "收费五元。", effective=date(2020, 1, 1)),
            source_url="https://a.test/1",
        )
        assert first == renamed != other
        assert count(database, Document) == 2

    def test_the_same_bytes_at_two_addresses_are_two_documents(self, documents: Documents) -> None:
        first = publish(documents, parking(TODAY), source_url="https://a.test/1")
        assert first != publish(documents, parking(TODAY), source_url="https://b.test/1")

    def test_enacted_again_after_its_repeal_it_is_another_document(
        self, database: Database, documents: Documents
    ) -> None:
        """Else the new one would be born repealed."""
        old = publish(documents, parking(date(2010, 1, 1)))
        documents.repeal(old, on=date(2015, 1, 1), actor="审核")
        new = publish(documents, parking(date(2020, 1, 1), "五元"))
        assert old != new
        assert held(database, new).repealed_on is None
        assert held(database, old).repealed_on == date(2015, 1, 1)
        # What belongs before the repeal still belongs to the old one.
        assert publish(documents, parking(date(2012, 1, 1), "四元")) == old
        assert publish(documents, parking(date(2022, 1, 1), "六元")) == new


OLD = regulation("某市停车暂行规定", "收费一元。", effective=date(2010, 1, 1))
BY_TITLE = regulation(
    PARKING, "收费三元。", effective=date(2020, 3, 1), repeals=["《某市停车暂行规定》"]
)
OLD_CIRCULAR = circular(
    "某市关于临时停车的通知", "某政发〔2010〕3号", "免费。", effective=date(2010, 1, 1)
)
BY_NUMBER = regulation(
    PARKING,
    "收费三元。",
    effective=date(2020, 3, 1),
    repeals=["《某市关于停车的旧文件》（某政发〔2010〕3号）"],
)


class TestRepeal:
    @pytest.mark.parametrize("late", [False, True], ids=["old first", "new first"])
    @pytest.mark.parametrize(
        ("old", "new"), [(OLD, BY_TITLE), (OLD_CIRCULAR, BY_NUMBER)], ids=["title", "number"]
    )
    def test_named_in_another_document(
        self, database: Database, documents: Documents, old: str, new: str, late: bool
    ) -> None:
        if late:
            by, target = publish(documents, new), publish(documents, old)
        else:
            target, by = publish(documents, old), publish(documents, new)
        assert held(database, target).repealed_on == date(2020, 3, 1)
        assert held(database, target).successor_id == by
        assert held(database, by).repealed_on is None

    @pytest.mark.parametrize("late", [False, True], ids=["old first", "new first"])
    def test_a_draft_repeals_nothing(
        self, database: Database, documents: Documents, late: bool
    ) -> None:
        for content in (BY_TITLE, OLD) if late else (OLD, BY_TITLE):
            add(documents, upload(content), publish=content is OLD)
        target, by = (2, 1) if late else (1, 2)
        assert held(database, target).repealed_on is None
        documents.publish(by, actor="审核")
        assert held(database, target).successor_id == by

    @pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
    def test_the_first_of_two_repeals_counts(
        self, database: Database, documents: Documents, order: str
    ) -> None:
        later = regulation(
            "某市道路管理办法", "略。", effective=date(2022, 1, 1), repeals=["《某市停车暂行规定》"]
        )
        texts = {"a": OLD, "b": BY_TITLE, "c": later}
        ids = {name: publish(documents, texts[name]) for name in order}
        target = held(database, ids["a"])
        assert (target.repealed_on, target.successor_id) == (date(2020, 3, 1), ids["b"])

    @pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
    def test_what_was_enacted_after_the_repeal_is_not_meant(
        self, database: Database, documents: Documents, order: str
    ) -> None:
        again = regulation("某市停车暂行规定", "收费两元。", effective=date(2023, 1, 1))
        texts = {"a": OLD, "b": BY_TITLE, "c": again}
        ids = {name: publish(documents, texts[name]) for name in order}
        assert held(database, ids["c"]).repealed_on is None

    def test_a_title_is_meant_within_its_own_region(
        self, database: Database, documents: Documents
    ) -> None:
        """Two cities may have regulations of the same name."""
        ours = publish(documents, OLD, region="平度市")
        theirs = publish(documents, OLD + "\n", region="胶州市")
        by = publish(documents, BY_TITLE, region="平度市")
        later = publish(documents, OLD + "\n\n", region="370000")
        assert held(database, ours).successor_id == by
        assert held(database, theirs).repealed_on is None
        assert held(database, later).repealed_on is None

    def test_a_number_is_meant_wherever_it_is(
        self, database: Database, documents: Documents
    ) -> None:
        old = publish(documents, OLD_CIRCULAR, region="青岛市")
        by = publish(documents, BY_NUMBER)
        assert held(database, old).successor_id == by

    def test_the_names_are_kept_as_read(self, database: Database, documents: Documents) -> None:
        publish(documents, BY_NUMBER)
        with database.reading() as session:
            targets = set(session.scalars(select(Repeal.target)))
        assert targets == {"某市关于停车的旧文件", "某政发〔2010〕3号"}

    @pytest.mark.parametrize("late", [False, True], ids=["old first", "new first"])
    def test_a_title_within_a_title(
        self, database: Database, documents: Documents, late: bool
    ) -> None:
        """《…《…》…》 is printed 《…〈…〉…》 where another text names it."""
        old = circular("某市关于印发《停车规定》的通知", "某政发〔2010〕3号", "免费。")
        new = regulation(
            PARKING,
            "收费。",
            effective=date(2020, 3, 1),
            repeals=["《某市关于印发〈停车规定〉的通知》"],
        )
        ids = {text: publish(documents, text) for text in ((new, old) if late else (old, new))}
        assert held(database, ids[old]).successor_id == ids[new]

    def test_a_number_inside_a_title_is_not_what_is_repealed(
        self, database: Database, documents: Documents
    ) -> None:
        target = publish(documents, OLD_CIRCULAR)
        publish(
            documents,
            regulation(
                PARKING,
                "收费三元。",
                effective=date(2020, 3, 1),
                repeals=["《关于修改某政发〔2010〕3号文件的通知》"],
            ),
        )
        assert held(database, target).repealed_on is None

    def test_by_hand_with_a_successor_and_again(
        self, database: Database, documents: Documents
    ) -> None:
        old, new = publish(documents, OLD), publish(documents, parking(date(2020, 1, 1)))
        for _ in range(2):
            documents.repeal(old, on=date(2020, 1, 1), actor="审核", successor_id=new)
        document = held(database, old)
        assert (document.repealed_on, document.successor_id) == (date(2020, 1, 1), new)
        with database.reading() as session:
            query = select(func.count(Audit.id)).where(Audit.action == "repeal")
            assert session.scalar(query) == 1
        documents.repeal(old, on=date(2021, 1, 1), actor="审核")
        assert held(database, old).repealed_on == date(2021, 1, 1)

    def test_of_what_is_not_there(self, documents: Documents) -> None:
        document_id = publish(documents, OLD)
        with pytest.raises(NotFound, match="99"):
            documents.repeal(99, on=TODAY, actor="审核")
        with pytest.raises(NotFound, match="98"):
            documents.repeal(document_id, on=TODAY, actor="审核", successor_id=98)
        with pytest.raises(NotFound):
            documents.publish(99, actor="审核")
        with pytest.raises(NotFound):
            documents.withdraw(99, actor="审核", reason="")


class TestWithdraw:
    def test_tells_the_index_of_every_revision(
        self, database: Database, documents: Documents
    ) -> None:
        publish(documents, parking(date(2010, 1, 1)))
        document_id = publish(documents, parking(date(2020, 1, 1), "五元"))
        before = len(groups(database))
        documents.withdraw(document_id, actor="审核", reason="有误")
        assert held(database, document_id).status is Status.WITHDRAWN
        assert groups(database)[before:] == ["revision:1", "revision:2"]

    def test_published_again_all_its_revisions_come_back(
        self, database: Database, documents: Documents
    ) -> None:
        publish(documents, parking(date(2010, 1, 1)))
        document_id = publish(documents, parking(date(2020, 1, 1), "五元"))
        documents.withdraw(document_id, actor="审核", reason="有误")
        before = len(groups(database))
        documents.publish(document_id, actor="审核")
        assert held(database, document_id).status is Status.PUBLISHED
        assert set(groups(database)[before:]) == {"revision:1", "revision:2"}

    def test_the_same_file_does_not_bring_it_back(
        self, database: Database, documents: Documents
    ) -> None:
        document_id = publish(documents, parking(TODAY))
        documents.withdraw(document_id, actor="审核", reason="有误")
        assert add(documents, upload(parking(TODAY)))[0].outcome == "unchanged"
        assert held(database, document_id).status is Status.WITHDRAWN


def test_one_department_by_name(database: Database) -> None:
    with database.transaction() as session:
        first = department_named(session, " 市财政局 ")
        assert department_named(session, "市财政局") is first
        long = department_named(session, "局" * 200)
        assert department_named(session, "局" * 200) is long
        assert long.name == "局" * 128
