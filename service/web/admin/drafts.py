"""Pages on which a draft is written, looked over and handed in; hides how edits that cross meet.

One form does everything by the button that sent it, so that nothing typed is ever lost: what could
not be saved comes back with the reason beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flask import Blueprint, Response, make_response, render_template, request

from kb.checks import BLOCK, Finding
from kb.differences import FieldChange, record_difference
from kb.errors import Conflict, InvalidEntry
from kb.exchange import EntryRecord
from kb.history import Version
from kb.models import State
from service.errors import InvalidRequest
from service.rights import demand, opens
from service.web.admin import section
from service.web.admin.entry_form import (
    as_typed,
    clauses,
    only_own,
    read,
    typed_record,
    with_basis,
)
from service.web.admin.worklist import entry_of, version_of
from service.web.runtime import runtime
from service.web.sign_in import current_user, see_other, typed

_BLANK = EntryRecord("", "", "")
_DONE = {"save": "草稿已保存。", "draft": "已经开了一份草稿，群众看到的答复暂时不变。"}


@dataclass(frozen=True)
class _Said:
    """What a page of the form says besides the fields.

    Attributes:
        problems: field → what is wrong.
        refused: why nothing was saved.
        differing: between what somebody else saved meanwhile and what was typed.
        seen: what the next saving has taken into account; None for what is kept.
        based_on: a later public version that it has taken into account.
    """

    problems: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    differing: tuple[FieldChange, ...] = ()
    seen: int | None = None
    based_on: int | None = None
    done: str = ""


def build() -> Blueprint:
    """The blueprint; for those who write."""
    pages = section(Blueprint("drafts", __name__, url_prefix="/admin/entries"), "entry.write")

    @pages.get("/new")
    def new() -> Response:
        user = current_user()
        region = runtime().regions.value(user.region_code) if user.region_code else ""
        given = as_typed(_BLANK) | {"department": user.department, "region": region}
        return _page(None, given | {"question": request.args.get("q", "")[:200]})

    @pages.post("/new")
    def begin() -> Response:
        return _sent(None)

    @pages.post("/<int:number>/draft")
    def revise(number: int) -> Response:
        return _revise(number)

    @pages.get("/versions/<int:number>/edit")
    def edit(number: int) -> Response:
        version = _writable(number)
        if version.state is not State.DRAFT:
            return see_other(f"/admin/entries/versions/{number}")
        said = _Said(done=_DONE.get(request.args.get("done", ""), ""))
        return _page(version, as_typed(version.record), said)

    @pages.post("/versions/<int:number>/edit")
    def send(number: int) -> Response:
        return _sent(_writable(number))

    return pages


def _revise(number: int) -> Response:
    """Begin a draft with the words of a version: of the public one unless another is named."""
    user, history = current_user(), runtime().history
    versions = entry_of(user, number)
    chosen = request.form.get("from", type=int)
    source = next((each for each in versions if each.number == chosen), versions[0])
    record = source.record
    demand(user, "entry.write", department=record.department, region=record.region or None)
    held = history.open(number)
    if held is not None and held.state is State.DRAFT:
        return see_other(f"/admin/entries/versions/{held.id}/edit")
    current = history.current(number)
    made = runtime().versions.draft(
        number, record, actor=user.name, based_on=current.number if current else None
    )
    return see_other(f"/admin/entries/versions/{made.id}/edit?done=draft")


def _sent(version: Version | None) -> Response:
    """What the form of a draft, or of a new entry, was sent for."""
    steps: dict[str, Callable[[Version | None], Response]] = {
        "save": _save,
        "preview": _save,
        "submit": _save,
        "discard": _discard,
        "check": lambda held: _again(held, typed_record()),
        "find": lambda held: _again(held, typed_record()),
    }
    if request.form.get("add"):
        return _again(version, with_basis(typed_record(), typed("add")))
    step = steps.get(request.form.get("do", "save"))
    if step is None:
        raise InvalidRequest({"do": "没有这个操作"})
    return step(version)


def _again(
    version: Version | None, given: Mapping[str, str], said: _Said | None = None
) -> Response:
    """The form as it was typed, which takes into account what it did before."""
    said = said or _Said(seen=request.form.get("seen", type=int), problems=_read(given)[1])
    return _page(version, given, said)


def _save(version: Version | None) -> Response:
    given, user = typed_record(), current_user()
    record, wrong = _read(given)
    if wrong:
        return _page(version, given, _Said(problems=wrong, seen=_seen()), status=400)
    demand(user, "entry.write", department=record.department, region=record.region or None)
    versions = runtime().versions
    try:
        if version is None:
            version = versions.draft(None, record, actor=user.name)
        else:
            based_on = request.form.get("based_on", type=int)
            version = versions.save(
                version.id, record, actor=user.name, seen=_seen() or 0, based_on=based_on
            )
    except InvalidEntry as error:
        return _page(version, given, _Said(problems=error.fields, seen=_seen()), status=400)
    except Conflict as error:
        return _page(version, given, _crossed(version, record, str(error)), status=409)
    step = request.form.get("do")
    if step == "submit":
        return _submit(version, given)
    onward = "preview" if step == "preview" else "edit?done=save"
    return see_other(f"/admin/entries/versions/{version.id}/{onward}")


def _submit(version: Version, given: Mapping[str, str]) -> Response:
    user, comment = current_user(), typed("comment")
    record = version.record
    demand(user, "entry.submit", department=record.department, region=record.region or None)
    try:
        runtime().versions.submit(version.id, actor=user.name, seen=version.edits, comment=comment)
    except InvalidEntry as error:
        said = _Said(problems=error.fields, seen=version.edits, done="草稿已保存，但还不能送审。")
        return _page(version, given, said, status=400)
    except Conflict as error:
        return _page(version, given, _crossed(version, version.record, str(error)), status=409)
    return see_other(f"/admin/entries/versions/{version.id}?done=submit")


def _discard(version: Version | None) -> Response:
    if version is None:
        return see_other("/admin/entries")
    try:
        runtime().versions.discard(version.id, actor=current_user().name, seen=_seen() or 0)
    except Conflict as error:
        given = typed_record()
        return _page(version, given, _crossed(version, _read(given)[0], str(error)), status=409)
    return see_other(f"/admin/entries/{version.entry_id}?done=discard")


def _crossed(version: Version | None, record: EntryRecord, why: str) -> _Said:
    """What somebody else did meanwhile, beside what was typed."""
    if version is None:
        return _Said(refused=why)
    history = runtime().history
    held = history.version(version.id)
    current = history.current(version.entry_id)
    if held.state is State.DRAFT and current and held.based_on != current.number:
        differing = record_difference(current.record, record)
        return _Said(refused=why, differing=differing, seen=held.edits, based_on=current.number)
    differing = record_difference(held.record, record)
    return _Said(refused=why, differing=differing, seen=held.edits)


def _page(
    version: Version | None,
    given: Mapping[str, str],
    said: _Said | None = None,
    *,
    status: int = 200,
) -> Response:
    said, user = said or _Said(), current_user()
    if version is not None:
        version = runtime().history.version(version.id)
    record, _ = _read(given)
    sought = typed("find") if request.method == "POST" else ""
    seen = said.seen if said.seen is not None else version.edits if version else 0
    findings = _findings(record, version)
    page = render_template(
        "admin/entries_form.html",
        version=version,
        given=given,
        said=said,
        seen=seen,
        by_field=findings,
        blocked=any(each.severity == BLOCK for row in findings.values() for each in row),
        sought=sought,
        found=clauses(sought, record.region or None),
        departments=runtime().history.departments(),
        topics=runtime().history.topics(),
        places=_places(user.region_code),
        fixed=user.department if only_own(user) else "",
        frozen=version is not None and version.state is not State.DRAFT,
        may_submit=opens(user, "entry.submit"),
        comment=typed("comment") if request.method == "POST" else "",
    )
    return make_response(page, status)


def _findings(record: EntryRecord, version: Version | None) -> dict[str, list[Finding]]:
    """What the checks find, by field; of an empty form nothing."""
    by_field: dict[str, list[Finding]] = {}
    if record.question or record.answer:
        for each in runtime().checks.findings(record, version.entry_id if version else 0):
            by_field.setdefault(each.field, []).append(each)
    return by_field


def _places(region: str | None) -> list[str]:
    """Names of the regions that somebody is likely to write for."""
    regions = runtime().regions
    home = region or regions.resolve(runtime().settings.region or "")
    if home is None:
        return []
    outer = [] if region else [regions.value(code) for code in regions.path(home)]
    inner = [regions.value(code) for code, _ in regions.inside(home)]
    return list(dict.fromkeys([regions.value(home), *outer, *inner]))


def _writable(number: int) -> Version:
    """A version whose entry the signed-in person may write.

    Raises:
        NotFound: there is none that they may see.
        Forbidden: it is only for them to see.
    """
    user = current_user()
    version = version_of(user, number)
    record = version.record
    demand(user, "entry.write", department=record.department, region=record.region or None)
    return version


def _read(given: Mapping[str, str]) -> tuple[EntryRecord, dict[str, str]]:
    return read(given, current_user())


def _seen() -> int | None:
    return request.form.get("seen", type=int)
