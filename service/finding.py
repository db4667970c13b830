"""What is being typed → entries, then clauses, for somebody who is on the phone.

Hides how suggestions (what is written like that) and search (what means that) are merged.
"""

from collections.abc import Sequence

from kb.library import Library
from kb.passages import Passage
from kb.regions import Regions
from kb.search import LEAST, Scope, Search, relevant

# As many as one can take in at a glance, and pick with one digit.
SHOWN = 9
CLAUSES = 3
# From this probability on an entry is shown even if it has none of the words.
LIKELY = 0.2
# Shared places count for more than high ones (reciprocal rank fusion).
DAMPING = 4


class Finder:
    """Finds while a question is still being typed."""

    def __init__(self, search: Search, library: Library, regions: Regions) -> None:
        self._search = search
        self._library = library
        self._regions = regions

    def find(self, text: str, scope: Scope) -> tuple[Passage, ...]:
        """At most `SHOWN` passages for a text of any length, entries first; none for no text."""
        if not text.strip():
            return ()
        found = self._search.passages(text, scope, limit=SHOWN).passages
        entries = [p for p in found if p.kind == "entry" and _likely(p)]
        clauses = [p for p in relevant(found) if p.kind == "clause"][:CLAUSES]
        written = self._library.matches(text, scope.as_of, limit=SHOWN - CLAUSES)
        merged = _merged([f"entry:{each.entry_id}" for each in written], [p.key for p in entries])
        known = {passage.key: passage for passage in entries}
        missing = [key for key in merged if key not in known]
        for passage in self._library.passages(missing, scope.as_of):
            if self._fits(passage, scope):
                known[passage.key] = passage
        shown = [known[key] for key in merged if key in known]
        return (*shown[: SHOWN - CLAUSES], *clauses)

    def _fits(self, passage: Passage, scope: Scope) -> bool:
        path = self._regions.path(scope.region) if scope.region else ()
        here = not scope.region or passage.region_code in (None, *path)
        return here and passage.validity is scope.validity


def _likely(passage: Passage) -> bool:
    """Whether an entry has something of the text, or may well be meant by other words."""
    return passage.breadth >= LEAST or passage.confidence >= LIKELY


def _merged(*rankings: Sequence[str]) -> list[str]:
    scores: dict[str, float] = {}
    for ranking in rankings:
        for place, key in enumerate(ranking):
            scores[key] = scores.get(key, 0.0) + 1 / (DAMPING + place)
    return sorted(scores, key=lambda key: -scores[key])
