"""One operator's calls: what was looked up, how each ended, and the figures of a shift.

Hides the tables. A caller is a pseudonym; the number itself is sealed while the call lasts, so
that a ticket can name it, and erased with the wrap-up.
"""

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from kb import clock
from kb.clock import end_of, start_of
from kb.db import Database
from kb.errors import NotFound
from kb.passages import Passage
from service import guards
from service.errors import InvalidRequest
from service.models import Call, Favourite, Lookup, Ticket, User
from service.sealing import Sealer

# How a call ended → what people call it. The last one is not counted.
WRAP_UPS = {
    "resolved": "已解答",
    "partly": "部分解答",
    "ticket": "已转部门办理",
    "transferred": "已转接",
    "no_answer": "没有答案",
    "not_a_call": "不是来电（练习、自查）",
}
MAX_NOTE = 1000
RECENT = 8
# A number is kept no longer than this, even if the call is never wrapped up.
KEPT = timedelta(hours=12)

_NUMBER = re.compile(r"\+?[\d -]{3,20}")


@dataclass(frozen=True)
class Looked:
    """What was searched for, and what was opened of it (empty for nothing)."""

    id: int
    question: str
    passage: str
    title: str
    copied: bool
    at: datetime


@dataclass(frozen=True)
class CallView:
    """A call as the console shows it.

    Attributes:
        number: with its middle masked; empty where it is unknown or erased.
        lookups: of this call, oldest first.
        earlier: of earlier calls from the same number, latest first.
    """

    id: str
    number: str
    region_code: str | None
    started_at: datetime
    note: str
    lookups: tuple[Looked, ...] = ()
    earlier: tuple[Looked, ...] = ()


@dataclass(frozen=True)
class Pinned:
    """A passage at hand."""

    passage: str
    title: str


@dataclass(frozen=True)
class Shift:
    """Figures of one day.

    Attributes:
        calls: without what was no call.
        unwrapped: calls without a wrap-up.
        handling: mean seconds from the start to the wrap-up; None where no call has ended.
        resolved: share of wrapped-up calls that were answered at once; None where there is none.
        empty: searches of which nothing was of use.
    """

    calls: int
    unwrapped: int
    handling: float | None
    resolved: float | None
    lookups: int
    empty: int
    copies: int
    tickets: int
    wrap_ups: dict[str, int]


class Calls:
    """Calls, and what operators keep at hand."""

    def __init__(
        self,
        db: Database,
        sealer: Sealer,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._sealer = sealer
        self._now = now

    def start(
        self,
        operator_id: int,
        *,
        external: str = "",
        number: str = "",
        region_code: str | None = None,
        note: str = "",
    ) -> str:
        """Begin a call, ending the one before; the same external call is begun once.

        Args:
            external: the telephone system's identifier of the call; empty for none.
            number: of the caller; what is no telephone number is left out.

        Returns:
            Number of the call.
        """
        found = self._sealer.pseudonym("call", str(operator_id), external) if external else ""
        call_id = found or uuid.uuid4().hex
        known = number if _NUMBER.fullmatch(number.strip()) else ""
        digits = re.sub(r"\D", "", known)
        now = self._now()
        with self._db.transaction() as session:
            self._db.serialise(session)
            if session.get(Call, call_id) is not None:
                return call_id
            session.execute(
                update(Call)
                .where(Call.operator_id == operator_id, Call.ended_at.is_(None))
                .values(ended_at=now, number="")
            )
            session.execute(
                update(Call)
                .where(Call.number != "", Call.started_at < now - KEPT)
                .values(number="")
            )
            session.add(
                Call(
                    id=call_id,
                    operator_id=operator_id,
                    caller=self._sealer.pseudonym("caller", digits) if digits else "",
                    number=self._sealer.seal(digits),
                    region_code=region_code,
                    started_at=now,
                    note=guards.mask(guards.clean(note))[:MAX_NOTE],
                )
            )
        return call_id

    def current(self, operator_id: int) -> CallView | None:
        """The call that an operator is in, with what was asked; None between calls."""
        with self._db.reading() as session:
            call = _current(session, operator_id)
            if call is None:
                return None
            lookups = session.scalars(
                select(Lookup).where(Lookup.call_id == call.id).order_by(Lookup.id)
            ).all()
            earlier: Sequence[Lookup] = ()
            if call.caller:
                earlier = session.scalars(
                    select(Lookup)
                    .join(Call, Call.id == Lookup.call_id)
                    .where(Call.caller == call.caller, Call.id != call.id)
                    .order_by(Lookup.at.desc(), Lookup.id.desc())
                    .limit(RECENT)
                ).all()
        return CallView(
            id=call.id,
            number=masked(self._opened(call)),
            region_code=call.region_code,
            started_at=call.started_at,
            note=call.note,
            lookups=tuple(_looked(each) for each in lookups),
            earlier=tuple(_looked(each) for each in earlier),
        )

    def number(self, operator_id: int) -> str:
        """The number of an operator's present caller, to be sealed in a ticket; else empty."""
        with self._db.reading() as session:
            call = _current(session, operator_id)
        return self._opened(call) if call else ""

    def looked_up(
        self, operator_id: int, question: str, passage: Passage | None, *, copied: bool = False
    ) -> str:
        """Keep what was searched for and opened or copied; begins a call where there is none.

        Opening the same again, or copying what is open, changes the row that is there.

        Returns:
            Number of the call.
        """
        with self._db.reading() as session:
            call = _current(session, operator_id)
        call_id = call.id if call else self.start(operator_id)
        asked = guards.mask(guards.clean(question))[: guards.MAX_QUESTION]
        key = passage.key if passage else ""
        with self._db.transaction() as session:
            last = session.scalar(
                select(Lookup).where(Lookup.call_id == call_id).order_by(Lookup.id.desc()).limit(1)
            )
            same = last is not None and last.passage == key and asked in ("", last.question)
            if last is not None and same:
                last.copied = last.copied or copied
            elif asked or passage:
                session.add(
                    Lookup(
                        call_id=call_id,
                        question=asked or (passage.title if passage else ""),
                        passage=key,
                        title=passage.title[:512] if passage else "",
                        copied=copied,
                        at=self._now(),
                    )
                )
        return call_id

    def wrap_up(self, operator_id: int, code: str, note: str = "") -> None:
        """End the present call and erase the number.

        Raises:
            InvalidRequest: no such wrap-up.
            NotFound: there is no call.
        """
        if code not in WRAP_UPS:
            raise InvalidRequest({"code": "请选择来电小结"})
        with self._db.transaction() as session:
            call = _current(session, operator_id)
            if call is None:
                raise NotFound("现在没有进行中的来电")
            call.wrap_up = code
            call.ended_at = self._now()
            call.number = ""
            call.note = guards.mask(note.strip())[:MAX_NOTE] or call.note

    def shift(self, day: date, operator_id: int | None = None) -> Shift:
        """Figures of a day in China, of one operator or of all."""
        begin, end = start_of(day), end_of(day)
        within = [Call.started_at >= begin, Call.started_at < end, Call.wrap_up != "not_a_call"]
        tickets = [Ticket.created_at >= begin, Ticket.created_at < end]
        if operator_id is not None:
            within.append(Call.operator_id == operator_id)
            tickets.append(Ticket.created_by == operator_id)
        with self._db.reading() as session:
            ended = session.execute(
                select(Call.wrap_up, Call.started_at, Call.ended_at).where(*within)
            ).all()
            lookups, empty, copies = session.execute(
                select(
                    func.count(),
                    func.coalesce(func.sum(case((Lookup.passage == "", 1), else_=0)), 0),
                    func.coalesce(func.sum(case((Lookup.copied.is_(True), 1), else_=0)), 0),
                )
                .select_from(Lookup)
                .join(Call, Call.id == Lookup.call_id)
                .where(*within)
            ).one()
            sent = session.scalar(select(func.count()).select_from(Ticket).where(*tickets)) or 0
        spent = [(until - since).total_seconds() for _, since, until in ended if until]
        codes = [code for code, _, _ in ended if code]
        return Shift(
            calls=len(ended),
            unwrapped=len(ended) - len(codes),
            handling=sum(spent) / len(spent) if spent else None,
            resolved=codes.count("resolved") / len(codes) if codes else None,
            lookups=lookups,
            empty=empty,
            copies=copies,
            tickets=sent,
            wrap_ups={code: codes.count(code) for code in WRAP_UPS if codes.count(code)},
        )

    def shifts(self, day: date) -> tuple[tuple[str, Shift], ...]:
        """Figures of everybody who had calls or sent tickets on a day, by name; and of all."""
        begin, end = start_of(day), end_of(day)
        called = select(Call.operator_id).where(Call.started_at >= begin, Call.started_at < end)
        sent = select(Ticket.created_by).where(Ticket.created_at >= begin, Ticket.created_at < end)
        with self._db.reading() as session:
            people = session.execute(
                select(User.id, func.coalesce(func.nullif(User.display_name, ""), User.name))
                .where(User.id.in_(called) | User.id.in_(sent))
                .order_by(User.name)
            ).all()
        rows = [(name, self.shift(day, number)) for number, name in people]
        return (*rows, ("全部", self.shift(day)))

    def recent(self, operator_id: int) -> tuple[Pinned, ...]:
        """What an operator opened last, each once."""
        latest = func.max(Lookup.id)
        with self._db.reading() as session:
            rows = session.execute(
                select(Lookup.passage, func.max(Lookup.title))
                .join(Call, Call.id == Lookup.call_id)
                .where(Call.operator_id == operator_id, Lookup.passage != "")
                .group_by(Lookup.passage)
                .order_by(latest.desc())
                .limit(RECENT)
            ).all()
        return tuple(Pinned(passage, title) for passage, title in rows)

    def favourites(self, operator_id: int) -> tuple[Pinned, ...]:
        """What an operator keeps at hand, latest first."""
        with self._db.reading() as session:
            rows = session.scalars(
                select(Favourite)
                .where(Favourite.user_id == operator_id)
                .order_by(Favourite.added_at.desc())
            ).all()
        return tuple(Pinned(row.passage, row.title) for row in rows)

    def favour(self, operator_id: int, passage: Passage) -> bool:
        """Keep a passage at hand, or put it away again; whether it is kept now."""
        with self._db.transaction() as session:
            gone = session.execute(
                delete(Favourite).where(
                    Favourite.user_id == operator_id, Favourite.passage == passage.key
                )
            )
            if _count(gone):
                return False
            session.add(
                Favourite(
                    user_id=operator_id,
                    passage=passage.key,
                    title=passage.title[:512],
                    added_at=self._now(),
                )
            )
        return True

    def _opened(self, call: Call) -> str:
        try:
            return self._sealer.open(call.number)
        except ValueError:
            return ""  # the installation's key was changed during the call


def masked(number: str) -> str:
    """A number of which only the beginning and the last digits show."""
    if len(number) <= 4:
        return number
    shown = max(1, min(3, len(number) - 7)) if len(number) > 7 else 1
    tail = min(4, len(number) - shown - 3) if len(number) > 6 else 1
    return number[:shown] + "*" * (len(number) - shown - tail) + number[len(number) - tail :]


def _current(session: Session, operator_id: int) -> Call | None:
    return session.scalar(
        select(Call)
        .where(Call.operator_id == operator_id, Call.ended_at.is_(None))
        .order_by(Call.started_at.desc())
        .limit(1)
    )


def _looked(row: Lookup) -> Looked:
    return Looked(row.id, row.question, row.passage, row.title, row.copied, row.at)


def _count(result: Any) -> int:
    return int(result.rowcount)
