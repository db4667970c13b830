"""Pages on which what others wrote is reviewed, returned, approved and scheduled."""

from datetime import datetime

from flask import Blueprint, Response, make_response, render_template, request

from kb.checks import Finding
from kb.checks import Golden as Asked
from kb.clock import CHINA
from kb.errors import Conflict, InvalidEntry
from kb.history import Version
from kb.models import State
from service.rights import demand
from service.web.admin import section
from service.web.admin.entries import about, done
from service.web.admin.worklist import count, version_of, wanted
from service.web.runtime import runtime
from service.web.sign_in import current_user, see_other, typed

PER_PAGE = 30


def build() -> Blueprint:
    """The blueprint; for those who review."""
    pages = section(Blueprint("reviews", __name__, url_prefix="/admin/reviews"), "entry.review")

    @pages.get("")
    def queue() -> str:
        return _queue()

    @pages.get("/<int:number>")
    def one(number: int) -> Response:
        return _page(_reviewable(number))

    @pages.post("/<int:number>/approve")
    def approve(number: int) -> Response:
        return _approve(_reviewable(number))

    @pages.post("/<int:number>/return")
    def send_back(number: int) -> Response:
        version, reason = _reviewable(number), typed("reason")
        try:
            runtime().versions.return_(version.id, actor=current_user().name, reason=reason)
        except InvalidEntry as error:
            return _page(version, 400, problems=error.fields)
        except Conflict as error:
            return _page(version, 409, refused=str(error))
        return see_other("/admin/reviews?done=return")

    @pages.post("/<int:number>/publish")
    def publish(number: int) -> Response:
        version = _reviewable(number)
        try:
            runtime().versions.publish(version.id, actor=current_user().name)
        except (InvalidEntry, Conflict) as error:
            return _page(version, 409, refused=str(error))
        return see_other(f"/admin/entries/{version.entry_id}?done=publish")

    return pages


def _queue() -> str:
    user = current_user()
    shown = "scheduled" if request.args.get("show") == "scheduled" else "to_review"
    page = max(1, min(request.args.get("page", 1, type=int), 100_000))
    tasks, total = runtime().history.work(
        wanted(user, shown, "entry.review"), offset=(page - 1) * PER_PAGE, limit=PER_PAGE
    )
    return render_template(
        "admin/reviews.html",
        tasks=tasks,
        total=total,
        shown=shown,
        counts={kind: count(user, kind, "entry.review") for kind in ("to_review", "scheduled")},
        page=page,
        pages=max(1, -(-total // PER_PAGE)),
        address=lambda number: f"/admin/reviews?show={shown}&page={number}",
        done=done(),
    )


def _approve(version: Version) -> Response:
    at, problem = None, ""
    if request.form.get("when") == "later":
        at, problem = _moment(typed("publish_at"))
    if problem:
        return _page(version, 400, problems={"publish_at": problem})
    try:
        held = runtime().versions.approve(
            version.id, actor=current_user().name, comment=typed("comment"), publish_at=at
        )
    except InvalidEntry as error:
        return _page(version, 409, refused=f"现在不能发布：{error}")
    except Conflict as error:
        return _page(version, 409, refused=str(error))
    step = "schedule" if held.state is State.APPROVED else "approve"
    return see_other(f"/admin/entries/{version.entry_id}?done={step}")


def _moment(text: str) -> tuple[datetime | None, str]:
    """A time in China as browsers send it, or what is wrong with it."""
    try:
        at = datetime.fromisoformat(text.strip()).replace(tzinfo=CHINA)
    except ValueError:
        return None, "请写发布的日期和时间，如 2026-01-05T09:00"
    if at <= runtime().now():
        return None, "发布时间已经过了；要马上发布请选“现在”"
    return at, ""


def _page(version: Version, status: int = 200, **said: object) -> Response:
    """The page on which a version is reviewed.

    Args:
        said: `problems` of a form, or why it was `refused`.
    """
    version = runtime().history.version(version.id)
    page = render_template(
        "admin/reviews_one.html",
        **about(version),
        worse=_worse(version),
        done=done(),
        typed=request.form if request.method == "POST" else {},
        **{"problems": {}, "refused": "", **said},
    )
    return make_response(page, status)


def _worse(version: Version) -> list[Finding]:
    """Golden questions that publishing would answer worse."""
    if version.state is not State.SUBMITTED:
        return []
    golden = [each for each in runtime().golden.all() if each.expect and each.as_of is None]
    codes = runtime().history.coded({str(each.expect) for each in golden})
    asked = []
    for each in golden:
        kind, _, number = str(each.expect).partition(":")
        keyed = int(number) if kind == "entry" and number.isdecimal() else None
        entry_id = keyed or codes.get(str(each.expect))
        if entry_id:
            asked.append(Asked(each.question, entry_id, each.region))
    return runtime().checks.worse(version.record, version.entry_id, asked)


def _reviewable(number: int) -> Version:
    """A version that is the signed-in person's to review.

    Raises:
        NotFound: there is none that they may see.
        Forbidden: it is only for them to see.
    """
    user = current_user()
    version = version_of(user, number)
    record = version.record
    demand(user, "entry.review", department=record.department, region=record.region or None)
    return version
