"""What is being typed → the wordings that contain it; hides how a scan stays quick among many.

All wordings lie one after another in a flat array of characters, which numpy compares whole: a
scan of 100,000 wordings takes about a millisecond, whatever was typed. Changes add a small block
and mark what they replace; neighbouring blocks are joined before there are many.
"""

import heapq
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from embeddings.segment import Item
from embeddings.tokenizer import normalise

# What counts for a wording, besides the share of it that is typed: that it begins with the text
# or contains it as it stands, that it is the group's first one, and that people ask for it much.
BEGINS, CONTAINS, FIRST, WANTED = 2.0, 1.0, 0.1, 1.0
# Of more matches in one block only so many of the best are looked at.
MOST = 2000
# Longer texts are only looked for as they stand, not by their pairs of characters.
LONGEST = 40
PAIR = 2
# A block is joined with the one before it unless that one is so many times larger.
RATIO = 3

_SEPARATOR = "\x00"
_LEFT_OUT = str.maketrans("", "", f" \t\r\n《》〈〉“”\"'‘’{_SEPARATOR}")

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Typed:
    """A group one of whose wordings contains what was typed.

    Attributes:
        text: its first wording, as it is written.
        closeness: for ordering; of groups that are equally wanted the one that begins with the
            text comes before the one that contains it, and the shorter before the longer.
    """

    key: str
    text: str
    closeness: float


class Typeahead:
    """Wordings by any part of them; groups are added and removed whole, as in `Retriever`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: tuple[_Block, ...] = ()
        self._wanted: Mapping[str, float] = {}
        self.position = 0

    def __len__(self) -> int:
        return sum(int(block.alive.sum()) for block in self._blocks)

    def apply(self, items: Sequence[Item], *, replaced: Iterable[str], position: int) -> None:
        """Replace groups; the first item of each is what it is shown as.

        Args:
            items: all wordings of the groups that exist now, group by group.
            replaced: groups whose earlier wordings go; includes those of `items`.
            position: in the change log; what `position` says afterwards.
        """
        gone = frozenset(replaced)
        with self._lock:
            blocks = [block.without(gone) for block in self._blocks]
            if items:
                blocks.append(_Block.of(items))
            while len(blocks) > 1 and len(blocks[-2]) < RATIO * len(blocks[-1]):
                blocks[-2:] = [_Block.joined(*blocks[-2:])]
            self._blocks = tuple(block.preferring(self._wanted) for block in blocks)
            self.position = position

    def clear(self) -> None:
        """Forget everything and go back to position 0."""
        with self._lock:
            self._blocks, self.position = (), 0

    def merge(self) -> bool:
        """Nothing is left to merge: `apply` does it."""
        return False

    def prefer(self, wanted: Mapping[str, float]) -> None:
        """Set how much people ask for each group, 0 to 1; 0 for those not named."""
        with self._lock:
            self._wanted = wanted
            self._blocks = tuple(block.preferring(wanted) for block in self._blocks)

    def containing(self, text: str) -> Iterator[Typed]:
        """Groups with a wording that contains a text as it stands, the closest first."""
        return self._found([folded(text)])

    def with_pairs_of(self, text: str) -> Iterator[Typed]:
        """Groups with a wording that has every pair of characters of a text, in any order."""
        typed = folded(text)
        if not PAIR < len(typed) <= LONGEST:
            return iter(())
        return self._found([typed[at : at + PAIR] for at in range(len(typed) - 1)])

    def _found(self, parts: Sequence[str]) -> Iterator[Typed]:
        if not all(parts):
            return
        seen: set[str] = set()
        found = (block.containing(parts) for block in self._blocks)
        for each in heapq.merge(*found, key=lambda row: -row.closeness):
            if each.key not in seen:
                seen.add(each.key)
                yield each


@dataclass(frozen=True, eq=False)
class _Block:
    """Wordings 0 … n-1 of groups 0 … g-1, side by side in one array of characters.

    Attributes:
        groups, keys, shown: name, the caller's key and first wording of each group, length g.
        letters: all wordings in folded form as code points, with a separator before each.
        starts: where each wording begins, shape (n,).
        owners: group of each wording, ascending, shape (n,).
        first: whether it is its group's first one, shape (n,).
        alive: whether the group still stands, shape (g,).
        wanted: how much people ask for the group, 0 to 1, shape (g,).
    """

    groups: tuple[str, ...]
    keys: tuple[str, ...]
    shown: tuple[str, ...]
    letters: npt.NDArray[np.uint32]
    starts: Ints
    owners: Ints
    first: Flags
    alive: Flags
    wanted: Floats

    @classmethod
    def of(cls, items: Sequence[Item]) -> "_Block":
        held = [list(rows) for _, rows in groupby(items, key=lambda item: item.group)]
        # One conversion for all: each costs more to start than to do.
        plain = (item.text.replace(_SEPARATOR, "") for item in items)
        lines = normalise(_SEPARATOR.join(plain)).split(_SEPARATOR)
        texts = [line.translate(_LEFT_OUT) for line in lines]
        sizes = [len(rows) for rows in held]
        first = np.zeros(len(texts), dtype=np.bool_)
        first[np.cumsum([0, *sizes[:-1]])] = True
        return cls(
            tuple(rows[0].group for rows in held),
            tuple(rows[0].key for rows in held),
            tuple(rows[0].text for rows in held),
            *_laid_out(texts),
            np.repeat(np.arange(len(held)), sizes),
            first,
            np.ones(len(held), dtype=np.bool_),
            np.zeros(len(held), dtype=np.float32),
        )

    @classmethod
    def joined(cls, one: "_Block", other: "_Block") -> "_Block":
        one, other = one.compact(), other.compact()
        return cls(
            one.groups + other.groups,
            one.keys + other.keys,
            one.shown + other.shown,
            np.concatenate([one.letters, other.letters]),
            np.concatenate([one.starts, other.starts + len(one.letters)]),
            np.concatenate([one.owners, other.owners + len(one.groups)]),
            np.concatenate([one.first, other.first]),
            np.concatenate([one.alive, other.alive]),
            np.concatenate([one.wanted, other.wanted]),
        )

    def __len__(self) -> int:
        return len(self.starts)

    def compact(self) -> "_Block":
        """The same without the groups that no longer stand."""
        if self.alive.all():
            return self
        kept = np.flatnonzero(self.alive).tolist()
        rows = self.alive[self.owners]
        sizes = self.lengths + 1
        left = sizes[rows]
        return _Block(
            tuple(self.groups[number] for number in kept),
            tuple(self.keys[number] for number in kept),
            tuple(self.shown[number] for number in kept),
            self.letters[np.repeat(rows, sizes)],
            np.cumsum(left) - left + 1,
            (np.cumsum(self.alive) - 1)[self.owners[rows]],
            self.first[rows],
            self.alive[kept],
            self.wanted[kept],
        )

    @property
    def lengths(self) -> Ints:
        """Characters of each wording, shape (n,)."""
        return np.append(self.starts[1:] - 1, len(self.letters)) - self.starts

    def without(self, gone: frozenset[str]) -> "_Block":
        dead = [number for number, group in enumerate(self.groups) if group in gone]
        if not dead:
            return self
        alive = self.alive.copy()
        alive[dead] = False
        return replace(self, alive=alive)

    def preferring(self, wanted: Mapping[str, float]) -> "_Block":
        values = [wanted.get(group, 0.0) for group in self.groups] if wanted else 0.0
        return replace(self, wanted=np.full(len(self.groups), values, dtype=np.float32))

    def containing(self, parts: Sequence[str]) -> Iterator[Typed]:
        """Groups of wordings that have all parts, the closest first; some may come twice."""
        fits = self.alive[self.owners]
        begins = np.zeros(len(self), dtype=np.bool_)
        for part in parts:
            places = self._places(part)
            rows = np.searchsorted(self.starts, places, side="right") - 1
            held = np.zeros(len(self), dtype=np.bool_)
            held[rows] = True
            fits = fits & held
            begins[rows[self.starts[rows] == places]] = True
        found = np.flatnonzero(fits)
        owners = self.owners[found]
        lengths = self.lengths[found]
        typed = len(parts[0]) if len(parts) == 1 else len(parts) + 1
        closeness = typed / np.maximum(lengths, typed) + FIRST * self.first[found]
        closeness += WANTED * self.wanted[owners]
        if len(parts) == 1:
            closeness += np.where(begins[found], BEGINS, CONTAINS)
        if len(found) > MOST:
            best = np.argpartition(-closeness, MOST)[:MOST]
            owners, closeness = owners[best], closeness[best]
        for at in np.lexsort((owners, -closeness)).tolist():
            group = int(owners[at])
            yield Typed(self.keys[group], self.shown[group], float(closeness[at]))

    def _places(self, part: str) -> Ints:
        """Where a text stands in the letters."""
        wanted = _letters(part)
        end = len(self.letters) - len(wanted) + 1
        found = np.flatnonzero(self.letters[: max(end, 0)] == wanted[0])
        for at in range(1, len(wanted)):
            found = found[self.letters[found + at] == wanted[at]]
        return found


def folded(text: str) -> str:
    """A text as it is compared: normalised, without spaces, quotation marks and book titles'."""
    return normalise(text).translate(_LEFT_OUT)


def _letters(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32)


def _laid_out(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint32], Ints]:
    """Texts as letters, a separator before each, and where each begins."""
    sizes = np.array([len(text) + 1 for text in texts], dtype=np.int64)
    return _letters("".join(_SEPARATOR + text for text in texts)), np.cumsum(sizes) - sizes + 1
