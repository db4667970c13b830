"""The page of the daily check: today's verdict in plain words, and the last sixty days."""

from datetime import date

from flask import Blueprint, render_template, request
from markupsafe import Markup

from kb.metadata import parse_date
from service.insights.charts import strip
from service.insights.daily import LEVELS
from service.web.admin import section
from service.web.runtime import runtime

_SIGNS = {"good": "good", "warning": "due", "bad": "stopped", "unknown": ""}
_VERDICTS = {"good": "一切正常", "warning": "有需要处理的事", "bad": "有问题，请尽快处理"}


def build() -> Blueprint:
    """The blueprint; for those who may see figures."""
    pages = section(Blueprint("daily", __name__, url_prefix="/admin/daily"), "figures.read")

    @pages.get("")
    def daily() -> str:
        kept = runtime().insights.daily
        day: date | None = parse_date(request.args.get("day", "")[:10])
        check = kept.on(day) if day else kept.latest()
        history = kept.history()
        days = [
            (f"{d.month}月{d.day}日", level, LEVELS.get(level, "没有检查")) for d, level in history
        ]
        return render_template(
            "admin/daily.html",
            check=check,
            day=day,
            history=history,
            strip=Markup(strip("最近 60 天的检查结果", days)),
            levels=LEVELS,
            signs=_SIGNS,
            verdicts=_VERDICTS,
            today=runtime().today(),
        )

    return pages
