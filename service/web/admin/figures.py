"""Dashboards, their export, and the monthly report: numbers that are looked at rather than read.

Hides periods, how long ones are drawn by weeks, and how the tables are laid out.
"""

from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, render_template, request
from markupsafe import Markup

from kb.formats.workbook import Sheet, figures_workbook
from kb.metadata import parse_date
from service.insights import charts
from service.insights.figures import CHANNELS, LONGEST, OUTCOMES, Slice, Sums
from service.insights.freshness import Freshness
from service.insights.gaps import Sieve
from service.insights.report import Report, month_of
from service.web.admin import section
from service.web.responses import require
from service.web.runtime import runtime

PERIODS = {"7": "最近 7 天", "30": "最近 30 天", "90": "最近 90 天", "365": "最近一年"}
NOWHERE = "未归口"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_LONGEST_NAME = 128
_BY_WEEKS = 92


@dataclass(frozen=True)
class Table:
    """Rows of a breakdown: name, questions, share; drawn as bars."""

    name: str
    heading: str
    rows: tuple[tuple[str, int, float], ...]


def build() -> Blueprint:
    """The blueprint; for those who may see figures."""
    pages = section(Blueprint("figures", __name__, url_prefix="/admin"), "figures.read")

    @pages.get("/figures")
    def figures() -> str:
        return _page()

    @pages.get("/figures.xlsx")
    def export() -> Response:
        return _export()

    @pages.get("/report")
    def report() -> str:
        month = _month(request.args.get("month", ""))
        runtime().insights.figures.level()
        return render_template(
            "admin/report.html",
            report=_report(month),
            months=_months(),
            outcomes=OUTCOMES,
        )

    return pages


def _page() -> str:
    insights, wanted = runtime().insights, _wanted()
    left = insights.figures.level()
    sums, before = insights.figures.sums(wanted), insights.figures.sums(wanted.before())
    fresh = insights.shelf.freshness(department=wanted.department, region=wanted.region)
    return render_template(
        "admin/figures.html",
        wanted=wanted,
        sums=sums,
        before=before,
        left=left,
        tables=_tables(sums),
        by_day=_by_day(sums),
        by_hour=_by_hour(sums),
        outcomes=OUTCOMES,
        bar=lambda share, number=1: Markup(charts.bar(share, number)),
        hot=insights.figures.hot(sums),
        gaps=_gaps(wanted),
        fresh=fresh,
        periods=PERIODS,
        period=request.args.get("period", "30"),
        choices=_choices(),
        query=urlencode({key: value for key, value in request.args.items() if value}),
    )


def _wanted() -> Slice:
    """What the filters say.

    Raises:
        InvalidRequest: dates that are none, or too long a period.
    """
    today = runtime().today()
    period = request.args.get("period", "30")
    if period == "custom":
        first = parse_date(request.args.get("from", "")[:10])
        last = parse_date(request.args.get("to", "")[:10])
        require(first and last and first <= last, "from", "请填写起止日期，起在前，止在后")
        assert first and last
        require((last - first).days < LONGEST, "to", f"一次最多看 {LONGEST} 天")
    else:
        days = int(period) if period in PERIODS else 30
        first, last = today - timedelta(days=days - 1), today
    region = request.args.get("region", "")
    return Slice(
        first,
        last,
        region=region if region.isdigit() and len(region) == 6 else None,
        department=request.args.get("department", "")[:_LONGEST_NAME],
        channel=request.args.get("channel", "")[:_LONGEST_NAME],
    )


def _tables(sums: Sums) -> list[Table]:
    regions = runtime().regions
    return [
        Table("渠道", "渠道", _rows(sums.channels, CHANNELS)),
        Table(
            "地区", "地区", _rows(sums.regions, {c: regions.name(c or None) for c in sums.regions})
        ),
        Table("主题", "主题", _rows(sums.topics, {"": NOWHERE})),
        Table("责任单位", "责任单位", _rows(sums.departments, {"": NOWHERE})),
    ]


def _rows(counts: Counter[str], names: Mapping[str, str]) -> tuple[tuple[str, int, float], ...]:
    total = sum(counts.values()) or 1
    return tuple((names.get(key, key), n, n / total) for key, n in counts.most_common())


def _by_day(sums: Sums) -> Markup:
    days = list(sums.days)
    step = 7 if len(days) > _BY_WEEKS else 1
    groups = [days[at : at + step] for at in range(0, len(days), step)]
    labels = [f"{group[0].month}/{group[0].day}" for group in groups]
    series = [
        charts.Series(name, [sum(sums.days[day][key] for day in group) for group in groups])
        for key, name in OUTCOMES.items()
        if sums.outcomes[key]
    ]
    title = "每周提问数" if step > 1 else "每天提问数"
    about = f"共 {sums.total} 个提问，按怎样答复分层；同样的数字见下面的表"
    return Markup(charts.stacked(title, about, labels, series))


def _by_hour(sums: Sums) -> Markup:
    hours = [str(hour) for hour in range(24)]
    series = [charts.Series("提问", [sums.hours[hour] for hour in range(24)])]
    busiest = max(range(24), key=lambda hour: sums.hours[hour])
    about = f"最忙的是 {busiest} 点，{sums.hours[busiest]} 个" if sums.total else "还没有提问"
    return Markup(charts.stacked("一天里各小时的提问数", about, hours, series))


def _gaps(wanted: Slice) -> list[Any]:
    sieve = Sieve(department=wanted.department or None, region=wanted.region, several=True)
    return runtime().insights.gaps.listed(sieve)[0][:10]


def _choices() -> dict[str, Any]:
    held = runtime().insights.figures.choices()
    names = runtime().regions.name
    return {
        "channel": {"": "全部渠道"} | {c: CHANNELS.get(c, c) for c in sorted(held["channels"])},
        "region": {"": "全部地区"} | {code: names(code) for code in sorted(held["regions"])},
        "department": {"": "全部单位"} | {name: name for name in sorted(held["departments"])},
    }


def _export() -> Response:
    insights, wanted = runtime().insights, _wanted()
    insights.figures.level()
    sums = insights.figures.sums(wanted)
    fresh = insights.shelf.freshness(department=wanted.department, region=wanted.region)
    kinds = [key for key in OUTCOMES if sums.outcomes[key]]
    sheets = [
        Sheet("概况", ("指标", "数值"), _overview(sums)),
        Sheet(
            "按天",
            ("日期", "提问数", *(OUTCOMES[key] for key in kinds)),
            [
                (day, sum(counts.values()), *(counts[key] for key in kinds))
                for day, counts in sums.days.items()
            ],
        ),
        Sheet("按小时", ("时", "提问数"), [(hour, sums.hours[hour]) for hour in range(24)]),
        *(
            Sheet(f"按{table.name}", (table.heading, "提问数", "占比"), table.rows)
            for table in _tables(sums)
        ),
        Sheet(
            "热点问题",
            ("问答", "责任单位", "次数"),
            [
                (each.question, each.department, each.count)
                for each in insights.figures.hot(sums, limit=100)
            ],
        ),
        Sheet(
            "热点缺口",
            ("问题", "责任单位", "提问数", "提问人数", "最近七天"),
            [(g.title, g.department, g.size, g.askers, g.recent) for g in _gaps(wanted)],
        ),
        *_fresh_sheets(fresh),
    ]
    response = Response(figures_workbook(sheets), mimetype=XLSX)
    name = f"figures-{wanted.first:%Y%m%d}-{wanted.last:%Y%m%d}.xlsx"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _fresh_sheets(fresh: Freshness) -> Iterable[Sheet]:
    yield Sheet(
        "各单位",
        ("责任单位", "问答数", "按时复核", "超期未复核", "距上次更新天数（中位数）"),
        [(s.department, s.entries, s.in_time, s.overdue, s.age) for s in fresh.league],
    )
    ends = [("已到期", each) for each in fresh.expired]
    ends += [(f"{days} 天内到期", e) for days, held in fresh.ending.items() for e in held]
    ends += [("超期未复核", each) for each in fresh.overdue]
    ends += [("30 天内该复核", each) for each in fresh.due]
    yield Sheet(
        "到期和复核",
        ("情况", "日期", "名称", "责任单位"),
        [(what, each.day, each.title, each.department) for what, each in ends],
    )


def _overview(sums: Sums) -> Sequence[tuple[str, float | None]]:
    return (
        ("提问数", sums.total),
        *((OUTCOMES[key], sums.outcomes[key]) for key in OUTCOMES if sums.outcomes[key]),
        ("答复率", sums.answered),
        ("评价为有帮助", sums.helpful),
        ("评价为没有帮助", sums.unhelpful),
        ("有帮助的比例", sums.helpful_share),
        ("答复用时中位数（毫秒）", sums.milliseconds(0.5)),
        ("95% 的答复用时不超过（毫秒）", sums.milliseconds(0.95)),
    )


def _month(text: str) -> date:
    """The first day of a month as written, 2026-11; this month without one.

    Raises:
        InvalidRequest: it is no month.
    """
    if not text:
        return runtime().today().replace(day=1)
    day = parse_date(f"{text[:7]}-01")
    require(day, "month", "月份应写成 2026-11 的样子")
    assert day
    return day


def _months() -> dict[str, str]:
    """The last thirteen months, as a form offers them."""
    day, months = runtime().today(), {}
    for _ in range(13):
        months[f"{day:%Y-%m}"] = f"{day.year}年{day.month}月"
        day = day.replace(day=1) - timedelta(days=1)
    return months


def _report(month: date) -> Report:
    last = month.replace(day=monthrange(month.year, month.month)[1])
    return month_of(runtime().insights, runtime().db, month, min(last, runtime().today()))
