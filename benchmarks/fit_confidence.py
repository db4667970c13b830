"""Fit the confidence of answers on the sample entries; prints coefficients and calibration.

    python benchmarks/fit_confidence.py [--laws FOLDER]

Entries: half of them, each without one of its phrasings, make a base; it is asked the phrasings
it lacks (the right entry is known) and half as many of the other half of the entries (none is
right), in turn for four phrasings and both halves. With --strangers, a SQuAD-like file of
questions on other matters (such as CMRC 2018), 400 of these are asked as well.

Clauses (with --laws, a folder of law texts as `import` takes them): every question of the samples
is asked of the laws; right is an article of a law that the entry rests on. (Which article of it
answers is not known well enough: an entry names one to four, more of them apply.)
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app import compose  # noqa: E402
from kb.documents import Upload  # noqa: E402
from kb.entries import parse_basis  # noqa: E402
from kb.exchange import EntryRecord, read_entries  # noqa: E402
from kb.passages import Passage  # noqa: E402
from kb.search import Scope, evidence_for  # noqa: E402
from service.config import Settings  # noqa: E402
from service.runtime import Runtime  # noqa: E402

TURNS = 4
STRANGERS = 400

Rows = list[tuple[list[float], bool]]


def samples() -> list[EntryRecord]:
    """All sample entries."""
    found: list[EntryRecord] = []
    for path in sorted((ROOT / "data" / "samples" / "entries").glob("*.jsonl")):
        rows, _ = read_entries(path.read_bytes(), path.name)
        found += [record for _, record in rows]
    return found


def questions_of(path: Path) -> list[str]:
    """Every question of a file in the layout of SQuAD or CMRC, found wherever it stands."""
    found: list[str] = []
    waiting = [json.loads(path.read_text(encoding="utf-8"))]
    while waiting:
        held = waiting.pop(0)
        if isinstance(held, dict):
            asked = held.get("question") or held.get("query_text")
            found += [asked] if isinstance(asked, str) else []
            waiting += held.values()
        elif isinstance(held, list):
            waiting += held
    return found


def top(runtime: Runtime, question: str, kind: str) -> tuple[Passage, list[float]] | None:
    """The best passage of a kind with the figures its confidence rests on."""
    scope = Scope(as_of=date.today(), kind=kind)
    found = runtime.search.passages(question, scope).passages
    if not found:
        return None
    evidence = evidence_for(found[0], found)
    return found[0], [evidence.agreement, evidence.coverage, evidence.breadth, evidence.lead]


def entry_rows(
    records: list[EntryRecord], strangers: list[str]
) -> Iterator[tuple[list[float], bool]]:
    """Figures and correctness of the best entry, for questions with and without a right one."""
    for fold, turn in product((0, 1), range(TURNS)):
        inside = [record for at, record in enumerate(records) if at % 2 == fold]
        outside = [record for at, record in enumerate(records) if at % 2 != fold]
        with tempfile.TemporaryDirectory() as folder:
            runtime = compose(Settings(data_dir=folder))
            held_back = [
                replace(r, similar=tuple(t for t in r.similar if t != r.similar[turn]))
                for r in inside
            ]
            runtime.entries.save(enumerate(held_back), actor="fit", publish=True)
            runtime.indexer.catch_up()
            asked = [(record.similar[turn], record.question) for record in inside]
            asked += [(record.similar[turn], "") for record in outside[turn % 2 :: 2]]
            asked += [(text, "") for text in strangers[turn::TURNS]]
            for text, wanted in asked:
                best = top(runtime, text, "entry")
                if best is not None:
                    yield best[1], best[0].title == wanted
            runtime.close()


def clause_rows(
    records: list[EntryRecord], strangers: list[str], laws: Path
) -> Iterator[tuple[list[float], bool]]:
    """Figures and correctness of the best article of law for every sample question."""
    asked = [
        (text, {parse_basis(basis)[0] for basis in record.basis})
        for record in records
        for text in (record.question, *record.similar[:2])
    ]
    asked += [(text, set()) for text in strangers]
    with tempfile.TemporaryDirectory() as folder:
        runtime = compose(Settings(data_dir=folder))
        uploads = (Upload(path.read_bytes(), path.name) for path in sorted(laws.rglob("*.txt")))
        list(runtime.documents.add(uploads, actor="fit", publish=True))
        runtime.indexer.catch_up()
        for text, titles in asked:
            best = top(runtime, text, "clause")
            if best is not None:
                yield best[1], best[0].title in titles
        runtime.close()


def fit(rows: Rows) -> npt.NDArray[np.float64]:
    """Logistic coefficients, bias first; none of them negative, since evidence cannot harm.

    A figure whose coefficient comes out negative only repeats the others and is left out.
    """
    used = list(range(len(rows[0][0])))
    while True:
        weights = _newton([([row[at] for at in used], flag) for row, flag in rows])
        if weights[1:].min(initial=0.0) >= 0:
            break
        used.pop(int(weights[1:].argmin()))
    whole = np.zeros(len(rows[0][0]) + 1)
    whole[[0, *(at + 1 for at in used)]] = weights
    return whole


def _newton(rows: Rows) -> npt.NDArray[np.float64]:
    """Logistic regression by Newton's method with a slight ridge."""
    figures = np.array([[1.0, *row] for row, _ in rows])
    right = np.array([float(flag) for _, flag in rows])
    weights = np.zeros(figures.shape[1])
    ridge = np.diag([0.0, *[1.0] * (figures.shape[1] - 1)])
    for _ in range(50):
        guess = 1 / (1 + np.exp(-figures @ weights))
        slope = figures.T @ (guess - right) + ridge @ weights
        curve = (figures * (guess * (1 - guess))[:, None]).T @ figures + ridge
        weights -= np.linalg.solve(curve, slope)
    return weights


def report(name: str, rows: Rows) -> None:
    """Print coefficients fitted on all rows, and calibration by five-fold cross-validation."""
    order = np.random.default_rng(7).permutation(len(rows))
    held = np.zeros(len(rows))
    for fold in range(5):
        inside = [rows[at] for at in order if at % 5 != fold]
        weights = fit(inside)
        for at in order[order % 5 == fold]:
            held[at] = 1 / (1 + np.exp(-np.array([1.0, *rows[at][0]]) @ weights))
    right = np.array([flag for _, flag in rows])
    bins = np.minimum((held * 10).astype(int), 9)
    table = {
        f"{low / 10:.1f}": [
            int((bins == low).sum()),
            round(float(held[bins == low].mean()), 3),
            round(float(right[bins == low].mean()), 3),
        ]
        for low in range(10)
        if (bins == low).any()
    }
    error = sum(count * abs(said - was) for count, said, was in table.values()) / len(rows)
    chosen = {
        cut: [round(float((held >= cut).mean()), 3), round(float(right[held >= cut].mean()), 3)]
        for cut in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
        if (held >= cut).any()
    }
    print(
        json.dumps(
            {
                "kind": name,
                "questions": len(rows),
                "right": round(float(right.mean()), 3),
                "coefficients": [round(float(each), 2) for each in fit(rows)],
                "calibration_error": round(error, 3),
                "bins (count, said, was)": table,
                "from (answered, right)": chosen,
            }
        )
    )


def main() -> None:
    """Fit what can be fitted with the data at hand."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--laws", type=Path)
    parser.add_argument("--strangers", type=Path)
    given = parser.parse_args()
    records = samples()
    strangers = questions_of(given.strangers)[:STRANGERS] if given.strangers else []
    report("entry", list(entry_rows(records, strangers)))
    if given.laws:
        report("clause", list(clause_rows(records, strangers, given.laws)))


if __name__ == "__main__":
    main()
