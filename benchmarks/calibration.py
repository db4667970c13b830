"""How far stated confidence and truth lie apart: bins, their mean error, and a diagram of them.

Hides the drawing: the diagram is SVG text that needs no font file, script or library and follows
the reader's light or dark setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Statements of like confidence.

    Attributes:
        low: lower bound, included; `high`: upper bound, excluded but for 1.
        count: how many statements.
        said: their mean confidence, 0 when there are none.
        was: share of them that was right, 0 when there are none.
    """

    low: float
    high: float
    count: int
    said: float
    was: float


def bins(statements: Sequence[tuple[float, bool]], count: int = BINS) -> list[Bin]:
    """Sort (confidence, right) into bins of equal width over 0 to 1."""
    held: list[list[tuple[float, bool]]] = [[] for _ in range(count)]
    for confidence, right in statements:
        held[min(max(int(confidence * count), 0), count - 1)].append((confidence, right))
    return [
        Bin(
            at / count,
            (at + 1) / count,
            len(rows),
            sum(confidence for confidence, _ in rows) / max(len(rows), 1),
            sum(right for _, right in rows) / max(len(rows), 1),
        )
        for at, rows in enumerate(held)
    ]


def expected_error(held: Sequence[Bin]) -> float:
    """Expected calibration error (Naeini et al. 2015): |said - was|, weighted by count."""
    total = sum(each.count for each in held)
    return sum(each.count * abs(each.said - each.was) for each in held) / max(total, 1)


# Of one panel, in pixels: the unit square of the diagram, the strip of counts below it, margins.
_SIDE, _STRIP = 240, 56
_LEFT, _TOP, _GAP, _BOTTOM, _RIGHT = 52, 56, 44, 40, 16
_WIDTH = _LEFT + _SIDE + _RIGHT
_HEIGHT = _TOP + _SIDE + _GAP + _STRIP + _BOTTOM
_LEGEND = 48
_COLUMNS = 3

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1f2328; --faint: #6e7781;
  --line: #d0d7de; --bar: #0a62c9; --gap: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --faint: #9198a1;
  --line: #3d444d; --bar: #58a6ff; --gap: #ffa657; } }
text { font: 12px system-ui, "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", sans-serif;
  fill: var(--ink); }
.title { font-size: 14px; font-weight: 600; } .small { font-size: 10px; fill: var(--faint); }
.middle { text-anchor: middle; } .end { text-anchor: end; }
.paper { fill: var(--paper); } .bar { fill: var(--bar); }
.frame { fill: none; stroke: var(--line); } .grid { stroke: var(--line); stroke-width: .5; }
.ideal { stroke: var(--faint); stroke-dasharray: 5 4; }
.gap { stroke: var(--gap); stroke-width: 2; }
"""


def diagram(panels: Mapping[str, Sequence[Bin]]) -> str:
    """Reliability diagrams side by side, as one SVG document.

    Args:
        panels: what each panel shows → its bins; what has no statements is left out.
    """
    shown = [(name, held) for name, held in panels.items() if sum(each.count for each in held)]
    columns = min(max(len(shown), 1), _COLUMNS)
    width = max(columns * _WIDTH, 2 * _WIDTH)
    height = -(-len(shown) // columns) * _HEIGHT + _LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="可靠性图">',
        f"<title>可靠性图：说的把握与实际答对的比例</title><style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
    ]
    for at, (name, held) in enumerate(shown):
        x, y = at % columns * _WIDTH, at // columns * _HEIGHT
        parts.append(f'<g transform="translate({x} {y})">{_panel(name, held)}</g>')
    parts.append(_legend(height - _LEGEND))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(y: float) -> str:
    line = y + 18
    return (
        f'<circle class="bar" cx="{_LEFT}" cy="{line - 4}" r="5"/>'
        f'<text x="{_LEFT + 12}" y="{line}">实际答对的比例（圆点越大，问题越多）</text>'
        f'<line class="gap" x1="{_LEFT + 252}" y1="{line - 4}" x2="{_LEFT + 276}" y2="{line - 4}"/>'
        f'<text x="{_LEFT + 284}" y="{line}">与所说把握的差距</text>'
        f'<line class="ideal" x1="{_LEFT + 402}" y1="{line - 4}" x2="{_LEFT + 426}" '
        f'y2="{line - 4}"/><text x="{_LEFT + 434}" y="{line}">说多少对多少</text>'
    )


def _panel(name: str, held: Sequence[Bin]) -> str:
    total = sum(each.count for each in held)
    foot = _TOP + _SIDE
    parts = [
        f'<text class="title" x="{_LEFT}" y="24">{escape(name)}</text>',
        f'<text class="small" x="{_LEFT}" y="42">{total} 个回答，校准误差 '
        f"{expected_error(held):.3f}</text>",
        *_axes(foot),
        f'<line class="ideal" x1="{_LEFT}" y1="{foot}" x2="{_LEFT + _SIDE}" y2="{_TOP}"/>',
    ]
    most = max(each.count for each in held)
    for each in held:
        if each.count:
            parts += _mark(each, share=each.count / most, foot=foot)
    parts.append(
        f'<text class="small middle" x="{_LEFT + _SIDE / 2}" y="{_HEIGHT - 14}">'
        "每段把握的回答个数</text>"
    )
    return "".join(parts)


def _axes(foot: float) -> list[str]:
    parts = [f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>']
    for tick in range(0, 101, 20):
        x, y = _LEFT + tick / 100 * _SIDE, foot - tick / 100 * _SIDE
        parts += [
            f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _SIDE}" y2="{y:.1f}"/>',
            f'<text class="small end" x="{_LEFT - 6}" y="{y + 4:.1f}">{tick}%</text>',
            f'<text class="small middle" x="{x:.1f}" y="{foot + 14}">{tick}%</text>',
        ]
    middle = _TOP + _SIDE / 2
    parts += [
        f'<text class="middle" x="{_LEFT + _SIDE / 2}" y="{foot + 30}">说的把握</text>',
        f'<text class="middle" x="14" y="{middle}" transform="rotate(-90 14 {middle})">'
        "实际答对</text>",
    ]
    return parts


def _mark(each: Bin, *, share: float, foot: float) -> list[str]:
    """The dot of one bin with its distance from the ideal, and its count in the strip below."""
    x = _LEFT + each.said * _SIDE
    ideal, y = foot - each.said * _SIDE, foot - each.was * _SIDE
    left, width = _LEFT + each.low * _SIDE, (each.high - each.low) * _SIDE
    tall, base = max(share * (_STRIP - 14), 1), foot + _GAP + _STRIP
    return [
        f'<line class="gap" x1="{x:.1f}" y1="{ideal:.1f}" x2="{x:.1f}" y2="{y:.1f}"/>',
        f'<circle class="bar" cx="{x:.1f}" cy="{y:.1f}" r="{3 + 5 * share**0.5:.1f}">'
        f"<title>{each.count} 个回答：说 {each.said:.0%}，实际对 {each.was:.0%}</title></circle>",
        f'<rect class="bar" x="{left + 1:.1f}" y="{base - tall:.1f}" width="{width - 2:.1f}" '
        f'height="{tall:.1f}"/>',
        f'<text class="small middle" x="{left + width / 2:.1f}" y="{base - tall - 3:.1f}">'
        f"{each.count}</text>",
    ]
