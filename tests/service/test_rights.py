"""The table of rights: role by action by department by region, and nothing outside it."""

from __future__ import annotations

import itertools

import pytest

from service.accounts import ROLES, Account
from service.errors import Forbidden
from service.rights import RIGHTS, Reach, covers, demand, may, opens, roles_for, within

CITY, COUNTY, OTHER_CITY, PROVINCE = "370200", "370283", "370100", "370000"
PLACES = (None, PROVINCE, CITY, COUNTY, OTHER_CITY)
# Outer → what lies in it, itself included; written out rather than worked out.
INSIDE: dict[str | None, set[str | None]] = {
    None: set(PLACES),
    PROVINCE: {PROVINCE, CITY, COUNTY, OTHER_CITY},
    CITY: {CITY, COUNTY},
    COUNTY: {COUNTY},
    OTHER_CITY: {OTHER_CITY},
}


def account(role: str, department: str = "", region: str | None = None) -> Account:
    return Account(1, "a", "A", role, department, region)


@pytest.mark.parametrize("role", ROLES)
def test_every_cell_of_the_table_reaches_as_far_as_it_says(role: str) -> None:
    for action, row in RIGHTS.items():
        for own, home in itertools.product(("", "甲局"), PLACES):
            me = account(role, own, home)
            assert opens(me, action) == (row[role] > Reach.NOTHING)
            for department, region in itertools.product(("", "甲局", "乙局"), PLACES):
                near = region in INSIDE[home]
                expected = {
                    Reach.NOTHING: False,
                    Reach.OWN: near and own in ("", department),
                    Reach.REGION: near,
                    Reach.ALL: True,
                }[row[role]]
                given = may(me, action, department=department, region=region)
                assert given == expected, (action, own, home, department, region)


def test_who_does_what_at_a_glance() -> None:
    assert roles_for("entry.write") == ("admin", "editor")
    assert roles_for("entry.review") == ("admin", "reviewer")
    assert roles_for("people.manage") == ("admin",)
    assert roles_for("audit.read") == ("admin", "auditor")


def test_auditors_and_operators_change_nothing_of_the_base() -> None:
    looks = {"entry.read", "document.read", "gap.read", "figures.read", "lab.use", "audit.read"}
    assert {action for action, row in RIGHTS.items() if row["auditor"]} == looks
    assert {action for action, row in RIGHTS.items() if row["operator"]} == {"desk.use"}


def test_whoever_is_bound_to_a_region_does_not_touch_what_is_for_all() -> None:
    assert not may(account("admin", region=CITY), "settings.change")
    assert may(account("admin"), "settings.change")
    assert not may(account("editor", "甲局", CITY), "entry.write", department="甲局")


def test_demand_refuses_without_telling_what_there_is() -> None:
    demand(account("editor", "甲局"), "entry.write", department="甲局", region=CITY)
    with pytest.raises(Forbidden) as caught:
        demand(account("editor", "甲局"), "entry.write", department="秘密局", region=CITY)
    assert "秘密局" not in str(caught.value)


def test_an_unknown_action_is_a_mistake_of_the_program() -> None:
    with pytest.raises(KeyError):
        may(account("admin"), "entry.burn")


def test_nobody_gives_more_than_they_have() -> None:
    for giver, role in itertools.product(ROLES, ROLES):
        assert covers(account(giver), role, None) == (giver in ("admin", role)), (giver, role)
    assert covers(account("admin", region=CITY), "editor", COUNTY)
    for wider in (None, PROVINCE, OTHER_CITY):
        assert not covers(account("admin", region=CITY), "editor", wider)


def test_within_holds_for_every_pair() -> None:
    for inner, outer in itertools.product(PLACES, PLACES):
        assert within(inner, outer) == (inner in INSIDE[outer]), (inner, outer)
