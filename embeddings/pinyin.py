"""Letters typed for Chinese → the words meant: full pinyin, initials, a mixture; hides the search.

Words lie in a tree of syllables. Typed letters walk down it as whole syllables, as their initials
or, at the end of what was typed so far, as a beginning. Which words follow each other best is
decided by how often the collection uses them, alone and after each other.
"""

import heapq
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import product

from embeddings.sounds import folded, is_han, readings, syllables
from embeddings.vocabulary import Vocabulary

# What a syllable costs, in nats, that is typed as its initial, or that only sounds alike.
INITIAL = 3.0
SIMILAR = 2.5
# What a last syllable costs that is only begun.
BEGUN = 1.0
# What each syllable costs that is not typed yet, and how many words are offered for a beginning.
LEFT_OUT = 0.5
GOING_ON = 4
# What a character of one costs beyond its rarity: people type words.
LONELY = 2.0
# Ways to read that are followed from each place.
BEAM = 8
# Words that are tried from one place to another.
WORDS = 24
# Words in the tree; the rarest of more are left out.
MOST_WORDS = 80_000
LONGEST_SYLLABLE = 6
# Letters and characters of a piece that is read at once.
LONGEST_PIECE = 48
# So many letters at most may be initials.
LONGEST_INITIALS = 14
# Among more letters only so many at the end may be.
LAST_INITIALS = 3
FIRST_CHARACTER = "\u3400"
_LETTERS = re.compile(r"[a-z]+")


@dataclass(slots=True)
class _Node:
    """A place in the tree of syllables: what may follow, words that end here, and go on."""

    children: dict[str, "_Node"] = field(default_factory=dict)
    by_sound: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    by_letter: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    words: list[str] = field(default_factory=list)
    beneath: list[str] = field(default_factory=list)

    def child(self, syllable: str) -> "_Node":
        """The node after a syllable, made when new."""
        held = self.children.get(syllable)
        if held is None:
            held = self.children[syllable] = _Node()
            self.by_sound[folded(syllable)].append(syllable)
            self.by_letter[syllable[0]].append(syllable)
        return held


@dataclass(frozen=True)
class Reading:
    """One way to read what was typed.

    Attributes:
        words: what was meant, word by word.
        cost: how improbable it is, in nats.
        initials: how many syllables were typed as an initial only.
    """

    words: tuple[str, ...]
    cost: float
    initials: int

    @property
    def text(self) -> str:
        """The words as one text."""
        return "".join(self.words)

    @property
    def strangeness(self) -> float:
        """Cost a character, without what it costs to type initials."""
        return (self.cost - INITIAL * self.initials) / max(1, len(self.text))


@dataclass(frozen=True, slots=True, order=True)
class _Step:
    stop: int
    word: str
    cost: float
    initials: int


class PinyinReader:
    """Reads letters with the words of one collection.

    Args:
        fuzzy: whether sounds that many speakers mix up count as alike.
    """

    def __init__(self, vocabulary: Vocabulary, *, fuzzy: bool = True) -> None:
        self._vocabulary = vocabulary
        self._fuzzy = fuzzy
        self._root = _Node()
        words = vocabulary.terms(1.0) | vocabulary.characters(2.0)
        for word in heapq.nlargest(MOST_WORDS, words, key=lambda each: words[each]):
            if not is_han(word):
                continue
            node = self._root
            for syllable in syllables(word):
                if len(node.beneath) < GOING_ON:
                    node.beneath.append(word)
                node = node.child(syllable)
            node.words.append(word)

    def strict(self) -> "PinyinReader":
        """The same words for people who mix up no sounds."""
        reader = copy(self)
        reader._fuzzy = False
        return reader

    def read(
        self, typed: str, *, most: int = 1, initials: bool = True, unfinished: bool = False
    ) -> list[Reading]:
        """The most probable ways to read a piece of letters and characters, the best first.

        Args:
            typed: lower-case letters and Chinese characters; spaces and apostrophes end syllables.
            most: how many at most.
            initials: whether a letter may stand for a syllable.
            unfinished: whether the last word and its last syllable may be only begun.
        """
        atoms, breaks = _atoms(typed.replace("ü", "v"))
        if not atoms or len(atoms) > LONGEST_PIECE:
            return []
        # Nobody types very much by initials, and the ways to read them multiply.
        many = sum(atom < FIRST_CHARACTER for atom in atoms) > LONGEST_INITIALS
        since = max(0, len(atoms) - LAST_INITIALS) if many else 0
        piece = _Piece("".join(atoms), breaks, since if initials else len(atoms), unfinished)
        states: list[list[Reading]] = [[] for _ in range(len(atoms) + 1)]
        states[0] = [Reading((), 0.0, 0)]
        for at in range(len(atoms)):
            if not states[at]:
                continue
            steps = self._likely(piece, at)
            best = heapq.nsmallest(BEAM, states[at], key=_cost)
            for held, step in product(best, steps):
                before = held.words[-1] if held.words else ""
                cost = held.cost + step.cost + self._vocabulary.surprise_after(before, step.word)
                states[step.stop].append(
                    Reading((*held.words, step.word), cost, held.initials + step.initials)
                )
        distinct: dict[str, Reading] = {}
        for each in sorted(states[-1], key=_cost):
            distinct.setdefault(each.text, each)
            if len(distinct) == most:
                break
        return list(distinct.values())

    def _likely(self, piece: "_Piece", at: int) -> list[_Step]:
        """The most probable words from one place to each other."""
        by_stop: dict[int, list[tuple[float, str, _Step]]] = defaultdict(list)
        for step in self._steps(piece, at):
            cost = step.cost + self._vocabulary.surprise(step.word)
            by_stop[step.stop].append((cost, step.word, step))
        return [each[2] for found in by_stop.values() for each in heapq.nsmallest(WORDS, found)]

    def _steps(self, piece: "_Piece", at: int) -> Iterator[_Step]:
        """Words that may begin at a place; a character that no word has stands for itself."""
        typed = piece.text[at]
        seen = False
        stack = [(self._root, at, 0.0, 0, "")]
        while stack:
            node, place, cost, initials, pattern = stack.pop()
            for word in node.words:
                if _agrees(word, pattern):
                    seen = seen or word == typed
                    lonely = LONELY if len(word) == 1 and pattern == "." else 0.0
                    yield _Step(place, word, cost + lonely, initials)
            if place == len(piece.text) and piece.unfinished and len(pattern) > 1:
                for word in node.beneath:
                    left = len(word) - len(pattern)
                    if _agrees(word, pattern + "." * left):
                        yield _Step(place, word, cost + LEFT_OUT * left, initials)
            if place < len(piece.text):
                for syllable, stop, extra, initial in self._onward(piece, place, node):
                    mark = piece.text[place] if piece.text[place] >= FIRST_CHARACTER else "."
                    stack.append(
                        (
                            node.children[syllable],
                            stop,
                            cost + extra,
                            initials + initial,
                            pattern + mark,
                        )
                    )
        if typed >= FIRST_CHARACTER and not seen:
            yield _Step(at + 1, typed, 0.0, 0)

    def _onward(
        self, piece: "_Piece", place: int, node: _Node
    ) -> Iterator[tuple[str, int, float, int]]:
        """(syllable, where it ends, what it costs, whether it is an initial) after a node."""
        first = piece.text[place]
        if first >= FIRST_CHARACTER:
            for sound in readings(first):
                if sound in node.children:
                    yield sound, place + 1, 0.0, 0
            return
        until = piece.end_of_letters(place)
        for stop in range(place + 1, min(until, place + LONGEST_SYLLABLE) + 1):
            letters = piece.text[place:stop]
            if letters in node.children:
                yield letters, stop, 0.0, 0
            if self._fuzzy:
                for syllable in node.by_sound.get(folded(letters), ()):
                    if syllable != letters:
                        yield syllable, stop, SIMILAR, 0
        yield from _abbreviated(piece, place, node)


def _abbreviated(piece: "_Piece", place: int, node: _Node) -> Iterator[tuple[str, int, float, int]]:
    """The same, for syllables that are typed in part: begun, or by their initial."""
    until = piece.end_of_letters(place)
    rest = piece.text[place:until]
    begun = piece.unfinished and until == len(piece.text) and len(rest) > 1
    for syllable in node.by_letter.get(rest[0], ()):
        if begun and syllable.startswith(rest) and syllable != rest:
            yield syllable, until, BEGUN, 0
        if place >= piece.initials_since and syllable != rest[0]:
            yield syllable, place + 1, INITIAL, 1
            if syllable[1:2] == "h" and rest[1:2] == "h" and syllable != rest[:2]:
                yield syllable, place + 2, INITIAL, 1


@dataclass(frozen=True)
class _Piece:
    """What was typed, without its spaces, and where they were."""

    text: str
    breaks: frozenset[int]
    initials_since: int
    unfinished: bool

    def end_of_letters(self, place: int) -> int:
        """Where the letters from a place on end, at a space or a character."""
        found = _LETTERS.match(self.text, place)
        stop = found.end() if found else place
        return min((each for each in self.breaks if place < each < stop), default=stop)


def _atoms(typed: str) -> tuple[list[str], frozenset[int]]:
    atoms: list[str] = []
    breaks = set()
    for character in typed:
        if character in " '’":
            breaks.add(len(atoms))
        else:
            atoms.append(character)
    return atoms, frozenset(breaks)


def _agrees(word: str, pattern: str) -> bool:
    """Whether a word has the characters that were typed as such."""
    return all(mark in (".", character) for mark, character in zip(pattern, word, strict=True))


def _cost(reading: Reading) -> float:
    return reading.cost


def pieces(text: str) -> Sequence[tuple[int, int]]:
    """Bounds of the stretches of a normalised text in which letters may stand for characters.

    Letters come with the characters on both sides; digits and punctuation end a stretch.
    """
    return [
        found.span()
        for found in _STRETCH.finditer(text)
        if any("a" <= each.lower() <= "z" for each in found[0])
    ]


_STRETCH = re.compile(
    r"[\u3400-\u9fffA-Za-züÜ](?:[\u3400-\u9fffA-Za-züÜ'’ ]*[\u3400-\u9fffA-Za-züÜ])?"
)
