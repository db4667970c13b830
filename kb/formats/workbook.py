"""Tables as XLSX and CSV bytes; hides styles, widths, notes and what a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from kb.errors import InvalidEntry

Value = str | date | None

# What a spreadsheet takes for the beginning of a formula; full-width signs count in some of them.
FORMULA_START = re.compile(r"'*\s*[=+\-@\t\r＝＋－＠]")
_MAX_CELL = 32_767  # UTF-16 units, a limit of the file format
_SHEET, _NOTES_SHEET, _CHOICES_SHEET = "条目", "填写说明", "选项"
_WIDE = 40
_NARROW = 16
_WIDE_HEADINGS = ("标准问", "相似问", "答复", "简短答复", "政策依据")


@dataclass(frozen=True)
class Example:
    """The example row of a template, and the values that columns offer, by heading."""

    row: Sequence[Value]
    choices: Mapping[str, Sequence[str]]


def harmless(value: Value) -> Value:
    """The value, so that no spreadsheet runs it: what looks like a formula begins with a mark."""
    if isinstance(value, str) and FORMULA_START.match(value):
        return f"'{value}"
    return value


def workbook(
    headings: Sequence[str], rows: Iterable[Sequence[Value]], *, sheet: str = _SHEET
) -> bytes:
    """Return an XLSX file with one sheet; texts stay texts, dates are date cells.

    Args:
        sheet: the name of the sheet.

    Raises:
        InvalidEntry: a text longer than a cell can hold.
    """
    rows = list(rows)
    for row in rows:
        _refuse_long(row)
    book = openpyxl.Workbook(write_only=True)
    _fill(book.create_sheet(sheet), headings, rows)
    return _saved(book)


def template_workbook(headings: Sequence[str], notes: Mapping[str, str], example: Example) -> bytes:
    """Return an XLSX file with a marked example row, notes on the headings and a sheet of notes."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(_SHEET)
    _fill(sheet, headings, [example.row], notes=notes, faint=True)
    explained = book.create_sheet(_NOTES_SHEET)
    explained.column_dimensions["A"].width = _NARROW
    explained.column_dimensions["B"].width = 2 * _WIDE
    explained.append(["列名", "怎样填写"])
    for heading in headings:
        explained.append([heading, notes[heading.rstrip("*")]])
    _offer(book, sheet, headings, example.choices)
    return _saved(book)


def _offer(
    book: Any, sheet: Any, headings: Sequence[str], choices: Mapping[str, Sequence[str]]
) -> None:
    """Let columns offer values, which lie on a hidden sheet; others may be typed."""
    lists = book.create_sheet(_CHOICES_SHEET)
    lists.sheet_state = "hidden"
    offered = {heading: list(values) for heading, values in choices.items() if values}
    for number in range(max(map(len, offered.values()), default=0)):
        row = [v[number] if number < len(v) else None for v in offered.values()]
        lists.append([_cell(lists, harmless(value)) for value in row])
    plain = [heading.rstrip("*") for heading in headings]
    for column, (heading, values) in enumerate(offered.items(), 1):
        source, target = get_column_letter(column), get_column_letter(plain.index(heading) + 1)
        choice = DataValidation(
            type="list",
            formula1=f"'{_CHOICES_SHEET}'!${source}$1:${source}${len(values)}",
            allow_blank=True,
            showErrorMessage=False,
        )
        choice.add(f"{target}2:{target}10000")
        sheet.data_validations.append(choice)


def _fill(
    sheet: Any,
    headings: Sequence[str],
    rows: Iterable[Sequence[Value]],
    *,
    notes: Mapping[str, str] | None = None,
    faint: bool = False,
) -> None:
    sheet.freeze_panes = "A2"
    for column, heading in enumerate(headings, 1):
        wide = heading.rstrip("*") in _WIDE_HEADINGS
        sheet.column_dimensions[get_column_letter(column)].width = _WIDE if wide else _NARROW
    header = [_cell(sheet, heading) for heading in headings]
    for cell, heading in zip(header, headings, strict=True):
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="DDE8F5")
        if notes:
            cell.comment = Comment(notes[heading.rstrip("*")], "PolicyQA", width=320, height=90)
    sheet.append(header)
    for row in rows:
        cells = [_cell(sheet, value) for value in row]
        for cell in cells if faint else ():
            cell.font = Font(italic=True, color="808080")
        sheet.append(cells)


def _refuse_long(row: Sequence[Value]) -> None:
    for value in row:
        if isinstance(value, str) and len(value.encode("utf-16-le")) > 2 * _MAX_CELL:
            raise InvalidEntry(
                {"similar": f"“{value[:20]}…”所在单元格超过 Excel 的上限，请导出为 csv 或 jsonl。"}
            )


def _cell(sheet: Any, value: Value) -> Any:
    cell = WriteOnlyCell(sheet, value=value or None)
    if isinstance(value, date):
        cell.number_format = "yyyy-mm-dd"
    elif value:
        cell.data_type = "s"  # whatever it looks like, it is no formula
        cell.number_format = "@"
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    return cell


def _saved(book: Any) -> bytes:
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def csv_table(headings: Sequence[str], rows: Iterable[Sequence[Value]]) -> bytes:
    """Return a CSV file in UTF-8 with its mark, which Excel needs to see Chinese."""
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(headings)
    for row in rows:
        writer.writerow(
            [value.isoformat() if isinstance(value, date) else value or "" for value in row]
        )
    return target.getvalue().encode("utf-8-sig")


@dataclass(frozen=True)
class Sheet:
    """A table of figures: texts, numbers and dates."""

    name: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str | float | date | None]]


def figures_workbook(sheets: Sequence[Sheet]) -> bytes:
    """Return an XLSX file with a sheet for each table; no text of it is ever run as a formula."""
    book = openpyxl.Workbook(write_only=True)
    for number, each in enumerate(sheets, 1):
        # Excel takes 31 characters, none of which may be one of []:*?/\.
        name = "".join(char for char in each.name if char not in "[]:*?/\\")[:28] or str(number)
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "A2"
        for column, heading in enumerate(each.headings, 1):
            letter = get_column_letter(column)
            sheet.column_dimensions[letter].width = max(_NARROW, 2 * len(heading))
        header = [_cell(sheet, heading) for heading in each.headings]
        for cell in header:
            cell.font = Font(bold=True)
        sheet.append(header)
        for row in each.rows:
            sheet.append([_figure(sheet, value) for value in row])
    return _saved(book)


def _figure(sheet: Any, value: str | float | date | None) -> Any:
    if value is None or isinstance(value, str | date):
        text = value[:_MAX_CELL] if isinstance(value, str) else value
        return _cell(sheet, harmless(text))
    return WriteOnlyCell(sheet, value=value)
