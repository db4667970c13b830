"""Wrong characters: every kind of mistake is found, and right texts are left alone."""

import pytest

from embeddings import Speller, Vocabulary, applied, look_alikes
from embeddings.sounds import folded, readings, syllables

TEXTS = (
    "公积金怎么提取",
    "公积金贷款额度怎么算",
    "居住证怎么办理",
    "身份证丢了怎么补办",
    "社保卡怎么办理",
    "养老金每年涨多少",
    "劳动仲裁怎么申请",
    "物业费应当由谁交",
    "失业金怎么领取",
    "户口迁移证有效期是几天",
    "护照到期怎么换发",
)
TABLE = look_alikes(["# 说明", "往住佳", "全金", "口囗", "考老", "栽裁"])


@pytest.fixture(scope="module")
def speller() -> Speller:
    vocabulary = Vocabulary()
    for _ in range(5):
        vocabulary.learn(TEXTS, weight=2.0)
    return Speller(vocabulary, TABLE)


def fixed(speller: Speller, text: str) -> str:
    return applied(text, speller.corrections(text))


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("公机金怎么提取", "公积金怎么提取"),  # sounds alike
        ("工鸡今怎么提取", "公积金怎么提取"),  # all of it sounds alike
        ("居往证怎么办理", "居住证怎么办理"),  # looks alike
        ("养考金每年涨多少", "养老金每年涨多少"),
        ("劳动仲栽怎么申请", "劳动仲裁怎么申请"),
        ("失金怎么领取", "失业金怎么领取"),
        ("户口迁证有效期是几天", "户口迁移证有效期是几天"),  # one missing
        ("身份份证丢了", "身份证丢了"),  # one doubled
        ("公金积怎么提取", "公积金怎么提取"),  # turned round
        ("老动仲裁怎么申请", "劳动仲裁怎么申请"),  # l and n aside, the same sound
        ("富照到期怎么换发", "护照到期怎么换发"),  # h is heard as f
    ],
)
def test_kinds_of_mistakes(speller: Speller, typed: str, right: str) -> None:
    assert fixed(speller, typed) == right


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS,
        "",
        "公",
        "etc卡怎么注销",
        "12345",
        "公积金" * 60,
        "a" * 500,
        "今天天气真好",
        "公积金，居住证，身份证",
    ],
)
def test_right_and_strange_texts_stay(speller: Speller, text: str) -> None:
    assert speller.corrections(text) == []


def test_a_correction_says_where_and_what(speller: Speller) -> None:
    (found,) = speller.corrections("我的公机金呢")
    assert (found.at, found.stop, found.typed, found.word) == (2, 5, "公机金", "公积金")
    assert found.kind == "sound" and found.gain > 0


def test_several_mistakes_do_not_get_into_each_others_way(speller: Speller) -> None:
    assert fixed(speller, "公机金和居往证") == "公积金和居住证"


def test_a_word_that_the_collection_lacks_is_not_put_in() -> None:
    empty = Speller(Vocabulary(), TABLE)
    assert empty.corrections("公机金怎么提取") == []


def test_more_use_makes_a_word_the_likelier_one() -> None:
    vocabulary = Vocabulary()
    vocabulary.learn(["补缴"] * 50 + ["不缴"] * 2)
    assert vocabulary.surprise("补缴") < vocabulary.surprise("不缴")


def test_neighbours_that_stand_together_are_a_term() -> None:
    vocabulary = Vocabulary()
    vocabulary.learn(["失业金怎么领", "失业金多少", "有没有失业金"])
    assert vocabulary.weight("失业金") == 3.0
    assert "失业金" in vocabulary.terms()
    assert vocabulary.weight("金领") == 0.0


def test_words_decide_how_a_character_sounds() -> None:
    assert syllables("银行") == ("yin", "hang")
    assert syllables("行政") == ("xing", "zheng")
    assert "hang" in readings("行") and "xing" in readings("行")
    assert readings("a") == ()


def test_sounds_that_are_mixed_up_fold_together() -> None:
    for one, other in (
        ("zheng", "zen"),
        ("shi", "si"),
        ("lian", "nian"),
        ("xing", "xin"),
        ("hu", "fu"),
        ("hui", "fei"),
        ("ren", "leng"),
    ):
        assert folded(one) == folded(other), (one, other)
    assert folded("hao") != folded("bao")
    assert folded("dong") != folded("don")


def test_of_very_many_mistakes_none_is_put_right(speller: Speller) -> None:
    assert fixed(speller, "公机金，" * 3) == "公积金，" * 3
    assert speller.corrections("公机金，" * 4) == []
