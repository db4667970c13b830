"""Confidence is a probability that never falls when the evidence grows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings import Evidence, confidence
from embeddings.confidence import Logistic

repeatable = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
share = st.floats(0, 1)
evidence = st.builds(Evidence, share, share, share, share)
kinds = pytest.mark.parametrize("kind", ["entry", "clause"])


@kinds
@repeatable
@given(evidence)
def test_is_a_probability(kind: str, evidence: Evidence) -> None:
    assert 0 < confidence(kind, evidence) < 1


@kinds
@pytest.mark.parametrize("figure", ["agreement", "coverage", "breadth", "lead"])
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
    assert confidence(kind, Evidence(0, 0, 0, 0)) < 0.2
    assert confidence(kind, Evidence(1, 1, 1, 1)) > 0.75


def test_unknown_kinds_are_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        confidence("poem", Evidence(1, 1, 1, 1))


def test_a_logistic_model_is_what_it_says() -> None:
    model = Logistic(bias=-1, agreement=2, coverage=0, breadth=0, lead=0)
    assert model.probability(Evidence(0.5, 1, 1, 1)) == pytest.approx(0.5)
