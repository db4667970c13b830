"""Measuring answers: BEIR retrieval in a temporary base, and golden questions on the present one.

Both go through the product's own path: what is measured is what a citizen gets.
"""

import json
import logging
import lzma
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb.documents import Upload
from kb.errors import DocumentUnreadable
from kb.metadata import parse_date
from kb.search import Scope
from service.conversations import Outcome, Question
from service.runtime import Runtime

log = logging.getLogger(__name__)

DEPTH = 10


@dataclass(frozen=True)
class Task:
    """A retrieval task in BEIR's layout.

    Attributes:
        corpus: rows with `_id`, `title`, `text`.
        queries: query id → text.
        relevant: query id → ids of its relevant documents.
    """

    corpus: list[dict[str, str]]
    queries: dict[str, str]
    relevant: dict[str, set[str]]

    @classmethod
    def read(
        cls, folder: Path, *, queries: Path | None = None, qrels: Path | None = None, limit: int = 0
    ) -> "Task":
        """Read a folder; the corpus may also lie beside it.

        Raises:
            DocumentUnreadable: a file is missing or not in the layout.
        """
        corpus = next(
            (
                path
                for place in (folder, folder.parent)
                for name in ("corpus.jsonl", "corpus.jsonl.xz")
                if (path := place / name).exists()
            ),
            None,
        )
        if corpus is None:
            raise DocumentUnreadable(f"{folder} 里没有 corpus.jsonl 或 corpus.jsonl.xz")
        try:
            relevant = _read_qrels(qrels or folder / "qrels.tsv")
            rows = _read_rows(queries or folder / "queries.jsonl")
            texts = {row["_id"]: row["text"] for row in rows if row["_id"] in relevant}
            if limit:
                texts = dict(list(texts.items())[:limit])
            return cls(list(_read_rows(corpus)), texts, {q: relevant[q] for q in texts})
        except (OSError, ValueError, KeyError) as error:
            raise DocumentUnreadable(f"{folder} 不是 BEIR 格式：{error}") from error


def retrieval(task: Task, make_runtime: Callable[[Path], Runtime]) -> dict[str, float]:
    """Import the corpus into a temporary base and rank documents for every query."""
    with tempfile.TemporaryDirectory(prefix="policyqa-eval-") as folder:
        runtime = make_runtime(Path(folder))
        began = time.perf_counter()
        names = _import_corpus(runtime, task.corpus)
        runtime.indexer.catch_up()
        while runtime.indexer.merge():
            pass
        built = time.perf_counter() - began
        scope = Scope(as_of=runtime.today(), validity=None)
        began = time.perf_counter()
        ranked = {
            query: _rank_documents(runtime, text, scope, names)
            for query, text in task.queries.items()
        }
        spent = time.perf_counter() - began
        runtime.close()
    figures = ranking_figures(ranked, task.relevant)
    return {
        "queries": len(task.queries),
        **{name: round(value, 4) for name, value in figures.items()},
        "ms_per_query": round(spent * 1000 / max(len(task.queries), 1), 2),
        "build_s": round(built, 1),
    }


def ranking_figures(
    ranked: Mapping[str, Sequence[str]], relevant: Mapping[str, AbstractSet[str]]
) -> dict[str, float]:
    """hit@1, recall@10, MRR@10 and nDCG@10 (binary gains, log2 discount), averaged over queries.

    Recall and the ideal of nDCG count all relevant documents of a query, as trec_eval does.
    """
    totals = {"hit@1": 0.0, "recall@10": 0.0, "mrr@10": 0.0, "ndcg@10": 0.0}
    for query, wanted in relevant.items():
        top = list(ranked.get(query, ()))[:DEPTH]
        hits = [rank for rank, name in enumerate(top) if name in wanted]
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(len(wanted), DEPTH)))
        totals["hit@1"] += 0 in hits
        totals["recall@10"] += len(hits) / len(wanted)
        totals["mrr@10"] += 1 / (hits[0] + 1) if hits else 0.0
        totals["ndcg@10"] += sum(1 / math.log2(rank + 2) for rank in hits) / ideal
    return {name: total / max(len(relevant), 1) for name, total in totals.items()}


def golden(runtime: Runtime, file: Path) -> tuple[dict[str, Any], list[str]]:
    """Ask golden questions; return the figures and a line for each wrong answer.

    `expect` is an entry's or clause's key, an entry's code, a title, or null for a question that
    must not be answered.

    Raises:
        DocumentUnreadable: the file is not JSON lines of the agreed shape.
    """
    try:
        rows = list(_read_rows(file))
    except (OSError, ValueError) as error:
        raise DocumentUnreadable(f"{file.name} 不是 JSON lines 文件：{error}") from error
    verdicts: list[str] = []
    wrong: list[str] = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not {"question", "expect"} <= row.keys():
            raise DocumentUnreadable(f"{file.name} 第 {number} 行缺少 question 或 expect")
        verdict, said = _judge(runtime, row)
        verdicts.append(verdict)
        if verdict in ("wrong", "missed"):
            wrong.append(f"第{number}行 {row['question']}　应为 {row['expect']}　实为 {said}")
    return _golden_figures(rows, verdicts), wrong


def _golden_figures(rows: Sequence[Mapping[str, Any]], verdicts: list[str]) -> dict[str, Any]:
    answerable = sum(row["expect"] is not None for row in rows)
    given = verdicts.count("right") + verdicts.count("wrong")
    return {
        "questions": len(rows),
        "accuracy": _share(verdicts.count("right") + verdicts.count("refused"), len(rows)),
        "answered_share": _share(given, len(rows)),
        "wrong_answer_share": _share(verdicts.count("wrong"), given),
        "correct_refusals": _share(verdicts.count("refused"), len(rows) - answerable),
    }


def _judge(runtime: Runtime, row: Mapping[str, Any]) -> tuple[str, str]:
    """`right`, `wrong` (answered otherwise), `missed` (not answered) or `refused` (rightly)."""
    region = row.get("region") or runtime.settings.region
    day = parse_date(str(row["as_of"])) if row.get("as_of") else None
    answer = runtime.answerer.answer(
        Question(
            text=row["question"],
            channel="eval",
            region=runtime.regions.resolve(region),
            as_of=day or runtime.today(),
        )
    )
    answered = answer.outcome in (Outcome.ANSWERED, Outcome.ANSWERED_CLAUSE)
    names = set()
    if answer.entry is not None and answer.entry.entry is not None:
        names = {answer.entry.key, answer.entry.title, answer.entry.entry.code}
    elif answered:
        for cited in answer.citations[:1]:
            names = {f"clause:{cited.clause_id}", cited.title, f"《{cited.title}》{cited.locator}"}
    said = f"{answer.outcome.value} {' '.join(sorted(filter(None, names)))}"
    if row["expect"] is None:
        return ("wrong" if answered else "refused"), said
    if not answered:
        return "missed", said
    return ("right" if row["expect"] in names else "wrong"), said


def _import_corpus(runtime: Runtime, corpus: Iterable[dict[str, str]]) -> dict[int, list[str]]:
    """Import every row as a document; return document id → row ids (equal rows share one)."""
    uploads = (
        Upload(
            data=f"{row.get('title') or ''}\n\n{row['text']}".strip().encode(),
            filename=f"{row['_id']}.txt",
            title=row.get("title") or "",
            source_url=f"corpus:{row['_id']}",
        )
        for row in corpus
    )
    names: dict[int, list[str]] = {}
    for imported in runtime.documents.add(uploads, actor="evaluation", publish=True):
        if imported.document_id is None:
            log.warning("not imported", extra={"file": imported.filename})
            continue
        names.setdefault(imported.document_id, []).append(imported.filename.removesuffix(".txt"))
    return names


def _rank_documents(
    runtime: Runtime, text: str, scope: Scope, names: Mapping[int, Sequence[str]]
) -> list[str]:
    found = runtime.search.passages(text, scope, limit=DEPTH, per_document=1)
    ranked: list[str] = []
    for passage in found.passages:
        document_id = passage.citations[0].document_id
        ranked.extend(names.get(document_id or 0, ()))
    return ranked


def _read_rows(path: Path) -> Iterator[dict[str, Any]]:
    unpack = lzma.open if path.suffix == ".xz" else open
    with unpack(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _read_qrels(path: Path) -> dict[str, set[str]]:
    relevant: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split("\t")
        if len(parts) >= 3 and parts[2].strip().lstrip("-").isdigit() and int(parts[2]) > 0:
            relevant.setdefault(parts[0], set()).add(parts[1])
    return relevant


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
