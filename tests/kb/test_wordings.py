"""Clauses recognised by what they say, and found by questions that share no word with them."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from embeddings import Encoder, HashingEncoder
from kb.db import Database
from kb.documents import Documents
from kb.index import Index
from kb.indexing import Indexer
from kb.models import Clause
from kb.regions import Regions
from kb.search import Scope, Search
from kb.wordings import RUN, SAME, SIZE, UNKNOWN, Wordings, similarity, sketch
from tests.factories import TODAY, add, publish, regulation, upload

repeatable = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
LETTERS = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过"
)
texts = st.text(alphabet=LETTERS[:12], max_size=60)

RULE = (
    "物业企业未公示收费项目就收取费用的，应当自业主提出之日起十日内退还多收部分，"
    "并按所收数额的一成给予补偿。"
)
ASKED = "小区乱扣钱怎么讨回来"
OTHER = "业主可以查阅物业企业的收支账目；物业企业应当自收到申请之日起五日内提供，不得收取查阅费用。"


def runs(text: str) -> set[str]:
    """Runs of letters of a text that has no other characters."""
    return {text[at : at + RUN] for at in range(max(1, len(text) - RUN + 1))}


def jaccard(left: str, right: str) -> float:
    ours, theirs = runs(left), runs(right)
    return len(ours & theirs) / len(ours | theirs)


def random_pairs(count: int) -> list[tuple[str, str]]:
    """Texts of 60 to 300 letters and edited copies of them, from all but equal to unlike."""
    pick = random.Random(11)
    found = []
    for _ in range(count):
        text = pick.choices(LETTERS, k=pick.randint(60, 300))
        other, share = [*text], pick.random() ** 3
        for at in range(len(other)):
            if pick.random() < share:
                other[at] = pick.choice(LETTERS)
        cut = pick.randint(0, len(other) // 4)
        found.append(("".join(text), "".join(other[cut:])))
    return found


class TestSketch:
    def test_is_short_ascending_and_of_32_bits(self) -> None:
        for text, _ in random_pairs(20):
            hashes = sketch(text)
            assert len(hashes) == SIZE
            assert list(hashes) == sorted(set(hashes))
            assert all(0 <= each < 2**32 for each in hashes)

    def test_does_not_change(self) -> None:
        """The file of wordings holds sketches made earlier, on other machines."""
        assert sketch("退休人员不再缴纳") == (0x59DA58A3, 0xC3D0F984, 0xD966B8CC, 0xE8DEF958)

    @repeatable
    @given(texts, texts)
    def test_similarity_is_a_symmetric_share(self, left: str, right: str) -> None:
        ours, theirs = sketch(left), sketch(right)
        assert 0 <= similarity(ours, theirs) <= 1
        assert similarity(ours, theirs) == similarity(theirs, ours)
        assert similarity(ours, ours) == (1 if ours else 0)

    @repeatable
    @given(texts, texts)
    def test_similarity_is_exact_where_all_runs_fit_in_a_sketch(
        self, left: str, right: str
    ) -> None:
        if sketch(left) and sketch(right) and len(runs(left) | runs(right)) <= SIZE:
            assert similarity(sketch(left), sketch(right)) == pytest.approx(jaccard(left, right))

    def test_similarity_estimates_the_share_of_common_runs(self) -> None:
        pairs = random_pairs(300)
        exact = [jaccard(left, right) for left, right in pairs]
        errors = [
            similarity(sketch(left), sketch(right)) - true
            for (left, right), true in zip(pairs, exact, strict=True)
        ]
        assert min(exact) < 0.1 and max(exact) > 0.9
        # Sixteen draws: a standard error of at most 1/8; none is farther off than four of them.
        assert max(map(abs, errors)) < 4 / 8
        assert sum(error**2 for error in errors) / len(errors) < (1 / 8) ** 2
        assert abs(sum(errors) / len(errors)) < 0.02

    def test_texts_without_a_common_run_are_unlike(self) -> None:
        assert similarity(sketch(RULE), sketch("老年人乘坐公共汽车免费")) == 0
        assert similarity((), ()) == 0


class TestRecognising:
    known = Wordings.of(
        [
            (sketch(RULE), (ASKED, "物业多要的钱能拿回来吗")),
            (sketch("第二条 公园免费开放，但是另有规定的除外。"), ("逛公园要钱吗",)),
        ]
    )

    @pytest.mark.parametrize(
        "text",
        [
            RULE,
            RULE.replace("，", ",").replace("。", "."),
            re.sub("[，。 ]", "", RULE),
            f"\n  {RULE}\u3000\n".replace("，", "，\n"),
            "物業企業未公示收費項目就收取費用的，應當自業主提出之日起十日內退還多收部分，"
            "並按所收數額的一成給予補償。",
            f"第八十二条 {RULE}",
            RULE.replace("退还", "退\u200b还"),
        ],
    )
    def test_the_same_words_in_other_dress(self, text: str) -> None:
        assert self.known.asking_for(text) == (ASKED, "物业多要的钱能拿回来吗")

    def test_numbers_and_latin_letters_in_full_width(self) -> None:
        text = "申请ETC的车辆免收2025年通行费，逾期未申请的按原标准收取"
        wide = "申请ＥＴＣ的车辆免收２０２５年通行费,逾期未申请的按原标准收取"
        known = Wordings.of([(sketch(text), ("过路费免不免",))])
        assert known.asking_for(wide) == ("过路费免不免",)
        assert known.asking_for(wide.lower()) == ("过路费免不免",)

    @pytest.mark.parametrize(
        "text",
        [
            OTHER,
            "第二条 公园免费开放。",
            "物业",
            "",
            "。",
            # The same subject in other words is another rule.
            "物业企业多收费用的，业主可以向街道办事处反映，也可以要求公示收费项目。",
        ],
    )
    def test_another_article_is_not_known(self, text: str) -> None:
        assert self.known.asking_for(text) == ()

    @repeatable
    @given(st.lists(texts, min_size=1, max_size=8), texts)
    def test_finds_what_a_comparison_with_every_row_finds(self, held: list[str], text: str) -> None:
        rows = [(sketch(each), (f"问题{at}",)) for at, each in enumerate(held)]
        expected = {
            question
            for hashes, questions in rows
            if similarity(sketch(text), hashes) >= SAME
            for question in questions
        }
        assert {*Wordings.of(rows).asking_for(text)} == expected

    def test_questions_of_several_editions_come_once_each(self) -> None:
        edition = RULE.replace("一成", "两成")
        known = Wordings.of([(sketch(RULE), ("甲", "乙")), (sketch(edition), ("乙", "丙"))])
        assert similarity(sketch(RULE), sketch(edition)) >= SAME
        assert sorted(known.asking_for(RULE)) == ["丙", "乙", "甲"]

    def test_nothing_is_known_without_rows(self) -> None:
        assert UNKNOWN.asking_for(RULE) == UNKNOWN.asking_for("") == ()


class TestFile:
    def test_a_round_trip(self, tmp_path: Path) -> None:
        rows = [
            (sketch(RULE), (ASKED, "物业“多收”的\n怎么算")),
            (sketch("短"), ("只有一个字",)),
            (sketch("退休人员不再缴纳"), ("退了休还交吗",)),  # a hash of all 32 bits
            (sketch(OTHER), ("想看账本行不行",)),
        ]
        file = tmp_path / "wordings.jsonl"
        with file.open("w", encoding="utf-8") as out:
            for hashes, questions in rows:
                row = {"sketch": "".join(f"{each:08x}" for each in hashes), "questions": questions}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        loaded = Wordings.load(file)
        assert loaded == Wordings.of(rows)
        assert [*loaded.rows] == rows
        assert loaded.asking_for(OTHER) == ("想看账本行不行",)

    def test_an_empty_file_knows_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "wordings.jsonl").touch()
        assert Wordings.load(tmp_path / "wordings.jsonl") == UNKNOWN


class TestThroughTheIndex:
    @pytest.fixture
    def indexer(self, database: Database, index: Index) -> Indexer:
        known = Wordings.of([(sketch(RULE), (ASKED,)), (sketch("没有这一条"), ("白问了",))])
        return Indexer(database, index, known)

    def test_a_known_clause_is_found_by_a_question_that_shares_no_word_with_it(
        self, documents: Documents, indexer: Indexer, index: Index, search: Search
    ) -> None:
        publish(documents, regulation("某市物业管理办法", RULE, OTHER))
        publish(documents, regulation("某市犬只管理办法", "携带犬只外出应当束犬链。"))
        indexer.catch_up()
        assert index.clauses.covered(ASKED, f"某市物业管理办法{RULE}") == 0
        best, *others = search.passages(ASKED, Scope(as_of=TODAY)).passages
        assert best.text == search.quote(ASKED, best).text == f"第一条 {RULE}"
        assert best.citations[0].locator == "第一条"
        # The question belongs to this clause alone, and is itself never quoted.
        assert all(each.coverage < best.coverage for each in others)
        assert not any(ASKED in each.text or each.text == best.text for each in others)

    def test_it_is_found_by_words_alone_where_the_encoder_knows_nothing(
        self, database: Database, documents: Documents, regions: Regions
    ) -> None:
        index = Index.in_memory(HashingEncoder())
        publish(documents, regulation("某市物业管理办法", RULE, OTHER))
        Indexer(database, index, Wordings.of([(sketch(RULE), (ASKED,))])).catch_up()
        found = Search(database, index, regions).passages(ASKED, Scope(as_of=TODAY)).passages
        [asked] = [each for each in found if each.text == f"第一条 {RULE}"]
        assert asked.coverage == pytest.approx(1.0)

    def test_whatever_its_title_and_number(
        self, documents: Documents, indexer: Indexer, search: Search
    ) -> None:
        publish(documents, regulation("某县物业规定", OTHER, RULE))
        indexer.catch_up()
        [best, *_] = search.passages(ASKED, Scope(as_of=TODAY)).passages
        assert best.text == f"第二条 {RULE}"

    def test_an_unknown_clause_gets_no_questions(
        self,
        database: Database,
        documents: Documents,
        indexer: Indexer,
        index: Index,
        encoder: Encoder,
    ) -> None:
        publish(documents, regulation("某市物业管理办法", OTHER))
        indexer.catch_up()
        without = Index.in_memory(encoder)
        Indexer(database, without).catch_up()
        assert len(index.clauses) == len(without.clauses) > 0
        assert all(hit.coverage == 0 for hit in index.clauses.search(ASKED, 10))

    def test_every_question_is_one_more_item_of_its_clause(
        self,
        database: Database,
        documents: Documents,
        indexer: Indexer,
        index: Index,
        encoder: Encoder,
    ) -> None:
        publish(documents, regulation("某市物业管理办法", RULE))
        indexer.catch_up()
        without = Index.in_memory(encoder)
        Indexer(database, without).catch_up()
        assert len(index.clauses) == len(without.clauses) + 1
        assert {hit.key for hit in index.clauses.search(RULE, 10)} == {
            hit.key for hit in without.clauses.search(RULE, 10)
        }

    def test_rebuilding_and_following_agree(
        self, documents: Documents, indexer: Indexer, index: Index
    ) -> None:
        publish(documents, regulation("某市物业管理办法", RULE, OTHER))
        indexer.catch_up()
        before = index.clauses.search(ASKED, 10)
        indexer.rebuild()
        assert index.clauses.search(ASKED, 10) == before != []

    def test_a_withdrawn_clause_takes_its_questions_along(
        self, documents: Documents, indexer: Indexer, index: Index
    ) -> None:
        document_id = publish(documents, regulation("某市物业管理办法", RULE))
        indexer.catch_up()
        documents.withdraw(document_id, actor="审核", reason="有误")
        indexer.catch_up()
        assert index.clauses.search(ASKED, 10) == []

    def test_a_clause_that_is_only_its_documents_title_is_not_indexed(
        self, database: Database, documents: Documents, indexer: Indexer, index: Index
    ) -> None:
        title = "某市物业管理办法"
        publish(documents, regulation(title, RULE))
        add(documents, upload(f"{title}实施细则\n\n{title}实施细则如下。\n"))
        indexer.catch_up()
        with database.reading() as session:
            clauses = session.execute(select(Clause.id, Clause.text)).all()
        bare = {
            f"clause:{number}" for number, text in clauses if text in (title, f"{title}实施细则")
        }
        others = {f"clause:{number}" for number, _ in clauses} - bare
        assert len(bare) == 2
        assert {hit.key for hit in index.clauses.search(title, 100)} == others

    def test_unless_the_document_says_nothing_else(
        self, documents: Documents, indexer: Indexer, search: Search
    ) -> None:
        publish(documents, "关于停止使用旧版停车证的通知\n")
        indexer.catch_up()
        [found] = search.passages("旧版停车证", Scope(as_of=TODAY)).passages
        assert found.text == found.title == "关于停止使用旧版停车证的通知"
