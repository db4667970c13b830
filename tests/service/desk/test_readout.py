"""What an operator reads out of a passage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kb.passages import Citation, EntryFacts, Passage
from kb.validity import Validity
from service.desk.readout import SPOKEN, readout

FACTS = EntryFacts(
    id=1,
    code="",
    version=1,
    question="居住证怎么办？",
    wordings=(),
    negatives=(),
    answer="",
    short_answer="",
    phone="",
    review_due=None,
    updated_at=datetime(2026, 1, 15, tzinfo=UTC),
)


def passage(text: str, short: str = "") -> Passage:
    return Passage(
        key="entry:1",
        kind="entry",
        title="居住证怎么办？",
        text=text,
        headings=(),
        department="",
        topic="",
        tags=(),
        audience="",
        region_code=None,
        effective_on=None,
        expires_on=None,
        published_on=None,
        validity=Validity.IN_FORCE,
        citations=(),
        entry=replace(FACTS, answer=text, short_answer=short),
    )


def test_the_short_answer_is_spoken_as_it_was_reviewed() -> None:
    said = readout(passage("很长的答复。", "带身份证办。"), None)
    assert (said.spoken, said.reviewed, said.full) == ("带身份证办。", True, "很长的答复。")


def test_without_one_the_first_sentences_are_spoken_and_that_is_said() -> None:
    text = f"第一句。第二句！{'长' * SPOKEN}。"
    said = readout(passage(text), None)
    assert (said.spoken, said.reviewed) == ("第一句。第二句！", False)
    long = "长" * (SPOKEN * 2) + "。"
    assert readout(passage(f"{long}短。"), None).spoken == long
    assert readout(passage(""), None).spoken == ""


@pytest.mark.parametrize(
    ("text", "materials"),
    [
        (
            "可以办。带身份证、照片到窗口办理。15天内发证。",
            ("带身份证、照片到窗口办理。",),
        ),
        (
            "带三类材料到居住地派出所或受委托的社区服务机构：\n1. 身份证\n2. 住址\n"
            "不全的一次告知。\n3. 别的",
            ("带三类材料到居住地派出所或受委托的社区服务机构：", "1. 身份证", "2. 住址"),
        ),
        ("所需材料：\n（一）申请表\n（二）照片", ("（一）申请表", "（二）照片")),
        ("每年签注一次，免费。", ()),
    ],
)
def test_lines_that_say_what_to_bring(text: str, materials: tuple[str, ...]) -> None:
    assert readout(passage(text), None).materials == materials


def test_of_a_clause_the_quoted_part_is_read() -> None:
    quote = Citation(1, 2, "办法", None, None, "第三条", "持身份证申领。", Validity.IN_FORCE)
    said = readout(replace(passage("整条"), kind="clause", entry=None), quote)
    assert (said.full, said.spoken, said.citations) == (
        "持身份证申领。",
        "持身份证申领。",
        (quote,),
    )
    assert said.materials == ("持身份证申领。",)
