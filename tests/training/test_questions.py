"""The questions written for this project: enough of them, well formed, and none of a test set."""

from __future__ import annotations

import json
import lzma
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from embeddings import normalise
from training import corpora, wordings
from training.questions import CIRCULARS, Asked, held_out, read, read_paraphrases

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
# From this Jaccard similarity of character pairs on, a question is a near copy of another.
NEAR = 0.6
LETTER = re.compile(r"[^\u3400-\u9fffa-z0-9]")


@pytest.fixture(scope="module")
def asked() -> list[Asked]:
    return read()


def test_there_are_enough_over_the_fields_citizens_ask_about(asked: list[Asked]) -> None:
    of_laws = Counter(each.field for each in asked if each.field != CIRCULARS)
    assert of_laws.total() >= 4000
    assert len(of_laws) >= 8
    assert min(of_laws.values()) >= 500
    assert len({each.clause for each in asked}) >= 4000


def test_each_names_its_clause(asked: list[Asked]) -> None:
    for each in asked:
        assert each.law
        assert re.fullmatch(
            "第[一二三四五六七八九十百千零]+条(之[一二三四五六七八九十]+)?", each.article
        ) or (each.field == CIRCULARS and not each.article), each


def test_no_question_comes_twice(asked: list[Asked]) -> None:
    letters = Counter(LETTER.sub("", normalise(each.question)) for each in asked)
    assert [text for text, count in letters.items() if count > 1] == []


def test_they_are_short_and_long_and_not_made_from_templates(asked: list[Asked]) -> None:
    lengths = np.array([len(each.question) for each in asked])
    assert (lengths <= 10).mean() > 0.04
    assert (lengths >= 35).mean() > 0.08
    for part in (slice(0, 4), slice(-5, None)):
        (_, most), *_ = Counter(each.question[part] for each in asked).most_common(1)
        assert most < 0.03 * len(asked)


def test_a_fixed_tenth_is_held_out(asked: list[Asked]) -> None:
    assert 0.08 < np.mean([each.held_out for each in asked]) < 0.12
    assert held_out("中华人民共和国劳动合同法", "第十九条") == held_out(
        "中华人民共和国劳动合同法", "第十九条"
    )


def test_groups_of_paraphrases_hold_their_own_apart() -> None:
    for group in read_paraphrases():
        assert group.same
        assert group.different
        assert not {group.question, *group.same} & {*group.different}, group


def test_no_held_out_question_ships_as_a_wording(asked: list[Asked]) -> None:
    shipped = {
        question
        for line in wordings.OUT.read_text(encoding="utf-8").splitlines()
        for question in json.loads(line)["questions"]
    }
    assert shipped
    assert not shipped & {each.question for each in asked if each.held_out}


@needs_data
def test_each_clause_exists(asked: list[Asked]) -> None:
    known = {(each.law, each.number) for each in corpora.articles(DATA)}
    named = {(normalise(law), article) for law, article in (each.clause for each in asked)}
    titles = {normalise(title) for title, _ in corpora.circulars(DATA)}
    missing = {clause for clause in named - known if clause[1] or clause[0] not in titles}
    assert not missing


@needs_data
def test_the_shipped_wordings_are_those_of_the_questions(asked: list[Asked]) -> None:
    made = wordings.by_clause(DATA, [each for each in asked if not each.held_out])
    shipped = [
        (row["sketch"], tuple(row["questions"]))
        for row in map(json.loads, wordings.OUT.read_text(encoding="utf-8").splitlines())
    ]
    assert shipped == [("".join(f"{h:08x}" for h in hashes), texts) for hashes, texts in made]


@needs_data
def test_no_test_question_nor_a_near_copy_is_learned_from(asked: list[Asked]) -> None:
    ours = [each.question for each in asked]
    for group in read_paraphrases():
        ours += [group.question, *group.same, *group.different]
    tests = list(_test_questions())
    letters = {LETTER.sub("", normalise(text)) for text in tests}
    assert not [text for text in ours if LETTER.sub("", normalise(text)) in letters]
    vocabulary: dict[str, int] = {}
    left, right = _pairs(ours, vocabulary), _pairs(tests, vocabulary)
    left.resize(left.shape[0], len(vocabulary))
    sizes_left, sizes_right = (np.asarray(each.sum(axis=1)).ravel() for each in (left, right))
    near = []
    for start in range(0, len(ours), 2000):
        common = (left[start : start + 2000] @ right.T).tocoo()
        total = sizes_left[start + common.row] + sizes_right[common.col] - common.data
        near += [ours[start + row] for row in common.row[common.data / total >= NEAR]]
    assert near == []


def _test_questions() -> list[str]:
    files = (
        "policy-questions/dev/queries.jsonl",
        "policy-questions/train.jsonl",
        "lay-questions/dev/queries.jsonl",
    )
    found = []
    for name in files:
        for line in (DATA / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.append(row.get("text") or row["question"])
    with lzma.open(DATA / "paraphrase" / "pairs.jsonl.xz", "rt", encoding="utf-8") as lines:
        found += sorted({row[side] for row in map(json.loads, lines) for side in ("a", "b")})
    return found


def _pairs(texts: list[str], vocabulary: dict[str, int]) -> sparse.csr_matrix:
    """Which character pairs each text has, shape (texts, pairs known so far)."""
    rows, columns = [], []
    for number, text in enumerate(texts):
        letters = LETTER.sub("", normalise(text))
        found = {letters[at : at + 2] for at in range(len(letters) - 1)} or {letters}
        for pair in found:
            rows.append(number)
            columns.append(vocabulary.setdefault(pair, len(vocabulary)))
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(len(texts), len(vocabulary)))
