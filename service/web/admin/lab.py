"""Pages on which a question is asked as anybody and its answer taken apart, and golden questions.

Hides how forms become variants. Asking here leaves no trace; only golden questions are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from kb.errors import DocumentUnreadable, NotFound
from service import guards
from service.accounts import Account
from service.errors import Forbidden, InvalidRequest
from service.evaluation import Comparison, compare
from service.golden import MOST, Golden
from service.lab import OUTCOMES, Asked, Setup, Trial
from service.rights import demand, opens
from service.tunables import CHANNELS, STEP_NAMES, TUNABLES, Tuned
from service.web.admin import section
from service.web.runtime import runtime
from service.web.sign_in import current_user, typed

ACTION = "lab.use"
SHARES = ("wrong_entries", "wrong_clauses", "wrong_options")
# What the fields of the second variant begin with.
SECOND = "b_"
_LONGEST = 64
_DONE = {
    "added": "已加入标准问题，以后改设置前都能用它来试。",
    "removed": "已删除。",
    "same": "文件里没有新的题。",
}


@dataclass(frozen=True)
class Variant:
    """One side of the form: what was typed, what is wrong with it, and what it means.

    Attributes:
        setup: None where something is wrong.
    """

    prefix: str
    typed: Mapping[str, object]
    problems: Mapping[str, str]
    setup: Setup | None


def build() -> Blueprint:
    """The blueprint; for all staff but operators."""
    pages = section(Blueprint("lab", __name__, url_prefix="/admin/lab"), ACTION)

    @pages.context_processor
    def _common() -> dict[str, object]:
        return {
            "outcomes": OUTCOMES,
            "channels": CHANNELS,
            "step_names": STEP_NAMES,
            "tunables": TUNABLES,
            "may_keep": may_keep(current_user()),
            "most": MOST,
        }

    @pages.get("")
    def ask() -> Response:
        return _ask()

    @pages.get("/golden")
    def golden() -> str:
        return _golden_page()

    @pages.post("/golden")
    def keep() -> Response:
        _demand_keeping()
        return _keep()

    @pages.post("/golden/import")
    def take() -> Response:
        _demand_keeping()
        return _take()

    @pages.post("/golden/<int:number>/remove")
    def remove(number: int) -> Response:
        _demand_keeping()
        runtime().golden.remove(number, actor=current_user().name)
        return _to_golden("removed")

    @pages.get("/golden/run")
    def run() -> Response:
        return _run()

    return pages


def may_keep(account: Account) -> bool:
    """Whether an account may add and delete golden questions: whoever writes or reviews."""
    return opens(account, "golden.write")


def _demand_keeping() -> None:
    demand(current_user(), ACTION)
    if not may_keep(current_user()):
        raise Forbidden("您的角色只能看，不能改标准问题")


def _ask() -> Response:
    record = _on_record()
    text = guards.clean(request.args.get("q", record.question if record else ""))
    first = _variant("", record)
    both = request.args.get("compare") == "yes"
    second = _variant(SECOND, record) if both else None
    problem = guards.problem_with(text) if "q" in request.args or record else ""
    variants = [each for each in (first, second) if each]
    wrong = problem or any(each.problems for each in variants)
    trials: list[Trial] = []
    if text and not wrong:
        trials = [runtime().lab.ask(text, each.setup) for each in variants if each.setup]
    page = render_template(
        "admin/lab.html",
        text=text[: guards.MAX_QUESTION],
        problem=problem,
        record=record,
        variants=variants,
        both=both,
        trials=trials,
        done=_DONE.get(request.args.get("done", ""), ""),
        current=runtime().tuning.current(),
        settings_address=_settings_address(first.setup),
        swapped=_other_address(both),
    )
    return make_response(page, 400 if wrong else 200)


def _on_record() -> Asked | None:
    number = request.args.get("exchange", "")[:_LONGEST]
    return runtime().lab.asked(number) if number else None


def _steps(prefix: str, otherwise: Sequence[str]) -> list[str]:
    """The steps that were ticked; the form sends an empty one too, for none is a choice as well."""
    given = request.args.getlist(f"{prefix}steps")
    return [each for each in given if each] if given else list(otherwise)


def _variant(prefix: str, record: Asked | None) -> Variant:
    """One side of the form; what is not given is as it is for citizens now."""
    now = runtime().tuning.current()
    given: dict[str, object] = {
        "channel": _given(prefix, "channel", record.channel if record else "web"),
        "region": _given(prefix, "region", (record.region or "") if record else _home()),
        "as_of": _given(
            prefix, "as_of", (record.as_of if record else runtime().today()).isoformat()
        ),
        "steps": _steps(prefix, now.steps),
    }
    given |= {name: _given(prefix, name, f"{getattr(now, name) * 100:g}") for name in SHARES}
    problems: dict[str, str] = {}
    region, day, tuned = _region(given, problems), _day(given, problems), now
    for name in (*SHARES, "steps"):
        value = given[name]
        try:
            said = value if isinstance(value, list) else [str(value)]
            tuned = replace(tuned, **{name: TUNABLES[name].read(said)})
        except ValueError as error:
            problems[name] = str(error)
    if day is None or problems:
        return Variant(prefix, given, {prefix + k: v for k, v in problems.items()}, None)
    return Variant(prefix, given, {}, Setup(str(given["channel"]), region, day, tuned))


def _given(prefix: str, name: str, default: str) -> str:
    """A field of one side; the second side begins like the first."""
    first = request.args.get(name, default)
    return request.args.get(prefix + name, first)[:_LONGEST].strip()


def _region(given: Mapping[str, object], problems: dict[str, str]) -> str | None:
    try:
        return runtime().regions.resolve(str(given["region"]))
    except NotFound as error:
        problems["region"] = str(error)
        return None


def _day(given: Mapping[str, object], problems: dict[str, str]) -> date | None:
    try:
        return date.fromisoformat(str(given["as_of"]))
    except ValueError:
        problems["as_of"] = "请按“年-月-日”填写日期，如 2026-05-01"
        return None


def _home() -> str:
    return current_user().region_code or runtime().settings.region


def _settings_address(setup: Setup | None) -> str:
    """Where the cuts of a variant can be kept for everybody; empty where they are as they are."""
    now = runtime().tuning.current()
    if setup is None or not opens(current_user(), "settings.change"):
        return ""
    if all(getattr(setup.tuned, name) == getattr(now, name) for name in SHARES):
        return ""
    shares = {name: f"{getattr(setup.tuned, name) * 100:g}" for name in SHARES}
    return f"{url_for('settings.overview')}?{urlencode(shares)}#section-answers"


def _other_address(both: bool) -> str:
    """The same page with, or without, a second variant."""
    kept = [
        (name, value)
        for name, values in request.args.lists()
        for value in values
        if name not in ("compare", "done") and not (both and name.startswith(SECOND))
    ]
    if not both:
        kept += [(f"{SECOND}steps", value) for name, value in kept if name == "steps"]
        kept.append(("compare", "yes"))
    return f"{url_for('lab.ask')}?{urlencode(kept)}"


def _keep() -> Response:
    expect = typed("expect")[:512].strip()
    try:
        region = runtime().regions.resolve(typed("region"))
        runtime().golden.add(
            Golden(guards.clean(typed("question")), expect or None, region),
            actor=current_user().name,
        )
    except NotFound as error:
        raise InvalidRequest({"region": str(error)}) from error
    return _to_golden("added")


def _take() -> Response:
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return make_response(_golden_page(problem="请先选择文件"), 400)
    try:
        runtime().golden.take(upload.read(), actor=current_user().name)
    except DocumentUnreadable as error:
        return make_response(_golden_page(problem=str(error)), 422)
    return _to_golden("added")


def _run() -> Response:
    """Ask all golden questions with the present settings and with those of the form."""
    now = runtime().tuning.current()
    after, problems = now, {}
    for name in SHARES:
        if name in request.args:
            try:
                after = replace(after, **{name: TUNABLES[name].read([request.args[name]])})
            except ValueError as error:
                problems[name] = str(error)
    after = replace(after, steps=TUNABLES["steps"].read(_steps("", after.steps)))
    if problems:
        return make_response(_golden_page(problems=problems), 400)
    questions = runtime().golden.all()[:MOST]
    result = compare(runtime(), questions, now, after) if questions else None
    return make_response(_golden_page(result=result, after=after))


def _golden_page(
    *,
    problem: str = "",
    problems: Mapping[str, str] | None = None,
    result: Comparison | None = None,
    after: Tuned | None = None,
) -> str:
    now = runtime().tuning.current()
    return render_template(
        "admin/golden.html",
        questions=runtime().golden.all(),
        problem=problem,
        problems=problems or {},
        result=result,
        changed=after is not None and after != now,
        shown=after or now,
        given={name: request.args.get(name, "") for name in SHARES},
        shares=SHARES,
        done=_DONE.get(request.args.get("done", ""), ""),
    )


def _to_golden(done: str) -> Response:
    address = f"{url_for('lab.golden')}?{urlencode({'done': done})}"
    return redirect(address, code=303)  # type: ignore[return-value]
