"""What there is to do for whoever is signed in; hides whose entries each list is narrowed to."""

from datetime import timedelta
from typing import NamedTuple

from kb.errors import NotFound
from kb.history import Version, Wanted
from service.accounts import Account
from service.rights import RIGHTS, Reach, may
from service.web.runtime import runtime

# So many days ahead an entry is listed as due for review.
SOON = timedelta(days=30)
_NOBODYS = "没有这条问答"


class Work(NamedTuple):
    """A list of things to do, where it is and how long it is."""

    label: str
    address: str
    size: int


def reach(user: Account, action: str) -> tuple[str, str | None]:
    """Department and region that a list is narrowed to for somebody; empty and None for none."""
    how_far = RIGHTS[action][user.role]
    department = user.department if how_far == Reach.OWN else ""
    return department, None if how_far == Reach.ALL else user.region_code


def to_do(user: Account) -> list[Work]:
    """The lists of somebody's work, in the order in which they should be done."""
    lists = []
    if RIGHTS["entry.review"][user.role]:
        lists.append(("待我审核", "/admin/reviews", "to_review", "entry.review"))
    if RIGHTS["entry.write"][user.role]:
        lists.append(("我的草稿、送审和退回", "/admin/entries?kind=mine", "mine", "entry.read"))
    acting = next(
        (a for a in ("entry.write", "entry.review") if RIGHTS[a][user.role]), "entry.read"
    )
    lists += [
        ("依据有变", "/admin/entries?kind=flagged", "flagged", acting),
        ("快到期、该复核", "/admin/entries?kind=due", "due", acting),
        ("待发布", "/admin/entries?kind=scheduled", "scheduled", acting),
    ]
    return [
        Work(label, address, count(user, kind, action)) for label, address, kind, action in lists
    ]


def count(user: Account, kind: str, action: str) -> int:
    """How long a list is for somebody."""
    return runtime().history.work(wanted(user, kind, action), limit=1)[1]


def wanted(user: Account, kind: str, action: str) -> Wanted:
    """The whole of a list for somebody who may do the action."""
    department, region = reach(user, action)
    return Wanted(
        kind,
        department=department,
        region=region,
        actor=user.name,
        day=runtime().today() + SOON,
    )


def allowed(user: Account, action: str, version: Version) -> bool:
    """Whether somebody may do something to what a version belongs to."""
    record = version.record
    return may(user, action, department=record.department, region=record.region or None)


def version_of(user: Account, number: int) -> Version:
    """A version that somebody may read.

    Raises:
        NotFound: there is none, or it is not for them to see.
    """
    version = runtime().history.version(number)
    if not allowed(user, "entry.read", version):
        raise NotFound(f"没有编号为 {number} 的版本")
    return version


def entry_of(user: Account, number: int) -> list[Version]:
    """The versions of an entry that somebody may read: the public one first, then the latest.

    Raises:
        NotFound: there is none, or it is not for them to see.
    """
    history = runtime().history
    versions = history.versions(number)
    current = history.current(number)
    if current is not None:
        versions = [current, *(each for each in versions if each.id != current.id)]
    if not versions or not allowed(user, "entry.read", versions[0]):
        raise NotFound(_NOBODYS)
    return versions
