"""From snapshot to ranked passages: features against plain Python, candidates, order, models."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings import HashingEncoder, Item
from embeddings.ranking import COEFFICIENTS, FEATURES, Candidate, Model, Pool, candidates
from embeddings.segment import Segment
from embeddings.snapshot import PAIRS, Question, Snapshot
from tests.embeddings.oracle import Oracle

repeatable = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)

ENCODER = HashingEncoder(64)
PARTS = (
    (
        Item("a1", "参保人员凭社会保障卡到定点医院就医", "医疗保险办法", "a"),
        Item("a1", "未带社会保障卡的，先行垫付医疗费用", "医疗保险办法", "a"),
        Item("a1", "看病忘带卡了能报销吗", "", "a", wording=True),
        Item("a2", "医疗保险费由单位和个人共同缴纳，缴费满25年", "医疗保险办法", "a"),
        Item("a2", "医保交够几年退休不用再交", "", "a", wording=True),
        Item("a2", "医保费谁来交", "", "a", wording=True),
        Item("b1", "失业人员可以申领失业保险金", "失业保险条例", "b"),
        Item("b1", "申领期限最长为24个月", "失业保险条例", "b"),
    ),
    (
        Item("c1", "丢了工作每月能领多少钱", "", "c", wording=True),
        Item("c1", "失业保险金按最低工资的90%发放", "失业金标准", "c"),
        Item("d1", "职工可以提取住房公积金支付房租，每年限提1次", "公积金管理条例", "d"),
        Item("d2", "ETC车辆通行费由发行方代收", "公积金管理条例", "d"),
    ),
)
SHARES = (
    "lexical", "wording", "closeness", "coverage", "breadth", "phrase", "numbers", "names",
)  # fmt: skip
REACHES = ("part_words_new", "part_pairs_new", "whole_words_new", "whole_pairs_new")
BY_MEANING = ("cosine", "wording_cosine")
QUESTIONS = (
    "失业保险金最长能领24个月还是25个月",
    "看病忘带社会保障卡怎么办",
    "医保要交够几年",
    "看病报销要交几年医保，能退吗",
    "公积金可以提取支付房租吗",
    "etc通行费谁代收",
    "请问丢了工作能领钱吗，能领几年",
)


def joined(row: Mapping[str, float]) -> dict[str, float]:
    """The figures of a passage: columns that belong together added up."""
    found = dict(row)
    for name in row:
        for some, rest in (("_unsure", "_sure"), ("_new", "_known")):
            base = name.removesuffix(some)
            if name.endswith(some) and base + rest in row:
                found[base] = row[name] + row[base + rest]
    return found


def snapshot_of(*parts: Sequence[Item], dead: Sequence[frozenset[str]] = ()) -> Snapshot:
    segments = [Segment.build(part, ENCODER) for part in parts]
    return Snapshot(segments, dead or [frozenset()] * len(parts))


def pool_of(
    snapshot: Snapshot, text: str, *, trust: float = 0.5, depth: int = 100, encoder: bool = True
) -> Pool:
    query = ENCODER.encode([text])[0] if encoder else None
    return candidates(snapshot, Question.of(text), query, trust=trust, depth=depth)


def by_key(snapshot: Snapshot, pool: Pool) -> dict[str, dict[str, float]]:
    """Features of the candidates by key."""
    names = [
        snapshot.segments[segment].keys[passage]
        for segment, passage in zip(pool.segments, pool.passages, strict=True)
    ]
    assert len(set(names)) == len(names)
    rows = [dict(zip(FEATURES, row, strict=True)) for row in pool.features.tolist()]
    return dict(zip(names, rows, strict=True))


def figures(snapshot: Snapshot, pool: Pool) -> dict[str, dict[str, float]]:
    """Figures of the candidates by key."""
    return {key: joined(row) for key, row in by_key(snapshot, pool).items()}


def flat(rows: dict[str, dict[str, float]]) -> dict[tuple[str, str], float]:
    return {(key, name): value for key, row in rows.items() for name, value in row.items()}


def only(**weights: float) -> Model:
    """A model of these features alone."""
    return Model({name: weights.get(name, 0.0) for name in FEATURES})


def ranked(snapshot: Snapshot, pool: Pool, model: Model) -> Iterator[tuple[str, Candidate]]:
    for each in pool.ranked(model):
        yield snapshot.segments[each.segment].keys[each.passage], each


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return snapshot_of(*PARTS)


@pytest.mark.parametrize("question", QUESTIONS)
def test_features_are_those_worked_out_in_plain_python(snapshot: Snapshot, question: str) -> None:
    pool = pool_of(snapshot, question, trust=0.5)
    oracle = Oracle(PARTS, question, ENCODER, trust=0.5)
    # The nearest by vector are candidates, which is every passage of so small a base.
    expected = flat(oracle.features())
    assert flat(by_key(snapshot, pool)) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    for key, each in ranked(snapshot, pool, only()):
        assert PARTS[each.segment][each.best] is oracle.items[oracle.most_telling(key)]


@pytest.mark.parametrize("question", QUESTIONS)
def test_without_an_encoder_all_features_but_cosines_are_the_same(
    snapshot: Snapshot, question: str
) -> None:
    oracle = Oracle(PARTS, question, None, trust=0.5)
    expected = oracle.features()
    found = by_key(snapshot, pool_of(snapshot, question, encoder=False))
    assert found.keys() == {
        key for key, row in expected.items() if row["lexical"] > 0 or row["wording"] > 0
    }
    expected = {key: expected[key] for key in found}
    assert flat(found) == pytest.approx(flat(expected), rel=1e-4, abs=1e-5)
    for row in figures(snapshot, pool_of(snapshot, question, encoder=False)).values():
        assert [row[name] for name in BY_MEANING] == [0, 0]


letters = st.text(alphabet="社保医疗金缴办卡怎么2年", max_size=10)
passage = st.tuples(st.lists(letters, min_size=1, max_size=3), st.lists(letters, max_size=2))
bases = st.lists(st.lists(passage, min_size=1, max_size=3), min_size=1, max_size=4)


@repeatable
@given(bases, letters, st.floats(0, 1), st.booleans())
def test_every_feature_lies_in_its_range(
    base: list[list[tuple[list[str], list[str]]]], question: str, trust: float, encoder: bool
) -> None:
    items = [
        Item(f"{group}/{number}", text, "" if wording else "医保", f"{group}", wording)
        for group, passages in enumerate(base)
        for number, (said, asked) in enumerate(passages)
        for wording, texts in ((False, said), (True, asked))
        for text in texts
    ]
    snapshot = snapshot_of(items)
    rows = figures(snapshot, pool_of(snapshot, question, trust=trust, encoder=encoder))
    near = 1e-3  # of half precision
    for row in rows.values():
        assert all(math.isfinite(value) for value in row.values())
        for name in SHARES:
            assert 0 <= row[name] <= 1 + 1e-6, name
        assert min(row[name] for name in REACHES) >= 0
        assert abs(row["cosine"]) <= trust + near
        assert 0 <= row["wording_cosine"] <= trust + near
        assert row["coverage"] <= row["breadth"] + 1e-6
        for name, value in row.items():
            of = name.rpartition("_")[0]
            if of in row and name != "wording_cosine":
                assert abs(value) <= abs(row[of]) + 1e-9, name
                assert value * row[of] >= 0, name
    if any(row["lexical"] for row in rows.values()):
        assert max(row["lexical"] for row in rows.values()) == 1


def test_a_passage_scores_by_its_best_part(snapshot: Snapshot) -> None:
    """Parts beside the best one add nothing: neither to words nor to meaning."""
    question = "失业保险金申领期限最长几个月"
    row = figures(snapshot, pool_of(snapshot, question, trust=1.0))["b1"]
    ((own, _), _) = snapshot.lexical(Question.of(question).terms)
    cosines = snapshot.segments[0].cosines(ENCODER.encode([question])[0], np.array([6, 7]))
    assert own[:, 6:8].max() == own.max() > own[:, 6:8].min() > 0
    known = row["cosine_known"] / row["cosine"]
    best = own[PAIRS, 6:8].max() / snapshot.ideal(Question.of(question).terms)[PAIRS]
    assert row["part_pairs_new"] == pytest.approx((1 - known) * best, rel=1e-4)
    assert row["cosine"] == pytest.approx(float(cosines.max()))
    pool = pool_of(snapshot, question)
    [(_, best)] = [each for each in ranked(snapshot, pool, only()) if each[0] == "b1"]
    assert best.best == 7


def test_a_passage_scores_by_its_best_wording(snapshot: Snapshot) -> None:
    question = "医保交够几年退休"
    rows = by_key(snapshot, pool_of(snapshot, question, trust=1.0))
    ((of_kinds, _), _) = snapshot.lexical(Question.of(question).terms)
    own = of_kinds.sum(axis=0)
    assert own[4] > own[5] > 0
    assert rows["a2"]["wording"] == pytest.approx(1.0)
    assert rows["a1"]["wording"] == pytest.approx(float(own[2] / own[4]), abs=1e-6)
    # All seven pairs of the question are among the eleven of the wording.
    assert rows["a2"]["closeness"] == pytest.approx(2 * 7 / (7 + 11))
    assert rows["b1"]["closeness"] == rows["b1"]["wording"] == 0


def test_a_passage_is_found_by_a_wording_that_shares_no_word_with_it(snapshot: Snapshot) -> None:
    question = "工作每月"
    pool = pool_of(snapshot, question, encoder=False)
    [(key, best)] = ranked(snapshot, pool, only(wording=1.0))
    assert (key, best.best) == ("c1", 0)
    assert best.features["wording"] == best.coverage == pytest.approx(1.0)
    # A wording is not what the passage says.
    assert best.features["part_words_new"] == best.features["part_pairs_new"] == 0


def test_wordings_have_places_of_their_own_among_the_candidates() -> None:
    """However many passages say more of the question, those asked for so are looked at."""
    said = [Item(f"s{at}", "停车收费标准怎样计算", "停车收费", f"s{at}") for at in range(20)]
    asked = [
        Item("w", "机动车泊位按时段计价", "泊位办法", "w"),
        Item("w", "停车一小时多少钱", "", "w", wording=True),
    ]
    snapshot = snapshot_of([*said, *asked])
    keys = by_key(snapshot, pool_of(snapshot, "停车收费标准", depth=4, encoder=False)).keys()
    assert "w" in keys
    assert len(keys) == 5


def test_coverage_is_the_share_of_the_question_in_the_most_telling_part(
    snapshot: Snapshot,
) -> None:
    rows = figures(snapshot, pool_of(snapshot, "失业人员申领失业保险金"))
    full, part, none = (rows[key]["coverage"] for key in ("b1", "c1", "d2"))
    assert full > 0.8
    assert full > part > none >= 0


def test_features_do_not_depend_on_the_cut_into_segments(snapshot: Snapshot) -> None:
    items = [item for part in PARTS for item in part]
    one = snapshot_of(items)
    three = snapshot_of(items[:6], items[6:8], items[8:])
    for question in QUESTIONS:
        expected = flat(by_key(snapshot, pool_of(snapshot, question)))
        for other in (one, three):
            found = flat(by_key(other, pool_of(other, question)))
            assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_dead_groups_are_no_candidates_and_set_no_standard() -> None:
    alive, both = snapshot_of(PARTS[1]), snapshot_of(*PARTS, dead=[frozenset("ab"), frozenset()])
    for encoder in (True, False):
        rows = by_key(both, pool_of(both, "失业保险金24个月", encoder=encoder))
        expected = by_key(alive, pool_of(alive, "失业保险金24个月", encoder=encoder))
        assert rows.keys() == expected.keys() <= {"c1", "d1", "d2"}
        assert rows["c1"]["lexical"] == 1


def test_candidates_are_found_by_words_or_by_vector(snapshot: Snapshot) -> None:
    by_words = figures(snapshot, pool_of(snapshot, "公积金付房租", encoder=False))
    by_both = figures(snapshot, pool_of(snapshot, "公积金付房租"))
    assert by_words.keys() < by_both.keys()
    assert not any(row["cosine"] for row in by_words.values())


def test_no_more_candidates_than_the_depth_allows() -> None:
    items = [
        item
        for number in range(40)
        for item in (
            Item(f"{number}", "停车收费" * (number % 7 + 1), "", f"{number}"),
            Item(f"{number}", "停车怎么收费", "", f"{number}", wording=True),
        )
    ]
    snapshot = snapshot_of(items)
    pool = pool_of(snapshot, "停车收费", depth=8)
    assert 8 <= len(pool.passages) <= 16
    assert pool.features[:, FEATURES.index("lexical")].max() == 1
    whole = pool_of(snapshot, "停车收费")
    best = {key for key, each in ranked(snapshot, whole, only(lexical=1.0)) if each.score > 0.999}
    assert best & by_key(snapshot, pool).keys()


@pytest.mark.parametrize("question", ["", "火星", "？"])
def test_no_candidates_make_an_empty_pool(snapshot: Snapshot, question: str) -> None:
    pool = pool_of(snapshot, question, encoder=False)
    assert pool.features.shape == (0, len(FEATURES))
    assert [*pool.ranked(only(lexical=1.0))] == []


def test_trust_scales_cosines_and_nothing_else(snapshot: Snapshot) -> None:
    question = QUESTIONS[1]
    full, quarter, none = (
        figures(snapshot, pool_of(snapshot, question, trust=trust)) for trust in (1.0, 0.25, 0.0)
    )
    assert full.keys() == quarter.keys() == none.keys()
    for key, row in full.items():
        for name in {*row} & {*SHARES, *BY_MEANING}:
            share, zero = (0.25, 0.0) if name in BY_MEANING else (1.0, 1.0)
            assert quarter[key][name] == pytest.approx(share * row[name]), name
            assert none[key][name] == pytest.approx(zero * row[name]), name
    assert any(row["cosine"] for row in full.values())


def test_a_candidate_says_what_speaks_for_it(snapshot: Snapshot) -> None:
    for question in QUESTIONS:
        pool = pool_of(snapshot, question)
        rows = figures(snapshot, pool)
        for key, each in ranked(snapshot, pool, only()):
            row = rows[key]
            assert each.coverage == pytest.approx(row["coverage"])
            assert each.breadth == row["breadth"]
            assert each.similarity == pytest.approx(max(row["cosine"], row["wording_cosine"]))


def test_order_is_by_score(snapshot: Snapshot) -> None:
    pool = pool_of(snapshot, QUESTIONS[0])
    model = only(lexical=2.0, breadth=1.0, numbers=0.5)
    found = [*ranked(snapshot, pool, model)]
    assert len(found) == len(pool.passages) == 6
    scores = [each.score for _, each in found]
    assert scores == sorted(scores, reverse=True)
    rows = by_key(snapshot, pool)
    for key, each in found:
        row = rows[key]
        assert each.features == row
        expected = 2 * row["lexical"] + row["breadth"] + 0.5 * row["numbers"]
        assert each.score == pytest.approx(expected)
        assert sum(model.parts(each.features).values()) == pytest.approx(each.score)


def test_among_equals_the_youngest_segment_and_the_first_passage_come_first() -> None:
    def twins(group: str) -> list[Item]:
        return [Item(f"{group}/{at}", "停车收费标准", "停车办法", group) for at in range(3)]

    snapshot = snapshot_of(twins("old"), twins("new"))
    for encoder in (True, False):
        pool = pool_of(snapshot, "停车怎么收费", encoder=encoder)
        order = [key for key, _ in ranked(snapshot, pool, only(lexical=1.0, cosine_sure=1.0))]
        assert order == ["new/0", "new/1", "new/2", "old/0", "old/1", "old/2"]


def test_order_does_not_hang_on_the_order_of_the_pool(snapshot: Snapshot) -> None:
    pool = pool_of(snapshot, QUESTIONS[0])
    model = only(closeness=1.0)  # many equals
    expected = [*pool.ranked(model)]
    assert [*pool.ranked(model)] == expected
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(pool.passages))
        shuffled = Pool(
            pool.segments[order], pool.passages[order], pool.best[order], pool.features[order]
        )
        assert [*shuffled.ranked(model)] == expected


def test_words_rank_alone_when_the_encoder_is_down(snapshot: Snapshot) -> None:
    meaning = {name: 5.0 for name in FEATURES if "cosine" in name}
    model = only(lexical=1.0, **meaning)
    pool = pool_of(snapshot, "公积金提取付房租", encoder=False)
    order = [key for key, _ in ranked(snapshot, pool, model)]
    assert order[0] == "d1"
    assert all(each.score == each.features["lexical"] for _, each in ranked(snapshot, pool, model))


@pytest.mark.parametrize("name", ["clauses", "entries"])
def test_the_shipped_coefficients_have_the_agreed_shape(name: str) -> None:
    held = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))["ranking"][name]
    assert set(held) >= {"weights"}
    assert set(held["weights"]) <= set(FEATURES)
    model = Model.load(name)
    assert tuple(model.weights) == FEATURES
    # No figure can speak against a passage.
    assert all(weight >= 0 for weight in model.weights.values())
    assert any(weight > 0 for weight in model.weights.values())


def test_a_model_is_read_from_its_file_and_features_left_out_weigh_nothing(tmp_path: Path) -> None:
    file = tmp_path / "coefficients.json"
    held = {"ranking": {"laws": {"weights": {"phrase": 2, "numbers": 0.5}}}}
    file.write_text(json.dumps(held), encoding="utf-8")
    model = Model.load("laws", file)
    assert model == Model({**dict.fromkeys(FEATURES, 0.0), "phrase": 2.0, "numbers": 0.5})
    with pytest.raises(KeyError):
        Model.load("clauses", file)


def test_scores_are_the_sum_of_weighed_features() -> None:
    model = only(lexical=2.0, numbers=-1.0)
    features = np.random.default_rng(0).random((5, len(FEATURES)))
    expected = 2 * features[:, 0] - features[:, FEATURES.index("numbers")]
    np.testing.assert_allclose(model.scores(features), expected)
    for row, score in zip(features, expected, strict=True):
        parts = model.parts(dict(zip(FEATURES, row.tolist(), strict=True)))
        assert tuple(parts) == FEATURES
        assert sum(parts.values()) == pytest.approx(float(score))


@pytest.mark.parametrize(
    "names", [("公积金",), ("公积金", "火星"), ("失业保险", "社会保障卡", "医保")]
)
def test_names_count_where_the_whole_has_them(snapshot: Snapshot, names: tuple[str, ...]) -> None:
    text = "失业保险金和公积金怎么领"
    question = Question.of(text, names=names)
    pool = candidates(snapshot, question, ENCODER.encode([text])[0], trust=0.5, depth=100)
    oracle = Oracle(PARTS, text, ENCODER, trust=0.5, names=names).features()
    found = by_key(snapshot, pool)
    assert any(row["names"] for row in found.values())
    for key, row in found.items():
        assert row["names"] == pytest.approx(oracle[key]["names"]), key
