"""BM25 over flat posting arrays; hides how an inverted list is laid out, searched and merged.

Okapi BM25 (Robertson & Zaragoza 2009) with the idf of Lucene,
``ln(1 + (N - df + 0.5) / (df + 0.5))``. A block holds raw counts and lengths only; everything
that depends on the whole collection (idf, mean length) is supplied at query time. So blocks
stay immutable, score together exactly as one block would, and merge without their texts.
"""

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

K1 = 1.0
B = 0.7

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def term_key(token: str) -> int:
    """64-bit hash that stands for a token, so that a vocabulary is an array, not a dictionary."""
    digest = hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def inverse_frequency(frequency: int, total: int) -> float:
    """Lucene's idf; a term that occurs nowhere gets the largest value."""
    return float(np.log1p((total - frequency + 0.5) / (frequency + 0.5)))


def length_norms(lengths: npt.NDArray[np.int32], mean: float) -> Floats:
    """The length part of BM25's denominator, for every text."""
    return (K1 * (1 - B + B * lengths / max(mean, 1.0))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Postings:
    """Inverted lists over texts 0 … n-1, in flat arrays sorted by (term, position).

    Attributes:
        lengths: tokens of each text, shape (n,).
        terms: distinct term keys, ascending, shape (t,).
        starts: where each term's postings begin, shape (t + 1,).
        positions: text of each posting, shape (p,).
        counts: how often the term occurs in it, capped at 65,535, shape (p,).
    """

    lengths: npt.NDArray[np.int32]
    terms: npt.NDArray[np.uint64]
    starts: Ints
    positions: npt.NDArray[np.int32]
    counts: npt.NDArray[np.uint16]

    @classmethod
    def build(cls, texts: Sequence[Sequence[str]]) -> "Postings":
        """Invert tokenised texts."""
        vocabulary: dict[str, int] = {}
        numbers = array("q")
        for text in texts:
            numbers.extend([vocabulary.setdefault(token, len(vocabulary)) for token in text])
        lengths = np.array([len(text) for text in texts], dtype=np.int32)
        keys = np.array([term_key(token) for token in vocabulary], dtype=np.uint64)
        size = max(len(texts), 1)
        owners = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)
        cells, counts = np.unique(
            np.array(numbers, dtype=np.int64) * size + owners, return_counts=True
        )
        return cls._sorted(lengths, keys[cells // size], cells % size, counts)

    @classmethod
    def merge(cls, parts: Sequence["Postings"], keep: Sequence[Flags]) -> "Postings":
        """Concatenate parts, leaving out the texts whose `keep` flag is false."""
        lengths, terms, positions, counts = [], [], [], []
        offset = 0
        for part, kept in zip(parts, keep, strict=True):
            moved = np.cumsum(kept) - 1 + offset
            alive = kept[part.positions]
            lengths.append(part.lengths[kept])
            terms.append(np.repeat(part.terms, np.diff(part.starts))[alive])
            positions.append(moved[part.positions[alive]])
            counts.append(part.counts[alive])
            offset += int(kept.sum())
        return cls._sorted(
            np.concatenate(lengths),
            np.concatenate(terms),
            np.concatenate(positions),
            np.concatenate(counts),
        )

    @classmethod
    def _sorted(
        cls,
        lengths: npt.NDArray[np.int32],
        terms: npt.NDArray[np.uint64],
        positions: Ints,
        counts: npt.NDArray[np.integer],
    ) -> "Postings":
        # Postings of one term arrive in ascending position, so a stable sort by term suffices.
        order = np.argsort(terms, kind="stable")
        distinct, firsts = np.unique(terms[order], return_index=True)
        return cls(
            lengths=lengths,
            terms=distinct,
            starts=np.append(firsts, len(terms)).astype(np.int64),
            positions=positions[order].astype(np.int32),
            counts=np.minimum(counts[order], 65535).astype(np.uint16),
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def consistent(self) -> bool:
        """Whether the arrays fit each other; those of a damaged file do not."""
        return bool(
            len(self.starts) == len(self.terms) + 1
            and self.starts[-1] == len(self.positions) == len(self.counts)
            and self.positions.max(initial=-1) < len(self.lengths)
        )

    def spans(self, keys: Sequence[int]) -> list[slice]:
        """Where the postings of each term lie; empty for a term that no text has."""
        if not len(self.terms):
            return [slice(0, 0)] * len(keys)
        wanted = np.array(keys, dtype=np.uint64)
        # All terms in one search: a call to numpy costs more than finding one term does.
        at = np.minimum(np.searchsorted(self.terms, wanted), len(self.terms) - 1)
        stops = np.where(self.terms[at] == wanted, self.starts[at + 1], self.starts[at])
        return [*map(slice, self.starts[at].tolist(), stops.tolist())]

    def add_scores(self, total: Floats, span: slice, weight: float, norms: Floats) -> None:
        """Add weight x BM25's frequency part of one term to the texts that have it, in place."""
        positions = self.positions[span]
        counts = self.counts[span].astype(np.float32)
        # A position occurs once a term, so plain indexed addition is safe.
        total[positions] += (weight * (K1 + 1)) * (counts / (counts + norms[positions]))

    def score(self, span: slice, position: int, norms: Floats) -> float:
        """BM25's frequency part of one term in one text, 0 where it does not occur."""
        listed = self.positions[span]
        at = int(np.searchsorted(listed, position))
        if at == len(listed) or int(listed[at]) != position:
            return 0.0
        count = float(self.counts[span][at])
        return float(count * (K1 + 1) / (count + float(norms[position])))

    def contains(self, span: slice, positions: Ints) -> Flags:
        """Whether each of the given texts has the term."""
        listed = self.positions[span]
        if len(listed) == 0:
            return np.zeros(len(positions), dtype=np.bool_)
        positions = positions.astype(listed.dtype, copy=False)  # else all of the list is converted
        at = np.minimum(np.searchsorted(listed, positions), len(listed) - 1)
        return np.asarray(listed[at] == positions)
