"""How people ask for a clause: clause text → questions it answers; hides how texts are recognised.

The file names no document. A clause is recognised by what it says, so a question finds its way to
the same words in any edition and under any title. A revised number or a word more or less still
counts as the same: what is quoted is always the clause itself.

Two texts are compared by their sketches: the smallest hashes of their overlapping runs of five
characters. The share of common ones among the smallest of both estimates the Jaccard similarity
of the texts (Broder 1997, bottom-k sketch).
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embeddings import normalise

RUN = 5
SIZE = 16
# From this share of common hashes on, two texts say the same.
SAME = 0.75

_NO_LETTER = re.compile(r"[^\u3400-\u9fffa-z0-9]")

# Articles are numbered anew in every revision.
_LABEL = re.compile("^第[一二三四五六七八九十百千零〇]+条(之[一二三四五六七八九十]+)?")

Sketch = tuple[int, ...]


def sketch(text: str) -> Sketch:
    """The `SIZE` smallest 32-bit hashes of a text's runs of `RUN` letters, ascending."""
    letters = _NO_LETTER.sub("", _LABEL.sub("", normalise(text).strip()))
    if not letters:
        return ()
    runs = {letters[at : at + RUN] for at in range(max(1, len(letters) - RUN + 1))}
    return tuple(sorted({zlib.crc32(run.encode()) for run in runs})[:SIZE])


def similarity(left: Sketch, right: Sketch) -> float:
    """Estimated Jaccard similarity of two sketched texts, 0 to 1."""
    smallest = sorted({*left, *right})[:SIZE]
    both = {*left} & {*right}
    return sum(each in both for each in smallest) / len(smallest) if smallest else 0.0


@dataclass(frozen=True)
class Wordings:
    """Questions by the clause that answers them.

    Attributes:
        rows: sketch and questions of each known clause.
        places: hash → numbers of the rows whose sketch has it.
    """

    rows: Sequence[tuple[Sketch, tuple[str, ...]]]
    places: Mapping[int, Sequence[int]]

    @classmethod
    def of(cls, rows: Iterable[tuple[Sketch, tuple[str, ...]]]) -> "Wordings":
        """Arrange rows for looking up."""
        held = tuple(rows)
        places: dict[int, list[int]] = {}
        for number, (hashes, _) in enumerate(held):
            for each in hashes:
                places.setdefault(each, []).append(number)
        return cls(held, places)

    @classmethod
    def load(cls, path: Path) -> "Wordings":
        """Read JSON lines `{"sketch": "8 hex digits a hash", "questions": [...]}`."""
        rows = []
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            digits = row["sketch"]
            hashes = tuple(int(digits[at : at + 8], 16) for at in range(0, len(digits), 8))
            rows.append((hashes, tuple(row["questions"])))
        return cls.of(rows)

    def asking_for(self, text: str) -> tuple[str, ...]:
        """Questions that a clause of this text answers; empty for an unknown one."""
        if not self.rows:
            return ()
        ours = sketch(text)
        shared = Counter(number for each in ours for number in self.places.get(each, ()))
        found: dict[str, None] = {}
        for number, count in shared.most_common():
            if count < SAME * min(SIZE, len(ours)) / 2:
                break
            if similarity(ours, self.rows[number][0]) >= SAME:
                found.update(dict.fromkeys(self.rows[number][1]))
        return tuple(found)


UNKNOWN = Wordings.of(())
