"""Fit the confidence of answers, and the cuts at which a share of them is wrong.

    python -m training.confidence --data ../shared/data --encoder build/half [--kind entry]

The product itself is asked, with an encoder and wordings that have not seen the questions
(`bases.shown`). What counts is the best passage of each kind.

Entries: half of the sample entries and of the groups of paraphrases make a base. It is asked
their other wordings (the right entry is known), questions that only look alike, and wordings of
the other half (none is right).

Clauses: half of the circulars make one base, asked about both halves; right is any clause of the
document. The statute book makes another, asked our own questions and people's consultations, and
circulars' questions (none is right).
"""

import argparse
import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from app import compose
from benchmarks.calibration import bins, expected_error
from embeddings import Encoder, StaticEncoder
from embeddings.confidence import FIGURES
from embeddings.ranking import COEFFICIENTS
from embeddings.tokenizer import normalise
from kb.documents import Upload
from kb.exchange import EntryRecord
from kb.search import Scope, evidence_for
from kb.wordings import Wordings
from service.config import Settings
from service.runtime import Runtime
from training import bases, corpora
from training.questions import CIRCULARS, read, read_paraphrases
from training.wordings import by_clause

FOLDS = 5
# Points of the correcting line.
CURVE = 20
RIDGE = 1.0
# Questions asked of each base.
ASKED = 800
# Of how many groups one is also asked a question that only looks alike.
NEAR_MISSES = 4
SHARES = tuple(step / 100 for step in range(1, 61))

log = logging.getLogger("training")

Figures = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """The figures of the best passage for a question, and whether it was right."""

    figures: tuple[float, ...]
    right: bool


def main() -> None:
    """Ask, fit, write the coefficients, and say how well they hold on questions left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--kind", choices=("entry", "clause"), action="append")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    half = StaticEncoder(given.encoder)
    held = json.loads(COEFFICIENTS.read_text("utf-8"))
    for kind in given.kind or ("entry", "clause"):
        rows = (
            [*entry_rows(half)]
            if kind == "entry"
            else [*circular_rows(given.data, half), *statute_rows(given.data, half)]
        )
        held.setdefault("confidence", {})[kind] = fitted(kind, rows)
    COEFFICIENTS.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


def entry_rows(half: Encoder) -> Iterator[Row]:
    """Figures of the best entry, for questions with and without a right one."""
    groups: list[tuple[tuple[str, ...], str, tuple[str, ...]]] = [
        *((wordings, answer, ()) for wordings, answer in corpora.entries()),
        *(((each.question, *each.same), "", each.different) for each in read_paraphrases()),
    ]
    for turn in (0, 1):
        inside = [each for at, each in enumerate(groups) if at % 2 == turn]
        outside = [each for at, each in enumerate(groups) if at % 2 != turn]
        records = [
            _record(number, *_known(wordings), answer)
            for number, (wordings, answer, _) in enumerate(inside)
        ]
        asked = [
            (text, wordings[0])
            for wordings, _, _ in inside
            for text in wordings[1:]
            if not bases.shown(text)
        ]
        asked += [(others[0], "") for _, _, others in inside[::NEAR_MISSES] if others]
        asked += [(wordings[0], "") for wordings, _, _ in outside[::2]]
        with tempfile.TemporaryDirectory() as folder:
            runtime = compose(Settings(data_dir=folder), encoder=half, wordings=Wordings.of(()))
            runtime.entries.save(enumerate(records), actor="training", publish=True)
            runtime.indexer.catch_up()
            yield from _ask(runtime, asked, "entry")
            runtime.close()


def circular_rows(data: Path, half: Encoder) -> Iterator[Row]:
    """Figures of the best clause of half the circulars, for questions about both halves."""
    documents = corpora.circulars(data)
    inside = documents[::2]
    present = {title for title, _ in inside}
    asked = [
        (each.question, title if title in present else "")
        for each in read()
        if each.field == CIRCULARS and not each.held_out
        for title in [normalise(each.law)]
    ]
    yield from _over(half, inside, Wordings.of(()), asked[:: max(1, len(asked) // (2 * ASKED))])


def statute_rows(data: Path, half: Encoder) -> Iterator[Row]:
    """Figures of the best article of the statute book, for questions with and without one."""
    ours = [each for each in read() if not each.held_out and each.field != CIRCULARS]
    wordings = Wordings.of(by_clause(data, [each for each in ours if bases.shown(each.question)]))
    collection = bases.articles(data)
    titles = [title for title, _ in corpora.statute_book(data)]
    asked = [
        (text, "\n".join(titles[int(key)] for key in sorted(keys)))
        for text, keys in collection.asked
    ]
    strange = [each.question for each in read() if each.field == CIRCULARS and not each.held_out]
    asked += [(text, "") for text in strange[:: max(1, len(strange) // ASKED)]]
    yield from _over(half, corpora.statute_book(data), wordings, asked)


def _over(
    half: Encoder,
    documents: Iterable[tuple[str, str]],
    wordings: Wordings,
    asked: Sequence[tuple[str, str]],
) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        runtime = compose(Settings(data_dir=folder), encoder=half, wordings=wordings)
        uploads = (
            Upload(f"{title}\n\n{text}".encode(), f"{number}.txt", title=title)
            for number, (title, text) in enumerate(documents)
        )
        list(runtime.documents.add(uploads, actor="training", publish=True))
        runtime.indexer.catch_up()
        while runtime.indexer.merge():
            pass
        yield from _ask(runtime, asked, "clause")
        runtime.close()


def _ask(runtime: Runtime, asked: Iterable[tuple[str, str]], kind: str) -> Iterator[Row]:
    scope = Scope(as_of=date.today(), kind=kind, validity=None)
    for text, wanted in asked:
        found = runtime.search.passages(text, scope).passages
        if found:
            evidence = evidence_for(found[0], found)
            titles = {normalise(title) for title in wanted.split("\n")}
            yield Row(
                tuple(getattr(evidence, name) for name in FIGURES),
                bool(wanted) and normalise(found[0].title) in titles,
            )


def _known(wordings: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Title and wordings shown of an entry."""
    return wordings[0], tuple(text for text in wordings[1:] if bases.shown(text))


def _record(number: int, question: str, similar: tuple[str, ...], answer: str) -> EntryRecord:
    return EntryRecord(
        code=f"T{number}",
        question=question,
        similar=similar,
        answer=answer or "详见办事指南。",
        department="政务服务管理部门",
    )


def fitted(kind: str, rows: Sequence[Row]) -> dict[str, object]:
    """Bias, weights and cuts, from figures and rightness."""
    figures = np.array([row.figures for row in rows])
    right = np.array([row.right for row in rows], dtype=np.float64)
    folds = np.random.default_rng(7).permutation(len(rows)) % FOLDS
    said, corrected = np.zeros(len(rows)), np.zeros(len(rows))
    for fold in range(FOLDS):
        weights = _fit(figures[folds != fold], right[folds != fold])
        said[folds == fold] = _probability(weights, figures[folds == fold])
    weights = _fit(figures, right)
    points = curve(said, right)
    for fold in range(FOLDS):
        others = np.array(curve(said[folds != fold], right[folds != fold]))
        corrected[folds == fold] = np.interp(said[folds == fold], others[:, 0], others[:, 1])
    said = corrected
    statements = list(zip(said.tolist(), (right > 0).tolist(), strict=True))
    log.info("%s: %d questions, %.3f right", kind, len(rows), right.mean())
    log.info("calibration error %.3f", expected_error(bins(statements)))
    for cut in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        given = said >= cut
        if given.any():
            log.info("  from %.1f: given %.3f, right %.3f", cut, given.mean(), right[given].mean())
    return {
        "bias": round(float(weights[0]), 3),
        "weights": {
            name: round(float(each), 3) for name, each in zip(FIGURES, weights[1:], strict=True)
        },
        "curve": points,
        "cuts": cuts(said, right),
    }


def curve(said: Figures, right: Figures) -> list[tuple[float, float]]:
    """Points of a rising line from what was said to what came true, by isotonic regression."""
    order = np.argsort(said, kind="stable")
    true = IsotonicRegression().fit_transform(said, right)
    points = [(0.0, round(float(true.min()) / 2, 3))]
    for part in np.array_split(order, CURVE):
        point = (round(float(said[part].mean()), 3), round(float(true[part].mean()), 3))
        if point[0] > points[-1][0]:
            points.append(point)
    return [*points, (1.0, max(points[-1][1], min(0.99, round(float(true.max()), 3))))]


def cuts(said: Figures, right: Figures) -> list[tuple[float, float]]:
    """For each of `SHARES` the least confidence from which no more answers are wrong than that."""
    order = np.argsort(-said, kind="stable")
    wrong = np.cumsum(1 - right[order]) / np.arange(1, len(order) + 1)
    found = []
    for share in SHARES:
        allowed = np.flatnonzero(wrong <= share)
        # A few lucky answers at the top say nothing about the share among many.
        if len(allowed) and allowed[-1] >= 20:
            found.append((share, round(float(said[order[allowed[-1]]]), 3)))
    return found


def _fit(figures: Figures, right: Figures) -> Figures:
    """Bias and weights of a logistic model; none of the weights negative: evidence cannot harm."""

    def loss(weights: Figures) -> tuple[float, Figures]:
        chance = _probability(weights, figures)
        ridge = RIDGE * np.concatenate([[0.0], weights[1:]])
        value = -np.log(np.where(right > 0, chance, 1 - chance) + 1e-12).sum()
        slope = np.concatenate([[(chance - right).sum()], figures.T @ (chance - right)])
        return float(value + ridge @ weights / 2), slope + ridge

    bounds = [(None, None), *[(0.0, None)] * figures.shape[1]]
    start = np.zeros(figures.shape[1] + 1)
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _probability(weights: Figures, figures: Figures) -> Figures:
    return np.asarray(1 / (1 + np.exp(-(weights[0] + figures @ weights[1:]))))


if __name__ == "__main__":
    main()
