"""The synonyms of one base: what ships with the product and what administrators made of it.

Hides how the two are laid over each other, and that every process follows a change at once. What
cannot help (a word that is official elsewhere, that goes round in a circle, or that half of all
questions have) is refused.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from embeddings import normalise
from kb import clock
from kb.db import Database
from kb.errors import Conflict, InvalidEntry, NotFound
from kb.followed import Followed, next_version
from kb.journal import audit
from kb.models import Entry, Phrasing, Status, SynonymGroup
from kb.synonyms import Added, Synonyms, read_groups

ON, OFF, DROPPED = "on", "off", "dropped"
MOST_SAID = 40
LONGEST_OFFICIAL, LONGEST_SAID = 40, 20
# A word in so many published wordings, and in this share of all, tells no question from another.
COMMON, COMMON_SHARE = 50, 0.05

_PUBLISHED = Entry.status == Status.PUBLISHED
# Standard questions, and similar ones.
_WORDINGS = (
    select(func.count(Entry.id)).where(_PUBLISHED),
    select(func.count(Phrasing.id))
    .join(Entry, Entry.id == Phrasing.entry_id)
    .where(_PUBLISHED, Phrasing.negative.is_(False)),
)


@dataclass(frozen=True)
class Group:
    """One group.

    Attributes:
        official: what the base writes.
        said: what people say for it.
        on: whether it is used.
        shipped: the words that ship with the product; None for an own group.
        version: of its last change; 0 for none.
    """

    official: str
    said: tuple[str, ...]
    on: bool = True
    shipped: tuple[str, ...] | None = None
    version: int = 0
    changed_by: str = ""
    changed_at: datetime | None = None

    @property
    def own(self) -> bool:
        """Whether administrators added it."""
        return self.shipped is None

    @property
    def edited(self) -> bool:
        """Whether it is a shipped one with other words."""
        return self.shipped is not None and self.said != self.shipped


@dataclass(frozen=True)
class _Held:
    groups: Mapping[str, Group]
    synonyms: Synonyms


class Thesaurus:
    """Synonyms that can be edited while they are used; as `kb.synonyms.Synonyms` otherwise.

    Args:
        shipped: said words by official term.
    """

    def __init__(
        self,
        db: Database,
        shipped: Mapping[str, Sequence[str]],
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._shipped = {
            official: tuple(dict.fromkeys(map(normalise, said)))
            for official, said in shipped.items()
        }
        self._now = now
        self._followed = Followed(db, SynonymGroup.version, self._read)

    @classmethod
    def load(cls, db: Database, path: Path, now: Callable[[], datetime] = clock.now) -> "Thesaurus":
        """With the groups of a file; see `kb.synonyms.read_groups`."""
        return cls(db, read_groups(path), now)

    @property
    def words(self) -> tuple[str, ...]:
        """Every word of every group that is on."""
        return self._followed.current().synonyms.words

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._followed.number

    def added(self, text: str, used: Callable[[str], float]) -> list[Added]:
        """As `Synonyms.added`, with the groups of this moment."""
        return self._followed.current().synonyms.added(text, used)

    def groups(self) -> list[Group]:
        """All groups; own and changed ones first, the latest change first."""
        held = self._followed.refresh().groups.values()
        return sorted(held, key=lambda group: (-group.version, group.official))

    def group(self, official: str) -> Group:
        """One group.

        Raises:
            NotFound: no such group.
        """
        found = self._followed.refresh().groups.get(official)
        if found is None:
            raise NotFound("没有这一组词，可能已经被删除")
        return found

    def problems(self, official: str, said: Sequence[str]) -> dict[str, str]:
        """What is wrong with a group, by field: `official` or `said`; empty when it holds."""
        return self._problems(official, said, self._common(said))

    def save(
        self, official: str, said: Sequence[str], *, actor: str, seen: int = 0, on: bool = True
    ) -> None:
        """Add a group, or change the words of one.

        Args:
            seen: version of the group that was edited; 0 for one that nobody changed, or a new one.

        Raises:
            InvalidEntry: see `problems`.
            Conflict: somebody else changed it in the meantime.
        """
        problems = self.problems(official, said)
        if problems:
            raise InvalidEntry(problems)
        with self._db.transaction() as session:
            self._write(session, Group(official, tuple(said), on), actor=actor, seen=seen)
        self._followed.refresh()

    def switch(self, official: str, *, on: bool, actor: str) -> None:
        """Use a group, or leave it be.

        Raises:
            NotFound: no such group.
            Conflict: somebody changed it at this very moment.
        """
        group = self.group(official)
        with self._db.transaction() as session:
            self._write(session, replace(group, on=on), actor=actor, seen=group.version)
        self._followed.refresh()

    def drop(self, official: str, *, actor: str) -> None:
        """Delete an own group; give a shipped one the words that it shipped with.

        Raises:
            NotFound: no such group, or nothing of it was changed.
        """
        group = self.group(official)
        if not group.version:
            raise NotFound("这一组没有改动过，不用恢复")
        with self._db.transaction() as session:
            version = next_version(self._db, session, SynonymGroup.version)
            row = session.get(SynonymGroup, official)
            if row is None or row.version != group.version:
                raise Conflict("这一组刚刚有人改过，请看过最新的内容再改")
            row.state = DROPPED
            row.version, row.changed_by, row.changed_at = version, actor, self._now()
            audit(
                session,
                actor=actor,
                action="synonym.drop",
                subject=_subject(official),
                said={"before": _shown(group), "after": "、".join(group.shipped or ())},
            )
        self._followed.refresh()

    def take(self, groups: Sequence[Group], *, actor: str) -> tuple[int, dict[int, str]]:
        """Add and change many groups, all or none.

        Returns:
            How many were added or changed, and what is wrong by place in the list, from 0; with
            anything wrong nothing was written.
        """
        held = self._followed.refresh().groups
        wrong: dict[int, str] = {}
        seen: set[str] = set()
        others = {word: each.official for each in groups for word in each.said}
        common = self._common([word for each in groups for word in each.said])
        for at, group in enumerate(groups):
            problems = self._problems(group.official, group.said, common)
            if group.official in seen:
                problems["official"] = f"“{group.official}”在文件里不止一行"
            if group.official in others:
                problems["official"] = (
                    f"“{group.official}”在文件里又是“{others[group.official]}”的说法，互相指来指去"
                )
            seen.add(group.official)
            if problems:
                wrong[at] = "；".join(problems.values())
        fresh = [each for each in groups if not _same(each, held.get(each.official))]
        if wrong or not fresh:
            return 0, wrong
        with self._db.transaction() as session:
            for group in fresh:
                known = held.get(group.official)
                self._write(session, group, actor=actor, seen=known.version if known else 0)
        self._followed.refresh()
        return len(fresh), {}

    def wordings_with(self, said: Sequence[str]) -> int:
        """How many published wordings (standard and similar questions) have one of the words."""
        if not said:
            return 0
        like = [_like(column, said) for column in (Entry.question, Phrasing.text)]
        with self._db.reading() as session:
            counts = [session.scalar(q.where(c)) for q, c in zip(_WORDINGS, like, strict=True)]
        return sum(count or 0 for count in counts)

    def _problems(
        self, official: str, said: Sequence[str], common: Collection[str]
    ) -> dict[str, str]:
        found = {}
        if not 2 <= len(official) <= LONGEST_OFFICIAL:
            found["official"] = f"规范说法应是2到{LONGEST_OFFICIAL}个字"
        if not said:
            found["said"] = "请至少写一个群众的说法"
        elif len(said) > MOST_SAID:
            found["said"] = f"一组最多{MOST_SAID}个说法，请分成几组"
        else:
            complaints = [self._complaint(each, official, common) for each in said]
            complaints.append(self._turned_round(official))
            wrong = list(dict.fromkeys(filter(None, complaints)))
            if wrong:
                found["said"] = "；".join(wrong)
        return found

    def _complaint(self, said: str, official: str, common: Collection[str]) -> str:
        other = self._followed.current().groups.get(said)
        if not 2 <= len(said) <= LONGEST_SAID:
            return f"“{said}”应是2到{LONGEST_SAID}个字"
        if said == official:
            return f"“{said}”就是规范说法，不用写在这里"
        if other is not None and other.on:
            if official in other.said:
                return f"“{official}”已是“{said}”的说法，互相指来指去，谁也用不上"
            return f"“{said}”是另一组的规范说法，写在这里不会起作用"
        if said in common:
            return f"“{said}”太常见，很多问题里都有，会牵动太多问题"
        return ""

    def _turned_round(self, official: str) -> str:
        groups = self._followed.current().groups.values()
        other = next((g for g in groups if g.on and official in g.said), None)
        if other is None or other.official == official:
            return ""
        return f"“{official}”现在是“{other.official}”的说法；先从那一组去掉，才能当规范说法"

    def _common(self, words: Sequence[str]) -> set[str]:
        """Those of some words that too many published wordings have."""
        sizes = sorted({len(word) for word in words})
        counts: Counter[str] = Counter()
        total = 0
        with self._db.reading() as session:
            for query, column in zip(_WORDINGS, (Entry.question, Phrasing.text), strict=True):
                for text in map(str.lower, session.scalars(query.with_only_columns(column))):
                    total += 1
                    pieces = {text[at : at + size] for size in sizes for at in range(len(text))}
                    counts.update(pieces.intersection(words))
        least = max(COMMON, COMMON_SHARE * total)
        return {word for word, count in counts.items() if count >= least}

    def _write(self, session: Session, group: Group, *, actor: str, seen: int) -> None:
        # From here on nobody else writes, so what is read now stands.
        version = next_version(self._db, session, SynonymGroup.version)
        row = session.get(SynonymGroup, group.official)
        now = row.version if row is not None else 0
        gone = row is not None and row.state == DROPPED
        if now != seen and not (gone and seen == 0):
            raise Conflict("这一组刚刚有人改过，请看过最新的内容再改")
        before = self._followed.current().groups.get(group.official)
        if row is None:
            row = SynonymGroup(official=group.official)
            session.add(row)
        row.said = list(group.said)
        row.state = ON if group.on else OFF
        row.version, row.changed_by, row.changed_at = version, actor, self._now()
        session.flush()
        audit(
            session,
            actor=actor,
            action="synonym.save",
            subject=_subject(group.official),
            said={"before": _shown(before), "after": _shown(group)},
        )

    def _read(self, session: Session) -> _Held:
        groups = {
            official: Group(official, said, shipped=said)
            for official, said in self._shipped.items()
        }
        for row in session.scalars(select(SynonymGroup)):
            if row.state == DROPPED:
                continue
            groups[row.official] = Group(
                row.official,
                tuple(row.said),
                on=row.state == ON,
                shipped=self._shipped.get(row.official),
                version=row.version,
                changed_by=row.changed_by,
                changed_at=row.changed_at,
            )
        said: dict[str, list[str]] = {}
        for group in groups.values():
            for word in group.said if group.on else ():
                said.setdefault(word, []).append(group.official)
        return _Held(groups, Synonyms(said))


def words_in(text: str) -> tuple[str, ...]:
    """Words typed one a line or with 、 ，| between them, each once, as the dictionary has them."""
    for mark in "、，,;；|｜\n\t":
        text = text.replace(mark, "\n")
    words = (normalise(" ".join(each.split())) for each in text.split("\n"))
    return tuple(dict.fromkeys(word for word in words if word))


def _like(column: InstrumentedAttribute[str], words: Sequence[str]) -> ColumnElement[bool]:
    return or_(*(column.icontains(word, autoescape=True) for word in words))


def _same(group: Group, other: Group | None) -> bool:
    return other is not None and (group.said, group.on) == (other.said, other.on)


def _shown(group: Group | None) -> str:
    """A group in words, for the audit log."""
    said = "、".join(group.said) if group else ""
    return said if group is None or group.on else f"{said}（已停用）"


def _subject(official: str) -> str:
    return f"synonym:{official}"[:64]
