"""Documents in, blocks out: every format, every kind of bad file."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.blocks import Block
from kb.errors import DocumentUnreadable
from kb.formats import archive
from kb.readers import DOCUMENT_SUFFIXES, MAX_BYTES, decode, read
from tests.kb import sample_files as sample
from tests.kb.sample_files import reason, texts

PROSE = "城市停车场应当公示收费标准，车主可以拨打服务电话咨询。"


# --- characters ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_decodes_the_encodings_of_chinese_offices(encoding: str) -> None:
    assert decode(PROSE.encode(encoding)) == PROSE


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [PROSE * 3, "2024 plan\nbus 12\n" + PROSE, "plain ASCII text"])
def test_detects_utf16_without_a_mark(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_decodes_short_gb18030_and_rare_characters() -> None:
    assert decode("通知".encode("gb18030")) == "通知"
    assert decode((PROSE + "㐂𠮷").encode("gb18030")) == PROSE + "㐂𠮷"


@pytest.mark.parametrize(
    "data",
    [
        "繁體中文的文件使用另一種編碼，讀出來會是亂碼，應該拒絕讀取這個檔案。".encode("big5"),
        "これは日本語の文書であり、別の符号化を使っています。".encode("shift_jis"),
        "이 문서는 한국어로 작성되었으며 다른 인코딩을 사용합니다. 읽을 수 없습니다.".encode(
            "euc_kr"
        ),
        "à la carte: déjà vu, façade, naïve, Zürich".encode("latin-1"),
        PROSE.encode()[:40] + b"\xff" + PROSE.encode()[42:],
        PROSE.encode("utf-16")[:-1],
    ],
)
def test_refuses_other_encodings(data: bytes) -> None:
    assert "编码" in reason(data, "a.txt")


def test_refuses_binary_named_text() -> None:
    noise = random.Random(5).randbytes(4000)
    assert reason(noise, "a.txt")
    assert "不是文字" in reason(b"\x01\x02\x03\x04" * 200, "a.txt")


def test_removes_control_characters_but_normalises_nothing() -> None:
    assert texts("甲\0乙\x07丙\ufeff\n① ﹝2024﹞ １２\n".encode(), "a.txt") == [
        "甲乙丙",
        "① ﹝2024﹞ １２",
    ]


# --- text and Markdown ---


def test_text_lines_become_blocks() -> None:
    source = (
        "# 停车管理办法\n<!-- 说明\n多行 -->\n\n\u3000\u3000第一条\u3000总则。\u3000\r\n"
        "## 第一章 总 则\n末行"
    )
    assert read(source.encode(), "办法.TXT") == [
        Block("停车管理办法", "heading", 1),
        Block("第一条\u3000总则。"),
        Block("第一章 总 则", "heading", 2),
        Block("末行"),
    ]


def test_many_unclosed_comments_take_linear_time() -> None:
    assert len(read(b"<!--" * 200_000 + b"\n" + PROSE.encode(), "a.txt")) == 2


def test_markdown() -> None:
    source = (
        "# 停车**管理**办法\n\n第一段\n第二行\n\n1. 先登记\n2. 再缴费\n\n- 其他\n\n"
        "    缩进的一段\n\n| 项目 | 标准 |\n|---|---|\n| 小车 | 2元 |\n\n<!-- 不要 -->\n"
    )
    blocks = read(source.encode(), "a.md")
    assert blocks[0] == Block("停车管理办法", "heading", 1)
    assert [block.text for block in blocks[1:]] == [
        "第一段",
        "第二行",
        "1. 先登记",
        "2. 再缴费",
        "其他",
        "缩进的一段",
        "项目\u3000|\u3000标准",
        "项目：小车；标准：2元",
    ]


def test_deeply_nested_markdown_loses_nothing() -> None:
    source = "".join(" " * level + f"- 第{level}层\n" for level in range(300))
    joined = "".join(texts(source.encode(), "a.md"))
    assert all(f"第{level}层" in joined for level in range(300))


@pytest.mark.parametrize("part", ["*a_", "[", "> ", "- ", "`", "<", "#", "|a|\n|-|\n"])
def test_hostile_markdown_ends(part: str) -> None:
    read((PROSE + "\n\n" + part * 20_000).encode(), "a.md")


# --- PDF ---

BODY = (
    "为了规范城市停车场的管理，维护公共秩序，方便群众出行，"
    "根据有关法律、法规，结合本市实际，制定本办法"
)


def placed(text: str, top: float) -> list[sample.Placed]:
    """Set a paragraph of 26 characters a line, the first line indented by two."""
    lines = [(112.0, top, text[:24])]
    for start in range(24, len(text), 26):
        lines.append((80.0, top - 28 * len(lines), text[start : start + 26]))
    return lines


def test_pdf_joins_lines_and_drops_running_lines() -> None:
    pages = []
    for number in range(1, 5):
        first = f"第{number}段，" + BODY + "。"
        cut = BODY[: 24 + 26]  # two full lines, going on at the next page
        page = [(80.0, 800.0, "某市人民政府公报"), (270.0, 40.0, f"— {number} —")]
        page += placed(first, 740) + placed(f"（{number}）" + cut[3:], 540)
        pages.append(page)
    pages.append([(80.0, 740.0, "续行完毕。"), (250.0, 40.0, "第5页 共5页")])
    assert texts(sample.pdf(pages), "a.pdf") == [
        line
        for number in range(1, 5)
        for line in (
            f"第{number}段，" + BODY + "。",
            f"（{number}）" + BODY[3:50] + ("续行完毕。" if number == 4 else ""),
        )
    ]


def test_pdf_ruled_table_with_a_merged_cell() -> None:
    lines = [(80, 300, 480, 300), (80, 260, 480, 260), (280, 220, 480, 220), (80, 180, 480, 180)]
    lines += [(x, 180, x, 300) for x in (80, 280, 480)]
    rules = " ".join(f"{a} {b} m {c} {d} l S" for a, b, c, d in lines)
    page = [
        (80, 740, "停车收费标准"),
        (90, 270, "收费项目"),
        (290, 270, "收费标准"),
        (90, 230, "小型车辆"),
        (290, 230, "每小时2元"),
        (290, 190, "每天10元"),
        (80, 100, "以上标准从明年起执行。"),
    ]
    assert read(sample.pdf([page], rules), "a.pdf") == [
        Block("停车收费标准"),
        Block("收费项目\u3000|\u3000收费标准", "table"),
        Block("收费项目：小型车辆；收费标准：每小时2元", "table"),
        Block("收费标准：每天10元", "table"),
        Block("以上标准从明年起执行。"),
    ]


def test_pdf_reasons() -> None:
    assert "OCR" in reason(sample.pdf([[], []], image=True), "a.pdf")
    assert "密码" in reason(sample.pdf([placed(BODY, 700)], encrypted=True), "a.pdf")
    assert "损坏" in reason(b"%PDF-1.7\nnothing", "a.pdf")


# --- web pages ---

PAGE = """<!DOCTYPE html><html><head><meta charset="{charset}">
<title>关于停车的通知_某市人民政府</title>
<style>p {{}}</style><script>var a = "脚本";</script></head><body>
<nav>首页 | 政务公开</nav><header>站点头</header>
<form><input value="搜"><button>搜索</button></form>
<div class="TRS_Editor"><h2>一、范围</h2><p>本通知适用于
全市。<br>另起一行&nbsp;</p><p style="display: none">看不见</p>
<ol start="3"><li>登记</li><li>缴费</li></ol>
<table><tr><th>项目</th><th>标准</th></tr><tr><td rowspan="2">小车</td><td>2元</td></tr>
<tr><td>3元</td></tr></table><p>{prose}</p></div>
<div class="links">相关链接</div><footer>版权所有</footer></body></html>"""


@pytest.mark.parametrize(("charset", "encoding"), [("utf-8", "utf-8"), ("gb2312", "gb18030")])
def test_web_page_gives_its_article(charset: str, encoding: str) -> None:
    page = PAGE.format(charset=charset, prose=PROSE).encode(encoding)
    assert read(page, "a.html") == [
        Block("关于停车的通知", "heading", 1),
        Block("一、范围", "heading", 2),
        Block("本通知适用于全市。"),
        Block("另起一行"),
        Block("3. 登记"),
        Block("4. 缴费"),
        Block("项目\u3000|\u3000标准", "table"),
        Block("项目：小车；标准：2元", "table"),
        Block("标准：3元", "table"),
        Block(PROSE),
    ]


def test_web_page_inside_one_form_or_layout_table_is_kept() -> None:
    form = f"<html><body><form id='aspnetForm'><p>{PROSE}</p></form></body></html>"
    assert texts(form.encode(), "a.htm") == [PROSE]
    layout = f"<html><body><table><tr><td><p>{PROSE}</p><p>二</p></td></tr></table></body></html>"
    assert texts(layout.encode(), "a.htm") == [PROSE, "二"]


def test_web_page_reasons() -> None:
    deep = b"<html><body>" + b"<div>" * 5000 + PROSE.encode() + b"</div>" * 5000
    assert "嵌套" in reason(deep, "a.html")
    assert "正文" in reason(b"<html><body><script>1</script></body></html>", "a.html")
    bomb = b'<!DOCTYPE html [<!ENTITY a "' + b"x" * 99 + b'"><!ENTITY b "&a;&a;">]><html>&b;</html>'
    assert all(
        "xx&" not in text and len(text) < 200 for text in texts(bomb + PROSE.encode(), "a.html")
    )


# --- which format it really is ---


def test_content_decides_against_the_suffix() -> None:
    page = f"<html><body><p>{PROSE}</p></body></html>".encode()
    word = sample.docx(sample.paragraph(PROSE))
    for data, name in (
        (page, "a.pdf"),
        (page, "a.doc"),
        (f"<div>{PROSE}</div>".encode(), "a.doc"),
        (word, "a.doc"),
        (word, "a.pdf"),
        (sample.pdf([[(80, 700, PROSE[:20])], [(80, 700, PROSE[20:])]]), "a.docx"),
        (PROSE.encode("gb18030"), "a.doc"),
        (b"MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n" + page, "a.doc"),
    ):
        assert "".join(texts(data, name)) == PROSE, name


def test_reasons_are_distinct() -> None:
    xlsx = sample.zipped({"xl/workbook.xml": "<workbook/>"})
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    entity = sample.docx("").replace(b"PK", b"PK")
    bad = {
        "empty": reason(b"", "a.txt"),
        "blank": reason(" \u3000\r\n\t".encode(), "a.txt"),
        "large": reason(bytes(MAX_BYTES + 1), "a.txt"),
        "suffix": reason(PROSE.encode(), "a.exe"),
        "no text": reason(entity, "a.docx"),
        "spreadsheet": reason(xlsx, "a.docx"),
        "broken": reason(sample.docx(sample.paragraph(PROSE))[:-60], "a.docx"),
        "plain": reason(PROSE.encode(), "a.docx"),
        "old spreadsheet": reason(ole + "Workbook".encode("utf-16-le"), "a.doc"),
        "locked": reason(ole + "EncryptedPackage".encode("utf-16-le"), "a.docx"),
    }
    assert len(set(bad.values())) == len(bad)
    assert all(re.search("[\u4e00-\u9fff]", text) for text in bad.values())


# --- bombs ---


def test_zip_bombs_are_refused_before_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = sample.zipped({"word/document.xml": bytes(30 * 2**20)})
    assert "压缩炸弹" in reason(bomb, "a.docx")
    monkeypatch.setattr(archive, "MAX_UNPACKED", 2000)
    assert "压缩炸弹" in reason(sample.docx(sample.paragraph(PROSE * 30)), "a.docx")


def test_a_zip_that_lies_about_its_size_is_refused() -> None:
    data = sample.docx(sample.paragraph(PROSE * 100))
    size = len(sample.docx(sample.paragraph(PROSE * 100)))
    real = archive.Archive(data).read("word/document.xml")
    lying = data.replace(len(real).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    assert len(lying) == size
    assert lying != data
    assert reason(lying, "a.docx")


# --- whatever bytes ---

VALID: dict[str, Callable[[], bytes]] = {
    ".txt": lambda: (PROSE * 5).encode("gb18030"),
    ".md": lambda: f"# 题\n\n- {PROSE}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n".encode(),
    ".docx": lambda: sample.docx(
        sample.numbered(PROSE, 1) + sample.table([["甲", "乙"], ["丙", "丁"]]),
        {"numbering": sample.numbering([("decimal", "%1.")]), "footnotes": "<w:footnote/>"},
    ),
    ".pdf": lambda: sample.pdf([placed(BODY, 700), placed(BODY, 600)], "80 300 m 480 300 l S"),
    ".html": lambda: PAGE.format(charset="utf-8", prose=PROSE).encode(),
}


@pytest.mark.parametrize("suffix", VALID)
def test_damaged_files_raise_nothing_else(suffix: str) -> None:
    whole = VALID[suffix]()
    chance = random.Random(suffix)
    for _ in range(150):
        data = bytearray(whole[: chance.randrange(1, len(whole) + 1)])
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        readable_or_refused(bytes(data), f"a{suffix}")


def test_damaged_parts_of_word_files_raise_nothing_else() -> None:
    with zipfile.ZipFile(io.BytesIO(VALID[".docx"]())) as source:
        members = {name: source.read(name) for name in source.namelist()}
    chance = random.Random(4)
    for _ in range(200):
        name = chance.choice(list(members))
        part = bytearray(members[name])
        for _ in range(chance.randrange(1, 5)):
            part[chance.randrange(len(part))] = chance.choice(b'<>/"=0aZ \xff')
        readable_or_refused(sample.zipped({**members, name: bytes(part)}), "a.docx")


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=300),
    start=st.sampled_from(
        [b"", b"%PDF-1.4\n", b"PK\x03\x04", b"<html>", b"{\\rtf", b"MIME-Version: "]
    ),
    suffix=st.sampled_from(DOCUMENT_SUFFIXES),
)
def test_any_bytes_are_read_or_refused(data: bytes, start: bytes, suffix: str) -> None:
    readable_or_refused(start + data, f"a{suffix}")


def readable_or_refused(data: bytes, name: str) -> None:
    try:
        blocks = read(data, name)
    except DocumentUnreadable as refusal:
        assert str(refusal)
    else:
        assert blocks
        for block in blocks:
            assert block.text.strip()
            assert "\n" not in block.text
            assert block.text.encode("utf-8")
