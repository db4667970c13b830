"""Calibration: the fitted probability, its error, and the cuts that follow from it."""

from __future__ import annotations

import numpy as np
import pytest

from embeddings.confidence import FIGURES, Calibration, Evidence
from training.confidence import Row, cuts, fitted


def test_cuts_leave_no_larger_share_wrong_than_they_say() -> None:
    random = np.random.default_rng(0)
    said = random.random(2000)
    right = (random.random(2000) < said).astype(float)
    found = cuts(said, right)
    assert [share for share, _ in found] == sorted({share for share, _ in found})
    assert [cut for _, cut in found] == sorted((cut for _, cut in found), reverse=True)
    for share, cut in found:
        given = said >= cut
        assert 1 - right[given].mean() <= share + 0.01


def test_a_share_that_was_never_reached_has_no_cut() -> None:
    said = np.linspace(0, 1, 100)
    assert cuts(said, np.zeros(100)) == []


def test_fitting_recovers_what_made_the_answers_right() -> None:
    random = np.random.default_rng(3)
    rows = []
    for _ in range(4000):
        evidence = Evidence(*random.random(len(FIGURES) - 1))
        odds = -3 + 4 * evidence.coverage + 2 * evidence.share
        right = bool(random.random() < 1 / (1 + np.exp(-odds)))
        rows.append(Row(tuple(getattr(evidence, name) for name in FIGURES), right))
    held = fitted("entry", rows)
    model = Calibration(held["bias"], held["weights"], tuple(held["curve"]), tuple(held["cuts"]))
    strong, weak = Evidence(0.5, 0.9, 0.5, 0.5, 0.5, 0.9), Evidence(0.5, 0.1, 0.5, 0.5, 0.5, 0.1)
    assert model.probability(strong) == pytest.approx(1 / (1 + np.exp(-2.4)), abs=0.06)
    assert model.probability(weak) == pytest.approx(1 / (1 + np.exp(2.4)), abs=0.06)
    assert all(weight >= 0 for weight in model.weights.values())
