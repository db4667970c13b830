"""Baselines rank, judgements follow the truth of a set, and calibration is counted and drawn."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app import compose
from benchmarks.baselines import EncoderAlone, System, Text, Txtai, Unavailable, baselines
from benchmarks.calibration import bins, diagram, expected_error
from benchmarks.evaluation import (
    answering,
    calibration,
    evaluate_all,
    judgements,
    panels,
    ranking,
    statements,
    table,
)
from benchmarks.question_sets import Asked, Collection, QuestionSet
from embeddings import HashingEncoder
from service.config import Settings
from service.evaluation import Keys, document_names, import_documents, uploads
from service.runtime import Runtime

SVG = "{http://www.w3.org/2000/svg}"
TEXTS = [
    Text("heating", "取暖补贴办法", "低保家庭每年十一月可以向街道申请取暖补贴。"),
    Text("parking", "停车管理办法", "电动自行车在划定的停车区停放不收费。" * 30),
    Text("elderly", "", "八十岁以上老人按月领取高龄津贴。"),
]
WITH_TXTAI = importlib.util.find_spec("txtai") is not None


@pytest.fixture(scope="module", params=["bm25s-words", "bm25s-bigrams", "encoder", "txtai"])
def system(request: pytest.FixtureRequest) -> System:
    if request.param == "txtai" and not WITH_TXTAI:
        pytest.skip("没有安装 txtai（training/requirements.txt）")
    return baselines(HashingEncoder())[request.param](TEXTS)


def test_an_obvious_text_is_found_first(system: System) -> None:
    assert system.rank("取暖补贴怎么申请", 3)[0] == "heating"
    assert system.rank("电动自行车停车要收费吗", 3)[0] == "parking"
    assert system.rank("高龄老人津贴", 3)[0] == "elderly"


def test_a_text_is_found_once_and_no_more_than_asked_for(system: System) -> None:
    # The second text is cut into several passages.
    assert len(system.rank("电动自行车停车", 1)) == 1
    found = system.rank("老人的电动自行车停车补贴", 10)
    assert sorted(found) == sorted(set(found))


def test_a_question_without_a_known_word_is_no_error(system: System) -> None:
    for question in ("？？", "Ω"):
        assert set(system.rank(question, 3)) <= {each.key for each in TEXTS}


def test_every_baseline_says_in_which_form_it_gets_the_texts(system: System) -> None:
    assert ("整篇" in system.form) != ("片段" in system.form)


def test_txtai_is_skipped_with_a_reason_where_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, questions: QuestionSet
) -> None:
    monkeypatch.setitem(sys.modules, "txtai", None)
    with pytest.raises(Unavailable, match="txtai"):
        Txtai(HashingEncoder(), TEXTS)
    [figures] = evaluate_all([questions], HashingEncoder())
    assert "txtai" in figures["systems"]["txtai"]["skipped"]
    assert "未测。没有安装 txtai" in table(figures)


def fill(runtime: Runtime) -> Keys:
    rows = [{"_id": each.key, "title": each.title, "text": each.text} for each in TEXTS]
    return document_names(import_documents(runtime, uploads(rows)))


@pytest.fixture
def questions() -> QuestionSet:
    asked = [
        Asked("低保家庭的取暖补贴怎么申请", frozenset({"heating"})),
        Asked("电动自行车停放收费吗", frozenset({"heating"})),
        Asked("火星探测器的轨道怎样计算", frozenset()),
    ]
    return QuestionSet("tiny", "三个问题", Collection(TEXTS, fill), asked[:2])


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    runtime = compose(Settings(data_dir=str(tmp_path)), encoder=HashingEncoder())
    yield runtime
    runtime.close()


def test_a_set_is_evaluated_with_all_systems_in_one_run(
    monkeypatch: pytest.MonkeyPatch, questions: QuestionSet
) -> None:
    monkeypatch.setitem(sys.modules, "txtai", None)
    [figures] = evaluate_all([questions], HashingEncoder())
    systems = figures["systems"]
    assert list(systems) == ["product", "bm25s-words", "bm25s-bigrams", "encoder", "txtai"]
    # The truth of the second question is wrong on purpose.
    for name in ("product", "bm25s-words", "bm25s-bigrams", "encoder"):
        assert systems[name]["hit@1"] == 0.5, name
        assert systems[name]["ms_per_question"] >= 0
    assert json.loads(json.dumps(figures)) == figures
    shown = table(figures)
    assert shown.count("\n| ") == 1 + 1 + 4
    assert all(row["form"] in shown for row in systems.values() if "form" in row)


def test_neighbours_with_one_collection_share_a_base(questions: QuestionSet) -> None:
    filled = []

    def counting(runtime: Runtime) -> Keys:
        filled.append(runtime)
        return fill(runtime)

    collection = Collection(TEXTS, counting)
    sets = [QuestionSet(name, "", collection, questions.asked, ranked=False) for name in ("a", "b")]
    assert [each["set"] for each in evaluate_all(sets, HashingEncoder())] == ["a", "b"]
    assert len(filled) == 1


def test_replies_are_judged_by_the_truth_of_the_set(runtime: Runtime) -> None:
    asked = [
        Asked("低保家庭每年十一月申请取暖补贴", frozenset({"heating"})),
        Asked("低保家庭每年十一月申请取暖补贴", frozenset({"parking"})),
        Asked("火星探测器的轨道怎样计算", frozenset()),
    ]
    right, wrong, stranger = judgements(runtime, fill(runtime), asked)
    assert right.right and right.correct
    assert right.reply.answered and wrong.reply.answered
    assert not wrong.right and not wrong.correct
    assert not stranger.answerable and not stranger.reply.answered and stranger.correct
    figures = answering([right, wrong, stranger])
    assert figures["answerable"]["answered_share"] == 1.0
    assert figures["answerable"]["wrong_answer_share"] == 0.5
    assert figures["unanswerable"]["correct_refusals"] == 1.0
    assert "wrong_answer_share" not in figures["unanswerable"]
    assert "correct_refusals" not in answering([right, wrong])["all"]
    # Two answers of one confidence, one of which is right: off by as much as it is from a half.
    error = calibration([right, wrong])["calibration_error_of_answers_given"]
    assert error == pytest.approx(abs(right.reply.confidence - 0.5), abs=1e-4)


def test_the_question_itself_is_not_counted_among_what_is_found() -> None:
    pool = ["发烧了怎么办", "发热了应该怎么办", "口罩怎么戴才正确"]
    system = EncoderAlone(HashingEncoder(), [Text(each, "", each) for each in pool])
    asked = [Asked(pool[0], frozenset({pool[1]}), left_out=pool[0])]
    assert system.rank(pool[0], 1) == [pool[0]]
    assert ranking(system.rank, asked)["hit@1"] == 1.0


def test_calibration_error_of_a_worked_example() -> None:
    # .95, .95, 1.0 in the last bin: said .9667, was 2/3; .15 alone in the second; .3 in the fourth.
    stated = [(0.95, True), (0.95, False), (1.0, True), (0.15, False), (0.3, True)]
    held = bins(stated)
    assert [each.count for each in held] == [0, 1, 0, 1, 0, 0, 0, 0, 0, 3]
    expected = 3 / 5 * (2.9 / 3 - 2 / 3) + 1 / 5 * 0.15 + 1 / 5 * 0.7
    assert expected_error(held) == pytest.approx(expected)


def test_calibration_error_is_nought_without_statements_and_for_true_ones() -> None:
    assert expected_error(bins([])) == 0.0
    assert expected_error(bins([(0.75, True)] * 3 + [(0.75, False)])) == 0.0


def test_the_diagram_is_xml_that_shows_counts_and_leaves_out_empty_panels() -> None:
    stated = [(0.95, True)] * 7 + [(0.35, False)] * 13
    panels_shown = {"政策 <dev> & 其他": bins(stated), "lay": bins(stated), "empty": bins([])}
    root = ElementTree.fromstring(diagram(panels_shown))
    texts = [each.text or "" for each in root.iter(f"{SVG}text")]
    assert texts.count("7") == texts.count("13") == 2
    assert "政策 <dev> & 其他" in texts and "empty" not in texts
    assert len(root.findall(f"{SVG}g")) == 2
    style = root.findtext(f"{SVG}style") or ""
    assert "prefers-color-scheme: dark" in style
    # Everything drawn lies inside the picture.
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for group in root.findall(f"{SVG}g"):
        x, y = map(float, group.attrib["transform"][len("translate(") : -1].split())
        for bar in group.iter(f"{SVG}rect"):
            assert x + float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width
            assert y + float(bar.attrib["y"]) + float(bar.attrib["height"]) <= height


def test_a_diagram_of_nothing_is_still_a_picture() -> None:
    ElementTree.fromstring(diagram({}))


def test_panels_come_back_from_the_figures(runtime: Runtime) -> None:
    asked = [Asked("低保家庭每年十一月申请取暖补贴", frozenset({"heating"}))]
    judged = judgements(runtime, fill(runtime), asked)
    results = {"sets": [{"set": "tiny", "calibration": calibration(judged)}, {"set": "ranked"}]}
    [(name, held)] = panels(results).items()
    assert name == "tiny"
    assert [each.count for each in held] == [each.count for each in bins(statements(judged))]
