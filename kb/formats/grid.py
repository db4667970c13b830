"""Ruled tables on a page, found from their lines; hides the geometry of merged cells."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

_NEAR = 3.0  # points within which two lines meet or coincide
_MAX_LINES = 600


@dataclass(frozen=True)
class Rule:
    """A straight line: its position across, and where it begins and ends, in points."""

    horizontal: bool
    position: float
    start: float
    end: float


@dataclass(frozen=True)
class Table:
    """Cell texts by grid position, top row first; ``bottom`` is the height of its upper edge."""

    left: float
    bottom: float
    rows: tuple[tuple[str, ...], ...]


class Boxed(Protocol):
    """A character with its box on the page."""

    @property
    def sign(self) -> str: ...
    @property
    def left(self) -> float: ...
    @property
    def bottom(self) -> float: ...
    @property
    def right(self) -> float: ...
    @property
    def top(self) -> float: ...


Char = TypeVar("Char", bound=Boxed)


class _Grid:
    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self.xs = _positions(rule.position for rule in rules if not rule.horizontal)
        self.ys = _positions(rule.position for rule in rules if rule.horizontal)
        self.cells: dict[tuple[int, int], list[str]] = {}
        self._owners: dict[tuple[int, int], tuple[int, int]] = {}

    @property
    def is_table(self) -> bool:
        return len(self.xs) >= 2 and len(self.ys) >= 2 and len(self.xs) + len(self.ys) >= 5

    def place(self, x: float, y: float) -> tuple[int, int] | None:
        """Return row (from the top) and column of the cell that owns a point."""
        column, up = bisect_right(self.xs, x) - 1, bisect_right(self.ys, y) - 1
        if not (0 <= column < len(self.xs) - 1 and 0 <= up < len(self.ys) - 1):
            return None
        if (column, up) not in self._owners:
            self._owners[column, up] = self._owner(column, up)
        return self._owners[column, up]

    def _owner(self, column: int, up: int) -> tuple[int, int]:
        middle = (self.ys[up] + self.ys[up + 1]) / 2
        while column and not self._crossed(False, self.xs[column], middle):
            column -= 1
        middle = (self.xs[column] + self.xs[column + 1]) / 2
        while up < len(self.ys) - 2 and not self._crossed(True, self.ys[up + 1], middle):
            up += 1
        return len(self.ys) - 2 - up, column

    def _crossed(self, horizontal: bool, position: float, at: float) -> bool:
        return any(
            rule.horizontal == horizontal
            and abs(rule.position - position) <= _NEAR
            and rule.start - _NEAR <= at <= rule.end + _NEAR
            for rule in self._rules
        )

    def table(self) -> Table:
        rows = tuple(
            tuple(
                "\n".join(self.cells.get((row, column), ())) for column in range(len(self.xs) - 1)
            )
            for row in range(len(self.ys) - 1)
        )
        return Table(self.xs[0], self.ys[-1], rows)


def find_tables(
    rules: Sequence[Rule], lines: Sequence[list[Char]]
) -> tuple[list[Table], list[list[Char]]]:
    """Return the tables that the rules form, and the text lines without the tables' characters."""
    if len(rules) > _MAX_LINES:
        return [], list(lines)
    grids = [grid for group in _groups(rules) if (grid := _Grid(group)).is_table]
    if not grids:
        return [], list(lines)
    left_over: list[list[Char]] = []
    for line in lines:
        outside: list[Char] = []
        pieces: dict[tuple[int, tuple[int, int]], str] = {}
        for char in line:
            x, y = (char.left + char.right) / 2, (char.bottom + char.top) / 2
            for number, grid in enumerate(grids):
                if (cell := grid.place(x, y)) is not None:
                    pieces[number, cell] = pieces.get((number, cell), "") + char.sign
                    break
            else:
                outside.append(char)
        for (number, cell), text in pieces.items():
            if text.strip():
                grids[number].cells.setdefault(cell, []).append(text.strip())
        if outside:
            left_over.append(outside)
    return [grid.table() for grid in grids], left_over


def _positions(values: Iterable[float]) -> list[float]:
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > _NEAR:
            kept.append(value)
    return kept


def _groups(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Group rules that touch, directly or through others."""
    groups: list[list[Rule]] = []
    waiting = list(rules)
    while waiting:
        group = [waiting.pop()]
        for member in group:
            touching = [rule for rule in waiting if _touch(member, rule)]
            if touching:
                group.extend(touching)
                waiting = [rule for rule in waiting if rule not in touching]
        groups.append(group)
    return groups


def _touch(one: Rule, other: Rule) -> bool:
    if one.horizontal == other.horizontal:
        return (
            abs(one.position - other.position) <= _NEAR
            and one.start - _NEAR <= other.end
            and other.start - _NEAR <= one.end
        )
    return (
        one.start - _NEAR <= other.position <= one.end + _NEAR
        and other.start - _NEAR <= one.position <= other.end + _NEAR
    )
