"""The coefficients that ship follow from the examples that were collected."""

from __future__ import annotations

import json

import numpy as np

from embeddings.ranking import COEFFICIENTS, FEATURES
from training.ranking import EXAMPLES, coefficients, fit


def test_fitting_the_examples_again_gives_the_shipped_coefficients() -> None:
    shipped = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))["ranking"]
    assert coefficients(EXAMPLES) == shipped


def test_examples_have_a_right_candidate_for_every_question() -> None:
    with np.load(EXAMPLES) as held:
        for name in ("clauses", "entries"):
            features, right = held[f"{name}.features"], held[f"{name}.right"]
            sizes = held[f"{name}.sizes"]
            assert features.shape == (len(right), len(FEATURES))
            assert sizes.sum() == len(right)
            assert len(sizes) >= 1000
            assert np.isfinite(features).all()
            assert np.add.reduceat(right, np.cumsum(sizes) - sizes).min() >= 1


def test_a_feature_that_tells_right_from_wrong_gets_the_weight() -> None:
    random = np.random.default_rng(0)
    features = random.random((4000, len(FEATURES)))
    telling = FEATURES.index("coverage_new")
    sizes = np.full(400, 10, dtype=np.int32)
    scores = 8 * features[:, telling] + random.gumbel(size=4000)
    right = (scores.reshape(400, 10) == scores.reshape(400, 10).max(axis=1)[:, None]).ravel()
    weights = fit(features, right, sizes, {})
    assert 6 < weights[telling] < 10
    others = np.delete(np.abs(weights), telling)
    assert others.max() < 1


def test_evidence_never_harms() -> None:
    random = np.random.default_rng(1)
    features = random.random((1000, len(FEATURES)))
    right = features[:, FEATURES.index("coverage_new")] < 0.2
    sizes = np.full(10, 100, dtype=np.int32)
    weights = dict(zip(FEATURES, fit(features, right, sizes, {}), strict=True))
    assert weights["coverage_new"] == 0
    assert min(weights.values()) >= 0


def test_a_feature_that_hardly_varies_counts_nothing() -> None:
    features = np.random.default_rng(2).random((200, len(FEATURES)))
    features[:, 0] = 1.0
    features[3, 0] = 0.99
    right = np.tile([True] + [False] * 9, 20)
    assert fit(features, right, np.full(20, 10, dtype=np.int32), {})[0] == 0


def test_a_given_weight_is_kept_and_not_learned_from() -> None:
    random = np.random.default_rng(3)
    features = random.random((1000, len(FEATURES)))
    names = FEATURES.index("names")
    right = (np.arange(1000) % 10) == 0
    features[right, names] = 1.0
    weights = fit(features, right, np.full(100, 10, dtype=np.int32), {"names": 2.0})
    assert weights[names] == 2.0
    assert np.delete(weights, names).max() < 2
