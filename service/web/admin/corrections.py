"""What operators say is wrong with answers, for the departments that answer for them."""

from dataclasses import dataclass

from flask import Blueprint, Response, render_template

from kb.errors import NotFound
from service.accounts import Account
from service.desk.reports import REASONS, ReportView
from service.rights import RIGHTS, demand, may
from service.web.admin import section
from service.web.runtime import runtime
from service.web.sign_in import current_user, see_other


@dataclass(frozen=True)
class Correction:
    """A report, whose it is and where its passage stands; `entry_id` is None for a clause."""

    report: ReportView
    department: str
    region: str | None
    entry_id: int | None
    address: str


def build() -> Blueprint:
    """The blueprint; for those who may read entries."""
    pages = section(
        Blueprint("corrections", __name__, url_prefix="/admin/corrections"), "entry.read"
    )

    @pages.get("")
    def listed() -> str:
        user = current_user()
        return render_template(
            "admin/corrections.html",
            found=_visible(user),
            reasons=REASONS,
            may_write=bool(RIGHTS["entry.write"][user.role]),
        )

    @pages.post("/<int:number>/settle")
    def settle(number: int) -> Response:
        user = current_user()
        held = next((each for each in _visible(user) if each.report.id == number), None)
        if held is None:
            raise NotFound("没有这条反映，或者已经处理过")
        demand(user, "entry.write", department=held.department, region=held.region)
        runtime().reports.settle(number)
        return see_other("/admin/corrections")

    return pages


def _visible(user: Account) -> list[Correction]:
    """Open reports about what somebody may read."""
    found = [_placed(each) for each in runtime().reports.open()]
    return [
        each
        for each in found
        if may(user, "entry.read", department=each.department, region=each.region)
    ]


def _placed(report: ReportView) -> Correction:
    kind, _, number = report.passage.partition(":")
    if kind == "entry":
        versions = runtime().history.versions(int(number))
        record = versions[0].record if versions else None
        return Correction(
            report,
            record.department if record else "",
            (record.region or None) if record else None,
            int(number) if record else None,
            f"/admin/entries/{number}" if record else "",
        )
    [*passages] = runtime().library.passages([report.passage], runtime().today())
    passage = passages[0] if passages else None
    cited = passage.citations[0] if passage else None
    address = f"/documents/{cited.document_id}#clause-{cited.clause_id}" if cited else ""
    return Correction(
        report,
        passage.department if passage else "",
        passage.region_code if passage else None,
        None,
        address,
    )
