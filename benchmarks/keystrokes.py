"""How many keys an operator presses until the right entry is open, measured through the console.

For every k-th sample entry one of its other wordings is typed, character by character; a Chinese
character that the input method commits counts as one key. After each character the console's
results are looked at: the first one is preselected, ↓ moves on, Enter opens. The operator goes
for the right entry as soon as it shows, without guessing whether typing on would be quicker; the
figure `cheapest` says how many keys the luckiest moment would have taken.

    python -m benchmarks.keystrokes [--cases 50] [--json]

Three figures: `known`, a wording that the entry holds; `unseen`, the same wording after it was
taken out of the base; `golden`, the questions of data/samples/golden.jsonl, which no entry holds.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app import compose
from kb.documents import Upload
from kb.exchange import EntryRecord, read_entries
from kb.search import Scope
from service.config import ROOT, Settings
from service.runtime import Runtime

SAMPLES = ROOT / "data" / "samples"
ALLOWED = 8
SHARE = 0.8


@dataclass(frozen=True)
class Case:
    """A way of asking, and the entry that is meant."""

    code: str
    typed: str


@dataclass(frozen=True)
class Keys:
    """What one case took: keys until the entry was open, at its first sight and at best."""

    case: Case
    keys: int | None
    cheapest: int | None


def cases(records: Sequence[EntryRecord], count: int) -> list[Case]:
    """Every k-th entry by its first wording that does not begin like its title."""
    step = max(1, len(records) // count)
    found = []
    for record in records[::step]:
        other = [each for each in record.similar if each[:4] != record.question[:4]]
        if other:
            found.append(Case(record.code, other[0]))
    return found[:count]


def press(runtime: Runtime, case: Case, milliseconds: list[float]) -> Keys:
    """Type a case until its entry is open; None where it never shows."""
    scope = Scope(as_of=runtime.today())
    taken: list[int] = []
    for length in range(1, len(case.typed) + 1):
        if taken and length + 1 >= min(taken):
            break  # typing on cannot be quicker
        began = time.perf_counter()
        shown = runtime.finder.find(case.typed[:length], scope)
        milliseconds.append((time.perf_counter() - began) * 1000)
        codes = [passage.entry.code if passage.entry else "" for passage in shown]
        if case.code in codes:
            taken.append(length + codes.index(case.code) + 1)
    return Keys(case, taken[0] if taken else None, min(taken, default=None))


def measure(records: Sequence[EntryRecord], wanted: Sequence[Case]) -> dict[str, object]:
    """Figures for some cases over a base of some entries, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = compose(Settings(data_dir=folder))
        try:
            runtime.entries.save(list(enumerate(records, 1)), actor="评测", publish=True)
            documents = sorted((SAMPLES / "documents").iterdir())
            uploads = (Upload(path.read_bytes(), path.name) for path in documents)
            list(runtime.documents.add(uploads, actor="评测", publish=True))
            runtime.indexer.catch_up()
            runtime.finder.find("预热", Scope(as_of=runtime.today()))
            milliseconds: list[float] = []
            pressed = [press(runtime, case, milliseconds) for case in wanted]
        finally:
            runtime.close()
    within = [each for each in pressed if each.keys is not None and each.keys <= ALLOWED]
    taken = [each.keys for each in pressed if each.keys is not None]
    cheap = [each.cheapest for each in pressed if each.cheapest is not None]
    return {
        "cases": len(pressed),
        "within": len(within),
        "share": round(len(within) / len(pressed), 3),
        "median_keys": statistics.median(taken),
        "cheapest_within": sum(keys <= ALLOWED for keys in cheap),
        "never_shown": len(pressed) - len(taken),
        "ms_p95": round(statistics.quantiles(milliseconds, n=20)[-1], 1),
        "missed": [
            [each.case.code, each.case.typed, each.keys] for each in pressed if each not in within
        ],
    }


def without(records: Sequence[EntryRecord], taken_out: Sequence[Case]) -> list[EntryRecord]:
    """The entries without the wordings that are typed."""
    typed = {case.typed for case in taken_out}
    return [
        replace(each, similar=tuple(w for w in each.similar if w not in typed)) for each in records
    ]


def main(arguments: Sequence[str]) -> int:
    """Measure and print; fails where the share of `known` is below what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    records = [
        record
        for path in sorted((SAMPLES / "entries").glob("*.jsonl"))
        for _, record in read_entries(path.read_bytes(), path.name)[0]
    ]
    chosen = cases(records, options.cases)
    golden = [
        Case(row["expect"], row["question"])
        for line in (SAMPLES / "golden.jsonl").read_text(encoding="utf-8").splitlines()
        if str((row := json.loads(line))["expect"]).startswith("SAMPLE-")
    ]
    figures = {
        "known": measure(records, chosen),
        "unseen": measure(without(records, chosen), chosen),
        "golden": measure(records, golden),
    }
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
    else:
        for name, each in figures.items():
            print(
                f"{name}: {each['within']} of {each['cases']} within {ALLOWED} keys "
                f"({each['share']:.0%}), median {each['median_keys']}, at best "
                f"{each['cheapest_within']}, never shown {each['never_shown']}, "
                f"results within {each['ms_p95']} ms (95 %)"
            )
    return 0 if float(str(figures["known"]["share"])) >= SHARE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
