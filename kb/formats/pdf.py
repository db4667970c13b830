"""PDF files as paragraphs and table rows; hides PDFium and the geometry of a page."""

from __future__ import annotations

import re
import statistics
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pypdfium2  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from kb.blocks import Block
from kb.errors import DocumentUnreadable
from kb.formats.grid import Rule, Table, find_tables
from kb.formats.tables import table_blocks
from kb.formats.text import one_line

MAX_PAGES = 3_000
_MAX_PAGE_CHARS = 100_000
_MAX_RULES = 1_500
_THIN = 2.5  # points: a path thinner than this is a ruling line
_MIN_RULE = 8.0
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
_LOCK = threading.Lock()  # PDFium is not safe for threads

_PAGE_NUMBER = re.compile(
    r"[-—–－\-·\s]*(?:第\s*)?[0-9０-９]{1,4}\s*(?:页)?\s*(?:[,，/／]?\s*(?:共\s*)?[0-9]{1,4}\s*页?)?[-—–－·\s]*"
    r"|第\s*[一二三四五六七八九十百]+\s*页|[Pp]age\s*\d+(?:\s*of\s*\d+)?"
)
_NUMBERED = re.compile(
    r"第[〇零一二三四五六七八九十百千\d]{1,8}[编章节条]|[一二三四五六七八九十]{1,3}、"
    r"|[（(][一二三四五六七八九十\d]{1,3}[）)]|\d{1,2}[.．、](?!\d)|[①-⑳]|附件|附录"
)
_ENDS = "。；：！？”）.;:!?"
_BULLETS = "•●■◆▪"
_RAGGED = 0.12  # of the line's width, by which a line in unjustified text may end early
_HAN = r"\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f“”‘’—…·"
_GAP = "\x1f"  # a blank that PDFium only infers from the distance of two characters
_GAP_BESIDE_HAN = re.compile(rf"(?<=[{_HAN}]){_GAP}+|{_GAP}+(?=[{_HAN}])")
_EDGE_LINES = 2  # a running header or footer has at most as many lines,
_EDGE_SHARE = (
    0.13  # and stands in this outer share of the page's height (GB/T 9704: 3.7 of 29.7 cm)
)
_MIN_VARYING = 6  # a running line with a changing number must hold this much fixed text
_MIN_CHARS_PER_PAGE = 5


@dataclass(frozen=True)
class _Char:
    sign: str
    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True)
class _Line:
    text: str
    left: float
    right: float
    bottom: float
    height: float
    em: float  # the width of a full-width character


@dataclass(frozen=True)
class _Page:
    """A page from top to bottom: lines and, at the place where it stands, each table."""

    content: tuple[_Line | Table, ...]
    bottom: float
    top: float


def read_pdf(data: bytes) -> list[Block]:
    """Return paragraphs joined over line and page breaks, and the rows of ruled tables.

    Running headers, footers and page numbers are dropped. Pages that are only pictures among
    pages of text give nothing.

    Raises:
        DocumentUnreadable: broken, password-protected, scanned, or without usable characters.
    """
    with _LOCK:
        pages, has_images = _pages(data)
    characters = sum(len(_text_of(item)) for page in pages for item in page.content)
    if characters < _MIN_CHARS_PER_PAGE * len(pages) and (has_images or characters == 0):
        raise DocumentUnreadable(
            "这个 PDF 是扫描件（图片），没有可读取的文字，请先做文字识别（OCR）再上传。"
        )
    pages = _without_running_lines(pages)
    blocks = list(_joined(pages))
    text = "".join(block.text for block in blocks)
    unusable = sum("\ue000" <= sign <= "\uf8ff" or sign == "\ufffd" for sign in text)
    if not text or unusable > 0.3 * len(text):
        raise DocumentUnreadable(
            "这个 PDF 的字体没有文字编码，读出的是乱码，请换用原始文档或做文字识别（OCR）。"
        )
    return blocks


def _pages(data: bytes) -> tuple[list[_Page], bool]:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            raise DocumentUnreadable("这个 PDF 设有打开密码，请取消密码后再上传。") from error
        raise DocumentUnreadable("PDF 文件已损坏，无法打开，请重新导出后再上传。") from error
    try:
        if len(document) > MAX_PAGES:
            raise DocumentUnreadable(f"PDF 超过 {MAX_PAGES} 页，请拆分后再上传。")
        pages: list[_Page] = []
        has_images = False
        for index in range(len(document)):
            page = document[index]
            try:
                pages.append(_page(page))
                has_images = has_images or (
                    not pages[-1].content
                    and any(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=4))
                )
            finally:
                page.close()
    except pypdfium2.PdfiumError as error:
        raise DocumentUnreadable(
            "PDF 文件已损坏，部分页面无法读取，请重新导出后再上传。"
        ) from error
    finally:
        document.close()
    if not pages:
        raise DocumentUnreadable("PDF 文件没有页面。")
    return pages, has_images


def _page(page: pypdfium2.PdfPage) -> _Page:
    turn = page.get_rotation()
    textpage = page.get_textpage()
    try:
        lines = list(_char_lines(textpage, turn))
    finally:
        textpage.close()
    tables, left_over = find_tables(list(_rules(page, turn)), lines)
    content: list[_Line | Table] = [
        line for chars in left_over if (line := _line(chars)) is not None
    ]
    content.extend(table for table in tables if any(map(any, table.rows)))
    _, bottom, _, top = _upright(page.get_bbox(), turn)
    return _Page(tuple(sorted(content, key=_reading_order)), bottom, top)


def _char_lines(textpage: pypdfium2.PdfTextPage, turn: int) -> Iterator[list[_Char]]:
    """Yield the characters of each text line as PDFium breaks them."""
    line: list[_Char] = []
    high = ""
    for index in range(min(textpage.count_chars(), _MAX_PAGE_CHARS)):
        code = pdfium.FPDFText_GetUnicode(textpage, index)
        if 0xD800 <= code < 0xDC00:
            high = chr(code)
            continue
        sign = chr(code) if code <= 0x10FFFF else "\ufffd"
        if 0xDC00 <= code < 0xE000:
            sign = (high + sign).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
        high = ""
        if sign in "\r\n":
            if line:
                yield line
            line = []
        elif sign and code not in (0, 0xFFFE, 0xFFFF):
            left, bottom, right, top = _upright(textpage.get_charbox(index, loose=True), turn)
            if sign == " " and pdfium.FPDFText_IsGenerated(textpage, index) == 1:
                sign = _GAP
            line.append(_Char(sign, left, bottom, right, top))
    if line:
        yield line


def _rules(page: pypdfium2.PdfPage, turn: int) -> Iterator[Rule]:
    """Yield the horizontal and vertical lines drawn on a page; none when it is a drawing."""
    found: list[Rule] = []
    for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=3):
        left, bottom, right, top = _upright(item.get_bounds(), turn)
        wide, tall = right - left, top - bottom
        if tall <= _THIN and wide >= _MIN_RULE:
            found.append(Rule(True, (bottom + top) / 2, left, right))
        elif wide <= _THIN and tall >= _MIN_RULE:
            found.append(Rule(False, (left + right) / 2, bottom, top))
        elif wide > _MIN_RULE and tall > _MIN_RULE:
            found.extend(Rule(True, y, left, right) for y in (bottom, top))
            found.extend(Rule(False, x, bottom, top) for x in (left, right))
        if len(found) > _MAX_RULES:
            return
    yield from found


_Box = tuple[float, float, float, float]


def _upright(box: _Box, turn: int) -> _Box:
    """Turn a box (left, bottom, right, top) as the page is turned for display, in degrees."""
    left, bottom, right, top = box
    if turn == 90:
        return bottom, -right, top, -left
    if turn == 180:
        return -right, -top, -left, -bottom
    if turn == 270:
        return -top, left, -bottom, right
    return box


def _reading_order(item: _Line | Table) -> tuple[float, float]:
    # Parts of one line may differ a little in height.
    return -round(item.bottom / 4), item.left


def _line(chars: list[_Char]) -> _Line | None:
    text = _plain("".join(char.sign for char in chars))
    inked = [char for char in chars if char.sign.strip() and char.sign != _GAP]
    if not text or not inked:
        return None
    return _Line(
        text,
        min(char.left for char in inked),
        max(char.right for char in inked),
        statistics.median(char.bottom for char in inked),
        statistics.median(char.top - char.bottom for char in inked),
        max(char.right - char.left for char in inked),
    )


def _plain(text: str) -> str:
    return one_line(_GAP_BESIDE_HAN.sub("", text).replace(_GAP, " "))


def _text_of(item: _Line | Table) -> str:
    return item.text if isinstance(item, _Line) else "".join(map("".join, item.rows))


def _without_running_lines(pages: list[_Page]) -> list[_Page]:
    """Drop page numbers and lines repeated at the top or bottom of many pages."""
    counts: Counter[tuple[bool, str]] = Counter()
    for page in pages:
        counts.update({(top, _fixed_part(line.text)) for top, line in _edges(page)})
    needed = max(3, round(0.3 * len(pages)))
    kept = []
    for page in pages:
        edges = list(_edges(page))
        dropped = {
            id(line)
            for top, line in edges
            if _PAGE_NUMBER.fullmatch(line.text) or counts[top, _fixed_part(line.text)] >= needed
        }
        left = tuple(item for item in page.content if id(item) not in dropped)
        kept.append(replace(page, content=left))
    return kept


def _edges(page: _Page) -> Iterator[tuple[bool, _Line]]:
    margin = _EDGE_SHARE * (page.top - page.bottom)
    for item in page.content[:_EDGE_LINES]:
        if isinstance(item, _Line) and item.bottom > page.top - margin:
            yield True, item
    for item in page.content[-_EDGE_LINES:]:
        if isinstance(item, _Line) and item.bottom < page.bottom + margin:
            yield False, item


def _fixed_part(text: str) -> str:
    """Return a line without the page number at its end or start."""
    fixed = re.sub(r"^\W*\d{1,4}\W+|\W*\d{1,4}\W*$", "", text)
    return fixed if len(fixed) >= _MIN_VARYING else text


def _joined(pages: list[_Page]) -> Iterator[Block]:
    paragraph: list[_Line] = []
    for page in pages:
        lines = [item for item in page.content if isinstance(item, _Line)]
        margins = _margins(lines)
        pitch = _pitch(lines)
        for item in page.content:
            if isinstance(item, Table):
                yield from _paragraph(paragraph)
                paragraph = []
                yield from table_blocks([[_plain(cell) for cell in row] for row in item.rows])
                continue
            if paragraph and _begins(paragraph[-1], item, margins, pitch):
                yield from _paragraph(paragraph)
                paragraph = []
            paragraph.append(item)
    yield from _paragraph(paragraph)


def _paragraph(lines: list[_Line]) -> Iterator[Block]:
    text = ""
    for line in lines:
        apart = text and text[-1].isascii() and line.text[0].isascii() and text[-1] != "-"
        text += (" " if apart else "") + line.text
    if text:
        yield Block(text)


def _margins(lines: list[_Line]) -> tuple[float, float]:
    """Return where full lines of a page begin and end."""
    if not lines:
        return 0.0, 0.0
    widest = max(line.right - line.left for line in lines)
    long = [line for line in lines if line.right - line.left > 0.6 * widest]
    return min(line.left for line in long), max(line.right for line in long)


def _pitch(lines: list[_Line]) -> float:
    steps = [above.bottom - below.bottom for above, below in pairwise(lines)]
    return statistics.median(steps) if steps else 0.0


def _begins(previous: _Line, line: _Line, margins: tuple[float, float], pitch: float) -> bool:
    """Tell whether a line begins a paragraph of its own."""
    left, right = margins
    ended = previous.text[-1] in _ENDS
    slack = 2.5 * previous.em if ended else max(2.5 * previous.em, _RAGGED * (right - left))
    if line.left > left + 1.2 * line.em or previous.right < right - slack:
        return True
    if max(line.height, previous.height) > 1.25 * min(line.height, previous.height):
        return True
    if pitch and previous.bottom - line.bottom > 1.6 * max(pitch, line.height):
        return True
    return (bool(_NUMBERED.match(line.text)) and ended) or line.text[0] in _BULLETS
