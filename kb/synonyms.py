"""What people say → what officials write: groups of synonyms with a direction.

Hides how overlapping words are told apart: the longest wins, and official terms take part, so
that nothing is added for a word inside one.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from embeddings import normalise

# An official term is added where the base uses it at least so many times as often as the other.
CLEARLY = 5.0


@dataclass(frozen=True)
class Added:
    """An official term to look for besides, and the word in the question that it stands for."""

    said: str
    official: str


class Synonyms:
    """Official terms for other words.

    Args:
        said: official terms for each word that people say.

    Attributes:
        version: these never change; see `kb.thesaurus` for some that do.
    """

    version = 0

    def __init__(self, said: Mapping[str, Iterable[str]]) -> None:
        self._said = {normalise(word): tuple(terms) for word, terms in said.items()}
        official = {normalise(term) for terms in self._said.values() for term in terms}
        self._longest = max(map(len, (*self._said, *official)), default=0)
        self._official = official

    @classmethod
    def load(cls, path: Path) -> "Synonyms":
        """Read the groups of a file; see `read_groups`."""
        said: dict[str, list[str]] = {}
        for official, words in read_groups(path).items():
            for word in words:
                said.setdefault(word, []).append(official)
        return cls(said)

    @property
    def words(self) -> tuple[str, ...]:
        """Every word of every group."""
        return (*self._said, *self._official)

    def added(self, text: str, used: Callable[[str], float]) -> list[Added]:
        """Official terms that a text means and does not have, in the order of its words.

        Args:
            used: how often the base uses a word; where it uses the official term not clearly more
                often than the other one, the text is understood as it stands.
        """
        text = normalise(text)
        found: list[Added] = []
        at = 0
        while at < len(text):
            word = self._word_at(text, at)
            for term in self._said.get(word, ()) if word not in self._official else ():
                if normalise(term) not in text and used(term) > CLEARLY * used(word):
                    found.append(Added(word, term))
            at += len(word) or 1
        return list(dict.fromkeys(found))

    def _word_at(self, text: str, at: int) -> str:
        for size in range(min(self._longest, len(text) - at), 0, -1):
            word = text[at : at + size]
            if word in self._official or word in self._said:
                return word
        return ""


def read_groups(path: Path) -> dict[str, list[str]]:
    """Said words by official term, from JSON lines {"official": …, "said": [word, …]}."""
    groups: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        group = json.loads(line)
        groups.setdefault(group["official"], []).extend(group["said"])
    return groups
