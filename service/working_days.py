"""Deadlines in working days; hides the State Council's holidays and worked weekends."""

from dataclasses import dataclass
from datetime import date, timedelta

import chinese_calendar


@dataclass(frozen=True)
class Deadline:
    """A day by which something is to be done.

    Attributes:
        certain: whether the State Council's holidays of all its days are known; else Mondays to
            Fridays were counted for those that are not.
    """

    day: date
    certain: bool


def deadline(day: date, working_days: int) -> Deadline:
    """The day on which that many working days after a day have passed."""
    certain = True
    while working_days:
        day += timedelta(days=1)
        works, known = _works(day)
        certain = certain and known
        working_days -= works
    return Deadline(day, certain)


def is_working_day(day: date) -> bool:
    """Whether offices work on a day; Monday to Friday where its holidays are not known yet."""
    return _works(day)[0]


def _works(day: date) -> tuple[bool, bool]:
    try:
        return bool(chinese_calendar.is_workday(day)), True
    except NotImplementedError:
        # The State Council names the holidays of a year in the November before.
        return day.weekday() < 5, False
