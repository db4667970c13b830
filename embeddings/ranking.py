"""Question + snapshot → ranked passages; hides which candidates are looked at and how they score.

Candidates come from three sides: BM25 over what passages say, BM25 over how they are asked for,
and the encoder's nearest. A linear model over a few figures of each candidate puts them in order
(a conditional logit: the candidates of a question compete for being the right one). Its
coefficients are data, `coefficients.json`, made by `training/ranking.py`, which says from what;
docs/adr/0006 says how well.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embeddings.encoder import Vectors
from embeddings.lexical import Flags, Floats, Ints
from embeddings.segment import Segment
from embeddings.snapshot import PAIRS, Question, Snapshot, Term, chains

COEFFICIENTS = Path(__file__).with_name("coefficients.json")

# Figures of a candidate, in the order of a `Pool`'s columns; none of them can speak against it.
# Those called relative are divided by the best one of the question.
#
# What counts depends on the question, so some figures come in two columns, of which their weights
# mix one. Words are *sure* as far as some candidate covers the question; a question is *known* as
# far as some wording is like it.
FEATURES = (
    "lexical",  # relative BM25 of the passage's best part plus that of its whole
    "part_words_new",  # BM25 of the best part against that of a text repeating the whole question
    "part_pairs_new",
    "whole_words_new",  # the same of the whole
    "whole_pairs_new",
    "cosine_unsure",  # of the best part, times the encoder's trust
    "cosine_sure",
    "cosine_known",
    "wording",  # relative BM25 of the best wording
    "wording_cosine_unsure",  # of the best wording, times the encoder's trust
    "wording_cosine_sure",
    "closeness",  # overlap of the question with the most telling part, if that is a wording
    "coverage_new",  # share of the question's matter, by rarity, in the most telling part
    "coverage_known",
    "breadth",  # the same share in the whole
    "phrase",  # share of the question's matter in the longest unbroken pieces of that part
    "numbers",  # share of the question's numbers in that part
    "names",  # share of the names that bind the question in the whole
)

# Below this cosine a wording is not like the question at all: some wording is always nearest.
ALIKE = 0.5

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """How the passages of a collection are ranked.

    Attributes:
        weights: of each of `FEATURES`.
    """

    weights: Mapping[str, float]

    @classmethod
    @cache
    def load(cls, name: str, path: Path = COEFFICIENTS) -> "Model":
        """Read the coefficients of a collection ("clauses" or "entries")."""
        held = json.loads(path.read_text(encoding="utf-8"))["ranking"][name]
        weights = {feature: float(held["weights"].get(feature, 0.0)) for feature in FEATURES}
        return cls(weights)

    def scores(self, features: Matrix) -> Matrix:
        """Score rows of features, shape (n, len(FEATURES)) → (n,)."""
        weights = np.array([self.weights[feature] for feature in FEATURES])
        return np.asarray(features @ weights, dtype=np.float64)

    def parts(self, features: Mapping[str, float]) -> dict[str, float]:
        """What each feature adds to the score of a candidate."""
        return {name: self.weights[name] * value for name, value in features.items()}


@dataclass(frozen=True)
class Candidate:
    """A passage in the running.

    Attributes:
        segment: number of its segment.
        passage: its number there.
        best: position of its most telling item.
        score: log-odds against the other candidates of the question, up to a constant.
        features: value of each of `FEATURES`.
    """

    segment: int
    passage: int
    best: int
    score: float
    features: Mapping[str, float]

    @property
    def coverage(self) -> float:
        """Share of the question's matter, by rarity, in the most telling part, 0 to 1."""
        return self.features["coverage_new"] + self.features["coverage_known"]

    @property
    def breadth(self) -> float:
        """The same share, in the whole that the passage belongs to."""
        return self.features["breadth"]

    @property
    def similarity(self) -> float:
        """Best cosine of part or wording, times the encoder's trust."""
        of = self.features
        return max(
            of["cosine_unsure"] + of["cosine_sure"],
            of["wording_cosine_unsure"] + of["wording_cosine_sure"],
        )


@dataclass(frozen=True)
class Pool:
    """Candidates of all segments side by side, not yet ordered.

    Attributes:
        segments: shape (n,).
        passages: shape (n,).
        best: shape (n,).
        features: shape (n, len(FEATURES)).
    """

    segments: Ints
    passages: Ints
    best: Ints
    features: Matrix

    def ranked(self, model: Model) -> Iterator[Candidate]:
        """Candidates, best first; of equals the youngest segment and the first passage."""
        scores = model.scores(self.features)
        for at in np.lexsort((self.passages, -self.segments, -scores)):
            yield Candidate(
                int(self.segments[at]),
                int(self.passages[at]),
                int(self.best[at]),
                float(scores[at]),
                dict(zip(FEATURES, self.features[at].tolist(), strict=True)),
            )


def candidates(
    snapshot: Snapshot, question: Question, query: Vectors | None, *, trust: float, depth: int
) -> Pool:
    """The best passages of each segment: `depth` by what they say, half as many by how they are
    asked for, and half as many by vector.

    Args:
        query: unit vector of the question; None when there is no encoder.
        trust: factor of all cosines.
    """
    numbers, passages, best, rows = [], [], [], []
    scores = snapshot.lexical((*question.terms, *question.added))
    scored = zip(snapshot.segments, scores, strict=True)
    for number, (segment, (own, whole)) in enumerate(scored):
        chosen = _choose(segment, own.sum(axis=0), whole.sum(axis=0), query, depth)
        if len(chosen):
            row, items = _figures(segment, chosen, own, whole, query)
            numbers.append(np.full(len(chosen), number))
            passages.append(chosen)
            best.append(items)
            rows.append(row)
    if not rows:
        none = np.zeros(0, dtype=np.int64)
        return Pool(none, none, none, np.zeros((0, len(FEATURES))))
    segments, items = np.concatenate(numbers), np.concatenate(best)
    figures = {
        **_relative(np.concatenate(rows), snapshot.ideal(question.terms), trust),
        **_shares(snapshot, question, segments, items),
    }
    sure = min(1.0, float(figures["coverage"].max()))
    best_wording = min(1.0, float(figures["wording_cosine"].max()))
    known = best_wording if best_wording >= ALIKE else 0.0
    for name in ("part_words", "part_pairs", "whole_words", "whole_pairs"):
        figures[f"{name}_new"] = (1 - known) * figures[name]
    figures |= {
        "cosine_unsure": (1 - sure) * figures["cosine"],
        "cosine_sure": sure * figures["cosine"],
        "cosine_known": known * figures["cosine"],
        "wording_cosine_unsure": (1 - sure) * figures["wording_cosine"],
        "wording_cosine_sure": sure * figures["wording_cosine"],
        "coverage_new": (1 - known) * figures["coverage"],
        "coverage_known": known * figures["coverage"],
    }
    features = np.stack([figures[name] for name in FEATURES], axis=1)
    return Pool(segments, np.concatenate(passages), items, features)


def _choose(
    segment: Segment, own: Floats, whole: Floats, query: Vectors | None, depth: int
) -> Ints:
    """Numbers of the passages of one segment worth a closer look, ascending."""
    said = np.where(segment.wordings, -np.inf, own + whole[segment.group_of])
    asked = np.where(segment.wordings, own, -np.inf)
    items = [_top(said, depth), _top(asked, depth // 2)]
    if query is not None and query.any():
        near, _ = segment.nearest.search(query, depth // 2)
        items.append(near[np.isfinite(own[near])])
    return np.unique(segment.passage_of[np.concatenate(items)]).astype(np.int64)


def _figures(
    segment: Segment, chosen: Ints, own: Floats, whole: Floats, query: Vectors | None
) -> tuple[Matrix, Ints]:
    """Raw figures of passages, shape (n, 7), and the most telling item of each, shape (n,).

    Columns: words and pairs of the best part, words and pairs of the whole, cosine of parts;
    wording, cosine of wordings.
    """
    starts, stops = segment.starts[chosen], segment.starts[chosen + 1]
    sizes = stops - starts
    ends = np.cumsum(sizes)
    items = np.arange(ends[-1]) + np.repeat(starts - (ends - sizes), sizes)
    firsts = ends - sizes
    asked = segment.wordings[items]
    of_kinds = own[:, items].astype(np.float64)
    scores = of_kinds.sum(axis=0)
    cosines = np.zeros(len(items)) if query is None else segment.cosines(query, items)
    figures = np.zeros((len(chosen), 7))
    figures[:, 0:2] = np.maximum.reduceat(np.where(asked, 0.0, of_kinds), firsts, axis=1).T
    figures[:, 2:4] = whole[:, segment.group_of[starts]].T
    figures[:, 4] = np.maximum.reduceat(np.where(asked, -1.0, cosines), firsts)
    figures[:, 5] = np.maximum.reduceat(np.where(asked, scores, 0.0), firsts)
    figures[:, 6] = np.maximum.reduceat(np.where(asked, cosines, 0.0), firsts)
    strength = scores + cosines
    order = np.lexsort((-strength, np.repeat(np.arange(len(chosen)), sizes)))
    return figures, items[order[firsts]]


def _relative(raw: Matrix, ideal: Floats, trust: float) -> dict[str, Matrix]:
    """Features that follow from raw figures, each of shape (n,)."""
    part_words, part_pairs, whole_words, whole_pairs, cosine, wording, wording_cosine = raw.T
    both = part_words + part_pairs + whole_words + whole_pairs
    of_words, of_pairs = (max(float(each), 1e-9) for each in ideal)
    return {
        "lexical": both / max(both.max(), 1e-9),
        "part_words": part_words / of_words,
        "part_pairs": part_pairs / of_pairs,
        "whole_words": whole_words / of_words,
        "whole_pairs": whole_pairs / of_pairs,
        "cosine": cosine * trust,
        "wording": wording / max(wording.max(), 1e-9),
        "wording_cosine": wording_cosine * trust,
    }


def _shares(
    snapshot: Snapshot, question: Question, segments: Ints, items: Ints
) -> dict[str, Matrix]:
    """Features that say what the most telling items have of a question, each of shape (n,)."""
    of_item, of_group = snapshot.holds(question.matter, segments, items)
    worth = snapshot.rarities(question.matter).astype(np.float64)
    total = max(float(worth.sum()), 1e-9)
    numbers = [
        place
        for place, term in enumerate(question.matter)
        if term.kind == PAIRS and term.token[0].isdigit()
    ]
    return {
        "coverage": np.asarray(worth @ of_item / total),
        "breadth": np.asarray(worth @ of_group / total),
        "phrase": _phrase(question.matter, of_item),
        "numbers": np.asarray(of_item[numbers].mean(axis=0)) if numbers else np.zeros(len(items)),
        "closeness": _closeness(snapshot, question.terms, segments, items),
        "names": _names(snapshot, question.names, segments, items),
    }


def _names(
    snapshot: Snapshot, names: Sequence[Sequence[Term]], segments: Ints, items: Ints
) -> Matrix:
    """Share of the names that the whole of each item has, pair by pair."""
    total = np.zeros(len(items))
    for terms in names:
        total += snapshot.holds(terms, segments, items)[1].all(axis=0)
    return total / max(len(names), 1)


def _phrase(matter: Sequence[Term], held: Flags) -> Matrix:
    """Share of the pairs of each unbroken run of the question in the longest piece of it held."""
    longest, pairs = np.zeros(held.shape[1]), 0
    for chain in chains(matter):
        run, best = np.zeros(held.shape[1]), np.zeros(held.shape[1])
        for place in chain:
            run = (run + 1) * held[place]
            best = np.maximum(best, run)
        longest += best
        pairs += len(chain)
    return np.asarray(longest / max(pairs, 1))


def _closeness(snapshot: Snapshot, terms: Sequence[Term], segments: Ints, items: Ints) -> Matrix:
    """Dice's coefficient of the pairs of question and wording; 0 for what is not a wording."""
    pairs = [term for term in terms if term.kind == PAIRS]
    common = snapshot.holds(pairs, segments, items)[0].sum(axis=0)
    lengths = np.zeros(len(items))
    for number in np.unique(segments):
        here = segments == number
        segment = snapshot.segments[number]
        own = segment.passages[PAIRS].lengths[items[here]]
        lengths[here] = np.where(segment.wordings[items[here]], own, np.inf)
    return np.asarray(np.minimum(2 * common / (len(pairs) + lengths), 1.0))


def _top(scores: Floats, k: int) -> Ints:
    positive = np.flatnonzero(scores > 0)
    if len(positive) <= k:
        return positive
    return positive[np.argpartition(-scores[positive], k)[:k]]
