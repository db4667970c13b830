"""Calls at the console, on SQLite and PostgreSQL: history, wrap-up, figures, what is at hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from kb.db import Database
from kb.entries import Entries
from kb.errors import NotFound
from kb.library import Library
from kb.passages import Passage
from service.desk.calls import KEPT, Calls, Shift, masked
from service.desk.reports import Reports
from service.errors import InvalidRequest
from service.models import Call, Lookup, User
from service.sealing import Sealer
from tests.factories import TODAY, Clock, entry

BEGIN = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
MOBILE = "13812345678"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls(database: Database, clock: Clock) -> Calls:
    return Calls(database, Sealer("key"), now=clock)


@pytest.fixture
def operators(database: Database) -> tuple[int, int]:
    with database.transaction() as session:
        users = [
            User(
                name=name,
                role="operator",
                display_name=f"坐席{name}",
                password_hash="",
                password_changed_at=BEGIN,
                created_at=BEGIN,
            )
            for name in ("one", "two")
        ]
        session.add_all(users)
        session.flush()
        first, second = (user.id for user in users)
    return first, second


@pytest.fixture
def passages(database: Database, entries: Entries) -> list[Passage]:
    records = [entry("居住证怎么办？"), entry("护照怎么换？")]
    saved = entries.save(list(enumerate(records, 1)), actor="编辑", publish=True)
    return Library(database).passages([f"entry:{each.entry_id}" for each in saved], TODAY)


def rows(database: Database, table: type[Call] | type[Lookup]) -> list[Call | Lookup]:
    with database.reading() as session:
        return list(session.scalars(select(table)))


def test_a_callers_number_is_a_pseudonym_sealed_while_the_call_lasts(
    calls: Calls, database: Database, operators: tuple[int, int]
) -> None:
    calls.start(operators[0], number=MOBILE, region_code="370283", note=f"工单1，{MOBILE}")
    call = calls.current(operators[0])
    assert call and (call.number, call.region_code) == ("138****5678", "370283")
    assert MOBILE not in call.note and calls.number(operators[0]) == MOBILE
    [row] = rows(database, Call)
    assert isinstance(row, Call)
    assert MOBILE not in row.number and MOBILE not in row.caller and len(row.caller) == 32
    calls.wrap_up(operators[0], "resolved", f"已告知，{MOBILE}")
    [row] = rows(database, Call)
    assert isinstance(row, Call)
    assert row.number == "" and MOBILE not in row.note and row.wrap_up == "resolved"
    assert calls.current(operators[0]) is None and calls.number(operators[0]) == ""


def test_what_is_no_number_is_left_out(calls: Calls, operators: tuple[int, int]) -> None:
    for number in ("anonymous", "<script>", "1" * 30, "sip:a@b"):
        calls.start(operators[0], number=number)
        call = calls.current(operators[0])
        assert call and call.number == "" and call.earlier == ()


def test_the_same_external_call_is_begun_once_and_not_again_when_it_is_over(
    calls: Calls, operators: tuple[int, int]
) -> None:
    first = calls.start(operators[0], external="cti-7", number=MOBILE)
    assert calls.start(operators[0], external="cti-7", number=MOBILE) == first
    calls.wrap_up(operators[0], "resolved")
    assert calls.start(operators[0], external="cti-7") == first
    assert calls.current(operators[0]) is None
    assert calls.start(operators[1], external="cti-7") != first


def test_a_new_call_ends_the_one_before_and_erases_its_number(
    calls: Calls, database: Database, operators: tuple[int, int]
) -> None:
    first = calls.start(operators[0], number=MOBILE)
    second = calls.start(operators[0], number="0532-12345678")
    assert second != first
    by_id = {row.id: row for row in rows(database, Call) if isinstance(row, Call)}
    assert by_id[first].ended_at and by_id[first].number == "" and by_id[first].wrap_up == ""
    assert by_id[second].ended_at is None


def test_numbers_of_forgotten_calls_are_erased(
    calls: Calls, database: Database, operators: tuple[int, int], clock: Clock
) -> None:
    first = calls.start(operators[0], number=MOBILE)
    clock.at += KEPT + timedelta(seconds=1)
    calls.start(operators[1])
    by_id = {row.id: row for row in rows(database, Call) if isinstance(row, Call)}
    assert by_id[first].number == ""


def test_the_history_of_a_call_and_of_the_caller(
    calls: Calls, operators: tuple[int, int], passages: list[Passage]
) -> None:
    permit, passport = passages
    calls.start(operators[0], number=MOBILE)
    calls.looked_up(operators[0], f"居住证 {MOBILE}", permit)
    calls.looked_up(operators[0], "", permit, copied=True)
    calls.looked_up(operators[0], "养鸡补贴", None)
    call = calls.current(operators[0])
    assert call is not None
    assert [(each.title, each.copied) for each in call.lookups] == [
        ("居住证怎么办？", True),
        ("", False),
    ]
    assert MOBILE not in call.lookups[0].question
    calls.wrap_up(operators[0], "resolved")
    calls.start(operators[1], number="138 1234-5678")
    calls.looked_up(operators[1], "护照", passport)
    call = calls.current(operators[1])
    assert call is not None
    assert [each.question for each in call.earlier] == ["养鸡补贴", "居住证 138****5678"]
    assert [each.title for each in call.lookups] == ["护照怎么换？"]


def test_the_first_thing_opened_begins_a_call(
    calls: Calls, operators: tuple[int, int], passages: list[Passage]
) -> None:
    assert calls.current(operators[0]) is None
    number = calls.looked_up(operators[0], "居住证", passages[0])
    call = calls.current(operators[0])
    assert call and call.id == number and len(call.lookups) == 1


def test_a_wrap_up_needs_a_call_and_a_known_code(calls: Calls, operators: tuple[int, int]) -> None:
    with pytest.raises(InvalidRequest):
        calls.wrap_up(operators[0], "finished")
    with pytest.raises(NotFound):
        calls.wrap_up(operators[0], "resolved")


def test_the_figures_of_a_shift(
    calls: Calls, operators: tuple[int, int], passages: list[Passage], clock: Clock
) -> None:
    one, two = operators
    for code, seconds in (("resolved", 60), ("no_answer", 120), ("not_a_call", 999)):
        calls.start(one)
        calls.looked_up(one, "居住证", passages[0], copied=code == "resolved")
        if code == "no_answer":
            calls.looked_up(one, "养鸡补贴", None)
        clock.at += timedelta(seconds=seconds)
        calls.wrap_up(one, code)
    calls.start(two)
    expected = Shift(
        calls=2,
        unwrapped=0,
        handling=90.0,
        resolved=0.5,
        lookups=3,
        empty=1,
        copies=1,
        tickets=0,
        wrap_ups={"resolved": 1, "no_answer": 1},
    )
    assert calls.shift(TODAY, one) == expected
    assert calls.shift(TODAY, two).unwrapped == 1
    everyone = calls.shifts(TODAY)
    assert [(name, each.calls) for name, each in everyone] == [
        ("坐席one", 2),
        ("坐席two", 1),
        ("全部", 3),
    ]


def test_a_shifts_day_is_a_day_in_china(
    calls: Calls, operators: tuple[int, int], clock: Clock
) -> None:
    clock.at = datetime(2026, 1, 15, 16, 0, tzinfo=UTC)
    calls.start(operators[0])
    assert calls.shift(date(2026, 1, 16), operators[0]).calls == 1
    assert calls.shift(date(2026, 1, 15), operators[0]).calls == 0
    empty = calls.shift(date(2026, 1, 15))
    assert empty.handling is None and empty.resolved is None


def test_favourites_and_what_was_opened_last(
    calls: Calls, operators: tuple[int, int], passages: list[Passage], clock: Clock
) -> None:
    one, two = operators
    for passage in (*passages, passages[0]):
        calls.looked_up(one, "问", passage)
    assert [each.title for each in calls.recent(one)] == ["居住证怎么办？", "护照怎么换？"]
    assert calls.recent(two) == ()
    assert calls.favour(one, passages[0])
    clock.at += timedelta(seconds=1)
    assert calls.favour(one, passages[1])
    assert [each.title for each in calls.favourites(one)] == ["护照怎么换？", "居住证怎么办？"]
    assert not calls.favour(one, passages[0])
    assert [each.title for each in calls.favourites(one)] == ["护照怎么换？"]


def test_reports_are_open_until_taken_back_or_settled(
    database: Database, operators: tuple[int, int], passages: list[Passage], clock: Clock
) -> None:
    reports = Reports(database, now=clock)
    one, two = operators
    key = passages[0].key
    assert reports.toggle(one, passages[0], "wrong", f"电话{MOBILE}不对")
    assert reports.toggle(two, passages[0], "outdated")
    assert reports.reasons(key) == ("outdated", "wrong")
    first = reports.open()[0]
    assert (first.by, first.note) == ("坐席one", "电话138****5678不对")
    assert not reports.toggle(two, passages[0], "outdated")
    reports.settle(first.id)
    assert reports.open() == () and reports.reasons(key) == ()
    with pytest.raises(NotFound):
        reports.settle(first.id)
    with pytest.raises(InvalidRequest):
        reports.toggle(one, passages[0], "boring")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (MOBILE, "138****5678"),
        ("053212345678", "053*****5678"),
        ("12345678", "1***5678"),
        ("12345", "1***5"),
        ("110", "110"),
        ("", ""),
    ],
)
def test_the_middle_of_a_number_does_not_show(number: str, shown: str) -> None:
    assert masked(number) == shown
