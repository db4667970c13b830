"""The index as a projection: following the log, rebuilding, windows, what may be found at all."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from embeddings import HashingEncoder
from kb.db import Database
from kb.documents import Documents
from kb.entries import Entries
from kb.index import Index
from kb.indexing import WHOLE_UP_TO, WINDOW, Indexer, windows
from kb.journal import changed
from kb.models import Change, Status
from tests.factories import TODAY, add, entry, publish, regulation, upload

# In every text of these tests, so that one question finds them all.
COMMON = "办理停车证"


def contents(index: Index) -> set[str]:
    """Keys of all items that can be found."""
    return {
        hit.key
        for retriever in (index.clauses, index.entries)
        for hit in retriever.search(COMMON, 10_000, per_group=1000)
    }


def level(database: Database) -> set[str]:
    """What an index made from nothing holds."""
    fresh = Index.in_memory(HashingEncoder())
    Indexer(database, fresh).rebuild()
    return contents(fresh)


def policy(number: int, year: int = 2020) -> str:
    return regulation(
        f"某市第{number}号事项管理办法",
        f"{COMMON}适用{year}年标准。",
        effective=date(year, 1, 1),
    )


def save(entries: Entries, *questions: str, status: str = "published") -> list[int]:
    rows = [
        (n, entry(each, f"{COMMON}到窗口。", status=status)) for n, each in enumerate(questions)
    ]
    return [each.entry_id for each in entries.save(rows, actor="编辑") if each.entry_id]


class TestFollowing:
    def test_an_empty_base(self, indexer: Indexer, index: Index) -> None:
        assert indexer.catch_up() == 0
        assert indexer.rebuild() == 0
        assert len(index) == 0

    def test_applies_each_change_once(
        self, documents: Documents, entries: Entries, indexer: Indexer, index: Index
    ) -> None:
        publish(documents, policy(1))
        save(entries, f"怎样{COMMON}？")
        assert indexer.catch_up() == 2
        before = contents(index)
        assert any(key.startswith("clause:") for key in before)
        assert any(key.startswith("entry:") for key in before)
        assert indexer.catch_up() == 0
        assert contents(index) == before

    def test_applying_changes_again_leaves_the_same(
        self, database: Database, documents: Documents, indexer: Indexer, index: Index
    ) -> None:
        publish(documents, policy(1))
        indexer.catch_up()
        before, size = contents(index), len(index)
        index.clauses.position = 0
        assert Indexer(database, index).catch_up() == 1
        assert (contents(index), len(index)) == (before, size)

    def test_two_followers_agree(
        self, database: Database, documents: Documents, entries: Entries, indexer: Indexer
    ) -> None:
        """One follows step by step, the other comes late."""
        late = Index.in_memory(HashingEncoder())
        early = indexer._index
        for number in range(6):
            publish(documents, policy(number % 4, 2010 + number))
            [entry_id] = save(entries, f"怎样{COMMON}{number}？")
            indexer.catch_up()
            if number % 2:
                entries.set_status(entry_id, Status.WITHDRAWN, actor="审核")
        documents.withdraw(1, actor="审核", reason="有误")
        indexer.catch_up()
        Indexer(database, late).catch_up()
        assert contents(early) == contents(late) == level(database)

    def test_more_changes_than_are_read_in_one_go(
        self, database: Database, indexer: Indexer, index: Index
    ) -> None:
        with database.transaction() as session:
            changed(database, session, *(f"entry:{n % 7 + 1}" for n in range(950)))
        assert indexer.catch_up() == 950
        assert index.entries.position == 950
        assert indexer.lag() == 0

    def test_each_kind_follows_for_itself(
        self, database: Database, documents: Documents, entries: Entries, index: Index
    ) -> None:
        """An entry is in although a change of a document before it has not been read."""
        publish(documents, policy(1))
        save(entries, f"怎样{COMMON}？")
        by_entries, by_clauses = Indexer(database, index)._followers
        assert by_entries.catch_up() == 1
        assert len(index.entries) == 2 and len(index.clauses) == 0
        assert by_clauses.lag() == 1
        assert by_clauses.catch_up() == 1 and by_clauses.lag() == 0

    def test_many_changes_of_another_kind_are_read_once(
        self, database: Database, indexer: Indexer, index: Index
    ) -> None:
        with database.transaction() as session:
            changed(database, session, *(f"entry:{n + 1}" for n in range(1200)))
        indexer.catch_up()
        assert index.clauses.position == 1200

    def test_a_thread_follows_until_told_to_stop(
        self, entries: Entries, indexer: Indexer, index: Index
    ) -> None:
        stop = threading.Event()
        thread = threading.Thread(target=indexer.watch, args=(stop, 0.01))
        thread.start()
        save(entries, f"怎样{COMMON}？")
        waited = threading.Event()
        for _ in range(1000):
            if len(index):
                break
            waited.wait(0.01)
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        assert contents(index) == {"entry:1"}


class TestRebuild:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_reaches_what_following_reaches(
        self,
        database: Database,
        documents: Documents,
        entries: Entries,
        indexer: Indexer,
        index: Index,
        seed: int,
    ) -> None:
        chance = random.Random(seed)
        known: list[int] = []
        steps: list[Callable[[], object]] = [
            lambda: add(
                documents, upload(policy(chance.randrange(2), chance.randrange(2000, 2030)))
            ),
            lambda: add(
                documents,
                upload(policy(chance.randrange(2), chance.randrange(2000, 2030))),
                publish=False,
            ),
            lambda: known.extend(save(entries, f"怎样{COMMON}{chance.randrange(9)}？")),
            lambda: (
                known
                and entries.set_status(chance.choice(known), chance.choice([*Status]), actor="审")
            ),
            lambda: documents.withdraw(1, actor="审核", reason="有误"),
            lambda: documents.publish(1, actor="审核"),
            lambda: index.merge(),
            lambda: indexer.catch_up(),
        ]
        publish(documents, policy(0))
        for _ in range(60):
            chance.choice(steps)()
        indexer.catch_up()
        assert contents(index) == level(database)

    def test_takes_the_position_of_the_log(
        self, entries: Entries, indexer: Indexer, index: Index
    ) -> None:
        save(entries, *(f"怎样{COMMON}{n}？" for n in range(5)))
        steps: list[tuple[int, int]] = []
        assert indexer.rebuild(lambda done, total: steps.append((done, total))) == 5
        assert steps == [(5, 5)]
        assert index.entries.position == index.clauses.position == 5
        assert indexer.catch_up() == 0

    def test_forgets_what_the_base_no_longer_has(
        self, entries: Entries, indexer: Indexer, index: Index
    ) -> None:
        [entry_id] = save(entries, f"怎样{COMMON}？")
        indexer.catch_up()
        entries.set_status(entry_id, Status.WITHDRAWN, actor="审核")
        assert indexer.rebuild() == 0
        assert contents(index) == set()

    def test_one_that_was_cut_off_is_made_good_by_the_next_start(
        self, database: Database, entries: Entries, tmp_path: Path
    ) -> None:
        save(entries, *(f"怎样{COMMON}{n}？" for n in range(450)))
        index = Index.open(HashingEncoder(), tmp_path / "index")

        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Indexer(database, index).rebuild(stop)
        index.close()
        again = Index.open(HashingEncoder(), tmp_path / "index")
        assert 0 < len(again) < 900
        Indexer(database, again).catch_up()
        assert len(again) == 900
        again.close()


class TestWhatCanBeFound:
    def test_drafts_cannot(
        self, documents: Documents, entries: Entries, indexer: Indexer, index: Index
    ) -> None:
        add(documents, upload(policy(1)), publish=False)
        save(entries, f"怎样{COMMON}？", status="draft")
        save(entries, f"到哪{COMMON}？", status="submitted")
        indexer.catch_up()
        indexer.rebuild()
        assert contents(index) == set()
        documents.publish(1, actor="审核")
        entries.set_status(1, Status.PUBLISHED, actor="审核")
        indexer.catch_up()
        assert {key.partition(":")[0] for key in contents(index)} == {"clause", "entry"}

    def test_the_withdrawn_cannot(
        self, documents: Documents, entries: Entries, indexer: Indexer, index: Index
    ) -> None:
        document_id = publish(documents, policy(1))
        [entry_id] = save(entries, f"怎样{COMMON}？")
        indexer.catch_up()
        documents.withdraw(document_id, actor="审核", reason="有误")
        entries.set_status(entry_id, Status.WITHDRAWN, actor="审核")
        indexer.catch_up()
        assert contents(index) == set()
        documents.publish(document_id, actor="审核")
        indexer.catch_up()
        assert contents(index)

    def test_superseded_texts_stay_for_questions_about_the_past(
        self, database: Database, documents: Documents, indexer: Indexer, index: Index
    ) -> None:
        publish(documents, policy(1, 2010))
        indexer.catch_up()
        before = contents(index)
        publish(documents, policy(1, 2020))
        indexer.catch_up()
        assert before < contents(index) == level(database)

    def test_an_edited_entry_is_found_by_its_new_words_only(
        self, entries: Entries, indexer: Indexer, index: Index
    ) -> None:
        old = entry("怎样办残疾证？", "到大厅。", code="A", similar=("残疾人证怎么申领",))
        new = entry("怎样领老年卡？", "到大厅。", code="A")
        for record in (old, new):
            entries.save([(2, record)], actor="编辑")
            indexer.catch_up()
        assert {hit.key for hit in index.entries.search("老年卡", 9)} >= {"entry:1"}
        assert all(hit.coverage == 0 for hit in index.entries.search("残疾人证", 9))

    def test_a_table_of_contents_and_a_signature_cannot(
        self, documents: Documents, indexer: Indexer, index: Index
    ) -> None:
        publish(documents, f"关于补贴的通知\n\n一、{COMMON}。\n\n某市人民政府\n\n2024年1月15日\n")
        indexer.catch_up()
        found = index.clauses.search("某市人民政府2024年1月15日", 9)
        assert all(hit.coverage < 0.5 for hit in found)


class TestOrderOfNumbers:
    def test_a_writer_waits_until_the_one_before_has_committed(self, database: Database) -> None:
        """Else its higher number could be seen first, and the lower one be missed for ever."""
        finished = threading.Event()

        def second() -> None:
            with database.transaction() as session:
                changed(database, session, "entry:2")
            finished.set()

        with database.transaction() as session:
            changed(database, session, "entry:1")
            session.flush()
            thread = threading.Thread(target=second)
            thread.start()
            assert not finished.wait(0.3)
        thread.join(30)
        with database.reading() as session:
            rows = session.scalars(select(Change.group).order_by(Change.number)).all()
        assert rows == ["entry:1", "entry:2"]

    def test_a_follower_misses_nothing_of_concurrent_writers(
        self, database: Database, entries: Entries, indexer: Indexer, index: Index
    ) -> None:
        def write(writer: int) -> None:
            chance = random.Random(writer)
            pause = threading.Event()
            for number in range(8):
                with database.transaction() as session:
                    changed(database, session, f"entry:{writer * 100 + number + 1}")
                    session.flush()
                    pause.wait(chance.random() / 200)
                save(entries, f"怎样{COMMON}{writer}之{number}？")

        seen = 0
        with ThreadPoolExecutor(6) as pool:
            writing = [pool.submit(write, writer) for writer in range(6)]
            while not all(each.done() for each in writing):
                seen += indexer.catch_up()
            for each in writing:
                each.result()
        seen += indexer.catch_up()
        assert seen == 2 * 6 * 8
        assert contents(index) == level(database)


CHINESE_TEXT = st.text(alphabet="甲乙丙丁。！？；\n ，a", max_size=2500)


class TestWindows:
    @given(CHINESE_TEXT)
    def test_lose_nothing_but_white_space_at_the_end(self, text: str) -> None:
        joined = "".join(windows(text))
        assert text.startswith(joined)
        assert not text.removeprefix(joined).strip()

    @given(CHINESE_TEXT)
    def test_are_never_long(self, text: str) -> None:
        assert all(len(part) <= max(WHOLE_UP_TO, 2 * WINDOW) for part in windows(text))

    @given(st.integers(1, 40), st.integers(5, 120))
    def test_end_with_a_sentence_where_they_can(self, sentences: int, length: int) -> None:
        parts = windows("".join("字" * (length - 1) + "。" for _ in range(sentences)))
        assert all(part.endswith("。") for part in parts)

    def test_a_short_text_is_one(self) -> None:
        assert windows("第一条。\n第二条。") == ["第一条。\n第二条。"]
        assert windows("") == [""]

    def test_every_window_of_a_long_clause_leads_to_it(
        self, documents: Documents, indexer: Indexer, index: Index
    ) -> None:
        filler = "各有关单位应当按照职责分工做好相关工作。" * 28
        text = f"养犬登记应当每年办理。{filler}携带导盲犬的盲人除外。"
        publish(documents, regulation("某市养犬管理办法", text, effective=TODAY))
        indexer.catch_up()
        for question in ("养犬登记每年", "导盲犬盲人"):
            (hit,) = index.clauses.search(question, 1)
            assert hit.coverage > 0.8
