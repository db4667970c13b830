"""Question + snapshot of segments → scored items; hides BM25's collection statistics and fusion.

An item's lexical score is BM25 of the item itself plus `GROUP_WEIGHT` x BM25 of the whole it
belongs to: the passage says where the answer stands, the whole says what it is about. The score
is divided by the best one of the question and the encoder's cosine is added with the weight that
the encoder claims. (Reciprocal rank fusion did worse in every trial; docs/adr/0004.)
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from embeddings.encoder import Vectors
from embeddings.lexical import (
    Flags,
    Floats,
    Ints,
    Postings,
    inverse_frequency,
    length_norms,
    term_key,
)
from embeddings.segment import KINDS, Segment
from embeddings.tokenizer import matter, normalise

GROUP_WEIGHT = 1.0
# In a base of a few texts every word of theirs is frequent, and one that they lack would outweigh
# all others; how rare words are is judged as in a base of at least this size.
LEAST_TOTAL = 1000


@dataclass(frozen=True)
class Contribution:
    """How much one token of the question added to an item's score."""

    token: str
    of_item: float
    of_group: float


@dataclass(frozen=True, slots=True)
class Term:
    """One distinct token of a question: its kind's number, and count x share of the kind."""

    token: str
    key: int
    kind: int
    weight: float


# The wordings of entries come back with every question that touches them.
@lru_cache(maxsize=4096)
def query_terms(text: str) -> tuple[Term, ...]:
    """The distinct tokens of a question, of both kinds, kind by kind."""
    folded = normalise(text)
    return tuple(
        Term(token, term_key(token), kind, count * share)
        for kind, (tokenise, share) in enumerate(KINDS)
        for token, count in Counter(tokenise(folded)).items()
    )


def matter_terms(text: str) -> tuple[Term, ...]:
    """The distinct tokens of a question's matter; one of asking words only is its own matter."""
    return query_terms(matter(text)) or query_terms(text)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A term looked up in a collection.

    Attributes:
        idf: inverse document frequency, to rank by.
        rarity: the same as if the collection held at least `LEAST_TOTAL` texts, to judge by.
        spans: where its postings lie in each block.
    """

    term: Term
    idf: float
    rarity: float
    spans: tuple[slice, ...]


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

    def weigh(self, terms: Sequence[Term]) -> list[Weighed]:
        """Look terms up in all blocks."""
        keys = [term.key for term in terms]
        by_part = [part.spans(keys) for part in self.parts]
        found = []
        for at, term in enumerate(terms):
            spans = tuple(spans[at] for spans in by_part)
            frequency = sum(span.stop - span.start for span in spans)
            idf = inverse_frequency(frequency, self.total)
            rarity = inverse_frequency(frequency, max(self.total, LEAST_TOTAL))
            found.append(Weighed(term, idf, rarity, spans))
        return found

    def rarity(self, term: Term) -> float:
        """How much a term is worth when a text is judged; see `Weighed`."""
        rarity = self.known.get(term.key)
        if rarity is None:
            (weighed,) = self.weigh([term])
            rarity = weighed.rarity
            # Terms of questions alone are not kept: there is no end of them.
            if any(span.start < span.stop for span in weighed.spans):
                self.known[term.key] = rarity
        return rarity


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
        return sum(self.sizes())

    def sizes(self) -> list[int]:
        """How many items of each segment are alive."""
        return [
            len(segment) if alive is None else int(alive.sum())
            for segment, alive in zip(self.segments, self.alive, strict=True)
        ]

    def lexical(self, terms: Sequence[Term]) -> list[Floats]:
        """The lexical score of every item, one array a segment; -inf for the dead."""
        of_items = _weigh(self._passages, terms)
        of_groups = _weigh(self._documents, terms)
        scores = []
        for number, (segment, alive) in enumerate(zip(self.segments, self.alive, strict=True)):
            own = np.zeros(len(segment), dtype=np.float32)
            whole = np.zeros(len(segment.groups), dtype=np.float32)
            for total, blocks, statistics, weighed, share in (
                (own, segment.passages, self._passages, of_items, 1.0),
                (whole, segment.documents, self._documents, of_groups, GROUP_WEIGHT),
            ):
                for each in weighed:
                    span, kind = each.spans[number], each.term.kind
                    if span.start < span.stop:
                        weight = share * each.term.weight * each.idf
                        norms = statistics[kind].norms[number]
                        blocks[kind].add_scores(total, span, weight, norms)
            own += whole[segment.group_of]
            if alive is not None:
                own[~alive] = -np.inf
            scores.append(own)
        return scores

    def coverage(
        self, terms: Sequence[Term], segments: Sequence[int], positions: Sequence[int]
    ) -> tuple[Floats, Floats]:
        """Share of the question, weighted by rarity, in each given item, and in its whole group."""
        of_items, of_groups = _weigh(self._passages, terms), _weigh(self._documents, terms)
        weights = [np.float32(each.term.weight * each.rarity) for each in of_items]
        found = np.zeros((2, len(positions)), dtype=np.float32)
        numbers, places = np.array(segments, dtype=np.int64), np.array(positions, dtype=np.int64)
        for number in set(segments):
            here = numbers == number
            segment = self.segments[number]
            of_segment = (
                (of_items, segment.passages, places[here]),
                (of_groups, segment.documents, segment.group_of[places[here]]),
            )
            for row, (weighed, blocks, at) in enumerate(of_segment):
                for each, weight in zip(weighed, weights, strict=True):
                    has = blocks[each.term.kind].contains(each.spans[number], at)
                    found[row, here] += weight * has
        found /= np.float32(max(sum(weights), 1e-9))
        return found[0], found[1]

    def explain(self, terms: Sequence[Term], segment: int, position: int) -> list[Contribution]:
        """The lexical score of one item, token by token, the largest first."""
        held = self.segments[segment]
        group = int(held.group_of[position])
        rows = []
        for of_item, of_group in zip(
            _weigh(self._passages, terms), _weigh(self._documents, terms), strict=True
        ):
            term = of_item.term
            own = held.passages[term.kind].score(
                of_item.spans[segment], position, self._passages[term.kind].norms[segment]
            )
            whole = held.documents[term.kind].score(
                of_group.spans[segment], group, self._documents[term.kind].norms[segment]
            )
            rows.append(
                Contribution(
                    term.token,
                    own * term.weight * of_item.idf,
                    whole * term.weight * of_group.idf * GROUP_WEIGHT,
                )
            )
        return sorted(rows, key=lambda row: -(row.of_item + row.of_group))

    def covered(self, question: str, text: str) -> float:
        """Share of a question's matter, weighted by rarity, that occurs in a text, 0 to 1."""
        theirs = {(term.kind, term.key) for term in query_terms(text)}
        total = held = 0.0
        for term in matter_terms(question):
            weight = term.weight * self._passages[term.kind].rarity(term)
            total += weight
            held += weight * ((term.kind, term.key) in theirs)
        return held / total if total else 0.0

    def agreement(self, left: str, right: str) -> float:
        """Overlap of two short texts in [0, 1]: Dice's coefficient over tokens by rarity."""
        ours, theirs = (
            {
                (term.kind, term.key): self._passages[term.kind].rarity(term) * KINDS[term.kind][1]
                for term in matter_terms(text)
            }
            for text in (left, right)
        )
        total = sum(ours.values()) + sum(theirs.values())
        return 2 * sum(ours[at] for at in ours.keys() & theirs.keys()) / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item in the running: where it is, and what speaks for it."""

    segment: int
    position: int
    score: float
    cosine: float


@dataclass(frozen=True)
class Pool:
    """Candidates of all segments side by side, not yet ordered; all of shape (n,)."""

    segments: Ints
    positions: Ints
    lexical: npt.NDArray[np.float64]
    cosines: npt.NDArray[np.float64]


def candidates(
    snapshot: Snapshot, terms: Sequence[Term], query: Vectors | None, depth: int
) -> Pool:
    """The best `depth` items of each segment by words, and half as many by vector."""
    numbers, positions, lexical, cosines = [], [], [], []
    for number, (segment, own) in enumerate(
        zip(snapshot.segments, snapshot.lexical(terms), strict=True)
    ):
        chosen = _top(own, depth)
        if query is not None and query.any():
            near, _ = segment.nearest.search(query, depth // 2)
            chosen = np.union1d(chosen, near)
        chosen = chosen[np.isfinite(own[chosen])]
        numbers.append(np.full(len(chosen), number))
        positions.append(chosen)
        lexical.append(own[chosen])
        cosines.append(np.zeros(len(chosen)) if query is None else segment.cosines(query, chosen))
    return Pool(
        np.concatenate(numbers),
        np.concatenate(positions),
        np.concatenate(lexical).astype(np.float64),
        np.concatenate(cosines).astype(np.float64),
    )


def fuse(pool: Pool, trust: float) -> Iterator[Candidate]:
    """Score candidates by relative lexical score and cosine, best first."""
    best = float(pool.lexical.max(initial=0.0)) or 1.0
    scores = (1 - trust) * pool.lexical / best + trust * pool.cosines
    for at in np.lexsort((pool.positions, -pool.segments, -scores)):
        yield Candidate(
            int(pool.segments[at]),
            int(pool.positions[at]),
            float(scores[at]),
            float(pool.cosines[at]),
        )


def _weigh(of_kinds: Sequence[Statistics], terms: Sequence[Term]) -> list[Weighed]:
    found: list[Weighed] = []
    for kind, statistics in enumerate(of_kinds):
        found += statistics.weigh([term for term in terms if term.kind == kind])
    return found


def _top(scores: Floats, k: int) -> Ints:
    positive = np.flatnonzero(scores > 0)
    if len(positive) <= k:
        return positive
    return positive[np.argpartition(-scores[positive], k)[:k]]
