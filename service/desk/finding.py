"""What is being typed → entries, then clauses, for somebody who is on the phone.

Hides how suggestions (what is written like that) and search (what means that) are merged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kb.library import Library
from kb.passages import Passage
from kb.search import LEAST, Scope, relevant
from kb.suggestions import Suggestions
from kb.understanding import Understanding, Understood

# As many as one can take in at a glance, and pick with one digit.
SHOWN = 9
CLAUSES = 3
# From this probability on an entry is shown even if it has none of the words.
LIKELY = 0.2
# Shared places count for more than high ones (reciprocal rank fusion).
DAMPING = 4
SUGGESTED = 8
TITLES = 2
# With fewer questions that are written like the text, it may be letters or misspelt.
FEW = 3
# Of what a text may stand for, so many are looked up.
LOOKED_UP = 2


@dataclass(frozen=True)
class Suggestion:
    """What somebody who is typing may want: a `question` of the base, or a `term` to look for."""

    text: str
    kind: str


class Finder:
    """Finds while a question is still being typed."""

    def __init__(
        self, understanding: Understanding, library: Library, suggestions: Suggestions
    ) -> None:
        self._understanding = understanding
        self._search = understanding.search
        self._library = library
        self._suggestions = suggestions

    def find(self, text: str, scope: Scope) -> tuple[Passage, ...]:
        """At most `SHOWN` passages for a text of any length, entries first; none for no text."""
        if not text.strip():
            return ()
        understood = self._meant(text, scope)
        text, also = understood.text, understood.also
        found = self._search.passages(text, scope, limit=SHOWN, also=also).passages
        entries = [p for p in found if p.kind == "entry" and _likely(p)]
        clauses = [p for p in relevant(found) if p.kind == "clause"][:CLAUSES]
        written = self._suggestions.questions(text, scope, limit=SHOWN - CLAUSES)
        merged = _merged([f"entry:{each.entry_id}" for each in written], [p.key for p in entries])
        known = {passage.key: passage for passage in entries}
        missing = [key for key in merged if key not in known]
        for passage in self._library.passages(missing, scope.as_of):
            known[passage.key] = passage
        shown = [known[key] for key in merged if key in known]
        return (*shown[: SHOWN - CLAUSES], *clauses)

    def suggest(self, text: str, scope: Scope) -> list[Suggestion]:
        """At most `SUGGESTED` ways to go on from the beginning or a part of a question.

        What is written like the text comes first; if little is, what it may stand for, and the
        titles of documents.
        """
        found = self._questions(text, scope)
        if len(found) < FEW:
            meant = self._understanding.completions(text)
            found += [Suggestion(each, "term") for each in meant]
            for each in meant[:LOOKED_UP]:
                if len(found) < SUGGESTED:
                    found += self._questions(each, scope)
        if len(found) < SUGGESTED:
            titles = self._suggestions.titles(text, scope, limit=TITLES)
            found += [Suggestion(title, "term") for title in titles]
        return list({each.text: each for each in reversed(found)}.values())[::-1][:SUGGESTED]

    def _questions(self, text: str, scope: Scope) -> list[Suggestion]:
        written = self._suggestions.questions(text, scope, limit=SUGGESTED)
        return [Suggestion(each.question, "question") for each in written]

    def _meant(self, text: str, scope: Scope) -> Understood:
        """What to look for; of letters that are still being typed, the likeliest word."""
        understood = self._understanding.understand(text, scope)
        if understood.rewrites or not text.isascii():
            return understood
        if self._suggestions.questions(text, scope, limit=1):
            return understood
        return Understood(next(iter(self._understanding.completions(text)), text))


def _likely(passage: Passage) -> bool:
    """Whether an entry has something of the text, or may well be meant by other words."""
    return passage.breadth >= LEAST or (passage.breadth > 0 and passage.confidence >= LIKELY)


def _merged(*rankings: Sequence[str]) -> list[str]:
    scores: dict[str, float] = {}
    for ranking in rankings:
        for place, key in enumerate(ranking):
            scores[key] = scores.get(key, 0.0) + 1 / (DAMPING + place)
    return sorted(scores, key=lambda key: -scores[key])
