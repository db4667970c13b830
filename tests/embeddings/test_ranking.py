"""From question and segments to scores: statistics, coverage, agreement and order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings import HashingEncoder, Item
from embeddings.ranking import (
    GROUP_WEIGHT,
    Pool,
    Snapshot,
    candidates,
    fuse,
    matter_terms,
    query_terms,
)
from embeddings.segment import Segment

repeatable = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
short = st.text(alphabet="社保医疗金缴办卡的怎么", max_size=12)

ITEMS = [
    Item("a/0", "参保人员凭社会保障卡到定点医院就医", "医疗保险办法", "a"),
    Item("a/1", "医疗保险费由单位和个人共同缴纳", "医疗保险办法", "a"),
    Item("b/0", "失业人员可以申领失业保险金", "失业保险条例", "b"),
    Item("b/1", "申领期限最长为二十四个月", "失业保险条例", "b"),
    Item("c/0", "职工可以提取住房公积金支付房租", "公积金管理条例", "c"),
]


def snapshot_of(*parts: Sequence[Item], dead: Sequence[frozenset[str]] = ()) -> Snapshot:
    encoder = HashingEncoder(64)
    segments = [Segment.build(part, encoder) for part in parts]
    return Snapshot(segments, dead or [frozenset()] * len(parts))


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return snapshot_of(ITEMS)


def test_terms_are_distinct_and_carry_their_count() -> None:
    terms = query_terms("社保卡，社保卡")
    assert len({(term.kind, term.token) for term in terms}) == len(terms)
    assert {term.token: term.weight for term in terms if term.kind == 1} == {
        "社保": 1.0,
        "保卡": 1.0,
    }


def test_matter_leaves_out_asking_words() -> None:
    asked = {term.token for term in query_terms("失业金怎么办理")}
    matter = {term.token for term in matter_terms("失业金怎么办理")}
    assert matter < asked
    assert "失业" in matter


def test_a_question_of_asking_words_only_is_its_own_matter() -> None:
    assert matter_terms("怎么办") == query_terms("怎么办") != ()


def test_scores_do_not_depend_on_the_cut_into_segments(snapshot: Snapshot) -> None:
    terms = query_terms("失业保险金怎么申领")
    (whole,) = snapshot.lexical(terms)
    parts = snapshot_of(ITEMS[:2], ITEMS[2:4], ITEMS[4:]).lexical(terms)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_title_lifts_every_item_of_its_group(snapshot: Snapshot) -> None:
    (scores,) = snapshot.lexical(query_terms("失业保险条例"))
    assert scores[3] > scores[0]  # nothing of the question stands in its own text
    assert scores[3] > scores[4]


def test_dead_groups_are_out_of_the_running() -> None:
    snapshot = snapshot_of(ITEMS[:2], ITEMS[2:], dead=[frozenset(), frozenset({"b"})])
    first, second = snapshot.lexical(query_terms("失业保险"))
    assert np.isfinite(first).all()
    assert np.isneginf(second).tolist() == [True, True, False]
    assert len(snapshot) == 3
    assert snapshot.sizes() == [2, 1]


def test_explanation_sums_to_the_score(snapshot: Snapshot) -> None:
    terms = query_terms("失业人员怎么申领失业保险金")
    (scores,) = snapshot.lexical(terms)
    for position in range(len(ITEMS)):
        rows = snapshot.explain(terms, 0, position)
        assert sum(row.of_item + row.of_group for row in rows) == pytest.approx(
            float(scores[position]), rel=1e-4, abs=1e-5
        )
        added = [row.of_item + row.of_group for row in rows]
        assert added == sorted(added, reverse=True)


def test_a_group_counts_with_its_weight(snapshot: Snapshot) -> None:
    # One item a group, its text the same: only the collection statistics differ.
    rows = snapshot.explain(query_terms("公积金"), 0, 4)
    assert all(0 < row.of_group < 2 * GROUP_WEIGHT * row.of_item for row in rows if row.of_item)


def test_coverage_is_the_share_of_the_question_in_the_item(snapshot: Snapshot) -> None:
    terms = matter_terms("失业人员申领失业保险金")
    (full, part, none), whole = snapshot.coverage(terms, [0, 0, 0], [2, 3, 4])
    assert full > 0.8
    assert full > part > none >= 0
    assert all(whole >= np.array([full, part, none]) - 1e-6)
    assert [shares.shape for shares in snapshot.coverage(terms, [], [])] == [(0,), (0,)]


def test_coverage_does_not_depend_on_the_cut_into_segments(snapshot: Snapshot) -> None:
    terms = matter_terms("医疗保险费由谁缴纳")
    parts = snapshot_of(ITEMS[:2], ITEMS[2:])
    np.testing.assert_allclose(
        parts.coverage(terms, [1, 0, 1, 0, 0], [2, 1, 0, 0, 1]),
        snapshot.coverage(terms, [0] * 5, [4, 1, 2, 0, 1]),
        rtol=1e-6,
    )


@repeatable
@given(short, short)
def test_agreement_is_a_symmetric_share(left: str, right: str) -> None:
    agreement = _SNAPSHOT.agreement(left, right)
    assert 0 <= agreement <= 1 + 1e-9
    assert agreement == pytest.approx(_SNAPSHOT.agreement(right, left))


@repeatable
@given(short)
def test_a_text_agrees_with_itself(text: str) -> None:
    expected = 1.0 if matter_terms(text) else 0.0
    assert _SNAPSHOT.agreement(text, text) == pytest.approx(expected)


@repeatable
@given(short, short)
def test_covered_is_a_share_and_whole_where_the_text_holds_the_matter(
    question: str, text: str
) -> None:
    assert 0 <= _SNAPSHOT.covered(question, text) <= 1 + 1e-9
    if matter_terms(question) == query_terms(question) != ():
        assert _SNAPSHOT.covered(question, question) == pytest.approx(1.0)


def test_asking_words_do_not_make_texts_agree(snapshot: Snapshot) -> None:
    asked = snapshot.agreement("社保卡怎么办理", "公积金怎么办理")
    assert asked == pytest.approx(snapshot.agreement("社保卡", "公积金"))
    assert snapshot.agreement("请问失业金怎么办理", "失业金如何") == pytest.approx(1.0)


def test_covered_grows_with_the_text(snapshot: Snapshot) -> None:
    question = "失业保险金申领期限"
    shares = [
        snapshot.covered(question, text)
        for text in ("住房", "失业", "失业保险金", "失业保险金申领", "失业保险金申领期限最长")
    ]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1.0)


def test_words_of_questions_alone_are_not_kept() -> None:
    snapshot = snapshot_of(ITEMS)
    for number in range(500):
        snapshot.agreement(f"生词{number}号 zz{number}", f"yy{number}")
    held = [statistics.known for statistics in snapshot._passages]
    assert sum(map(len, held)) < 20


def test_an_empty_snapshot_judges_without_statistics() -> None:
    empty = Snapshot((), ())
    assert len(empty) == 0
    assert empty.lexical(query_terms("社保")) == []
    assert empty.agreement("社保卡", "社保卡") == pytest.approx(1.0)


def test_candidates_are_found_by_words_or_by_vector(snapshot: Snapshot) -> None:
    query = HashingEncoder(64).encode(["公积金付房租"])[0]
    by_words = candidates(snapshot, query_terms("公积金付房租"), None, 100)
    by_both = candidates(snapshot, query_terms("公积金付房租"), query, 100)
    assert set(by_words.positions.tolist()) <= set(by_both.positions.tolist())
    assert not by_words.cosines.any()
    assert len(set(by_both.positions.tolist())) == len(by_both.positions)


def test_fusion_orders_by_both_scores_and_then_by_place() -> None:
    pool = Pool(
        segments=np.array([0, 0, 1, 0]),
        positions=np.array([3, 1, 0, 2]),
        lexical=np.array([5.0, 10.0, 5.0, 5.0]),
        cosines=np.array([0.5, 0.0, 0.5, 0.9]),
    )
    order = [(each.segment, each.position) for each in fuse(pool, 0.1)]
    assert order == [(0, 1), (0, 2), (1, 0), (0, 3)]
    best = next(fuse(pool, 0.1))
    assert best.score == pytest.approx(0.9)


def test_fusion_of_nothing_is_nothing() -> None:
    none = np.array([], dtype=np.int64)
    assert list(fuse(Pool(none, none, none.astype(float), none.astype(float)), 0.1)) == []


_SNAPSHOT = snapshot_of(ITEMS)
