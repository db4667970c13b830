"""Wordings → groups of one meaning; hides vectors, thresholds and the order of comparing.

Leader clustering with moving centres (Hartigan 1975, "Clustering Algorithms", ch. 3): one pass,
so that new wordings join the groups there are, whose numbers never change.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from embeddings import Encoder, normalise

# Cosine from which on a wording belongs to a group. Of the wordings of one entry among the
# samples, 99 of 100 pairs are at least so close; of different entries, 2 of 10,000.
ALIKE = 0.58
# Wordings compared at a time, with so many centres at a time: bounds the memory.
_AT_ONCE, _CENTRES_AT_ONCE = 1024, 8192
# Room for centres to begin with.
_ROOM = 1024
# A centre moves with its first wordings only: a group that wanders would end up elsewhere.
_MOVES = 20

Vectors = npt.NDArray[np.float32]


def folded(wording: str) -> str:
    """What two wordings have alike that differ in width, case or script only."""
    return normalise(wording)


class Clusters:
    """Groups wordings by what an encoder makes of them."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def group(self, wordings: Sequence[str], known: Mapping[int, Sequence[str]]) -> list[int]:
        """Say to which group each wording belongs.

        Args:
            wordings: in the order in which they came.
            known: number of a group (1 or more) → some wordings of it, 20 being plenty.

        Returns:
            A number for each wording: a known one; -1, -2, … for new groups; 0 for a wording that
            says nothing.

        Raises:
            EncoderUnavailable: the model failed.
        """
        texts = [folded(wording) for wording in wordings]
        distinct = list(dict.fromkeys(texts))
        centres = _Centres(self._encoder.dimensions)
        members = [(number, text) for number, held in known.items() for text in held[:_MOVES]]
        vectors = self._encoder.encode([text for _, text in members])
        centres.learn([number for number, _ in members], vectors)
        number_of: dict[str, int] = {}
        for start in range(0, len(distinct), _AT_ONCE):
            batch = distinct[start : start + _AT_ONCE]
            placed = centres.place(self._encoder.encode(batch))
            number_of.update(zip(batch, placed, strict=True))
        return [number_of[text] for text in texts]


class _Centres:
    """Mean directions of groups, in an array that grows by doubling."""

    def __init__(self, dimensions: int) -> None:
        self._numbers: list[int] = []
        self._position: dict[int, int] = {}
        self._sizes: list[int] = []
        self._sums = np.zeros((_ROOM, dimensions), dtype=np.float32)
        self._units = np.zeros_like(self._sums)
        self._new = 0

    def learn(self, numbers: Sequence[int], vectors: Vectors) -> None:
        """Take in the wordings of groups there are."""
        for number, vector in zip(numbers, vectors, strict=True):
            if number not in self._position:
                self._open(number)
            self._add(self._position[number], vector)

    def place(self, vectors: Vectors) -> list[int]:
        """The number of the group of each row; rows that fit none open new groups."""
        placed = [0] * len(vectors)
        nearest, closeness = self._nearest(vectors)
        telling = np.asarray(vectors.any(axis=1))
        rest = [at for at in range(len(vectors)) if telling[at] and closeness[at] < ALIKE]
        for place in np.flatnonzero(telling & (closeness >= ALIKE)).tolist():
            placed[place] = self._numbers[nearest[place]]
            self._add(int(nearest[place]), vectors[place])
        leaders: list[int] = []
        among = vectors[rest] @ vectors[rest].T
        for row, at in enumerate(rest):
            likeness = among[row, leaders]
            best = int(likeness.argmax()) if leaders else -1
            if best >= 0 and likeness[best] >= ALIKE:
                number = placed[rest[leaders[best]]]
            else:
                leaders.append(row)
                self._new -= 1
                number = self._new
                self._open(number)
            placed[at] = number
            self._add(self._position[number], vectors[at])
        return placed

    def _nearest(self, vectors: Vectors) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        nearest = np.zeros(len(vectors), dtype=np.intp)
        closeness = np.full(len(vectors), -1.0, dtype=np.float32)
        rows = np.arange(len(vectors))
        for start in range(0, len(self._numbers), _CENTRES_AT_ONCE):
            end = min(start + _CENTRES_AT_ONCE, len(self._numbers))
            likeness = vectors @ self._units[start:end].T
            best = likeness.argmax(axis=1)
            better = likeness[rows, best] > closeness
            nearest[better] = best[better] + start
            closeness[better] = likeness[rows, best][better]
        return nearest, closeness

    def _open(self, number: int) -> None:
        if len(self._numbers) == len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
            self._units = np.concatenate([self._units, np.zeros_like(self._units)])
        self._position[number] = len(self._numbers)
        self._numbers.append(number)
        self._sizes.append(0)

    def _add(self, position: int, vector: Vectors) -> None:
        if self._sizes[position] >= _MOVES:
            return
        self._sizes[position] += 1
        self._sums[position] += vector
        length = float(np.linalg.norm(self._sums[position]))
        self._units[position] = self._sums[position] / (length or 1.0)
