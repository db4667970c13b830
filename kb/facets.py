"""Results of a search narrowed and counted by their dimensions; hides how the counts agree.

Within one facet the chosen values widen (any of them), across facets they narrow (all of them).
A facet is counted without its own choice, so each count is what choosing that value would find.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from embeddings import folded
from kb.passages import Passage
from kb.regions import Regions

FACETS = ("department", "topic", "region", "kind", "validity", "year", "audience", "tag")
# Values of a facet that are listed, besides those chosen.
LISTED = 20


@dataclass(frozen=True)
class Filters:
    """What was chosen: values by facet; regions by name or code, years in digits."""

    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of(self, facet: str) -> Sequence[str]:
        """The values chosen in a facet; empty where anything goes."""
        return self.chosen.get(facet, ())


@dataclass(frozen=True)
class Narrowed:
    """What is left, in the same order, and (value, count) by facet, the most frequent first."""

    passages: tuple[Passage, ...]
    counts: Mapping[str, Sequence[tuple[str, int]]]


def narrow(passages: Iterable[Passage], filters: Filters, regions: Regions) -> Narrowed:
    """Apply filters and count what each further choice would find.

    A region finds what applies in it: its own, that of what it lies in, and the nation's. A
    region's value is its name, or its code where several have the name.
    """
    rows = [(passage, dimensions(passage)) for passage in passages]
    codes = {passage.region_code for passage, _ in rows}
    applying = {regions.value(code): _applying(code, regions) for code in codes}
    for value in filters.of("region"):
        applying.setdefault(value, _applying(regions.resolve(value), regions))
    counters: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    left: list[Passage] = []
    for passage, held in rows:
        held["region"] = [
            place for place, holding in applying.items() if passage.region_code in holding
        ]
        failed = [
            name
            for name in FACETS
            if filters.of(name) and not set(held[name]).intersection(filters.of(name))
        ]
        if not failed:
            left.append(passage)
        for name in FACETS if not failed else failed if len(failed) == 1 else ():
            counters[name].update(value for value in held[name] if value)
    counts = {name: _listed(name, counters[name], filters.of(name)) for name in FACETS}
    return Narrowed(tuple(left), counts)


def dimensions(passage: Passage) -> dict[str, Sequence[str]]:
    """The values of a passage by facet, without its region; empty ones mean nothing."""
    day = passage.effective_on or passage.published_on
    return {
        "department": [passage.department],
        "topic": [passage.topic],
        "kind": [passage.kind],
        "validity": [passage.validity.value],
        "year": [str(day.year) if day else ""],
        "audience": [each.strip() for each in passage.audience.split(",")],
        "tag": passage.tags,
    }


def by_date(passages: Iterable[Passage]) -> list[Passage]:
    """The newest first, those without a date last; of one day in the order given."""

    def day(passage: Passage) -> date:
        return passage.effective_on or passage.published_on or date.min

    return sorted(passages, key=day, reverse=True)


def recommended(passages: Iterable[Passage], text: str) -> list[str]:
    """Tags and topics of the entries found that say more than a text does, the commonest first."""
    counter: Counter[str] = Counter()
    for passage in passages:
        if passage.kind == "entry":
            counter.update({*passage.tags, passage.topic} - {""})
    plain = folded(text)
    new = [word for word in counter if folded(word) not in plain]
    return sorted(new, key=lambda word: (-counter[word], word))


def _applying(code: str | None, regions: Regions) -> tuple[str | None, ...]:
    """Regions whose policies apply in one: itself and what it lies in."""
    return (None, code, *regions.path(code)) if code else (None,)


def _listed(name: str, counter: Counter[str], chosen: Sequence[str]) -> list[tuple[str, int]]:
    if name == "year":
        ranked = sorted(counter.items(), reverse=True)
    else:
        ranked = sorted(counter.items(), key=lambda row: (-row[1], row[0]))
    shown = ranked[:LISTED]
    held = {value for value, _ in shown}
    return [*shown, *((value, counter[value]) for value in chosen if value not in held)]
