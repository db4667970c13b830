"""From question and segments to lexical figures: terms, statistics, agreement, explanation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings import HashingEncoder, Item
from embeddings.segment import KINDS, Segment
from embeddings.snapshot import (
    PAIRS,
    Question,
    Snapshot,
    Term,
    chains,
    matter_terms,
    query_terms,
)
from embeddings.tokenizer import normalise

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


def flat(snapshot: Snapshot, question: str) -> np.ndarray:
    """Lexical scores of all items of all segments, shape (n, 2): its own, and its group's."""
    return np.concatenate(
        [
            np.stack([own.sum(axis=0), whole.sum(axis=0)[segment.group_of]], axis=1)
            for segment, (own, whole) in zip(
                snapshot.segments, snapshot.lexical(query_terms(question)), strict=True
            )
        ]
    )


def held(snapshot: Snapshot, terms: Sequence[Term], *places: tuple[int, int]) -> np.ndarray:
    """`Snapshot.holds` of (segment, position) pairs, both answers stacked."""
    segments, positions = np.array(places, dtype=np.int64).reshape(-1, 2).T
    return np.stack(snapshot.holds(terms, segments, positions))


def test_terms_are_distinct_and_carry_their_count() -> None:
    terms = query_terms("社保卡，社保卡")
    assert len({(term.kind, term.token) for term in terms}) == len(terms)
    assert {term.token: term.weight for term in terms if term.kind == PAIRS} == {
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


def test_a_question_is_ranked_by_all_its_words_or_by_its_matter() -> None:
    text = "失业金怎么办理"
    assert Question.of(text) == Question(query_terms(text), matter_terms(text))


def chained(question: str) -> list[str]:
    """Each chain spelled out."""
    terms = query_terms(question)
    return ["|".join(terms[place].token for place in chain) for chain in chains(terms)]


def test_pairs_that_follow_each_other_are_a_chain() -> None:
    assert chained("社保卡补办") == ["社保|保卡|卡补|补办"]
    assert chained("社保卡，公积金") == ["社保|保卡", "公积|积金"]
    assert chained("提取公积金 2024 年") == ["提取|取公|公积|积金", "2024", "年"]
    assert chained("5g 基站") == ["5g", "基站"]
    assert chained("") == []


def test_a_chain_ends_where_a_pair_came_before() -> None:
    assert chained("失业金与失业险") == ["失业|业金|金与|与失", "业险"]


@repeatable
@given(short)
def test_chains_share_out_all_pairs_in_order(text: str) -> None:
    terms = query_terms(text)
    found = chains(terms)
    assert [place for chain in found for place in chain] == [
        place for place, term in enumerate(terms) if term.kind == PAIRS
    ]
    for chain in found:
        for left, right in pairwise(chain):
            assert terms[left].token[-1] == terms[right].token[0]


def test_scores_do_not_depend_on_the_cut_into_segments(snapshot: Snapshot) -> None:
    question = "失业保险金怎么申领"
    parts = snapshot_of(ITEMS[:2], ITEMS[2:4], ITEMS[4:])
    np.testing.assert_array_equal(flat(parts, question), flat(snapshot, question))


def test_the_title_lifts_every_item_of_its_group(snapshot: Snapshot) -> None:
    scores = flat(snapshot, "失业保险条例").sum(axis=1)
    assert scores[3] > scores[0]  # nothing of the question stands in its own text
    assert scores[3] > scores[4]


def test_dead_groups_are_out_of_the_running() -> None:
    snapshot = snapshot_of(ITEMS[:2], ITEMS[2:], dead=[frozenset(), frozenset({"b"})])
    (first, _), (second, _) = snapshot.lexical(query_terms("失业保险"))
    assert np.isfinite(first).all()
    assert np.isneginf(second).all(axis=0).tolist() == [True, True, False]
    assert len(snapshot) == 3
    assert snapshot.sizes() == [2, 1]


def test_explanation_sums_to_the_score(snapshot: Snapshot) -> None:
    question = "失业人员怎么申领失业保险金"
    scores = flat(snapshot, question)
    for position in range(len(ITEMS)):
        rows = snapshot.explain(query_terms(question), 0, position)
        sums = [sum(row.of_item for row in rows), sum(row.of_group for row in rows)]
        assert sums == pytest.approx(scores[position].tolist(), rel=1e-4, abs=1e-5)
        added = [row.of_item + row.of_group for row in rows]
        assert added == sorted(added, reverse=True)


def test_a_group_counts_about_as_much_as_its_item(snapshot: Snapshot) -> None:
    # One item a group, its text the same: only the collection statistics differ.
    rows = snapshot.explain(query_terms("公积金"), 0, 4)
    assert all(0 < row.of_group < 2 * row.of_item for row in rows if row.of_item)


def test_an_item_holds_its_own_tokens_and_its_title_and_a_group_all_of_its_items(
    snapshot: Snapshot,
) -> None:
    terms = query_terms("医疗保险参保人员缴纳住房公积金")
    of_item, of_group = held(snapshot, terms, *((0, at) for at in range(len(ITEMS))))
    for row, term in enumerate(terms):
        tokenise, _ = KINDS[term.kind]
        has = [
            term.token in [*tokenise(normalise(item.title)), *tokenise(normalise(item.text))]
            for item in ITEMS
        ]
        assert of_item[row].tolist() == has
        groups = {item.group for item, own in zip(ITEMS, has, strict=True) if own}
        assert of_group[row].tolist() == [item.group in groups for item in ITEMS]


def test_what_is_held_does_not_depend_on_the_cut_into_segments(snapshot: Snapshot) -> None:
    terms = matter_terms("医疗保险费由谁缴纳")
    parts = snapshot_of(ITEMS[:2], ITEMS[2:])
    np.testing.assert_array_equal(
        held(parts, terms, (1, 2), (0, 1), (1, 0), (0, 0), (0, 1)),
        held(snapshot, terms, *((0, at) for at in (4, 1, 2, 0, 1))),
    )
    np.testing.assert_array_equal(parts.rarities(terms), snapshot.rarities(terms))


def test_nothing_is_held_by_no_items(snapshot: Snapshot) -> None:
    terms = query_terms("社保")
    assert held(snapshot, terms).shape == (2, len(terms), 0)
    assert held(snapshot, (), (0, 0)).shape == (2, 0, 1)


def test_rare_terms_are_worth_more(snapshot: Snapshot) -> None:
    terms = query_terms("保险与公积金")
    worth = {
        term.token: float(value)
        for term, value in zip(terms, snapshot.rarities(terms), strict=True)
        if term.kind == PAIRS
    }
    assert worth["公积"] > worth["保险"] > 0


@repeatable
@given(short)
def test_no_item_reaches_the_ideal(question: str) -> None:
    terms = query_terms(question)
    ((own, _),) = _SNAPSHOT.lexical(terms)
    for kind, ideal in enumerate(_SNAPSHOT.ideal(terms)):
        assert own[kind].max() < ideal or not ideal


def test_a_text_that_repeats_the_question_comes_near_the_ideal() -> None:
    snapshot = snapshot_of([Item("r", "公积金" * 200, "", "r"), *ITEMS])
    terms = query_terms("公积金")
    (own, _), *_ = snapshot.lexical(terms)
    assert 0.9 < float(own[PAIRS, 0] / snapshot.ideal(terms)[PAIRS]) < 1


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
        snapshot.rarities(query_terms(f"生词{number}号 xx{number}"))
    kept = [statistics.known for statistics in snapshot._passages]
    assert sum(map(len, kept)) < 20


def test_an_empty_snapshot_judges_without_statistics() -> None:
    empty = Snapshot((), ())
    assert len(empty) == 0
    assert empty.lexical(query_terms("社保")) == []
    assert empty.agreement("社保卡", "社保卡") == pytest.approx(1.0)


_SNAPSHOT = snapshot_of(ITEMS)
