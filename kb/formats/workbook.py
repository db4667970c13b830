"""Entry tables as XLSX and CSV bytes; hides styles, widths and notes."""

from __future__ import annotations

import csv
import io
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

_MAX_CELL = 32_767  # UTF-16 units, a limit of the file format
_SHEET, _NOTES_SHEET = "条目", "填写说明"
_WIDE = 40
_NARROW = 16
_WIDE_HEADINGS = ("标准问", "相似问", "答复", "简短答复", "政策依据")


@dataclass(frozen=True)
class Example:
    """The example row of a template, and the words that the column 状态 offers."""

    row: Sequence[Value]
    statuses: tuple[str, ...]


def workbook(headings: Sequence[str], rows: Iterable[Sequence[Value]]) -> bytes:
    """Return an XLSX file with one sheet; texts stay texts, dates are date cells.

    Raises:
        InvalidEntry: a text longer than a cell can hold.
    """
    rows = list(rows)
    for row in rows:
        _refuse_long(row)
    book = openpyxl.Workbook(write_only=True)
    _fill(book.create_sheet(_SHEET), headings, rows)
    return _saved(book)


def template_workbook(headings: Sequence[str], notes: Mapping[str, str], example: Example) -> bytes:
    """Return an XLSX file with a marked example row, notes on the headings and a sheet of notes."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(_SHEET)
    choice = DataValidation(
        type="list", formula1=f'"{",".join(example.statuses)}"', allow_blank=True
    )
    letter = get_column_letter(headings.index("状态") + 1)
    choice.add(f"{letter}2:{letter}10000")
    sheet.data_validations.append(choice)
    _fill(sheet, headings, [example.row], notes=notes, faint=True)
    explained = book.create_sheet(_NOTES_SHEET)
    explained.column_dimensions["A"].width = _NARROW
    explained.column_dimensions["B"].width = 2 * _WIDE
    explained.append(["列名", "怎样填写"])
    for heading in headings:
        explained.append([heading, notes[heading.rstrip("*")]])
    return _saved(book)


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
