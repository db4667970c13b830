"""Search: what a question may be answered from on a day, in a region, under filters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import FrozenInstanceError
from datetime import date, timedelta
from typing import Any

import pytest

from kb.documents import Documents
from kb.entries import Entries
from kb.exchange import EntryRecord
from kb.indexing import Indexer
from kb.models import Status
from kb.passages import Citation, Passage
from kb.search import Found, Scope, Search
from kb.validity import Validity
from tests.factories import TODAY, circular, entry, publish, regulation

FEE = "路边停车怎样收费？"
DAY = timedelta(days=1)


def ask(search: Search, question: str = FEE, **scope: Any) -> Found:
    limit = scope.pop("limit", 10)
    return search.passages(question, Scope(**{"as_of": TODAY, **scope}), limit=limit)


def save(entries: Entries, *records: EntryRecord) -> list[int]:
    saved = entries.save(enumerate(records), actor="编辑")
    ids = [each.entry_id for each in saved if each.entry_id is not None]
    assert len(ids) == len(records), saved
    return ids


def about_fees(passages: Iterable[Passage]) -> list[str]:
    """Texts of the clauses that say a fee."""
    return [each.text for each in passages if "每小时收费" in each.text]


def fee(amount: str, title: str = "某市停车管理办法", **facts: Any) -> str:
    return regulation(title, f"路边停车每小时收费{amount}。", **facts)


class TestValidity:
    @pytest.mark.parametrize(
        ("as_of", "validity"),
        [
            (date(2020, 2, 29), Validity.NOT_YET),
            (date(2020, 3, 1), Validity.IN_FORCE),
            (date(2025, 12, 31), Validity.IN_FORCE),
            (date(2026, 1, 1), Validity.EXPIRED),
        ],
    )
    def test_at_both_ends(
        self,
        documents: Documents,
        entries: Entries,
        indexer: Indexer,
        search: Search,
        as_of: date,
        validity: Validity,
    ) -> None:
        dates: dict[str, Any] = {"expires": date(2025, 12, 31), "effective": date(2020, 3, 1)}
        publish(documents, fee("三元", **dates))
        save(
            entries,
            entry(FEE, effective_on=dates["effective"], expires_on=dates["expires"]),
        )
        indexer.catch_up()
        found = ask(search, as_of=as_of)
        inside, outside = found.passages, found.rejected
        if validity is not Validity.IN_FORCE:
            inside, outside = outside, inside
        assert outside == ()
        assert {each.kind for each in inside} == {"entry", "clause"}
        assert {each.validity for each in inside} == {validity}

    def test_a_repealed_hit_is_rejected_and_names_its_successor(
        self, documents: Documents, indexer: Indexer, search: Search
    ) -> None:
        publish(documents, fee("一元", "某市停车暂行规定", effective=date(2010, 1, 1)))
        new = publish(
            documents,
            fee("三元", effective=date(2020, 3, 1), repeals=["《某市停车暂行规定》"]),
        )
        indexer.catch_up()
        found = ask(search)
        assert about_fees(found.passages) == ["第一条 路边停车每小时收费三元。"]
        [old] = [each for each in found.rejected if "一元" in each.text]
        [citation] = old.citations
        assert old.validity is citation.validity is Validity.REPEALED
        assert citation.repealed_on == date(2020, 3, 1)
        assert citation.successor == (new, "某市停车管理办法")
        before = ask(search, as_of=date(2020, 2, 29))
        assert about_fees(before.passages) == ["第一条 路边停车每小时收费一元。"]

    @pytest.mark.parametrize("dates", ["effective", "issued"])
    def test_an_amended_text_answers_with_the_revision_of_the_day(
        self, documents: Documents, indexer: Indexer, search: Search, dates: str
    ) -> None:
        """Also where a text gives only the day on which it was issued."""
        starts = {"三元": date(2010, 1, 1), "五元": date(2020, 1, 1), "九元": date(2030, 1, 1)}
        for amount in ("五元", "九元", "三元"):
            publish(documents, fee(amount, **{dates: starts[amount]}))
        indexer.catch_up()
        for amount, start in starts.items():
            for day in (start, start + 100 * DAY):
                found = ask(search, as_of=day)
                assert about_fees(found.passages) == [f"第一条 路边停车每小时收费{amount}。"]
        rejected = {each.validity for each in ask(search).rejected}
        assert rejected == {Validity.AMENDED, Validity.NOT_YET}
        assert about_fees(ask(search, as_of=date(2009, 12, 31)).passages) == []

    def test_any_validity(self, documents: Documents, indexer: Indexer, search: Search) -> None:
        for year, amount in ((2010, "三元"), (2020, "五元"), (2030, "九元")):
            publish(documents, fee(amount, effective=date(year, 1, 1)))
        indexer.catch_up()
        found = ask(search, validity=None)
        assert found.rejected == ()
        assert len(about_fees(found.passages)) == 3
        [planned] = about_fees(ask(search, validity=Validity.NOT_YET).passages)
        assert "九元" in planned

    def test_the_database_decides_not_the_index(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        """What was withdrawn a moment ago is not answered, although the index still has it."""
        document_id = publish(documents, fee("三元", effective=date(2020, 1, 1)))
        [entry_id] = save(entries, entry(FEE))
        indexer.catch_up()
        documents.withdraw(document_id, actor="审核", reason="有误")
        entries.set_status(entry_id, Status.WITHDRAWN, actor="审核")
        found = ask(search)
        assert (found.passages, found.rejected) == ((), ())


BASIS = "《某市停车管理办法》第一条"


class TestBasis:
    def cited(self, search: Search, **scope: Any) -> Citation:
        found = ask(search, kind="entry", validity=None, **scope)
        [passage] = found.passages
        [citation] = passage.citations
        return citation

    @pytest.mark.parametrize("basis", [BASIS, "《某市停车管理办法》第1条第一款"])
    def test_is_quoted_verbatim(
        self,
        documents: Documents,
        entries: Entries,
        indexer: Indexer,
        search: Search,
        basis: str,
    ) -> None:
        save(entries, entry(FEE, basis=(basis,)))
        indexer.catch_up()
        unknown = self.cited(search)
        assert (unknown.document_id, unknown.clause_id, unknown.text) == (None, None, "")
        assert (unknown.title, unknown.locator) == ("某市停车管理办法", "第一条")
        document_id = publish(documents, fee("三元", effective=date(2020, 1, 1)))
        citation = self.cited(search)
        assert citation.document_id == document_id
        assert citation.text == "第一条 路边停车每小时收费三元。"

    def test_by_number_and_without_an_article(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        content = circular("某市关于停车的通知", "某政发〔2024〕5号", "每小时三元。")
        document_id = publish(documents, content, region="青岛市")
        save(entries, entry(FEE, basis=("某政发[2024]05号",), region="胶州市"))
        indexer.catch_up()
        citation = self.cited(search)
        assert (citation.document_id, citation.clause_id) == (document_id, None)
        assert (citation.title, citation.document_number) == (
            "某市关于停车的通知",
            "某政发〔2024〕5号",
        )

    def test_a_title_within_a_title(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        content = circular("某市关于印发《停车规定》的通知", "某政发〔2024〕5号", "每小时三元。")
        document_id = publish(documents, content)
        save(entries, entry(FEE, basis=("《某市关于印发〈停车规定〉的通知》",)))
        indexer.catch_up()
        assert self.cited(search).document_id == document_id

    def test_repealed_it_takes_the_entry_with_it(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        document_id = publish(documents, fee("三元", effective=date(2020, 1, 1)))
        save(entries, entry(FEE, basis=("某市的其他文件", BASIS)))
        documents.repeal(document_id, on=TODAY, actor="审核")
        indexer.catch_up()
        [rejected] = [each for each in ask(search).rejected if each.kind == "entry"]
        assert rejected.validity is Validity.REPEALED
        assert not [each for each in ask(search).passages if each.kind == "entry"]
        [before] = ask(search, kind="entry", as_of=TODAY - DAY).passages
        assert before.validity is Validity.IN_FORCE

    def test_expired_it_takes_the_entry_with_it(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        publish(documents, fee("三元", effective=date(2020, 1, 1), expires=TODAY))
        save(entries, entry(FEE, basis=(BASIS,)))
        indexer.catch_up()
        assert len(ask(search, kind="entry").passages) == 1
        [rejected] = ask(search, kind="entry", as_of=TODAY + DAY).rejected
        assert rejected.validity is Validity.EXPIRED

    def test_amended_the_entry_stays_and_cites_the_text_of_the_day(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        save(entries, entry(FEE, basis=(BASIS,)))
        for year, amount in ((2020, "五元"), (2010, "三元")):
            publish(documents, fee(amount, effective=date(year, 1, 1)))
        indexer.catch_up()
        assert "五元" in self.cited(search).text
        assert "三元" in self.cited(search, as_of=date(2015, 1, 1)).text
        assert ask(search, kind="entry").passages[0].validity is Validity.IN_FORCE

    def test_enacted_again_the_entry_rests_on_the_new_text(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        old = publish(documents, fee("三元", effective=date(2010, 1, 1)))
        documents.repeal(old, on=date(2015, 1, 1), actor="审核")
        publish(documents, fee("五元", effective=date(2020, 1, 1)))
        save(entries, entry(FEE, basis=(BASIS,)))
        indexer.catch_up()
        assert "五元" in self.cited(search).text
        assert "三元" in self.cited(search, as_of=date(2012, 1, 1)).text
        [gap] = ask(search, kind="entry", as_of=date(2016, 1, 1), validity=None).passages
        assert gap.validity is not Validity.AMENDED

    def test_the_document_of_another_city_is_not_meant(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        theirs = publish(documents, fee("九元", effective=date(2020, 1, 1)), region="胶州市")
        save(entries, entry(FEE, basis=(BASIS,), region="平度市"))
        indexer.catch_up()
        assert self.cited(search).document_id is None
        city = publish(documents, fee("四元", effective=date(2020, 1, 1)), region="青岛市")
        assert self.cited(search).document_id == city
        ours = publish(documents, fee("三元", effective=date(2020, 1, 1)), region="平度市")
        assert self.cited(search).document_id == ours
        documents.repeal(theirs, on=date(2021, 1, 1), actor="审核")
        # Another city's repeal is none of ours; that our own rules took over from the city's is.
        [held] = ask(search, kind="entry", validity=None).passages
        assert held.validity is Validity.AMENDED


class TestRegion:
    NAMES = ("", "山东省", "青岛市", "平度市", "胶州市", "江苏省")

    @pytest.fixture(autouse=True)
    def six_levels(self, documents: Documents, entries: Entries, indexer: Indexer) -> None:
        save(entries, *(entry(FEE, "每小时收费。", region=name) for name in self.NAMES))
        for name in self.NAMES:
            publish(documents, fee(f"{name}定价", effective=date(2020, 1, 1)), region=name)
        indexer.catch_up()

    def kinds(self, found: Found, kind: str) -> list[str | None]:
        return [each.region_code for each in found.passages if each.kind == kind]

    @pytest.mark.parametrize(
        ("region", "expected"),
        [
            ("370283", ["370283", "370200", "370000", None]),
            ("370200", ["370200", "370000", None]),
            ("370000", ["370000", None]),
            ("320106", ["320000", None]),
            ("370299", ["370200", "370000", None]),
            ("350102", [None]),
        ],
    )
    def test_nearer_first_and_others_not_at_all(
        self, search: Search, region: str, expected: list[str | None]
    ) -> None:
        found = ask(search, region=region, limit=50)
        assert self.kinds(found, "entry") == expected
        assert set(self.kinds(found, "clause")) == set(expected)

    def test_without_a_region_all_of_them(self, search: Search) -> None:
        found = ask(search, limit=50)
        assert len(self.kinds(found, "entry")) == len(self.NAMES)


class TestNegatives:
    def test_an_entry_does_not_answer_what_its_author_excluded(
        self, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        excluded = "残疾人怎样办停车证？"
        save(
            entries,
            entry("怎样办停车证？", similar=("停车证去哪办",), negative=(excluded,)),
            entry("残疾人停车有什么优惠？"),
        )
        indexer.catch_up()
        best, *others = ask(search, excluded).passages
        assert best.title == "残疾人停车有什么优惠？"
        [plain] = [each for each in others if each.title == "怎样办停车证？"]
        assert (plain.agreement, plain.coverage) == (0.0, 0.0)
        assert ask(search, "停车证去哪办").passages[0].wording == "停车证去哪办"
        assert ask(search, "停车证去哪办").passages[0].entry is not None


class TestFilters:
    @pytest.fixture(autouse=True)
    def base(self, documents: Documents, entries: Entries, indexer: Indexer) -> None:
        save(
            entries,
            entry(
                FEE,
                department="市交通局",
                topic="交通",
                tags=("停车", "收费"),
                audience="个人,企业",
                effective_on=date(2024, 5, 1),
            ),
            entry("路边停车到哪里收费？", department="市公安局", topic="治安", audience="个人"),
        )
        facts = {"department": "市交通局", "topic": "交通", "region": "青岛市"}
        publish(documents, fee("三元", effective=date(2020, 1, 1)), **facts)
        indexer.catch_up()

    @pytest.mark.parametrize(
        ("scope", "entries_found", "clauses_found"),
        [
            ({}, 2, True),
            ({"department": "市交通局"}, 1, True),
            ({"department": "市公安局"}, 1, False),
            ({"department": "市财政局"}, 0, False),
            ({"kind": "entry"}, 2, False),
            ({"kind": "clause"}, 0, True),
            ({"department": "市交通局", "kind": "entry"}, 1, False),
        ],
        ids=str,
    )
    def test_narrow(
        self, search: Search, scope: dict[str, Any], entries_found: int, clauses_found: bool
    ) -> None:
        found = ask(search, **scope)
        kinds = [each.kind for each in found.passages]
        assert kinds.count("entry") == entries_found
        assert ("clause" in kinds) is clauses_found
        assert found.rejected == ()


class TestDepth:
    def test_a_rare_department_behind_hundreds_of_others(
        self, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        many = [entry(f"{FEE}第{n}路", "每小时收费。") for n in range(400)]
        rare = entry("停放车辆的费用标准", "按规定。", department="市测绘院")
        save(entries, *many, rare)
        indexer.catch_up()
        assert ask(search).passages[0].department != "市测绘院"
        [passage] = ask(search, department="市测绘院").passages
        assert passage.title == "停放车辆的费用标准"

    def test_a_long_document_does_not_hide_the_short_ones(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        """It may fill the candidates, of which only three of one document count."""
        rules = "\n\n".join(f"第{n}条 路边停车怎样收费，按第{n}号标准。" for n in range(1, 301))
        publish(documents, f"某市停车收费规则\n\n{rules}\n")
        save(entries, *(entry(f"{n}号停车楼几点关门？") for n in range(5)))
        indexer.catch_up()
        found = ask(search)
        assert len([each for each in found.passages if each.kind == "clause"]) == 3
        assert len([each for each in found.passages if each.kind == "entry"]) == 5

    def test_limit_and_per_document(
        self, documents: Documents, indexer: Indexer, search: Search
    ) -> None:
        for name in ("甲", "乙", "丙"):
            rules = [f"路边停车收费按{name}类{n}号。" for n in "一二三四五六"]
            publish(documents, regulation(f"某市{name}类停车管理办法", *rules))
        indexer.catch_up()
        scope = Scope(as_of=TODAY)
        found = search.passages(FEE, scope, limit=4, per_document=2).passages
        assert len(found) == 4
        found = search.passages(FEE, scope, limit=20, per_document=2).passages
        assert len(found) == 6
        scores = [each.score for each in found]
        assert scores == sorted(scores, reverse=True)


class TestAnswer:
    def test_nothing_in_the_base_or_in_the_question(
        self, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        assert ask(search).passages == ()
        save(entries, entry(FEE))
        indexer.catch_up()
        assert ask(search, "").passages == ()
        assert ask(search, "？！").passages == ()

    def test_the_very_question_finds_its_entry(
        self, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        record = entry(
            FEE, "三元。", similar=("停车费多少",), negative=("办停车证",), phone="12345"
        )
        [entry_id] = save(entries, record)
        indexer.catch_up()
        [passage] = ask(search).passages
        assert (passage.key, passage.title, passage.text) == (f"entry:{entry_id}", FEE, "三元。")
        assert passage.agreement == pytest.approx(1)
        assert 0 <= passage.confidence <= 1
        assert passage.entry is not None
        assert passage.entry.wordings == (FEE, "停车费多少")
        assert passage.entry.negatives == ("办停车证",)
        assert passage.entry.phone == "12345"
        with pytest.raises(FrozenInstanceError):
            passage.title = ""  # type: ignore[misc]

    def test_a_clause_cites_itself(
        self, documents: Documents, indexer: Indexer, search: Search
    ) -> None:
        document_id = publish(documents, fee("三元", effective=date(2020, 1, 1)))
        indexer.catch_up()
        passage = ask(search).passages[0]
        [citation] = passage.citations
        assert passage.key == f"clause:{citation.clause_id}"
        assert passage.text == citation.text == "第一条 路边停车每小时收费三元。"
        assert (citation.document_id, citation.locator) == (document_id, "第一条")
        assert citation.effective_on == date(2020, 1, 1)

    def test_explains_a_passage_by_the_words_of_the_question(
        self, documents: Documents, entries: Entries, indexer: Indexer, search: Search
    ) -> None:
        publish(documents, fee("三元", effective=date(2020, 1, 1)))
        save(entries, entry("停放车辆的费用", "按规定。", similar=("路边停车收费",)))
        indexer.catch_up()
        for passage in ask(search).passages:
            why = search.explain(FEE, passage.key)
            assert why is not None
            reasons = {row.token: row.of_item + row.of_group for row in why.tokens}
            assert max(reasons.values()) > 0, passage.key
        assert search.explain(FEE, "clause:999") is None
