"""The audit log to look through, to take along, and to check for tampering.

Hides what its actions, actors and subjects are called. Looking is itself on record.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, render_template, request, url_for

from kb.clock import end_of, start_of
from kb.formats.workbook import csv_table, harmless, workbook
from kb.journal import AuditLog, AuditRow, Wanted, audit
from service.errors import InvalidRequest
from service.web.admin import section
from service.web.admin.audit_words import ACTIONS, ACTORS, detail_in_words, subject_in_words
from service.web.runtime import runtime
from service.web.sign_in import current_user
from service.wording import display_second_of

PER_PAGE = 50
# More rows than people read in a spreadsheet, and few enough to make at once.
MOST_EXPORTED = 100_000
_LONGEST = 64
_FIELDS = ("actor", "action", "subject", "since", "until")
_FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_HEADINGS = ("编号", "时间", "操作人", "操作", "操作代码", "对象", "内容", "校验值")


@dataclass(frozen=True)
class Shown:
    """A row in words; `address` shows its subject, empty where nothing does."""

    row: AuditRow
    actor: str
    action: str
    subject: str
    address: str
    detail: tuple[tuple[str, str], ...]


def build() -> Blueprint:
    """The blueprint; for administrators and auditors."""
    pages = section(Blueprint("audit", __name__, url_prefix="/admin/audit"), "audit.read")
    pages.add_app_template_filter(display_second_of, "local_second")

    @pages.get("")
    def listed() -> Response:
        return _listed()

    @pages.get("/export")
    def export() -> Response:
        return _export()

    @pages.post("/chain")
    def chain() -> str:
        verdict = _log().verify()
        _note("audit.verify", rows=verdict.rows, broken=verdict.broken)
        return render_template("admin/audit_chain.html", verdict=verdict)

    return pages


def _log() -> AuditLog:
    return AuditLog(runtime().db)


def _listed() -> Response:
    given = {name: request.args.get(name, "")[:_LONGEST].strip() for name in _FIELDS}
    page = max(request.args.get("page", 1, type=int), 1)
    try:
        wanted, problems = _wanted(given), {}
    except InvalidRequest as error:
        wanted, problems = Wanted(), error.fields
    rows, total = ([], 0) if problems else _page(wanted, page)
    if page == 1 and not problems:  # turning pages is the same reading
        _note("audit.read", wanted=_typed(given))

    def address(number: int) -> str:
        return f"{url_for('audit.listed')}?{_query(given, page=number)}"

    shown = render_template(
        "admin/audit.html",
        rows=list(_shown(rows)),
        total=total,
        wanted=given,
        problems=problems,
        actions=ACTIONS,
        page=page,
        pages=max(1, -(-total // PER_PAGE)),
        address=address,
        query=_query(given),
        most=MOST_EXPORTED,
    )
    return make_response(shown, 400 if problems else 200)


def _page(wanted: Wanted, page: int) -> tuple[list[AuditRow], int]:
    return _log().page(wanted, offset=(page - 1) * PER_PAGE, limit=PER_PAGE)


def _export() -> Response:
    given = {name: request.args.get(name, "")[:_LONGEST].strip() for name in _FIELDS}
    kind = request.args.get("format", "csv")
    if kind not in _FORMATS:
        raise InvalidRequest({"format": "只能导出 csv 或 xlsx"})
    wanted = _wanted(given)
    log = _log()
    total = log.page(wanted, limit=1)[1]
    if total > MOST_EXPORTED:
        raise InvalidRequest(
            {"since": f"有 {total} 条，一次最多导出 {MOST_EXPORTED} 条，请缩小时间范围"}
        )
    _note("audit.export", rows=total, format=kind, wanted=_typed(given))
    table = [[harmless(cell) for cell in _cells(each)] for each in _shown(list(log.rows(wanted)))]
    if kind == "xlsx":
        content = workbook(_HEADINGS, table, sheet="审计记录")
    else:
        content = csv_table(_HEADINGS, table)
    response = make_response(content)
    response.headers["Content-Type"] = _FORMATS[kind]
    day = f"{runtime().today():%Y%m%d}"
    response.headers["Content-Disposition"] = f'attachment; filename="audit-{day}.{kind}"'
    return response


def _cells(each: Shown) -> list[str]:
    moment = display_second_of(each.row.at)
    detail = "；".join(f"{name}：{value}" for name, value in each.detail)
    row = each.row
    return [
        str(row.id), moment, each.actor, each.action, row.action, each.subject, detail, row.digest
    ]  # fmt: skip


def _shown(rows: list[AuditRow]) -> Iterator[Shown]:
    names = {f"account:{each.id}": each.name for each in runtime().people.all()}
    for row in rows:
        subject, address = subject_in_words(row.subject, names)
        yield Shown(
            row,
            ACTORS.get(row.actor, row.actor),
            ACTIONS.get(row.action, row.action),
            subject,
            address,
            detail_in_words(row.detail),
        )


def _wanted(given: Mapping[str, str]) -> Wanted:
    """What to look for.

    Raises:
        InvalidRequest: a day that is none, or a period that ends before it begins.
    """
    since, until = _day(given, "since"), _day(given, "until")
    if since and until and until < since:
        raise InvalidRequest({"until": "结束日期不能早于开始日期"})
    actors = {name: actor for actor, name in ACTORS.items()}
    return Wanted(
        actor=actors.get(given["actor"], given["actor"]),
        action=given["action"],
        subject=given["subject"],
        since=start_of(since) if since else None,
        until=end_of(until) if until else None,
    )


def _day(given: Mapping[str, str], name: str) -> date | None:
    try:
        return date.fromisoformat(given[name]) if given[name] else None
    except ValueError as error:
        raise InvalidRequest({name: "日期应写成 2026-01-15 的样子"}) from error


def _query(given: Mapping[str, str], **more: object) -> str:
    return urlencode({**_typed(given), **more})


def _typed(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in given.items() if value}


def _note(action: str, **detail: object) -> None:
    with runtime().db.transaction() as session:
        audit(session, actor=current_user().name, action=action, subject="audit", **detail)
