"""Automatic paragraph numbers of Word files as text; hides numbering definitions and counters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

_LEVELS = 9
_DIGITS = "〇一二三四五六七八九"
_LEGAL = "零壹贰叁肆伍陆柒捌玖"
_PLACEHOLDER = re.compile(r"%([1-9])")
_MAX_LABEL = 40


def chinese_numeral(number: int) -> str:
    """Return 1–9999 as counted in documents: 一, 十二, 一百零三; other numbers in Arabic digits."""
    return _counted(number, "零一二三四五六七八九", "十百千", "一十")


def _counted(number: int, digits: str, units: str, shortened: str) -> str:
    if not 0 < number < 10_000:
        return str(number)
    text, gap = "", False
    for power in (3, 2, 1, 0):
        digit = number // 10**power % 10
        if digit:
            text += digits[0] if gap and text else ""
            text += digits[digit] + (units[power - 1] if power else "")
            gap = False
        else:
            gap = True
    return text[1:] if shortened and text.startswith(shortened) else text


def _roman(number: int) -> str:
    if not 0 < number < 4000:
        return str(number)
    text = ""
    for value, sign in zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"),
        strict=True,
    ):
        text += sign * (number // value)
        number %= value
    return text


def _letters(number: int) -> str:
    if not 0 < number <= 780:
        return str(number)
    return chr(ord("A") + (number - 1) % 26) * ((number - 1) // 26 + 1)


def _circled(number: int) -> str:
    for first, last, start in ((1, 20, 0x2460), (21, 35, 0x3251), (36, 50, 0x32B1)):
        if first <= number <= last:
            return chr(start + number - first)
    return str(number)


def _one_of(signs: str) -> Callable[[int], str]:
    return lambda number: signs[number - 1] if 0 < number <= len(signs) else str(number)


def _full_width(number: int) -> str:
    return str(number).translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})


def _digit_by_digit(number: int) -> str:
    return str(number).translate({ord(str(digit)): _DIGITS[digit] for digit in range(10)})


def _enclosed(number: int) -> str:
    return chr(0x2487 + number) if 1 <= number <= 20 else f"({number})"


# The values of ST_NumberFormat (ECMA-376 part 1, 17.18.59) that occur in Chinese documents.
_FORMATS: dict[str, Callable[[int], str]] = {
    "chineseCounting": chinese_numeral,
    "chineseCountingThousand": chinese_numeral,
    "japaneseCounting": chinese_numeral,
    "taiwaneseCounting": chinese_numeral,
    "taiwaneseCountingThousand": chinese_numeral,
    "ideographDigital": _digit_by_digit,
    "japaneseDigitalTenThousand": _digit_by_digit,
    "taiwaneseDigital": _digit_by_digit,
    "chineseLegalSimplified": lambda number: _counted(number, _LEGAL, "拾佰仟", ""),
    "ideographLegalTraditional": lambda number: _counted(number, _LEGAL, "拾佰仟", ""),
    "ideographTraditional": _one_of("甲乙丙丁戊己庚辛壬癸"),
    "ideographZodiac": _one_of("子丑寅卯辰巳午未申酉戌亥"),
    "decimalEnclosedCircle": _circled,
    "decimalEnclosedCircleChinese": _circled,
    "decimalEnclosedParen": _enclosed,
    "decimalFullWidth": _full_width,
    "decimalFullWidth2": _full_width,
    "decimalZero": lambda number: f"{number:02d}",
    "upperRoman": _roman,
    "lowerRoman": lambda number: _roman(number).lower(),
    "upperLetter": _letters,
    "lowerLetter": lambda number: _letters(number).lower(),
    "none": lambda number: "",
}


@dataclass(frozen=True)
class _Level:
    pattern: str = ""
    number_format: str = "decimal"
    start: int = 1
    restart: int = -1  # the level whose step restarts this one; -1: any higher level
    legal: bool = False
    style: str = ""


@dataclass
class Numbering:
    """The lists of one document, counting as its paragraphs are read in order."""

    _lists: dict[str, tuple[str, list[_Level]]] = field(default_factory=dict)
    _restarts: dict[str, dict[int, int]] = field(default_factory=dict)
    _counters: dict[str, list[int | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Element | None) -> Numbering:
        """Read the definitions of ``numbering.xml``; None when the file has no lists."""
        numbering = cls()
        if root is None:
            return numbering
        abstracts = {
            element.get(f"{W}abstractNumId", ""): _levels(element)
            for element in root.iter(f"{W}abstractNum")
        }
        for element in root.iter(f"{W}num"):
            key = element.get(f"{W}numId", "")
            abstract = _value(element.find(f"{W}abstractNumId"))
            levels = list(abstracts.get(abstract, [_Level()] * _LEVELS))
            restarts: dict[int, int] = {}
            for override in element.iter(f"{W}lvlOverride"):
                index = _integer(override.get(f"{W}ilvl"), 0)
                if not 0 <= index < _LEVELS:
                    continue
                own = override.find(f"{W}lvl")
                if own is not None:
                    levels[index] = _level(own)
                begin = override.find(f"{W}startOverride")
                if begin is not None:
                    restarts[index] = _integer(_value(begin), 1)
                    levels[index] = replace(levels[index], start=restarts[index])
            numbering._lists[key] = (abstract, levels)
            numbering._restarts[key] = restarts
        return numbering

    def level_of_style(self, number_id: str, style: str) -> int:
        """Return the level that a list ties to a paragraph style, 0 when it ties none."""
        _, levels = self._lists.get(number_id, ("", []))
        return next((i for i, level in enumerate(levels) if style and level.style == style), 0)

    def label(self, number_id: str, level: int) -> str:
        """Count one paragraph of a list and return its number as printed, "" for bullets."""
        if number_id not in self._lists or not 0 <= level < _LEVELS:
            return ""
        abstract, levels = self._lists[number_id]
        counters = self._counters.setdefault(abstract, [None] * _LEVELS)
        for index, start in self._restarts.pop(number_id, {}).items():
            counters[index] = start - 1
        current = counters[level]
        counters[level] = levels[level].start if current is None else current + 1
        for lower in range(level + 1, _LEVELS):
            restart = levels[lower].restart
            if restart < 0 or level < restart:
                counters[lower] = None
        return _rendered(levels, level, counters)


def _rendered(levels: list[_Level], level: int, counters: list[int | None]) -> str:
    own = levels[level]
    if own.number_format == "bullet":
        return ""

    def number(match: re.Match[str]) -> str:
        index = int(match[1]) - 1
        count = counters[index]
        shown = levels[index].start if count is None else count
        plain = own.legal and index != level
        form = "decimal" if plain else levels[index].number_format
        return _FORMATS.get(form, str)(shown)

    return _PLACEHOLDER.sub(number, own.pattern)[:_MAX_LABEL]


def join_label(label: str, text: str) -> str:
    """Put a number before its paragraph, with a blank where the two would run together."""
    label = label.strip()
    if not label or not text:
        return text
    apart = (
        label[-1].isalpha() or label[-1].isdecimal() or (label[-1] in ".．" and text[0].isdigit())
    )
    return f"{label} {text}" if apart else label + text


def _levels(element: Element) -> list[_Level]:
    levels = [_Level()] * _LEVELS
    for child in element.iter(f"{W}lvl"):
        index = _integer(child.get(f"{W}ilvl"), 0)
        if 0 <= index < _LEVELS:
            levels[index] = _level(child)
    return levels


def _level(element: Element) -> _Level:
    legal = element.find(f"{W}isLgl")
    return _Level(
        pattern=_value(element.find(f"{W}lvlText")),
        number_format=_value(element.find(f"{W}numFmt")) or "decimal",
        start=_integer(_value(element.find(f"{W}start")), 1),
        restart=_integer(_value(element.find(f"{W}lvlRestart")), -1),
        legal=legal is not None and _value(legal) not in ("0", "false"),
        style=_value(element.find(f"{W}pStyle")),
    )


def _value(element: Element | None) -> str:
    return "" if element is None else element.get(f"{W}val", "")


def _integer(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch(r"\d{1,6}", text) else default
