"""Confidence is a probability that never falls when the evidence grows."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings import Evidence, calibration, confidence
from embeddings.confidence import FIGURES, Calibration

repeatable = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
NAMES = [each.name for each in fields(Evidence)]
NOTHING, EVERYTHING = Evidence(*[0.0] * len(NAMES)), Evidence(*[1.0] * len(NAMES))
share = st.floats(0, 1)
evidence = st.builds(Evidence, *[share] * len(NAMES))
kinds = pytest.mark.parametrize("kind", ["entry", "clause"])


@kinds
@repeatable
@given(evidence)
def test_is_a_probability(kind: str, evidence: Evidence) -> None:
    assert 0 < confidence(kind, evidence) < 1


@kinds
@pytest.mark.parametrize("figure", NAMES)
@repeatable
@given(evidence, share)
def test_more_evidence_never_lowers_it(
    kind: str, figure: str, evidence: Evidence, value: float
) -> None:
    low, high = sorted([getattr(evidence, figure), value])
    less, more = replace(evidence, **{figure: low}), replace(evidence, **{figure: high})
    assert confidence(kind, less) <= confidence(kind, more)


@kinds
def test_nothing_is_doubtful_and_everything_is_likely(kind: str) -> None:
    assert confidence(kind, NOTHING) < 0.5 < confidence(kind, EVERYTHING)


def test_unknown_kinds_are_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        confidence("poem", EVERYTHING)


def test_being_far_ahead_counts_by_what_the_question_has_in_common() -> None:
    assert replace(NOTHING, share=0.5, breadth=0.5).sure == 0.25
    assert replace(EVERYTHING, breadth=0.0).sure == 0.0


def test_a_calibration_is_what_it_says() -> None:
    model = Calibration(-1.0, {"agreement": 2.0, "sure": 4.0}, (), ())
    assert model.probability(replace(NOTHING, agreement=0.5)) == pytest.approx(0.5)
    expected = 1 / (1 + math.exp(-0.5))
    assert model.probability(
        replace(NOTHING, agreement=0.25, share=0.5, breadth=0.5)
    ) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wrong_share", "cut"),
    [(0.0, 0.9), (0.04, 0.9), (0.05, 0.9), (0.1, 0.7), (0.1 - 1e-12, 0.7), (0.29, 0.7), (1, 0.4)],
)
def test_a_cut_is_that_of_the_largest_share_allowed(wrong_share: float, cut: float) -> None:
    model = Calibration(0.0, {}, (), ((0.05, 0.9), (0.1, 0.7), (0.3, 0.4)))
    assert model.cut(wrong_share) == cut


def test_without_cuts_no_confidence_is_enough() -> None:
    assert Calibration(0.0, {}, (), ()).cut(0.99) == 1.0


@kinds
def test_the_shipped_coefficients_have_the_agreed_shape(kind: str) -> None:
    held = calibration(kind)
    assert set(held.weights) == set(FIGURES)
    assert held.bias < 0
    assert all(weight >= 0 for weight in held.weights.values())
    assert any(weight > 0 for weight in held.weights.values())
    assert held.cuts
    assert all(0 < cut < 1 and 0 < wrong < 1 for wrong, cut in held.cuts)
    for (fewer, higher), (more, lower) in pairwise(held.cuts):
        assert fewer < more
        assert higher >= lower
