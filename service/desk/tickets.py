"""What the base could not answer, sent to a department with a deadline; hides numbering and states.

Where to call back is sealed, and erased when the ticket is closed. Personal numbers in question
and detail are masked.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from kb import clock
from kb.clock import day_of
from kb.db import Database
from kb.errors import Conflict, NotFound
from kb.models import Department
from service import guards
from service.desk.calls import masked
from service.errors import InvalidRequest
from service.models import Ticket, User
from service.sealing import Sealer
from service.working_days import deadline

log = logging.getLogger(__name__)

OPEN, ANSWERED, CLOSED = "open", "answered", "closed"
STATES = {OPEN: "办理中", ANSWERED: "已答复", CLOSED: "已办结"}
NORMAL_DAYS, URGENT_DAYS = 5, 2
MAX_DETAIL = 2000
MAX_REPLY = 4000
LISTED = 200
NO_TICKET = "没有这张工单"

_CALL_BACK = re.compile(r"\+?\d[\d -]{4,22}")


@dataclass(frozen=True)
class NewTicket:
    """What an operator writes down.

    Attributes:
        department: name; one that the base knows.
        call_back: the number in the open; empty for none.
        call_id: the call it came from.
    """

    question: str
    department: str
    detail: str = ""
    region_code: str | None = None
    call_back: str = ""
    urgent: bool = False
    call_id: str | None = None


@dataclass(frozen=True)
class TicketView:
    """A ticket as it is shown.

    Attributes:
        call_back: masked; empty for none, or erased.
        overdue: still open after its day.
    """

    id: int
    number: str
    question: str
    detail: str
    region_code: str | None
    department: str
    call_back: str
    urgent: bool
    state: str
    reply: str
    due_on: date
    overdue: bool
    created_by: str
    created_at: datetime
    closed_at: datetime | None


class Tickets:
    """Tickets by number."""

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

    def departments(self) -> tuple[str, ...]:
        """Names of those that can be sent to."""
        with self._db.reading() as session:
            return tuple(session.scalars(select(Department.name).order_by(Department.name)))

    def create(self, ticket: NewTicket, created_by: int) -> str:
        """Send it; returns its number, as 20261124-0007.

        Raises:
            InvalidRequest: fields say what is missing or does not hold.
        """
        _check(ticket)
        now = self._now()
        today = day_of(now)
        with self._db.transaction() as session:
            department = session.scalar(
                select(Department).where(Department.name == ticket.department.strip())
            )
            if department is None:
                raise InvalidRequest({"department": "请从列表里选择承办部门"})
            # One at a time from here on, so that no two get the same number.
            self._db.serialise(session)
            number = _next_number(session, today)
            session.add(
                Ticket(
                    number=number,
                    call_id=ticket.call_id,
                    question=guards.mask(guards.clean(ticket.question)),
                    detail=guards.mask(ticket.detail.strip()),
                    region_code=ticket.region_code,
                    department_id=department.id,
                    call_back=self._sealer.seal(ticket.call_back.strip()),
                    urgent=ticket.urgent,
                    state=OPEN,
                    due_on=deadline(today, URGENT_DAYS if ticket.urgent else NORMAL_DAYS).day,
                    created_by=created_by,
                    created_at=now,
                )
            )
        return number

    def find(self, number: str) -> TicketView:
        """One ticket.

        Raises:
            NotFound: no such one.
        """
        with self._db.reading() as session:
            row = session.execute(_rows().where(Ticket.number == number)).first()
        if row is None:
            raise NotFound(NO_TICKET)
        return self._view(*row)

    def listed(
        self,
        *,
        state: str = "",
        overdue: bool = False,
        created_by: int | None = None,
        department: str | None = None,
    ) -> tuple[TicketView, ...]:
        """Tickets, what is due first comes first; closed ones last.

        Args:
            department: by name; None for all.
        """
        query = _rows()
        if state:
            query = query.where(Ticket.state == state)
        if overdue:
            query = query.where(Ticket.state == OPEN, Ticket.due_on < self._today())
        if created_by is not None:
            query = query.where(Ticket.created_by == created_by)
        if department is not None:
            query = query.where(Department.name == department)
        order = (Ticket.state == CLOSED, Ticket.due_on, Ticket.id)
        with self._db.reading() as session:
            rows = session.execute(query.order_by(*order).limit(LISTED)).all()
        return tuple(self._view(*row) for row in rows)

    def overdue(self) -> int:
        """How many are still open after their day."""
        with self._db.reading() as session:
            late = select(func.count()).where(Ticket.state == OPEN, Ticket.due_on < self._today())
            return session.scalar(late) or 0

    def call_back(self, number: str) -> str:
        """The number to ring, in the open, for whoever is about to ring it; empty for none.

        Raises:
            NotFound: no such ticket.
        """
        with self._db.reading() as session:
            sealed = session.scalar(select(Ticket.call_back).where(Ticket.number == number))
        if sealed is None:
            raise NotFound(NO_TICKET)
        return self._opened(sealed)

    def answer(self, number: str, reply: str) -> None:
        """Keep the department's answer.

        Raises:
            InvalidRequest: no answer, or too long a one.
            NotFound: no such ticket.
            Conflict: it is closed.
        """
        said = reply.strip()
        if not 0 < len(said) <= MAX_REPLY:
            problem = "请填写答复" if not said else f"答复请控制在{MAX_REPLY}个字以内"
            raise InvalidRequest({"reply": problem})
        self._move(number, (OPEN, ANSWERED), state=ANSWERED, reply=guards.mask(said))

    def close(self, number: str) -> None:
        """The person knows the answer: the ticket is done, the number to call back is erased.

        Raises:
            NotFound: no such ticket.
            Conflict: it has no answer yet, or is closed.
        """
        self._move(number, (ANSWERED,), state=CLOSED, call_back="", closed_at=self._now())

    def _move(self, number: str, states: tuple[str, ...], **values: object) -> None:
        with self._db.transaction() as session:
            moved: Any = session.execute(
                update(Ticket)
                .where(Ticket.number == number, Ticket.state.in_(states))
                .values(**values)
            )
            if moved.rowcount:
                return
            state = session.scalar(select(Ticket.state).where(Ticket.number == number))
            if state is None:
                raise NotFound(NO_TICKET)
            raise Conflict("这张工单已经办结" if state == CLOSED else "还没有答复，不能办结")

    def _view(self, ticket: Ticket, department: str, author: str) -> TicketView:
        return TicketView(
            id=ticket.id,
            number=ticket.number,
            question=ticket.question,
            detail=ticket.detail,
            region_code=ticket.region_code,
            department=department,
            call_back=masked(re.sub(r"\D", "", self._opened(ticket.call_back))),
            urgent=ticket.urgent,
            state=ticket.state,
            reply=ticket.reply,
            due_on=ticket.due_on,
            overdue=ticket.state == OPEN and ticket.due_on < self._today(),
            created_by=author,
            created_at=ticket.created_at,
            closed_at=ticket.closed_at,
        )

    def _opened(self, sealed: str) -> str:
        try:
            return self._sealer.open(sealed)
        except ValueError:
            log.warning("a call-back number was sealed with another key")
            return ""

    def _today(self) -> date:
        return day_of(self._now())


def _check(ticket: NewTicket) -> None:
    fields = {}
    if problem := guards.problem_with(ticket.question):
        fields["question"] = problem
    if not ticket.department.strip():
        fields["department"] = "请选择承办部门"
    if len(ticket.detail) > MAX_DETAIL:
        fields["detail"] = f"补充说明请控制在{MAX_DETAIL}个字以内"
    if ticket.call_back.strip() and not _CALL_BACK.fullmatch(ticket.call_back.strip()):
        fields["call_back"] = "回拨号码只能是数字，可带区号，如 0532-12345678"
    if fields:
        raise InvalidRequest(fields)


def _next_number(session: Session, today: date) -> str:
    prefix = f"{today:%Y%m%d}-"
    last = session.scalar(
        select(Ticket.number)
        .where(Ticket.number.startswith(prefix))
        .order_by(func.length(Ticket.number).desc(), Ticket.number.desc())
        .limit(1)
    )
    return f"{prefix}{int(last.removeprefix(prefix)) + 1 if last else 1:04d}"


def _rows() -> Any:
    return (
        select(
            Ticket,
            func.coalesce(Department.name, ""),
            func.coalesce(func.nullif(User.display_name, ""), User.name, ""),
        )
        .outerjoin(Department, Department.id == Ticket.department_id)
        .outerjoin(User, User.id == Ticket.created_by)
    )
