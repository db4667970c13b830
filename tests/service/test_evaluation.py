"""Figures by the standard definitions, and both evaluations through the product's own path."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytrec_eval

from app import compose
from kb.errors import DocumentUnreadable
from service.config import Settings
from service.evaluation import Task, golden, ranking_figures, retrieval
from service.runtime import Runtime
from tests.factories import entry


def test_figures_equal_those_of_trec_eval() -> None:
    chance = random.Random(5)
    names = [f"d{n}" for n in range(40)]
    relevant = {f"q{n}": set(chance.sample(names, chance.randint(1, 14))) for n in range(60)}
    ranked = {query: chance.sample(names, 25) for query in relevant}
    run = {
        query: {name: float(100 - rank) for rank, name in enumerate(found[:10])}
        for query, found in ranked.items()
    }
    qrels = {query: dict.fromkeys(wanted, 1) for query, wanted in relevant.items()}
    oracle = pytrec_eval.RelevanceEvaluator(
        qrels, {"ndcg_cut.10", "recall.10", "recip_rank", "success.1"}
    ).evaluate(run)

    def mean(name: str) -> float:
        return sum(row[name] for row in oracle.values()) / len(oracle)

    ours = ranking_figures(ranked, relevant)
    assert ours["ndcg@10"] == pytest.approx(mean("ndcg_cut_10"))
    assert ours["recall@10"] == pytest.approx(mean("recall_10"))
    assert ours["mrr@10"] == pytest.approx(mean("recip_rank"))
    assert ours["hit@1"] == pytest.approx(mean("success_1"))


@pytest.fixture
def task_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    rows = [
        {"_id": "a", "title": "取暖补贴办法", "text": "低保家庭可以领取取暖补贴。"},
        {"_id": "b", "title": "停车办法", "text": "电动自行车停车不收费。"},
        {"_id": "c", "title": "停车办法", "text": "电动自行车停车不收费。"},
        {"_id": "d", "title": "", "text": "高龄老人按月领取津贴，有效期至2020年1月1日。"},
    ]
    queries = [
        {"_id": "1", "text": "取暖补贴谁能领"},
        {"_id": "2", "text": "电动自行车停车收费吗"},
        {"_id": "3", "text": "高龄津贴"},
    ]
    for name, content in (("corpus", rows), ("queries", queries)):
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in content)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    (folder / "qrels.tsv").write_text(
        "query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t1\n2\tc\t1\n3\td\t1\n1\tb\t0\n"
    )
    return folder


def test_retrieval_runs_in_a_base_of_its_own(task_folder: Path) -> None:
    figures = retrieval(
        Task.read(task_folder), lambda folder: compose(Settings(data_dir=str(folder)))
    )
    assert figures["queries"] == 3
    # Equal texts are different documents, and age does not exclude any.
    assert figures["hit@1"] == figures["recall@10"] == figures["ndcg@10"] == 1.0


def test_a_task_may_be_cut_short_and_must_be_whole(task_folder: Path, tmp_path: Path) -> None:
    assert len(Task.read(task_folder, limit=1).queries) == 1
    with pytest.raises(DocumentUnreadable):
        Task.read(tmp_path)
    (task_folder / "queries.jsonl").write_text("{broken")
    with pytest.raises(DocumentUnreadable):
        Task.read(task_folder)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    runtime = compose(Settings(data_dir=str(tmp_path / "base")))
    records = [
        entry("老年优待证在哪里办理？", code="A-1"),
        entry("护照到期怎么换发？", code="A-2"),
        entry("低保怎么申请？", code="A-3"),
        entry("驾驶证丢了怎么补领？", code="A-4"),
    ]
    runtime.entries.save(list(enumerate(records)), actor="编辑", publish=True)
    runtime.indexer.catch_up()
    yield runtime
    runtime.close()


def test_golden_questions_are_judged_one_by_one(runtime: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    rows = [
        {"question": "老年优待证在哪里办理", "expect": "A-1"},
        {"question": "护照到期怎么换发", "expect": "A-1"},
        {"question": "低保怎么申请", "expect": None},
        {"question": "量子计算机怎么组装", "expect": None},
        {"question": "量子计算机怎么组装", "expect": "A-1"},
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    file.write_text(lines, encoding="utf-8")
    figures, wrong = golden(runtime, file)
    assert figures == {
        "questions": 5,
        "accuracy": 0.4,
        "answered_share": 0.6,
        "wrong_answer_share": 0.6667,
        "correct_refusals": 0.5,
    }
    assert len(wrong) == 3


def test_a_golden_file_of_another_shape_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    for text in ("{", '{"question": "x"}', '{"expect": null}', "[1]"):
        file.write_text(text)
        with pytest.raises(DocumentUnreadable):
            golden(runtime, file)
