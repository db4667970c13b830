"""Chinese and Arabic numerals as they are printed in official documents; hides how each is read."""

from __future__ import annotations

import re

DIGITS = {
    "〇": 0, "○": 0, "零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4,
    "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "元": 1,
}  # fmt: skip
_UNITS = {"十": 10, "百": 100, "千": 1000}
#: Characters of a Chinese numeral, for use inside a character class.
CHINESE = "〇○零一二两三四五六七八九十百千"
_YEAR = re.compile("[一二][〇○零一二三四五六七八九]{3}(?=年)")
_WIDTH = {ord("０") + i: str(i) for i in range(10)}


def half_width_digits(text: str) -> str:
    """Return ``text`` with full-width digits made half-width; the length does not change."""
    return text.translate(_WIDTH)


def years_in_digits(text: str) -> str:
    """Return ``text`` with years in Chinese numerals as documents print them: ``2024年``."""
    return _YEAR.sub(lambda found: "".join(str(DIGITS[char]) for char in found[0]), text)


def number(text: str) -> int | None:
    """Return the value of a printed numeral: ``一百二十三``, ``二〇二四``, ``12`` or ``１２``.

    None when the text is not one whole numeral below ten thousand.
    """
    plain = half_width_digits(text.strip())
    if plain.isascii() and plain.isdigit():
        return int(plain) if len(plain) <= 4 else None
    if not plain or len(plain) > 9:
        return None
    if all(char in DIGITS for char in plain):
        return int("".join(str(DIGITS[char]) for char in plain)) if len(plain) <= 4 else None
    return _with_units(plain)


def _with_units(plain: str) -> int | None:
    total, digit = 0, None
    for char in plain:
        if char in DIGITS:
            digit = DIGITS[char]
        elif char in _UNITS:
            total += _UNITS[char] * (1 if digit is None else digit)
            digit = 0
        else:
            return None
    return total + (digit or 0)


def chinese(value: int) -> str:
    """Return 1..99 as a Chinese numeral (``二十一``); larger values stay in Arabic digits."""
    names = "零一二三四五六七八九"
    if not 0 < value < 100:
        return str(value)
    tens, ones = divmod(value, 10)
    head = "" if tens == 0 else ("十" if tens == 1 else names[tens] + "十")
    return head + (names[ones] if ones else "")
