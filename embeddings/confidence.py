"""Evidence → probability that an answer is right; hides the fitted coefficients.

Logistic models, one a kind of passage, fitted by `training/confidence.py`, which says on what;
`docs/evaluation.md` says how well. The coefficients are data, in `coefficients.json`.
"""

import json
import math
from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from embeddings.ranking import COEFFICIENTS


@dataclass(frozen=True)
class Evidence:
    """What speaks for a candidate, each from 0 to 1.

    Attributes:
        agreement: overlap of the question with the candidate's wording, both ways.
        coverage: share of the question that the candidate's best part contains.
        breadth: share of the question that the whole of it contains.
        similarity: cosine of the encoder.
        closeness: overlap of the question with the most telling wording, asking words and all.
        share: of the odds of all candidates that ranking gives to this one.
    """

    agreement: float
    coverage: float
    breadth: float
    similarity: float
    closeness: float
    share: float

    @property
    def sure(self) -> float:
        """Being far ahead with little of the question says nothing: share times breadth."""
        return self.share * self.breadth


FIGURES = (*(each.name for each in fields(Evidence)), "sure")


@dataclass(frozen=True)
class Calibration:
    """A fitted model.

    Attributes:
        bias: log-odds without any evidence.
        weights: of each of `FIGURES`.
        curve: points of a rising line from what the logistic model says to what came true; none
            where it needs no correction.
        cuts: pairs of a share of wrong answers and the confidence from which on held-out answers
            had no larger share of wrong ones; ascending share.
    """

    bias: float
    weights: dict[str, float]
    curve: tuple[tuple[float, float], ...]
    cuts: tuple[tuple[float, float], ...]

    def probability(self, evidence: Evidence) -> float:
        """The modelled probability, 0 to 1."""
        total = self.bias + sum(
            weight * getattr(evidence, name) for name, weight in self.weights.items()
        )
        said = 1.0 / (1.0 + math.exp(-total))
        if not self.curve:
            return said
        points = np.array(self.curve)
        return float(np.interp(said, points[:, 0], points[:, 1]))

    def cut(self, wrong_share: float) -> float:
        """Least confidence at which no larger share of answers is expected to be wrong.

        For a share smaller than any that was reached, the strictest cut there is.
        """
        allowed = [cut for share, cut in self.cuts if share <= wrong_share + 1e-9]
        return (allowed or [cut for _, cut in self.cuts[:1]] or [1.0])[-1]


@cache
def calibration(kind: str) -> Calibration:
    """The model of a kind of passage ("entry" or "clause")."""
    held = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))["confidence"][kind]
    return Calibration(
        float(held["bias"]),
        {name: float(held["weights"].get(name, 0.0)) for name in FIGURES},
        tuple((float(said), float(true)) for said, true in held["curve"]),
        tuple((float(share), float(cut)) for share, cut in held["cuts"]),
    )


def confidence(kind: str, evidence: Evidence) -> float:
    """Probability that a candidate of a kind is the right answer."""
    return calibration(kind).probability(evidence)
