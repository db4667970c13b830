"""Pages on which a department answers the tickets that operators sent it."""

from flask import Blueprint, Response, redirect, render_template, request

from service.desk.tickets import MAX_REPLY, STATES, TicketView
from service.errors import InvalidRequest
from service.rights import demand
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
        return render_template("admin/tickets.html", tickets=held, shown=shown)

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
    """A ticket of the person's department.

    Raises:
        NotFound: there is none.
        Forbidden: it is another department's.
    """
    found, user = runtime().tickets.find(number), current_user()
    region = found.region_code or user.region_code
    demand(user, "entry.write", department=found.department, region=region)
    return found
