"""Collections to learn ranking on: texts as the product indexes them, and questions about them.

Half of all questions is shown: the encoder learns from them, and they are wordings in the
collection. The other half is asked. So what ranking learns to trust, it will find in use: an
encoder and wordings that know similar questions, and not this one.
"""

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from embeddings import Item
from embeddings.tokenizer import normalise
from kb.indexing import windows
from kb.wordings import Wordings
from training import corpora
from training.questions import CIRCULARS, Asked, read, read_paraphrases
from training.wordings import by_clause

# Questions asked of each collection. Our own are not more than people's consultations, because the
# encoder knows the style of those who wrote them better than it knows people's.
ASKED = 500


def shown(question: str) -> bool:
    """Whether a question is shown rather than asked."""
    return zlib.crc32(normalise(question).encode()) % 2 == 0


@dataclass(frozen=True)
class Collection:
    """What is indexed, and what is asked of it.

    Attributes:
        items: in the order of their passages.
        asked: questions, each with the keys of the passages that are right.
    """

    items: list[Item]
    asked: list[tuple[str, frozenset[str]]]


def articles(data: Path, *, ours: int = ASKED) -> Collection:
    """Single articles of law, as a search over a whole statute book meets them.

    Args:
        ours: how many of our own questions are asked besides people's consultations.
    """
    written = [each for each in read() if not each.held_out and each.field != CIRCULARS]
    wordings = Wordings.of(by_clause(data, [each for each in written if shown(each.question)]))
    # The same look-up, with the clause itself in place of its questions.
    names = Wordings.of(
        by_clause(
            data, [Asked("|".join(each.clause), *each.clause, each.field) for each in written]
        )
    )
    items: list[Item] = []
    answering: dict[str, set[str]] = {}
    for number, (title, text) in enumerate(corpora.statute_book(data)):
        key = str(number)
        items += [Item(key, part, title, key) for part in windows(text)]
        items += [Item(key, each, "", key, wording=True) for each in wordings.asking_for(text)]
        answering.setdefault(title, set()).add(key)
        for name in names.asking_for(text):
            answering.setdefault(name, set()).add(key)
    asked = [
        (each.question, frozenset(answering["|".join(each.clause)]))
        for each in _some(written)
        if not shown(each.question) and "|".join(each.clause) in answering
    ][:ours]
    asked += [
        (each.question, frozenset().union(*(answering[title] for title, _ in each.articles)))
        for each in corpora.consultations(data)
        if not shown(each.question) and each.articles
    ]
    return Collection(items, asked)


def circulars(data: Path) -> Collection:
    """Policy documents of many passages; right is any passage of the document asked about."""
    items: list[Item] = []
    parts: dict[str, set[str]] = {}
    for number, (title, text) in enumerate(corpora.circulars(data)):
        for at, part in enumerate(windows(text)):
            key = f"{number}/{at}"
            items.append(Item(key, part, title, str(number)))
            parts.setdefault(title, set()).add(key)
    asked = [
        (each.question, frozenset(parts[normalise(each.law)]))
        for each in _some(read())
        if each.field == CIRCULARS and not each.held_out and normalise(each.law) in parts
    ]
    return Collection(items, asked[: 3 * ASKED])


def entries() -> Collection:
    """Reviewed answers and, as entries without an answer, the groups of paraphrases."""
    items: list[Item] = []
    asked: list[tuple[str, frozenset[str]]] = []
    groups: list[tuple[tuple[str, ...], str, tuple[str, ...]]] = [
        (wordings, answer, ()) for wordings, answer in corpora.entries()
    ]
    groups += [((group.question, *group.same), "", group.different) for group in read_paraphrases()]
    for number, (wordings, answer, others) in enumerate(groups):
        key = str(number)
        known, unknown = _split(wordings)
        items += [Item(key, each, "", key, wording=True) for each in known]
        if answer:
            items += [Item(key, part, wordings[0], key) for part in windows(answer)]
        asked += [(each, frozenset([key])) for each in unknown]
        for at, other in enumerate(others):
            items.append(Item(f"{key}/{at}", other, "", f"{key}/{at}", wording=True))
    return Collection(items, asked)


def _split(wordings: Sequence[str]) -> tuple[list[str], list[str]]:
    """The wordings shown, at least the first one, and those asked."""
    known = [each for at, each in enumerate(wordings) if at == 0 or shown(each)]
    return known, [each for each in wordings if each not in known]


def _some(asked: Sequence[Asked]) -> Iterator[Asked]:
    """Questions in an order that has nothing to do with their fields."""
    yield from random.Random(0).sample(list(asked), len(asked))
