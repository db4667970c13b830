"""What differs between two texts, records or revisions, for people to read; hides the comparing.

Nothing is interpreted: joined together, the equal and removed segments are the old text, the equal
and added ones the new.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher

from kb.exchange import HEADINGS, EntryRecord
from kb.grounds import sketch

EQUAL, REMOVED, ADDED = "equal", "removed", "added"
# A clause is a later form of another from this share of common pairs of characters on: at the same
# number, and anywhere.
SAME_PLACE, ANYWHERE = 0.3, 0.6
# A sentence that keeps this share of its characters is shown as altered, not as replaced.
ALTERED = 0.4
_SENTENCE = re.compile(r"[^。！？；\n]*[。！？；\n]|[^。！？；\n]+")
# Numbers and words of letters stay whole: 1200元 → 1500元 is one change, not one of two digits.
_TOKEN = re.compile(r"\d[\d,.]*|[A-Za-z]+|.", re.S)


@dataclass(frozen=True)
class Segment:
    """A stretch of text: `equal`, `removed` or `added`."""

    kind: str
    text: str


@dataclass(frozen=True)
class FieldChange:
    """A field of an entry that differs: its English name, its Chinese heading, and how."""

    field: str
    heading: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class ClauseChange:
    """What became of a clause: unchanged, moved, changed, removed or added.

    Attributes:
        old_locator: where it stood; empty for an added one, and where there is no number.
        new_locator: where it stands now.
        segments: the text, with what was removed and added.
    """

    kind: str
    old_locator: str
    new_locator: str
    segments: tuple[Segment, ...]


def text_difference(old: str, new: str) -> tuple[Segment, ...]:
    """Compare by sentences, and within a sentence that was altered by words and characters."""
    before, after = _SENTENCE.findall(old), _SENTENCE.findall(new)
    segments: list[Segment] = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            segments.append(Segment(EQUAL, "".join(before[a:b])))
        else:
            segments += _within("".join(before[a:b]), "".join(after[c:d]))
    return _joined(segments)


def record_difference(old: EntryRecord, new: EntryRecord) -> tuple[FieldChange, ...]:
    """The fields in which two records differ, in the order of the entry table, status left out."""
    changes = []
    for field, heading in HEADINGS.items():
        before, after = getattr(old, field), getattr(new, field)
        if before == after or field == "status":
            continue
        if isinstance(before, tuple):
            segments = _list_difference(before, after)
        elif field in ("question", "answer", "short_answer"):
            segments = text_difference(before, after)
        else:
            segments = _whole(_words(before), _words(after))
        if segments:
            changes.append(FieldChange(field, heading, segments))
    return tuple(changes)


def clause_changes(
    before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]
) -> tuple[ClauseChange, ...]:
    """Compare two revisions given as (locator, text): by words, then by number, then by likeness.

    Returns:
        One change for each clause, in the order of the new revision; removed ones stand where they
        stood among their neighbours.
    """
    pairs = _paired(before, after)
    partner = {new: old for old, new in pairs.items()}
    changes: list[ClauseChange] = []
    shown = 0
    for number, (locator, text) in enumerate(after):
        old = partner.get(number)
        if old is None:
            changes.append(ClauseChange("added", "", locator, (Segment(ADDED, text),)))
            continue
        changes += [_removed(before[each]) for each in range(shown, old) if each not in pairs]
        shown = max(shown, old)
        changes.append(_kept(before[old], (locator, text)))
    rest = range(shown, len(before))
    changes += [_removed(before[each]) for each in rest if each not in pairs]
    return tuple(changes)


def _kept(old: tuple[str, str], new: tuple[str, str]) -> ClauseChange:
    if sketch(old[1]) == sketch(new[1]):
        kind = "unchanged" if old[0] == new[0] else "moved"
        return ClauseChange(kind, old[0], new[0], (Segment(EQUAL, new[1]),))
    return ClauseChange("changed", old[0], new[0], text_difference(old[1], new[1]))


def _removed(old: tuple[str, str]) -> ClauseChange:
    return ClauseChange("removed", old[0], "", (Segment(REMOVED, old[1]),))


def _paired(before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]) -> dict[int, int]:
    """Which clause became which, by position."""
    pairs: dict[int, int] = {}
    taken: set[int] = set()

    def pair(old: int, new: int) -> None:
        pairs[old] = new
        taken.add(new)

    said: dict[str, list[int]] = defaultdict(list)
    for new, (_, text) in enumerate(after):
        said[sketch(text)].append(new)
    for old, (locator, text) in enumerate(before):
        same = [new for new in said[sketch(text)] if new not in taken]
        if same:
            pair(old, next((new for new in same if after[new][0] == locator), same[0]))
    grams = [_pairs_of(text) for _, text in before], [_pairs_of(text) for _, text in after]
    likeness = [
        (_likeness(grams[0][old], grams[1][new]), before[old][0] == after[new][0], old, new)
        for old in range(len(before))
        if old not in pairs
        for new in range(len(after))
        if new not in taken
    ]
    fit = [row for row in likeness if row[0] >= (SAME_PLACE if row[1] else ANYWHERE)]
    for _, _, old, new in sorted(fit, key=lambda row: (-row[1], -row[0], row[2], row[3])):
        if old not in pairs and new not in taken:
            pair(old, new)
    return pairs


def _pairs_of(text: str) -> frozenset[str]:
    squeezed = "".join(text.split())
    return frozenset(squeezed[at : at + 2] for at in range(max(1, len(squeezed) - 1)))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Dice's coefficient: twice the common part over the sum, 0 to 1."""
    return 2 * len(one & other) / max(1, len(one) + len(other))


def _within(old: str, new: str) -> Iterator[Segment]:
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if not old or not new or matcher.quick_ratio() < ALTERED or matcher.ratio() < ALTERED:
        yield from _whole(old, new)
        return
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            yield Segment(EQUAL, "".join(before[a:b]))
        else:
            yield from _whole("".join(before[a:b]), "".join(after[c:d]))


def _whole(old: str, new: str) -> tuple[Segment, ...]:
    parts = (Segment(REMOVED, old), Segment(ADDED, new))
    return tuple(part for part in parts if part.text)


def _joined(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Neighbours of one kind as one."""
    joined: list[Segment] = []
    for segment in segments:
        if joined and joined[-1].kind == segment.kind:
            joined[-1] = Segment(segment.kind, joined[-1].text + segment.text)
        else:
            joined.append(segment)
    return tuple(joined)


def _list_difference(old: Sequence[str], new: Sequence[str]) -> tuple[Segment, ...]:
    """One segment a line."""
    segments = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            segments += [Segment(EQUAL, line) for line in old[a:b]]
        else:
            segments += [Segment(REMOVED, line) for line in old[a:b]]
            segments += [Segment(ADDED, line) for line in new[c:d]]
    return tuple(segments)


def _words(value: str | date | None) -> str:
    return "" if value is None else str(value)
