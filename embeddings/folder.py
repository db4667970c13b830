"""The index on disk: which segments are current; hides atomic replacement and ownership.

One process at a time owns the folder (an advisory lock that dies with it) and writes; others
read the last state and keep later changes in memory. `CURRENT` names the segments; it is the
only file that is ever replaced, so a crash at any moment leaves the old state or the new one.
"""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embeddings.errors import IndexUnavailable
from embeddings.segment import Segment, sync_folder

FORMAT = 2


@dataclass(frozen=True)
class State:
    """What `CURRENT` says: position in the change log, and segment names with dead groups."""

    position: int
    segments: tuple[tuple[str, frozenset[str]], ...]


class IndexFolder:
    """Segments on disk under one folder.

    Args:
        path: created if absent.
        fingerprint: of the encoder; vectors of another encoder are not loaded.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self._fingerprint = fingerprint
        path.mkdir(parents=True, exist_ok=True)
        self._lock = (path / "LOCK").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.owned = True
        except OSError:
            self.owned = False
        # Written or being written, but not yet current: another thread's commit must spare them.
        self._pending: set[str] = set()

    def close(self) -> None:
        """Give up ownership; nothing is written any more."""
        self.owned = False
        self._lock.close()

    def load(self) -> tuple[State, list[Segment]]:
        """Read the current state; an empty one when there is none or the encoder changed.

        Raises:
            IndexUnavailable: the folder is damaged.
        """
        while True:
            state = self._current()
            try:
                return state, [Segment.load(self._path / name) for name, _ in state.segments]
            except IndexUnavailable:
                # The owner may have replaced the segments while they were being read.
                if self.owned or self._current() == state:
                    raise

    def _current(self) -> State:
        empty = State(0, ())
        try:
            held = json.loads((self._path / "CURRENT").read_text(encoding="utf-8"))
            if (held["format"], held["fingerprint"]) != (FORMAT, self._fingerprint):
                return empty
            rows = [(row["name"], frozenset(row["dead"])) for row in held["segments"]]
            return State(int(held["position"]), tuple(rows))
        except FileNotFoundError:
            return empty
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexUnavailable(f"索引目录的 CURRENT 文件已损坏：{error}") from error

    def add(self, segment: Segment) -> str:
        """Write a segment and return its name; it is kept until `commit` or `drop`."""
        name = f"segment-{uuid.uuid4().hex}"
        if self.owned:
            self._pending.add(name)
            try:
                segment.save(self._path / name)
            except BaseException:
                self.drop(name)
                raise
        return name

    def drop(self, name: str) -> None:
        """Give up a segment that was added: the next commit deletes it."""
        self._pending.discard(name)

    def commit(self, position: int, segments: Sequence[tuple[str, frozenset[str]]]) -> None:
        """Make these segments the current ones and delete all others."""
        if not self.owned:
            return
        current = {name for name, _ in segments}
        self._pending -= current
        held = {
            "format": FORMAT,
            "fingerprint": self._fingerprint,
            "position": position,
            "segments": [{"name": name, "dead": sorted(dead)} for name, dead in segments],
        }
        fresh = self._path / "CURRENT.new"
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(held, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        # The new segments' names must be on disk before anything refers to them.
        sync_folder(self._path)
        os.replace(fresh, self._path / "CURRENT")
        for folder in self._path.glob("segment-*"):
            if folder.name not in current and folder.name not in self._pending:
                shutil.rmtree(folder, ignore_errors=True)
