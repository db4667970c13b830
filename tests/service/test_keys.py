"""Keys of other systems: made once, known by their hash alone, ended at once."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from kb.db import Database
from kb.errors import Conflict, NotFound
from service.errors import InvalidKey, InvalidRequest, ScopeMissing, TooManyRequests
from service.keys import MARK, PREFIX, Keys
from service.limits import Limits
from service.models import ApiKey
from tests.factories import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(database: Database, clock: Clock) -> Keys:
    return Keys(database, Limits(), clock)


def test_a_key_opens_what_it_was_made_for_and_nothing_else(keys: Keys) -> None:
    key = keys.add("热线平台", ["search", "ask"], per_minute=60)
    system = keys.holder(key)
    assert (system.name, system.scopes, system.per_minute) == ("热线平台", {"ask", "search"}, 60)
    keys.use(system, "ask")
    with pytest.raises(ScopeMissing, match="read"):
        keys.use(system, "read")


def test_only_a_hash_is_stored(keys: Keys, database: Database) -> None:
    key = keys.add("热线平台", ["ask"], per_minute=60)
    assert key.startswith(MARK) and len(key) >= 47
    with database.reading() as session:
        row = session.scalars(select(ApiKey)).one()
        stored = " ".join(
            str(value) for value in session.execute(text("SELECT * FROM api_key")).one()
        )
    assert key not in stored and key[PREFIX:] not in stored and row.prefix == key[:PREFIX]


def test_keys_differ(keys: Keys) -> None:
    assert len({keys.add(f"系统{n}", ["ask"], per_minute=1) for n in range(5)}) == 5


@pytest.mark.parametrize("wrong", ["", "pqa_", "pqa_x", "令牌", "\ud800", "x" * 10_000])
def test_what_is_no_key_opens_nothing(keys: Keys, wrong: str) -> None:
    keys.add("热线平台", ["ask"], per_minute=60)
    with pytest.raises(InvalidKey):
        keys.holder(wrong)


def test_a_revoked_key_opens_nothing_from_then_on(keys: Keys, clock: Clock) -> None:
    key = keys.add("热线平台", ["ask"], per_minute=60)
    keys.revoke("热线平台")
    ended = clock.at
    clock.advance(timedelta(hours=1))
    keys.revoke("热线平台")
    with pytest.raises(InvalidKey):
        keys.holder(key)
    [system] = keys.all()
    assert system.revoked_at == ended
    with pytest.raises(NotFound):
        keys.revoke("没有的系统")


def test_a_name_is_given_once_even_after_it_was_revoked(keys: Keys) -> None:
    keys.add("热线平台", ["ask"], per_minute=60)
    keys.revoke("热线平台")
    with pytest.raises(Conflict, match="热线平台"):
        keys.add("热线平台", ["ask"], per_minute=60)


@pytest.mark.parametrize(
    ("name", "scopes", "per_minute", "field"),
    [
        ("", ["ask"], 60, "name"),
        ("两 个", ["ask"], 60, "name"),
        ("<b>", ["ask"], 60, "name"),
        ("名" * 65, ["ask"], 60, "name"),
        ("平台", [], 60, "scope"),
        ("平台", ["write"], 60, "scope"),
        ("平台", ["ask"], 0, "per_minute"),
    ],
)
def test_a_key_that_does_not_hold_is_not_made(
    keys: Keys, name: str, scopes: list[str], per_minute: int, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        keys.add(name, scopes, per_minute=per_minute)
    assert list(refused.value.fields) == [field] and keys.all() == []


def test_each_key_has_its_own_limit(keys: Keys) -> None:
    one = keys.holder(keys.add("甲", ["ask"], per_minute=2))
    other = keys.holder(keys.add("乙", ["ask"], per_minute=2))
    keys.use(one, "ask")
    keys.use(one, "ask")
    with pytest.raises(TooManyRequests, match="2 次") as refused:
        keys.use(one, "ask")
    assert 1 <= refused.value.retry_after <= 60
    keys.use(other, "ask")


def test_the_last_use_is_written_at_most_once_a_minute(keys: Keys, clock: Clock) -> None:
    key = keys.add("热线平台", ["ask"], per_minute=60)

    def used() -> datetime | None:
        keys.use(keys.holder(key), "ask")
        return keys.all()[0].used_at

    assert keys.all()[0].used_at is None
    first = clock.at
    assert used() == first
    clock.advance(timedelta(seconds=59))
    assert used() == first
    clock.advance(timedelta(seconds=1))
    assert used() == clock.at


def test_a_failure_to_note_the_use_stops_nobody(
    keys: Keys, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    system = keys.holder(keys.add("热线平台", ["ask"], per_minute=60))
    with database.transaction() as session:
        session.execute(text("ALTER TABLE api_key RENAME TO elsewhere"))
    keys.use(system, "ask")
    assert "noting the use of a key failed" in caplog.text
