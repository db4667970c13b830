"""Evidence → probability that an answer is right; hides the fitted coefficients.

Logistic models over a few figures that need no trained encoder, fitted on the sample entries by
`benchmarks/fit_confidence.py`, which says how; docs/adr/0005 says how well.
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
        lead: how far the candidate's score is ahead of the best rival's, -1 to 1, times `breadth`:
            to be far ahead with little of the question says nothing.
    """

    agreement: float
    coverage: float
    breadth: float
    lead: float


@dataclass(frozen=True)
class Logistic:
    """Coefficients of a logistic model, in the order of `Evidence`."""

    bias: float
    agreement: float
    coverage: float
    breadth: float
    lead: float

    def probability(self, evidence: Evidence) -> float:
        """The modelled probability, 0 to 1."""
        total = (
            self.bias
            + self.agreement * evidence.agreement
            + self.coverage * evidence.coverage
            + self.breadth * evidence.breadth
            + self.lead * evidence.lead
        )
        return 1.0 / (1.0 + math.exp(-total))


_MODELS = {
    "entry": Logistic(bias=-2.26, agreement=0.74, coverage=0.0, breadth=2.29, lead=5.99),
    "clause": Logistic(bias=-2.49, agreement=0.0, coverage=2.81, breadth=1.01, lead=0.0),
}


def confidence(kind: str, evidence: Evidence) -> float:
    """Probability that a candidate of a kind ("entry" or "clause") is the right answer."""
    return _MODELS[kind].probability(evidence)
