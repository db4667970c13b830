"""Measure the product against fixed baselines on question sets, all in one run.

    python -m benchmarks.evaluation [--data FOLDER] [--set NAME ...] [--limit N]
                                    [--json FILE] [--svg FILE]

Prints a table a set: how well each system ranks, what the product answers, and how far its
confidence can be believed. Every set is asked of a temporary base that the product itself fills;
the baselines rank the same texts. `benchmarks/question_sets.py` says what the sets are.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import version as version_of
from itertools import groupby
from pathlib import Path
from typing import Any

from app import compose, make_encoder, version
from benchmarks.baselines import Unavailable, baselines
from benchmarks.calibration import Bin, bins, diagram, expected_error
from benchmarks.question_sets import SETS, Asked, QuestionSet
from embeddings import Encoder
from kb.errors import KnowledgeError
from service.config import Settings
from service.evaluation import (
    DEPTH,
    Judged,
    Keys,
    answer_figures,
    ask,
    rank,
    ranking_figures,
    temporary_base,
)
from service.runtime import Runtime

Figures = dict[str, Any]
Ranker = Callable[[str, int], Sequence[str]]

FORM_OF_PRODUCT = "产品自己的导入、切分、检索和排序（与 app.py eval retrieval 相同）"
# Heading of a column → name of its figure.
COLUMNS = {
    "hit@1": "hit@1",
    "recall@10": "recall@10",
    "MRR@10": "mrr@10",
    "nDCG@10": "ndcg@10",
    "毫秒/问": "ms_per_question",
    "作答率": "answered_share",
    "答错率": "wrong_answer_share",
    "正确拒答": "correct_refusals",
    "校准误差": "calibration_error",
}
GROUPS = {"all": "", "answerable": "（有答案的问题）", "unanswerable": "（没有答案的问题）"}
NOTE = (
    "作答率：给出答复的问题所占比例；答错率：给出的答复中错的比例；正确拒答：没有答案的问题中"
    "没有作答（拒答或反问）的比例；校准误差：所说把握与实际答对比例之差（ECE，十段等宽），"
    "按每个问题的第一个答复计，没有作答的按最接近作答的片段计。“–”：不适用。"
)


def ranking(rank_one: Ranker, asked: Sequence[Asked]) -> Figures:
    """Ranking figures of one system, and its milliseconds a question after a first one."""
    rank_one(asked[0].text, DEPTH)
    began = time.perf_counter()
    found = [rank_one(each.text, DEPTH + bool(each.left_out)) for each in asked]
    spent = time.perf_counter() - began
    ranked = {
        str(number): [key for key in keys if key != each.left_out][:DEPTH]
        for number, (keys, each) in enumerate(zip(found, asked, strict=True))
    }
    figures = ranking_figures(
        ranked, {str(number): each.right for number, each in enumerate(asked)}
    )
    return {
        **{name: round(value, 4) for name, value in figures.items()},
        "ms_per_question": round(spent * 1000 / len(asked), 2),
    }


def judgements(runtime: Runtime, keys: Keys, asked: Sequence[Asked]) -> list[Judged]:
    """Ask the product every question and hold its replies against the truth."""
    judged = []
    for each in asked:
        reply = ask(runtime, each.text, region=each.region, as_of=each.as_of)
        counted = set(keys(reply.source)) if reply.source else set()
        judged.append(Judged(reply, bool(each.right), bool(each.right & counted)))
    return judged


def statements(judged: Sequence[Judged]) -> list[tuple[float, bool]]:
    """(confidence, right) of the first answer to each question, be it given or not."""
    return [
        (each.reply.confidence, each.right)
        for each in judged
        if each.reply.answered or each.reply.source is not None
    ]


def answering(judged: Sequence[Judged]) -> Figures:
    """What was answered, over all questions and over those with and without an answer apart."""
    groups = {
        "all": judged,
        "answerable": [each for each in judged if each.answerable],
        "unanswerable": [each for each in judged if not each.answerable],
    }
    both = groups["answerable"] and groups["unanswerable"]
    return {name: _of(group) for name, group in groups.items() if name == "all" or both}


def _of(judged: Sequence[Judged]) -> Figures:
    """Figures of answers, without those that have no meaning for the questions at hand."""
    figures = answer_figures(judged)
    if all(each.answerable for each in judged):
        del figures["correct_refusals"]
    if not any(each.reply.answered for each in judged):
        del figures["wrong_answer_share"]
    return {**figures, "outcomes": dict(Counter(each.reply.outcome.value for each in judged))}


def calibration(judged: Sequence[Judged]) -> Figures:
    """Expected calibration error of first answers and of answers given, with the bins of both."""
    held = bins(statements(judged))
    given = bins(statements([each for each in judged if each.reply.answered]))
    return {
        "calibration_error": round(expected_error(held), 4),
        "calibration_error_of_answers_given": round(expected_error(given), 4),
        "bins": [_bin(each) for each in held],
        "bins_of_answers_given": [_bin(each) for each in given],
    }


def _bin(each: Bin) -> Figures:
    return {name: round(value, 4) for name, value in vars(each).items()}


def evaluate(questions: QuestionSet, runtime: Runtime, keys: Keys, encoder: Encoder) -> Figures:
    """All figures of one set, asked of a base that is filled for it."""
    figures: Figures = {
        "set": questions.name,
        "about": questions.about,
        "texts": len(questions.collection.texts),
        "questions": len(questions.asked),
        "systems": {},
    }
    if questions.ranked:
        per_document = questions.collection.per_document
        own = partial(_product_rank, runtime, keys, per_document)
        figures["systems"]["product"] = {"form": FORM_OF_PRODUCT, **ranking(own, questions.asked)}
        for name, make in baselines(encoder).items():
            _say(f"{questions.name}：{name}")
            try:
                system = make(questions.collection.texts)
            except Unavailable as error:
                figures["systems"][name] = {"skipped": str(error)}
                continue
            figures["systems"][name] = {
                "form": system.form,
                **ranking(system.rank, questions.asked),
            }
    if questions.answered:
        _say(f"{questions.name}：作答")
        began = time.perf_counter()
        judged = judgements(runtime, keys, questions.asked)
        spent = time.perf_counter() - began
        figures["answers"] = answering(judged)
        figures["calibration"] = calibration(judged)
        figures["ms_per_answer"] = round(spent * 1000 / len(judged), 2)
    return figures


def _product_rank(
    runtime: Runtime, keys: Keys, per_document: int, text: str, limit: int
) -> Sequence[str]:
    return rank(runtime, text, keys, limit=limit, per_document=per_document)


def evaluate_all(sets: Sequence[QuestionSet], encoder: Encoder) -> Iterator[Figures]:
    """Figures of each set; neighbours with the same collection share one base."""

    def runtime_in(folder: Path) -> Runtime:
        return compose(Settings(data_dir=str(folder)), encoder=encoder)

    for collection, group in groupby(sets, key=lambda each: each.collection):
        with temporary_base(runtime_in) as runtime:
            _say("建库")
            began = time.perf_counter()
            keys = collection.fill(runtime)
            built = round(time.perf_counter() - began, 1)
            for questions in group:
                yield {**evaluate(questions, runtime, keys, encoder), "build_s": built}


def table(figures: Figures) -> str:
    """The figures of one set as a table in Markdown, and the form each system got them in."""
    systems, answers = figures["systems"], figures.get("answers", {})
    error = figures.get("calibration", {})
    rows = []
    for name, group in (answers or {"all": {}}).items():
        whole = name == "all"
        own = {**(systems.get("product", {}) if whole else {}), **group, **(error if whole else {})}
        rows.append([f"product{GROUPS[name]}", *_cells(own, COLUMNS.values())])
    for name, row in systems.items():
        if name != "product" and "skipped" not in row:
            rows.append([name, *_cells(row, COLUMNS.values())])
    texts = f"{figures['texts']} 篇文本，" if figures["texts"] else ""
    head = [f"{figures['about']}。{texts}{figures['questions']} 个问题。"]
    if systems:
        share = systems["product"]["hit@1"]
        spread = math.sqrt(share * (1 - share) / figures["questions"])
        head.append(f"hit@1 的标准误约 {spread:.3f}。")
    lines = [f"## {figures['set']}", "", "".join(head), ""]
    lines += [_row(["系统", *COLUMNS]), _row(["---", *["--:"] * len(COLUMNS)])]
    lines += [*map(_row, rows), ""]
    for name, row in systems.items():
        lines.append(f"- {name}：{row.get('form') or '未测。' + row['skipped']}")
    return "\n".join(lines) + "\n"


def _cells(row: Figures, names: Iterable[str]) -> list[str]:
    return [_cell(name, row[name]) if name in row else "–" for name in names]


def _cell(name: str, value: float) -> str:
    return f"{value:.1f}" if name.startswith("ms") else f"{value:.3f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def report(sets: Sequence[QuestionSet], skipped: dict[str, str], encoder: Encoder) -> Figures:
    """Evaluate and print set by set; return everything, ready for JSON."""
    done: list[Figures] = []
    for figures in evaluate_all(sets, encoder):
        print(table(figures), flush=True)
        done.append(figures)
    for name, reason in skipped.items():
        print(f"## {name}\n\n未测：{reason}\n")
    print(NOTE)
    return {
        "version": version(),
        "python": sys.version.split()[0],
        "libraries": {name: version_of(name) for name in ("numpy", "faiss-cpu", "jieba", "bm25s")},
        "encoder": encoder.fingerprint,
        "sets": done,
        "skipped": skipped,
    }


def panels(results: Figures) -> dict[str, list[Bin]]:
    """What the reliability diagram shows: one panel a set with answers."""
    return {
        each["set"]: [Bin(**row) for row in each["calibration"]["bins"]]
        for each in results["sets"]
        if "calibration" in each
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Read the sets that were asked for, evaluate them, write what was asked for."""
    parser = argparse.ArgumentParser(description="产品与固定基线的对比评测")
    parser.add_argument("--data", type=Path, help="评测数据所在文件夹；不给则只测项目自带的问题")
    parser.add_argument("--set", nargs="+", action="extend", choices=SETS, help="只测这些问题集")
    parser.add_argument("--limit", type=int, default=0, help="每个问题集只测前 N 个问题")
    parser.add_argument("--json", type=Path, help="把全部数字写入这个文件")
    parser.add_argument("--svg", type=Path, help="把可靠性图写入这个文件")
    given = parser.parse_args()
    for path in filter(None, (given.json, given.svg)):
        if not path.parent.is_dir():
            parser.error(f"没有文件夹 {path.parent}")
    chosen, skipped = [], {}
    # In the order of `SETS`, in which neighbours share a base.
    for name in (name for name in SETS if name in (given.set or SETS)):
        try:
            chosen.append(SETS[name](given.data, given.limit))
        except KnowledgeError as error:
            skipped[name] = str(error)
    results = report(chosen, skipped, make_encoder(Settings.from_env(os.environ)))
    if given.json:
        text = json.dumps(results, ensure_ascii=False, indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")
    if given.svg:
        given.svg.write_text(diagram(panels(results)), encoding="utf-8")
    return 1 if given.set and skipped else 0


if __name__ == "__main__":
    sys.exit(main())
