"""Cells of XLSX workbooks and CSV files by row; hides sizes, merges, formulas and delimiters."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import openpyxl

from kb.errors import DocumentUnreadable
from kb.formats.archive import Archive, relations
from kb.formats.text import clean, decode

MAX_COLUMNS = 60
_MAX_FIELD = 50 * 2**20
_MAX_MERGES = 20_000
_DELIMITERS = ",;\t"
_RELATION_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_EMPTY_CELL = re.compile(rb'<c r="[^<>]*(?:/>|></c>)')
_EMPTY_ROW = re.compile(rb'<row r="[^<>]*(?:/>|></row>)')
_MERGE = re.compile(
    rb"<(?:\w+:)?mergeCell\b[^>]*?\bref=\"([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})\""
)
_FORMULA = re.compile(rb"<(?:\w+:)?f[ >/]")


@dataclass(frozen=True)
class BadCell:
    """A cell without a usable value; the message says why, in Chinese."""

    message: str


Cell = str | date | BadCell
Rows = list[tuple[int, list[Cell]]]


def read_workbook(data: bytes) -> Iterator[Rows]:
    """Yield the rows that hold something, numbered from 1 as Excel shows them, sheet by sheet.

    Formulas are never computed: their stored results count. A cell merged downwards lends its
    value to the rows it covers.

    Raises:
        DocumentUnreadable: no workbook, broken, or unsafe to open.
    """
    archive = Archive(data)
    root = archive.xml("xl/workbook.xml")
    if root is None:
        raise DocumentUnreadable("文件不是有效的 Excel 表格（xlsx），请另存为 xlsx 后再上传。")
    archive.refuse_declarations()
    slim = _without_empty_cells(archive)
    targets = relations(archive, "xl/workbook.xml")
    with warnings.catch_warnings():
        # openpyxl warns of styles and extensions that it leaves out; no value is lost by it.
        warnings.simplefilter("ignore")
        stored = openpyxl.load_workbook(io.BytesIO(slim), read_only=True, data_only=True)
        source = openpyxl.load_workbook(io.BytesIO(slim), read_only=True)
        for sheet in root.iter():
            kind, part = targets.get(sheet.get(_RELATION_ID, ""), ("", ""))
            name = sheet.get("name", "")
            if kind == "worksheet" and name in stored.sheetnames:
                yield _sheet_rows(archive.read(part), stored[name], source[name])


def _without_empty_cells(archive: Archive) -> bytes:
    """Return the workbook without cells and rows that only have a style.

    A sheet formatted down to its last row holds a million of them, each slow to read.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as slim:
        for name in archive.names:
            part = archive.read(name)
            if name.startswith("xl/worksheets/"):
                part = _EMPTY_ROW.sub(b"", _EMPTY_CELL.sub(b"", part))
            if name.endswith((".xml", ".rels")):
                slim.writestr(name, part)
    return target.getvalue()


def _sheet_rows(part: bytes, stored: Any, source: Any) -> Rows:
    for sheet in (stored, source):
        sheet.reset_dimensions()  # the declared size is often a million rows
    values = stored.iter_rows(max_col=MAX_COLUMNS)
    formulas = source.iter_rows(max_col=MAX_COLUMNS) if _FORMULA.search(part) else None
    rows: Rows = []
    previous: object = None
    for number, cells in enumerate(values, 1):
        written = next(formulas, ()) if formulas is not None else ()
        if cells is previous:  # openpyxl fills gaps with one shared row
            continue
        previous = cells
        row = [
            _cell(cell, column < len(written) and written[column].data_type == "f")
            for column, cell in enumerate(cells)
        ]
        if any(cell != "" for cell in row):
            rows.append((number, row))
    _fill_merges(rows, part)
    return rows


def _cell(cell: Any, is_formula: bool) -> Cell:
    value = cell.value
    if cell.data_type == "e":
        return BadCell(f"单元格是错误值 {value}，请改正后再导入")
    if value is None:
        if is_formula:
            return BadCell("单元格是公式，且没有保存计算结果，请复制后以“值”粘贴")
        return ""
    if isinstance(value, str):
        return clean(value).strip()
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _fill_merges(rows: Rows, part: bytes) -> None:
    numbers = [number for number, _ in rows]
    for count, match in enumerate(_MERGE.finditer(part)):
        top, bottom = int(match[2]), int(match[3])
        if count >= _MAX_MERGES or bottom <= top:
            continue
        column = _column_index(match[1].decode("ascii"))
        first = bisect_right(numbers, top - 1)
        if first == len(numbers) or numbers[first] != top or column >= len(rows[first][1]):
            continue
        value = rows[first][1][column]
        for _, cells in rows[first + 1 : bisect_right(numbers, bottom)]:
            cells.extend([""] * (column + 1 - len(cells)))
            cells[column] = value


def _column_index(letters: str) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def read_csv(data: bytes) -> Rows:
    """Return the records that hold something, numbered from 1 as a spreadsheet shows them.

    Raises:
        DocumentUnreadable: unknown encoding or quotes that do not pair.
    """
    text = decode(data)
    hint = re.match(r"sep=([,;\t])\n", text)
    delimiter = hint[1] if hint else _delimiter(text)
    csv.field_size_limit(_MAX_FIELD)  # a cell too long is its row's problem, not the file's
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: Rows = []
    number = 0
    try:
        for number, record in enumerate(reader, 1):
            if any(cell.strip() for cell in record):
                rows.append((number, [cell.strip() for cell in record]))
    except csv.Error as error:
        raise DocumentUnreadable(
            f"第 {number + 1} 行的引号不成对，无法分清单元格，请检查该行的英文双引号。"
        ) from error
    return rows[1:] if hint else rows


def _delimiter(text: str) -> str:
    """Return the sign that parts the cells of the first line, quoted signs left aside."""
    line = next((line for line in text.split("\n") if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", line)
    return max(_DELIMITERS, key=bare.count)
