"""The second factor: the vectors of RFC 6238, replay, clocks, recovery codes."""

from __future__ import annotations

import base64
import contextlib
import threading
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from sqlalchemy import select

from kb.db import Database
from kb.models import Audit
from service.accounts import LOCKED_FOR, TRIES, Accounts
from service.errors import InvalidRequest, SignInRefused
from service.models import RecoveryCode, SecondFactor, User
from service.people import People, Profile
from service.sealing import Sealer
from service.second_factor import RECOVERY_CODES, SecondFactors
from service.sessions import SECOND_STEP, Rules
from tests.factories import Clock
from tests.service.test_accounts import HERE, OWN, make

# RFC 6238, appendix B, SHA-1: seconds since 1970 → the last six of the eight digits printed.
SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}
STEP = timedelta(seconds=30)
OTHER = "Boat-sails-58-deep"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(database: Database, clock: Clock) -> Accounts:
    return make(database, clock)


@pytest.fixture
def people(database: Database, accounts: Accounts, clock: Clock) -> People:
    return People(database, accounts, clock)


@pytest.fixture
def token(accounts: Accounts, people: People) -> str:
    """A session of an administrator who has chosen a password."""
    first = people.add(Profile("zhang.san", "admin"), by="test")
    token = accounts.sign_in("zhang.san", first, address=HERE)
    return accounts.change_password(token, first, OWN, address=HERE)


class Device:
    """What a phone does with the key that it was given."""

    def __init__(self, key: str, clock: Clock) -> None:
        self._totp = pyotp.TOTP(key.replace(" ", ""))
        self._clock = clock

    def code(self, *, off: timedelta = timedelta()) -> str:
        return self._totp.at(self._clock() + off)


@pytest.fixture
def device(accounts: Accounts, token: str, clock: Clock) -> Device:
    """In use; its first code is spent."""
    device = enrolled(accounts, token, clock)
    accounts.confirm_factor(token, device.code())
    clock.advance(STEP)
    return device


def enrolled(accounts: Accounts, token: str, clock: Clock) -> Device:
    accounts.begin_factor(token, OWN, address=HERE)
    account = accounts.session(token)
    assert account is not None
    enrolment = accounts.enrolment(account)
    assert enrolment is not None
    return Device(enrolment.key, clock)


def first_step(accounts: Accounts) -> str:
    return accounts.sign_in("zhang.san", OWN, address=HERE)


def actions(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Audit.action).order_by(Audit.id)))


def test_the_codes_are_those_of_rfc_6238(database: Database, token: str) -> None:
    sealer = Sealer("x" * 32)
    with database.transaction() as session:
        user = session.scalars(select(User.id)).one()
        session.add(
            SecondFactor(
                user_id=user,
                secret=sealer.seal(SECRET),
                confirmed_at=datetime(2026, 1, 1, tzinfo=UTC),
                last_step=0,
            )
        )
    for seconds, code in VECTORS.items():
        moment = datetime.fromtimestamp(seconds, UTC)
        factors = SecondFactors(sealer, lambda moment=moment: moment)  # type: ignore[misc]
        with database.transaction() as session:
            assert factors.accepts(session, user, code) == "totp", seconds
            assert factors.accepts(session, user, code) == "", "used twice"


def test_signing_in_takes_two_steps(accounts: Accounts, token: str, device: Device) -> None:
    pending = first_step(accounts)
    assert accounts.session(pending) is None and accounts.awaits_code(pending)
    opened = accounts.second_step(pending, device.code(), address=HERE)
    account = accounts.session(opened)
    assert account is not None and account.second_factor
    assert opened != pending and not accounts.awaits_code(pending)
    assert accounts.session(pending) is None


def test_a_half_open_session_does_nothing(accounts: Accounts, token: str, device: Device) -> None:
    pending = first_step(accounts)
    for attempt in (
        lambda: accounts.change_password(pending, OWN, OTHER, address=HERE),
        lambda: accounts.begin_factor(pending, OWN, address=HERE),
        lambda: accounts.remove_factor(pending, OWN, address=HERE),
        lambda: accounts.renew_recovery(pending, OWN, address=HERE),
        lambda: accounts.end_sessions(pending),
        lambda: accounts.confirm_factor(pending, device.code()),
    ):
        with pytest.raises(SignInRefused):
            attempt()
    assert accounts.open_sessions(pending) == []
    assert len(accounts.open_sessions(token)) == 1


def test_a_code_is_taken_once(accounts: Accounts, token: str, device: Device) -> None:
    code = device.code()
    accounts.second_step(first_step(accounts), code, address=HERE)
    with pytest.raises(InvalidRequest):
        accounts.second_step(first_step(accounts), code, address=HERE)


def test_of_two_at_the_same_moment_one_gets_in(
    accounts: Accounts, token: str, device: Device
) -> None:
    pending, code = [first_step(accounts), first_step(accounts)], device.code()
    let_in: list[str] = []

    def enter(half: str) -> None:
        with contextlib.suppress(InvalidRequest):
            let_in.append(accounts.second_step(half, code, address=HERE))

    threads = [threading.Thread(target=enter, args=(half,)) for half in pending]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == 1


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_a_clock_may_be_off_by_one_step(
    accounts: Accounts, token: str, device: Device, clock: Clock, *, steps: int, taken: bool
) -> None:
    clock.advance(4 * STEP)
    code, half = device.code(off=steps * STEP), first_step(accounts)
    if taken:
        accounts.second_step(half, code, address=HERE)
    else:
        with pytest.raises(InvalidRequest):
            accounts.second_step(half, code, address=HERE)


def test_no_code_before_one_that_was_used(accounts: Accounts, token: str, device: Device) -> None:
    before, now = device.code(off=STEP), device.code()
    accounts.second_step(first_step(accounts), before, address=HERE)
    with pytest.raises(InvalidRequest):
        accounts.second_step(first_step(accounts), now, address=HERE)


def test_guessing_codes_locks_although_the_password_is_right_each_time(
    accounts: Accounts, token: str, device: Device, clock: Clock
) -> None:
    for _ in range(TRIES):
        with pytest.raises(InvalidRequest):
            accounts.second_step(first_step(accounts), "000000", address=HERE)
    with pytest.raises(SignInRefused):
        first_step(accounts)
    clock.advance(LOCKED_FOR)
    accounts.second_step(first_step(accounts), device.code(), address=HERE)


def test_a_lock_ends_the_half_open_sessions_too(
    accounts: Accounts, token: str, device: Device
) -> None:
    half = first_step(accounts)
    for _ in range(TRIES):
        with pytest.raises(InvalidRequest):
            accounts.second_step(half, "000000", address=HERE)
    with pytest.raises(SignInRefused):
        accounts.second_step(half, device.code(), address=HERE)


def test_the_second_step_must_follow_soon(
    accounts: Accounts, token: str, device: Device, clock: Clock
) -> None:
    half = first_step(accounts)
    clock.advance(SECOND_STEP)
    assert not accounts.awaits_code(half)
    with pytest.raises(SignInRefused):
        accounts.second_step(half, device.code(), address=HERE)


@pytest.mark.parametrize(
    "typed", ["{0} {1}", "{0}-{1}", " {0}{1}\n", "\uff10"], ids=["space", "dash", "blank", "wide"]
)
def test_codes_are_taken_as_people_type_them(
    accounts: Accounts, token: str, device: Device, typed: str
) -> None:
    code = device.code()
    if typed == "\uff10":
        shown = "".join(chr(ord(digit) - ord("0") + 0xFF10) for digit in code)
    else:
        shown = typed.format(code[:3], code[3:])
    accounts.second_step(first_step(accounts), shown, address=HERE)


def test_recovery_codes_open_once_and_are_not_in_the_base(
    accounts: Accounts, database: Database, token: str, clock: Clock
) -> None:
    codes = accounts.confirm_factor(token, enrolled(accounts, token, clock).code())
    assert len(set(codes)) == RECOVERY_CODES
    with database.reading() as session:
        kept = set(session.scalars(select(RecoveryCode.digest)))
        secret = session.scalars(select(SecondFactor.secret)).one()
    assert not kept & {code.replace("-", "") for code in codes}
    assert not any(part in secret for part in codes)
    accounts.second_step(first_step(accounts), codes[0].upper().replace("-", " "), address=HERE)
    with pytest.raises(InvalidRequest):
        accounts.second_step(first_step(accounts), codes[0], address=HERE)
    account = accounts.session(token)
    assert account is not None and accounts.recovery_left(account) == RECOVERY_CODES - 1
    fresh = accounts.renew_recovery(token, OWN, address=HERE)
    with pytest.raises(InvalidRequest):
        accounts.second_step(first_step(accounts), codes[1], address=HERE)
    accounts.second_step(first_step(accounts), fresh[0], address=HERE)


def test_a_recovery_code_of_somebody_else_is_worthless(
    accounts: Accounts, people: People, token: str, device: Device, clock: Clock
) -> None:
    first = people.add(Profile("li.si", "editor"), by="test")
    other = accounts.sign_in("li.si", first, address=HERE)
    other = accounts.change_password(other, first, OWN, address=HERE)
    codes = accounts.confirm_factor(other, enrolled(accounts, other, clock).code())
    with pytest.raises(InvalidRequest):
        accounts.second_step(first_step(accounts), codes[0], address=HERE)


def test_it_counts_only_once_the_device_has_shown_a_code(
    accounts: Accounts, token: str, clock: Clock
) -> None:
    device = enrolled(accounts, token, clock)
    assert accounts.session(first_step(accounts)) is not None
    with pytest.raises(InvalidRequest):
        accounts.confirm_factor(token, "000000")
    assert accounts.confirm_factor(token, device.code())
    assert accounts.session(first_step(accounts)) is None


def test_putting_a_device_to_use_ends_the_other_sessions(
    accounts: Accounts, token: str, clock: Clock
) -> None:
    elsewhere = first_step(accounts)
    accounts.confirm_factor(token, enrolled(accounts, token, clock).code())
    assert accounts.session(elsewhere) is None and accounts.session(token) is not None


def test_a_found_browser_cannot_set_up_or_remove_a_device(
    accounts: Accounts, token: str, device: Device
) -> None:
    for attempt in (accounts.begin_factor, accounts.remove_factor, accounts.renew_recovery):
        with pytest.raises(InvalidRequest) as caught:
            attempt(token, "wrong", address=HERE)
        assert set(caught.value.fields) == {"password"}
    assert accounts.session(first_step(accounts)) is None


def test_an_active_device_is_not_replaced_by_beginning_again(
    accounts: Accounts, token: str, device: Device
) -> None:
    accounts.begin_factor(token, OWN, address=HERE)
    accounts.second_step(first_step(accounts), device.code(), address=HERE)


def test_whoever_lost_the_phone_is_let_in_again_by_an_administrator(
    accounts: Accounts, people: People, database: Database, token: str, device: Device
) -> None:
    people.reset_factor(people.named("zhang.san").id, by="command-line")
    assert accounts.session(token) is None
    assert accounts.session(first_step(accounts)) is not None
    assert actions(database)[-2:] == ["account.factor_reset", "sign_in"]


def test_administrators_must_have_one_where_that_is_set(
    accounts: Accounts, database: Database, token: str, clock: Clock
) -> None:
    strict = make(database, clock, rules=Rules(second_factor="admin"))
    account = strict.session(token)
    assert account is not None and account.factor_due
    strict.confirm_factor(token, enrolled(strict, token, clock).code())
    account = strict.session(token)
    assert account is not None and not account.factor_due
    with pytest.raises(InvalidRequest):
        strict.remove_factor(token, OWN, address=HERE)


def test_switched_off_nobody_is_asked(
    database: Database, accounts: Accounts, token: str, device: Device, clock: Clock
) -> None:
    off = make(database, clock, rules=Rules(second_factor="off"))
    account = off.session(first_step(off))
    assert account is not None and not account.second_factor and not account.factor_due


def test_a_secret_that_was_sealed_with_another_key_is_a_wrong_code(
    database: Database, accounts: Accounts, token: str, device: Device
) -> None:
    with database.transaction() as session:
        session.scalars(select(SecondFactor)).one().secret = Sealer("y" * 32).seal(SECRET)
    with pytest.raises(InvalidRequest):
        accounts.second_step(first_step(accounts), device.code(), address=HERE)
