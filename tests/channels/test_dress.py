"""A reply as one text: within its limit, cut where people would cut, nothing important lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.channels import Option, Reply
from service.channels.dress import cut, dressed, fits

URL = "https://policy.example.gov.cn/entries/12"
OPTIONS = tuple(Option(f"选项{n}", f"问题{n}？") for n in range(1, 4))


def test_what_fits_is_shown_whole() -> None:
    reply = Reply("第一段\n第二段", short="短", source="依据：《办法》第一条", url=URL)
    assert dressed(reply, 2000) == "第一段\n第二段\n\n依据：《办法》第一条"


def test_700_characters_are_cut_at_the_end_of_a_sentence_with_a_link() -> None:
    reply = Reply("办理居住证须提交材料。" * 70, source="依据：《办法》第一条", url=URL)
    text = dressed(reply, 2000)
    assert len(text.encode()) <= 2000
    assert "材料。…\n\n依据：《办法》第一条\n\n" in text and text.endswith(URL)


def test_the_short_answer_takes_the_place_of_one_too_long() -> None:
    reply = Reply("长" * 1000, short="带身份证去窗口。", source="依据：《办法》", url=URL)
    text = dressed(reply, 2000)
    assert text.startswith("带身份证去窗口。\n\n依据：《办法》\n\n") and URL in text


def test_without_an_address_it_says_that_there_is_more() -> None:
    assert "只显示了开头" in dressed(Reply("长" * 1000), 2000)


def test_options_can_be_chosen_by_number() -> None:
    text = dressed(Reply("您想问哪一个？", options=OPTIONS), 2000)
    assert text.endswith("1. 选项1\n2. 选项2\n3. 选项3\n回复序号（1、2、3）即可选择。")
    assert "回复序号（1）" in dressed(Reply("是这个吗？", options=OPTIONS[:1]), 2000)


def test_options_speak_without_a_text() -> None:
    assert dressed(Reply("", options=OPTIONS), 2000).startswith("1. 选项1")


def test_nothing_to_say_stays_nothing() -> None:
    assert dressed(Reply(" \n", source="依据", url=URL, label="AI"), 2000) == ""


def test_what_people_see_as_one_character_is_not_torn_apart() -> None:
    family, flag, thumb = "👨‍👩‍👧‍👦", "e\u0301", "👍🏽"
    for whole in (family, flag, thumb):
        for limit in range(len(whole.encode()) + 10):
            kept = cut(whole * 3, limit).removesuffix("…")
            assert kept == whole * (len(kept) // len(whole)), (whole, limit)


def test_a_label_is_on_one_line_and_cannot_break_the_list() -> None:
    options = (Option("甲\n2. 假的", "甲"), Option("乙" * 200, "乙"))
    text = dressed(Reply("哪个？", options=options), 2000)
    assert "1. 甲 2. 假的\n2. 乙乙" in text and "乙" * 60 not in text


@settings(deadline=None, derandomize=True)
@given(
    text=st.text(max_size=900),
    short=st.text(max_size=200),
    source=st.text(max_size=300),
    options=st.lists(st.text(max_size=90), max_size=4),
    limit=st.integers(400, 2048),
)
def test_the_limit_holds_and_the_label_stays(
    text: str, short: str, source: str, options: list[str], limit: int
) -> None:
    label = "内容由AI生成，仅供参考，以政策原文为准"
    chosen = tuple(Option(each, each) for each in options)
    reply = Reply(text, short=short, source=source, url=URL, options=chosen, label=label)
    shown = dressed(reply, limit)
    assert len(shown.encode()) <= limit
    if text.strip() or chosen:
        assert shown.endswith(label)
    assert fits(reply, limit) or not shown or "…" in shown or URL in shown


@settings(deadline=None, derandomize=True)
@given(st.text(), st.integers(0, 200))
def test_a_cut_is_a_beginning(text: str, limit: int) -> None:
    kept = cut(text, limit)
    assert len(kept.encode()) <= limit
    assert kept == text or text.startswith(kept.removesuffix("…"))
