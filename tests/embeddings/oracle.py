"""What ranking computes, in plain Python: passage by passage, token by token, from the texts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from embeddings import Encoder, Item
from embeddings.lexical import K1, B
from embeddings.ranking import FEATURES
from embeddings.segment import KINDS
from embeddings.snapshot import LEAST_TOTAL, PAIRS, Question, Term
from embeddings.tokenizer import matter, normalise, pairs

# Shares of the columns that a figure is split into, given how far words are sure and how far the
# question is known.
SPLIT: dict[str, Callable[[float, float], float]] = {
    "_unsure": lambda sure, known: 1 - sure,
    "_sure": lambda sure, known: sure,
    "_new": lambda sure, known: 1 - known,
    "_known": lambda sure, known: known,
}


class Oracle:
    """The features of all passages of a base without dead groups, worked out one by one."""

    def __init__(
        self,
        parts: Sequence[Sequence[Item]],
        question: str,
        encoder: Encoder | None,
        *,
        trust: float,
        names: Sequence[str] = (),
    ) -> None:
        self.names = names
        self.items = [item for part in parts for item in part]
        self.question = Question.of(question)
        self.text = question
        self.trust = trust
        self.groups = list(dict.fromkeys(item.group for item in self.items))
        self.cosines = [0.0] * len(self.items)
        if encoder is not None:
            rows = encoder.encode([f"{each.title} {each.text}".strip() for each in self.items])
            halved = rows.astype(np.float16).astype(np.float64)
            self.cosines = (halved @ encoder.encode([question])[0]).tolist()
        # Tokens by kind of every item and of every group.
        self.of_items = [
            [self.tokens(kind, item.title, item.text) for item in self.items] for kind in (0, 1)
        ]
        self.of_groups = [[self.whole(kind, group) for group in self.groups] for kind in (0, 1)]

    @staticmethod
    def tokens(kind: int, *texts: str) -> list[str]:
        return [token for text in texts for token in KINDS[kind][0](normalise(text))]

    def whole(self, kind: int, group: str) -> list[str]:
        members = [item for item in self.items if item.group == group]
        texts = [item.text for item in members]
        return self.tokens(kind, members[0].title, *texts)

    @staticmethod
    def idf(corpus: Sequence[Sequence[str]], token: str, least: int = 0) -> float:
        holding, total = sum(token in text for text in corpus), max(len(corpus), least)
        return math.log(1 + (total - holding + 0.5) / (holding + 0.5))

    def bm25(
        self, by_kind: Sequence[Sequence[Sequence[str]]], at: int, kind: int | None = None
    ) -> float:
        """BM25 of one text, of all kinds of token or of one."""
        total = 0.0
        for term in self.question.terms:
            if kind not in (None, term.kind):
                continue
            corpus = by_kind[term.kind]
            text = corpus[at]
            norm = K1 * (1 - B + B * len(text) / (sum(map(len, corpus)) / len(corpus)))
            count = text.count(term.token)
            total += term.weight * self.idf(corpus, term.token) * count * (K1 + 1) / (count + norm)
        return total

    def worth(self, term: Term) -> float:
        return term.weight * self.idf(self.of_items[term.kind], term.token, LEAST_TOTAL)

    def share(self, by_kind: Sequence[Sequence[Sequence[str]]], at: int) -> float:
        terms = self.question.matter
        found = sum(self.worth(term) for term in terms if term.token in by_kind[term.kind][at])
        return found / sum(map(self.worth, terms))

    def phrase(self, at: int) -> float:
        """Longest unbroken piece, in pairs, that an item has of each run of the matter.

        A pair counts where it comes first; the run is cut where it comes again.
        """
        held, seen = set(self.of_items[PAIRS][at]), set[str]()
        pieces: list[list[bool]] = []
        for run in re.findall("[a-z0-9]+|[\u3400-\u9fff]+", normalise(matter(self.text))):
            pieces.append([])
            for pair in pairs(run):
                if pair in seen:
                    pieces.append([])
                else:
                    pieces[-1].append(pair in held)
                seen.add(pair)
        found = sum(
            max((len([*same]) for has, same in groupby(piece) if has), default=0)
            for piece in pieces
        )
        return found / len(seen)

    def numbers(self, at: int) -> float:
        asked = {pair for pair in pairs(normalise(matter(self.text))) if pair[0].isdigit()}
        held = asked & set(self.of_items[PAIRS][at])
        return len(held) / len(asked) if asked else 0.0

    def names_held(self, group: int) -> float:
        """Share of the names all of whose pairs are in the whole."""
        held = set(self.of_groups[PAIRS][group])
        found = [all(pair in held for pair in pairs(normalise(name))) for name in self.names]
        return sum(found) / max(len(found), 1)

    def closeness(self, at: int) -> float:
        """Dice's coefficient of pairs, of a wording alone."""
        asked = {term.token for term in self.question.terms if term.kind == PAIRS}
        held = self.of_items[PAIRS][at]
        common = len(asked & set(held))
        return 2 * common / (len(asked) + len(held)) if self.items[at].wording else 0.0

    def most_telling(self, key: str) -> int:
        places = [at for at, item in enumerate(self.items) if item.key == key]
        return max(places, key=lambda at: self.bm25(self.of_items, at) + self.cosines[at])

    def features(self) -> dict[str, dict[str, float]]:
        ideal = [
            (K1 + 1)
            * sum(
                term.weight * self.idf(self.of_items[kind], term.token)
                for term in self.question.terms
                if term.kind == kind
            )
            for kind in (0, 1)
        ]
        found: dict[str, dict[str, float]] = {}
        for key in dict.fromkeys(item.key for item in self.items):
            places = [at for at, item in enumerate(self.items) if item.key == key]
            said = [at for at in places if not self.items[at].wording]
            asked = [at for at in places if self.items[at].wording]
            group = self.groups.index(self.items[places[0]].group)
            parts = [max(self.bm25(self.of_items, at, kind) for at in said) for kind in (0, 1)]
            wholes = [self.bm25(self.of_groups, group, kind) for kind in (0, 1)]
            wording = max((self.bm25(self.of_items, at) for at in asked), default=0.0)
            best = self.most_telling(key)
            found[key] = {
                "lexical": sum(parts) + sum(wholes),
                "part_words": parts[0] / ideal[0],
                "part_pairs": parts[1] / ideal[1],
                "whole_words": wholes[0] / ideal[0],
                "whole_pairs": wholes[1] / ideal[1],
                "cosine": self.trust * max(self.cosines[at] for at in said),
                "wording": wording,
                "wording_cosine": self.trust * max([0.0, *(self.cosines[at] for at in asked)]),
                "closeness": self.closeness(best),
                "coverage": self.share(self.of_items, best),
                "breadth": self.share(self.of_groups, group),
                "phrase": self.phrase(best),
                "numbers": self.numbers(best),
                "names": self.names_held(group),
            }
        for name in ("lexical", "wording"):
            most = max(row[name] for row in found.values())
            for row in found.values():
                row[name] /= most or 1.0
        sure = max(row["coverage"] for row in found.values())
        best = max(row["wording_cosine"] for row in found.values())
        known = best if best >= 0.5 else 0.0
        return {key: split(row, sure, known) for key, row in found.items()}


def split(row: dict[str, float], sure: float, known: float) -> dict[str, float]:
    """The columns of `FEATURES` of a passage whose figures are given."""
    found = {}
    for name in FEATURES:
        base, mark, kind = name.rpartition("_")
        share = SPLIT.get(mark + kind)
        found[name] = row[base] * share(sure, known) if share else row[name]
    return found
