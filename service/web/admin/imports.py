"""Pages on which entry tables are uploaded, looked at before anything is written, and imported."""

from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from kb.exchange import MAX_BYTES, TABLE_SUFFIXES, template
from service.errors import InvalidRequest
from service.imports import AT_ONCE, MODES, PER_PAGE, ImportView, may_publish
from service.rights import demand
from service.web.admin import section
from service.web.admin.uploads import TYPES, admit_files, attachment
from service.web.runtime import runtime
from service.web.sign_in import current_user, typed

STATES = {
    "waiting": "等待检查", "checking": "正在检查", "checked": "检查完，等您决定",
    "queued": "等待导入", "importing": "正在导入", "done": "已导入", "failed": "没有做完",
    "expired": "已放弃或过期",
}  # fmt: skip
_SIGNS = {"done": "good", "checked": "due", "failed": "stopped"}
OUTCOMES = {
    "refuse": "不能导入",
    "warn": "请留意",
    "add": "新增",
    "change": "修改",
    "unchanged": "没有变化",
    "note": "关于列名",
}


def build() -> Blueprint:
    """The blueprint; for those who may import."""
    blueprint = Blueprint("imports", __name__, url_prefix="/admin/import")
    admit_files(blueprint, MAX_BYTES)
    pages = section(blueprint, "import")

    @pages.context_processor
    def _common() -> dict[str, object]:
        return {
            "states": STATES, "signs": _SIGNS, "outcomes": OUTCOMES,
            "suffixes": TABLE_SUFFIXES, "most": MAX_BYTES // 2**20,
        }  # fmt: skip

    @pages.get("")
    def listed() -> Response:
        return _listed()

    @pages.post("")
    def upload() -> Response:
        return _upload()

    @pages.get("/template.xlsx")
    def blank() -> Response:
        return _template()

    @pages.get("/<int:number>")
    def one(number: int) -> str:
        return _one(number)

    @pages.post("/<int:number>/begin")
    def begin(number: int) -> Response:
        runtime().imports.choose(number, typed("mode"), by=current_user())
        return _to(number)

    @pages.post("/<int:number>/discard")
    def discard(number: int) -> Response:
        runtime().imports.discard(number, by=current_user())
        return _to(number)

    return pages


def _listed(status: int = 200, problem: str = "") -> Response:
    jobs = runtime().imports.recent(by=current_user())
    return make_response(render_template("admin/imports.html", jobs=jobs, problem=problem), status)


def _upload() -> Response:
    user = current_user()
    demand(user, "import", department=user.department, region=user.region_code)
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return _listed(400, "请先选择文件")
    try:
        number = runtime().imports.begin(upload.stream, upload.filename, by=user)
    except InvalidRequest as error:
        return _listed(400, str(error))
    return _to(number)


def _template() -> Response:
    user, regions = current_user(), runtime().regions
    departments, topics = runtime().entries.choices()
    home = user.region_code or runtime().settings.region
    codes = [home, *(code for code, _ in regions.inside(home))] if home else []
    choices = {
        "department": [user.department] if user.department else departments,
        "topic": topics,
        "region": list(dict.fromkeys(regions.value(code) for code in codes)),
    }
    return attachment(template(choices), "条目模板.xlsx", TYPES[".xlsx"])


def _one(number: int) -> str:
    user = current_user()
    job = runtime().imports.one(number, by=user)
    outcome = request.args.get("show", "")
    if outcome not in OUTCOMES:
        outcome = next((each for each in OUTCOMES if job.counts.get(each)), "add")
    page = max(1, min(request.args.get("page", 1, type=int), 10_000))
    rows, total = runtime().imports.report(number, outcome, page)

    def address(to: int) -> str:
        return f"{url_for('imports.one', number=number)}?{urlencode({'show': outcome, 'page': to})}"

    return render_template(
        "admin/import.html",
        job=job,
        rows=rows,
        shown=outcome,
        page=page,
        pages=-(-total // PER_PAGE),
        address=address,
        modes=_modes(job) if may_publish(user) else _plain(job),
        at_once=AT_ONCE,
    )


def _plain(job: ImportView) -> dict[str, str]:
    return {mode: label for mode, label in _modes(job).items() if mode not in AT_ONCE}


def _modes(job: ImportView) -> dict[str, str]:
    """What may be decided now; an import that stopped half-way only goes on."""
    if job.state == "failed":
        return {job.mode: "继续导入"} if job.mode else {}
    fit = sum(job.counts.get(name, 0) for name in ("add", "change", "unchanged"))
    return dict(MODES) if job.state == "checked" and fit else {}


def _to(number: int) -> Response:
    return redirect(url_for("imports.one", number=number), code=303)  # type: ignore[return-value]
