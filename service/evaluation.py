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
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from kb.documents import Upload
from kb.errors import DocumentUnreadable
from kb.metadata import parse_date
from kb.passages import Citation, Passage
from kb.search import Scope
from service.conversations import Outcome, Question
from service.golden import Golden
from service.lab import OUTCOMES
from service.runtime import Runtime
from service.tunables import Tuned

log = logging.getLogger(__name__)

DEPTH = 10

# What an answer rests on or a ranking consists of: an entry, or the citation of a clause.
Source = Passage | Citation
# As what a source counts in an evaluation.
Keys = Callable[[Source], Sequence[str]]


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
            rows = read_rows(queries or folder / "queries.jsonl")
            texts = {row["_id"]: row["text"] for row in rows if row["_id"] in relevant}
            if limit:
                texts = dict(list(texts.items())[:limit])
            return cls(list(read_rows(corpus)), texts, {q: relevant[q] for q in texts})
        except (OSError, ValueError, KeyError) as error:
            raise DocumentUnreadable(f"{folder} 不是 BEIR 格式：{error}") from error


@dataclass(frozen=True)
class Reply:
    """What the product said to a question, or came nearest to saying.

    Attributes:
        answered: whether an answer was given; asking back is none.
        confidence: of the answer given, else of the passage nearest to being one; 0 without any.
        source: of the same; None where there is none (as for a greeting).
    """

    outcome: Outcome
    answered: bool
    confidence: float
    source: Source | None


@dataclass(frozen=True)
class Judged:
    """A reply against the truth.

    Attributes:
        answerable: whether the question has an answer in the base.
        right: whether the source is a right one, be it given as an answer or not.
    """

    reply: Reply
    answerable: bool
    right: bool

    @property
    def correct(self) -> bool:
        """Whether the right answer was given, or none where there is none."""
        return self.right and self.reply.answered if self.answerable else not self.reply.answered


@dataclass(frozen=True)
class Change:
    """A golden question, what was said to it before and after, and whether each was right."""

    golden: Golden
    before: str
    after: str
    was_right: bool
    is_right: bool


@dataclass(frozen=True)
class Comparison:
    """What some settings do to a golden set, against others.

    Attributes:
        before: figures of `service.evaluation.answer_figures`.
        wrong: questions that are answered wrongly after, though they were before as well.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    better: tuple[Change, ...]
    worse: tuple[Change, ...]
    wrong: tuple[Change, ...]


def retrieval(task: Task, make_runtime: Callable[[Path], Runtime]) -> dict[str, float]:
    """Import the corpus into a temporary base and rank documents for every query."""
    with temporary_base(make_runtime) as runtime:
        began = time.perf_counter()
        names = import_documents(runtime, uploads(task.corpus))
        built = time.perf_counter() - began
        began = time.perf_counter()
        ranked = {
            query: rank(runtime, text, document_names(names))
            for query, text in task.queries.items()
        }
        spent = time.perf_counter() - began
    figures = ranking_figures(ranked, task.relevant)
    return {
        "queries": len(task.queries),
        **{name: round(value, 4) for name, value in figures.items()},
        "ms_per_query": round(spent * 1000 / max(len(task.queries), 1), 2),
        "build_s": round(built, 1),
    }


@contextmanager
def temporary_base(make_runtime: Callable[[Path], Runtime]) -> Iterator[Runtime]:
    """A runtime in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="policyqa-eval-") as folder:
        runtime = make_runtime(Path(folder))
        try:
            yield runtime
        finally:
            runtime.close()


def uploads(corpus: Iterable[Mapping[str, str]]) -> Iterator[Upload]:
    """Rows of a corpus as text files, named by their ids."""
    for row in corpus:
        yield Upload(
            data=f"{row.get('title') or ''}\n\n{row['text']}".strip().encode(),
            filename=f"{row['_id']}.txt",
            title=row.get("title") or "",
            source_url=f"corpus:{row['_id']}",
        )


def import_documents(runtime: Runtime, files: Iterable[Upload]) -> dict[int, list[str]]:
    """Publish and index files; return document id → file names without suffix.

    Equal files share one document.
    """
    names: dict[int, list[str]] = {}
    for imported in runtime.documents.add(files, actor="evaluation", publish=True):
        if imported.document_id is None:
            log.warning("not imported", extra={"file": imported.filename})
            continue
        names.setdefault(imported.document_id, []).append(imported.filename.removesuffix(".txt"))
    index_all(runtime)
    return names


def index_all(runtime: Runtime) -> None:
    """Bring the index level and merge it, as a service does in the background."""
    runtime.indexer.catch_up()
    while runtime.indexer.merge():
        pass


def document_names(names: Mapping[int, Sequence[str]]) -> Keys:
    """Sources count as the names of their document."""

    def keys(source: Source) -> Sequence[str]:
        return () if isinstance(source, Passage) else names.get(source.document_id or 0, ())

    return keys


def rank(
    runtime: Runtime, text: str, keys: Keys, *, limit: int = DEPTH, per_document: int = 1
) -> list[str]:
    """What the product finds for a question whatever its validity, best first, each key once.

    Args:
        limit: how many passages at most.
        per_document: how many clauses of one document at most.
    """
    scope = Scope(as_of=runtime.today(), validity=None)
    found = runtime.search.passages(text, scope, limit=limit, per_document=per_document)
    sources = (_source_of(passage) for passage in found.passages)
    return list(dict.fromkeys(key for source in sources for key in keys(source)))


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

    Raises:
        DocumentUnreadable: the file is not JSON lines of the agreed shape.
    """
    rows = read_golden(file)
    judged = [judge(runtime, row) for row in rows]
    wrong = [
        f"第{number}行 {row['question']}　应为 {row['expect']}　实为 {_said(each.reply)}"
        for number, (row, each) in enumerate(zip(rows, judged, strict=True), start=1)
        if not each.correct
    ]
    return answer_figures(judged), wrong


def compare(
    runtime: Runtime, questions: Sequence[Golden], before: Tuned, after: Tuned
) -> Comparison:
    """Ask all questions with some settings and with others."""
    old = [judge(runtime, each.row(), before) for each in questions]
    new = old if before == after else [judge(runtime, each.row(), after) for each in questions]
    told = [
        Change(golden, _told(one.reply), _told(two.reply), one.correct, two.correct)
        for golden, one, two in zip(questions, old, new, strict=True)
    ]
    return Comparison(
        answer_figures(old),
        answer_figures(new),
        tuple(each for each in told if each.is_right and not each.was_right),
        tuple(each for each in told if each.was_right and not each.is_right),
        tuple(each for each in told if not each.was_right and not each.is_right),
    )


def read_golden(file: Path) -> list[dict[str, Any]]:
    """Rows with `question` and `expect`: an entry's or clause's key, an entry's code, a title, or
    null for a question that must not be answered; `region` and `as_of` are optional.

    Raises:
        DocumentUnreadable: the file is not JSON lines of this shape.
    """
    try:
        rows = list(read_rows(file))
    except (OSError, ValueError) as error:
        raise DocumentUnreadable(f"{file.name} 不是 JSON lines 文件：{error}") from error
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not {"question", "expect"} <= row.keys():
            raise DocumentUnreadable(f"{file.name} 第 {number} 行缺少 question 或 expect")
    return rows


def judge(runtime: Runtime, row: Mapping[str, Any], tuned: Tuned | None = None) -> Judged:
    """Ask one golden question, with the present settings unless given, and compare."""
    day = parse_date(str(row["as_of"])) if row.get("as_of") else None
    reply = ask(runtime, row["question"], region=row.get("region") or "", as_of=day, tuned=tuned)
    expected = row["expect"]
    return Judged(reply, expected is not None, expected in names_of(reply.source))


def ask(
    runtime: Runtime,
    text: str,
    *,
    region: str = "",
    as_of: date | None = None,
    tuned: Tuned | None = None,
) -> Reply:
    """Ask the product without leaving a trace.

    The region is the configured one, the day today, the settings the present ones unless given.
    """
    asked = Question(
        text=text,
        channel="eval",
        region=runtime.regions.resolve(region or runtime.settings.region),
        as_of=as_of or runtime.today(),
    )
    answer = runtime.answerer.tried(asked, tuned or runtime.tuning.current())
    if answer.outcome in (Outcome.ANSWERED, Outcome.ANSWERED_CLAUSE):
        given = answer.entry or next(iter(answer.citations), None)
        return Reply(answer.outcome, True, answer.confidence, given)
    fit = (passage for passage in answer.passages if passage.quotable)
    nearest = max(fit, key=lambda passage: passage.confidence, default=None)
    if nearest is None:
        return Reply(answer.outcome, False, 0.0, None)
    return Reply(answer.outcome, False, nearest.confidence, _source_of(nearest))


def names_of(source: Source | None) -> set[str]:
    """By which names a golden question may expect an entry or a clause."""
    if source is None:
        return set()
    if isinstance(source, Passage):
        code = source.entry.code if source.entry else ""
        return {source.key, source.title, code} - {""}
    return {
        f"clause:{source.clause_id}",
        source.title,
        f"《{source.title}》{source.locator}",
    }


def answer_figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """Shares of right outcomes, of answers given, of wrong ones among these, and of right refusals.

    An answer to a question that has none is wrong; asking back counts as a refusal.
    """
    given = [each for each in judged if each.reply.answered]
    without = [each for each in judged if not each.answerable]
    return {
        "questions": len(judged),
        "accuracy": _share(sum(each.correct for each in judged), len(judged)),
        "answered_share": _share(len(given), len(judged)),
        "wrong_answer_share": _share(sum(not each.correct for each in given), len(given)),
        "correct_refusals": _share(sum(each.correct for each in without), len(without)),
    }


def _told(reply: Reply) -> str:
    source = reply.source if reply.answered else None
    title = f"：{source.title}" if source is not None else ""
    return f"{OUTCOMES[reply.outcome]}{title}"


def _said(reply: Reply) -> str:
    names = names_of(reply.source) if reply.answered else ()
    return f"{reply.outcome.value} {' '.join(sorted(names))}"


def _source_of(passage: Passage) -> Source:
    return passage if passage.kind == "entry" else passage.citations[0]


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSON-lines file, which may be compressed (.xz).

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON lines.
    """
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
