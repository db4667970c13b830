"""Accounts on SQLite and PostgreSQL: sign-in, locks, sessions, passwords, and the audit of it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from kb.db import Database
from kb.errors import Conflict, NotFound
from kb.models import Audit
from service.accounts import FAILURES_PER_MINUTE, LOCKED_FOR, TRIES, Accounts
from service.errors import InvalidRequest, SignInRefused, TooManyRequests
from service.limits import Limits
from service.models import User, UserSession
from service.passwords import Passwords
from service.people import People, Profile
from service.sealing import Sealer
from service.second_factor import SecondFactors
from service.sessions import Rules, Sessions
from tests.factories import Clock

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
RULES = Rules()
OWN = "Kite-flies-47-high"
OTHER = "Boat-sails-58-deep"
HERE = "192.0.2.7"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(database: Database, clock: Clock) -> Accounts:
    return make(database, clock)


def make(
    database: Database,
    clock: Clock,
    *,
    rules: Rules | None = None,
    hasher: PasswordHasher = CHEAP,
) -> Accounts:
    sessions = Sessions(database, rules or RULES, clock)
    factors = SecondFactors(Sealer("x" * 32), clock)
    return Accounts(database, sessions, factors, limits=Limits(), passwords=Passwords(hasher))


@pytest.fixture
def people(database: Database, accounts: Accounts, clock: Clock) -> People:
    return People(database, accounts, clock)


@pytest.fixture
def operator(accounts: Accounts, people: People) -> str:
    """The name of an operator who has chosen a password."""
    first = people.add(Profile("wang.wu", "operator", department="市热线中心"), by="test")
    token = accounts.sign_in("wang.wu", first, address=HERE)
    accounts.sign_out(accounts.change_password(token, first, OWN, address=HERE))
    return "wang.wu"


def sign_in(accounts: Accounts, password: str = OWN, name: str = "wang.wu") -> str:
    return accounts.sign_in(name, password, address=HERE)


def fail(accounts: Accounts, times: int, name: str = "wang.wu") -> set[str]:
    words = set()
    for _ in range(times):
        with pytest.raises(SignInRefused) as caught:
            sign_in(accounts, "wrong", name)
        words.add(str(caught.value))
    return words


def audited(database: Database) -> list[Audit]:
    with database.reading() as session:
        return list(session.scalars(select(Audit).order_by(Audit.id)))


def actions(database: Database) -> list[str]:
    return [row.action for row in audited(database)]


def only(people: People) -> tuple[str, bool]:
    [account] = people.all()
    return account.state, account.password_due


# Making accounts


def test_a_new_account_gets_a_one_time_password_that_must_be_changed(
    accounts: Accounts, people: People
) -> None:
    assert not accounts.exist()
    profile = Profile(
        "  Zhang.San ", "editor", display_name="张三", department="市人社局", region_code="370200"
    )
    first = people.add(profile, by="test")
    account = accounts.session(sign_in(accounts, first, "zhang.san"))
    assert account is not None and account.password_due and accounts.exist()
    assert (account.name, account.display_name, account.role) == ("zhang.san", "张三", "editor")
    assert (account.department, account.region_code) == ("市人社局", "370200")
    assert people.all() == [account]


def test_a_given_password_is_checked_and_must_be_changed_too(people: People) -> None:
    with pytest.raises(InvalidRequest) as caught:
        people.add(Profile("zhang.san", "admin"), by="test", password="Admin12345!")
    assert "password" in caught.value.fields
    assert people.add(Profile("zhang.san", "admin"), by="test", password=OWN) == OWN
    assert only(people) == ("active", True)


@pytest.mark.parametrize(
    ("profile", "wrong"),
    [
        (Profile("", "admin"), "name"),
        (Profile("x", "admin"), "name"),
        (Profile("x" * 33, "admin"), "name"),
        (Profile("张 三", "admin"), "name"),
        (Profile("zhang\nsan", "admin"), "name"),
        (Profile("<b>san", "admin"), "name"),
        (Profile("zhang.san", "root"), "role"),
    ],
)
def test_wrong_names_and_roles_are_refused(people: People, profile: Profile, wrong: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        people.add(profile, by="test")
    assert set(caught.value.fields) == {wrong} and people.all() == []


@pytest.mark.parametrize("again", ["wang.wu", "WANG.WU", "ｗａｎｇ.ｗｕ"])
def test_a_name_is_taken_whatever_its_case_and_width(
    accounts: Accounts, people: People, operator: str, again: str
) -> None:
    with pytest.raises(Conflict):
        people.add(Profile(again, "admin"), by="test")
    assert accounts.session(sign_in(accounts, name=again)) is not None


def test_unknown_names_are_told_to_the_administrator(people: People) -> None:
    for change in (people.disable, people.enable, people.unlock, people.reset_password):
        with pytest.raises(NotFound):
            change(404, by="test")
    with pytest.raises(NotFound, match="nobody"):
        people.named("nobody")


# Failing


def test_unknown_wrong_locked_and_disabled_get_the_same_words(
    accounts: Accounts, people: People, operator: str
) -> None:
    words = fail(accounts, 1) | fail(accounts, 1, "nobody") | fail(accounts, TRIES)
    with pytest.raises(SignInRefused) as locked:
        sign_in(accounts)
    people.unlock(people.named(operator).id, by="test")
    people.disable(people.named(operator).id, by="test")
    with pytest.raises(SignInRefused) as disabled:
        sign_in(accounts)
    assert words == {str(locked.value)} == {str(disabled.value)}


def test_five_failures_lock_for_a_quarter_of_an_hour(
    accounts: Accounts, people: People, operator: str, clock: Clock
) -> None:
    fail(accounts, TRIES - 1)
    assert only(people)[0] == "active"
    fail(accounts, 1)
    assert only(people)[0] == "locked"
    clock.advance(LOCKED_FOR - timedelta(seconds=1))
    with pytest.raises(SignInRefused):
        sign_in(accounts)
    clock.advance(timedelta(seconds=1))
    assert only(people)[0] == "active"
    assert accounts.session(sign_in(accounts)) is not None


def test_after_a_lock_there_are_five_tries_again(
    accounts: Accounts, people: People, operator: str, clock: Clock
) -> None:
    fail(accounts, TRIES)
    clock.advance(LOCKED_FOR)
    fail(accounts, TRIES - 1)
    assert only(people)[0] == "active"
    fail(accounts, 1)
    assert only(people)[0] == "locked"


def test_trying_while_locked_does_not_prolong_the_lock(
    accounts: Accounts, operator: str, clock: Clock
) -> None:
    fail(accounts, TRIES)
    clock.advance(LOCKED_FOR / 2)
    fail(accounts, TRIES)
    clock.advance(LOCKED_FOR / 2)
    assert accounts.session(sign_in(accounts)) is not None


def test_a_success_forgets_the_failures_before(accounts: Accounts, operator: str) -> None:
    for _ in range(3):
        fail(accounts, TRIES - 1)
        assert accounts.session(sign_in(accounts)) is not None


def test_an_administrator_unlocks(accounts: Accounts, people: People, operator: str) -> None:
    fail(accounts, TRIES)
    people.unlock(people.named(operator).id, by="test")
    assert accounts.session(sign_in(accounts)) is not None


def test_a_lock_ends_the_sessions(accounts: Accounts, operator: str) -> None:
    token = sign_in(accounts)
    fail(accounts, TRIES)
    assert accounts.session(token) is None


def test_guessing_side_by_side_gets_no_more_tries(
    accounts: Accounts, database: Database, operator: str
) -> None:
    barrier = threading.Barrier(TRIES + 3)

    def guess() -> None:
        barrier.wait()
        with pytest.raises(SignInRefused):
            sign_in(accounts, "wrong")

    threads = [threading.Thread(target=guess) for _ in range(TRIES + 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.scalars(select(User.failures)).one() == TRIES
    with pytest.raises(SignInRefused):
        sign_in(accounts)


def test_too_many_failures_from_one_address_hold_it_back_whatever_the_name(
    accounts: Accounts, operator: str
) -> None:
    for number in range(FAILURES_PER_MINUTE):
        fail(accounts, 1, f"nobody-{number}")
    with pytest.raises(TooManyRequests) as caught:
        sign_in(accounts)
    assert caught.value.retry_after > 0
    assert accounts.sign_in(operator, OWN, address="192.0.2.8")


def test_signing_in_rightly_does_not_count_against_an_address(
    accounts: Accounts, operator: str
) -> None:
    for _ in range(FAILURES_PER_MINUTE + 5):
        sign_in(accounts)


@pytest.mark.parametrize("name", ["", "' OR 1=1 --", "x" * 5000, "wang.wu\x01", "𠀀" * 100])
def test_hostile_names_are_just_wrong(accounts: Accounts, operator: str, name: str) -> None:
    fail(accounts, 1, name)


def test_an_account_without_its_password_is_not_opened_by_an_empty_one(
    accounts: Accounts, operator: str
) -> None:
    with pytest.raises(SignInRefused):
        sign_in(accounts, "")


# Sessions


def test_the_base_keeps_no_token_and_no_password(
    accounts: Accounts, database: Database, operator: str
) -> None:
    token = sign_in(accounts)
    with database.reading() as session:
        kept = session.scalars(select(UserSession.id)).all()
        stored = session.scalars(select(User.password_hash)).one()
    assert token not in kept and len(kept[0]) == 64
    assert stored.startswith("$argon2id$") and OWN not in stored


def test_a_session_ends_when_nothing_is_done(
    accounts: Accounts, operator: str, clock: Clock
) -> None:
    token = sign_in(accounts)
    for _ in range(5):
        clock.advance(RULES.idle - timedelta(minutes=2))
        assert accounts.session(token) is not None
    clock.advance(RULES.idle)
    assert accounts.session(token) is None


def test_a_page_that_asks_by_itself_keeps_nobody_signed_in(
    accounts: Accounts, operator: str, clock: Clock
) -> None:
    token = sign_in(accounts)
    for _ in range(29):
        clock.advance(timedelta(minutes=1))
        assert accounts.session(token, active=False) is not None
    clock.advance(timedelta(minutes=1))
    assert accounts.session(token, active=False) is None


def test_a_session_ends_in_any_case(accounts: Accounts, operator: str, clock: Clock) -> None:
    token, began = sign_in(accounts), clock()
    while clock() - began < RULES.longest:
        assert accounts.session(token) is not None
        clock.advance(timedelta(minutes=20))
    assert accounts.session(token) is None


def test_signing_out_ends_one_session(accounts: Accounts, operator: str) -> None:
    here, there = sign_in(accounts), sign_in(accounts)
    accounts.sign_out(here)
    accounts.sign_out(here)
    assert accounts.session(here) is None and accounts.session(there) is not None


def test_the_oldest_of_too_many_sessions_ends(
    accounts: Accounts, database: Database, operator: str, clock: Clock
) -> None:
    tokens = []
    for _ in range(RULES.sessions + 1):
        clock.advance(timedelta(seconds=1))
        tokens.append(sign_in(accounts))
    held = [accounts.session(token) is not None for token in tokens]
    assert held == [False, True, True, True]
    assert "session.surplus" in actions(database)


def test_sessions_that_have_run_out_are_forgotten(
    accounts: Accounts, database: Database, operator: str, clock: Clock
) -> None:
    sign_in(accounts)
    clock.advance(RULES.longest)
    sign_in(accounts)
    with database.reading() as session:
        assert len(session.scalars(select(UserSession)).all()) == 1


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "字" * 43, "x" * 5000, "' OR 1=1 --"])
def test_a_made_up_token_opens_nothing(accounts: Accounts, operator: str, token: str) -> None:
    sign_in(accounts)
    assert accounts.session(token) is None
    accounts.sign_out(token)


def test_a_disabled_account_is_out_at_once_and_can_come_back(
    accounts: Accounts, people: People, operator: str
) -> None:
    token = sign_in(accounts)
    people.disable(people.named(operator).id, by="test")
    people.disable(people.named(operator).id, by="test")
    assert accounts.session(token) is None and only(people)[0] == "disabled"
    assert not accounts.exist()
    people.enable(people.named(operator).id, by="test")
    assert accounts.session(token) is None
    assert accounts.session(sign_in(accounts)) is not None


# Passwords


def test_a_new_password_ends_all_sessions_but_a_new_one(accounts: Accounts, operator: str) -> None:
    here, there = sign_in(accounts), sign_in(accounts)
    fresh = accounts.change_password(here, OWN, OTHER, address=HERE)
    assert accounts.session(here) is None and accounts.session(there) is None
    account = accounts.session(fresh)
    assert account is not None and not account.password_due
    with pytest.raises(SignInRefused):
        sign_in(accounts, OWN)
    assert sign_in(accounts, OTHER)


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("wrong", OTHER, "old"),
        (OWN, OWN, "new"),
        (OWN, "short", "new"),
        (OWN, "Wang.Wu-47-flies", "new"),
        (OWN, "Password1234!", "new"),
    ],
)
def test_a_password_that_will_not_do_changes_nothing(
    accounts: Accounts, operator: str, old: str, new: str, wrong: str
) -> None:
    token = sign_in(accounts)
    with pytest.raises(InvalidRequest) as caught:
        accounts.change_password(token, old, new, address=HERE)
    assert set(caught.value.fields) == {wrong}
    assert accounts.session(token) is not None
    assert sign_in(accounts, OWN)


def test_the_old_password_cannot_be_guessed_from_an_open_session(
    accounts: Accounts, people: People, operator: str
) -> None:
    token = sign_in(accounts)
    for _ in range(TRIES):
        with pytest.raises(InvalidRequest):
            accounts.change_password(token, "wrong", OTHER, address=HERE)
    with pytest.raises(SignInRefused):
        accounts.change_password(token, OWN, OTHER, address=HERE)
    assert accounts.session(token) is None and only(people)[0] == "locked"


def test_a_password_is_due_after_ninety_days(
    accounts: Accounts, people: People, operator: str, clock: Clock
) -> None:
    clock.advance(RULES.password - timedelta(seconds=1))
    assert only(people) == ("active", False)
    clock.advance(timedelta(seconds=1))
    assert only(people) == ("active", True)
    token = accounts.change_password(sign_in(accounts), OWN, OTHER, address=HERE)
    assert accounts.session(token) is not None and only(people) == ("active", False)


def test_no_password_is_ever_due_by_age_where_that_is_switched_off(
    database: Database, accounts: Accounts, operator: str, clock: Clock
) -> None:
    rules = Rules(password=timedelta(0))
    lenient = make(database, clock, rules=rules)
    clock.advance(timedelta(days=3650))
    assert only(People(database, lenient, clock)) == ("active", False)


def test_an_administrator_gives_a_new_password(
    accounts: Accounts, people: People, operator: str
) -> None:
    token = sign_in(accounts)
    fail(accounts, TRIES - 1)
    first = people.reset_password(people.named("Wang.Wu").id, by="test")
    assert accounts.session(token) is None and only(people) == ("active", True)
    with pytest.raises(SignInRefused):
        sign_in(accounts, OWN)
    assert sign_in(accounts, first)


def test_a_hash_of_an_older_cost_is_renewed_at_sign_in(
    database: Database, accounts: Accounts, operator: str, clock: Clock
) -> None:
    hasher = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    dearer = Passwords(hasher)
    sign_in(make(database, clock, hasher=hasher))
    with database.reading() as session:
        stored = session.scalars(select(User.password_hash)).one()
    assert not dearer.outdated(stored) and dearer.matches(stored, OWN)


# The audit


def test_everything_is_on_record_with_who_and_where(
    accounts: Accounts, people: People, database: Database, operator: str
) -> None:
    sign_in(accounts)
    fail(accounts, TRIES)
    people.unlock(people.named(operator).id, by="root")
    accounts.sign_out(sign_in(accounts))
    people.reset_password(people.named(operator).id, by="root")
    people.disable(people.named(operator).id, by="root")
    people.enable(people.named(operator).id, by="root")
    rows = audited(database)[4:]
    assert [(row.actor, row.action) for row in rows] == [
        ("wang.wu", "sign_in"),
        *[("anonymous", "sign_in.failed")] * TRIES,
        ("anonymous", "account.lock"),
        ("root", "account.unlock"),
        ("wang.wu", "sign_in"),
        ("wang.wu", "sign_out"),
        ("root", "account.password_reset"),
        ("root", "account.disable"),
        ("root", "account.enable"),
    ]
    assert {row.subject for row in rows} == {"account:1"}
    assert rows[0].detail == {"address": HERE}
    assert actions(database)[:4] == ["account.add", "sign_in", "password_change", "sign_out"]


def test_a_password_typed_as_a_name_is_not_kept(
    accounts: Accounts, database: Database, operator: str
) -> None:
    fail(accounts, 1, OTHER)
    last = audited(database)[-1]
    assert (last.action, last.subject) == ("sign_in.failed", "account:unknown")
    assert not any(OTHER.casefold() in str(vars(row)).casefold() for row in audited(database))
