"""The index as a whole: ranking, replacing, merging, and searching while all of that goes on."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings import EncoderUnavailable, HashingEncoder, Hit, Item, Retriever
from embeddings.encoder import Vectors
from embeddings.ranking import FEATURES, Model
from embeddings.segment import Segment

ENTRIES = {
    "card": ("社会保障卡丢失后如何补办", "持身份证到社保窗口挂失并补领新卡，工本费二十五元。"),
    "jobless": ("怎样申领失业保险金", "失业人员在户籍地或参保地的失业保险经办机构登记后按月领取。"),
    "fund": ("住房公积金可以用来付房租吗", "连续缴存满三个月且无自有住房的职工可以提取。"),
    "birth": ("生育津贴由谁发放", "参加生育保险的女职工产假期间的津贴由医疗保障经办机构支付。"),
    "hukou": ("新生儿户口登记要哪些材料", "凭出生医学证明、父母居民户口簿和结婚证到派出所申报。"),
    "school": ("随迁子女如何入学", "持居住证的家长在网上报名，由区教育局统筹安排公办学校学位。"),
    "shop": ("个体工商户营业执照办理流程", "向所在地的市场监督管理所申请登记，当场发照。"),
    "old": ("高龄津贴的发放标准", "年满八十周岁的老人每月一百元，年满一百周岁的每月五百元。"),
}  # fmt: skip


def items_of(names: Iterable[str]) -> list[Item]:
    found = []
    for name in names:
        question, answer = ENTRIES[name]
        found.append(Item(name, question, "", name, wording=True))
        found.append(Item(name, answer, question, name))
    return found


def random_items(groups: int, seed: int) -> list[Item]:
    """Groups of 1 to 4 passages of 1 to 3 items, of words that many of them share."""
    pick = random.Random(seed)
    stock = "社保 医保 公积金 失业 养老 生育 户口 居住证 入学 执照 津贴 补贴 缴费 申领 提取 登记"
    words = [*stock.split(), *(f"第{number}号" for number in range(40))]
    found = []
    for group in range(groups):
        title = pick.choice(words)
        for passage in range(pick.randint(1, 4)):
            key = f"g{group}/{passage}"
            for part in range(pick.randint(1, 3)):
                text, wording = "".join(pick.choices(words, k=8)), part > 0 and pick.random() < 0.5
                found.append(Item(key, text, "" if wording else title, f"g{group}", wording))
    return found


def by_group(items: Sequence[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.group, []).append(item)
    return found


def fill(retriever: Retriever, items: Sequence[Item], *, batch: int) -> None:
    """Apply items, so many groups at a time."""
    groups = list(by_group(items).items())
    for start in range(0, len(groups), batch):
        now = groups[start : start + batch]
        retriever.apply(
            [item for _, of_group in now for item in of_group],
            replaced=[group for group, _ in now],
            position=start + len(now),
        )


def figures(hits: Sequence[Hit]) -> dict[tuple[str, str], float]:
    """All figures of all hits, to be compared up to rounding."""
    return {
        (hit.key, name): getattr(hit, name)
        for hit in hits
        for name in ("score", "coverage", "breadth", "similarity")
    }


def merge_all(retriever: Retriever) -> int:
    times = 0
    while retriever.merge():
        times += 1
    return times


class FailingEncoder(HashingEncoder):
    """An encoder whose model has gone; its vectors fit those of `HashingEncoder`."""

    failing = True

    def encode(self, texts: Sequence[str]) -> Vectors:
        if self.failing:
            raise EncoderUnavailable("向量模型没有响应")
        return super().encode(texts)


@pytest.fixture(params=["clauses", "entries"])
def retriever(request: pytest.FixtureRequest) -> Retriever:
    retriever = Retriever(HashingEncoder(), ranking=request.param)
    retriever.apply(items_of(ENTRIES), replaced=ENTRIES, position=1)
    return retriever


@pytest.mark.parametrize(
    ("question", "group"),
    [
        ("社保卡丢了怎么补", "card"),
        ("社會保障卡遺失補辦", "card"),
        ("失业金去哪儿领", "jobless"),
        ("租房能不能提公积金", "fund"),
        ("生小孩休产假的津贴谁给", "birth"),
        ("给宝宝上户口要带什么，出生证明吗", "hukou"),
        ("外地孩子入学怎么报名，有居住证", "school"),
        ("开店办营业执照", "shop"),
        ("八十岁老人津贴多少钱", "old"),
    ],
)
def test_plain_questions_find_their_entry(retriever: Retriever, question: str, group: str) -> None:
    assert retriever.search(question, 3)[0].group == group


def test_every_wording_finds_itself(retriever: Retriever) -> None:
    for item in items_of(ENTRIES):
        hits = retriever.search(item.text, 20)
        assert next(hit for hit in hits if hit.group == item.group).coverage > 0.99
        if item.wording:
            assert hits[0].group == item.group


def test_every_answer_finds_itself(retriever: Retriever) -> None:
    # Not with the shipped weights: how a wording weighs against an answer is for them to say.
    weights = {"lexical": 2.0, "wording": 1.0, "phrase": 2.0}
    retriever._model = Model({**dict.fromkeys(FEATURES, 0.0), **weights})
    for item in items_of(ENTRIES):
        assert retriever.search(item.text, 1)[0].group == item.group


def test_hits_come_best_first_within_their_bounds(retriever: Retriever) -> None:
    hits = retriever.search("失业人员的津贴和公积金", 20)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(math.isfinite(hit.score) for hit in hits)
    assert all(0 <= hit.coverage <= hit.breadth + 1e-6 <= 1 + 2e-6 for hit in hits)
    assert all(-1 - 1e-3 <= hit.similarity <= 1 + 1e-3 for hit in hits)
    assert len({hit.key for hit in hits}) == len(hits)


@pytest.mark.parametrize("question", ["", "  ", "？！……", "\u200b", "的了吗"])
def test_a_question_without_tokens_finds_nothing_or_little(
    retriever: Retriever, question: str
) -> None:
    assert all(hit.coverage <= 1 for hit in retriever.search(question, 5))
    if question != "的了吗":
        assert retriever.search(question, 5) == []


def test_half_a_surrogate_pair_in_a_question_does_no_harm(retriever: Retriever) -> None:
    assert retriever.search("补办社会保障卡\ud83d", 1)[0].group == "card"


def test_an_empty_index_finds_nothing() -> None:
    retriever = Retriever(HashingEncoder())
    assert retriever.search("社保卡", 5) == []
    assert (len(retriever), retriever.position, retriever.owner) == (0, 0, True)
    assert not retriever.merge()


@pytest.mark.parametrize("k", [0, 1, 5, 1000])
def test_no_more_hits_than_asked_for(retriever: Retriever, k: int) -> None:
    assert len(retriever.search("社会保障卡补办津贴公积金", k)) <= k


@pytest.mark.parametrize("per_group", [1, 2, 3])
def test_no_more_of_a_group_than_asked_for(per_group: int) -> None:
    retriever = Retriever(HashingEncoder())
    fill(retriever, random_items(30, seed=1), batch=30)
    groups = [hit.group for hit in retriever.search("社保失业津贴", 40, per_group=per_group)]
    assert max(groups.count(group) for group in groups) == per_group


def test_replaced_groups_vanish(retriever: Retriever) -> None:
    fresh = [Item("card/9", "电子社保卡可以在手机上申领", "", "card")]
    retriever.apply(fresh, replaced=["card"], position=2)
    keys = {hit.key for hit in retriever.search("社会保障卡补办 电子社保卡", 100)}
    assert "card/9" in keys
    assert "card" not in keys
    assert len(retriever) == 2 * len(ENTRIES) - 1
    assert retriever.position == 2


def test_removed_groups_vanish_and_may_come_back(retriever: Retriever) -> None:
    retriever.apply([], replaced=["card", "unknown"], position=2)
    assert not [hit for hit in retriever.search("社会保障卡补办", 100) if hit.group == "card"]
    retriever.apply(items_of(["card"]), replaced=["card"], position=3)
    assert retriever.search("社会保障卡补办", 1)[0].group == "card"
    merge_all(retriever)
    assert retriever.search("社会保障卡补办", 1)[0].group == "card"
    assert len(retriever) == 2 * len(ENTRIES)


def test_clear_forgets_everything(retriever: Retriever) -> None:
    retriever.clear()
    assert (len(retriever), retriever.position) == (0, 0)
    assert retriever.search("社会保障卡", 5) == []


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_many_small_segments_find_what_one_finds(batch: int) -> None:
    items = random_items(40, seed=2)
    one, many = Retriever(HashingEncoder()), Retriever(HashingEncoder())
    fill(one, items, batch=40)
    fill(many, items, batch=batch)
    for item in items[::7]:
        expected = figures(one.search(item.text, 200, per_group=99))
        found = figures(many.search(item.text, 200, per_group=99))
        assert found == pytest.approx(expected, abs=1e-3)


def test_merging_changes_no_result() -> None:
    items = random_items(40, seed=3)
    retriever = Retriever(HashingEncoder())
    fill(retriever, items, batch=1)
    questions = [item.text for item in items[::7]]
    before = [figures(retriever.search(each, 200, per_group=99)) for each in questions]
    assert merge_all(retriever) > 0
    for question, expected in zip(questions, before, strict=True):
        found = figures(retriever.search(question, 200, per_group=99))
        assert found == pytest.approx(expected, abs=1e-3)
    assert not retriever.merge()


@settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=25
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 7), st.integers(1, 3)),
            st.tuples(st.just("remove"), st.integers(0, 7), st.just(0)),
            st.tuples(st.just("merge"), st.just(0), st.just(0)),
        ),
        max_size=25,
    )
)
def test_any_history_leaves_what_the_last_change_of_each_group_said(
    history: list[tuple[str, int, int]],
) -> None:
    retriever = Retriever(HashingEncoder(16))
    expected: dict[str, set[str]] = {}
    for position, (step, number, count) in enumerate(history, start=1):
        group = f"g{number}"
        if step == "merge":
            retriever.merge()
            continue
        keys = [f"{group}/{position}/{at}" for at in range(count)]
        items = [
            item
            for at, key in enumerate(keys)
            for item in (
                Item(key, f"津贴第{at}项", "津贴", group),
                Item(key, f"第{at}种津贴怎么领", "", group, wording=True),
            )
        ]
        retriever.apply(items, replaced=[group], position=position)
        expected[group] = set(keys)
    found = {hit.key for hit in retriever.search("津贴", 100, per_group=9)}
    assert found == set[str]().union(*expected.values())
    assert len(retriever) == 2 * len(found)


def test_small_segments_behind_a_large_one_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embeddings.retriever.MERGE_UP_TO", 60)
    retriever = Retriever(HashingEncoder())
    for number in range(12):
        retriever.apply([Item(f"s{number}", "养老金", "", f"s{number}")], replaced=[], position=1)
    large = [Item(f"l{number}", "居住证", "", f"l{number}") for number in range(60)]
    retriever.apply(large, replaced=[], position=2)
    merge_all(retriever)
    assert [len(each) for each in retriever._snapshot.segments] == [12, 60]


def test_a_mostly_dead_segment_is_rewritten_without_its_dead() -> None:
    retriever = Retriever(HashingEncoder())
    items = [Item(f"g{number}", "居住证办理", "", f"g{number}") for number in range(20)]
    retriever.apply(items, replaced=[], position=1)
    retriever.apply([], replaced=[f"g{number}" for number in range(9)], position=2)
    assert not retriever.merge()
    retriever.apply([], replaced=["g9", "g10"], position=3)
    assert retriever.merge()
    assert [len(each) for each in retriever._snapshot.segments] == [9]
    assert len(retriever.search("居住证", 100)) == 9


def interleave(monkeypatch: pytest.MonkeyPatch, step: Callable[[], None]) -> None:
    """Let something happen right after the segments of a merge have been put together."""
    merge = Segment.merge

    def merged(parts: Sequence[Segment], dead: Sequence[frozenset[str]]) -> Segment:
        segment = merge(parts, dead)
        step()
        return segment

    monkeypatch.setattr(Segment, "merge", merged)


def test_what_is_replaced_during_a_merge_stays_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    retriever = Retriever(HashingEncoder())
    retriever.apply(
        [Item("a/1", "津贴旧标准", "", "a"), Item("b/1", "津贴", "", "b")],
        replaced=["a", "b"],
        position=1,
    )
    second = [Item("a/2", "津贴新标准", "", "a"), Item("c/2", "津贴", "", "c")]
    retriever.apply(second, replaced=["a", "c"], position=2)
    fresh = [Item("a/3", "津贴最新标准", "", "a")]
    interleave(monkeypatch, lambda: retriever.apply(fresh, replaced=["a"], position=3))
    assert retriever.merge()
    assert {hit.key for hit in retriever.search("津贴标准", 10)} == {"a/3", "b/1", "c/2"}


def test_a_clear_during_a_merge_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    retriever = Retriever(HashingEncoder())
    fill(retriever, random_items(4, seed=4), batch=1)
    interleave(monkeypatch, retriever.clear)
    assert not retriever.merge()
    assert len(retriever) == 0


def test_a_merge_gives_way_when_its_segments_have_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    retriever = Retriever(HashingEncoder())
    large = [Item(f"l/{number}", "津贴", "", "l") for number in range(30)]
    retriever.apply(large, replaced=["l"], position=1)
    for group in ("x", "y"):
        small = [Item(f"{group}/{at}", "津贴", "", group) for at in range(2)]
        retriever.apply(small, replaced=[group], position=2)
    interleave(monkeypatch, lambda: retriever.apply([], replaced=["l"], position=4))
    assert not retriever.merge()
    assert len(retriever) == 4


def test_readers_never_fail_nor_see_what_is_gone() -> None:
    retriever = Retriever(HashingEncoder(16))
    gone: set[str] = set()
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                removed = set(gone)
                hits = retriever.search("津贴标准", 50)
                assert not removed & {hit.key for hit in hits}
                assert len({hit.key for hit in hits}) == len(hits)
                retriever.explain("津贴标准", "0/0")
                retriever.agreement("津贴标准", "津贴")
        except BaseException as error:
            failures.append(error)

    def merge() -> None:
        try:
            while not done.is_set():
                retriever.merge()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=target) for target in (read, read, read, merge)]
    for thread in threads:
        thread.start()
    for number in range(200):
        group = f"g{number % 10}"
        fresh = [Item(f"{number}/{at}", f"津贴标准{number}", "", group) for at in range(2)]
        retriever.apply(fresh, replaced=[group], position=number)
        if number >= 10:
            gone |= {f"{number - 10}/0", f"{number - 10}/1"}
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    expected = {f"{number}/{at}" for number in range(190, 200) for at in range(2)}
    assert {hit.key for hit in retriever.search("津贴标准", 50)} == expected


@pytest.mark.parametrize("ranking", ["clauses", "entries"])
def test_without_an_encoder_words_alone_decide(
    ranking: str, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = FailingEncoder()
    encoder.failing = False
    retriever = Retriever(encoder, ranking=ranking)
    retriever.apply(items_of(ENTRIES), replaced=ENTRIES, position=1)
    encoder.failing = True
    hits = retriever.search("补办社会保障卡", 5)
    assert hits[0].group == "card"
    assert hits[0].coverage == max(hit.coverage for hit in hits) > 0
    assert all(hit.similarity == 0 for hit in hits)
    assert "encoder down" in caplog.text
    found = retriever.explain("补办社会保障卡", "card")
    assert found is not None
    assert found.score == hits[0].score
    assert not any(part for name, part in found.parts.items() if "cosine" in name)


def test_a_failing_encoder_leaves_the_index_as_it_was() -> None:
    encoder = FailingEncoder()
    encoder.failing = False
    retriever = Retriever(encoder)
    retriever.apply(items_of(["card"]), replaced=["card"], position=1)
    encoder.failing = True
    with pytest.raises(EncoderUnavailable):
        retriever.apply(items_of(["fund"]), replaced=["card", "fund"], position=2)
    assert (len(retriever), retriever.position) == (2, 1)
    # Removing needs no vectors.
    retriever.apply([], replaced=["card"], position=2)
    assert (len(retriever), retriever.position) == (0, 2)


def test_explanation_sums_to_the_score(retriever: Retriever) -> None:
    question = "失业人员怎么申领失业保险金"
    retriever.apply(items_of(["old"]), replaced=["old"], position=2)
    hits = retriever.search(question, 20)
    assert len(hits) > 3
    for hit in hits:
        found = retriever.explain(question, hit.key)
        assert found is not None
        assert tuple(found.parts) == FEATURES
        assert sum(found.parts.values()) == pytest.approx(found.score) == pytest.approx(hit.score)
        added = [token.of_item + token.of_group for token in found.tokens]
        assert added == sorted(added, reverse=True)


def test_an_explanation_names_the_tokens_that_the_passage_has(retriever: Retriever) -> None:
    found = retriever.explain("失业人员登记", "jobless")
    assert found is not None
    # By its most telling part, which is the answer: the wording says nothing of registering.
    assert {token.token for token in found.tokens if token.of_item > 0} >= {"失业", "人员", "登记"}
    strange = retriever.explain("失业人员火星", "jobless")
    assert strange is not None
    assert {"火星": (0.0, 0.0)}.items() <= {
        token.token: (token.of_item, token.of_group) for token in strange.tokens
    }.items()


def test_only_what_is_in_the_index_is_explained(retriever: Retriever) -> None:
    assert retriever.explain("社保卡", "nowhere") is None
    assert retriever.explain("？！", "card") is None
    assert retriever.explain("社保卡", "card") is not None
    retriever.apply([], replaced=["card"], position=2)
    assert retriever.explain("社保卡", "card") is None


def test_a_passage_is_found_once_by_whichever_of_its_items(retriever: Retriever) -> None:
    """The wording and the answer have no word in common."""
    for question in ("孩子户口登记", "派出所申报，结婚证"):
        hits = retriever.search(question, 20)
        assert hits[0].key == "hukou"
        assert [hit.key for hit in hits].count("hukou") == 1


def test_what_is_searched_by_vector_is_unit_and_finite(retriever: Retriever) -> None:
    for segment in retriever._snapshot.segments:
        lengths = np.linalg.norm(segment.vectors.astype(np.float32), axis=1)
        np.testing.assert_allclose(lengths, 1.0, atol=1e-2)
