"""The operator's console: from the first key to what is read out, and how the call ended.

Every step works as a plain page; `static/operator.js` fetches the same pieces while typing.
Hides screen pops, which pieces a page is made of, and whether a person or a script asks.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, render_template, request

from kb.errors import NotFound
from kb.passages import Passage
from kb.search import Scope
from service import guards
from service.desk.calls import WRAP_UPS
from service.desk.finding import SHOWN
from service.desk.readout import Readout, readout
from service.desk.reports import REASONS
from service.web.requests import wants_page
from service.web.responses import ok, require
from service.web.runtime import runtime
from service.web.sign_in import current_user, guarded
from service.wording import display_moment_of, display_time_of

# Seconds by which the clock of a telephone system may be off.
FRESH = 300
_LONGEST = 128


@dataclass(frozen=True)
class Opened:
    """A passage on the desk."""

    passage: Passage
    said: Readout
    favourite: bool
    reported: tuple[str, ...]


def build() -> Blueprint:
    """The blueprint; for operators and administrators."""
    console = guarded(Blueprint("operators", __name__, url_prefix="/operator"), "operator", "admin")

    console.add_app_template_filter(display_time_of, "local_time")
    console.add_app_template_filter(display_moment_of, "local_moment")

    @console.context_processor
    def _common() -> dict[str, object]:
        return {"wrap_ups": WRAP_UPS, "reasons": REASONS, "badges": badges}

    @console.get("")
    def desk() -> str | Response:
        if "call_id" in request.args or "ani" in request.args:
            return _screen_pop()
        return _typed()

    @console.get("/results")
    def results() -> str:
        text = _text()
        return render_template("operator/results.html", text=text, results=_results(text))

    @console.get("/passage")
    def passage() -> str:
        text = _text()
        opened = _opened(request.args.get("key", "")[:_LONGEST], text)
        return render_template("operator/passage.html", text=text, opened=opened)

    @console.post("/lookups")
    def looked_up() -> str | Response:
        return _looked_up()

    @console.post("/calls")
    def start() -> Response:
        runtime().calls.start(current_user().id, region_code=_home())
        return _back()

    @console.post("/wrap-up")
    def wrap_up() -> Response:
        code, note = request.form.get("code", ""), request.form.get("note", "")
        runtime().calls.wrap_up(current_user().id, code, note)
        return _back(done="wrapped")

    @console.post("/favourites")
    def favour() -> Response:
        found = _passage(request.form.get("key", ""))
        kept = runtime().calls.favour(current_user().id, found)
        return _back(q=_text(), key=found.key) if wants_page() else ok(kept=kept)

    @console.post("/reports")
    def report() -> Response:
        found = _passage(request.form.get("key", ""))
        reason, note = request.form.get("reason", ""), request.form.get("note", "")
        reported = runtime().reports.toggle(current_user().id, found, reason, note)
        return _back(q=_text(), key=found.key) if wants_page() else ok(reported=reported)

    @console.get("/shift")
    def shift() -> str:
        user, day = current_user(), _day(request.args.get("day", ""))
        calls = runtime().calls
        everyone = calls.shifts(day) if user.role == "admin" else ()
        own = calls.shift(day, user.id)
        return render_template("operator/shift.html", day=day, own=own, everyone=everyone)

    return console


def badges() -> dict[str, object]:
    """What the head of every operator's page counts; not worked out for pieces of pages."""
    queue = runtime().handoffs.queue()
    mine = [row for row in queue if row.operator_id == current_user().id]
    return {
        "waiting": sum(row.state == "waiting" for row in queue),
        "unread": sum(row.unread > 0 for row in mine),
        "overdue": runtime().tickets.overdue(),
    }


def scope() -> Scope:
    """Where the person on the line is, else where the operator works, as of today."""
    call = runtime().calls.current(current_user().id)
    return Scope(as_of=runtime().today(), region=(call.region_code if call else None) or _home())


def _desk(template: str, **values: object) -> str:
    calls, user = runtime().calls, current_user()
    return render_template(
        template,
        call=calls.current(user.id),
        favourites=calls.favourites(user.id),
        recent=calls.recent(user.id),
        now=runtime().now(),
        **values,
    )


def _typed() -> str:
    """The desk with what was asked for, and what of it is open or comes first."""
    text, key = _text(), request.args.get("key", "")[:_LONGEST]
    results = _results(text)
    opened = _opened(key, text) if key else None
    if opened or (text and not results):
        runtime().calls.looked_up(current_user().id, text, opened.passage if opened else None)
    shown = opened or (_opened(results[0].key, text) if results else None)
    return _desk("operator/desk.html", text=text, results=results, opened=shown)


def _looked_up() -> str | Response:
    key, text = request.form.get("key", "")[:_LONGEST], _text()
    found = _passage(key) if key else None
    copied = request.form.get("copied") == "yes"
    runtime().calls.looked_up(current_user().id, text, found, copied=copied)
    return _back(q=text, key=key) if wants_page() else _desk("operator/call.html")


def _text() -> str:
    return guards.clean(request.values.get("q", "").replace("\x00", ""))[: guards.MAX_QUESTION]


def _results(text: str) -> tuple[Passage, ...]:
    return runtime().finder.find(text, scope())[:SHOWN] if text else ()


def _passage(key: str) -> Passage:
    found = runtime().library.passages([key], runtime().today())
    if not found:
        raise NotFound("没有这条内容，或者它已不再公开")
    return found[0]


def _opened(key: str, text: str) -> Opened:
    passage = _passage(key)
    quote = runtime().search.quote(text, passage) if passage.kind == "clause" else None
    calls = runtime().calls
    return Opened(
        passage,
        readout(passage, quote),
        passage.key in [each.passage for each in calls.favourites(current_user().id)],
        runtime().reports.reasons(passage.key),
    )


def _home() -> str | None:
    return current_user().region_code or runtime().regions.resolve(runtime().settings.region)


def _back(**parameters: str) -> Response:
    """The console again; a script follows or ignores it."""
    query = urlencode({name: value for name, value in parameters.items() if value})
    return redirect(f"/operator?{query}" if query else "/operator", code=303)  # type: ignore[return-value]


def _screen_pop() -> Response:
    """Begin the call that the telephone system announces, and take its number off the address."""
    given = {name: value[:_LONGEST] for name, value in request.args.items()}
    if not _genuine(given):
        return _back(q=_text(), pop="refused")
    facts = {"工单": "ticket", "队列": "queue", "拨入": "dnis"}
    try:
        region = runtime().regions.resolve(given.get("region", "")) or _home()
    except NotFound:
        region = _home()
    runtime().calls.start(
        current_user().id,
        external=given.get("call_id", ""),
        number=given.get("ani", ""),
        region_code=region,
        note="；".join(f"{name}：{given[key]}" for name, key in facts.items() if given.get(key)),
    )
    return _back(q=_text())


def _genuine(given: dict[str, str]) -> bool:
    """Whether a screen pop is signed by who knows the secret, where there is one."""
    secret = runtime().settings.cti_secret
    if not secret:
        return True
    moment = given.get("ts", "")
    if not moment.isascii() or not moment.isdigit():
        return False
    message = "|".join((given.get("call_id", ""), given.get("ani", ""), moment))
    expected = hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
    fresh = abs(runtime().now().timestamp() - int(moment)) <= FRESH
    return hmac.compare_digest(given.get("sig", "").lower().encode(), expected.encode()) and fresh


def _day(text: str) -> date:
    if not text:
        return runtime().today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        require(False, "day", "日期应写成 2026-01-15 的样子")
        raise
