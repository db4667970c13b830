"""Pages on which a department answers the tickets that operators sent it."""

from flask import Blueprint, Response, redirect, render_template, request

from kb.errors import NotFound
from service.desk.tickets import MAX_REPLY, NO_TICKET, STATES, TicketView
from service.errors import InvalidRequest
from service.rights import may
from service.web.admin import section
from service.web.runtime import runtime
from service.web.sign_in import current_user


def build() -> Blueprint:
    """The blueprint; for those who write for a department."""
    pages = section(
        Blueprint("department_tickets", __name__, url_prefix="/admin/tickets"), "entry.write"
    )

    @pages.context_processor
    def _common() -> dict[str, object]:
        return {"states": STATES, "most": MAX_REPLY}

    @pages.get("")
    def tickets() -> str:
        shown = request.args.get("show", "open")
        user = current_user()
        held = runtime().tickets.listed(
            state=shown if shown in STATES else "",
            overdue=shown == "overdue",
            department=user.department or None,
        )
        seen = [each for each in held if _may_answer(each)]
        return render_template("admin/tickets.html", tickets=seen, shown=shown)

    @pages.get("/<number>")
    def ticket(number: str) -> str:
        return render_template("admin/ticket.html", ticket=_visible(number), problem="", said="")

    @pages.post("/<number>")
    def answer(number: str) -> Response | tuple[str, int]:
        found, said = _visible(number), request.form.get("reply", "")[: MAX_REPLY + 1]
        try:
            runtime().tickets.answer(number, said)
        except InvalidRequest as error:
            page = render_template(
                "admin/ticket.html", ticket=found, problem=error.fields["reply"], said=said
            )
            return page, 400
        return redirect(f"/admin/tickets/{number}", code=303)  # type: ignore[return-value]

    return pages


def _visible(number: str) -> TicketView:
    """A ticket that the signed-in person may answer.

    Raises:
        NotFound: there is none, or it is another department's or region's.
    """
    found = runtime().tickets.find(number)
    if not _may_answer(found):
        raise NotFound(NO_TICKET)
    return found


def _may_answer(ticket: TicketView) -> bool:
    """One asked from nowhere in particular is anybody's of its department."""
    user = current_user()
    region = ticket.region_code or user.region_code
    return may(user, "entry.write", department=ticket.department, region=region)
