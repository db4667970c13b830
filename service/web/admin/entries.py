"""Pages on which entries are found, looked at with their whole history, confirmed and withdrawn."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, render_template, request

from kb.clock import end_of
from kb.differences import ClauseChange
from kb.errors import Conflict, InvalidEntry, NotFound
from kb.history import Raised, Version, Wanted
from kb.journal import Wanted as AuditWanted
from kb.journal import entry_group
from kb.metadata import parse_date
from kb.models import State
from kb.steps import CALLED
from service.accounts import Account
from service.answers_on_record import AnswersOnRecord
from service.channels.dress import dressed
from service.conversations import Answer, Contact, Outcome
from service.errors import Forbidden
from service.replies import reply_of
from service.rights import RIGHTS
from service.web.admin import section
from service.web.admin.audit_words import ACTIONS, ACTORS
from service.web.admin.entry_words import (
    blocks,
    flag_effect,
    flag_said,
    origin_name,
    state_name,
    state_sign,
)
from service.web.admin.worklist import allowed, count, entry_of, reach, version_of, wanted
from service.web.runtime import runtime
from service.web.sign_in import current_user, see_other, typed
from service.wording import HOTLINE_PHONE

PER_PAGE = 30
KINDS = {
    "mine": "我的",
    "published": "已公开",
    "flagged": "依据有变",
    "due": "该复核",
    "scheduled": "待发布",
    "all": "全部",
}
ORDERS = {
    "": "默认",
    "newest": "最近改动的在前",
    "oldest": "最早改动的在前",
    "question": "按标准问",
}
# What a message may have on the platform with the least room, in bytes of UTF-8.
MESSAGE = 2048
TRAIL = 30
_LONGEST = 128
_DONE = {
    "submit": "已经送审。审核的人会在“审核”里看到；群众看到的答复暂时不变。",
    "discard": "草稿已放弃，仍留在历史里。",
    "withdraw": "已撤回，群众不会再得到这条答复。",
    "confirm": "已确认继续有效。",
    "approve": "审核通过，已发布，群众马上能得到这条答复。",
    "schedule": "审核通过，到时间自动发布。",
    "return": "已退回给写的人。",
    "publish": "已发布，群众马上能得到这条答复。",
}


def build() -> Blueprint:
    """The blueprint; for those who may read entries."""
    pages = section(Blueprint("entries", __name__, url_prefix="/admin/entries"), "entry.read")
    for function in (state_name, state_sign, origin_name, flag_said, blocks):
        pages.add_app_template_filter(function)

    @pages.app_context_processor
    def _common() -> dict[str, object]:
        return {"flag_effect": lambda flag: flag_effect(flag, runtime().today())}

    @pages.get("")
    def listed() -> str:
        return _listed()

    @pages.get("/<int:number>")
    def one(number: int) -> Response:
        return _one(number)

    @pages.get("/<int:number>/difference")
    def difference(number: int) -> str:
        return _difference(number)

    @pages.post("/<int:number>/withdraw")
    def withdraw(number: int) -> Response:
        return _withdraw(number)

    @pages.post("/<int:number>/confirm")
    def confirm(number: int) -> Response:
        return _confirm(number)

    @pages.get("/versions/<int:number>")
    def version(number: int) -> str:
        user = current_user()
        held = version_of(user, number)
        return render_template("admin/entries_version.html", **about(held), done=done())

    @pages.get("/versions/<int:number>/preview")
    def preview(number: int) -> str:
        return _preview(version_of(current_user(), number))

    return pages


def done() -> str:
    """What was just done, in words; empty for nothing."""
    return _DONE.get(request.args.get("done", ""), "")


def about(version: Version) -> dict[str, object]:
    """What the pages of one version show: its words, its bases, its faults, what it changes."""
    history, user = runtime().history, current_user()
    current = history.current(version.entry_id)
    base = current if current and current.id != version.id else None
    open_one = version.state in (State.DRAFT, State.SUBMITTED, State.APPROVED)
    return {
        "version": version,
        "record": version.record,
        "current": current,
        "changes": history.difference(base.id, version.id) if base and open_one else (),
        "cited": history.passage(version, runtime().today()).citations,
        "findings": runtime().checks.findings(version.record, version.entry_id) if open_one else (),
        "trail": trail(version.entry_id),
        "may_write": allowed(user, "entry.write", version),
        "may_review": allowed(user, "entry.review", version)
        and user.name not in version.contributors,
        "own": user.name in version.contributors,
    }


def trail(entry_id: int) -> list[dict[str, object]]:
    """What was done to an entry, the latest first, in words."""
    rows, _ = runtime().audit_log.page(AuditWanted(subject=entry_group(entry_id)), limit=TRAIL)
    return [
        {
            "at": row.at,
            "who": ACTORS.get(row.actor, row.actor),
            "what": ACTIONS.get(row.action, row.action),
            "version": row.detail.get("version", ""),
            "said": row.detail.get("reason") or row.detail.get("comment") or row.detail.get("note"),
        }
        for row in rows
        if row.action not in ("entry.flag", "entry.lift")
    ]


def _listed() -> str:
    user = current_user()
    given = {
        name: request.args.get(name, "")[:_LONGEST].strip()
        for name in ("kind", "q", "department", "topic", "region", "state", "order")
    }
    kinds = {k: v for k, v in KINDS.items() if k != "mine" or RIGHTS["entry.write"][user.role]}
    kind = given["kind"] if given["kind"] in kinds else ""
    if not kind:
        writes = "mine" in kinds and count(user, "mine", "entry.read")
        kind = "mine" if writes and not given["q"] else "published"
    sought, problem = _wanted(user, {**given, "kind": kind})
    page = max(1, min(request.args.get("page", 1, type=int), 100_000))
    tasks, total = runtime().history.work(sought, offset=(page - 1) * PER_PAGE, limit=PER_PAGE)
    kept = {name: value for name, value in {**given, "kind": kind}.items() if value}

    def address(number: int) -> str:
        return f"/admin/entries?{urlencode({**kept, 'page': number})}"

    def tab(name: str) -> str:
        return f"/admin/entries?{urlencode({**kept, 'kind': name, 'state': ''})}"

    own, _ = reach(user, "entry.read")
    return render_template(
        "admin/entries.html",
        tasks=tasks,
        total=total,
        given=given,
        kind=kind,
        kinds=kinds,
        orders=ORDERS,
        states=CALLED if kind == "all" else {},
        departments=[] if own else runtime().history.departments(),
        topics=runtime().history.topics(),
        problem=problem,
        page=page,
        pages=max(1, -(-total // PER_PAGE)),
        address=address,
        tab=tab,
        may_write=bool(RIGHTS["entry.write"][user.role]),
        done=done(),
    )


def _wanted(user: Account, given: dict[str, str]) -> tuple[Wanted, str]:
    """What the filters ask for within what somebody may read, and what is wrong with them."""
    within = wanted(user, given["kind"], "entry.read")
    problem, region = "", within.region
    if given["region"]:
        try:
            chosen = runtime().regions.resolve(given["region"])
        except NotFound as error:
            problem, chosen = str(error), None
        # Within one's own region only a narrower one is a choice.
        inside = chosen and (not region or region in runtime().regions.path(chosen))
        region = chosen if inside else region
    state = given["state"] if given["state"] in [each.value for each in State] else ""
    return replace(
        within,
        department=within.department or given["department"],
        region=region,
        text=given["q"],
        topic=given["topic"],
        state=state if given["kind"] == "all" else "",
        order=given["order"] if given["order"] in ORDERS else "",
    ), problem


def _one(number: int, status: int = 200, **said: object) -> Response:
    """The page of an entry.

    Args:
        said: `problems` of a form, or why it was `refused`.
    """
    user, history = current_user(), runtime().history
    versions = entry_of(user, number)
    shown = versions[0]
    current = history.current(number)
    flags = history.flags(number)
    standing = [each for each in flags if not each.resolved_at]
    day = parse_date(request.args.get("day", "")[:32]) if request.args.get("day") else None
    listed = sorted(versions, key=lambda each: -each.number)
    page = render_template(
        "admin/entries_one.html",
        number=number,
        version=shown,
        record=shown.record,
        current=current,
        open_version=history.open(number),
        versions=listed,
        flags=standing,
        settled=[each for each in flags if each.resolved_at],
        altered={flag.id: list(_altered(flag)) for flag in standing},
        cited=history.passage(shown, runtime().today()).citations,
        day=day,
        asked_day=request.args.get("day", ""),
        then=_then(number, day) if day else None,
        trail=trail(number),
        answers=AnswersOnRecord(runtime().db).of_entry(number),
        may_write=allowed(user, "entry.write", shown),
        may_withdraw=allowed(user, "entry.withdraw", shown),
        may_confirm=_may_confirm(user, shown, standing),
        next_review=(runtime().today() + timedelta(days=365)).isoformat(),
        done=done(),
        typed=request.form if request.method == "POST" else {},
        **{"problems": {}, "refused": "", **said},
    )
    return make_response(page, status)


def _then(number: int, day: date) -> Version | None:
    """What citizens got at the end of a day, or by now."""
    return runtime().history.public_at(
        number, min(end_of(day) - timedelta(seconds=1), runtime().now())
    )


def _altered(flag: Raised) -> Iterator[ClauseChange]:
    """What of a document changed under an entry: the cited article, or all for a whole one."""
    if flag.reason not in ("amended", "removed", "renumbered"):
        return
    amendments = runtime().amendments
    turned = amendments.turning(flag.document_id, flag.since)
    if turned is None:
        return
    for each in amendments.changes(flag.document_id, old=turned[0], new=turned[1]):
        cited = not flag.article or each.old_locator.startswith(flag.article)
        if each.kind != "unchanged" and cited:
            yield each


def _may_confirm(user: Account, version: Version, flags: Sequence[Raised]) -> bool:
    """Whether somebody may vouch for an entry: what is withheld takes a reviewer."""
    if allowed(user, "entry.review", version):
        return True
    withheld = any(flag.withhold_on for flag in flags)
    return not withheld and allowed(user, "entry.write", version)


def _difference(number: int) -> str:
    versions = {each.number: each for each in entry_of(current_user(), number)}
    old = versions.get(request.args.get("old", 0, type=int))
    new = versions.get(request.args.get("new", 0, type=int))
    if old is None or new is None:
        raise NotFound("没有这一版")
    changes = runtime().history.difference(old.id, new.id)
    return render_template(
        "admin/entries_difference.html", number=number, old=old, new=new, changes=changes
    )


def _withdraw(number: int) -> Response:
    user = current_user()
    shown = entry_of(user, number)[0]
    _demand(allowed(user, "entry.withdraw", shown))
    try:
        runtime().versions.withdraw(number, actor=user.name, reason=typed("reason"))
    except InvalidEntry as error:
        return _one(number, 400, problems=error.fields)
    except Conflict as error:
        return _one(number, 409, refused=str(error))
    return see_other(f"/admin/entries/{number}?done=withdraw")


def _confirm(number: int) -> Response:
    user = current_user()
    shown = entry_of(user, number)[0]
    standing = [each for each in runtime().history.flags(number) if not each.resolved_at]
    _demand(_may_confirm(user, shown, standing))
    text = typed("review_due").strip()
    due = parse_date(text) if text else None
    if text and due is None:
        return _one(number, 400, problems={"review_due": "“复核日期”应写成年月日，如 2026-01-05"})
    try:
        runtime().versions.confirm(number, actor=user.name, note=typed("note"), review_due=due)
    except InvalidEntry as error:
        return _one(number, 400, problems=error.fields)
    except Conflict as error:
        return _one(number, 409, refused=str(error))
    return see_other(f"/admin/entries/{number}?done=confirm")


def _demand(allowed_: bool) -> None:
    if not allowed_:
        raise Forbidden("您的账号没有这项权限，或者它不在您负责的单位和地区之内")


def _preview(version: Version) -> str:
    """A version as citizens would get it: on a page, and as the message of a bot."""
    passage = runtime().history.passage(version, runtime().today())
    record = version.record
    answer = Answer(
        Outcome.ANSWERED,
        record.answer,
        entry=passage,
        citations=passage.citations,
        contact=Contact(record.department, record.phone or HOTLINE_PHONE),
    )
    message = dressed(reply_of(answer, runtime().settings.public_url or ""), MESSAGE)
    return render_template(
        "admin/entries_preview.html",
        version=version,
        question=record.question,
        answer=answer,
        message=message,
        writable=version.state is State.DRAFT and allowed(current_user(), "entry.write", version),
    )
