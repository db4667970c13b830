"""Each set reads its own layout of files, and its truth fits what the product finds."""

import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from app import compose
from benchmarks import question_sets
from benchmarks.evaluation import evaluate_all, judgements
from benchmarks.question_sets import SETS
from embeddings import HashingEncoder
from kb.errors import NotFound
from kb.numerals import chinese
from service.config import Settings
from service.evaluation import Task, rank, retrieval
from service.runtime import Runtime
from training.questions import held_out

Rows = Sequence[Mapping[str, object]]


def write(path: Path, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(lzma.compress(lines) if path.suffix == ".xz" else lines)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    runtime = compose(Settings(data_dir=str(tmp_path / "base")), encoder=HashingEncoder())
    yield runtime
    runtime.close()


def test_a_set_whose_data_are_absent_says_so(tmp_path: Path) -> None:
    for name in SETS.keys() - {"golden"}:
        for data in (None, tmp_path):
            with pytest.raises(NotFound):
                SETS[name](data, 0)


def test_the_golden_set_needs_no_data() -> None:
    questions = SETS["golden"](None, 5)
    assert len(questions.asked) == 5
    assert not questions.ranked


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policy-questions"
    corpus = [
        {"_id": "a", "title": "取暖补贴办法", "text": "低保家庭可以向街道申请取暖补贴。"},
        {"_id": "b", "title": "停车办法", "text": "电动自行车停放不收费。"},
    ]
    write(folder / "dev" / "corpus.jsonl", corpus)
    queries = [{"_id": "1", "text": "取暖补贴向谁申请"}, {"_id": "2", "text": "电动自行车收费吗"}]
    write(folder / "dev" / "queries.jsonl", queries)
    (folder / "dev" / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t1\n")
    write(folder / "train.jsonl", [{"question": f"火星上的第{n}个问题"} for n in range(700)])
    return tmp_path


def test_unanswerable_questions_are_asked_of_the_base_of_the_policy_set(policies: Path) -> None:
    policy, strangers = SETS["policy"](policies, 0), SETS["unanswerable"](policies, 0)
    assert policy.collection is strangers.collection
    assert [each.right for each in policy.asked] == [{"a"}, {"b"}]
    assert sum(not each.right for each in strangers.asked) == 500
    assert strangers.asked[500:] == policy.asked
    assert SETS["unanswerable"](policies, 0).asked == strangers.asked
    assert len(SETS["unanswerable"](policies, 1).asked) == 2


def test_the_product_is_measured_as_its_own_command_does(policies: Path) -> None:
    def runtime_in(folder: Path) -> Runtime:
        return compose(Settings(data_dir=str(folder)), encoder=HashingEncoder())

    own = retrieval(Task.read(policies / "policy-questions" / "dev"), runtime_in)
    [figures] = evaluate_all([SETS["policy"](policies, 0)], HashingEncoder())
    measured = figures["systems"]["product"]
    for name in ("hit@1", "recall@10", "mrr@10", "ndcg@10"):
        assert measured[name] == own[name], name


def test_the_same_question_is_looked_for_among_entries(tmp_path: Path, runtime: Runtime) -> None:
    def pair(a: str, b: str, label: int, source: str = "epidemic_ncov") -> dict[str, object]:
        return {"source": source, "a": a, "b": b, "label": label}

    pairs = [
        pair("发烧了怎么办", "发热了应该怎么办", 1),
        pair("发烧了怎么办", "发烧会不会传染", 0),
        pair("发烧了怎么办", "发烧了怎么办？", 0),
        pair("发热了应该怎么办", "热度不退怎么办", 1),
        pair("口罩怎么戴", "戴口罩有什么用", 0),
        pair("花呗怎么还", "怎样还花呗", 1, "another"),
    ]
    write(tmp_path / "paraphrase" / "pairs.jsonl.xz", pairs)
    questions = SETS["epidemic"](tmp_path, 0)
    # Whoever has no other wording is in the pool but not asked; other sources stay out.
    assert {each.key for each in questions.collection.texts} == {
        text for row in pairs[:5] for text in (row["a"], row["b"])
    }
    asked = {each.text: each for each in questions.asked}["发烧了怎么办"]
    # Also what is the same as the same, and what differs in punctuation alone.
    assert asked.right == {"发热了应该怎么办", "热度不退怎么办", "发烧了怎么办？"}
    keys = questions.collection.fill(runtime)
    found = rank(runtime, asked.text, keys)
    assert found[0] == asked.left_out
    assert asked.right <= set(found)


def test_held_out_questions_are_asked_of_the_laws_they_name(
    tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = "中华人民共和国路灯法"
    rules = {f"第{chinese(n)}条": f"编号{n}的路灯由街道{n}负责维护。" for n in range(1, 99)}
    texts = tmp_path / "laws" / "txt" / "社会法"
    texts.mkdir(parents=True)
    for day, wording in (("2001-01-01", "旧"), ("2021-01-01", "新")):
        body = "\n\n".join(f"{article} {wording}规定：{rule}" for article, rule in rules.items())
        (texts / f"路灯法({day}).txt").write_text(f"# {law}\n\n{body}\n", encoding="utf-8")
    (texts / "别的法(2020-01-01).txt").write_text("# 别的法\n\n第一条 另一件事。\n")
    rows = [{"question": rule, "law": law, "article": article} for article, rule in rules.items()]
    rows.append({"question": "没有的条文", "law": law, "article": "第一千条"})
    rows.append({"question": "没有的法律", "law": "乌有法", "article": "第一条"})
    write(tmp_path / "questions" / "lamps.jsonl", rows)
    monkeypatch.setattr(question_sets, "QUESTIONS", tmp_path / "questions")
    questions = SETS["held-out"](tmp_path, 0)
    assert {each.right for each in questions.asked} == {
        frozenset({f"{law} {article}"}) for article in rules if held_out(law, article)
    }
    assert len(questions.collection.texts) == len(rules)
    assert all("新规定" in each.text for each in questions.collection.texts)
    keys = questions.collection.fill(runtime)
    asked = questions.asked[0]
    assert asked.right == {rank(runtime, asked.text, keys, per_document=10)[0]}
    [judged] = judgements(runtime, keys, [asked])
    assert judged.right


def test_a_code_in_several_files_is_one_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tmp_path / "laws" / "txt" / "路灯法典"
    texts.mkdir(parents=True)
    for name, first in (("分则", 51), ("总则", 1)):
        body = "\n\n".join(f"第{chinese(n)}条 路灯{n}。" for n in range(first, first + 49))
        (texts / f"{name}.txt").write_text(f"# 路灯法典\n\n{body}\n", encoding="utf-8")
    rows = [
        {"question": f"路灯{n}", "law": "路灯法典", "article": f"第{chinese(n)}条"} for n in (1, 99)
    ]
    write(tmp_path / "questions" / "lamps.jsonl", rows)
    monkeypatch.setattr(question_sets, "QUESTIONS", tmp_path / "questions")
    found = [each.key for each in SETS["held-out"](tmp_path, 0).collection.texts]
    assert found == [f"路灯法典 第{chinese(n)}条" for n in range(1, 100) if n != 50]
