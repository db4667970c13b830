"""Passwords: what is refused and why, what one-time ones are like, what is stored."""

import pytest
from argon2 import PasswordHasher

from service.passwords import MOST, Passwords, one_time, weakness

GOOD = "Kite-flies-47-high"


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "太短"),
        ("Kite-47xy", "太短"),
        ("Kite-" * 26, "太长"),
        ("kitefliesveryhigh", "至少要有三种"),
        ("kiteflies4711", "至少要有三种"),
        ("蓝天白云今天风筝飞得很高", "至少要有三种"),
        ("Kite-Flies\x00-47", "看不见"),
        ("Zhang.San-2047x", "用户名"),
        ("x7402-NaS.GNAHz", "用户名"),
        ("ｚｈａｎｇ.ｓａｎ-K2047", "用户名"),
        ("Passw0rd2026!", "太常见"),
        ("P@ssw0rd2026!", "太常见"),
        ("Admin@123456", "太常见"),
        ("1qaz@WSX3edc", "太常见"),
        ("Qwerty123456!", "太常见"),
        ("Woaini5201314!", "太常见"),
        ("Zhengwu12345!", "太常见"),
        ("Aaaaaaaaaa1!", "太常见"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password: str, why: str) -> None:
    assert why in weakness(password, name="zhang.san")


@pytest.mark.parametrize(
    "password", [GOOD, "Qingdao Bay 7 o'clock", "Xk7mPq2rWn", "风筝-Kite-47飞"]
)
def test_a_good_password_is_taken(password: str) -> None:
    assert weakness(password, name="zhang.san") == ""


def test_one_time_passwords_hold_the_rules_and_differ() -> None:
    made = {one_time(name="zhang.san") for _ in range(50)}
    assert len(made) == 50
    assert not any(weakness(each, name="zhang.san") for each in made)
    assert not set("".join(made)) & set("0Oo1lI")


def test_only_the_password_itself_matches_what_is_stored(passwords: Passwords) -> None:
    stored = passwords.hash(GOOD)
    assert stored.startswith("$argon2id$") and GOOD not in stored
    assert stored != passwords.hash(GOOD)
    assert passwords.matches(stored, GOOD)
    assert not passwords.matches(stored, GOOD.lower())
    assert not passwords.matches(stored, "")
    assert not passwords.matches("damaged", GOOD)


def test_full_width_letters_of_an_input_method_mean_the_same(passwords: Passwords) -> None:
    assert passwords.matches(passwords.hash(GOOD), "Ｋｉｔｅ－ｆｌｉｅｓ－４７－ｈｉｇｈ")


def test_nothing_matches_where_there_is_no_account(passwords: Passwords) -> None:
    assert not passwords.matches(None, GOOD)
    assert not passwords.matches(None, "")


def test_what_is_too_long_is_not_cut_to_fit(passwords: Passwords) -> None:
    stored = passwords.hash("")
    assert not passwords.matches(stored, "x" * (MOST + 1))


class Counting(PasswordHasher):
    """Counts how often it does the slow work, and against which parameters."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.costs: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
        self.costs.append(str(hash).rpartition("$")[0].rpartition("$")[0])
        return super().verify(hash, password)


def test_an_unknown_name_costs_the_same_work_as_a_known_one() -> None:
    hasher = Counting()
    passwords = Passwords(hasher)
    passwords.matches(passwords.hash(GOOD), "wrong")
    passwords.matches(None, "wrong")
    passwords.matches(None, "x" * (MOST + 1))
    assert len(hasher.costs) == 3 and len(set(hasher.costs)) == 1


def test_a_hash_of_another_cost_is_outdated(passwords: Passwords) -> None:
    stored = passwords.hash(GOOD)
    assert not passwords.outdated(stored)
    assert Passwords(PasswordHasher(time_cost=2, memory_cost=8)).outdated(stored)
