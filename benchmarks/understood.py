"""What query understanding does to the sets of benchmarks/understanding, over the sample base.

    python -m benchmarks.understood [typos clean pinyin colloquial golden conversations]
                                    [--steps typo,…] [--json]

- typos: share whose first result is that of the right spelling (and before: as typed);
- clean: share of right questions whose first result changes;
- pinyin: share of which the right phrase is understood (full, mixed, fuzzy), or stands in one of
  the first five suggestions (initials);
- colloquial, golden: hit@1, before and after; questions without a right answer are left out;
- conversations: share whose last answer is the right entry, or is that entry first among what was
  found (before: the last question asked by itself), by set, and by kind in the set "first"; the
  time is that of all but the search for the answer.

The last column is the median time that understanding adds, in milliseconds.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import compose
from kb.followups import Matter, asks_of_any, matter_of
from kb.passages import Passage
from kb.search import Scope
from kb.understanding import STEPS, Understood
from service.commands import load_samples
from service.config import ROOT, Settings
from service.conversations import Question
from service.evaluation import names_of
from service.runtime import Runtime

SETS = Path(__file__).parent / "understanding"
GOLDEN = ROOT / "data" / "samples" / "golden.jsonl"
FIVE = 5


@dataclass
class Row:
    """One line of the table: how many cases, how many right before and after, and the times."""

    cases: int = 0
    before: int = 0
    after: int = 0
    milliseconds: list[float] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def count(self, case: str, *, before: bool, after: bool) -> None:
        """Count one case; what is not right afterwards is kept by name."""
        self.cases += 1
        self.before += before
        self.after += after
        if not after:
            self.misses.append(case)


class Bench:
    """A base of the samples, and how it is asked."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.scope = Scope(as_of=runtime.today())

    def understand(self, text: str, row: Row) -> Understood:
        """Understand a text and note the time."""
        began = time.perf_counter()
        understood = self.runtime.understanding.understand(text, self.scope)
        row.milliseconds.append((time.perf_counter() - began) * 1000)
        return understood

    def follow(self, turns: Sequence[str]) -> list[float]:
        """Milliseconds to understand each turn but the first after what the turns before found."""
        spent, matter = [], Matter()
        for turn in turns:
            began = time.perf_counter()
            understood = self.runtime.understanding.understand(turn, self.scope, after=matter)
            spent.append((time.perf_counter() - began) * 1000)
            if not asks_of_any(turn):
                matter = matter_of(understood.text, self._found(understood))
        return spent[1:]

    def _found(self, understood: Understood) -> Sequence[Passage]:
        search, also = self.runtime.search, understood.also
        return search.passages(understood.text, self.scope, also=also).passages

    def first(self, understood: Understood) -> str:
        """Key of the first result; empty for none."""
        found = self._found(understood)
        return found[0].key if found else ""

    def names(self, understood: Understood) -> set[str]:
        """By which names the first result may be expected."""
        found = self._found(understood)
        if not found:
            return set()
        return names_of(found[0] if found[0].kind == "entry" else found[0].citations[0])


def typos(bench: Bench, table: dict[str, Row]) -> None:
    """The first result must be that of the right spelling."""
    for case in read(SETS / "typos.jsonl"):
        row = table[f"typos/{case['kind']}"]
        wanted = bench.first(Understood(case["right"]))
        understood = bench.understand(case["question"], row)
        before = bench.first(Understood(case["question"])) == wanted
        after = bench.first(understood) == wanted if understood.rewrites else before
        row.count(f"{case['question']} → {understood.text}", before=before, after=after)


def clean(bench: Bench, table: dict[str, Row]) -> None:
    """The first result must stay what it is."""
    row = table["clean/unchanged"]
    for case in read(SETS / "clean.jsonl"):
        understood = bench.understand(case["question"], row)
        after = not understood.rewrites or bench.first(understood) == bench.first(
            Understood(case["question"])
        )
        said = "、".join(f"{each.from_}→{each.to}" for each in understood.rewrites)
        row.count(f"{case['question']}：{said}", before=True, after=after)


def pinyin(bench: Bench, table: dict[str, Row]) -> None:
    """The right phrase must be understood; for initials, stand among the suggestions."""
    for case in read(SETS / "pinyin.jsonl"):
        row = table[f"pinyin/{case['kind']}"]
        understood = bench.understand(case["typed"], row)
        after = understood.text.replace(" ", "") == case["expect"]
        if case["kind"] == "initials":
            shown = bench.runtime.finder.suggest(case["typed"], bench.scope)[:FIVE]
            after = any(case["expect"] in each.text for each in shown)
        row.count(f"{case['typed']} → {understood.text}", before=False, after=after)


def colloquial(bench: Bench, table: dict[str, Row]) -> None:
    """hit@1 of plain language."""
    _hits(bench, table["colloquial/hit@1"], read(SETS / "colloquial.jsonl"))


def golden(bench: Bench, table: dict[str, Row]) -> None:
    """hit@1 of the samples' own questions."""
    _hits(bench, table["golden/hit@1"], read(GOLDEN))


def _hits(bench: Bench, row: Row, cases: Iterator[dict[str, Any]]) -> None:
    for case in cases:
        if not case["expect"]:
            continue
        understood = bench.understand(case["question"], row)
        before = case["expect"] in bench.names(Understood(case["question"]))
        after = case["expect"] in bench.names(understood) if understood.rewrites else before
        row.count(f"{case['question']} → {understood.text}", before=before, after=after)


def conversations(bench: Bench, table: dict[str, Row]) -> None:
    """The conversation must end at the right entry."""
    for number, case in enumerate(read(SETS / "conversations.jsonl")):
        part = case.get("set") or ("first, odd" if number % 2 else "first, even")
        row, kinds = table[f"conversations/{part}"], table[f"conversations/{case['kind']}"]
        given = table[f"conversations/{part}, given"]
        conversation = None
        for turn in case["turns"]:
            asked = Question(turn, bench.scope.as_of, conversation_id=conversation)
            answer = bench.runtime.answerer.answer(asked)
            conversation = answer.conversation_id
        found = [answer.entry] if answer.entry else [p for p in answer.passages if p.entry]
        after = bool(found) and case["expect"] in names_of(found[0])
        alone = bench.runtime.answerer.answer(Question(case["turns"][-1], bench.scope.as_of))
        entries = [passage for passage in alone.passages if passage.entry]
        before = bool(entries) and case["expect"] in names_of(entries[0])
        name = f"{' / '.join(case['turns'])} → {answer.understood}"
        for each in (row, kinds):
            each.milliseconds += bench.follow(case["turns"])
            each.count(name, before=before, after=after)
        given.milliseconds.append(0.0)
        given.count(name, before=before, after=after and answer.entry is not None)


MEASURES: dict[str, Callable[[Bench, dict[str, Row]], None]] = {
    "typos": typos,
    "clean": clean,
    "pinyin": pinyin,
    "colloquial": colloquial,
    "golden": golden,
    "conversations": conversations,
}


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The cases of a file."""
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def measure(sets: Sequence[str], steps: str) -> dict[str, Row]:
    """The table for some sets over the samples, in a temporary folder."""
    table: dict[str, Row] = defaultdict(Row)
    with tempfile.TemporaryDirectory() as folder:
        runtime = compose(Settings(data_dir=folder, understand=steps))
        try:
            load_samples(runtime)
            runtime.indexer.catch_up()
            runtime.understanding.catch_up()
            bench = Bench(runtime)
            for name in sets:
                MEASURES[name](bench, table)
        finally:
            runtime.close()
    return table


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(MEASURES), metavar="SET")
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--misses", action="store_true", help="print what is not right")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    table = measure(options.sets, options.steps)
    figures = {
        name: {
            "cases": row.cases,
            "before": round(row.before / row.cases, 4),
            "after": round(row.after / row.cases, 4),
            "ms": round(statistics.median(row.milliseconds), 2),
        }
        for name, row in table.items()
    }
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
        return 0
    print(f"{'':24}{'cases':>7}{'before':>9}{'after':>9}{'ms':>8}")
    for name, each in figures.items():
        print(
            f"{name:24}{each['cases']:>7}{each['before']:>9.1%}{each['after']:>9.1%}"
            f"{each['ms']:>8.2f}"
        )
    if options.misses:
        for name, row in table.items():
            print("\n".join([f"\n{name}", *row.misses]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
