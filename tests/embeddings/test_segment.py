"""A block of the index: passages of several items, on disk and merged, against a plain build."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings import EncoderUnavailable, HashingEncoder, IndexUnavailable, Item
from embeddings.encoder import Vectors
from embeddings.lexical import Postings
from embeddings.segment import Segment

repeatable = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
ENCODER = HashingEncoder(16)

ITEMS = [
    Item("a/0", "参保人员凭社会保障卡就医", "医疗保险办法", "a"),
    Item("a/0", "未带卡的先行垫付", "医疗保险办法", "a"),
    Item("a/0", "忘带卡了能报销吗", "", "a", wording=True),
    Item("a/1", "保险费由单位和个人缴纳", "医疗保险办法", "a"),
    Item("b/0", "怎样领失业金", "", "b", wording=True),
    Item("b/0", "到经办机构登记", "怎样领失业金", "b"),
    Item("c/0", "每年可以提取一次", "公积金条例", "c"),
]

# Shape of one group: its passages, each a list of whether its items are wordings.
shapes = st.lists(st.lists(st.booleans(), min_size=1, max_size=3), min_size=1, max_size=3)
# Groups by number: the same number in several parts is a group that was replaced.
parts_of_groups = st.lists(
    st.dictionaries(st.integers(0, 5), shapes, min_size=1, max_size=4), min_size=1, max_size=4
)


def items_of(number: int, shape: Sequence[Sequence[bool]], *, version: int) -> list[Item]:
    """Items of one group; their texts tell versions, passages and parts apart."""
    group = f"g{number}"
    return [
        Item(
            f"{group}/{passage}",
            f"第{version}版津贴{'申领' * part}第{passage}项",
            "" if wording else f"津贴办法{number}",
            group,
            wording,
        )
        for passage, wordings in enumerate(shape)
        for part, wording in enumerate(wordings)
    ]


def same_postings(left: Postings, right: Postings) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for name in ("lengths", "terms", "starts", "positions", "counts")
    )


def assert_same(left: Segment, right: Segment) -> None:
    """Equal in everything, down to the types of the arrays."""
    assert (left.keys, left.groups) == (right.keys, right.groups)
    for name in ("passage_of", "group_of", "wordings", "vectors"):
        ours, theirs = getattr(left, name), getattr(right, name)
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    for of_left, of_right in (
        (left.passages, right.passages),
        (left.documents, right.documents),
    ):
        assert len(of_left) == len(of_right)
        assert all(map(same_postings, of_left, of_right))
    np.testing.assert_array_equal(left.starts, right.starts)
    query = ENCODER.encode(["津贴申领"])[0]
    for ours, theirs in zip(
        left.nearest.search(query, 50), right.nearest.search(query, 50), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_items_of_one_key_are_one_passage() -> None:
    segment = Segment.build(ITEMS, ENCODER)
    assert segment.keys == ("a/0", "a/1", "b/0", "c/0")
    assert segment.groups == ("a", "b", "c")
    assert segment.passage_of.tolist() == [0, 0, 0, 1, 2, 2, 3]
    assert segment.group_of.tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert segment.wordings.tolist() == [False, False, True, False, True, False, False]
    assert segment.starts.tolist() == [0, 3, 4, 6, 7]
    assert len(segment) == len(segment.vectors) == 7


@repeatable
@given(st.dictionaries(st.integers(0, 5), shapes, min_size=1))
def test_a_segment_says_of_each_item_what_it_was_built_from(
    groups: dict[int, list[list[bool]]],
) -> None:
    items = [
        item for number, shape in groups.items() for item in items_of(number, shape, version=1)
    ]
    segment = Segment.build(items, ENCODER)
    assert [segment.keys[at] for at in segment.passage_of] == [item.key for item in items]
    assert [segment.groups[at] for at in segment.group_of] == [item.group for item in items]
    assert segment.wordings.tolist() == [item.wording for item in items]
    assert segment.passage_of.dtype == np.dtype(np.int32)
    assert segment.wordings.dtype == np.dtype(np.bool_)
    assert len(set(segment.keys)) == len(segment.keys)
    sizes = [len([*same]) for _, same in groupby(items, key=lambda item: item.key)]
    assert np.diff(segment.starts).tolist() == sizes
    assert segment.starts[[0, -1]].tolist() == [0, len(items)]


@repeatable
@given(groups=st.dictionaries(st.integers(0, 5), shapes, min_size=1))
def test_a_segment_comes_back_from_disk_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, groups: dict[int, list[list[bool]]]
) -> None:
    items = [
        item for number, shape in groups.items() for item in items_of(number, shape, version=1)
    ]
    segment = Segment.build(items, ENCODER)
    folder = tmp_path_factory.mktemp("saved") / "segment"
    segment.save(folder)
    assert_same(Segment.load(folder), segment)


@repeatable
@given(parts_of_groups, st.sets(st.integers(0, 5), max_size=3))
def test_merging_is_building_what_is_alive(
    parts: list[dict[int, list[list[bool]]]], removed: set[int]
) -> None:
    built, dead, alive = [], [], []
    for version, groups in enumerate(parts):
        later = set[int]().union(*parts[version + 1 :])
        gone = (later | removed) & {*groups}
        by_group = {
            number: items_of(number, shape, version=version) for number, shape in groups.items()
        }
        built.append(
            Segment.build([item for items in by_group.values() for item in items], ENCODER)
        )
        dead.append(frozenset(f"g{number}" for number in gone))
        for number, items in by_group.items():
            alive += [] if number in gone else items
    merged = Segment.merge(built, dead)
    if alive:
        assert_same(merged, Segment.build(alive, ENCODER))
    else:
        assert (len(merged), merged.keys, merged.groups) == (0, (), ())


def test_a_merged_segment_can_be_merged_and_saved_again(tmp_path: Path) -> None:
    first, second = Segment.build(ITEMS[:4], ENCODER), Segment.build(ITEMS[4:], ENCODER)
    merged = Segment.merge([first, second], [frozenset(), frozenset()])
    merged.save(tmp_path / "merged")
    again = Segment.merge([Segment.load(tmp_path / "merged")], [frozenset("b")])
    assert_same(again, Segment.build([*ITEMS[:4], ITEMS[6]], ENCODER))


def test_a_wording_counts_in_its_group_without_the_title() -> None:
    """What is asked belongs to the whole; a title is counted once for the whole."""
    segment = Segment.build(ITEMS, ENCODER)
    words, _ = segment.documents
    of_items, _ = segment.passages
    own = of_items.lengths.tolist()
    title = Segment.build([Item("t", "", "医疗保险办法", "t")], ENCODER).documents[0].lengths[0]
    assert words.lengths[0] == sum(own[:4]) - 2 * title


def test_held_groups_are_those_of_the_segment() -> None:
    segment = Segment.build(ITEMS, ENCODER)
    assert segment.held(["c", "a", "x"]) == {"a", "c"}
    assert segment.alive_groups(frozenset({"a", "x"})).tolist() == [False, True, True]


def test_cosines_are_those_of_the_rows_asked_for() -> None:
    segment = Segment.build(ITEMS, ENCODER)
    query = ENCODER.encode(["社会保障卡"])[0]
    found = segment.cosines(query, np.array([4, 0, 0]))
    expected = segment.vectors.astype(np.float64) @ query
    np.testing.assert_allclose(found, expected[[4, 0, 0]], atol=1e-6)
    assert found.dtype == np.float32


def test_without_a_model_nothing_is_built() -> None:
    class Gone(HashingEncoder):
        def encode(self, texts: Sequence[str]) -> Vectors:
            raise EncoderUnavailable("向量模型没有响应")

    with pytest.raises(EncoderUnavailable):
        Segment.build(ITEMS, Gone(16))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    Segment.build(ITEMS, ENCODER).save(tmp_path / "segment")
    return tmp_path / "segment"


@pytest.mark.parametrize(
    "damaged",
    [
        [0, 0, 0, 1, 2, 2],  # an item short
        [0, 0, 0, 1, 2, 2, 3, 3],  # one too many
        [0, 0, 0, 1, 2, 2, 2],  # no item of the last passage
        [0, 0, 0, 1, 2, 2, 4],  # a passage without a name
        [0, 0, 0, 1, 2, 2, 2**31 - 1],
        [],
    ],
)
def test_passages_that_do_not_fit_are_refused(saved: Path, damaged: list[int]) -> None:
    np.save(saved / "passage_of.npy", np.array(damaged, dtype=np.int32))
    with pytest.raises(IndexUnavailable, match="互相不符"):
        Segment.load(saved)


@pytest.mark.parametrize("name", ["passage_of", "wordings"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.95])
def test_arrays_cut_short_are_refused(saved: Path, name: str, keep: float) -> None:
    file = saved / f"{name}.npy"
    os.truncate(file, int(file.stat().st_size * keep))
    with pytest.raises(IndexUnavailable, match="不完整"):
        Segment.load(saved)


@pytest.mark.parametrize("name", ["passage_of", "wordings", "group_of", "vectors"])
def test_a_missing_array_is_refused(saved: Path, name: str) -> None:
    (saved / f"{name}.npy").unlink()
    with pytest.raises(IndexUnavailable, match="不完整"):
        Segment.load(saved)


@pytest.mark.parametrize("keys", [["a/0", "a/1", "b/0"], ["a/0", "a/1", "b/0", "c/0", "d/0"], []])
def test_names_that_do_not_fit_the_passages_are_refused(saved: Path, keys: list[str]) -> None:
    names = {"keys": keys, "groups": ["a", "b", "c"]}
    (saved / "names.json").write_text(json.dumps(names), encoding="utf-8")
    with pytest.raises(IndexUnavailable, match="互相不符"):
        Segment.load(saved)
