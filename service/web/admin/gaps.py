"""Pages on which departments turn unanswered questions into entries; hides who sees which."""

from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, render_template, request
from markupsafe import Markup

from kb.errors import NotFound
from service.accounts import Account
from service.errors import Forbidden
from service.insights.charts import spark
from service.insights.evidence import KINDS
from service.insights.figures import CHANNELS
from service.insights.gaps import NO_GAP, PAGE, STATES, Gaps, GapView, Sieve
from service.insights.phrasings import NO_PROPOSAL, Phrasings, Proposal
from service.rights import RIGHTS, Reach, demand, may
from service.web.admin import section
from service.web.runtime import runtime
from service.web.sign_in import current_user

_LONGEST = 256
_SHOWN = {"": "待办", "overdue": "超期", **STATES}
_SIGNS = {"open": "", "assigned": "due", "drafted": "", "answered": "good", "dismissed": ""}


def build() -> Blueprint:
    """The blueprint; for those who may see gaps."""
    pages = section(Blueprint("gaps", __name__, url_prefix="/admin"), "gap.read")

    @pages.context_processor
    def _common() -> dict[str, object]:
        return {"states": STATES, "signs": _SIGNS, "kinds": KINDS, "channels": CHANNELS}

    @pages.get("/gaps")
    def gaps() -> str:
        return _listed()

    @pages.get("/gaps/<int:number>")
    def gap(number: int) -> str:
        return _one(number)

    @pages.post("/gaps/<int:number>/assign")
    def assign(number: int) -> Response:
        _demand(number, "gap.assign")
        _gaps().assign(number, _typed("department"), actor=current_user().name)
        return _to(number)

    @pages.post("/gaps/<int:number>/dismiss")
    def dismiss(number: int) -> Response:
        _demand(number, "gap.assign", "entry.write")
        _gaps().dismiss(number, request.form.get("reason", "")[:1000], actor=current_user().name)
        return _to(number)

    @pages.post("/gaps/<int:number>/reopen")
    def reopen(number: int) -> Response:
        _demand(number, "gap.assign", "entry.write")
        _gaps().reopen(number, actor=current_user().name)
        return _to(number)

    @pages.post("/gaps/<int:number>/draft")
    def draft(number: int) -> Response:
        view, user = _visible(number), current_user()
        department = user.department or _typed("department") or view.department
        demand(user, "entry.write", department=department, region=_region(view, user))
        _gaps().draft(number, department=department, actor=user.name)
        return _to(number)

    @pages.post("/gaps/<int:number>/phrasings")
    def phrasings(number: int) -> Response:
        _visible(number)
        entry_id = request.form.get("entry", type=int) or 0
        _demand_entry(entry_id)
        texts = [text[:_LONGEST] for text in request.form.getlist("phrasings")]
        _gaps().add_phrasings(number, entry_id, texts, actor=current_user().name)
        return _to(number)

    @pages.get("/phrasings")
    def proposals() -> str:
        user = current_user()
        held = _phrasings().listed(user.department if _own_only(user) else None)
        return render_template("admin/gaps_phrasings.html", proposals=held)

    @pages.post("/phrasings/<int:number>/<any(accept, dismiss):step>")
    def decide(number: int, step: str) -> Response:
        return _decide(number, step)

    return pages


def _listed() -> str:
    user = current_user()
    shown = request.args.get("show", "")
    department = request.args.get("department", "")[:_LONGEST]
    wanted: str | None = department or None
    if _own_only(user):
        wanted = user.department
    elif department == "-":
        wanted = ""
    sieve = Sieve(
        state=shown if shown in STATES else "",
        department=wanted,
        region=user.region_code,
        overdue=shown == "overdue",
        several=not request.args.get("single"),
        text=request.args.get("q", "")[:_LONGEST],
    )
    page = max(1, min(request.args.get("page", 1, type=int), 10_000))
    held, total = _gaps().listed(sieve, page=page)
    return render_template(
        "admin/gaps.html",
        gaps=held,
        total=total,
        shown=shown,
        tabs=_SHOWN,
        counts=_gaps().counts(sieve),
        page=page,
        pages=-(-total // PAGE),
        at=lambda number: f"/admin/gaps?{urlencode({**request.args, 'page': number})}",
        tab=lambda name: f"/admin/gaps?{urlencode({**request.args, 'show': name, 'page': 1})}",
        departments=() if _own_only(user) else _gaps().departments(),
    )


def _one(number: int) -> str:
    view, user = _visible(number), current_user()
    details = _gaps().details(number)
    region = _region(view, user)
    drawn = Markup(spark("最近 28 天每天的提问数", [count for _, count in details.days]))
    return render_template(
        "admin/gap.html",
        gap=view,
        details=details,
        spark=drawn,
        departments=_gaps().departments(),
        may_assign=may(user, "gap.assign", department=view.department, region=region),
        may_write=may(
            user, "entry.write", department=user.department or view.department, region=region
        ),
    )


def _decide(number: int, step: str) -> Response:
    proposal: Proposal = _phrasings().find(number)
    user = current_user()
    region = proposal.region_code or user.region_code
    if not may(user, "entry.write", department=proposal.department, region=region):
        raise NotFound(NO_PROPOSAL)
    if step == "accept":
        _phrasings().accept(number, actor=user.name)
    else:
        _phrasings().dismiss(number, actor=user.name)
    return redirect("/admin/phrasings", code=303)  # type: ignore[return-value]


def _visible(number: int) -> GapView:
    """A gap that the signed-in person may see.

    Raises:
        NotFound: there is none, or it belongs to another department or region.
    """
    view, user = _gaps().find(number), current_user()
    if not may(user, "gap.read", department=view.department, region=_region(view, user)):
        raise NotFound(NO_GAP)
    return view


def _demand(number: int, *actions: str) -> None:
    """Refuse unless one of some actions is allowed on a gap.

    Raises:
        Forbidden: none is.
    """
    view, user = _visible(number), current_user()
    held = {"department": view.department, "region": _region(view, user)}
    if not any(may(user, action, **held) for action in actions):  # type: ignore[arg-type]
        raise Forbidden("您的账号没有这项权限，或者它不在您负责的单位和地区之内")


def _demand_entry(entry_id: int) -> None:
    passage = runtime().library.entry(entry_id, runtime().today())
    user = current_user()
    region = passage.region_code
    demand(user, "entry.write", department=passage.department, region=region)


def _region(view: GapView, user: Account) -> str | None:
    """Where a gap belongs; one asked for from nowhere in particular is anybody's."""
    return view.region_code or user.region_code


def _own_only(user: Account) -> bool:
    return RIGHTS["gap.read"][user.role] == Reach.OWN and bool(user.department)


def _gaps() -> Gaps:
    return runtime().insights.gaps


def _phrasings() -> Phrasings:
    return runtime().insights.phrasings


def _typed(name: str) -> str:
    return request.form.get(name, "").strip()[:_LONGEST]


def _to(number: int) -> Response:
    return redirect(f"/admin/gaps/{number}", code=303)  # type: ignore[return-value]
