"""Days in China and the instants at which they begin; hides the zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)


def day_of(instant: datetime) -> date:
    """The day that it is in China at an instant."""
    return instant.astimezone(CHINA).date()


def start_of(day: date) -> datetime:
    """The instant, in UTC, at which a day begins in China."""
    return datetime.combine(day, time.min, CHINA).astimezone(UTC)


def end_of(day: date) -> datetime:
    """The instant, in UTC, at which a day is over in China."""
    return start_of(day + DAY) if day < date.max else datetime.max.replace(tzinfo=UTC)


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)
