"""BM25 against the formula written out, against bm25s, and against itself in parts."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import bm25s
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings.lexical import (
    K1,
    B,
    Floats,
    Postings,
    inverse_frequency,
    length_norms,
    term_key,
)

Texts = Sequence[Sequence[str]]

repeatable = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
texts = st.lists(st.lists(st.sampled_from("社保医疗金缴办"), max_size=12), min_size=1, max_size=20)


def scores(parts: Sequence[Postings], query: Sequence[str]) -> Floats:
    """Score all texts of all parts by their common statistics, as a snapshot does."""
    total = sum(len(part) for part in parts)
    mean = sum(int(part.lengths.sum()) for part in parts) / total
    found = [np.zeros(len(part), dtype=np.float32) for part in parts]
    for token, count in Counter(query).items():
        spans = [part.spans([term_key(token)])[0] for part in parts]
        idf = inverse_frequency(sum(span.stop - span.start for span in spans), total)
        for part, own, span in zip(parts, found, spans, strict=True):
            part.add_scores(own, span, count * idf, length_norms(part.lengths, mean))
    return np.concatenate(found)


def by_the_formula(corpus: Texts, query: Sequence[str]) -> list[float]:
    mean = max(sum(map(len, corpus)) / len(corpus), 1)
    found = []
    for text in corpus:
        total = 0.0
        for token in query:
            df = sum(token in other for other in corpus)
            tf = text.count(token)
            idf = math.log(1 + (len(corpus) - df + 0.5) / (df + 0.5))
            total += idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * len(text) / mean))
        found.append(total)
    return found


def random_corpus(seed: int, count: int) -> tuple[list[list[str]], list[list[str]]]:
    """Texts and queries over words of very unequal frequency."""
    pick = random.Random(seed)
    vocabulary = [f"词{number}" for number in range(200)]
    weights = [1 / (rank + 1) for rank in range(200)]
    corpus = [pick.choices(vocabulary, weights, k=pick.randint(1, 60)) for _ in range(count)]
    queries = [pick.choices(vocabulary, weights, k=pick.randint(1, 8)) for _ in range(20)]
    return corpus, queries


def same(left: Postings, right: Postings) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for name in ("lengths", "terms", "starts", "positions", "counts")
    )


@repeatable
@given(texts, st.lists(st.sampled_from("社保医疗金缴办无"), min_size=1, max_size=6))
def test_scores_are_those_of_the_formula(corpus: Texts, query: list[str]) -> None:
    found = scores([Postings.build(corpus)], query)
    np.testing.assert_allclose(found, by_the_formula(corpus, query), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_bm25s(seed: int) -> None:
    corpus, queries = random_corpus(seed, 150)
    other = bm25s.BM25(method="lucene", k1=K1, b=B)
    other.index(corpus, show_progress=False)
    postings = Postings.build(corpus)
    for query in queries:
        known = [token for token in query if any(token in text for text in corpus)]
        if known:
            # Lucene leaves out the factor k1 + 1, which is the same for every text.
            expected = (K1 + 1) * other.get_scores(known)
            np.testing.assert_allclose(scores([postings], query), expected, rtol=1e-3, atol=1e-4)


@repeatable
@given(st.lists(texts, min_size=1, max_size=4), st.lists(st.sampled_from("社保医"), max_size=4))
def test_parts_score_as_one(parts: list[Texts], query: list[str]) -> None:
    whole = Postings.build([text for part in parts for text in part])
    np.testing.assert_array_equal(
        scores([Postings.build(part) for part in parts], query), scores([whole], query)
    )


@repeatable
@given(st.lists(texts, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_merging_parts_is_building_the_whole(parts: list[Texts], pick: random.Random) -> None:
    keep = [np.array([pick.random() < 0.7 for _ in part], dtype=np.bool_) for part in parts]
    merged = Postings.merge([Postings.build(part) for part in parts], keep)
    left = [
        text
        for part, flags in zip(parts, keep, strict=True)
        for text, kept in zip(part, flags, strict=True)
        if kept
    ]
    assert same(merged, Postings.build(left))
    assert merged.consistent()


@repeatable
@given(texts)
def test_one_text_is_scored_as_among_all(corpus: Texts) -> None:
    postings = Postings.build(corpus)
    norms = length_norms(postings.lengths, sum(map(len, corpus)) / len(corpus))
    for token in "社保无":
        (span,) = postings.spans([term_key(token)])
        together = np.zeros(len(corpus), dtype=np.float32)
        postings.add_scores(together, span, 1.0, norms)
        alone = [postings.score(span, at, norms) for at in range(len(corpus))]
        np.testing.assert_allclose(alone, together, rtol=1e-5)
        has = postings.contains(span, np.arange(len(corpus)))
        assert has.tolist() == [token in text for text in corpus]


@repeatable
@given(texts)
def test_spans_count_the_texts_that_have_a_term(corpus: Texts) -> None:
    tokens = sorted({token for text in corpus for token in text} | {"无"})
    spans = Postings.build(corpus).spans([term_key(token) for token in tokens])
    for token, span in zip(tokens, spans, strict=True):
        assert span.stop - span.start == sum(token in text for text in corpus)


def test_nothing_is_built_from_nothing() -> None:
    empty = Postings.build([])
    assert (len(empty), len(empty.terms), empty.starts.tolist()) == (0, 0, [0])
    assert empty.spans([term_key("社")]) == [slice(0, 0)]
    assert empty.consistent()


def test_texts_without_tokens_keep_their_place() -> None:
    found = scores([Postings.build([[], ["社"], []])], ["社"])
    assert found[1] > 0
    assert found[[0, 2]].tolist() == [0, 0]


def test_counts_stop_at_the_largest_16_bit_number() -> None:
    assert Postings.build([["社"] * 70_000]).counts.tolist() == [65_535]


@repeatable
@given(st.integers(0, 500), st.integers(0, 500))
def test_rarer_terms_weigh_more_and_none_less_than_nothing(left: int, right: int) -> None:
    rare, frequent = sorted([left, right])
    assert inverse_frequency(rare, 500) >= inverse_frequency(frequent, 500) > 0


def test_equal_tokens_have_equal_keys_and_keys_fit_64_bits() -> None:
    keys = {term_key(f"词{number}") for number in range(2000)}
    assert len(keys) == 2000
    assert all(0 <= key < 2**64 for key in keys)
    assert term_key("社保") == term_key("社" + "保")
