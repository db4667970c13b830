"""Pages on which policy documents are uploaded, looked through, reviewed, repealed, withdrawn."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from kb.differences import ClauseChange
from kb.documents import Imported, Upload
from kb.errors import DocumentUnreadable, InvalidEntry, NotFound
from kb.filing import PAGE, STATES, Facts, Filed, Sieve, unnumbered
from kb.formats.bundle import MAX_FILES, unpack
from kb.readers import DOCUMENT_SUFFIXES, MAX_BYTES
from service.errors import InvalidRequest
from service.rights import demand, may
from service.web.admin import section
from service.web.admin.uploads import admit_files, attachment
from service.web.runtime import runtime
from service.web.sign_in import current_user, typed
from service.wording import VALIDITY

_SIGNS = {"pending": "due", "returned": "stopped", "public": "good", "withdrawn": "stopped"}
OUTCOMES = {
    "imported": "新文件",
    "revised": "新版本",
    "unchanged": "已经有了",
    "failed": "没有收下",
}
_REASONS = {
    "repealed": "依据废止", "expired": "依据到期", "amended": "引用的条文改了",
    "removed": "引用的条文没有了", "renumbered": "条文只换了编号，仍可用",
}  # fmt: skip
_LONGEST = 512


def build() -> Blueprint:
    """The blueprint; for those who may read documents of all states."""
    blueprint = Blueprint("documents", __name__, url_prefix="/admin/documents")
    admit_files(blueprint, MAX_BYTES)
    pages = section(blueprint, "document.read")

    @pages.context_processor
    def _common() -> dict[str, object]:
        return {
            "states": STATES, "signs": _SIGNS, "outcomes": OUTCOMES, "reasons": _REASONS,
            "suffixes": (*DOCUMENT_SUFFIXES, ".zip"), "most": MAX_BYTES // 2**20,
            "most_files": MAX_FILES,
        }  # fmt: skip

    @pages.get("")
    def listed() -> Response:
        return _listed()

    @pages.post("")
    def upload() -> Response:
        return _upload()

    @pages.get("/<int:number>")
    def one(number: int) -> Response:
        return _one(_visible(number))

    @pages.get("/<int:number>/original")
    def original(number: int) -> Response:
        _visible(number)
        data, filename = runtime().filing.original(number)
        return attachment(data, filename, "application/octet-stream")

    @pages.post("/<int:number>/<any(correct, publish, return, repeal, withdraw):step>")
    def act(number: int, step: str) -> Response:
        filed = _visible(number)
        _demand(filed, "document.write" if step == "correct" else "document.review")
        try:
            _STEPS[step](filed)
        except (InvalidRequest, InvalidEntry) as error:
            return _one(filed, 400, problems=error.fields)
        return redirect(url_for("documents.one", number=number), code=303)  # type: ignore[return-value]

    return pages


def _listed(status: int = 200, problem: str = "", outcomes: tuple[Imported, ...] = ()) -> Response:
    user = current_user()
    given = {name: request.args.get(name, "")[:_LONGEST].strip() for name in _FILTERS}
    try:
        region = runtime().regions.resolve(given["region"])
    except NotFound as error:
        region, problem = None, problem or str(error)
    department = given["department"]
    if _own_only():
        department, region = user.department or department, region or user.region_code
    sieve = Sieve(given["q"], given["state"], given["validity"], department, region)
    page = max(1, min(request.args.get("page", 1, type=int), 10_000))
    held, total = runtime().filing.listed(sieve, page=page)
    held = [each for each in held if _may(each, "document.read")]
    body = render_template(
        "admin/documents.html",
        documents=held,
        total=total,
        given=given,
        problem=problem,
        results=outcomes,
        validities=VALIDITY,
        page=page,
        pages=-(-total // PAGE),
        address=lambda to: f"{url_for('documents.listed')}?{urlencode({**given, 'page': to})}",
        may_write=may(user, "document.write", department=user.department, region=user.region_code),
    )
    return make_response(body, status)


_FILTERS = ("q", "state", "validity", "department", "region")


def _upload() -> Response:
    user = current_user()
    department = user.department or typed("owner").strip()
    try:
        region = runtime().regions.resolve(typed("place")) or user.region_code
    except NotFound as error:
        return _listed(400, str(error))
    demand(user, "document.write", department=department, region=region)
    refused: list[Imported] = []
    try:
        files = list(_files(refused))
    except DocumentUnreadable as error:
        return _listed(422, str(error))
    if not files and not refused:
        return _listed(400, "请先选择文件")
    if len(files) > MAX_FILES:
        return _listed(400, f"一次最多上传 {MAX_FILES} 个文件")
    place = region or ""
    topic = typed("topic").strip()
    uploads = [
        Upload(data, name, region=place, department=department, topic=topic) for name, data in files
    ]

    def allowed(owner: str, at: str | None) -> bool:
        return may(user, "document.write", department=owner, region=at)

    done = runtime().documents.add(uploads, actor=user.name, publish=False, allowed=allowed)
    return _listed(outcomes=(*done, *refused))


def _files(refused: list[Imported]) -> Iterator[tuple[str, bytes]]:
    for upload in request.files.getlist("files"):
        name = upload.filename or ""
        if not name:
            continue
        data = upload.stream.read()
        if not name.lower().endswith(".zip"):
            yield name, data
            continue
        for inner, content in unpack(data):
            if isinstance(content, str):
                refused.append(Imported(inner, "failed", reason=content))
            else:
                yield inner, content


def _one(filed: Filed, status: int = 200, *, problems: Mapping[str, str] | None = None) -> Response:
    pending = filed.state in ("pending", "returned")
    clauses = runtime().filing.clauses(filed.id, filed.number)
    changes: tuple[ClauseChange, ...] = ()
    if pending and filed.public:
        changes = runtime().amendments.changes(filed.id, old=filed.public, new=filed.number)
    facts = {
        name: "" if value is None else str(value) for name, value in asdict(filed.facts).items()
    }
    facts["region"] = runtime().regions.value(filed.facts.region) if filed.facts.region else ""
    if problems and request.path.endswith("/correct"):
        facts |= {name: typed(name) for name in facts if name in request.form}
    own = current_user().name in filed.contributors
    page = render_template(
        "admin/document.html",
        document=filed,
        facts=facts,
        clauses=clauses,
        changes=[each for each in changes if each.kind != "unchanged"],
        unchanged=sum(each.kind == "unchanged" for each in changes),
        affected=runtime().documents.consequences(filed.id) if pending else [],
        unnumbered=unnumbered(clauses),
        problems=problems or {},
        validities=VALIDITY,
        pending=pending,
        own=own,
        reason=typed("reason") if problems else "",
        may_write=_may(filed, "document.write"),
        may_review=_may(filed, "document.review"),
    )
    return make_response(page, status)


def _correct(filed: Filed) -> None:
    region = filed.facts.region
    department = filed.facts.department
    wrong: dict[str, str] = {}
    if not filed.public:
        department = typed("department").strip()
        try:
            region = runtime().regions.resolve(typed("region"))
        except NotFound as error:
            wrong["region"] = str(error)
        demand(current_user(), "document.write", department=department, region=region)
    days = {name: _day(name, wrong) for name in ("issued_on", "effective_on", "expires_on")}
    if wrong:
        raise InvalidRequest(wrong)
    facts = Facts(
        title=typed("title").strip() or ("" if not filed.public else filed.facts.title),
        document_number=typed("document_number").strip(),
        issuer=typed("issuer").strip(),
        topic=typed("topic").strip(),
        department=department,
        region=region,
        **days,
    )
    actor = current_user().name
    runtime().filing.correct(filed.id, facts, number=_seen(), actor=actor)


def _publish(filed: Filed) -> None:
    runtime().documents.approve(filed.id, number=_seen(), actor=current_user().name)


def _return(filed: Filed) -> None:
    runtime().filing.send_back(
        filed.id, number=_seen(), actor=current_user().name, reason=typed("reason")
    )


def _repeal(filed: Filed) -> None:
    wrong: dict[str, str] = {}
    day = _day("repealed_on", wrong)
    if day is None:
        wrong.setdefault("repealed_on", "请填写从哪一天起废止")
    successor = typed("successor").strip()
    if successor and not (successor.isdecimal() and int(successor) != filed.id):
        wrong["successor"] = "请填写新文件的编号（它的页面地址末尾的数字）"
    if wrong or day is None:
        raise InvalidRequest(wrong)
    if not filed.public:
        raise InvalidRequest({"repealed_on": "文件还没有发布，不用登记废止"})
    try:
        runtime().documents.repeal(
            filed.id,
            on=day,
            actor=current_user().name,
            successor_id=int(successor) if successor else None,
        )
    except NotFound as error:
        raise InvalidRequest({"successor": str(error)}) from error


def _withdraw(filed: Filed) -> None:
    reason = typed("reason").strip()
    if not reason:
        raise InvalidRequest({"withdraw_reason": "请写明撤回的理由"})
    runtime().documents.withdraw(filed.id, actor=current_user().name, reason=reason)


_STEPS = {
    "correct": _correct,
    "publish": _publish,
    "return": _return,
    "repeal": _repeal,
    "withdraw": _withdraw,
}


def _day(name: str, wrong: dict[str, str]) -> date | None:
    try:
        return date.fromisoformat(typed(name).strip()) if typed(name).strip() else None
    except ValueError:
        wrong[name] = "日期应写成 2026-01-15 的样子"
        return None


def _seen() -> int:
    return request.form.get("revision", 0, type=int)


def _visible(number: int) -> Filed:
    """A document that the signed-in person may see.

    Raises:
        NotFound: there is none.
        Forbidden: it belongs to another department or region.
    """
    filed = runtime().filing.one(number)
    _demand(filed, "document.read")
    return filed


def _demand(filed: Filed, action: str) -> None:
    facts = filed.facts
    demand(current_user(), action, department=facts.department, region=facts.region)


def _may(filed: Filed, action: str) -> bool:
    facts = filed.facts
    return may(current_user(), action, department=facts.department, region=facts.region)


def _own_only() -> bool:
    """Whether a person does not read the documents of all."""
    return not may(current_user(), "document.read", department="", region=None)
