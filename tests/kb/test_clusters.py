"""Grouping wordings by meaning, with the shipped encoder: what belongs together, what stays."""

from __future__ import annotations

import pytest

from embeddings import Encoder
from kb.clusters import Clusters, folded
from kb.exchange import read_entries
from service.commands import SAMPLES

HENS = ["养鸡场用电有补助吗", "养鸡场用电补贴怎么申请", "养鸡场的用电补助怎么领"]
CARDS = ["社保卡丢了怎么补", "社保卡补办要带什么"]


@pytest.fixture(scope="module")
def clusters(encoder: Encoder) -> Clusters:
    return Clusters(encoder)


def test_wordings_of_one_meaning_come_together(clusters: Clusters) -> None:
    numbers = clusters.group([HENS[0], CARDS[0], *HENS[1:], CARDS[1]], {})
    assert numbers == [-1, -2, -1, -1, -2]


def test_new_wordings_join_the_groups_there_are(clusters: Clusters) -> None:
    assert clusters.group([HENS[1], "无人机怎么报备", CARDS[1]], {7: HENS[:1], 9: CARDS[:1]}) == [
        7,
        -1,
        9,
    ]


def test_the_same_wording_is_in_the_same_group_however_it_is_typed(clusters: Clusters) -> None:
    assert clusters.group(["社保卡ＡＢ怎么办", "社保卡ab怎么办"], {}) == [-1, -1]
    assert folded("ＡＢ") == folded("ab")


def test_what_says_nothing_belongs_nowhere(clusters: Clusters) -> None:
    assert clusters.group(["", "   ", HENS[0]], {}) == [0, 0, -1]
    assert clusters.group([], {3: HENS}) == []


def test_more_groups_than_are_compared_at_a_time_are_all_found_again(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [
        record.question
        for path in sorted((SAMPLES / "entries").glob("*.jsonl"))
        for _, record in read_entries(path.read_bytes(), path.name)[0]
    ]
    known = {number: [text] for number, text in enumerate(dict.fromkeys(questions), start=1)}
    for name, few in (("_AT_ONCE", 16), ("_CENTRES_AT_ONCE", 32), ("_ROOM", 8)):
        monkeypatch.setattr(f"kb.clusters.{name}", few)
    assert clusters.group([text for [text] in known.values()], known) == list(known)
