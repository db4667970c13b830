"""Learn how much each feature counts in ranking.

    python -m training.ranking --data ../shared/data --encoder build/half   collect, then fit
    python -m training.ranking                                    fit what was collected before

Examples are candidates of the questions asked of the collections in `bases`, as the product finds
them, with an encoder that has not seen those questions. The coefficients make the right
candidates as likely as possible against the others of their question (conditional logit, McFadden
1974), none of them against common sense: evidence does not harm.
"""

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from embeddings import Encoder, StaticEncoder
from embeddings.ranking import COEFFICIENTS, FEATURES, candidates
from embeddings.segment import Segment
from embeddings.snapshot import Question, Snapshot
from kb.regions import Regions
from training import bases

REGIONS = Path(__file__).parent.parent / "data" / "dictionary" / "regions.csv"
EXAMPLES = Path(__file__).parent / "ranking.npz"
# Candidates of a question: those that rank best by a rough score, and the right ones.
DEPTH = 100
KEPT = 30
RIDGE = 1.0
# Weights that are set rather than learned. The documents learned from are of one province, and say
# nothing of others. Look-alikes of entries have a single wording here, so that having much text
# would seem to speak for an entry.
GIVEN: dict[str, dict[str, float]] = {
    "clauses": {"names": 2.0},
    "entries": {
        "names": 2.0,
        **dict.fromkeys(("lexical", "whole_words_new", "whole_pairs_new", "breadth"), 0.0),
    },
}
COLLECTIONS = ("clauses", "entries")
ROUGH = {
    "part_words_new": 2.0,
    "part_pairs_new": 2.0,
    "whole_words_new": 2.0,
    "whole_pairs_new": 2.0,
    "cosine_unsure": 12.0,
    "cosine_sure": 6.0,
    "wording": 2.0,
    "wording_cosine_unsure": 6.0,
    "wording_cosine_sure": 4.0,
    "coverage_new": 8.0,
    "coverage_known": 4.0,
}

log = logging.getLogger("training")

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def main() -> None:
    """Collect if there is data, fit, and write the coefficients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--encoder", type=Path)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if given.data:
        collect(given.data, StaticEncoder(given.encoder), EXAMPLES)
    for line in report(EXAMPLES):
        log.info(line)
    held = json.loads(COEFFICIENTS.read_text("utf-8")) if COEFFICIENTS.exists() else {}
    held["ranking"] = coefficients(EXAMPLES)
    COEFFICIENTS.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


def coefficients(examples: Path) -> dict[str, dict[str, object]]:
    """Fit the examples of a file: what `embeddings.ranking.Model` reads."""
    found: dict[str, dict[str, object]] = {}
    with np.load(examples) as held:
        for name in COLLECTIONS:
            weights = _fit(held, name)
            found[name] = {
                "weights": {
                    feature: round(float(weight), 2)
                    for feature, weight in zip(FEATURES, weights, strict=True)
                }
            }
    return found


def collect(data: Path, half: Encoder, out: Path) -> None:
    """Ask the collections and write what was found."""
    collected = {
        "clauses": [
            # Only people's own words: the encoder knows our style, and would be trusted too much.
            *_ask(bases.articles(data, ours=0), half),
            *_ask(bases.circulars(data), half),
        ],
        "entries": [*_ask(bases.entries(), half)],
    }
    arrays: dict[str, Any] = {}
    for name, rows in collected.items():
        arrays[f"{name}.features"] = np.concatenate([features for features, _ in rows])
        arrays[f"{name}.right"] = np.concatenate([right for _, right in rows])
        arrays[f"{name}.sizes"] = np.array([len(right) for _, right in rows], dtype=np.int32)
    np.savez_compressed(out, **arrays)


def _fit(held: Mapping[str, Any], name: str) -> Matrix:
    features, right, sizes = (held[f"{name}.{part}"] for part in ("features", "right", "sizes"))
    return fit(features, right, sizes, GIVEN[name])


def fit(
    features: npt.NDArray[np.floating],
    right: Flags,
    sizes: npt.NDArray[np.int32],
    given: Mapping[str, float],
) -> Matrix:
    """Coefficients of a conditional logit.

    Args:
        features: rows of all questions one after the other, shape (n, len(FEATURES)).
        right: whether each row is right, shape (n,).
        sizes: rows of each question.
        given: features that are not learned from, with the weights they get.
    """
    rows = features.astype(np.float64)
    set_ = [FEATURES.index(feature) for feature in given]
    rows[:, set_] = 0.0
    spread = rows.std(axis=0)
    # A feature that hardly varies would get a weight that means nothing.
    scale = np.where(spread > 0.01, spread, np.inf)
    rows = rows / scale
    starts = np.cumsum(sizes) - sizes
    owners = np.repeat(np.arange(len(sizes)), sizes)

    def loss(weights: Matrix) -> tuple[float, Matrix]:
        scores = rows @ weights
        odds = np.exp(scores - np.maximum.reduceat(scores, starts)[owners])
        among_all = odds / np.add.reduceat(odds, starts)[owners]
        of_right = np.add.reduceat(among_all * right, starts)
        among_right = np.where(right, among_all / of_right[owners], 0.0)
        value = RIDGE / 2 * weights @ weights - np.log(of_right).sum()
        return float(value), RIDGE * weights + rows.T @ (among_all - among_right)

    bounds = [(0.0, None)] * len(FEATURES)
    found = minimize(loss, np.zeros(len(FEATURES)), jac=True, method="L-BFGS-B", bounds=bounds)
    weights = np.asarray(found.x / scale)
    weights[set_] = list(given.values())
    return weights


def _ask(
    collection: bases.Collection, half: Encoder
) -> list[tuple[npt.NDArray[np.float16], Flags]]:
    """Features and rightness of the candidates of every question that has a right one."""
    segment = Segment.build(collection.items, half)
    snapshot = Snapshot([segment], [frozenset()])
    regions = Regions.load(REGIONS)
    rough = np.array([ROUGH.get(feature, 0.0) for feature in FEATURES])
    found = []
    vectors = half.encode([text for text, _ in collection.asked])
    for (text, wanted), vector in zip(collection.asked, vectors, strict=True):
        question = Question.of(text, names=regions.mentioned(text))
        pool = candidates(snapshot, question, vector, trust=half.trust, depth=DEPTH)
        right = np.array([segment.keys[at] in wanted for at in pool.passages], dtype=np.bool_)
        if not right.any():
            continue
        best = np.argsort(-(pool.features @ rough), kind="stable")
        kept = np.union1d(best[:KEPT], np.flatnonzero(right))
        found.append((pool.features[kept].astype(np.float16), right[kept]))
    return found


def report(examples: Path) -> Sequence[str]:
    """Lines that say how often the right candidate comes first, per collection of examples."""
    lines = []
    with np.load(examples) as held:
        for name in COLLECTIONS:
            features, right = held[f"{name}.features"].astype(np.float64), held[f"{name}.right"]
            sizes = held[f"{name}.sizes"]
            starts = np.cumsum(sizes) - sizes
            scores = features @ _fit(held, name)
            first = [
                bool(right[at + int(scores[at : at + size].argmax())])
                for at, size in zip(starts, sizes, strict=True)
            ]
            lines.append(f"{name}: {len(sizes)} questions, first {np.mean(first):.3f}")
    return lines


if __name__ == "__main__":
    main()
