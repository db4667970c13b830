"""What somebody says in a conversation → what is wanted: an answer, the last one again, a choice.

Hides how people refer to what was said before: by number, by the words of an option, or to the
answer itself. Half a question is made whole by `kb.followups`.
"""

import enum
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from kb.followups import content
from service import wording
from service.conversations import Choice, Context

# Words of an option are looked for in an answer of at most so many characters.
SHORT = 16
# No longer text refers to the last answer; that also bounds what its patterns cost.
LONGEST = 24

_DIGITS = {each: number for number, each in enumerate("一二三四五六七八九", start=1)} | {"两": 2}
_DIGIT = "[1-9一二三四五六七八九]"
_NUMBER = re.compile(rf"(?:我?要|我?选择?|就|是|第)*({_DIGIT})[个号种]?[吧的呀啊]?[.。、)）!！]?")
_LAST = re.compile(r"(?:我?要|我?选|就|是)*最后一?[个项条][吧的]?[。!！]?")
_NONE_OF_THEM = re.compile(
    "(?:以上)?(?:都|全都?)(?:不是|不对|没有)(?:我(?:要|想)问?的?)?|没有我(?:要|想)(?:问|找)?的?"
)
_BEFORE = (
    r"(?:你|您|请|麻烦|再|把|那|能不能|可以|可不可以|刚才|刚刚|上面|上边|前面|上一个|上一条|之前"
    r"|说|讲|的|答案|回答|内容|话|[，,\s])*"
)
_AFTER = r"(?:吗|吧|呢|啊|行吗|可以吗|好吗|谢谢|给我|看看|一下|[。？?！!，,\s])*"
_AGAIN = re.compile(
    rf"{_BEFORE}(?:再?[说讲来]一遍|重[复说]一[遍下]|没[听看]清楚?|没[听看]明白){_AFTER}"
)
_SHORTER = re.compile(
    rf"{_BEFORE}(?:得?(?:简单|简短|简洁|短|直白|通俗)(?:一?点儿?|一?些)?(?:说|讲)?"
    rf"|太长了?|太复杂了?|[听看]不懂|没[听看]懂|长话短说|一句话(?:说|概括)?|概括一下){_AFTER}"
)
_SOURCE = re.compile(
    rf"{_BEFORE}(?:有|是|什么|啥|哪个|哪一?条|根据|依据|引用|出自|的)*?"
    r"(?:(?:法律|政策|文件)?依据|法律条文|法条|条文|(?:法规|政策|规定)?原文|出处)"
    rf"(?:原文|是|在|有|什么|啥|哪里?|哪一?条|怎么[说写]|的|发我|念一下)*{_AFTER}"
)
_ITEM = re.compile(
    rf"{_BEFORE}第\s*({_DIGIT})\s*[条点项款个]"
    rf"(?:是|说的|说|讲的|讲)?(?:什么|啥|的内容|怎么说的?)?(?:意思)?{_AFTER}"
)
# The items of an answer: 1. … 2. …
_ITEMS = re.compile(rf"(?m)^\s*(?:({_DIGIT})[.．、]|[（(]({_DIGIT})[）)])\s*")


class Wish(enum.Enum):
    """What is wanted."""

    ASK = enum.auto()
    AGAIN = enum.auto()
    SHORTER = enum.auto()
    SOURCE = enum.auto()
    ITEM = enum.auto()


@dataclass(frozen=True)
class Turn:
    """What somebody wants.

    Attributes:
        text: the question to answer.
        number: of the item that is asked for; 0 for none.
        chosen: whether the question is one that was offered, or that was asked before; with `said`,
            whether what was offered is done with.
        said: words that are the whole answer; nothing is looked for.
    """

    text: str
    wish: Wish = Wish.ASK
    number: int = 0
    chosen: bool = False
    said: str = ""


def read(text: str, context: Context) -> Turn:
    """What is wanted with a text, after what was said before."""
    number = number_in(text, len(context.choices))
    if number:
        if number <= len(context.choices):
            return Turn(context.choices[number - 1].question, chosen=True)
        return Turn(text, said=wording.no_such_number(len(context.choices)))
    if context.clarified:
        if _NONE_OF_THEM.fullmatch(text.strip(" 。！!的")):
            return Turn(text, chosen=True, said=wording.NONE_OF_THEM)
        choice = _named(text, context.choices)
        if choice:
            return Turn(choice.question, chosen=True)
    for wish, pattern in (
        (Wish.AGAIN, _AGAIN),
        (Wish.SHORTER, _SHORTER),
        (Wish.SOURCE, _SOURCE),
        (Wish.ITEM, _ITEM),
    ):
        match = pattern.fullmatch(text.strip()) if len(text) <= LONGEST else None
        if match and not context.last:
            return Turn(text, said=wording.NOTHING_BEFORE)
        if match:
            digit = match[1] if wish is Wish.ITEM else ""
            return Turn(context.last, wish, _DIGITS.get(digit) or int(digit or 0), chosen=True)
    return Turn(text)


def number_in(text: str, choices: int = 0) -> int:
    """Which choice a text names (1, １, ①, 一, 第一个, 最后一个); 0 for none.

    Args:
        choices: how many there are, for the last one.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if choices and _LAST.fullmatch(plain):
        return choices
    found = _NUMBER.fullmatch(plain)
    if found is None:
        return 0
    return _DIGITS.get(found[1]) or int(found[1])


def item(text: str, number: int) -> str:
    """A numbered item of an answer, verbatim; empty where there is none of that number."""
    marks = list(_ITEMS.finditer(text))
    for at, mark in enumerate(marks):
        digit = mark[1] or mark[2]
        if (_DIGITS.get(digit) or int(digit)) == number:
            end = marks[at + 1].start() if at + 1 < len(marks) else len(text)
            return text[mark.start() : end].strip()
    return ""


def _named(text: str, choices: Sequence[Choice]) -> Choice | None:
    """The one choice that a short text speaks of by its words."""
    said = text.strip(" ，,。？?！!呢吧啊呀的")
    for choice in choices:
        if said in (choice.label, choice.question.rstrip("？?")):
            return choice
    words = content(said).replace(" ", "")
    if not words or len(said) > SHORT:
        return None
    fit = [each for each in choices if words in each.label or each.label in said] or [
        each for each in choices if words in each.question
    ]
    return fit[0] if len(fit) == 1 else None
