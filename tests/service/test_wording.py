"""Days and dates as people in China read them."""

from datetime import UTC, date, datetime

from service.wording import VALIDITY, display_date, display_day_of, not_in_force, percent


def test_dates_are_written_without_leading_zeros() -> None:
    assert display_date(date(2025, 5, 1)) == "2025年5月1日"
    assert display_date(None) == ""


def test_late_in_the_evening_in_greenwich_it_is_tomorrow_in_china() -> None:
    assert display_day_of(datetime(2025, 12, 31, 15, 59, tzinfo=UTC)) == "2025年12月31日"
    assert display_day_of(datetime(2025, 12, 31, 16, 0, tzinfo=UTC)) == "2026年1月1日"


def test_every_end_of_validity_has_its_words() -> None:
    for validity in set(VALIDITY) - {"in_force", "unknown"}:
        for day in (None, date(2025, 5, 1)):
            for successor in ("", "新办法"):
                said = not_in_force("旧办法", validity, day, successor)
                assert "《旧办法》" in said and ("《新办法》" in said) == bool(successor)


def test_an_estimate_is_never_said_to_be_certain() -> None:
    assert [percent(each) for each in (0.0, 0.456, 0.999, 1.0)] == ["0%", "46%", "99%", "99%"]
