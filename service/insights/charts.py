"""Charts as SVG text, drawn on the server; hides scales, ticks and marks.

They need no script and no outside asset, and take their colours from the page's style sheet by
class. Each has a title and a description for those who do not see it; the page puts a table with
the same numbers beside it. Colours never stand alone: lines differ in dashes, bars in their order
and labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 14, 30
TICKS = 4


@dataclass(frozen=True)
class Series:
    """A named row of numbers, one for each label of the chart."""

    name: str
    values: Sequence[float]


def stacked(title: str, about: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    """Bars upright, one for each label, with the series on top of each other.

    Args:
        about: what there is to see, in a sentence.
    """
    totals = [sum(each.values[at] for each in series) for at in range(len(labels))]
    top = nice(max(totals, default=0))
    step = (WIDTH - LEFT - RIGHT) / max(len(labels), 1)
    wide = max(1.0, step * (0.8 if step > 3 else 1.0))
    marks = [_grid(top)]
    for at, label in enumerate(labels):
        base = 0.0
        for number, each in enumerate(series):
            value = each.values[at]
            if value:
                high = _height(value, top)
                y = HEIGHT - BOTTOM - _height(base, top) - high
                marks.append(
                    f'<rect class="fill-{number + 1}" x="{LEFT + at * step:.1f}" y="{y:.1f}" '
                    f'width="{wide:.1f}" height="{high:.1f}">'
                    f"<title>{escape(label)} {escape(each.name)} {value:g}</title></rect>"
                )
            base += value
    marks.append(_labels(labels, step, wide))
    return _svg(title, about, "".join(marks))


def spark(title: str, values: Sequence[float]) -> str:
    """A small line without axes, for a row of a list or the head of a page."""
    wide, high = 140, 32
    top = max([*values, 1])
    step = wide / max(len(values) - 1, 1)
    points = " ".join(
        f"{at * step:.1f},{high - 2 - value / top * (high - 4):.1f}"
        for at, value in enumerate(values)
    )
    return (
        f'<svg class="spark" viewBox="0 0 {wide} {high}" role="img" aria-label="{escape(title)}" '
        f'focusable="false"><polyline class="line-1" points="{points}"/></svg>'
    )


def strip(title: str, days: Sequence[tuple[str, str, str]]) -> str:
    """A row of squares, one a day: (name of the day, level, words for the level).

    Levels differ in height too: what is wrong stands out without its colour.
    """
    wide, gap = 12, 3
    heights = {"good": 12, "warning": 20, "bad": 28}
    marks = []
    for at, (day, level, said) in enumerate(days):
        high = heights.get(level, 3)
        marks.append(
            f'<rect class="level-{escape(level) or "none"}" x="{at * (wide + gap)}" '
            f'y="{30 - high}" width="{wide}" height="{high}" rx="2">'
            f"<title>{escape(day)} {escape(said)}</title></rect>"
        )
    total = len(days) * (wide + gap)
    return (
        f'<svg class="strip-chart" viewBox="0 0 {total} 32" role="img" '
        f'aria-label="{escape(title)}" focusable="false">{"".join(marks)}</svg>'
    )


def nice(most: float) -> float:
    """The least of 1, 2, 4, 5, 10 times a power of ten that is no less than a number, 4 at least:
    the top of an axis whose quarters are round."""
    if most <= TICKS:
        return float(TICKS)
    power = 10.0 ** floor(log10(most))
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= most)


def _height(value: float, top: float) -> float:
    return value / top * (HEIGHT - TOP - BOTTOM)


def _grid(top: float) -> str:
    lines = []
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        y = HEIGHT - BOTTOM - _height(value, top)
        lines.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    return "".join(lines)


def _labels(labels: Sequence[str], step: float, wide: float) -> str:
    # So many that they do not run into each other.
    every = max(1, ceil(len(labels) / 12))
    return "".join(
        f'<text class="tick" x="{LEFT + at * step + wide / 2:.1f}" y="{HEIGHT - 8}" '
        f'text-anchor="middle">{escape(label)}</text>'
        for at, label in enumerate(labels)
        if at % every == 0
    )


def _svg(title: str, about: str, marks: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" focusable="false" '
        f'aria-label="{escape(title)}：{escape(about)}">{marks}</svg>'
    )


def bar(share: float, number: int = 1) -> str:
    """A bar lying in a row of a table, as long as a share of the row; the row says the number."""
    long = max(0.0, min(share, 1.0)) * 100
    return (
        '<svg class="bar-chart" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" '
        f'focusable="false"><rect class="fill-{number}" width="{long:.1f}" height="8"/></svg>'
    )
