"""Question + snapshot of segments → scored items; hides BM25's collection statistics and fusion.

An item's lexical score is BM25 of the item itself plus `GROUP_WEIGHT` x BM25 of the whole it
belongs to: the passage says where the answer stands, the whole says what it is about. The score
is divided by the best one of the question and the encoder's cosine is added with the weight that
the encoder claims. (Reciprocal rank fusion did worse in every trial; docs/adr/0004.)
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from embeddings.encoder import Vectors
from embeddings.lexical import Flags, Floats, Postings, inverse_frequency, length_norms, term_key
from embeddings.segment import KINDS, Segment
from embeddings.tokenizer import matter, normalise

GROUP_WEIGHT = 0.5


@dataclass(frozen=True)
class Contribution:
    """How much one token of the question added to an item's score."""

    token: str
    of_item: float
    of_group: float


@dataclass(frozen=True)
class Term:
    """One distinct token of a question: its kind's number, and count x share of the kind."""

    token: str
    key: int
    kind: int
    weight: float


def query_terms(text: str) -> list[Term]:
    """The distinct tokens of a question, of both kinds."""
    folded = normalise(text)
    return [
        Term(token, term_key(token), kind, count * share)
        for kind, (tokenise, share) in enumerate(KINDS)
        for token, count in Counter(tokenise(folded)).items()
    ]


@dataclass(frozen=True)
class Question:
    """A question in tokens: all of them to rank by, those of its matter to judge a hit by."""

    terms: list[Term]
    matter: list[Term]

    @classmethod
    def read(cls, text: str) -> "Question":
        """Tokenise; a question of asking words only is its own matter."""
        terms = query_terms(text)
        return cls(terms, query_terms(matter(text)) or terms)


@dataclass(frozen=True)
class Statistics:
    """Collection figures of one kind of token over several blocks, and what follows from them."""

    parts: tuple[Postings, ...]
    known: dict[int, float] = field(default_factory=dict)

    @cached_property
    def total(self) -> int:
        """Number of texts."""
        return sum(len(part) for part in self.parts)

    @cached_property
    def norms(self) -> tuple[Floats, ...]:
        """BM25's length part for every text of every block, against the common mean length."""
        tokens = sum(int(part.lengths.sum()) for part in self.parts)
        mean = tokens / max(self.total, 1)
        return tuple(length_norms(part.lengths, mean) for part in self.parts)

    def idf(self, key: int) -> float:
        """Inverse document frequency of a term over all blocks."""
        known = self.known.get(key)
        if known is None:
            frequency = sum(part.frequency(key) for part in self.parts)
            known = self.known[key] = inverse_frequency(frequency, self.total)
        return known


class Snapshot:
    """Segments as one reader sees them, with the groups that later segments replaced.

    Args:
        segments: oldest first.
        dead: for each segment, its groups that were removed or replaced since.
    """

    def __init__(self, segments: Sequence[Segment], dead: Sequence[frozenset[str]]) -> None:
        self.segments = tuple(segments)
        self.dead = tuple(dead)
        kinds = range(len(KINDS))
        self._passages = [Statistics(tuple(s.passages[kind] for s in segments)) for kind in kinds]
        self._documents = [Statistics(tuple(s.documents[kind] for s in segments)) for kind in kinds]
        for statistics in (*self._passages, *self._documents):
            _ = statistics.norms  # computed here, in the writer, rather than by the first reader
        self.alive: tuple[Flags | None, ...] = tuple(
            segment.alive_groups(gone)[segment.group_of] if gone else None
            for segment, gone in zip(segments, dead, strict=True)
        )

    def __len__(self) -> int:
        return sum(
            len(segment) if alive is None else int(alive.sum())
            for segment, alive in zip(self.segments, self.alive, strict=True)
        )

    def lexical(self, terms: Sequence[Term]) -> list[Floats]:
        """The lexical score of every item, one array a segment; -inf for the dead."""
        weighted = [
            (
                term,
                term.weight * self._passages[term.kind].idf(term.key),
                GROUP_WEIGHT * term.weight * self._documents[term.kind].idf(term.key),
            )
            for term in terms
        ]
        scores = []
        for number, (segment, alive) in enumerate(zip(self.segments, self.alive, strict=True)):
            own = np.zeros(len(segment), dtype=np.float32)
            whole = np.zeros(len(segment.groups), dtype=np.float32)
            for term, own_weight, whole_weight in weighted:
                kind = term.kind
                segment.passages[kind].add_scores(
                    own, term.key, own_weight, self._passages[kind].norms[number]
                )
                segment.documents[kind].add_scores(
                    whole, term.key, whole_weight, self._documents[kind].norms[number]
                )
            own += whole[segment.group_of]
            if alive is not None:
                own[~alive] = -np.inf
            scores.append(own)
        return scores

    def coverage(
        self, terms: Sequence[Term], segment: int, positions: npt.NDArray[np.int64]
    ) -> Floats:
        """Share of the question, weighted by idf, that stands in each of the given items."""
        found = np.zeros(len(positions), dtype=np.float32)
        whole = 0.0
        for term in terms:
            weight = term.weight * self._passages[term.kind].idf(term.key)
            whole += weight
            postings = self.segments[segment].passages[term.kind]
            found += np.float32(weight) * postings.contains(term.key, positions)
        return found / np.float32(max(whole, 1e-9))

    def explain(self, terms: Sequence[Term], segment: int, position: int) -> list[Contribution]:
        """The lexical score of one item, token by token, the largest first."""
        held = self.segments[segment]
        group = int(held.group_of[position])
        rows = []
        for term in terms:
            passages, documents = self._passages[term.kind], self._documents[term.kind]
            own = held.passages[term.kind].score(term.key, position, passages.norms[segment])
            whole = held.documents[term.kind].score(term.key, group, documents.norms[segment])
            rows.append(
                Contribution(
                    term.token,
                    own * term.weight * passages.idf(term.key),
                    whole * term.weight * documents.idf(term.key) * GROUP_WEIGHT,
                )
            )
        return sorted(rows, key=lambda row: -(row.of_item + row.of_group))

    def covered(self, question: str, text: str) -> float:
        """Share of a question's matter, idf-weighted, whose tokens occur in a text, 0 to 1."""
        theirs = {(term.kind, term.key) for term in query_terms(text)}
        weights = [
            ((term.kind, term.key), term.weight * self._passages[term.kind].idf(term.key))
            for term in Question.read(question).matter
        ]
        total = sum(weight for _, weight in weights)
        return sum(weight for at, weight in weights if at in theirs) / total if total else 0.0

    def agreement(self, left: str, right: str) -> float:
        """Overlap of two short texts in [0, 1]: Dice's coefficient over tokens, idf-weighted."""
        ours = {(term.kind, term.key): term for term in Question.read(left).matter}
        theirs = {(term.kind, term.key): term for term in Question.read(right).matter}
        weights = {
            at: self._passages[at[0]].idf(at[1]) * KINDS[at[0]][1] for at in {*ours, *theirs}
        }
        total = sum(weights[at] for at in ours) + sum(weights[at] for at in theirs)
        return 2 * sum(weights[at] for at in ours.keys() & theirs.keys()) / total if total else 0.0


@dataclass(frozen=True)
class Candidate:
    """An item in the running: where it is, and what speaks for it."""

    segment: int
    position: int
    lexical: float
    cosine: float
    coverage: float


def candidates(
    snapshot: Snapshot, question: Question, query: Vectors | None, depth: int
) -> list[Candidate]:
    """The best `depth` items of each segment by words, and half as many by vector."""
    found: list[Candidate] = []
    scores = snapshot.lexical(question.terms)
    for number, (segment, own) in enumerate(zip(snapshot.segments, scores, strict=True)):
        chosen = _top(own, depth)
        if query is not None and query.any():
            near, _ = segment.nearest.search(query, depth // 2)
            chosen = np.union1d(chosen, near)
        chosen = chosen[np.isfinite(own[chosen])]
        cosines = (
            segment.cosines(query, chosen)
            if query is not None
            else np.zeros(len(chosen), dtype=np.float32)
        )
        coverage = snapshot.coverage(question.matter, number, chosen)
        found.extend(
            Candidate(number, int(at), float(own[at]), float(cosine), float(covered))
            for at, cosine, covered in zip(chosen, cosines, coverage, strict=True)
        )
    return found


def fuse(found: Sequence[Candidate], trust: float) -> list[tuple[float, Candidate]]:
    """Score candidates by relative lexical score and cosine, best first."""
    best = max((candidate.lexical for candidate in found), default=0.0) or 1.0
    scored = [
        ((1 - trust) * candidate.lexical / best + trust * candidate.cosine, candidate)
        for candidate in found
    ]
    return sorted(scored, key=lambda pair: (-pair[0], -pair[1].segment, pair[1].position))


def _top(scores: Floats, k: int) -> npt.NDArray[np.int64]:
    positive = np.flatnonzero(scores > 0)
    if len(positive) <= k:
        return positive
    return positive[np.argpartition(-scores[positive], k)[:k]]
