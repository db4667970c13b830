"""What must hold before a step of a version is taken; hides how a refusal is worded.

All of it is to be asked inside of the transaction that takes the step, under the writer's lock.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kb import clock
from kb.errors import Conflict, NotFound
from kb.models import Entry, EntryVersion, State, Status
from kb.releases import OPEN

# What people call the states.
CALLED = {
    State.DRAFT: "草稿",
    State.DISCARDED: "已作废",
    State.SUBMITTED: "待审",
    State.RETURNED: "已退回",
    State.APPROVED: "已通过、待发布",
    State.PUBLISHED: "已发布",
    State.IN_REVIEW: "待复核",
    State.EXPIRED: "已失效",
    State.REPEALED: "依据已废止",
    State.REVISED: "已修订",
    State.WITHDRAWN: "已撤回",
}


def get_version(session: Session, version_id: int) -> EntryVersion:
    """A version by its id, else `NotFound`."""
    version = session.get(EntryVersion, version_id)
    if version is None:
        raise NotFound(f"没有编号为 {version_id} 的版本")
    return version


def get_public(session: Session, entry_id: int) -> Entry:
    """An entry that is public, else `NotFound` or `Conflict`."""
    entry = session.get(Entry, entry_id)
    if entry is None:
        raise NotFound(f"没有编号为 {entry_id} 的问答条目")
    if entry.status is not Status.PUBLISHED:
        raise Conflict("这条问答没有公开，不用撤回或复核")
    return entry


def vouched_version(session: Session, entry: Entry) -> EntryVersion:
    """The version that the rows of an entry show."""
    return session.scalars(
        select(EntryVersion).where(
            EntryVersion.entry_id == entry.id, EntryVersion.number == entry.version
        )
    ).one()


def expect(version: EntryVersion, *states: State) -> None:
    """Refuse a version that is in none of some states, and say who brought it where it is."""
    if version.state not in states:
        who = version.reviewer if version.state not in OPEN and version.reviewer else version.author
        raise Conflict(
            f"第 {version.number} 版现在是“{CALLED[version.state]}”（{who}），不能这样操作"
        )


def expect_unchanged(version: EntryVersion, seen: int) -> None:
    """Refuse to write over what was saved after its `edits` were `seen`."""
    if version.edits != seen:
        raise Conflict(
            f"{version.author} 已于{in_words(version.saved_at)}保存过这份草稿，"
            "请对照后再保存，您写的内容没有覆盖它"
        )


def expect_base(session: Session, entry: Entry, based_on: int | None) -> None:
    """Refuse to go on from a version that is no longer the public one."""
    if entry.status is Status.PUBLISHED and based_on != entry.version:
        shown = vouched_version(session, entry)
        when = in_words(shown.public_from or shown.saved_at)
        raise Conflict(f"{shown.author} 写的第 {shown.number} 版已于{when}发布，请以它为准重新修改")


def expect_another(version: EntryVersion, actor: str) -> None:
    """Refuse a reviewer who wrote on the version; the database does so as well."""
    if f"|{actor}|" in version.contributors:
        raise Conflict("自己写的内容须由别人审核")


def in_words(instant: datetime) -> str:
    """An instant of the past weeks as people say it: 11月24日15:40."""
    there = instant.astimezone(clock.CHINA)
    return f"{there.month}月{there.day}日{there:%H:%M}"
