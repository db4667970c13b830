"""The searchable index of a changing set of texts; hides segments, snapshots and merging.

Changes arrive group by group from a log whose positions the caller numbers. Each `apply` adds
one small segment, so its cost depends on the change and not on the size of the index. Readers
work on an immutable snapshot that one assignment replaces.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from embeddings.encoder import Encoder, Vectors
from embeddings.errors import EncoderUnavailable, IndexUnavailable
from embeddings.folder import IndexFolder
from embeddings.ranking import Contribution, Question, Snapshot, candidates, fuse, query_terms
from embeddings.segment import Item, Segment

log = logging.getLogger(__name__)

# A merge rewrites at most this many items, which bounds its time (a few seconds) and memory.
MERGE_UP_TO = 60_000
# Neighbours are merged when the older one is less than this many times the younger one.
MERGE_RATIO = 4
# Candidates scored for each hit asked for: ranking and the caller's filters both thin them out.
DEPTH = 4
LEAST_DEPTH = 100


@dataclass(frozen=True)
class Hit:
    """An item found.

    Attributes:
        score: for ordering within one question only, at most 1.
        coverage: share of the question's tokens, weighted by rarity, that the item has, 0 to 1.
        similarity: cosine of the encoder, -1 to 1; 0 when the encoder is down.
    """

    key: str
    group: str
    score: float
    coverage: float
    similarity: float


class Retriever:
    """Text → ranked keys.

    Args:
        encoder: makes the vectors.
        folder: where the index is kept; in memory only when None.

    Raises:
        IndexUnavailable: only from `open`; the constructor starts empty.
    """

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self._encoder = encoder
        self._folder = IndexFolder(folder, encoder.fingerprint) if folder else None
        self._lock = threading.Lock()
        self._merging = threading.Lock()
        self._names: tuple[str, ...] = ()
        self._snapshot = Snapshot((), ())
        self.position = 0

    @classmethod
    def open(cls, encoder: Encoder, folder: Path) -> "Retriever":
        """Open the index in a folder; a damaged one is reported and started anew from empty."""
        retriever = cls(encoder, folder)
        if retriever._folder is None:
            return retriever
        try:
            state, segments = retriever._folder.load()
        except IndexUnavailable as error:
            log.error("index damaged, rebuilding from the database", extra={"reason": str(error)})
            return retriever
        retriever.position = state.position
        retriever._names = tuple(name for name, _ in state.segments)
        retriever._snapshot = Snapshot(segments, [dead for _, dead in state.segments])
        return retriever

    def __len__(self) -> int:
        return len(self._snapshot)

    @property
    def owner(self) -> bool:
        """Whether this process writes the folder (always true in memory)."""
        return self._folder is None or self._folder.owned

    def close(self) -> None:
        """Give up the folder; searching still works."""
        if self._folder:
            self._folder.close()

    def apply(self, items: Sequence[Item], *, replaced: Iterable[str], position: int) -> None:
        """Replace groups.

        Args:
            items: all items of the groups that exist now.
            replaced: groups whose earlier items go; includes those of `items`.
            position: in the change log; what `position` says afterwards, also on disk.

        Raises:
            EncoderUnavailable: nothing was changed.
        """
        # Built outside the lock: nobody waits for the encoder.
        fresh = Segment.build(items, self._encoder) if items else None
        gone = frozenset(replaced)
        with self._lock:
            held = self._snapshot
            dead = [
                old | gone.intersection(segment.groups) if gone else old
                for segment, old in zip(held.segments, held.dead, strict=True)
            ]
            segments, names = list(held.segments), list(self._names)
            if fresh is not None:
                segments.append(fresh)
                names.append(self._folder.add(fresh) if self._folder else "")
                dead.append(frozenset())
            self._swap(segments, names, dead, position)

    def clear(self) -> None:
        """Forget everything, also on disk, and go back to position 0."""
        with self._lock:
            self._swap([], [], [], 0)

    def merge(self) -> bool:
        """Merge one run of small neighbouring segments, if any; searching goes on meanwhile.

        Returns:
            Whether something was merged: call again until it says no.
        """
        with self._merging:
            with self._lock:
                held, names = self._snapshot, self._names
            start, stop = _run_to_merge([len(segment) for segment in held.segments])
            if start == stop:
                return False
            parts, dead = held.segments[start:stop], held.dead[start:stop]
            merged = Segment.merge(parts, dead)
            name = self._folder.add(merged) if self._folder else ""
            with self._lock:
                now = self._snapshot
                if self._names[: len(names)] != names or now.segments[start:stop] != parts:
                    return False  # cleared meanwhile
                # What died during the merge is still in the merged segment.
                late = frozenset[str]().union(*now.dead[start:stop]).intersection(merged.groups)
                late -= frozenset[str]().union(*dead)
                self._swap(
                    [*now.segments[:start], merged, *now.segments[stop:]],
                    [*self._names[:start], name, *self._names[stop:]],
                    [*now.dead[:start], late, *now.dead[stop:]],
                    self.position,
                )
            return True

    def search(self, text: str, k: int, *, per_group: int = 3) -> list[Hit]:
        """Rank items for a question, best first.

        Args:
            k: how many hits at most.
            per_group: how many of one group at most.
        """
        snapshot = self._snapshot
        question = Question.read(text)
        if not question.terms or not snapshot.segments:
            return []
        vector = self._vector(text)
        found = candidates(snapshot, question, vector, max(k * DEPTH, LEAST_DEPTH))
        hits: list[Hit] = []
        seen: dict[str, int] = {}
        for score, candidate in fuse(found, self._encoder.trust if vector is not None else 0.0):
            segment = snapshot.segments[candidate.segment]
            group = segment.groups[int(segment.group_of[candidate.position])]
            seen[group] = seen.get(group, 0) + 1
            if seen[group] > per_group:
                continue
            key = segment.keys[candidate.position]
            hits.append(Hit(key, group, score, candidate.coverage, candidate.cosine))
            if len(hits) == k:
                break
        return hits

    def explain(self, text: str, key: str) -> list[Contribution]:
        """Why an item scored as it did, token by token; empty when it is not in the index."""
        snapshot = self._snapshot
        for number in reversed(range(len(snapshot.segments))):
            segment, alive = snapshot.segments[number], snapshot.alive[number]
            if key in segment.keys:
                at = segment.keys.index(key)
                if alive is None or alive[at]:
                    return snapshot.explain(query_terms(text), number, at)
        return []

    @property
    def agreement(self) -> Callable[[str, str], float]:
        """Overlap of two short texts, 0 to 1; see `Snapshot.agreement`."""
        return self._snapshot.agreement

    @property
    def covered(self) -> Callable[[str, str], float]:
        """Share of a question that a text contains, 0 to 1; see `Snapshot.covered`."""
        return self._snapshot.covered

    def _vector(self, text: str) -> Vectors | None:
        try:
            return self._encoder.encode([text])[0:1].reshape(-1)
        except EncoderUnavailable as error:
            log.warning("encoder down, searching by words only", extra={"reason": str(error)})
            return None

    def _swap(
        self,
        segments: list[Segment],
        names: list[str],
        dead: list[frozenset[str]],
        position: int,
    ) -> None:
        rows = [
            (segment, name, gone)
            for segment, name, gone in zip(segments, names, dead, strict=True)
            if len(gone) < len(segment.groups)
        ]
        if self._folder:
            self._folder.commit(position, [(name, gone) for _, name, gone in rows])
        self._names = tuple(name for _, name, _ in rows)
        self._snapshot = Snapshot([row[0] for row in rows], [row[2] for row in rows])
        self.position = position


def _run_to_merge(sizes: Sequence[int]) -> tuple[int, int]:
    """Bounds of the youngest run of segments worth merging; equal bounds when there is none."""
    start = len(sizes) - 1
    total = sizes[start] if sizes else 0
    while start > 0:
        older = sizes[start - 1]
        if older >= MERGE_RATIO * total or older + total > MERGE_UP_TO:
            break
        start -= 1
        total += older
    return (start, len(sizes)) if 0 <= start < len(sizes) - 1 else (0, 0)
