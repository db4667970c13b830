"""立改废: what citizens get from an entry before, on and after the day its basis changes."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from kb.amendments import Amendments
from kb.clock import start_of
from kb.db import Database
from kb.documents import Documents
from kb.entries import Entries
from kb.errors import Conflict, NotFound
from kb.history import History, Wanted
from kb.library import Library
from kb.models import State
from kb.passages import Passage
from kb.regions import Regions
from kb.validity import Validity
from kb.versions import Versions
from tests.factories import circular, entry, publish, regulation

DAY = timedelta(days=1)
TODAY = date(2026, 3, 2)
LATER = date(2026, 4, 1)
TITLE = "某市停车管理办法"
FREE = "前三十分钟免费。"
BASIS = f"《{TITLE}》第一条"


class City:
    """A base with a calendar that turns when told to."""

    def __init__(self, database: Database, regions: Regions, uploads: Path) -> None:
        self.today = TODAY
        self.documents = Documents(
            database, uploads=uploads, regions=regions, today=lambda: self.today, now=self.now
        )
        self.entries = Entries(database, regions=regions, now=self.now)
        self.versions = Versions(database, regions=regions, now=self.now)
        self.history, self.library = History(database), Library(database)
        self._minutes = 0

    def now(self) -> datetime:
        self._minutes += 1
        return start_of(self.today) + timedelta(seconds=self._minutes)

    def turn(self, day: date) -> None:
        self.today = day
        self.versions.job()

    def entry(self, *basis: str, answer: str = "每小时三元。") -> int:
        record = entry("路边停车怎么收费？", answer, basis=basis or (BASIS,))
        [saved] = self.entries.save([(2, record)], actor="甲", publish=True)
        assert saved.entry_id is not None, saved.reason
        return saved.entry_id

    def parking(self, *rules: str, start: date = date(2020, 1, 1), **facts: object) -> int:
        return publish(
            self.documents,
            regulation(TITLE, *rules, effective=start, **facts),  # type: ignore[arg-type]
        )

    def shown(self, entry_id: int, day: date | None = None) -> Passage:
        return self.library.entry(entry_id, day or self.today)

    def reasons(self, entry_id: int) -> list[tuple[str, str]]:
        return [(flag.reason, flag.how) for flag in reversed(self.history.flags(entry_id))]


@pytest.fixture
def city(database: Database, regions: Regions, tmp_path: Path) -> City:
    return City(database, regions, tmp_path / "uploads")


class TestAmended:
    def test_withheld_from_the_day_on_unless_confirmed(self, city: City) -> None:
        city.parking("每小时三元。", FREE)
        entry_id = city.entry()
        assert city.reasons(entry_id) == []
        city.parking("每小时五元。", FREE, start=LATER)
        [flag] = city.history.flags(entry_id)
        assert (flag.reason, flag.article, flag.withhold_on) == ("amended", "第一条", LATER)
        assert city.shown(entry_id).validity is Validity.IN_FORCE
        assert city.shown(entry_id, LATER - DAY).validity is Validity.IN_FORCE
        assert city.shown(entry_id, LATER).validity is Validity.AMENDED
        city.versions.confirm(entry_id, actor="乙", note="答复没有写金额")
        assert city.shown(entry_id, LATER).validity is Validity.IN_FORCE
        assert "五元" in city.shown(entry_id, LATER).citations[0].text

    def test_revised_the_new_version_answers_and_the_old_one_stays_withheld(
        self, city: City
    ) -> None:
        city.parking("每小时三元。", FREE)
        entry_id = city.entry()
        city.parking("每小时五元。", FREE, start=LATER)
        city.turn(LATER + 9 * DAY)
        [task], _ = city.history.work(Wanted("flagged"))
        assert (task.version.state, task.flags[0].document) == (State.IN_REVIEW, TITLE)
        draft = city.versions.draft(
            entry_id, replace(task.version.record, answer="每小时五元。"), actor="甲", based_on=1
        )
        city.versions.submit(draft.id, actor="甲", seen=1)
        city.versions.approve(draft.id, actor="乙")
        assert city.shown(entry_id).validity is Validity.IN_FORCE
        assert city.reasons(entry_id) == [("amended", "revised")]
        [between, before] = [city.shown(entry_id, LATER + n * DAY) for n in (5, -5)]
        assert (between.text, between.validity) == ("每小时三元。", Validity.AMENDED)
        assert (before.text, before.validity) == ("每小时三元。", Validity.IN_FORCE)
        noon = start_of(LATER + 5 * DAY) + timedelta(hours=12)
        assert city.history.public_at(entry_id, noon) is None
        shown = city.history.public_at(entry_id, start_of(LATER) - DAY)
        assert shown is not None
        assert shown.number == 1

    def test_unchanged_or_renumbered_words_go_on_answering(self, city: City) -> None:
        city.parking("每小时三元。", FREE)
        entry_id = city.entry(BASIS, f"《{TITLE}》第二条")
        city.parking("每小时三元。", "夜间不收费。", FREE, start=LATER)
        [flag] = city.history.flags(entry_id)
        assert (flag.reason, flag.article, flag.found) == ("renumbered", "第二条", "第三条")
        after = city.shown(entry_id, LATER)
        assert after.validity is Validity.IN_FORCE
        assert [each.locator for each in after.citations] == ["第一条", "第三条"]
        assert FREE in after.citations[1].text

    def test_an_article_that_is_gone(self, city: City) -> None:
        city.parking("每小时三元。", FREE, "夜间不收费。")
        entry_id = city.entry(f"《{TITLE}》第三条")
        city.parking("每小时三元。", start=LATER)
        # The article that says from when it applies stands there now, or none does.
        assert {reason for reason, _ in city.reasons(entry_id)} <= {"removed", "amended"}
        assert city.shown(entry_id, LATER).validity is Validity.AMENDED

    def test_a_whole_document_cited_by_title_that_another_takes_over(self, city: City) -> None:
        """By title, the entry would rest on next year's circular without anybody noticing."""
        for year, amount in ((2025, "八百元"), (2026, "九百元")):
            if year == 2026:
                entry_id = city.entry("《某市关于补贴的通知》", answer="八百元。")
            content = circular(
                "某市关于补贴的通知", f"某政发〔{year}〕5号", f"每户{amount}。",
                effective=date(year, 1, 1),
            )  # fmt: skip
            publish(city.documents, content)
        assert city.reasons(entry_id) == [("amended", "")]
        assert city.shown(entry_id).validity is Validity.AMENDED

    def test_a_document_renumbered_by_its_revision_is_still_meant(self, city: City) -> None:
        """Its old number named nothing any more, and the entry went on as if nothing had been."""
        facts = {"source_url": "https://a.test/1"}
        old = circular("某市补贴通知", "某政发〔2025〕5号", "八百元。", effective=date(2025, 1, 1))
        publish(city.documents, old, **facts)
        entry_id = city.entry("某政发〔2025〕5号", answer="八百元。")
        new = circular("某市补贴通知", "某政发〔2026〕9号", "九百元。", effective=LATER)
        publish(city.documents, new, **facts)
        assert city.shown(entry_id).validity is Validity.IN_FORCE
        assert city.shown(entry_id, LATER).validity is Validity.AMENDED

    def test_what_comes_into_the_base_later_is_taken_as_known(self, city: City) -> None:
        entry_id = city.entry()
        for start, amount in ((date(2020, 1, 1), "三元"), (date(2010, 1, 1), "一元")):
            city.parking(f"每小时{amount}。", start=start)
        assert city.reasons(entry_id) == []
        assert city.shown(entry_id).validity is Validity.IN_FORCE


class TestEnded:
    def test_repealed_it_is_withheld_told_why_and_confirmed(self, city: City) -> None:
        document_id = city.parking("每小时三元。")
        entry_id = city.entry()
        city.documents.repeal(document_id, on=LATER, actor="乙")
        assert city.reasons(entry_id) == [("repealed", "")]
        assert city.shown(entry_id).validity is Validity.IN_FORCE
        city.turn(LATER)
        assert city.shown(entry_id).validity is Validity.REPEALED
        assert city.history.versions(entry_id)[0].state is State.REPEALED
        with pytest.raises(Conflict, match="别人审核"):
            city.versions.confirm(entry_id, actor="甲", note="仍按原标准")
        city.versions.confirm(entry_id, actor="乙", note="仍按原标准")
        assert city.shown(entry_id).validity is Validity.IN_FORCE
        assert city.history.versions(entry_id)[0].state is State.PUBLISHED

    def test_a_repeal_taken_back_lifts_the_flag(self, city: City) -> None:
        document_id = city.parking("每小时三元。")
        entry_id = city.entry()
        city.documents.repeal(document_id, on=LATER, actor="乙")
        city.documents.repeal(document_id, on=LATER + DAY, actor="乙")
        assert city.reasons(entry_id) == [("repealed", "lifted"), ("repealed", "")]
        city.documents.repeal(document_id, on=LATER, actor="乙")
        assert city.reasons(entry_id) == [("repealed", ""), ("repealed", "lifted")]

    def test_its_last_day_is_brought_up_ahead(self, city: City) -> None:
        city.parking("每小时三元。", expires=date(2026, 6, 30))
        entry_id = city.entry()
        assert city.reasons(entry_id) == []
        city.turn(date(2026, 6, 1))
        assert city.reasons(entry_id) == [("expired", "")]
        assert city.shown(entry_id).validity is Validity.IN_FORCE
        city.turn(date(2026, 7, 1))
        assert city.shown(entry_id).validity is Validity.EXPIRED
        assert city.history.versions(entry_id)[0].state is State.EXPIRED

    def test_confirmed_once_is_not_confirmed_for_the_next_event(self, city: City) -> None:
        document_id = city.parking("每小时三元。")
        entry_id = city.entry()
        city.parking("每小时五元。", start=LATER)
        city.versions.confirm(entry_id, actor="乙", note="没有写金额")
        city.parking("每小时五元。", FREE, start=LATER + 9 * DAY)
        assert city.reasons(entry_id) == [("amended", "confirmed")]
        city.documents.repeal(document_id, on=LATER + 20 * DAY, actor="乙")
        assert city.shown(entry_id, LATER + 20 * DAY).validity is Validity.REPEALED

    def test_a_new_version_that_rests_on_the_repealed_text_is_withheld_too(
        self, city: City
    ) -> None:
        document_id = city.parking("每小时三元。")
        entry_id = city.entry()
        city.documents.repeal(document_id, on=TODAY, actor="乙")
        city.versions.confirm(entry_id, actor="乙", note="仍按原标准")
        city.entry(answer="每小时四元。")
        assert city.shown(entry_id).validity is Validity.REPEALED


def test_the_difference_between_two_revisions(city: City, database: Database) -> None:
    document_id = city.parking("每小时三元。", FREE, "夜间不收费。")
    city.parking("每小时五元。", "残疾人免费停放。", FREE, start=LATER)
    changes = Amendments(database).changes(document_id, old=1, new=2)
    told = [
        (c.kind, c.old_locator, c.new_locator) for c in changes if c.old_locator or c.new_locator
    ]
    assert told[:4] == [
        ("changed", "第一条", "第一条"),
        ("added", "", "第二条"),
        ("moved", "第二条", "第三条"),
        ("removed", "第三条", ""),
    ]
    with pytest.raises(NotFound, match="第 3 版"):
        Amendments(database).changes(document_id, old=1, new=3)


def test_never_stale_nor_doubled_at_any_moment_of_a_change(city: City) -> None:
    """Readers ask without pause while documents are revised and entries follow.

    The article says how many yuan; the answer that is in force must never say another number than
    the article in force, and there is one answer or none.
    """
    city.parking("每小时1元。")
    entry_id = city.entry(answer="每小时1元。")
    stop, wrong, seen = threading.Event(), [], set()

    def read() -> None:
        while not stop.is_set():
            passage = city.shown(entry_id)
            if passage.validity is Validity.IN_FORCE:
                seen.add(passage.text)
                if passage.text not in passage.citations[0].text:
                    wrong.append((passage.text, passage.citations[0].text))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(2, 14):
            city.parking(f"每小时{number}元。", start=TODAY)
            assert city.shown(entry_id).validity is Validity.AMENDED
            city.entry(answer=f"每小时{number}元。")
            assert city.shown(entry_id).validity is Validity.IN_FORCE
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert len(seen) > 1
