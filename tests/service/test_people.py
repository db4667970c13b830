"""Accounts as administrators look after them: reach, escalation, the last one, stale forms."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import select

from kb.db import Database
from kb.errors import Conflict, NotFound
from kb.models import Audit
from service.accounts import Account, Accounts
from service.errors import Forbidden, InvalidRequest
from service.people import People, Profile, Wanted
from tests.factories import Clock
from tests.service.test_accounts import HERE, make

CITY, COUNTY, OTHER_CITY = "370200", "370283", "370100"


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return make(database, Clock())


@pytest.fixture
def people(database: Database, accounts: Accounts) -> People:
    return People(database, accounts, Clock())


def person(people: People, name: str, role: str, region: str | None = None) -> Account:
    people.add(Profile(name, role, department="甲局", region_code=region), by="test")
    return people.named(name)


def profile(account: Account, **changes: str | None) -> Profile:
    same = Profile(
        account.name,
        account.role,
        display_name=account.display_name,
        department=account.department,
        region_code=account.region_code,
    )
    return replace(same, **changes)  # type: ignore[arg-type]


def last(database: Database) -> Audit:
    with database.reading() as session:
        return session.scalars(select(Audit).order_by(Audit.id.desc()).limit(1)).one()


def test_a_change_is_on_record_with_how_it_was_and_how_it_is(
    people: People, database: Database
) -> None:
    admin, editor = person(people, "boss", "admin"), person(people, "zhang.san", "editor", CITY)
    wanted = profile(editor, role="reviewer", region_code=COUNTY, department="乙局")
    changed = people.change(editor.id, wanted, by=admin, seen=editor.version)
    assert (changed.role, changed.department, changed.region_code) == ("reviewer", "乙局", COUNTY)
    row = last(database)
    assert (row.actor, row.action, row.subject) == (
        "boss", "account.change", f"account:{editor.id}"
    )  # fmt: skip
    assert row.detail["role"] == {"before": "editor", "after": "reviewer"}
    assert row.detail["region_code"] == {"before": CITY, "after": COUNTY}
    assert "display_name" not in row.detail


def test_of_two_changes_from_the_same_page_the_second_is_refused(people: People) -> None:
    editor = person(people, "zhang.san", "editor")
    people.change(editor.id, profile(editor, display_name="张三"), by="test", seen=editor.version)
    with pytest.raises(Conflict, match="别人改过"):
        people.change(editor.id, profile(editor, role="admin"), by="test", seen=editor.version)
    assert people.named("zhang.san").display_name == "张三"


def test_a_change_of_nothing_leaves_no_trace(people: People, database: Database) -> None:
    editor = person(people, "zhang.san", "editor")
    before = last(database).id
    same = people.change(editor.id, profile(editor), by="test", seen=editor.version)
    assert same == editor and last(database).id == before


@pytest.mark.parametrize("role", ["editor", "reviewer", "operator", "auditor"])
def test_only_administrators_look_after_people(people: People, role: str) -> None:
    me, other = person(people, "me", role), person(people, "other", "editor")
    for attempt in (
        lambda: people.all(by=me),
        lambda: people.one(other.id, by=me),
        lambda: people.add(Profile("new.one", "editor"), by=me),
        lambda: people.change(me.id, profile(me, role="admin"), by=me, seen=me.version),
        lambda: people.disable(other.id, by=me),
        lambda: people.enable(other.id, by=me),
        lambda: people.unlock(other.id, by=me),
        lambda: people.reset_password(other.id, by=me),
        lambda: people.reset_factor(other.id, by=me),
        lambda: people.end_sessions(other.id, by=me),
    ):
        with pytest.raises(Forbidden):
            attempt()
    assert people.named("me") == me


def test_a_regional_administrator_stays_within_the_region(people: People) -> None:
    person(people, "boss", "admin")
    local = person(people, "local", "admin", CITY)
    inside, outside = person(people, "in", "editor", COUNTY), person(people, "out", "admin")
    assert {each.name for each in people.all(by=local)} == {"in", "local"}
    for attempt in (
        people.disable,
        people.reset_password,
        people.reset_factor,
        people.end_sessions,
    ):
        with pytest.raises(NotFound):
            attempt(outside.id, by=local)
    for region in (None, "370000", OTHER_CITY):
        with pytest.raises(InvalidRequest):
            people.add(Profile("new.one", "editor", region_code=region), by=local)
        wider = profile(inside, region_code=region)
        with pytest.raises(InvalidRequest):
            people.change(inside.id, wider, by=local, seen=inside.version)
    people.add(Profile("new.one", "admin", region_code=COUNTY), by=local)


def test_nobody_is_without_an_administrator(people: People) -> None:
    boss, local = person(people, "boss", "admin"), person(people, "local", "admin", CITY)
    for wanted in (profile(boss, role="editor"), profile(boss, region_code=CITY)):
        with pytest.raises(Conflict, match="管理全部地区的管理员"):
            people.change(boss.id, wanted, by="test", seen=boss.version)
    with pytest.raises(Conflict):
        people.disable(boss.id, by="command-line")
    people.disable(local.id, by=boss)
    second = person(people, "second", "admin")
    people.disable(boss.id, by=second)
    with pytest.raises(Conflict, match="最后一位管理员"):
        people.disable(second.id, by="command-line")


def test_nobody_disables_themselves(people: People) -> None:
    boss = person(people, "boss", "admin")
    person(people, "second", "admin")
    with pytest.raises(Conflict, match="自己"):
        people.disable(boss.id, by=boss)


def test_two_administrators_who_disable_each_other_do_not_both_succeed(people: People) -> None:
    pair = person(people, "first", "admin"), person(people, "second", "admin")
    refused: list[Exception] = []

    def disable(by: Account, other: Account) -> None:
        try:
            people.disable(other.id, by=by)
        except Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=disable, args=each) for each in (pair, pair[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert sorted(each.state for each in people.all()) == ["active", "disabled"]


def test_people_are_found_by_what_one_knows_of_them(people: People) -> None:
    person(people, "zhang.san", "editor")
    people.add(Profile("li.si", "operator", display_name="李四", department="热线"), by="test")
    people.disable(people.named("zhang.san").id, by="test")

    def found(**wanted: str) -> list[str]:
        return [each.name for each in people.all(Wanted(**wanted))]

    assert found() == ["li.si", "zhang.san"]
    assert found(text="李") == found(text="LI.") == found(role="operator") == ["li.si"]
    assert found(state="disabled") == found(department="甲局") == ["zhang.san"]
    assert found(text="%") == found(text="李", role="editor") == []


def test_signing_somebody_out_everywhere(people: People, accounts: Accounts) -> None:
    first = people.add(Profile("zhang.san", "editor"), by="test")
    token = accounts.sign_in("zhang.san", first, address=HERE)
    assert people.end_sessions(people.named("zhang.san").id, by="test") == 1
    assert accounts.session(token) is None
