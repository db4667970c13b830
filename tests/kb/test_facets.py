"""Facets: every count is what choosing that value finds, however the choices are combined."""

from __future__ import annotations

import random
from datetime import date
from itertools import product

import pytest

from kb.documents import Documents
from kb.entries import Entries
from kb.facets import FACETS, Filters, by_date, narrow, recommended
from kb.indexing import Indexer
from kb.passages import Passage
from kb.regions import Regions
from kb.search import Scope, Search
from kb.validity import Validity
from tests.factories import TODAY, entry, publish, regulation

FEE = "路边停车怎样收费？"


def passage(number: int, chance: random.Random) -> Passage:
    pick = chance.choice
    return Passage(
        key=f"entry:{number}",
        kind=pick(("entry", "clause", "document")),
        title=f"停车{number}",
        text="",
        headings=(),
        department=pick(("甲局", "乙局", "")),
        topic=pick(("交通", "治安")),
        tags=tuple(chance.sample(("停车", "收费", "罚款"), chance.randrange(3))),
        audience=pick(("个人", "个人,企业", "")),
        region_code=pick((None, "370000", "370200", "370283", "320106", "350102")),
        effective_on=pick((None, date(2020, 1, 1), date(2024, 5, 1))),
        expires_on=None,
        published_on=None,
        validity=pick((Validity.IN_FORCE, Validity.REPEALED)),
        citations=(),
    )


def test_every_count_is_what_choosing_the_value_finds(regions: Regions) -> None:
    chance = random.Random(3)
    passages = [passage(number, chance) for number in range(200)]
    tried = 0
    for _ in range(30):
        chosen: dict[str, list[str]] = {}
        everything = narrow(passages, Filters(), regions)
        for name in chance.sample(FACETS, 2):
            values = [value for value, _ in everything.counts[name]]
            chosen[name] = chance.sample(values, min(len(values), chance.randrange(3)))
        now = narrow(passages, Filters(chosen), regions)
        for facet, (value, count) in ((each, row) for each in FACETS for row in now.counts[each]):
            found = narrow(passages, Filters({**chosen, facet: [value]}), regions)
            assert len(found.passages) == count, (chosen, facet, value)
            tried += 1
    assert tried > 500


def test_within_a_facet_any_and_across_facets_all(regions: Regions) -> None:
    chance = random.Random(5)
    passages = [passage(number, chance) for number in range(200)]
    filters = Filters({"department": ["甲局", "乙局"], "topic": ["交通"], "tag": ["停车", "罚款"]})
    found = narrow(passages, filters, regions).passages
    assert found == tuple(
        each
        for each in passages
        if each.department and each.topic == "交通" and {"停车", "罚款"} & set(each.tags)
    )


def test_a_region_finds_what_applies_in_it(regions: Regions) -> None:
    chance = random.Random(1)
    passages = [passage(number, chance) for number in range(100)]
    counts = dict(narrow(passages, Filters(), regions).counts["region"])
    applying = (None, "370000", "370200", "370283")
    assert counts["平度市"] == sum(each.region_code in applying for each in passages)
    assert counts["全国"] == sum(each.region_code is None for each in passages)
    # 鼓楼区 is a name that two cities have: their codes stand for them.
    assert {"320106", "350102"} <= counts.keys() and "鼓楼区" not in counts
    for value, count in counts.items():
        assert len(narrow(passages, Filters({"region": [value]}), regions).passages) == count


def test_by_date_the_newest_come_first_and_those_without_last() -> None:
    chance = random.Random(1)
    passages = [passage(number, chance) for number in range(30)]
    ordered = by_date(passages)
    days = [each.effective_on or date.min for each in ordered]
    assert days == sorted(days, reverse=True)
    of_a_day = [each for each in ordered if each.effective_on == date(2024, 5, 1)]
    assert of_a_day == [each for each in passages if each.effective_on == date(2024, 5, 1)]


def test_nothing_found_counts_nothing_but_what_was_chosen(regions: Regions) -> None:
    found = narrow([], Filters({"topic": ["交通"]}), regions)
    assert found.passages == () and found.counts["topic"] == [("交通", 0)]
    assert not any(rows for name, rows in found.counts.items() if name != "topic")


class TestResults:
    @pytest.fixture(autouse=True)
    def base(self, documents: Documents, entries: Entries, indexer: Indexer) -> None:
        saved = [
            entry(FEE, "三元。", department="市交通局", topic="交通", tags=("停车", "收费")),
            entry("路边停车到哪里收费？", "一律网上。", region="平度市", tags=("停车",)),
            entry("路边停车收费谁来管？", "街道。", region="江苏省"),
        ]
        assert all(each.entry_id for each in entries.save(enumerate(saved), actor="编辑"))
        title = "某市路边停车收费管理办法"
        old = regulation(title, "路边停车怎样收费，每小时九元。", effective=date(2010, 1, 1))
        self.old = publish(documents, old, region="青岛市")
        documents.repeal(self.old, on=date(2020, 1, 1), actor="审核")
        new = regulation(
            "某市停车场收费规定", "路边停车收费每小时三元。", effective=date(2020, 1, 1)
        )
        publish(documents, new, region="青岛市")
        publish(documents, regulation(f"《{title}》解读", "路边停车怎样收费，一看就懂。"))
        indexer.catch_up()

    def found(self, search: Search, text: str = FEE, region: str | None = None) -> list[Passage]:
        return search.results(text, Scope(as_of=TODAY, region=region))[0]

    def test_what_is_out_of_force_never_stands_above_what_is_in_force(self, search: Search) -> None:
        validities = [each.validity for each in self.found(search)]
        assert Validity.REPEALED in validities
        first = validities.index(Validity.REPEALED)
        assert Validity.IN_FORCE not in validities[first:]
        assert Validity.IN_FORCE in validities[:first]

    def test_four_kinds(self, search: Search) -> None:
        kinds = {each.kind for each in self.found(search)}
        assert kinds == {"entry", "clause", "interpretation", "document"}
        named = self.found(search, "某市停车场收费规定")
        [document] = [p for p in named if p.kind == "document" and "停车场" in p.title]
        assert document.citations[0].document_id and document.key.startswith("document:")

    def test_each_comes_once(self, search: Search) -> None:
        keys = [each.key for each in self.found(search)]
        assert len(keys) == len(set(keys))

    def test_of_regions_those_around_and_within(self, search: Search) -> None:
        codes = {each.region_code for each in self.found(search, region="370200")}
        assert codes == {None, "370200", "370283"}
        assert "320000" in {each.region_code for each in self.found(search)}

    def test_keywords_are_tags_and_topics_that_add_something(self, search: Search) -> None:
        assert recommended(self.found(search), "路边停车") == ["交通", "收费"]

    def test_spellings_find_the_same(self, search: Search) -> None:
        keys = [each.key for each in self.found(search, "停车收费")]
        for other in ("停車收費", "停車收费", "停​车收费", " 停车收费　"):
            assert [each.key for each in self.found(search, other)] == keys

    def test_the_list_is_the_same_each_time(self, search: Search) -> None:
        runs = product(range(3), [FEE])
        lists = [[each.key for each in self.found(search, text)] for _, text in runs]
        assert lists[0] == lists[1] == lists[2]
