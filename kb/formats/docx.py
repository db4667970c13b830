"""Word documents (.docx) as blocks in reading order; hides WordprocessingML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from kb.blocks import Block
from kb.errors import DocumentUnreadable
from kb.formats.archive import Archive, relations
from kb.formats.numbering import Numbering, W, join_label
from kb.formats.tables import table_blocks
from kb.formats.text import clean

_STRICT = b"http://purl.oclc.org/ooxml/wordprocessingml/main"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_DROPPED = frozenset(
    f"{W}{name}"
    for name in "del moveFrom pPr rPr instrText delText rt sectPr tblPr trPr tcPr sdtPr".split()
)
_MAX_HEADING = 120
_MAX_STYLE_CHAIN = 20
_KINDS_OF_NOTES = (("footnotes", "脚注"), ("endnotes", "尾注"))
_PAGE_NUMBER = re.compile(r"\t\d+$")


def read_docx(data: bytes) -> list[Block]:
    """Return the paragraphs, text boxes and tables of the body, then foot- and endnotes.

    Automatic numbers become text; deletions, hidden text, headers and footers are left out.

    Raises:
        DocumentUnreadable: no Word document, broken, or unsafe to open.
    """
    archive = Archive(data)
    main = next(
        (path for kind, path in relations(archive, "").values() if kind == "officeDocument"),
        "word/document.xml",
    )
    if main not in archive.names:
        raise DocumentUnreadable(
            "文件不是有效的 Word 文档（docx），请用 Word 或 WPS 另存后再上传。"
        )
    if _STRICT in archive.read(main):
        raise DocumentUnreadable("暂不支持“严格 Open XML”格式，请另存为普通的 Word 文档（docx）。")
    root = archive.xml(main)
    body = None if root is None else root.find(f"{W}body")
    if body is None:
        raise DocumentUnreadable(
            "文件虽以 docx 结尾，内容却不是 Word 文档（可能是电子表格、演示文稿或压缩包）。"
        )
    parts = dict(relations(archive, main).values())
    styles = archive.xml(parts["styles"]) if "styles" in parts else None
    lists = archive.xml(parts["numbering"]) if "numbering" in parts else None
    reader = _Reader(_styles(styles), Numbering.of(lists))
    blocks = list(reader.blocks(body))
    for kind, word in _KINDS_OF_NOTES:
        if kind in parts:
            blocks.extend(reader.notes(archive.xml(parts[kind]), word))
    return blocks


@dataclass(frozen=True)
class _Style:
    based_on: str = ""
    name: str = ""
    outline: int | None = None
    number_id: str | None = None
    level: int | None = None


def _styles(root: Element | None) -> dict[str, _Style]:
    styles: dict[str, _Style] = {}
    for element in root.iter(f"{W}style") if root is not None else ():
        outline, number_id, level = _paragraph_facts(element.find(f"{W}pPr"))
        styles[element.get(f"{W}styleId", "")] = _Style(
            _value(element.find(f"{W}basedOn")),
            _value(element.find(f"{W}name")).lower(),
            outline,
            number_id,
            level,
        )
    return styles


def _paragraph_facts(properties: Element | None) -> tuple[int | None, str | None, int | None]:
    """Return outline level, list and list level as far as these properties set them."""
    if properties is None:
        return None, None, None
    outline = _value(properties.find(f"{W}outlineLvl"))
    number = properties.find(f"{W}numPr")
    number_id = None if number is None else _value(number.find(f"{W}numId")) or None
    level = "" if number is None else _value(number.find(f"{W}ilvl"))
    return (
        int(outline) if outline.isdecimal() else None,
        number_id,
        int(level) if level.isdecimal() else None,
    )


def _value(element: Element | None) -> str:
    return "" if element is None else element.get(f"{W}val", "")


@dataclass
class _Paragraph:
    """What is gathered while the runs of a paragraph are walked."""

    pieces: list[str] = field(default_factory=list)
    before: list[Block] = field(default_factory=list)
    after: list[Block] = field(default_factory=list)


class _Reader:
    def __init__(self, styles: dict[str, _Style], numbering: Numbering) -> None:
        self._styles = styles
        self._numbering = numbering

    def blocks(self, container: Element) -> Iterator[Block]:
        for element in container:
            if element.tag == f"{W}p":
                yield from self._paragraph(element)
            elif element.tag == f"{W}tbl":
                yield from self._table(element)
            elif element.tag == f"{_MC}AlternateContent":
                yield from self.blocks(_chosen(element))
            elif element.tag not in _DROPPED:
                yield from self.blocks(element)

    def notes(self, root: Element | None, word: str) -> Iterator[Block]:
        count = 0
        for note in root if root is not None else ():
            if note.get(f"{W}type") in ("separator", "continuationSeparator", "continuationNotice"):
                continue
            count += 1
            text = " ".join(block.text for block in self.blocks(note))
            if text:
                yield Block(f"{word}{count}：{text}")

    def _paragraph(self, element: Element) -> Iterator[Block]:
        gathered = _Paragraph()
        self._walk(element, gathered)
        yield from gathered.before
        properties = element.find(f"{W}pPr")
        chain = self._chain(properties)
        text = clean("".join(gathered.pieces))
        if chain and chain[0].name.startswith("toc"):
            text = _PAGE_NUMBER.sub("", text)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            lines[0] = join_label(self._label(properties, chain), lines[0])
        level = self._heading_level(properties, chain)
        for line in lines:
            if level and len(line) <= _MAX_HEADING and line[-1] not in "。；":
                yield Block(line, "heading", level)
            else:
                yield Block(line)
        yield from gathered.after

    def _chain(self, properties: Element | None) -> list[_Style]:
        name = "" if properties is None else _value(properties.find(f"{W}pStyle"))
        chain: list[_Style] = []
        while name in self._styles and len(chain) < _MAX_STYLE_CHAIN:
            chain.append(self._styles[name])
            name = chain[-1].based_on
        return chain

    def _label(self, properties: Element | None, chain: list[_Style]) -> str:
        _, number_id, level = _paragraph_facts(properties)
        for style in chain:
            number_id = style.number_id if number_id is None else number_id
            level = style.level if level is None else level
        if number_id in (None, "0"):
            return ""
        if level is None:
            name = "" if properties is None else _value(properties.find(f"{W}pStyle"))
            level = self._numbering.level_of_style(number_id or "", name)
        return self._numbering.label(number_id or "", level)

    @staticmethod
    def _heading_level(properties: Element | None, chain: list[_Style]) -> int:
        outline = _paragraph_facts(properties)[0]
        for style in chain:
            if outline is not None:
                break
            named = re.fullmatch(r"heading ([1-9])", style.name)
            outline = style.outline if style.outline is not None else None
            if outline is None and named:
                outline = int(named[1]) - 1
            elif outline is None and style.name == "title":
                outline = 0
        return outline + 1 if outline is not None and outline < 9 else 0

    def _walk(self, element: Element, gathered: _Paragraph) -> None:
        for child in element:
            tag = child.tag
            if tag in _DROPPED or (tag == f"{W}r" and _is_hidden(child)):
                continue
            if tag in (f"{W}t", f"{_MATH}t"):
                gathered.pieces.append(child.text or "")
            elif tag in (f"{W}tab", f"{W}ptab"):
                gathered.pieces.append("\t")
            elif tag in (f"{W}br", f"{W}cr"):
                gathered.pieces.append("\n")
            elif tag == f"{W}noBreakHyphen":
                gathered.pieces.append("-")
            elif tag == f"{W}txbxContent":
                started = any(piece.strip() for piece in gathered.pieces)
                (gathered.after if started else gathered.before).extend(self.blocks(child))
            elif tag == f"{_MC}AlternateContent":
                self._walk(_chosen(child), gathered)
            else:
                self._walk(child, gathered)

    def _table(self, table: Element) -> list[Block]:
        rows = [row for row in _inner(table, f"{W}tr") if not _is_deleted(row)]
        cells = [list(_inner(row, f"{W}tc")) for row in rows]
        if all(len(row) <= 1 for row in cells):
            # One cell to a row is a frame for layout, not data.
            return [block for row in cells for cell in row for block in self.blocks(cell)]
        header = bool(rows) and rows[0].find(f"{W}trPr/{W}tblHeader") is not None
        return table_blocks([self._row(row) for row in cells], header=header)

    def _row(self, cells: list[Element]) -> list[str]:
        texts: list[str] = []
        for cell in cells:
            merge = cell.find(f"{W}tcPr/{W}vMerge")
            continued = merge is not None and _value(merge) in ("", "continue")
            span = _value(cell.find(f"{W}tcPr/{W}gridSpan"))
            content = " ".join(block.text for block in self.blocks(cell))
            texts.append("" if continued else content)
            texts.extend([""] * (min(int(span), 64) - 1 if span.isdecimal() else 0))
        return texts


def _chosen(alternatives: Element) -> Element:
    """Return the branch to show, so that a text box stored twice is read once."""
    choice = alternatives.find(f"{_MC}Choice")
    fallback = alternatives.find(f"{_MC}Fallback")
    if choice is not None and (fallback is None or any(choice.iter(f"{W}t"))):
        return choice
    return alternatives if fallback is None else fallback


def _inner(element: Element, tag: str) -> Iterator[Element]:
    """Yield children with a tag, also those wrapped in content controls or insertions."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in (f"{W}sdt", f"{W}sdtContent", f"{W}ins", f"{W}customXml"):
            yield from _inner(child, tag)


def _is_hidden(run: Element) -> bool:
    vanish = run.find(f"{W}rPr/{W}vanish")
    return vanish is not None and _value(vanish) not in ("0", "false")


def _is_deleted(row: Element) -> bool:
    return row.find(f"{W}trPr/{W}del") is not None
