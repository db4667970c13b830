"""Entry tables in and out: round trips, every kind of bad cell, every kind of bad file."""

from __future__ import annotations

import io
import json
import random
import zipfile
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.errors import DocumentUnreadable, InvalidEntry
from kb.exchange import (
    HEADINGS,
    MAX_BYTES,
    TABLE_SUFFIXES,
    EntryRecord,
    RowProblem,
    read_entries,
    template,
    write_entries,
)
from tests.kb.sample_files import zipped

SHEET = "xl/worksheets/sheet1.xml"
HEADER = "标准问,答复,责任单位"
GOOD = "怎样办停车证？,到窗口办理。,市交通局"
FULL = EntryRecord(
    question="怎样办停车证？",
    answer='第一段，\n\n“第二段”,带逗号和"引号"。',
    department="市交通局",
    similar=("停车证去哪办", "-停车证", "😀停车"),
    negative=("怎样交停车费",),
    short_answer="到窗口办理。",
    region="012345",
    topic="交通",
    tags=("停车", "证件"),
    audience="个人",
    basis=("某政发〔2024〕1号 第三条", "=办法 第2条"),
    effective_on=date(2024, 1, 5),
    expires_on=date(2024, 1, 5),
    review_due=date(2030, 12, 31),
    phone="0532-00012345",
    status="published",
    code="007",
)


def csv(*lines: str) -> bytes:
    return "\n".join((HEADER, *lines)).encode()


def xlsx(rows: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def patched(data: bytes, changes: dict[str, tuple[bytes, bytes]]) -> bytes:
    """Return a workbook with one replacement in some of its parts."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    for name, (old, new) in changes.items():
        assert old in members[name]
        members[name] = members[name].replace(old, new)
    return zipped(members)


def reason(data: bytes, name: str) -> str:
    with pytest.raises(DocumentUnreadable) as caught:
        read_entries(data, name)
    return str(caught.value)


def problems(data: bytes, name: str) -> list[tuple[int, str]]:
    return [(problem.row, problem.field) for problem in read_entries(data, name)[1]]


# --- round trips ---


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_round_trip(suffix: str) -> None:
    bare = EntryRecord("另一个问题", "答", "市局")
    entries, wrong = read_entries(write_entries([FULL, bare], suffix), f"a{suffix}")
    assert [record for _, record in entries] == [FULL, bare]
    assert [row for row, _ in entries] == ([1, 2] if suffix == ".jsonl" else [2, 3])
    assert wrong == []


LETTERS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs", "Cn")),
    min_size=1,
    max_size=12,
).filter(lambda text: text.strip("\u200b\ufeff") == text and "\u200b" not in text)
FORMULAS = st.sampled_from(
    ["=1+1", "+1", "-1", "@a", "'=x", "''-", "'", "＝a", '"', "0012", "a,b;c"]
)
PHRASE = (LETTERS | FORMULAS).filter(lambda text: "\ufeff" not in text)


@settings(max_examples=40, deadline=None)
@given(
    suffix=st.sampled_from(TABLE_SUFFIXES),
    texts=st.lists(PHRASE, min_size=7, max_size=7),
    similar=st.lists(PHRASE, max_size=3, unique=True),
    effective=st.none() | st.dates(date(1950, 1, 1), date(2199, 12, 31)),
    status=st.sampled_from(["draft", "submitted", "published", "withdrawn"]),
)
def test_any_record_round_trips(
    suffix: str, texts: list[str], similar: list[str], effective: date | None, status: str
) -> None:
    question, answer, department, region, topic, phone, code = texts
    record = EntryRecord(
        question=question,
        answer=f"{answer}\n{topic}",
        department=department,
        similar=tuple(text for text in similar if text != question),
        region=region,
        topic=topic,
        phone=phone,
        code=code,
        effective_on=effective,
        status=status,
    )
    assert read_entries(write_entries([record], suffix), f"a{suffix}")[0][0][1] == record


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_no_exported_cell_is_a_formula(suffix: str) -> None:
    risky = [EntryRecord(f"{sign}cmd{i}", "答", "局") for i, sign in enumerate("=+-@＝")]
    data = write_entries(risky, suffix)
    if suffix == ".csv":
        firsts = [line.split(",")[0] for line in data.decode("utf-8-sig").splitlines()[1:]]
    else:
        sheet = openpyxl.load_workbook(io.BytesIO(data)).active
        firsts = [row[0].value for row in sheet.iter_rows(min_row=2)]
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    assert all(first.startswith("'") for first in firsts)
    assert [record for _, record in read_entries(data, f"a{suffix}")[0]] == risky


def test_a_cell_too_long_for_a_workbook_is_said() -> None:
    record = EntryRecord("问", "答", "局", similar=tuple(f"{i:05}" * 40 for i in range(200)))
    with pytest.raises(InvalidEntry, match="csv"):
        write_entries([record], ".xlsx")
    assert read_entries(write_entries([record], ".csv"), "a.csv")[0][0][1] == record
    with pytest.raises(ValueError, match="format"):
        write_entries([record], ".xls")


def test_template() -> None:
    data = template()
    assert read_entries(data, "模板.xlsx") == ([], [])
    book = openpyxl.load_workbook(io.BytesIO(data))
    sheet = book.worksheets[0]
    assert [cell.value.rstrip("*") for cell in sheet[1]] == list(HEADINGS.values())
    assert all(cell.comment for cell in sheet[1])
    sheet["D2"] = "改过的答复"
    sheet["A3"], sheet["D3"], sheet["F3"] = "真正的问题", "答", "局"
    target = io.BytesIO()
    book.save(target)
    entries, wrong = read_entries(target.getvalue(), "a.xlsx")
    assert [(row, record.question) for row, record in entries] == [(3, "真正的问题")]
    assert [(problem.row, problem.field) for problem in wrong] == [(2, "question")]


# --- headings and values ---


def test_headings_in_either_language_and_width() -> None:
    table = " Question ＊,答复（必填）,责任 单位*,ＣＯＤＥ\n问,答,局,1\n".encode()
    entries, wrong = read_entries(table, "a.csv")
    assert entries == [(2, EntryRecord("问", "答", "局", code="1"))]
    assert wrong == []
    line = json.dumps({"标准问*": "问", "答复": "答", "department": "局", "similar": "甲\n乙\n甲"})
    assert read_entries(line.encode(), "a.jsonl")[0][0][1].similar == ("甲", "乙")


def test_unknown_and_repeated_columns_are_reported_and_ignored() -> None:
    table = f"{HEADER},备注,答复\n{GOOD},随便,第二\n".encode()
    entries, wrong = read_entries(table, "a.csv")
    assert entries[0][1].answer == "到窗口办理。"
    assert [(problem.row, problem.field) for problem in wrong] == [(1, "备注"), (1, "答复")]


def test_missing_columns_are_named() -> None:
    text = reason("标准问,简短答复\n问,答\n".encode(), "a.csv")
    assert "答复" in text
    assert "责任单位" in text
    assert "缺少" in text


def test_title_above_the_header_and_empty_rows_keep_row_numbers() -> None:
    data = xlsx(
        [["2024年条目汇总"], HEADER.split(","), [], GOOD.split(","), [None], ["问", "", "局"]]
    )
    entries, wrong = read_entries(data, "a.xlsx")
    assert [row for row, _ in entries] == [4]
    assert [(problem.row, problem.field) for problem in wrong] == [(6, "answer")]


@pytest.mark.parametrize(
    "text",
    ["2024-01-05", "2024/1/5", "2024年1月5日", "20240105", " 2024-1-05 00:00:00", "２０２４/１/５"],
)
def test_dates(text: str) -> None:
    table = f"{HEADER},生效日期\n{GOOD},{text}\n".encode()
    assert read_entries(table, "a.csv")[0][0][1].effective_on == date(2024, 1, 5)


def test_date_cells_and_typed_numbers() -> None:
    header = [*HEADER.split(","), "生效日期", "失效日期", "联系电话", "地区"]
    row = [*GOOD.split(","), datetime(2024, 1, 5, 8), date(2025, 1, 5), 12345, 370283.0]
    record = read_entries(xlsx([header, row]), "a.xlsx")[0][0][1]
    assert (record.effective_on, record.expires_on) == (date(2024, 1, 5), date(2025, 1, 5))
    assert (record.phone, record.region) == ("12345", "370283")


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [
        ("生效日期", "2024-02-30", "effective_on"),
        ("生效日期", "下个月", "effective_on"),
        ("状态", "进行中", "status"),
        ("简短答复", "字" * 601, "short_answer"),
        ("相似问", "字" * 201, "similar"),
        ("主题", "字" * 201, "topic"),
    ],
)
def test_bad_values_name_their_field(column: str, value: str, field: str) -> None:
    table = f"{HEADER},{column}\n{GOOD},{value}\n另一问,答,局,\n".encode()
    entries, wrong = read_entries(table, "a.csv")
    assert [row for row, _ in entries] == [3]
    assert [(problem.row, problem.field) for problem in wrong] == [(2, field)]
    assert column in wrong[0].message


def test_limits_are_exact() -> None:
    fits = EntryRecord("问" * 200, "答" * 20_000, "局", short_answer="短" * 600)
    assert read_entries(write_entries([fits], ".xlsx"), "a.xlsx")[0][0][1] == fits
    over = write_entries([EntryRecord("问" * 201, "答" * 20_001, "局")], ".csv")
    assert problems(over, "a.csv") == [(2, "question"), (2, "answer")]


def test_expiry_before_effect() -> None:
    table = f"{HEADER},生效日期,失效日期\n{GOOD},2024-01-05,2024-01-04\n".encode()
    assert problems(table, "a.csv") == [(2, "expires_on")]


def test_status_words_and_default() -> None:
    rows = ["草稿", "待审", "已发布", "已撤回", "Published", ""]
    table = f"{HEADER},状态\n" + "".join(f"问{i},答,局,{word}\n" for i, word in enumerate(rows))
    assert [record.status for _, record in read_entries(table.encode(), "a.csv")[0]] == [
        "draft",
        "submitted",
        "published",
        "withdrawn",
        "published",
        "draft",
    ]


def test_repeats_within_a_row_and_a_file() -> None:
    header = f"{HEADER},相似问,编号,地区\n"
    rows = [
        '问一,答,局,"甲\n甲\n问一\n乙",1,',
        "问二,答,局,,1,",
        "问 一,答,局,,2,",
        "问一,答,局,,3,370283",
    ]
    entries, wrong = read_entries((header + "\n".join(rows)).encode(), "a.csv")
    assert [row for row, _ in entries] == [2, 5]
    assert entries[0][1].similar == ("甲", "乙")
    assert [(problem.row, problem.field) for problem in wrong] == [(3, "code"), (4, "question")]


# --- CSV ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_encodings_and_delimiters(encoding: str, delimiter: str) -> None:
    text = f"{HEADER}\r\n{GOOD}\r\n".replace(",", delimiter)
    assert read_entries(text.encode(encoding), "a.csv")[0] == [
        (2, EntryRecord("怎样办停车证？", "到窗口办理。", "市交通局"))
    ]


def test_csv_with_separator_hint_nul_and_multi_line_cells() -> None:
    data = 'sep=;\n标准问;答复;责任单位\n问\0;"一\n二";局\n问二;;局\n'.encode()
    entries, wrong = read_entries(data, "a.csv")
    assert entries == [(3, EntryRecord("问", "一\n二", "局"))]
    assert [(problem.row, problem.field) for problem in wrong] == [(4, "answer")]


def test_csv_broken_quotes_are_said() -> None:
    assert "第 3 行" in reason(csv(GOOD, '"没有结束,答,局', "另一,答,局"), "a.csv")
    assert "引号" in reason(csv('"问"多余,答,局'), "a.csv")


def test_a_very_long_cell_is_its_rows_problem() -> None:
    table = csv(f"问,{'字' * 200_000},局", GOOD)
    entries, wrong = read_entries(table, "a.csv")
    assert [row for row, _ in entries] == [3]
    assert [(problem.row, problem.field) for problem in wrong] == [(2, "answer")]


# --- JSON lines ---


def test_json_types() -> None:
    good = {"question": "问", "answer": "答", "department": "局", "phone": 12345, "topic": None}
    lines = [
        json.dumps({**good, "similar": ["甲", "乙"], "tags": "a、b"}, ensure_ascii=False),
        json.dumps({**good, "question": ["列表"]}),
        json.dumps({**good, "question": "问二", "similar": [1]}),
        json.dumps({**good, "question": "问三", "topic": {"a": 1}, "新字段": 1}),
        "[1]",
        "{坏",
        "",
        "[" * 5000,
        json.dumps({**good, "question": "问四", "code": True}),
        '{"question": "半个\\ud800字符", "answer": "答", "department": "局"}',
        '{"question": ' + "9" * 5000 + "}",
    ]
    entries, wrong = read_entries("\n".join(lines).encode(), "a.jsonl")
    assert entries == [
        (1, EntryRecord("问", "答", "局", ("甲", "乙"), tags=("a", "b"), phone="12345")),
        (10, EntryRecord("半个字符", "答", "局")),
    ]
    assert [(problem.row, problem.field) for problem in wrong] == [
        (2, "question"),
        (3, "similar"),
        (4, "新字段"),
        (4, "topic"),
        (5, ""),
        (6, ""),
        (8, ""),
        (9, "code"),
        (11, ""),
    ]


def test_json_line_separators_inside_strings_do_not_split_lines() -> None:
    line = '{"question":"问","answer":"一\u2028二\x85三","department":"局"}\n'
    assert read_entries((line).encode(), "a.jsonl")[0][0][1].answer == "一\u2028二三"


# --- workbooks ---


def test_formulas_count_by_their_stored_result() -> None:
    data = xlsx([HEADER.split(","), ['="停"&"车"', "答", "局"], GOOD.split(",")])
    entries, wrong = read_entries(data, "a.xlsx")
    assert [row for row, _ in entries] == [3]
    assert wrong[0].row == 2
    assert "公式" in wrong[0].message
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        empty = b"</f><v/>" if b"</f><v/>" in book.read(SHEET) else b"</f><v></v>"
    stored = patched(data, {SHEET: (empty, b"</f><v>7</v>")})
    assert read_entries(stored, "a.xlsx")[0][0][1].question == "7"


def test_error_cells_and_merged_cells() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (HEADER.split(","), ["问一", "答", "市局"], ["问二", "答"], ["#N/A", "答", "局"]):
        sheet.append(row)
    sheet.merge_cells("C2:C3")
    target = io.BytesIO()
    book.save(target)
    entries, wrong = read_entries(target.getvalue(), "a.xlsx")
    assert [(row, record.department) for row, record in entries] == [(2, "市局"), (3, "市局")]
    assert wrong == [RowProblem(4, "question", "“标准问”单元格是错误值 #N/A，请改正后再导入")]


def test_a_million_empty_rows_and_a_far_one() -> None:
    data = xlsx([HEADER.split(","), GOOD.split(",")])
    filler = b"".join(b'<row r="%d"><c r="A%d" s="0"/></row>' % (i, i) for i in range(3, 400_003))
    far = b'<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>x</t></is></c></row>'
    empty = patched(data, {SHEET: (b"</sheetData>", filler + b"</sheetData>")})
    assert [row for row, _ in read_entries(empty, "a.xlsx")[0]] == [2]
    assert problems(empty, "a.xlsx") == []
    with_far = patched(data, {SHEET: (b"</sheetData>", filler + far + b"</sheetData>")})
    assert (1_048_576, "answer") in problems(with_far, "a.xlsx")


def test_the_sheet_with_the_columns_is_found() -> None:
    book = openpyxl.Workbook()
    book.active.append(["说明"])
    sheet = book.create_sheet("条目")
    for line in (HEADER, GOOD):
        sheet.append(line.split(","))
    target = io.BytesIO()
    book.save(target)
    assert len(read_entries(target.getvalue(), "a.xlsx")[0]) == 1


# --- files as a whole ---


def test_reasons_are_distinct() -> None:
    good = write_entries([FULL], ".xlsx")
    entity = b'<!DOCTYPE a [<!ENTITY b "c">]>'
    bad = [
        reason(b"", "a.csv"),
        reason(b"\n \n", "a.csv"),
        reason(bytes(MAX_BYTES + 1), "a.csv"),
        reason(csv(GOOD), "a.docx"),
        reason(csv(GOOD), "a.xlsx"),
        reason(good[:-40], "a.xlsx"),
        reason(zipped({"a.txt": "b"}), "a.xlsx"),
        reason(zipped({"xl/workbook.xml": bytes(30 * 2**20)}), "a.xlsx"),
        reason(patched(good, {SHEET: (b"<worksheet", entity + b"<worksheet")}), "a.xlsx"),
        reason(b"\xd0\xcf\x11\xe0" + bytes(99), "a.xlsx"),
        reason(b"[]", "a.jsonl"),
        reason(csv(GOOD).decode().encode("utf-32"), "a.csv"),
    ]
    assert len(set(bad)) == len(bad)


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_damaged_tables_raise_nothing_else(suffix: str) -> None:
    whole = write_entries([FULL, EntryRecord("问", "答", "局")], suffix)
    chance = random.Random(suffix)
    for _ in range(120):
        data = bytearray(whole[: chance.randrange(1, len(whole) + 1)])
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            entries, wrong = read_entries(bytes(data), f"a{suffix}")
        except DocumentUnreadable as refusal:
            assert str(refusal)
        else:
            assert all(record.question for _, record in entries)
            assert all(problem.message for problem in wrong)


def test_damaged_parts_of_workbooks_raise_nothing_else() -> None:
    with zipfile.ZipFile(io.BytesIO(xlsx([HEADER.split(","), GOOD.split(",")]))) as source:
        members = {name: source.read(name) for name in source.namelist()}
    chance = random.Random(3)
    for _ in range(150):
        name = chance.choice(list(members))
        part = bytearray(members[name])
        for _ in range(chance.randrange(1, 4)):
            part[chance.randrange(len(part))] = chance.choice(b'<>/"=0aZ \xff')
        try:
            read_entries(zipped({**members, name: bytes(part)}), "a.xlsx")
        except DocumentUnreadable as refusal:
            assert str(refusal)
