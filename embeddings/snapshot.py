"""Question + segments → lexical scores; hides BM25's statistics of the whole collection.

An item's lexical score has two parts: BM25 of the item itself, and BM25 of the whole it belongs
to. The passage says where the answer stands, the whole says what it is about.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np

from embeddings.lexical import (
    K1,
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

# In a base of a few texts every word of theirs is frequent, and one that they lack would outweigh
# all others; how rare words are is judged as in a base of at least this size.
LEAST_TOTAL = 1000
# What a word that was added to a question counts beside those that were asked.
BESIDES = 0.5
# Number of the kind of token that is a pair of characters, see `KINDS`.
PAIRS = 1


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
    return query_terms(matter(normalise(text))) or query_terms(text)


@dataclass(frozen=True)
class Question:
    """The terms of a question: those that rank, and those of its matter, which judge.

    Attributes:
        names: terms of each name that binds the question, such as a place.
        added: terms that help to find candidates and to rank them by words, but judge nothing.
    """

    terms: tuple[Term, ...]
    matter: tuple[Term, ...]
    names: tuple[tuple[Term, ...], ...] = ()
    added: tuple[Term, ...] = ()

    @classmethod
    def of(cls, text: str, *, names: Sequence[str] = (), also: str = "") -> "Question":
        """Tokenise a text, the names in it that bind it, and what it is looked for with besides."""
        terms = query_terms(text)
        bound = tuple(
            tuple(term for term in query_terms(name) if term.kind == PAIRS) for name in names
        )
        held = {(term.kind, term.key) for term in terms}
        added = tuple(
            replace(term, weight=term.weight * BESIDES)
            for term in query_terms(also)
            if (term.kind, term.key) not in held
        )
        return cls(terms, matter_terms(text), bound, added)


def chains(terms: Sequence[Term]) -> list[list[int]]:
    """Places among the terms of the character pairs that follow each other in the question."""
    found: list[list[int]] = []
    previous = ""
    for place, term in enumerate(terms):
        if term.kind != PAIRS:
            continue
        if previous and len(previous) > 1 and previous[-1] == term.token[0]:
            found[-1].append(place)
        else:
            found.append([place])
        previous = term.token
    return found


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
        self._asked: tuple[str, dict[tuple[int, int], float]] = ("", {})
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

    def lexical(self, terms: Sequence[Term]) -> list[tuple[Floats, Floats]]:
        """BM25 of every item and every group, a pair of arrays a segment; -inf for dead items.

        Their shapes are (kinds of token, items) and (kinds of token, groups).
        """
        of_items = _weigh(self._passages, terms)
        of_groups = _weigh(self._documents, terms)
        scores = []
        for number, (segment, alive) in enumerate(zip(self.segments, self.alive, strict=True)):
            own = np.zeros((len(KINDS), len(segment)), dtype=np.float32)
            whole = np.zeros((len(KINDS), len(segment.groups)), dtype=np.float32)
            for total, blocks, statistics, weighed in (
                (own, segment.passages, self._passages, of_items),
                (whole, segment.documents, self._documents, of_groups),
            ):
                for each in weighed:
                    span, kind = each.spans[number], each.term.kind
                    if span.start < span.stop:
                        weight = each.term.weight * each.idf
                        norms = statistics[kind].norms[number]
                        blocks[kind].add_scores(total[kind], span, weight, norms)
            if alive is not None:
                own[:, ~alive] = -np.inf
            scores.append((own, whole))
        return scores

    def holds(self, terms: Sequence[Term], segments: Ints, positions: Ints) -> tuple[Flags, Flags]:
        """Which terms each given item has, and which its whole group has; shape (terms, n)."""
        found = np.zeros((2, len(terms), len(positions)), dtype=np.bool_)
        for number in np.unique(segments):
            here = np.flatnonzero(segments == number)
            segment = self.segments[number]
            at = positions[here]
            for row, (blocks, places) in enumerate(
                ((segment.passages, at), (segment.documents, segment.group_of[at]))
            ):
                for kind, block in enumerate(blocks):
                    of_kind = [each for each, term in enumerate(terms) if term.kind == kind]
                    spans = block.spans([terms[each].key for each in of_kind])
                    for each, span in zip(of_kind, spans, strict=True):
                        found[row, each, here] = block.contains(span, places)
        return found[0], found[1]

    def rarities(self, terms: Sequence[Term]) -> Floats:
        """What each term is worth when a text is judged: weight x rarity, shape (terms,)."""
        # All at once: a call to numpy costs more than finding one term does.
        weighed = _weigh(self._passages, terms)
        return np.array([each.term.weight * each.rarity for each in weighed], dtype=np.float32)

    def ideal(self, terms: Sequence[Term]) -> Floats:
        """What BM25 of a single item approaches when it repeats every term of a question.

        Of each kind of token; shape (kinds,).
        """
        found = np.zeros(len(KINDS), dtype=np.float32)
        for each in _weigh(self._passages, terms):
            found[each.term.kind] += (K1 + 1) * each.term.weight * each.idf
        return found

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
                    whole * term.weight * of_group.idf,
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
        # One question is held against many wordings: its own weights are worked out once.
        asked, ours = self._asked
        if asked != left:
            ours = self._rarities(left)
            self._asked = left, ours
        theirs = self._rarities(right)
        total = sum(ours.values()) + sum(theirs.values())
        return 2 * sum(ours[at] for at in ours.keys() & theirs.keys()) / total if total else 0.0

    def _rarities(self, text: str) -> dict[tuple[int, int], float]:
        """What each term of a short text is worth."""
        return {
            (term.kind, term.key): self._passages[term.kind].rarity(term) * KINDS[term.kind][1]
            for term in matter_terms(text)
        }


def _weigh(of_kinds: Sequence[Statistics], terms: Sequence[Term]) -> list[Weighed]:
    found: list[Weighed] = []
    for kind, statistics in enumerate(of_kinds):
        found += statistics.weigh([term for term in terms if term.kind == kind])
    return found
