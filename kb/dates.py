"""Dates and periods as official documents print them; hides their spellings."""

from __future__ import annotations

import calendar
import re
from datetime import date

from kb.numerals import CHINESE, half_width_digits, number

_CN_YEAR = "[一二][〇○零O0一二三四五六七八九]{3}"
#: A printed calendar date, full-width digits folded; groups are not named, so it can be repeated.
DATE = (
    r"(?:(?:19|20)\d\d ?年 ?\d{1,2} ?月 ?\d{1,2} ?日"
    rf"|{_CN_YEAR} ?年 ?[元一二三四五六七八九十]{{1,2}} ?月 ?[一二三四五六七八九十]{{1,3}} ?日)"
)
_SPOKEN = re.compile(r"(\S{4}) ?年 ?(\S{1,2}) ?月 ?(\S{1,3}) ?日")
_DATE = re.compile(DATE)
_PLAIN = re.compile(r"(?<!\d)((?:19|20)\d\d)([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)")
#: A printed length of time: number and unit.
PERIOD = rf"(?P<count>\d{{1,3}}|[{CHINESE}]{{1,3}}) ?(?P<unit>年|个月|月|周年)"


def parse_date(text: str) -> date | None:
    """Return the first date in ``text``, None where there is none or it is not a real day.

    Reads ``2024年1月5日`` and ``二〇二四年一月五日`` (digits of either width, spaces between),
    ``2024-01-05``, ``2024/1/5``, ``2024.1.5``, ``20240105`` and times of day behind a date.
    """
    plain = half_width_digits(text)
    if match := _DATE.search(plain):
        spoken = _SPOKEN.fullmatch(match[0])
        return _day(*spoken.groups()) if spoken else None
    if match := _PLAIN.search(plain):
        return _day(match[1], match[3], match[4])
    if match := _COMPACT.search(plain):
        return _day(match[1], match[2], match[3])
    return None


def _day(year: str, month: str, day: str) -> date | None:
    values = [number(_chinese_zero(year)), number(month), number(day)]
    if None in values:
        return None
    try:
        return date(*(value or 0 for value in values))
    except ValueError:
        return None


def _chinese_zero(year: str) -> str:
    return year if year.isdigit() and year.isascii() else year.translate({48: "〇", 79: "〇"})


def after(start: date, count: int, unit: str) -> date:
    """Return the day ``count`` years or months after ``start``; month ends are kept in range."""
    months = start.month - 1 + count * (12 if unit.endswith("年") else 1)
    year, month = start.year + months // 12, months % 12 + 1
    return date(year, month, min(start.day, calendar.monthrange(year, month)[1]))
