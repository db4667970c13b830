"""Evidence → probability that an answer is right; hides the fitted coefficients.

Logistic models over a few figures that need no trained encoder. They are fitted by
`benchmarks/fit_confidence.py` on the sample entries: every phrasing asked of a base that lacks
it (right answer known), and of a base that lacks its whole entry (no right answer).
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What speaks for a candidate, each a share from 0 to 1.

    Attributes:
        agreement: overlap of the question with the candidate's wording, both ways.
        coverage: share of the question that the candidate's best part contains.
        breadth: share of the question that the whole of it contains.
        margin: how far the candidate's score is ahead of the best rival's, -1 to 1.
    """

    agreement: float
    coverage: float
    breadth: float
    margin: float


@dataclass(frozen=True)
class Logistic:
    """Coefficients of a logistic model, in the order of `Evidence`."""

    bias: float
    agreement: float
    coverage: float
    breadth: float
    margin: float

    def probability(self, evidence: Evidence) -> float:
        """The modelled probability, 0 to 1."""
        total = (
            self.bias
            + self.agreement * evidence.agreement
            + self.coverage * evidence.coverage
            + self.breadth * evidence.breadth
            + self.margin * evidence.margin
        )
        return 1.0 / (1.0 + math.exp(-total))


_MODELS = {
    "entry": Logistic(bias=-2.16, agreement=0.0, coverage=0.23, breadth=1.8, margin=4.25),
    "clause": Logistic(bias=-5.5, agreement=0.0, coverage=7.5, breadth=0.0, margin=1.0),
}


def confidence(kind: str, evidence: Evidence) -> float:
    """Probability that a candidate of a kind ("entry" or "clause") is the right answer."""
    return _MODELS[kind].probability(evidence)
