"""Question + scope → passages in force, best first; hides over-fetching, dates and regions.

The index only narrows: every hit is read again from the database, which alone decides whether
it is published, in force on the day, and meant for the region.
"""

import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import zip_longest

from sqlalchemy import select

from embeddings import Evidence, Explanation, Hit, calibration, confidence
from kb.db import Database
from kb.index import Index
from kb.models import Entry, Phrasing, Status
from kb.parsing import subdivide
from kb.passages import Citation, Passage, load_passages
from kb.regions import Regions, nested
from kb.validity import Validity

log = logging.getLogger(__name__)

# The first look fetches this many hits for each passage wanted; filters may ask for more.
OVERFETCH = 4
DEEPEST = 2000
# Of each text that is only compared with others, so many hits are read.
GLIMPSED = 2
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
# So many entries, and clauses, are counted and paged as the results of a search.
RESULTS = 100
PER_DOCUMENT = 5
# A document is a result of its own where its title has this share of the question.
TITLED = 0.6
# What explains a document rather than being one.
_INTERPRETATION = re.compile(r"解读|图解|一图读懂|答记者问|起草说明")


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
    kind: str = ""
    validity: Validity | None = Validity.IN_FORCE


@dataclass(frozen=True)
class Found:
    """Passages in scope, best first; those that only their validity kept out; and the time."""

    passages: tuple[Passage, ...]
    rejected: tuple[Passage, ...]
    milliseconds: float


@dataclass(frozen=True)
class Glimpse:
    """What an entry is asked with, what it says, and how closely a text is one of its wordings."""

    key: str
    wordings: Sequence[str]
    answer: str
    closeness: float


class Search:
    """Reads the knowledge base through the index."""

    def __init__(self, db: Database, index: Index, regions: Regions) -> None:
        self._db = db
        self._index = index
        self._regions = regions

    @property
    def regions(self) -> Regions:
        """The divisions by which passages are told to be in scope."""
        return self._regions

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

    def glimpse(self, texts: Sequence[str], scope: Scope) -> list[Glimpse | None]:
        """The entry that fits each of several texts best, as the index has it; None for none.

        Quick: to compare texts by, not to answer from. Only the scope's region is looked at.
        """
        entries = self._index.entries
        found = [
            entries.search(each, GLIMPSED, names=self._regions.mentioned(each)) for each in texts
        ]
        ids = {int(hit.key.partition(":")[2]) for hits in found for hit in hits}
        with self._db.reading() as session:
            rows = session.execute(
                select(Entry.id, Entry.region_code, Entry.question, Entry.answer).where(
                    Entry.id.in_(ids), Entry.status == Status.PUBLISHED
                )
            ).all()
            phrasings = session.execute(
                select(Phrasing.entry_id, Phrasing.text).where(
                    Phrasing.entry_id.in_(ids), Phrasing.negative.is_(False)
                )
            ).all()
        path = self._regions.path(scope.region) if scope.region else ()
        known: dict[str, tuple[list[str], str]] = {
            f"entry:{id}": ([question], answer)
            for id, region, question, answer in rows
            if not scope.region or region in (None, *path)
        }
        for id, text in phrasings:
            if (key := f"entry:{id}") in known:
                known[key][0].append(text)
        firsts = (next((hit for hit in hits if hit.key in known), None) for hits in found)
        return [Glimpse(hit.key, *known[hit.key], hit.closeness) if hit else None for hit in firsts]

    def agreement(self, text: str, wordings: Iterable[str]) -> float:
        """How well a question agrees with the best of some wordings, 0 to 1."""
        return self._best(text, wordings)[0]

    def covered(self, text: str, glimpse: Glimpse) -> float:
        """Share of a question that an entry has, 0 to 1; its answer counts half of its wordings."""
        covered: Callable[[str, str], float] = self._index.entries.covered
        asked = "\n".join(glimpse.wordings)
        return (covered(text, asked) + covered(text, f"{asked}\n{glimpse.answer}")) / 2

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

    def results(
        self, text: str, scope: Scope, *, also: str = "", depth: int = RESULTS
    ) -> tuple[list[Passage], bool]:
        """Everything that has enough of a text, best first; what is in force before all else.

        Neither validity nor any filter plays a part, so that counts of one list can be trusted.

        Args:
            scope: of which only the day and the region count; what holds in the region, around it
                or within it qualifies.
            also: as for `passages`.
            depth: how many of a kind at most.

        Returns:
            Passages of the kinds entry, clause, interpretation (a clause of one) and document,
            and whether there may be more than these.
        """
        names = self._regions.mentioned(text)
        kinds: list[list[Passage]] = []
        full = False
        for retriever in (self._index.entries, self._index.clauses):
            wanted = 2 * depth
            while True:
                hits = retriever.search(
                    text, wanted, per_group=PER_DOCUMENT, names=names, also=also
                )
                likely = [hit for hit in hits if hit.breadth >= LEAST]
                around = self._around(likely, scope)
                if len(around) >= min(depth, len(likely)) or len(hits) < wanted:
                    break
                if wanted >= DEEPEST:
                    break
                # Other regions took the places.
                wanted = min(4 * wanted, DEEPEST)
            full = full or len(around) >= depth
            kinds.append(self._relevant(text, around[:depth], scope))
        documents = [each for each in _documents(kinds[1]) if self._named_by(text, each)]
        ranked = _interleave([*kinds, documents])
        return sorted(ranked, key=lambda p: p.validity is not Validity.IN_FORCE), full

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
            if passage is None or not _matches(passage, scope):
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

    def _around(self, hits: Sequence[Hit], scope: Scope) -> list[tuple[Hit, Passage]]:
        """Hits in, around and within a region, of any validity."""
        with self._db.reading() as session:
            loaded = load_passages(session, [hit.key for hit in hits], scope.as_of)
        return [
            (hit, loaded[hit.key])
            for hit in hits
            if hit.key in loaded
            and (not scope.region or nested(loaded[hit.key].region_code, scope.region))
        ]

    def _relevant(
        self, text: str, around: Sequence[tuple[Hit, Passage]], scope: Scope
    ) -> list[Passage]:
        path = self._regions.path(scope.region) if scope.region else ()
        weighed = [self._weigh(text, passage, hit, path) for hit, passage in around]
        inside = [each for each in weighed if each.validity is Validity.IN_FORCE]
        outside = [each for each in weighed if each.validity is not Validity.IN_FORCE]
        # Apart, lest a text that was repealed makes the one in its place look irrelevant.
        found = [*relevant(_rank(inside)), *relevant(_rank(outside, inside))]
        return [_as_explained(each) for each in found]

    def _named_by(self, text: str, document: Passage) -> bool:
        return self._index.clauses.covered(text, document.title) >= TITLED

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


def as_document(clause: Passage) -> Passage:
    """The document of a clause as a result of its own, with the clause for an extract."""
    return replace(clause, key=f"document:{clause.citations[0].document_id}", kind="document")


def _as_explained(passage: Passage) -> Passage:
    """A clause under its own kind where its document only explains another one."""
    explains = passage.kind == "clause" and _INTERPRETATION.search(passage.title)
    return replace(passage, kind="interpretation") if explains else passage


def _documents(clauses: Iterable[Passage]) -> list[Passage]:
    """The documents of some clauses, each by its first one; interpretations are none."""
    held: dict[str, Passage] = {}
    for clause in clauses:
        if clause.kind == "clause":
            document = as_document(clause)
            held.setdefault(document.key, document)
    return list(held.values())


def _matches(passage: Passage, scope: Scope) -> bool:
    """Whether a passage agrees with every filter of a scope but region and validity."""
    return scope.department in ("", passage.department) and scope.kind in ("", passage.kind)


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
