"""Pages on which administrators change settings while the service runs; hides how forms are read.

Each form changes one section, with a comment; stopping all answers takes two clicks.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from kb.errors import Conflict, NotFound
from service.errors import InvalidRequest
from service.rights import demand
from service.tunables import EVERYWHERE, SECTIONS, TUNABLES, Tunable
from service.tuning import MOST_COMMENT, Changed
from service.web.admin import section
from service.web.runtime import runtime
from service.web.sign_in import current_user, typed

ACTION = "settings.change"
# The stop has a page of its own.
STOP = "stop"


def build() -> Blueprint:
    """The blueprint; for those who change settings."""
    pages = section(Blueprint("settings", __name__, url_prefix="/admin/settings"), ACTION)

    @pages.app_context_processor
    def _everywhere() -> dict[str, object]:
        return {"stopped_channels": stopped_channels}

    @pages.get("")
    def overview() -> Response:
        return _overview()

    @pages.post("/<name>")
    def change(name: str) -> Response:
        demand(current_user(), ACTION)
        if name not in SECTIONS or name == STOP:
            raise NotFound("没有这一组设置")
        return _change(name)

    @pages.get("/stop")
    def stop() -> Response:
        return _stop_page()

    @pages.post("/stop")
    def stop_now() -> Response:
        demand(current_user(), ACTION)
        return _stop()

    return pages


def stopped_channels() -> str:
    """Names of the channels that answer nothing automatically; empty for none."""
    tunable = TUNABLES["stopped"]
    stopped = runtime().tuning.stopped()
    return tunable.shown(stopped) if stopped else ""


def _overview() -> Response:
    """All settings; what the lab wants to be kept stands in its form already."""
    done = request.args.get("done", "")
    done = done if done in SECTIONS or done == "nothing" else ""
    for name in SECTIONS:
        fields = [each.name for each in _fields(name)]
        given = {each: request.args.getlist(each) for each in fields if each in request.args}
        if given and len(given) == len(fields):
            return _page(section=name, given=given, done=done)
    return _page(done=done)


def _fields(name: str) -> list[Tunable]:
    return [each for each in TUNABLES.values() if each.section == name]


def _change(name: str) -> Response:
    tuning, fields = runtime().tuning, {each.name: each for each in _fields(name)}
    given = {each: request.form.getlist(each) for each in fields}
    try:
        reset = typed("reset")
        values = {reset: None} if reset in fields else tuning.read(given)
        changed = tuning.save(
            values,
            actor=current_user().name,
            comment=typed("comment"),
            seen=request.form.get("seen", -1, type=int),
        )
    except InvalidRequest as error:
        return _page(400, section=name, given=given, problems=error.fields)
    except Conflict as error:
        return _page(409, section=name, given=given, refused=str(error))
    return _to(name if changed else "nothing", name)


def _stop() -> Response:
    chosen = request.form.getlist("stopped")
    try:
        runtime().tuning.stop(chosen, actor=current_user().name, comment=typed("comment"))
    except InvalidRequest as error:
        return _stop_page(400, problems=error.fields, chosen=chosen)
    return _to(STOP, "")


def _page(
    status: int = 200,
    *,
    section: str = "",
    given: Mapping[str, Sequence[str]] | None = None,
    problems: Mapping[str, str] | None = None,
    **said: str,
) -> Response:
    """All settings.

    Args:
        section: whose form was not kept.
        given: what was typed in it.
        said: `done` or `refused`.
    """
    tuned, changes = runtime().tuning.fresh()
    page = render_template(
        "admin/settings.html",
        sections={name: _fields(name) for name in SECTIONS if name != STOP},
        titles=SECTIONS,
        tuned=tuned,
        defaults=runtime().tuning.defaults,
        changes=changes,
        seen={name: _seen(name, changes) for name in SECTIONS},
        failed=section,
        given=given or {},
        problems=problems or {},
        comment=typed("comment")[:MOST_COMMENT] if section else "",
        closed=runtime().tuning.closed(),
        **said,
    )
    return make_response(page, status)


def _stop_page(
    status: int = 200,
    *,
    problems: Mapping[str, str] | None = None,
    chosen: Sequence[str] | None = None,
) -> Response:
    tuned, changes = runtime().tuning.fresh()
    page = render_template(
        "admin/settings_stop.html",
        tunable=TUNABLES["stopped"],
        stopped=tuned.stopped,
        # Who comes here wants everything to stop at once.
        chosen=chosen if chosen is not None else (tuned.stopped or (EVERYWHERE,)),
        words=tuned.stopped_words,
        change=changes.get("stopped"),
        problems=problems or {},
    )
    return make_response(page, status)


def _seen(name: str, changes: Mapping[str, Changed]) -> int:
    """The highest version of a section's settings."""
    return max(
        (changes[each.name].version for each in _fields(name) if each.name in changes), default=0
    )


def _to(done: str, anchor: str) -> Response:
    address = f"{url_for('settings.overview')}?{urlencode({'done': done})}"
    return redirect(f"{address}#section-{anchor}" if anchor else address, code=303)  # type: ignore[return-value]
