"""Settings that change while the service runs: typed, validated, audited, followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, event, select

from kb.db import Database
from kb.errors import Conflict
from kb.followed import EVERY, Followed
from kb.models import Audit
from service.errors import InvalidRequest
from service.models import Setting
from service.tunables import TUNABLES, Tuned
from service.tuning import Tuning

# A Thursday, 10:00 in China.
NOW = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)


def save(tuning: Tuning, values: dict[str, Any], *, comment: str = "试一试") -> list[str]:
    changes = tuning.fresh()[1]
    seen = max((each.version for each in changes.values()), default=0)
    return tuning.save(values, actor="甲", comment=comment, seen=seen)


def test_a_change_is_kept_audited_and_seen_by_every_process(database: Database) -> None:
    here, there = Tuning(database), Tuning(database)
    assert there.current().wrong_entries == 0.15
    assert save(here, here.read({"wrong_entries": ["5"]}), comment="投诉多") == ["wrong_entries"]
    assert here.current().wrong_entries == 0.05
    assert there.fresh()[0].wrong_entries == 0.05
    with database.reading() as session:
        row = session.scalars(select(Audit).where(Audit.action == "setting.change")).one()
    assert (row.actor, row.subject) == ("甲", "setting:wrong_entries")
    assert row.detail == {"value": {"before": "15%", "after": "5%"}, "comment": "投诉多"}


def test_the_default_of_the_installation_comes_back(database: Database) -> None:
    tuning = Tuning(database, Tuned(wrong_entries=0.2))
    save(tuning, {"wrong_entries": 0.1})
    assert save(tuning, {"wrong_entries": None}) == ["wrong_entries"]
    assert tuning.current().wrong_entries == 0.2
    assert tuning.fresh()[1]["wrong_entries"].default
    assert save(tuning, {"wrong_entries": 0.2}) == [], "nothing changed"


def test_nobody_overwrites_what_they_have_not_seen(database: Database) -> None:
    tuning = Tuning(database)
    tuning.save({"banner": "一"}, actor="甲", comment="通知", seen=0)
    with pytest.raises(Conflict):
        tuning.save({"banner": "二"}, actor="乙", comment="通知", seen=0)
    # Another section was not touched meanwhile.
    tuning.save({"greeting": "您好"}, actor="乙", comment="简短些", seen=0)
    assert tuning.current().banner == "一"


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("wrong_entries", "一半"),
        ("wrong_entries", "101"),
        ("wrong_entries", "nan"),
        ("banner", "<b>停机</b>"),
        ("banner", "长" * 201),
        ("banner_level", "loud"),
        ("banner_from", "明天"),
        ("open_from", "25:00"),
        ("greeting", ""),
        ("refusal", "不知道。"),  # says no longer whom to ask
        ("refusal", "{where}{where.__class__}"),
        ("refusal", "{where!r}"),
        ("refusal", "{where"),
        ("stopped_words", "{phone} {hours}"),
        ("steps", "magic"),
        ("stopped", "nowhere"),
    ],
)
def test_a_broken_value_is_refused(database: Database, name: str, typed: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Tuning(database).read({name: [typed]})
    assert list(refused.value.fields) == [name]


def test_a_change_needs_a_reason(database: Database) -> None:
    with pytest.raises(InvalidRequest):
        save(Tuning(database), {"wrong_entries": 0.1}, comment="  ")


def test_times_that_end_before_they_begin_are_refused(database: Database) -> None:
    form = {"open_days": ["working"], "open_from": ["18:00"], "open_until": ["09:00"]}
    with pytest.raises(InvalidRequest):
        Tuning(database).read(form)


def test_every_default_is_a_value_that_a_form_may_send() -> None:
    for each in TUNABLES.values():
        default = f"{each.default * 100:g}" if each.kind == "share" else each.default
        typed = list(default) if each.kind == "several" else [default]
        assert each.read(typed) == each.default, each.name


def test_reading_settings_asks_the_database_no_more_than_once_a_second(database: Database) -> None:
    clock = [0.0]
    followed = Followed(database, Setting.version, lambda session: object(), clock=lambda: clock[0])
    followed.current()
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    first = followed.current()
    assert all(followed.current() is first for _ in range(100)) and not asked
    clock[0] += EVERY
    assert followed.current() is first, "made anew only where the version grew"
    assert len([each for each in asked if "max(" in each]) == 1


def test_the_last_settings_hold_while_the_database_is_away(database: Database) -> None:
    clock = [0.0]
    values = iter(("一", "二"))
    followed = Followed(
        database, Setting.version, lambda session: next(values), clock=lambda: clock[0]
    )
    assert followed.current() == "一"
    with database.transaction() as session:
        session.execute(delete(Setting))
        session.connection().exec_driver_sql("ALTER TABLE setting RENAME TO hidden")
    clock[0] += EVERY
    assert followed.current() == "一"


@pytest.mark.parametrize(
    ("days", "moment", "said"),
    [
        ("working", "2026-01-15T02:00", ""),  # Thursday 10:00
        ("working", "2026-01-15T00:30", "今天09:00"),  # 8:30
        ("working", "2026-01-15T09:00", "明天09:00"),  # 17:00
        ("working", "2026-01-16T10:00", "1月19日09:00"),  # Friday evening → Monday
        ("working", "2026-02-14T02:00", ""),  # a Saturday that is worked before Spring Festival
        ("daily", "2026-01-17T02:00", ""),  # an ordinary Saturday
        ("always", "2026-01-17T20:00", ""),
    ],
)
def test_opening_hours_follow_the_calendar(days: str, moment: str, said: str) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    tuned = Tuned(open_days=days)
    assert tuned.open_at(now) == (not said)
    assert said in tuned.closed_at(now)


def test_a_banner_is_shown_in_its_time(database: Database) -> None:
    now = [NOW]
    tuning = Tuning(database, now=lambda: now[0])
    form = {
        "banner": ["今晚系统维护"],
        "banner_from": ["2026-01-15T12:00"],
        "banner_until": ["2026-01-15T18:00"],
    }
    save(tuning, tuning.read(form))
    assert tuning.banner() is None
    now[0] = NOW + timedelta(hours=2)
    shown = tuning.banner()
    assert shown is not None and shown.text == "今晚系统维护"
    assert shown.since == NOW + timedelta(hours=2)
    now[0] = NOW + timedelta(hours=8)
    assert tuning.banner() is None


def test_stopping_everything_covers_channels_of_the_future(database: Database) -> None:
    tuning = Tuning(database)
    tuning.stop(["web", "all"], actor="甲", comment="答错了")
    assert tuning.stopped() == ("all",)
    assert tuning.current().says_stopped("tomorrow")
    tuning.stop([], actor="甲", comment="改好了")
    assert not tuning.current().says_stopped("web")
