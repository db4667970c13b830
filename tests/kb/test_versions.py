"""Versions of entries: who may take which step after which, and what the database refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from kb.clock import start_of
from kb.db import Database
from kb.entries import Entries
from kb.errors import Conflict, InvalidEntry, NotFound
from kb.exchange import EntryRecord
from kb.history import History, Version, Wanted
from kb.journal import AuditLog
from kb.models import Change, Entry, EntryVersion, State, Status
from kb.regions import Regions
from kb.versions import Versions
from tests.factories import Clock, entry

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def versions(database: Database, regions: Regions, clock: Clock) -> Versions:
    return Versions(database, regions=regions, now=clock)


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


QUESTION = "路边停车怎么收费？"


def written(versions: Versions, answer: str = "每小时三元。", **facts: object) -> Version:
    return versions.draft(None, entry(QUESTION, answer, **facts), actor="甲")


def published(versions: Versions, answer: str = "每小时三元。", **facts: object) -> Version:
    draft = written(versions, answer, **facts)
    versions.submit(draft.id, actor="甲", seen=1)
    return versions.approve(draft.id, actor="乙")


def revised(versions: Versions, old: Version, answer: str) -> Version:
    record = replace(old.record, answer=answer)
    draft = versions.draft(old.entry_id, record, actor="甲", based_on=old.number)
    versions.submit(draft.id, actor="甲", seen=1)
    return versions.approve(draft.id, actor="乙")


def public(database: Database) -> list[tuple[str, int]]:
    with database.reading() as session:
        rows = session.execute(
            select(Entry.answer, Entry.version).where(Entry.status == Status.PUBLISHED)
        )
        return [(answer, version) for answer, version in rows]


class TestWay:
    def test_from_the_first_draft_to_the_public(
        self, database: Database, versions: Versions, history: History
    ) -> None:
        first = written(versions)
        assert (first.number, first.state, public(database)) == (1, State.DRAFT, [])
        saved = versions.save(
            first.id, replace(first.record, answer="每小时五元。"), actor="甲", seen=1
        )
        submitted = versions.submit(first.id, actor="甲", seen=saved.edits)
        assert submitted.state is State.SUBMITTED
        returned = versions.return_(first.id, actor="乙", reason=" 金额不对 ")
        assert (returned.state, returned.reason) == (State.RETURNED, "金额不对")
        second = versions.draft(first.entry_id, first.record, actor="甲")
        assert (second.entry_id, second.number) == (first.entry_id, 2)
        versions.submit(second.id, actor="甲", seen=1)
        done = versions.approve(second.id, actor="乙", comment="可以")
        assert (done.state, done.reviewer, done.public_from) == (State.PUBLISHED, "乙", NOON)
        assert public(database) == [("每小时三元。", 2)]
        assert [v.state for v in history.versions(first.entry_id)] == [
            State.PUBLISHED,
            State.RETURNED,
        ]
        with database.reading() as session:
            assert session.scalars(select(Change.group)).all() == [f"entry:{first.entry_id}"]
        log = [row.action for row in AuditLog(database).rows()]
        assert log == [
            "version.draft", "version.save", "version.submit", "version.return", "version.draft",
            "version.submit", "version.approve", "version.publish",
        ]  # fmt: skip

    def test_the_old_version_answers_until_the_new_one_is_published(
        self, database: Database, versions: Versions, history: History, clock: Clock
    ) -> None:
        old = published(versions)
        clock.advance(HOUR)
        record = replace(old.record, answer="每小时五元。")
        draft = versions.draft(old.entry_id, record, actor="甲", based_on=1)
        versions.submit(draft.id, actor="甲", seen=1)
        assert public(database) == [("每小时三元。", 1)]
        at = clock.advance(HOUR)
        versions.approve(draft.id, actor="乙")
        assert public(database) == [("每小时五元。", 2)]
        before = history.said(old.entry_id, 1)
        assert (before.state, before.public_until) == (State.REVISED, at)
        assert before.record.answer == "每小时三元。"
        [change] = history.difference(old.id, draft.id)
        assert [(part.kind, part.text) for part in change.segments] == [
            ("equal", "每小时"),
            ("removed", "三"),
            ("added", "五"),
            ("equal", "元。"),
        ]

    def test_withdrawn_it_is_gone_and_can_come_back_as_a_new_version(
        self, database: Database, versions: Versions, history: History, clock: Clock
    ) -> None:
        old = published(versions)
        with pytest.raises(InvalidEntry):
            versions.withdraw(old.entry_id, actor="乙", reason=" ")
        versions.withdraw(old.entry_id, actor="乙", reason="写错了")
        assert public(database) == []
        assert history.version(old.id).reason == "写错了"
        with pytest.raises(Conflict):
            versions.withdraw(old.entry_id, actor="乙", reason="写错了")
        clock.advance(HOUR)
        again = revised(versions, old, "每小时五元。")
        assert public(database) == [("每小时五元。", again.number)]

    def test_a_draft_may_lack_what_a_submission_needs(self, versions: Versions) -> None:
        draft = written(versions, "")
        with pytest.raises(InvalidEntry) as caught:
            versions.submit(draft.id, actor="甲", seen=1)
        assert set(caught.value.fields) == {"answer"}
        with pytest.raises(InvalidEntry) as caught:
            versions.draft(None, entry("", region="某省"), actor="甲")
        assert set(caught.value.fields) == {"question", "region"}

    def test_a_code_belongs_to_one_entry(self, versions: Versions) -> None:
        published(versions, code="A-1")
        with pytest.raises(InvalidEntry, match="A-1"):
            versions.draft(None, entry("别的？", code="A-1"), actor="甲")

    def test_what_stands_in_the_way_is_asked_at_every_step(
        self, database: Database, regions: Regions, clock: Clock
    ) -> None:
        obstacles: dict[str, str] = {}
        versions = Versions(
            database, regions=regions, obstacles=lambda _r, _e: dict(obstacles), now=clock
        )
        draft = written(versions)
        versions.submit(draft.id, actor="甲", seen=1)
        obstacles["basis"] = "依据已废止"
        with pytest.raises(InvalidEntry, match="废止"):
            versions.approve(draft.id, actor="乙")
        obstacles.clear()
        versions.approve(draft.id, actor="乙", publish_at=clock.at + HOUR)
        obstacles["basis"] = "依据已废止"
        clock.advance(2 * HOUR)
        versions.job()
        back = History(database).version(draft.id)
        assert back.state is State.RETURNED
        assert "依据已废止" in back.reason


class TestTwoPeople:
    def test_nobody_overwrites_what_they_have_not_seen(
        self, versions: Versions, history: History
    ) -> None:
        draft = written(versions)
        mine = replace(draft.record, answer="我写的。")
        versions.save(draft.id, replace(draft.record, answer="她写的。"), actor="丙", seen=1)
        with pytest.raises(Conflict, match=r"丙 已于3月2日12:00保存过"):
            versions.save(draft.id, mine, actor="甲", seen=1)
        with pytest.raises(Conflict):
            versions.submit(draft.id, actor="甲", seen=1)
        assert history.version(draft.id).record.answer == "她写的。"

    def test_one_change_at_a_time(self, versions: Versions) -> None:
        old = published(versions)
        draft = versions.draft(old.entry_id, old.record, actor="丙", based_on=1)
        with pytest.raises(Conflict, match="丙 正在修改"):
            versions.draft(old.entry_id, old.record, actor="甲", based_on=1)
        versions.discard(draft.id, actor="丙", seen=1)
        assert versions.draft(old.entry_id, old.record, actor="甲", based_on=1).number == 3

    def test_what_an_import_published_meanwhile_is_not_undone(
        self, versions: Versions, entries: Entries
    ) -> None:
        old = published(versions, code="A-1")
        record = replace(old.record, answer="每小时五元。")
        draft = versions.draft(old.entry_id, record, actor="甲", based_on=1)
        entries.save(
            [(2, replace(old.record, answer="每小时四元。"))], actor="管理员", publish=True
        )
        with pytest.raises(Conflict, match="管理员 写的第 3 版"):
            versions.submit(draft.id, actor="甲", seen=1)
        versions.save(draft.id, record, actor="甲", seen=1, based_on=3)
        versions.submit(draft.id, actor="甲", seen=2)

    @pytest.mark.parametrize("contributor", ["甲", "丙"])
    def test_whoever_wrote_on_it_does_not_review_it(
        self, versions: Versions, contributor: str
    ) -> None:
        draft = written(versions)
        versions.save(draft.id, draft.record, actor="丙", seen=1)
        versions.submit(draft.id, actor="丙", seen=2)
        for step in (
            versions.approve,
            lambda i, actor: versions.return_(i, actor=actor, reason="x"),
        ):
            with pytest.raises(Conflict, match="别人审核"):
                step(draft.id, actor=contributor)
        assert versions.approve(draft.id, actor="乙").state is State.PUBLISHED

    def test_of_many_at_once_one_wins(self, versions: Versions, history: History) -> None:
        draft = written(versions)

        def save(name: str) -> bool:
            record = replace(draft.record, answer=f"{name}写的。")
            try:
                versions.save(draft.id, record, actor=name, seen=1)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(save, "子丑寅卯"))
        assert sum(won) == 1
        held = history.version(draft.id)
        assert held.record.answer == f"{'子丑寅卯'[won.index(True)]}写的。"


class TestDatabase:
    """What no code of the product can do by mistake, and nobody on the side."""

    def refuses(self, database: Database, version: Version, **values: object) -> None:
        statement = update(EntryVersion).where(EntryVersion.id == version.id).values(**values)
        with pytest.raises(IntegrityError), database.transaction() as session:
            session.execute(statement)

    def test_content_is_frozen_from_submission_on(
        self, database: Database, versions: Versions
    ) -> None:
        draft = written(versions)
        versions.submit(draft.id, actor="甲", seen=1)
        self.refuses(database, draft, content={"answer": "偷换"})
        self.refuses(database, draft, state=State.DRAFT)
        self.refuses(database, draft, contributors="|某人|")
        self.refuses(database, draft, number=7)

    def test_the_author_is_never_the_reviewer(self, database: Database, versions: Versions) -> None:
        draft = written(versions)
        self.refuses(database, draft, state=State.APPROVED, reviewer="甲")
        self.refuses(database, draft, state=State.PUBLISHED)

    def test_the_reviewer_and_the_time_stay(self, database: Database, versions: Versions) -> None:
        done = published(versions)
        self.refuses(database, done, reviewer="丁")
        self.refuses(database, done, public_from=NOON - HOUR)
        self.refuses(database, done, state=State.SUBMITTED)

    def test_no_version_is_deleted(self, database: Database, versions: Versions) -> None:
        written(versions)
        for table in ("entry_version", "audit"):
            with pytest.raises(IntegrityError), database.transaction() as session:
                session.execute(text(f"DELETE FROM {table}"))

    def test_one_open_version_an_entry(self, database: Database, versions: Versions) -> None:
        draft = written(versions)
        with pytest.raises(IntegrityError), database.transaction() as session:
            held = session.get_one(EntryVersion, draft.id)
            values = {c.name: getattr(held, c.name) for c in EntryVersion.__table__.columns}
            session.add(EntryVersion(**{**values, "id": None, "number": 2}))


class TestSchedule:
    def test_published_when_its_time_has_come_and_once(
        self, database: Database, regions: Regions, versions: Versions, clock: Clock
    ) -> None:
        old = published(versions)
        record = replace(old.record, answer="每小时五元。")
        draft = versions.draft(old.entry_id, record, actor="甲", based_on=1)
        versions.submit(draft.id, actor="甲", seen=1)
        later = versions.approve(draft.id, actor="乙", publish_at=clock.at + HOUR)
        assert later.state is State.APPROVED
        assert not versions.job()
        assert public(database) == [("每小时三元。", 1)]
        clock.advance(HOUR)
        several = [Versions(database, regions=regions, now=clock) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda each: each.job(), several))
        assert public(database) == [("每小时五元。", 2)]
        actions = [row.action for row in AuditLog(database).rows()]
        assert actions.count("version.publish") == 2

    def test_what_takes_effect_later_waits_for_that_day_in_china(
        self, database: Database, versions: Versions, clock: Clock
    ) -> None:
        """Published at once it would take a right answer away before its time."""
        old = published(versions)
        begin = date(2026, 3, 4)
        record = replace(old.record, answer="每小时五元。", effective_on=begin)
        draft = versions.draft(old.entry_id, record, actor="甲", based_on=1)
        versions.submit(draft.id, actor="甲", seen=1)
        later = versions.approve(draft.id, actor="乙")
        assert later.publish_at == start_of(begin) == datetime(2026, 3, 3, 16, tzinfo=UTC)
        clock.at = start_of(begin) - timedelta(seconds=1)
        versions.job()
        assert public(database) == [("每小时三元。", 1)]
        clock.at = start_of(begin)
        versions.job()
        assert public(database) == [("每小时五元。", 2)]

    def test_published_by_hand_before_its_time(
        self, database: Database, versions: Versions, clock: Clock
    ) -> None:
        draft = written(versions)
        versions.submit(draft.id, actor="甲", seen=1)
        versions.approve(draft.id, actor="乙", publish_at=clock.at + HOUR)
        versions.publish(draft.id, actor="丁")
        clock.advance(2 * HOUR)
        versions.job()
        assert public(database) == [("每小时三元。", 1)]

    def test_an_expired_and_a_due_one_are_marked(
        self, versions: Versions, history: History, clock: Clock
    ) -> None:
        done = published(versions, expires_on=date(2026, 3, 10), review_due=date(2026, 3, 5))
        clock.at = start_of(date(2026, 3, 5))
        versions.job()
        assert history.version(done.id).state is State.IN_REVIEW
        versions.confirm(done.entry_id, actor="甲", note="照旧", review_due=date(2026, 9, 1))
        assert history.version(done.id).state is State.PUBLISHED
        clock.at = start_of(date(2026, 3, 11))
        versions.job()
        assert history.version(done.id).state is State.EXPIRED
        with pytest.raises(Conflict, match="失效日期"):
            versions.confirm(done.entry_id, actor="乙", note="照旧")


class TestHistory:
    def test_of_1000_changes_gives_what_was_public(
        self, database: Database, versions: Versions, history: History, clock: Clock
    ) -> None:
        now = published(versions, "答复0")
        expected = [(clock.at, "答复0")]
        for number in range(1, 250):
            clock.advance(5 * HOUR)
            if number % 10 == 9:
                versions.withdraw(now.entry_id, actor="乙", reason="有误")
                expected.append((clock.at, ""))
                continue
            # Draft, submission, approval and publication are four changes.
            now = revised(versions, now, f"答复{number}")
            expected.append((clock.at, f"答复{number}"))
        for (start, answer), (end, _) in pairwise(expected):
            for instant in (start, start + (end - start) / 2, end - timedelta(microseconds=1)):
                held = history.public_at(now.entry_id, instant)
                assert (held.record.answer if held else "") == answer
        assert history.public_at(now.entry_id, NOON - HOUR) is None
        verdict = AuditLog(database).verify()
        assert (verdict.broken, verdict.rows > 1000 - 100) == (None, True)

    def test_what_was_never_there(self, history: History) -> None:
        with pytest.raises(NotFound):
            history.version(9)
        with pytest.raises(NotFound, match="第 3 版"):
            history.said(1, 3)
        assert history.versions(9) == []

    def test_work_lists(self, versions: Versions, history: History, clock: Clock) -> None:
        def lines(kind: str, **wanted: object) -> list[str]:
            tasks, total = history.work(Wanted(kind, **wanted))  # type: ignore[arg-type]
            assert total == len(tasks)
            return [task.version.record.question for task in tasks]

        def make(question: str, **facts: object) -> Version:
            return versions.draft(None, entry(question, **facts), actor="甲")  # type: ignore[arg-type]

        make("草稿？", department="甲局")
        waiting = make("待审？", region="370283")
        versions.submit(waiting.id, actor="甲", seen=1)
        due = make("到期？", review_due=date(2026, 4, 1))
        versions.submit(due.id, actor="甲", seen=1)
        versions.approve(due.id, actor="乙")
        assert lines("mine", actor="甲") == ["草稿？", "待审？"]
        assert lines("mine", actor="乙") == []
        assert lines("to_review", actor="甲") == []
        assert lines("to_review", actor="乙") == ["待审？"]
        assert lines("to_review", region="370200") == ["待审？"]
        assert lines("to_review", region="320000") == []
        assert lines("mine", actor="甲", department="甲局") == ["草稿？"]
        assert lines("due", day=date(2026, 4, 1)) == ["到期？"]
        assert lines("due", day=date(2026, 3, 31)) == []
        assert lines("all", text="待") == ["待审？"]
        assert lines("flagged") == []


def test_an_imported_draft_waits_beside_the_public_version(
    database: Database, versions: Versions, entries: Entries, history: History
) -> None:
    """It used to take the public one down."""
    old = published(versions, code="A-1")
    row: EntryRecord = replace(old.record, answer="每小时五元。", status="submitted")
    [saved] = entries.save([(2, row)], actor="管理员")
    assert saved.outcome == "updated"
    assert public(database) == [("每小时三元。", 1)]
    [task], _ = history.work(Wanted("to_review", actor="乙"))
    versions.approve(task.version.id, actor="乙")
    assert public(database) == [("每小时五元。", 2)]


def test_an_import_does_not_meddle_with_what_somebody_is_writing(
    versions: Versions, entries: Entries
) -> None:
    old = published(versions, code="A-1")
    versions.draft(old.entry_id, old.record, actor="丙", based_on=1)
    [saved] = entries.save([(2, replace(old.record, answer="改", status="draft"))], actor="管理员")
    assert saved.outcome == "failed"
    assert "丙 正在修改" in saved.reason
