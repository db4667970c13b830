"""A question with a wrong character → what may have been meant; hides kinds of mistakes.

A mistake is where the text reads like nothing that people write, while a word of the collection
that sounds or looks like it, or has one character more, fewer or in another place, reads well.
How well a text reads is the most probable way to split it into words (a noisy channel).
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from embeddings.sounds import folded, is_han, key, readings, syllables
from embeddings.tokenizer import general_frequency
from embeddings.vocabulary import LONGEST, Vocabulary

# What each kind of mistake costs, in nats: -log of how often people make it where they could.
COSTS = {
    "sound": 4.0,
    "near sound": 5.5,
    "look": 5.5,
    "missing": 6.5,
    "doubled": 3.5,
    "swapped": 4.5,
}
# What each further character that sounds alike but is another one costs.
FURTHER = 2.0
# What it costs in a word of two when nothing of it was typed.
OTHER_WORD = 4.0
# What speaks against a correction besides: the typed piece is a word of general language, or the
# word is of two characters and was only heard alike or turned round.
REAL_WORD = 2.0
SHORT = 2.0
# A word of three or more is hardly hit by accident.
LONG = -2.5
# A correction must read better than the text by this much, in nats.
GAIN = 6.0
# Corrections of one text; of more mistakes than that nobody knows what was meant.
MOST = 3
# Longer texts are not looked through.
LONGEST_TEXT = 120
LONGEST_WORD = 6
# Words that are put in place of others; the rarest of more are left out.
MOST_WORDS = 80_000
# Ways to sound of a piece of text that are tried.
SOUNDS = 6
# A word must be used this often by the collection to be put in place of what was typed.
LEAST_USED = 2.0


@dataclass(frozen=True)
class Correction:
    """A word to put in place of `typed`, which begins at `at`.

    Attributes:
        gain: how much better the text reads, in nats, after the cost of the mistake.
        kind: of `COSTS`.
    """

    at: int
    typed: str
    word: str
    gain: float
    kind: str

    @property
    def stop(self) -> int:
        """Where `typed` ends."""
        return self.at + len(self.typed)


class Speller:
    """Finds likely mistakes with the words of one collection.

    Args:
        alike: for a character, those that it is mistaken for by its shape.
    """

    def __init__(self, vocabulary: Vocabulary, alike: Mapping[str, str]) -> None:
        self._vocabulary = vocabulary
        self._alike = alike
        self._costs: dict[str, float] = {}
        terms = {
            word: weight
            for word, weight in vocabulary.terms(LEAST_USED).items()
            if len(word) <= LONGEST_WORD and is_han(word)
        }
        self._words = frozenset(heapq.nlargest(MOST_WORDS, terms, key=lambda each: terms[each]))
        self._by_sound: dict[str, list[str]] = defaultdict(list)
        self._by_rest: dict[str, list[str]] = defaultdict(list)
        for word in self._words:
            self._by_sound[key(syllables(word))].append(word)
            if len(word) > 2:
                for at in range(len(word)):
                    self._by_rest[word[:at] + word[at + 1 :]].append(word)

    def corrections(self, text: str) -> list[Correction]:
        """Likely corrections that do not overlap, in the order of the text; see `Correction`.

        Args:
            text: normalised.
        """
        if not 2 <= len(text) <= LONGEST_TEXT:
            return []
        before, after = self._readings_of_parts(text)
        whole = before[-1]
        best: list[Correction] = []
        for at, stop in self._windows(text):
            typed = text[at:stop]
            if typed in self._words and self._vocabulary.weight(typed) >= LEAST_USED:
                continue
            reads = whole - before[at] - after[stop]
            doubt = REAL_WORD if general_frequency(typed) else 0.0
            for kind, word, extra in self._candidates(typed):
                cost = COSTS[kind] + extra + doubt + _accident(kind, word)
                gain = reads - self._surprise(word) - cost
                if gain >= GAIN:
                    best.append(Correction(at, typed, word, gain, kind))
        return _without_overlap(best)

    def _windows(self, text: str) -> Iterator[tuple[int, int]]:
        for at in range(len(text)):
            for stop in range(at + 2, min(at + LONGEST_WORD + 1, len(text)) + 1):
                if not is_han(text[stop - 1]) or not is_han(text[at]):
                    break
                yield at, stop

    def _candidates(self, typed: str) -> Iterator[tuple[str, str, float]]:
        """(kind, word, what it costs beyond its kind) for words that may have been meant."""
        if len(typed) <= LONGEST_WORD:
            yield from self._sounding_like(typed)
            yield from self._looking_like(typed)
            for at in range(len(typed) - 1):
                swapped = typed[:at] + typed[at + 1] + typed[at] + typed[at + 2 :]
                if swapped != typed and swapped in self._words:
                    yield "swapped", swapped, 0.0
        for at in range(len(typed) - 1):
            if typed[at] == typed[at + 1]:
                rest = typed[:at] + typed[at + 1 :]
                if rest in self._words:
                    yield "doubled", rest, 0.0
        for word in self._by_rest.get(typed, ()):
            yield "missing", word, 0.0

    def _sounding_like(self, typed: str) -> Iterator[tuple[str, str, float]]:
        heard = [readings(character) for character in typed]
        ways = product(*([*dict.fromkeys(folded(each) for each in one)] for one in heard))
        seen = set()
        for _, way in zip(range(SOUNDS), ways, strict=False):
            for word in self._by_sound.get(" ".join(way), ()):
                if word in seen or word == typed:
                    continue
                seen.add(word)
                changed = sum(a != b for a, b in zip(word, typed, strict=True))
                meant = syllables(word)
                exact = all(a in b for a, b in zip(meant, heard, strict=True))
                if changed == len(word) == 2 and not exact:
                    continue
                extra = FURTHER * (changed - 1)
                if changed == len(word) == 2:
                    extra += OTHER_WORD
                yield "sound" if exact else "near sound", word, extra

    def _looking_like(self, typed: str) -> Iterator[tuple[str, str, float]]:
        for at, character in enumerate(typed):
            for other in self._alike.get(character, ""):
                word = typed[:at] + other + typed[at + 1 :]
                if word in self._words:
                    yield "look", word, 0.0

    def _readings_of_parts(self, text: str) -> tuple[list[float], list[float]]:
        """Least surprise of every beginning, and of every end, of a text."""
        size = len(text)
        before = [0.0] + [math.inf] * size
        after = [math.inf] * size + [0.0]
        costs = {}
        for at in range(size):
            for stop in range(at + 1, min(at + LONGEST, size) + 1):
                cost = self._surprise(text[at:stop])
                if cost < math.inf:
                    costs[at, stop] = cost
                    before[stop] = min(before[stop], before[at] + cost)
        for at in range(size - 1, -1, -1):
            for stop in range(at + 1, min(at + LONGEST, size) + 1):
                if (at, stop) in costs:
                    after[at] = min(after[at], costs[at, stop] + after[stop])
        return before, after

    def _surprise(self, word: str) -> float:
        held = self._costs.get(word)
        if held is None:
            held = self._vocabulary.surprise(word)
            # What questions alone contain is not kept: there is no end of it.
            if word in self._words or len(word) == 1:
                self._costs[word] = held
        return held


def _accident(kind: str, word: str) -> float:
    """What the length of a word says about its being found by accident, in nats."""
    if len(word) > 2:
        return LONG
    return SHORT if kind in ("near sound", "swapped") else 0.0


def applied(text: str, corrections: Sequence[Correction]) -> str:
    """A text with corrections made."""
    for each in sorted(corrections, key=lambda c: -c.at):
        text = text[: each.at] + each.word + text[each.stop :]
    return text


def _without_overlap(found: Sequence[Correction]) -> list[Correction]:
    chosen: list[Correction] = []
    for each in sorted(found, key=lambda c: (-c.gain, c.at, c.word)):
        if all(each.stop <= other.at or each.at >= other.stop for other in chosen):
            chosen.append(each)
    return sorted(chosen, key=lambda c: c.at) if len(chosen) <= MOST else []


def look_alikes(lines: Sequence[str]) -> dict[str, str]:
    """A table of look-alikes from its lines: a character, then those it is mistaken for."""
    return {line[0]: line[1:].strip() for line in lines if line.strip() and line[0] != "#"}
