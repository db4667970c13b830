"""Question + scope → passages in force, best first; hides over-fetching, dates and regions.

The index only narrows: every hit is read again from the database, which alone decides whether
it is published, in force on the day, and meant for the region.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import zip_longest

from embeddings import Evidence, Explanation, Hit, calibration, confidence
from kb.db import Database
from kb.index import Index
from kb.parsing import subdivide
from kb.passages import Citation, Passage, load_passages
from kb.regions import Regions
from kb.validity import Validity

log = logging.getLogger(__name__)

# The first look fetches this many hits for each passage wanted; filters may ask for more.
OVERFETCH = 4
DEEPEST = 2000
# From this agreement on a question is an entry's own wording.
SAME = 0.8
# From this agreement with a negative phrasing on, an entry is out, unless it fits still better.
REFUSED = 0.6
# Scores are log-odds. Of two passages that fit alike, the one made for the nearer region wins;
# the entry asked for in its own words wins over all others, and one refused by its author loses.
NEARER = 0.5
OWN_WORDS = 20.0
UNWANTED = -20.0
# A clause longer than this is quoted in part.
QUOTE_UP_TO = 600
# Passages whose confidence is worked out; answers and options are chosen among them.
JUDGED = 20
# A result contains at least this share of the question, and of what the best one contains of it.
LEAST = 0.25
RELEVANT = 0.6
FACETS = ("department", "topic", "region", "kind", "validity", "year", "audience", "tag")


@dataclass(frozen=True)
class Scope:
    """What a question may be answered from.

    Attributes:
        as_of: the day whose law applies.
        document_id: only clauses of this document.
        region: code; passages for it, for what it lies in, and national ones qualify. None admits
            every region.
        validity: None admits every validity.
    """

    as_of: date
    region: str | None = None
    document_id: int | None = None
    department: str = ""
    topic: str = ""
    kind: str = ""
    year: int | None = None
    tag: str = ""
    audience: str = ""
    validity: Validity | None = Validity.IN_FORCE


@dataclass(frozen=True)
class Found:
    """Passages in scope, best first; those that only their validity kept out; and the time."""

    passages: tuple[Passage, ...]
    rejected: tuple[Passage, ...]
    milliseconds: float


class Search:
    """Reads the knowledge base through the index."""

    def __init__(self, db: Database, index: Index, regions: Regions) -> None:
        self._db = db
        self._index = index
        self._regions = regions

    def passages(
        self, text: str, scope: Scope, *, limit: int = 10, per_document: int = 3, also: str = ""
    ) -> Found:
        """Rank what may answer a question.

        Args:
            limit: how many passages at most.
            per_document: how many clauses of one document at most.
            also: official words for what the question says in others, to look for besides.
        """
        began = time.perf_counter()
        names = self._regions.mentioned(text)
        found: list[list[Passage]] = []
        rejected: list[list[Passage]] = []
        for kind, retriever in (("entry", self._index.entries), ("clause", self._index.clauses)):
            if scope.kind in ("", kind):
                find = partial(
                    retriever.search, text, per_group=per_document, names=names, also=also
                )
                inside, outside = self._of_kind(
                    find, text, scope, limit=limit, deepest=min(DEEPEST, len(retriever))
                )
                found.append(inside[:limit])
                rejected.append(outside[:limit])
        spent = (time.perf_counter() - began) * 1000
        return Found(tuple(_interleave(found)[:limit]), tuple(_interleave(rejected)[:limit]), spent)

    def quote(self, text: str, passage: Passage) -> Citation:
        """What to quote of a clause for a question: all of it, or of a long one the best part.

        A part is the paragraph (款) or item (项, with its lead-in) that has most of the question;
        the locator then names it.
        """
        whole = passage.citations[0]
        parts = subdivide(whole.text) if len(whole.text) > QUOTE_UP_TO else []
        if len(parts) < 2:
            return whole
        covered = self._index.clauses.covered
        label, part = max(parts, key=lambda row: covered(text, row[1]))
        lead_label = label.partition("第（")[0]
        lead = next((lead for name, lead in parts if name == lead_label and name != label), "")
        quoted = f"{lead}\n{part}" if lead else part
        return replace(whole, locator=f"{whole.locator}{label}", text=quoted)

    def explain(self, text: str, key: str) -> Explanation | None:
        """Why a passage was found; None for a key that the question does not find."""
        retriever = self._index.entries if key.startswith("entry:") else self._index.clauses
        return retriever.explain(text, key, self._regions.mentioned(text))

    def _of_kind(
        self,
        find: Callable[[int], list[Hit]],
        text: str,
        scope: Scope,
        *,
        limit: int,
        deepest: int,
    ) -> tuple[list[Passage], list[Passage]]:
        """Passages of one kind in scope, and those that only their validity kept out."""
        path = self._regions.path(scope.region) if scope.region else ()
        wanted = limit * OVERFETCH
        while True:
            hits = find(wanted)
            found, rejected = self._read(text, hits, scope, path)
            # Fewer hits than wanted may mean that one long document took all the places.
            if len(found) >= limit or wanted >= deepest:
                return found, rejected
            wanted = min(wanted * 4, DEEPEST)

    def _read(
        self, text: str, hits: Sequence[Hit], scope: Scope, path: Sequence[str]
    ) -> tuple[list[Passage], list[Passage]]:
        with self._db.reading() as session:
            loaded = load_passages(session, [hit.key for hit in hits], scope.as_of)
        found, rejected = [], []
        for hit in hits:
            passage = loaded.get(hit.key)
            if passage is None or not _matches(passage, scope, self._regions):
                continue
            if scope.region and passage.region_code not in (None, *path):
                continue
            if scope.document_id and not _is_clause_of(passage, scope.document_id):
                continue
            passage = self._weigh(text, passage, hit, path)
            if scope.validity is None or passage.validity is scope.validity:
                found.append(passage)
            else:
                rejected.append(passage)
        # What is out of force has what is in force for a rival as well: where a document that was
        # repealed is the only one, it need not be what is asked about.
        inside = _rank(found)
        return inside, _rank(rejected, inside)

    def _weigh(self, text: str, passage: Passage, hit: Hit, path: Sequence[str]) -> Passage:
        nearness = 0.0
        if passage.region_code in path:
            nearness = NEARER * (len(path) - path.index(passage.region_code))
        agreement, wording = 0.0, ""
        if passage.entry is not None:
            agreement, wording = self._best(text, passage.entry.wordings)
            against, _ = self._best(text, passage.entry.negatives)
            if against > max(agreement, REFUSED):
                # The author said so: this question is not for this entry.
                return replace(passage, score=hit.score + UNWANTED)
        return replace(
            passage,
            score=hit.score + nearness + (OWN_WORDS * agreement if agreement >= SAME else 0.0),
            agreement=agreement,
            coverage=hit.coverage,
            breadth=hit.breadth,
            similarity=hit.similarity,
            closeness=hit.closeness,
            wording=wording,
        )

    def _best(self, text: str, wordings: Iterable[str]) -> tuple[float, str]:
        agreement: Callable[[str, str], float] = self._index.entries.agreement
        return max(((agreement(text, wording), wording) for wording in wordings), default=(0.0, ""))


def relevant(passages: Sequence[Passage]) -> list[Passage]:
    """Those that contain enough of the question to be shown as results, in the same order."""
    most = max((passage.breadth for passage in passages), default=0.0)
    least = max(LEAST, RELEVANT * most)
    return [passage for passage in passages if passage.breadth >= least]


def facets(passages: Iterable[Passage], regions: Regions) -> dict[str, list[tuple[str, int]]]:
    """Count passages by each dimension, the most frequent first."""
    counters: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for passage in passages:
        for name, values in _dimensions(passage, regions).items():
            counters[name].update(value for value in values if value)
    return {name: counter.most_common(20) for name, counter in counters.items()}


def _dimensions(passage: Passage, regions: Regions) -> Mapping[str, Sequence[str]]:
    day = passage.effective_on or passage.published_on
    return {
        "department": (passage.department,),
        "topic": (passage.topic,),
        "region": (regions.name(passage.region_code),),
        "kind": (passage.kind,),
        "validity": (passage.validity.value,),
        "year": (str(day.year) if day else "",),
        "audience": tuple(passage.audience.split(",")),
        "tag": passage.tags,
    }


def _matches(passage: Passage, scope: Scope, regions: Regions) -> bool:
    """Whether a passage agrees with every filter of a scope but region and validity."""
    asked = {
        "department": scope.department,
        "topic": scope.topic,
        "kind": scope.kind,
        "year": str(scope.year) if scope.year else "",
        "tag": scope.tag,
        "audience": scope.audience,
    }
    if not any(asked.values()):
        return True
    held = _dimensions(passage, regions)
    return all(value in held[name] for name, value in asked.items() if value)


def _is_clause_of(passage: Passage, document_id: int) -> bool:
    return passage.kind == "clause" and passage.citations[0].document_id == document_id


def evidence_for(passage: Passage, passages: Sequence[Passage]) -> Evidence:
    """What speaks for a passage among others: its own figures and its odds among its own kind.

    The same question answered for another region is no rival: it leaves no doubt what is asked.
    """
    same = passage.title if passage.kind == "entry" else None
    rivals = [
        p.score
        for p in passages
        if p.kind == passage.kind and p.key != passage.key and p.title != same
    ]
    odds = sum(math.exp(min(score - passage.score, 50.0)) for score in rivals)
    return Evidence(
        agreement=passage.agreement,
        coverage=passage.coverage,
        breadth=passage.breadth,
        similarity=max(0.0, passage.similarity),
        closeness=passage.closeness,
        share=1.0 / (1.0 + odds),
    )


def least_confidence(kind: str, wrong_share: float) -> float:
    """Confidence from which on at most a share of the answers of a kind is expected to be wrong."""
    return calibration(kind).cut(wrong_share)


def _rank(passages: list[Passage], others: Sequence[Passage] = ()) -> list[Passage]:
    """Order passages of one kind by score and say how sure each one is.

    Args:
        others: further rivals.
    """
    ranked = sorted(passages, key=lambda passage: -passage.score)
    # Only the first few can be answers; the rest keep the confidence of being mere results.
    judged = ranked[:JUDGED]
    rivals = [*judged, *others[:JUDGED]]
    return [
        replace(p, confidence=confidence(p.kind, evidence_for(p, rivals))) for p in judged
    ] + ranked[JUDGED:]


def _interleave(lists: Sequence[Sequence[Passage]]) -> list[Passage]:
    """Take from ranked lists in turn, from the one with the surest first passage first.

    Scores of different kinds do not compare, and below the first of a kind confidences do not
    either: the second-best entry is unlikely to be the right one just because the best one is.
    """
    filled = sorted((ranked for ranked in lists if ranked), key=lambda r: -r[0].confidence)
    turns = zip_longest(*filled)
    return [passage for turn in turns for passage in turn if passage is not None]
