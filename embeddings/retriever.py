"""The searchable index of a changing set of texts; hides segments, snapshots and merging.

Changes arrive group by group from a log whose positions the caller numbers. Each `apply` adds
one small segment, so its cost depends on the change and not on the size of the index. Readers
work on an immutable snapshot that one assignment replaces.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embeddings.encoder import Encoder, Vectors
from embeddings.errors import EncoderUnavailable, IndexUnavailable
from embeddings.folder import IndexFolder
from embeddings.ranking import Candidate, Model, candidates
from embeddings.segment import Item, Segment
from embeddings.snapshot import Contribution, Question, Snapshot

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
    """A passage found.

    Attributes:
        score: log-odds against the other hits of the same question, up to a constant.
        coverage: share of the question's matter, weighted by rarity, that the passage's best part
            has, 0 to 1.
        breadth: the same share, of the whole group.
        similarity: cosine of the encoder times its trust, -1 to 1; 0 when the encoder is down.
        closeness: overlap with the wording that speaks for it most, asking words and all, 0 to 1.
    """

    key: str
    group: str
    score: float
    coverage: float
    breadth: float
    similarity: float
    closeness: float


@dataclass(frozen=True)
class Explanation:
    """Why a passage scores as it does for a question.

    Attributes:
        score: the sum of `parts`.
        parts: what each feature of `ranking.FEATURES` adds.
        tokens: lexical score of its most telling part, token by token, the largest first.
    """

    score: float
    parts: Mapping[str, float]
    tokens: Sequence[Contribution]


class Retriever:
    """Text → ranked keys.

    Args:
        encoder: makes the vectors.
        folder: where the index is kept; in memory only when None.
        ranking: which coefficients rank its passages: "clauses" or "entries".

    Raises:
        IndexUnavailable: only from `open`; the constructor starts empty.
    """

    def __init__(
        self, encoder: Encoder, folder: Path | None = None, *, ranking: str = "clauses"
    ) -> None:
        self._encoder = encoder
        self._model = Model.load(ranking)
        self._folder = IndexFolder(folder, encoder.fingerprint) if folder else None
        self._lock = threading.Lock()
        self._merging = threading.Lock()
        self._names: tuple[str, ...] = ()
        self._snapshot = Snapshot((), ())
        self.position = 0

    @classmethod
    def open(cls, encoder: Encoder, folder: Path, *, ranking: str = "clauses") -> "Retriever":
        """Open the index in a folder; a damaged one is reported and started anew from empty."""
        retriever = cls(encoder, folder, ranking=ranking)
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
                old | segment.held(gone)
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
        """Rewrite one run of small neighbouring segments, or a mostly dead one, if there is any.

        Searching and `apply` go on meanwhile.

        Returns:
            Whether something was merged: call again until it says no.
        """
        with self._merging:
            with self._lock:
                held = self._snapshot
            start, stop = _run_to_merge(
                [len(segment) for segment in held.segments], alive=held.sizes()
            )
            if start == stop:
                return False
            parts, dead = held.segments[start:stop], held.dead[start:stop]
            merged = Segment.merge(parts, dead)
            name = self._folder.add(merged) if self._folder else ""
            with self._lock:
                now = self._snapshot
                if now.segments[start:stop] != parts:
                    # Cleared, or moved by the end of an older segment, meanwhile.
                    if self._folder:
                        self._folder.drop(name)
                    return False
                # What died during the merge is still in the merged segment. Part by part: a group
                # that had died in an older part may have been alive in a younger one.
                late = frozenset[str]().union(
                    *(
                        after - before
                        for after, before in zip(now.dead[start:stop], dead, strict=True)
                    )
                )
                self._swap(
                    [*now.segments[:start], merged, *now.segments[stop:]],
                    [*self._names[:start], name, *self._names[stop:]],
                    [*now.dead[:start], late, *now.dead[stop:]],
                    self.position,
                )
            return True

    def search(
        self, text: str, k: int, *, per_group: int = 3, names: Sequence[str] = (), also: str = ""
    ) -> list[Hit]:
        """Rank passages for a question, best first.

        Args:
            k: how many hits at most.
            per_group: how many of one group at most.
            names: those in the text that bind it, such as places.
            also: words to look for besides; they judge nothing and the encoder does not see them.
        """
        snapshot = self._snapshot
        hits: list[Hit] = []
        seen: Counter[str] = Counter()
        question = Question.of(text, names=names, also=also)
        for candidate in self._ranked(snapshot, text, question, max(k * DEPTH, LEAST_DEPTH)):
            if len(hits) >= k:
                break
            segment = snapshot.segments[candidate.segment]
            group = segment.groups[int(segment.group_of[candidate.best])]
            seen[group] += 1
            if seen[group] <= per_group:
                hits.append(
                    Hit(
                        segment.keys[candidate.passage],
                        group,
                        candidate.score,
                        candidate.coverage,
                        candidate.breadth,
                        candidate.similarity,
                        candidate.features["closeness"],
                    )
                )
        return hits

    def explain(self, text: str, key: str, names: Sequence[str] = ()) -> Explanation | None:
        """Why a passage scores as it does for a question; None when it is not in the running."""
        snapshot = self._snapshot
        question = Question.of(text, names=names)
        for candidate in self._ranked(snapshot, text, question, LEAST_DEPTH):
            segment = snapshot.segments[candidate.segment]
            if segment.keys[candidate.passage] == key:
                terms = Question.of(text).terms
                return Explanation(
                    candidate.score,
                    self._model.parts(candidate.features),
                    snapshot.explain(terms, candidate.segment, candidate.best),
                )
        return None

    @property
    def agreement(self) -> Callable[[str, str], float]:
        """Overlap of two short texts, 0 to 1; see `Snapshot.agreement`."""
        return self._snapshot.agreement

    @property
    def covered(self) -> Callable[[str, str], float]:
        """Share of a question that a text contains, 0 to 1; see `Snapshot.covered`."""
        return self._snapshot.covered

    def _ranked(
        self, snapshot: Snapshot, text: str, question: Question, depth: int
    ) -> Iterator[Candidate]:
        if not question.terms or not snapshot.segments:
            return iter(())
        pool = candidates(
            snapshot, question, self._vector(text), trust=self._encoder.trust, depth=depth
        )
        return pool.ranked(self._model)

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


def _run_to_merge(sizes: Sequence[int], *, alive: Sequence[int]) -> tuple[int, int]:
    """Bounds of the youngest run of segments worth rewriting; equal bounds when there is none.

    Args:
        sizes: items of each segment, oldest first.
        alive: how many of them are not of a dead group.
    """
    for stop in range(len(sizes), 0, -1):
        start, total = stop - 1, alive[stop - 1]
        while start > 0:
            older = alive[start - 1]
            if older >= MERGE_RATIO * total or older + total > MERGE_UP_TO:
                break
            start -= 1
            total += older
        mostly_dead = 2 * total < sizes[start] and total <= MERGE_UP_TO
        if stop - start > 1 or mostly_dead:
            return start, stop
    return 0, 0
