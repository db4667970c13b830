"""Letters for Chinese: whole syllables, initials, mixtures and sounds that people mix up."""

import pytest

from embeddings import PinyinReader, Vocabulary, pieces

TEXTS = (
    "公积金提取",
    "公积金贷款额度",
    "居住证签注",
    "身份证丢了",
    "社保卡怎么办理",
    "银行卡",
    "行政复议",
    "法律援助",
    "养老金",
    "护照换发",
    "西安社保",
    "先办社保",
)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    learnt = Vocabulary()
    for _ in range(5):
        learnt.learn(TEXTS, weight=2.0)
    return learnt


@pytest.fixture(scope="module")
def reader(vocabulary: Vocabulary) -> PinyinReader:
    return PinyinReader(vocabulary)


def first(reader: PinyinReader, typed: str, **how: bool) -> str:
    found = reader.read(typed, **how)  # type: ignore[arg-type]
    return found[0].text if found else ""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gongjijin", "公积金"),
        ("gongjijin tiqu", "公积金提取"),
        ("gongjijintiqu", "公积金提取"),
        ("gong ji jin ti qu", "公积金提取"),
        ("yinhangka", "银行卡"),  # a word decides how 行 sounds
        ("xingzhengfuyi", "行政复议"),
        ("falv yuanzhu", "法律援助"),
        ("falü yuanzhu", "法律援助"),
        ("xi'an shebao", "西安社保"),
        ("gjj", "公积金"),
        ("gjj tq", "公积金提取"),
        ("sfz", "身份证"),
        ("shebao卡", "社保卡"),
        ("公积金tq", "公积金提取"),
        ("居住z签注", "居住证签注"),
        ("gjj贷款", "公积金贷款"),
        ("senfenzheng", "身份证"),
        ("gongjijing", "公积金"),
        ("yangnaojin", "养老金"),
        ("fuzhao", "护照"),
    ],
)
def test_what_is_meant(reader: PinyinReader, typed: str, meant: str) -> None:
    assert first(reader, typed) == meant


def test_sounds_are_told_apart_where_that_is_wanted(vocabulary: Vocabulary) -> None:
    strict = PinyinReader(vocabulary, fuzzy=False)
    assert first(strict, "shenfenzheng") == "身份证"
    assert first(strict, "senfenzheng", initials=False) == ""


def test_initials_can_be_left_out(reader: PinyinReader) -> None:
    assert reader.read("gjj", initials=False) == []
    assert reader.read("gjj")[0].initials == 3


def test_a_last_syllable_may_be_begun(reader: PinyinReader) -> None:
    assert first(reader, "gongjij", initials=False) == ""
    assert first(reader, "gongjiji", unfinished=True) == "公积金"
    assert first(reader, "shenfenzh", unfinished=True) == "身份证"


def test_characters_that_were_typed_stay(reader: PinyinReader) -> None:
    assert first(reader, "鑫积金tq").startswith("鑫")


def test_several_readings_differ_and_come_in_order(reader: PinyinReader) -> None:
    found = reader.read("xian", most=5)
    assert len({each.text for each in found}) == len(found)
    assert [each.cost for each in found] == sorted(each.cost for each in found)


@pytest.mark.parametrize("typed", ["", "   ", "''", "vvv", "a" * 500, "iii"])
def test_no_reading_is_no_failure(reader: PinyinReader, typed: str) -> None:
    assert reader.read(typed, initials=False) == []


def test_a_beginning_is_completed_to_a_word(reader: PinyinReader) -> None:
    assert first(reader, "gongji", unfinished=True) == "公积金"
    assert first(reader, "gongji") != "公积金"
    assert first(reader, "身份zhengdi", unfinished=True).startswith("身份证")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("公积金", []),
        ("gongjijin tiqu", ["gongjijin tiqu"]),
        ("我想问：shebao卡，怎么办", ["shebao卡"]),
        ("PM2.5和gjj", ["PM", "和gjj"]),
        ("xi'an。", ["xi'an"]),
        ("123", []),
        ("", []),
    ],
)
def test_pieces_with_letters(text: str, found: list[str]) -> None:
    assert [text[start:stop] for start, stop in pieces(text)] == found


def test_very_many_letters_are_no_initials(reader: PinyinReader) -> None:
    """Ways to read initials multiply; without a limit one question could take seconds."""
    assert first(reader, "gjj" * 4) == "公积金" * 4
    assert reader.read("gjj" * 5) == []
    assert first(reader, "gongjijin" * 4) == "公积金" * 4
