"""Figures are the same figure however they are written, and different ones never are."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.figures import (
    ABOVE,
    AFTER,
    BEFORE,
    BELOW,
    LEAST,
    MOST,
    Figure,
    figures,
    number,
)

SAME = [
    ("1200元", "1,200元", "１２００元", "一千二百元", "0.12万元", "壹仟贰佰元", "1200.00元"),
    ("12000元", "1.2万元", "一万二千元", "1万2千元", "12,000元", "1.2 万元"),
    ("35000元", "三万五千元", "3.5万元", "三万五元", "3万5元"),
    ("120000000元", "1.2亿元", "一亿二千万元", "12000万元"),
    ("250元", "二百五十元", "两百五元", "二百五元"),
    ("1005人", "一千零五人", "１００５人"),
    ("30%", "百分之三十", "３０％", "30 %", "三成"),
    ("9.5%", "百分之九点五", "９．５％"),
    ("0.5%", "千分之五", "5‰"),
    ("1/3", "三分之一", "⅓"),
    ("2025年5月1日", "二〇二五年五月一日", "2025-05-01", "2025.5.1", "2025/5/1",
     "2025 年 5 月 1 日", "２０２５年０５月０１日"),
    ("2025年", "二〇二五年", "2025年度"),
    ("5月", "五月", "05月", "5月份"),
    ("3个月", "三个月", "３个月"),
    ("6个月", "半年", "六个月"),
    ("18个月", "一年半", "1年半", "1.5年"),
    ("24个月", "两年", "2年", "二年"),
    ("30日", "三十日", "30天", "卅日", "30个自然日"),
    ("15个工作日", "十五个工作日", "15工作日"),
    ("65周岁", "六十五周岁", "65岁", "六十五岁"),
    ("第十二条", "第12条", "第 12 条", "第１２条"),
    ("第一百二十条之一", "第120条之一", "第120条之1"),
    ("第二款第（三）项", "第2款第3项", "第二款第三项", "第二款第(3)项"),
    ("第三条、第五条", "第三、五条", "第3条和第5条"),
    ("某政发〔2025〕8号", "某政发[2025]8号", "某政发（2025）8号", "某政发【2025】第8号",
     "某政发〔２０２５〕08号", "某政发﹝2025﹞8号"),
    ("3年至5年", "3至5年", "三到五年", "3-5年", "3～5年", "三年—五年"),
    ("50000元至100000元", "5-10万元", "5万至10万元", "五万元到十万元"),
    ("10%至20%", "10-20%", "百分之十至百分之二十"),
    ("2025年5月1日至2025年10月1日", "2025年5月1日至10月1日", "二〇二五年五月一日到十月一日"),
    ("60周岁以上", "满60周岁", "年满六十岁", "不低于60岁", "至少60岁", "60岁及以上"),
    ("30日内", "不超过30日", "三十日以内", "30日之内", "最长30天", "不得超过三十日"),
    ("5月1日前", "5月1日之前", "五月一日以前", "截至5月1日"),
    ("5月1日起", "五月一日以后", "5月1日之后"),
    ("0532-12345678", "0532－12345678", "0532—12345678"),
    ("一般情况下统一办理", "一定一并办理", "老百姓之一"),
]  # fmt: skip

DIFFERENT = [
    "1200元", "1500元", "12000元", "1200", "1200人", "30%", "30元", "30日", "30个工作日", "30年",
    "3个月", "3月", "3年", "2025年5月1日", "2025年5月2日", "2025年6月1日", "2024年5月1日", "5月1日",
    "2025年5月", "2025年", "第三条", "第三款", "第三项", "第三十条", "第三十条之一",
    "某政发〔2025〕8号", "某政办发〔2025〕8号", "某政发〔2025〕18号", "某政发〔2024〕8号",
    "60周岁", "60周岁以上", "60周岁以下", "5月1日前", "5月1日后", "0532-12345678", "0532-12345679",
]  # fmt: skip


@pytest.mark.parametrize("group", SAME, ids=lambda group: group[0])
def test_one_figure_has_many_spellings(group: tuple[str, ...]) -> None:
    assert {each: figures(each) for each in group} == dict.fromkeys(group, figures(group[0]))


def test_different_figures_stay_different() -> None:
    read = [figures(each) for each in DIFFERENT]
    assert all(read) and len(set(read)) == len(DIFFERENT)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("超过30日", ABOVE), ("不超过30日", MOST), ("不得超过30日", MOST), ("不少于30日", LEAST),
        ("少于30日", BELOW), ("满30日", LEAST), ("不满30日", BELOW), ("未满30日", BELOW),
        ("30日以上", LEAST), ("30日以下", MOST), ("30日前", BEFORE), ("30日后", AFTER),
        ("不低于30日", LEAST), ("低于30日", BELOW), ("最迟30日", MOST), ("达到30日", LEAST),
    ],
)  # fmt: skip
def test_limits_have_a_direction(text: str, bound: str) -> None:
    assert figures(text) == {Figure(Fraction(30), "日", frozenset({bound}))}


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("①身份证", "1"),
        ("⑵户口簿", "2"),
        ("٣٠元", "30"),
        ("㈢相片", "3"),
        ("1​3​8元", "138"),
        ("1 3 8元", "138"),
    ],
)
def test_numbers_do_not_hide_in_other_characters(text: str, digits: str) -> None:
    assert [figure.value for figure in figures(text)] == [Fraction(digits)]


def test_words_with_a_numeral_are_no_figures() -> None:
    assert not figures(
        "一般应当统一办理，进一步方便老百姓，其中之一，同一单位一律适用，退伍军人和大陆居民"
    )
    assert figures("十万一次") and figures("二分之一") and figures("十分钟")


@pytest.mark.parametrize(
    "run", ["三四十", "二十十", "二十五一", "十百", "一亿二亿", "2〇25万", "1.5.5"]
)
def test_what_is_no_number_is_never_taken_for_one(run: str) -> None:
    assert number(run) == run


def in_chinese(value: int) -> str:
    """Textbook spelling of a number below a hundred million; an oracle of its own."""
    digits, places = "零一二三四五六七八九", ["", "十", "百", "千"]

    def below_myriad(part: int) -> str:
        words = ""
        for place in (3, 2, 1, 0):
            digit = part // 10**place % 10
            words += digits[digit] + places[place] if digit else "零"
        while "零零" in words:
            words = words.replace("零零", "零")
        return words.rstrip("零")

    high, low = divmod(value, 10_000)
    words = (below_myriad(high).lstrip("零") + "万" if high else "") + below_myriad(low)
    return words.lstrip("零") if not high else words


@given(st.integers(1, 99_999_999))
def test_numerals_are_read_as_they_are_written(value: int) -> None:
    assert number(in_chinese(value)) == value == number(str(value))
    assert figures(f"补助{in_chinese(value)}元。") == figures(f"补助{value:,}元。")


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    figures(text)
