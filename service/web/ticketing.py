"""Tickets to departments at the console: written from a call, answered, closed.

Hides how the form is filled in from the call and from what was found.
"""

from flask import Blueprint, Response, redirect, render_template, request

from kb.clock import day_of
from kb.errors import NotFound
from service import guards
from service.desk.reports import REASONS
from service.desk.tickets import (
    NORMAL_DAYS,
    STATES,
    URGENT_DAYS,
    NewTicket,
    TicketView,
)
from service.errors import InvalidRequest
from service.policies import SPEAKS_OF
from service.web.operators import badges, scope
from service.web.runtime import runtime
from service.web.sign_in import current_user, guarded
from service.working_days import deadline

_LONGEST = 5000


def build() -> Blueprint:
    """The blueprint; for operators and administrators."""
    ticketing = Blueprint("ticketing", __name__, url_prefix="/operator/tickets")
    guarded(ticketing, "operator", "admin")

    @ticketing.context_processor
    def _common() -> dict[str, object]:
        return {"states": STATES, "reasons": REASONS, "badges": badges}

    @ticketing.get("")
    def tickets() -> str:
        shown = request.args.get("show", "")
        found = runtime().tickets.listed(
            state=shown if shown in STATES else "",
            overdue=shown == "overdue",
            created_by=current_user().id if shown == "mine" else None,
        )
        return render_template("operator/tickets.html", tickets=found, shown=shown)

    @ticketing.get("/new")
    def form() -> str:
        text = guards.clean(request.args.get("q", ""))[: guards.MAX_QUESTION]
        return _form({"question": text, "department": _proposed(text)}, {})

    @ticketing.post("")
    def create() -> Response | tuple[str, int]:
        return _create()

    @ticketing.get("/reports")
    def reports() -> str:
        return render_template("operator/reports.html", reports=runtime().reports.open())

    @ticketing.post("/reports/<int:number>/settle")
    def settle(number: int) -> Response:
        runtime().reports.settle(number)
        return _to("reports")

    @ticketing.get("/<number>")
    def ticket(number: str) -> str:
        found = runtime().tickets.find(number)
        return render_template(
            "operator/ticket.html", ticket=found, sure=_certain(found), call_back=""
        )

    @ticketing.post("/<number>/call-back")
    def call_back(number: str) -> str:
        """The number in the open, on one page that nothing keeps."""
        found = runtime().tickets.find(number)
        shown = runtime().tickets.call_back(number)
        return render_template(
            "operator/ticket.html", ticket=found, sure=_certain(found), call_back=shown
        )

    @ticketing.post("/<number>/answer")
    def answer(number: str) -> Response:
        runtime().tickets.answer(number, request.form.get("reply", "")[:_LONGEST])
        return _to(number)

    @ticketing.post("/<number>/close")
    def close(number: str) -> Response:
        runtime().tickets.close(number)
        return _to(number)

    return ticketing


def _create() -> Response | tuple[str, int]:
    """Send a ticket; the form again, as it was filled in, where something does not hold."""
    user, call = current_user(), runtime().calls.current(current_user().id)
    names = ("question", "department", "detail", "region", "call_back")
    given = {name: request.form.get(name, "").replace("\x00", "")[:_LONGEST] for name in names}
    given["urgent"] = request.form.get("urgent", "")
    # An empty field keeps the number that the call came from; it is never shown in full.
    own = runtime().calls.number(user.id) if request.form.get("callers_number") else ""
    try:
        ticket = NewTicket(
            question=given["question"],
            department=given["department"],
            detail=given["detail"],
            region_code=runtime().regions.resolve(given["region"]),
            call_back=given["call_back"].strip() or own,
            urgent=bool(given["urgent"]),
            call_id=call.id if call else None,
        )
        number = runtime().tickets.create(ticket, user.id)
    except InvalidRequest as error:
        return _form(given, error.fields), 400
    except NotFound as error:
        return _form(given, {"region": str(error)}), 400
    if call:
        runtime().calls.looked_up(user.id, ticket.question, None)
    return _to(number)


def _form(given: dict[str, str], problems: dict[str, str]) -> str:
    region = given.get("region", _region_text())
    today = runtime().today()
    return render_template(
        "operator/ticket_form.html",
        given={**given, "region": region},
        problems=problems,
        departments=runtime().tickets.departments(),
        call=runtime().calls.current(current_user().id),
        normal=deadline(today, NORMAL_DAYS),
        urgent=deadline(today, URGENT_DAYS),
    )


def _proposed(text: str) -> str:
    """The department of the best passage that speaks of the matter; empty for none."""
    found = runtime().search.passages(text, scope()).passages if text else ()
    fit = (p.department for p in found if p.department and p.coverage >= SPEAKS_OF)
    return next(fit, "")


def _region_text() -> str:
    """The present region by its name, or by its code where the name fits several."""
    code, regions = scope().region, runtime().regions
    if code is None:
        return ""
    try:
        return regions.name(code) if regions.resolve(regions.name(code)) == code else code
    except NotFound:
        return code


def _certain(ticket: TicketView) -> bool:
    day = day_of(ticket.created_at)
    return deadline(day, URGENT_DAYS if ticket.urgent else NORMAL_DAYS).certain


def _to(number: str) -> Response:
    return redirect(f"/operator/tickets/{number}", code=303)  # type: ignore[return-value]
