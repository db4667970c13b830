"""Who may do what, where: one table of actions and roles; hides reach by department and region.

A role reaches as far as its cell of the table says, and never beyond the region of the account.
"""

from collections.abc import Mapping
from enum import IntEnum

from kb.regions import depth, nested
from service.accounts import ROLES, Account
from service.errors import Forbidden


class Reach(IntEnum):
    """How far a right goes; a farther reach includes the nearer ones."""

    NOTHING = 0
    # What belongs to the own department, within the own region; for an account without a
    # department everything within its region.
    OWN = 1
    # What belongs to any department, within the own region.
    REGION = 2
    # Regardless of department and region: for looking, and for what has neither.
    ALL = 3


_CELLS = {"-": Reach.NOTHING, "own": Reach.OWN, "region": Reach.REGION, "all": Reach.ALL}

# That nobody approves what they wrote themselves is held by the database; see `kb.versions`.
_TABLE = """
                   admin    editor   reviewer operator auditor
entry.read         all      own      all      -        all
entry.write        region   own      -        -        -
entry.submit       region   own      -        -        -
entry.review       region   -        own      -        -
entry.withdraw     region   -        own      -        -
document.read      all      own      all      -        all
document.write     region   own      -        -        -
document.review    region   -        own      -        -
import             region   own      -        -        -
gap.read           all      own      all      -        all
gap.assign         region   -        own      -        -
figures.read       all      all      all      -        all
lab.use            all      all      all      -        all
golden.write       all      all      all      -        -
audit.read         all      -        -        -        all
people.manage      region   -        -        -        -
settings.change    region   -        -        -        -
synonyms.write     region   -        -        -        -
desk.use           all      -        -        all      -
"""


def _read(table: str) -> dict[str, Mapping[str, Reach]]:
    head, *lines = table.strip().splitlines()
    roles = head.split()
    rows = (line.split() for line in lines)
    return {
        action: {role: _CELLS[cell] for role, cell in zip(roles, cells, strict=True)}
        for action, *cells in rows
    }


# Action → role → how far it goes.
RIGHTS = _read(_TABLE)


def roles_for(action: str) -> tuple[str, ...]:
    """The roles that may do this to something at all: whom its pages are for.

    Raises:
        KeyError: no such action.
    """
    return tuple(role for role in ROLES if RIGHTS[action][role])


def opens(account: Account, action: str) -> bool:
    """Whether an account may do this to something at all: what its navigation shows.

    Raises:
        KeyError: no such action.
    """
    return RIGHTS[action][account.role] > Reach.NOTHING


def may(account: Account, action: str, *, department: str = "", region: str | None = None) -> bool:
    """Whether an account may do this to an object.

    Args:
        department: the one that the object belongs to, by name; empty for none.
        region: where the object applies, by its six-digit code; None for the whole country,
            and for what concerns the whole service, such as its settings.

    Raises:
        KeyError: no such action.
    """
    reach = RIGHTS[action][account.role]
    if reach in (Reach.NOTHING, Reach.ALL):
        return reach == Reach.ALL
    at_home = reach == Reach.REGION or account.department in ("", department)
    return at_home and within(region, account.region_code)


def demand(
    account: Account, action: str, *, department: str = "", region: str | None = None
) -> None:
    """Refuse unless `may`.

    Raises:
        Forbidden: it is not for this account; it does not tell what the object is.
        KeyError: no such action.
    """
    if not may(account, action, department=department, region=region):
        raise Forbidden("您的账号没有这项权限，或者它不在您负责的单位和地区之内")


def within(inner: str | None, outer: str | None) -> bool:
    """Whether a division is another one or lies in it; None is the whole country."""
    return nested(inner, outer) and depth(inner) >= depth(outer)


def covers(account: Account, role: str, region: str | None) -> bool:
    """Whether an account has every right of a role and its region: it may then give them.

    Raises:
        KeyError: no such role.
    """
    rights = all(row[role] <= row[account.role] for row in RIGHTS.values())
    return rights and within(region, account.region_code)
