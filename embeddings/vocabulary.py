"""Words that a collection of texts uses, and how often; hides segmentation and general language.

A word's weight is what this collection says; the segmenter's dictionary adds what the language
says, so that a common word which the collection lacks is not taken for a mistake.
"""

import heapq
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from operator import itemgetter

from embeddings.tokenizer import STOP_WORDS, general_frequency, general_total, normalise, segment

LONGEST = 8
# Neighbouring words that stand together this often are a term of their own (失业 + 金).
TOGETHER = 3.0
COMPOUND = 3
# Beyond this many terms the rarest are forgotten.
MOST = 200_000
# How much the collection's use of a word counts beside the language's.
OWN_SHARE = 0.7
# How much it counts which word stands before.
FOLLOWING = 0.6
# Probability of a character that nobody uses.
UNHEARD = 1e-9

_HAN_WORD = re.compile(r"[\u3400-\u9fff]+")


class Vocabulary:
    """Counts of words and of terms made of several words; grows by `learn`."""

    def __init__(self) -> None:
        self._words: dict[str, float] = defaultdict(float)
        self._compounds: dict[str, float] = defaultdict(float)
        self._pairs: dict[tuple[str, str], float] = defaultdict(float)
        self._foreign: dict[str, float] = {}
        self._latin: set[str] = set()
        self._total = 1.0

    def __len__(self) -> int:
        return len(self._words)

    def learn(self, texts: Iterable[str], *, weight: float = 1.0) -> None:
        """Count the words of some texts, each occurrence with a weight."""
        for text in texts:
            run: list[str] = []
            before = ""
            for word in segment(normalise(text)):
                if not _HAN_WORD.fullmatch(word):
                    if word.isascii() and word.isalnum():
                        self._latin.add(word)
                    run, before = [], ""
                    continue
                self._words[word] += weight
                if before:
                    self._pairs[before, word] += weight
                before = word
                self._total += weight
                if word in STOP_WORDS:
                    run = []
                    continue
                run.append(word)
                for size in range(2, min(COMPOUND, len(run)) + 1):
                    term = "".join(run[-size:])
                    if len(term) <= LONGEST:
                        self._compounds[term] += weight
        if len(self._pairs) > MOST:
            likely = heapq.nlargest(MOST // 2, self._pairs.items(), key=itemgetter(1))
            self._pairs = defaultdict(float, likely)
        if len(self._compounds) > MOST:
            # Made beside the old one: questions are being read with it.
            kept = heapq.nlargest(MOST // 2, self._compounds.items(), key=itemgetter(1))
            self._compounds = defaultdict(float, kept)

    def add(self, word: str, weight: float) -> None:
        """Make a word known that the collection may lack, as if used with a weight at least."""
        self._foreign[word] = weight

    def used(self, word: str) -> float:
        """How often the collection itself uses a word or a term, 0 for never."""
        together = self._compounds.get(word, 0.0)
        return max(self._words.get(word, 0.0), together if together >= TOGETHER else 0.0)

    def weight(self, word: str) -> float:
        """How often a word or a term is used, or is taken to be by `add`; 0 for never."""
        return max(self.used(word), self._foreign.get(word, 0.0))

    def holds_latin(self, word: str) -> bool:
        """Whether a Latin word or abbreviation, in lower case, stands in the collection."""
        return word in self._latin

    def terms(self, least: float = 1.0) -> dict[str, float]:
        """Words and terms of two to `LONGEST` characters with at least a weight."""
        found = {word: n for word, n in self._foreign.items() if n >= least}
        for word, count in self._words.items():
            if count >= least:
                found[word] = max(found.get(word, 0.0), count)
        for term, count in self._compounds.items():
            if count >= max(least, TOGETHER):
                found[term] = max(found.get(term, 0.0), count)
        return {word: n for word, n in found.items() if 1 < len(word) <= LONGEST}

    def characters(self, least: float = 1.0) -> dict[str, float]:
        """Words of one character with at least a weight."""
        return {word: n for word, n in self._words.items() if n >= least and len(word) == 1}

    def surprise_after(self, before: str, word: str) -> float:
        """`surprise` of a word that follows another one; the first word follows nothing."""
        alone = self.surprise(word)
        held = self._words.get(before, 0.0)
        together = self._pairs.get((before, word), 0.0)
        if not together or not held:
            return alone - math.log(1 - FOLLOWING)
        share = FOLLOWING * min(1.0, together / held) + (1 - FOLLOWING) * math.exp(-alone)
        return -math.log(share)

    def surprise(self, word: str) -> float:
        """-log of a word's probability, in nats; infinite for a word of two that nobody uses."""
        own = self.weight(word) / self._total
        general = general_frequency(word) / general_total()
        share = OWN_SHARE * own + (1 - OWN_SHARE) * general
        if share <= 0.0:
            return -math.log(UNHEARD) if len(word) == 1 else math.inf
        return -math.log(share)
