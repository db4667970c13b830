"""Tickets to departments, on SQLite and PostgreSQL: numbers, deadlines, states, secrets."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from kb.db import Database
from kb.departments import department_named
from kb.errors import Conflict, NotFound
from service.desk.tickets import NewTicket, Tickets
from service.errors import InvalidRequest
from service.models import Ticket, User
from service.sealing import Sealer
from service.working_days import Deadline, deadline
from tests.factories import Clock

BEGIN = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
MOBILE = "13812345678"
ASKED = NewTicket("养鸡场用电有补助吗", "市发改委", call_back=MOBILE, region_code="370283")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def operator(database: Database) -> int:
    with database.transaction() as session:
        department_named(session, "市发改委")
        user = User(
            name="one",
            role="operator",
            display_name="坐席一",
            password_hash="",
            password_changed_at=BEGIN,
            created_at=BEGIN,
        )
        session.add(user)
        session.flush()
        return user.id


@pytest.fixture
def tickets(database: Database, clock: Clock, operator: int) -> Tickets:
    return Tickets(database, Sealer("key"), now=clock)


def test_a_ticket_says_everything_and_hides_the_number(
    tickets: Tickets, database: Database, operator: int
) -> None:
    text = f"我的手机是{MOBILE}"
    number = tickets.create(replace(ASKED, question=text, detail=text), operator)
    found = tickets.find(number)
    assert number == "20260115-0001"
    assert (found.department, found.state, found.created_by) == ("市发改委", "open", "坐席一")
    assert found.question == found.detail == "我的手机是138****5678"
    assert found.call_back == "138****5678" and tickets.call_back(number) == MOBILE
    with database.reading() as session:
        row = session.scalars(select(Ticket)).one()
    assert MOBILE not in f"{row.call_back}{row.question}{row.detail}"


def test_numbers_are_unique_under_concurrency(
    tickets: Tickets, database_url: str, operator: int
) -> None:
    other = Database(database_url)
    desks = (tickets, Tickets(other, Sealer("key"), now=lambda: BEGIN))
    start = threading.Barrier(4)

    def create(desk: Tickets) -> list[str]:
        start.wait()
        return [desk.create(ASKED, operator) for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        numbers = [number for made in pool.map(create, desks * 2) for number in made]
    other.dispose()
    assert sorted(numbers) == [f"20260115-{count:04d}" for count in range(1, 21)]


def test_numbers_begin_again_each_day_in_china_and_pass_9999(
    tickets: Tickets, database: Database, operator: int, clock: Clock
) -> None:
    tickets.create(ASKED, operator)
    with database.transaction() as session:
        session.scalars(select(Ticket)).one().number = "20260115-9999"
    assert tickets.create(ASKED, operator) == "20260115-10000"
    assert tickets.create(ASKED, operator) == "20260115-10001"
    clock.at = datetime(2026, 1, 15, 16, 0, tzinfo=UTC)
    assert tickets.create(ASKED, operator) == "20260116-0001"


@pytest.mark.parametrize(
    ("day", "days", "due"),
    [
        # An ordinary week.
        (date(2025, 11, 24), 5, date(2025, 12, 1)),
        (date(2025, 11, 24), 2, date(2025, 11, 26)),
        # National Day 2025: off from 1 to 8 October, Saturday the 11th is worked instead.
        (date(2025, 9, 30), 2, date(2025, 10, 10)),
        (date(2025, 9, 30), 3, date(2025, 10, 11)),
    ],
)
def test_a_deadline_counts_the_state_councils_working_days(day: date, days: int, due: date) -> None:
    assert deadline(day, days) == Deadline(due, certain=True)


def test_beyond_the_known_years_weekdays_are_counted_and_that_is_said() -> None:
    assert deadline(date(2090, 1, 6), 5) == Deadline(date(2090, 1, 13), certain=False)


def test_a_ticket_is_due_after_five_or_two_working_days(tickets: Tickets, operator: int) -> None:
    normal = tickets.find(tickets.create(ASKED, operator))
    urgent = tickets.find(tickets.create(replace(ASKED, urgent=True), operator))
    assert (normal.due_on, urgent.due_on) == (date(2026, 1, 22), date(2026, 1, 19))


def test_states_go_one_way_and_the_number_is_erased_at_the_end(
    tickets: Tickets, database: Database, operator: int
) -> None:
    number = tickets.create(ASKED, operator)
    with pytest.raises(Conflict, match="还没有答复"):
        tickets.close(number)
    tickets.answer(number, "没有这项补助。")
    tickets.answer(number, f"没有，问{MOBILE}")
    assert tickets.find(number).reply == "没有，问138****5678"
    tickets.close(number)
    found = tickets.find(number)
    assert (found.state, found.call_back) == ("closed", "") and tickets.call_back(number) == ""
    for act in (lambda: tickets.close(number), lambda: tickets.answer(number, "再说一句")):
        with pytest.raises(Conflict, match="已经办结"):
            act()


def test_what_is_due_first_comes_first_and_overdue_is_counted(
    tickets: Tickets, operator: int, clock: Clock
) -> None:
    late = tickets.create(replace(ASKED, urgent=True), operator)
    clock.at += timedelta(days=1)
    later = tickets.create(ASKED, operator)
    done = tickets.create(replace(ASKED, urgent=True), operator)
    tickets.answer(done, "有。")
    tickets.close(done)
    clock.at = datetime(2026, 1, 20, 2, 0, tzinfo=UTC)
    assert [each.number for each in tickets.listed()] == [late, later, done]
    assert [each.number for each in tickets.listed(overdue=True)] == [late]
    assert tickets.overdue() == 1 and tickets.find(late).overdue
    assert [each.number for each in tickets.listed(state="closed")] == [done]
    assert tickets.listed(created_by=operator + 1) == ()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"question": " "}, "question"),
        ({"question": "长" * 501}, "question"),
        ({"department": ""}, "department"),
        ({"department": "没有这个局"}, "department"),
        ({"detail": "长" * 2001}, "detail"),
        ({"call_back": "javascript:alert(1)"}, "call_back"),
        ({"call_back": "12"}, "call_back"),
    ],
)
def test_what_does_not_hold_is_named(
    tickets: Tickets, operator: int, changes: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        tickets.create(replace(ASKED, **changes), operator)  # type: ignore[arg-type]
    assert set(caught.value.fields) == {field}
    assert tickets.listed() == ()


def test_a_number_sealed_with_another_key_is_no_obstacle(
    tickets: Tickets, database: Database, operator: int, clock: Clock
) -> None:
    number = tickets.create(ASKED, operator)
    other = Tickets(database, Sealer("another"), now=clock)
    assert other.find(number).call_back == "" and other.call_back(number) == ""


def test_no_such_ticket(tickets: Tickets) -> None:
    for act in (
        lambda: tickets.find("20260115-0001"),
        lambda: tickets.call_back("20260115-0001"),
        lambda: tickets.answer("20260115-0001", "有"),
        lambda: tickets.close("20260115-0001"),
    ):
        with pytest.raises(NotFound):
            act()


def test_an_answer_needs_words(tickets: Tickets, operator: int) -> None:
    number = tickets.create(ASKED, operator)
    for reply in (" ", "长" * 4001):
        with pytest.raises(InvalidRequest):
            tickets.answer(number, reply)
