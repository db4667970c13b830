"""Entry tables (XLSX, CSV, JSON lines) in and out; hides columns, cell types and spellings."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath

from kb.errors import DocumentUnreadable
from kb.formats.sheets import BadCell, Rows, read_csv, read_workbook
from kb.formats.text import clean, decode, one_line
from kb.formats.workbook import (
    FORMULA_START,
    Example,
    csv_table,
    harmless,
    template_workbook,
    workbook,
)

MAX_BYTES = 50 * 2**20
TABLE_SUFFIXES = (".xlsx", ".csv", ".jsonl")
MAX_QUESTION, MAX_ANSWER, MAX_SHORT_ANSWER, MAX_PHRASING = 200, 20_000, 600, 200
MAX_SHORT_FIELD = 200

HEADINGS = {
    "question": "标准问",
    "similar": "相似问",
    "negative": "反例问",
    "answer": "答复",
    "short_answer": "简短答复",
    "department": "责任单位",
    "region": "地区",
    "topic": "主题",
    "tags": "标签",
    "audience": "办理对象",
    "basis": "政策依据",
    "effective_on": "生效日期",
    "expires_on": "失效日期",
    "review_due": "复核日期",
    "phone": "联系电话",
    "status": "状态",
    "code": "编号",
}
REQUIRED = ("question", "answer", "department")
STATUSES = {"草稿": "draft", "待审": "submitted", "已发布": "published", "已撤回": "withdrawn"}

_LISTS = ("similar", "negative", "tags", "basis")
_DATES = ("effective_on", "expires_on", "review_due")
_STATUS_WORDS = {english: chinese for chinese, english in STATUSES.items()}
_HEADER_SEARCH_ROWS = 5
_EXAMPLE_MARK = "【示例】"
_DATE_FORMS = re.compile(
    r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|年(\d{1,2})月(\d{1,2})日|(\d{2})(\d{2}))"
    r"(?:[ T]00:00(?::00)?)?"
)

Raw = str | date | BadCell | list[str]


@dataclass(frozen=True)
class EntryRecord:
    """One row of an entry table, within the limits of this module.

    ``region`` is as written: six digits, a place name or empty. ``status`` is one of
    ``draft``, ``submitted``, ``published``, ``withdrawn``. ``expires_on`` is the last valid day.
    """

    question: str
    answer: str
    department: str
    similar: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    short_answer: str = ""
    region: str = ""
    topic: str = ""
    tags: tuple[str, ...] = ()
    audience: str = ""
    basis: tuple[str, ...] = ()
    effective_on: date | None = None
    expires_on: date | None = None
    review_due: date | None = None
    phone: str = ""
    status: str = "draft"
    code: str = ""


@dataclass(frozen=True)
class RowProblem:
    """What is wrong with one field of one row.

    ``row`` is counted as a person sees it: the header is row 1, in JSON lines it is the line.
    ``field`` is the English name; for an unknown column, which is ignored, its heading.
    """

    row: int
    field: str
    message: str


_EXAMPLE = EntryRecord(
    question=_EXAMPLE_MARK + "灵活就业人员怎样参加职工医保？",
    similar=("自由职业者能交职工医保吗", "没有单位怎么交医保"),
    negative=("居民医保怎么交",),
    answer="在这里写完整的答复，可以分段。\n导入时这一行会自动跳过。",
    short_answer="在这里写电话里能念完的简短答复。",
    department="市医疗保障局",
    region="370283",
    topic="医疗保障",
    tags=("灵活就业", "参保"),
    audience="个人",
    basis=("某政办发〔2024〕1号 第三条",),
    effective_on=date(2024, 1, 5),
    review_due=date(2025, 1, 5),
    phone="12345",
    code="YB-001",
)


def read_entries(
    data: bytes, filename: str
) -> tuple[list[tuple[int, EntryRecord]], list[RowProblem]]:
    """Read an entry table; a row with a problem is left out, the others are returned.

    Returns:
        The good rows with their row numbers, and all problems ordered by row.

    Raises:
        DocumentUnreadable: the file as a whole cannot be used; the only exception.
    """
    suffix = PurePath(filename.replace("\\", "/")).suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise DocumentUnreadable(f"条目表只支持 {'、'.join(TABLE_SUFFIXES)} 格式。")
    if not data:
        raise DocumentUnreadable("文件是空的，没有任何内容。")
    if len(data) > MAX_BYTES:
        raise DocumentUnreadable(f"文件超过 {MAX_BYTES // 2**20} MB，请拆分后再导入。")
    problems: list[RowProblem] = []
    try:
        rows = list(_raw_rows(data, suffix, problems))
    except DocumentUnreadable:
        raise
    except Exception as error:
        # Libraries fail on hostile bytes in ways that no list can name.
        raise DocumentUnreadable("表格文件已损坏或格式不规范，无法读取。") from error
    entries: list[tuple[int, EntryRecord]] = []
    for number, raw in rows:
        record, wrong = _record(raw)
        if record == _EXAMPLE:
            continue
        if record is not None and record.question.startswith(_EXAMPLE_MARK):
            wrong["question"] = f"“标准问”仍带有“{_EXAMPLE_MARK}”，请改成实际内容或删除该行"
        problems.extend(RowProblem(number, name, message) for name, message in wrong.items())
        if record is not None and not wrong:
            entries.append((number, record))
    entries, repeated = _without_repeats(entries)
    return entries, sorted(problems + repeated, key=lambda problem: problem.row)


def _raw_rows(
    data: bytes, suffix: str, problems: list[RowProblem]
) -> Iterator[tuple[int, dict[str, Raw]]]:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise DocumentUnreadable("文件是旧版 xls 表格或设有密码，请另存为不加密的 xlsx 后再导入。")
    if data.startswith(b"PK"):
        return _table(_first_entry_sheet(read_workbook(data)), problems)
    if suffix == ".xlsx":
        raise DocumentUnreadable("文件虽以 xlsx 结尾，却不是有效的 Excel 表格，可能已损坏。")
    if suffix == ".csv":
        return _table(read_csv(data), problems)
    return _json_lines(decode(data), problems)


def _first_entry_sheet(sheets: Iterator[Rows]) -> Rows:
    """Return the first sheet with the required columns, else the first that holds anything."""
    first: Rows = []
    for rows in sheets:
        if _header_position(rows) is not None:
            return rows
        first = first or rows
    return first


def _header_position(rows: Rows) -> int | None:
    for position, (_, cells) in enumerate(rows[:_HEADER_SEARCH_ROWS]):
        names = {_field_name(cell) for cell in cells if isinstance(cell, str)}
        if names.issuperset(REQUIRED):
            return position
    return None


def _table(rows: Rows, problems: list[RowProblem]) -> Iterator[tuple[int, dict[str, Raw]]]:
    if not rows:
        raise DocumentUnreadable("表格里没有内容。")
    position = _header_position(rows)
    if position is None:
        names = {_field_name(c) for _, cells in rows[:1] for c in cells if isinstance(c, str)}
        missing = "、".join(HEADINGS[name] for name in REQUIRED if name not in names)
        raise DocumentUnreadable(f"表格缺少必填列：{missing}。请使用条目模板，第一行写列名。")
    header_row, headings = rows[position]
    columns: dict[int, str] = {}
    for column, heading in enumerate(headings):
        text = str(heading) if isinstance(heading, str | date) else ""
        name = _field_name(text)
        if name is None and text:
            problems.append(RowProblem(header_row, text, f"不认识的列“{text}”，已忽略"))
        elif name in columns.values():
            problems.append(RowProblem(header_row, text, f"列“{text}”重复，只取第一列"))
        elif name:
            columns[column] = name
    return (
        (number, {name: _unescaped(cells[i]) for i, name in columns.items() if i < len(cells)})
        for number, cells in rows[position + 1 :]
        if any(i < len(cells) and cells[i] != "" for i in columns)
    )


def _field_name(heading: str) -> str | None:
    """Return the English name of a heading in either language; None when there is none."""
    plain = unicodedata.normalize("NFKC", heading)
    plain = re.sub(r"\(.*?\)|[\s*:]", "", plain).lower()
    return _NAMES.get(plain)


_NAMES = {
    **{chinese: name for name, chinese in HEADINGS.items()},
    **{name: name for name in HEADINGS},
}


def _unescaped(cell: str | date | BadCell) -> str | date | BadCell:
    if isinstance(cell, str) and cell.startswith("'") and FORMULA_START.match(cell):
        return cell[1:]
    return cell


def _json_lines(text: str, problems: list[RowProblem]) -> Iterator[tuple[int, dict[str, Raw]]]:
    unknown: set[str] = set()
    objects = 0
    rows: list[tuple[int, dict[str, Raw]]] = []
    # Not splitlines(): a string may hold other line separators.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            loaded = json.loads(line)
        except (ValueError, RecursionError):
            problems.append(RowProblem(number, "", "这一行不是有效的 JSON"))
            continue
        if not isinstance(loaded, dict):
            problems.append(RowProblem(number, "", "这一行应是一个 JSON 对象"))
            continue
        objects += 1
        raw: dict[str, Raw] = {}
        for key, value in loaded.items():
            name = _field_name(key)
            if name is None:
                if key not in unknown:
                    unknown.add(key)
                    problems.append(RowProblem(number, key, f"不认识的字段“{key}”，已忽略"))
            else:
                raw[name] = _json_value(value, name)
        rows.append((number, raw))
    if not objects:
        raise DocumentUnreadable("文件里没有一行是 JSON 对象，请检查是否为 JSON Lines 格式。")
    return iter(rows)


def _json_value(value: object, name: str) -> Raw:
    heading = HEADINGS[name]
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and name in _LISTS:
        if all(isinstance(item, str) for item in value):
            return [str(item) for item in value]
        return BadCell(f"“{heading}”列表中的每一项都应是文字")
    expected = "文字或文字列表" if name in _LISTS else "文字"
    return BadCell(f"“{heading}”应是{expected}")


def _record(raw: Mapping[str, Raw]) -> tuple[EntryRecord | None, dict[str, str]]:
    """Return the record, or None, and what is wrong by field."""
    wrong: dict[str, str] = {}
    for name, value in raw.items():
        if isinstance(value, BadCell):
            wrong[name] = (
                value.message if "“" in value.message else f"“{HEADINGS[name]}”{value.message}"
            )
    texts = {name: _text(raw.get(name, ""), name) for name in HEADINGS if name not in _LISTS}
    lists = {name: _items(raw.get(name, ""), name) for name in _LISTS}
    dates = {name: _date(raw.get(name, ""), name, wrong) for name in _DATES}
    _check_lengths(texts, lists, wrong)
    begin, end = dates["effective_on"], dates["expires_on"]
    if begin and end and end < begin:
        wrong.setdefault("expires_on", "“失效日期”早于“生效日期”")
    status = _status(texts["status"])
    if status is None:
        words = "、".join(STATUSES)
        wrong.setdefault("status", f"“状态”应为{words}之一，现为“{texts['status'][:20]}”")
    if wrong or status is None:
        return None, wrong
    question = texts["question"]
    return EntryRecord(
        question=question,
        answer=texts["answer"],
        department=texts["department"],
        similar=tuple(item for item in lists["similar"] if item != question),
        negative=lists["negative"],
        short_answer=texts["short_answer"],
        region=texts["region"],
        topic=texts["topic"],
        tags=lists["tags"],
        audience=texts["audience"],
        basis=lists["basis"],
        effective_on=begin,
        expires_on=end,
        review_due=dates["review_due"],
        phone=texts["phone"],
        status=status,
        code=texts["code"],
    ), wrong


def _text(value: Raw, name: str) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        return ""
    return clean(value).strip() if name in ("answer", "short_answer") else one_line(value)


def _items(value: Raw, name: str) -> tuple[str, ...]:
    """Split a cell into its items, in order and each once."""
    if isinstance(value, date):
        value = value.isoformat()
    if isinstance(value, BadCell):
        return ()
    text = clean(value if isinstance(value, str) else "\n".join(value))
    parts = re.split(r"[\n、，,；;]" if name == "tags" else r"\n", text)
    return tuple(dict.fromkeys(item for part in parts if (item := one_line(part))))


def _date(value: Raw, name: str, wrong: dict[str, str]) -> date | None:
    if isinstance(value, date):
        return value
    text = unicodedata.normalize("NFKC", one_line(value)) if isinstance(value, str) else ""
    if not text:
        return None
    match = _DATE_FORMS.fullmatch(re.sub(r"\s*([-/年月日])\s*", r"\1", text))
    if match:
        year, month, day = (int(part) for part in match.groups() if part)
        try:
            return date(year, month, day)
        except ValueError:
            pass
    wrong.setdefault(
        name, f"“{HEADINGS[name]}”不是有效日期：“{text[:20]}”，请写成 2024-01-05 的样子"
    )
    return None


def _status(text: str) -> str | None:
    if not text:
        return "draft"
    return STATUSES.get(text) or (text.lower() if text.lower() in _STATUS_WORDS else None)


def _check_lengths(
    texts: Mapping[str, str], lists: Mapping[str, Sequence[str]], wrong: dict[str, str]
) -> None:
    for name in REQUIRED:
        if not texts[name]:
            wrong.setdefault(name, f"“{HEADINGS[name]}”不能为空")
    limits = {"question": MAX_QUESTION, "answer": MAX_ANSWER, "short_answer": MAX_SHORT_ANSWER}
    for name, text in texts.items():
        limit = limits.get(name, MAX_SHORT_FIELD)
        if name not in _DATES and name != "status" and len(text) > limit:
            wrong.setdefault(name, f"“{HEADINGS[name]}”有 {len(text)} 字，超过 {limit} 字")
    for name, items in lists.items():
        for position, item in enumerate(items, 1):
            if len(item) > MAX_PHRASING:
                message = (
                    f"“{HEADINGS[name]}”第 {position} 条有 {len(item)} 字，超过 {MAX_PHRASING} 字"
                )
                wrong.setdefault(name, message)


def _without_repeats(
    entries: list[tuple[int, EntryRecord]],
) -> tuple[list[tuple[int, EntryRecord]], list[RowProblem]]:
    """Keep the first of the rows that share a code, or a question in the same region."""
    problems: list[RowProblem] = []
    kept: list[tuple[int, EntryRecord]] = []
    codes: dict[str, int] = {}
    questions: dict[tuple[str, str], int] = {}
    for number, record in entries:
        asked = (re.sub(r"\s", "", unicodedata.normalize("NFKC", record.question)), record.region)
        if record.code and record.code in codes:
            message = f"“编号”{record.code} 与第 {codes[record.code]} 行重复"
            problems.append(RowProblem(number, "code", message))
        elif asked in questions:
            message = f"“标准问”与第 {questions[asked]} 行重复"
            problems.append(RowProblem(number, "question", message))
        else:
            kept.append((number, record))
            questions[asked] = number
            if record.code:
                codes[record.code] = number
    return kept, problems


def write_entries(records: Iterable[EntryRecord], suffix: str) -> bytes:
    """Write an entry table that `read_entries` turns into the same records.

    Args:
        suffix: ``".xlsx"``, ``".csv"`` (UTF-8 with its mark, for Excel) or ``".jsonl"``.

    Raises:
        ValueError: another suffix.
        InvalidEntry: a cell is longer than a workbook can hold; CSV and JSON lines hold it.
    """
    writer = _WRITERS.get(suffix.lower())
    if writer is None:
        raise ValueError(f"no entry table format {suffix!r}")
    return writer(records)


def template(choices: Mapping[str, Sequence[str]] | None = None) -> bytes:
    """Return an empty XLSX entry table with notes and an example row that import skips.

    Args:
        choices: English field name → values that its column offers.
    """
    notes = {HEADINGS[name]: note for name, note in _NOTES.items()}
    offered = {"status": tuple(STATUSES), **(choices or {})}
    lists = {HEADINGS[name]: values for name, values in offered.items()}
    example = Example(_row(_EXAMPLE), lists)
    return template_workbook(_headings(), notes, example)


_NOTES = {
    "question": f"必填。市民会怎样问，一句话，不超过 {MAX_QUESTION} 字。",
    "similar": f"同一件事的其他问法，每行一个，每个不超过 {MAX_PHRASING} 字。",
    "negative": "看着像、其实不该用这条答复的问法，每行一个。",
    "answer": f"必填。完整答复，可以分段，不超过 {MAX_ANSWER} 字。",
    "short_answer": f"适合微信或电话的简短答复，不超过 {MAX_SHORT_ANSWER} 字。",
    "department": "必填。对这条答复负责的单位全称。",
    "region": "六位行政区划代码或地名；不填则适用您账号的地区，账号不限地区的适用各地。",
    "topic": "主题分类，例如：医疗保障。",
    "tags": "关键词，用顿号或换行分开。",
    "audience": "个人、企业等。",
    "basis": "文号或标题，加第几条，每行一个。",
    "effective_on": "例如 2024-01-05；不填表示一直有效。",
    "expires_on": "最后有效的一天，例如 2026-12-31；不填表示长期有效。",
    "review_due": "到这一天提醒责任单位复核。",
    "phone": "市民可以拨打的咨询电话。",
    "status": "草稿、待审、已发布、已撤回；不填为草稿。",
    "code": "固定编号；再次导入同一编号即更新原条目。",
}


def _headings() -> list[str]:
    return [HEADINGS[name] + ("*" if name in REQUIRED else "") for name in HEADINGS]


def _row(record: EntryRecord) -> list[str | date | None]:
    """Return the cells of a record in the order of `HEADINGS`, formulas made harmless."""
    cells: list[str | date | None] = []
    for name in HEADINGS:
        value = getattr(record, name)
        if isinstance(value, tuple):
            value = ("、" if name == "tags" else "\n").join(value)
        if name == "status":
            value = _STATUS_WORDS.get(value, value)
        cells.append(harmless(value))
    return cells


def _json_table(records: Iterable[EntryRecord]) -> bytes:
    lines = []
    for record in records:
        values = {name: getattr(record, name) for name in HEADINGS}
        shown = {k: v.isoformat() if isinstance(v, date) else v for k, v in values.items()}
        lines.append(json.dumps(shown, ensure_ascii=False) + "\n")
    return "".join(lines).encode("utf-8")


_WRITERS: dict[str, Callable[[Iterable[EntryRecord]], bytes]] = {
    ".xlsx": lambda records: workbook(_headings(), map(_row, records)),
    ".csv": lambda records: csv_table(_headings(), map(_row, records)),
    ".jsonl": _json_table,
}
