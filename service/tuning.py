"""Keeps the settings that change while the service runs; hides rows, versions and their history.

Reading them costs no query; every process follows a change within a second. Each change is
audited with what it was, what it is, and why.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kb import clock
from kb.db import Database
from kb.errors import Conflict
from kb.followed import Followed, next_version
from kb.journal import audit
from service.errors import InvalidRequest
from service.models import Setting
from service.tunables import EVERYWHERE, TUNABLES, Banner, Tuned, problems_of

log = logging.getLogger(__name__)

MOST_COMMENT = 200


@dataclass(frozen=True)
class Changed:
    """The last change of a setting.

    Attributes:
        default: whether the setting is at its default.
    """

    name: str
    default: bool
    version: int
    comment: str
    by: str
    at: datetime


@dataclass(frozen=True)
class _Held:
    tuned: Tuned
    changes: Mapping[str, Changed]


class Tuning:
    """The settings of this moment, and their changes.

    Args:
        defaults: what holds until somebody changes it.
    """

    def __init__(
        self,
        db: Database,
        defaults: Tuned | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self.defaults = defaults or Tuned()
        self._now = now
        self._followed = Followed(db, Setting.version, self._read)

    def current(self) -> Tuned:
        """The settings, at most a second old; the defaults while the database does not answer."""
        try:
            return self._followed.current().tuned
        except Exception:
            # Whoever asks a question is better served by defaults than by an error.
            log.exception("reading settings failed")
            return self.defaults

    def stopped(self) -> tuple[str, ...]:
        """Channels that answer nothing automatically."""
        return self.current().stopped

    def closed(self) -> str:
        """What is said to somebody who asks for a person now; empty while people are there."""
        tuned, now = self.current(), self._now()
        return "" if tuned.open_at(now) else tuned.closed_at(now)

    def banner(self) -> Banner | None:
        """What is to be made known now; with the moment from which on it could be seen."""
        found = self.current().banner_at(self._now())
        if found is None:
            return None
        written = self._followed.current().changes.get("banner")
        moments = [each for each in (found.since, written.at if written else None) if each]
        return replace(found, since=max(moments, default=None))

    def fresh(self) -> tuple[Tuned, Mapping[str, Changed]]:
        """The settings as they stand in the database now, and the last change of each."""
        held = self._followed.refresh()
        return held.tuned, held.changes

    def read(self, typed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Values of what a form says.

        Raises:
            InvalidRequest: some do not hold, by name.
        """
        values, problems = {}, {}
        for name, said in typed.items():
            try:
                values[name] = TUNABLES[name].read(said)
            except ValueError as error:
                problems[name] = str(error)
        if not problems:
            tuned = replace(self.fresh()[0], **values)
            problems = {k: v for k, v in problems_of(vars(tuned)).items() if k in typed}
        if problems:
            raise InvalidRequest(problems)
        return values

    def save(self, values: Mapping[str, Any], *, actor: str, comment: str, seen: int) -> list[str]:
        """Change settings, all or none; those that stay as they are are left alone.

        Args:
            values: by name; None for the default.
            seen: highest version of any of these settings when the form was made.

        Returns:
            Names of those that changed.

        Raises:
            InvalidRequest: there is no comment.
            Conflict: somebody else changed one of them in the meantime.
        """
        comment = _reason(comment)
        with self._db.transaction() as session:
            version = next_version(self._db, session, Setting.version)
            before = self._read(session)
            if any(
                before.changes[name].version > seen for name in values if name in before.changes
            ):
                raise Conflict("刚刚有人改过这些设置。请看过现在的内容，再改一次")
            changed = {
                name: value
                for name, value in values.items()
                if self._effective(name, value) != getattr(before.tuned, name)
            }
            for at, (name, value) in enumerate(changed.items()):
                facts = {"comment": comment, "changed_by": actor, "changed_at": self._now()}
                session.merge(Setting(name=name, value=value, version=version + at, **facts))
                audit(
                    session,
                    actor=actor,
                    action="setting.change",
                    subject=f"setting:{name}",
                    value={
                        "before": TUNABLES[name].shown(getattr(before.tuned, name)),
                        "after": TUNABLES[name].shown(self._effective(name, value)),
                    },
                    comment=comment,
                )
        self._followed.refresh()
        return list(changed)

    def stop(self, channels: Sequence[str], *, actor: str, comment: str) -> None:
        """Answer nothing automatically on some channels, whatever was set before; none to go on.

        Raises:
            InvalidRequest: there is no comment, or no such channel.
        """
        values = self.read({"stopped": list(channels)})
        if EVERYWHERE in values["stopped"]:
            values["stopped"] = (EVERYWHERE,)
        self.save(values, actor=actor, comment=comment, seen=self._followed.number)

    def _effective(self, name: str, value: Any) -> Any:
        """A value as it is used."""
        if value is None:
            return getattr(self.defaults, name)
        return tuple(value) if isinstance(value, list | tuple) else value

    def _read(self, session: Session) -> _Held:
        values, changes = {}, {}
        for row in session.scalars(select(Setting)):
            if row.name not in TUNABLES:
                continue  # of a version that had more
            default = row.value is None
            changes[row.name] = Changed(
                row.name, default, row.version, row.comment, row.changed_by, row.changed_at
            )
            if not default:
                values[row.name] = self._effective(row.name, row.value)
        return _Held(replace(self.defaults, **values), changes)


def _reason(comment: str) -> str:
    """Why something is changed, in one line.

    Raises:
        InvalidRequest: there is nothing, or too much.
    """
    reason = " ".join(comment.split())
    if not reason:
        raise InvalidRequest({"comment": "请写明为什么改，将来查得到"})
    if len(reason) > MOST_COMMENT:
        raise InvalidRequest({"comment": f"说明最多{MOST_COMMENT}个字"})
    return reason
