"""The page on which entries are taken along as a table that imports again without loss."""

from flask import Blueprint, Response, make_response, render_template, request

from kb.entries import Sieve
from kb.errors import InvalidEntry, NotFound
from kb.exchange import STATUSES, TABLE_SUFFIXES, write_entries
from kb.journal import audit
from kb.models import Status
from service.errors import InvalidRequest
from service.rights import RIGHTS, Reach, within
from service.web.admin import section
from service.web.admin.uploads import TYPES, attachment
from service.web.runtime import runtime
from service.web.sign_in import current_user

MOST = 50_000
FORMATS = {".xlsx": "Excel（xlsx）", ".csv": "CSV", ".jsonl": "JSON Lines"}
_LONGEST = 128


def build() -> Blueprint:
    """The blueprint; for those who read entries."""
    pages = section(Blueprint("exports", __name__, url_prefix="/admin/export"), "entry.read")

    @pages.get("")
    def form() -> Response:
        return _form()

    @pages.get("/file")
    def file() -> Response:
        try:
            return _file()
        except (InvalidRequest, InvalidEntry) as error:
            return _form(400, error.fields)

    return pages


def _form(status: int = 200, problems: dict[str, str] | None = None) -> Response:
    user = current_user()
    departments, topics = runtime().entries.choices()
    page = render_template(
        "admin/export.html",
        problems=problems or {},
        given={name: _given(name) for name in ("status", "department", "topic", "region")},
        statuses=STATUSES,
        departments=[user.department] if _own_only() else departments,
        topics=topics,
        formats=FORMATS,
        own=user.department if _own_only() else "",
    )
    return make_response(page, status)


def _file() -> Response:
    sieve, suffix = _sieve(), request.args.get("format", ".xlsx")
    if suffix not in TABLE_SUFFIXES:
        raise InvalidRequest({"format": f"只能导出 {'、'.join(TABLE_SUFFIXES)}"})
    count = runtime().entries.count(sieve)
    if count > MOST:
        raise InvalidRequest({"status": f"有 {count} 条，一次最多导出 {MOST} 条，请缩小范围"})
    data = write_entries(runtime().entries.records(sieve), suffix)
    with runtime().db.transaction() as session:
        name = current_user().name
        audit(
            session, actor=name, action="entries.export", subject="entries", rows=count,
            format=suffix, department=sieve.department, region_code=sieve.region,
        )  # fmt: skip
    return attachment(data, f"问答-{runtime().today():%Y%m%d}{suffix}", TYPES[suffix])


def _sieve() -> Sieve:
    """What was asked for, as far as this person may read.

    Raises:
        InvalidRequest: a filter that does not hold.
    """
    user = current_user()
    status = STATUSES.get(_given("status"))
    try:
        region = runtime().regions.resolve(_given("region"))
    except NotFound as error:
        raise InvalidRequest({"region": str(error)}) from error
    department = _given("department")
    if RIGHTS["entry.read"][user.role] != Reach.ALL:
        region = region if region and within(region, user.region_code) else user.region_code
        department = user.department or department
    return Sieve(Status(status) if status else None, department, region, _given("topic"))


def _own_only() -> bool:
    user = current_user()
    return RIGHTS["entry.read"][user.role] == Reach.OWN and bool(user.department)


def _given(name: str) -> str:
    return request.args.get(name, "")[:_LONGEST].strip()
