"""Which words of a text a search matched; hides spelling variants and how an extract is chosen."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from embeddings import normalise

# Length of an extract, in characters.
EXTRACT = 110

# A text in pieces, each with whether it matched.
Pieces = Sequence[tuple[str, bool]]

_WORD = re.compile(r"\w\w")
# A number matches whole or not at all: 20 is not in 2025.
_NUMBER = re.compile(r"\d+")
# Words of most questions, which say nothing about their subject; nor does what straddles them.
_COMMON = re.compile(
    "怎么样|怎么办(?!理)|怎么|什么|如何|多少|多久|哪些|哪里|可以|是否|能不能|不能|需要|应该|我的|一个"
)


def highlighted(text: str, *sought: str) -> Pieces:
    """A text in pieces, each with whether it is in what was sought (two characters or more)."""
    pairs = set().union(*map(_pairs, sought)) if sought else set()
    folded = "".join(map(_fold, text))
    hit = [False] * len(text)
    for at in range(len(text) - 1):
        if folded[at : at + 2] in pairs:
            hit[at] = hit[at + 1] = True
    for number in _NUMBER.finditer(folded):
        if number[0] in pairs:
            hit[number.start() : number.end()] = [True] * len(number[0])
    pieces: list[tuple[str, bool]] = []
    begin = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or hit[at] != hit[begin]:
            pieces.append((text[begin:at], hit[begin]))
            begin = at
    return pieces


def extract(text: str, *sought: str) -> Pieces:
    """The part of a text that has most of what was sought; cut ends carry an ellipsis."""
    flat = " ".join(text.split())
    start = _densest(flat, sought) if len(flat) > EXTRACT else 0
    shown = highlighted(flat[start : start + EXTRACT], *sought)
    cut_off = start + EXTRACT < len(flat)
    return [*([("…", False)] if start else []), *shown, *([("…", False)] if cut_off else [])]


def contains(text: str, word: str) -> bool:
    """Whether a text has a word, in any spelling variant."""
    return normalise(word) in normalise(text)


def _pairs(sought: str) -> set[str]:
    plain = normalise(sought)
    parts = _COMMON.split(plain)
    pairs = {part[at : at + 2] for part in parts for at in range(len(part) - 1)}
    words = {pair for pair in pairs if _WORD.fullmatch(pair) and not pair.isdigit()}
    return words | set(_NUMBER.findall(plain))


@lru_cache(maxsize=20_000)
def _fold(character: str) -> str:
    """A character as it is compared, always one: places in the text stay as they are."""
    plain = normalise(character)
    return plain if len(plain) == 1 else character


def _densest(text: str, sought: Iterable[str]) -> int:
    """Where the stretch of a text that has most of the words begins, at a sentence if it can."""
    hits = [matched for piece, matched in highlighted(text, *sought) for _ in piece]
    best, held = 0, sum(hits[:EXTRACT])
    most = held
    for start in range(1, len(text) - EXTRACT + 1):
        held += hits[start + EXTRACT - 1] - hits[start - 1]
        if held > most:
            best, most = start, held
    if not most:
        return 0
    first = hits.index(True, best)
    begin = max(best, first - EXTRACT // 3)
    stop = max(text.rfind(mark, begin, first) for mark in "。；！？")
    return stop + 1 if stop >= 0 else begin if begin > EXTRACT // 6 else 0
