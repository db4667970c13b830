"""Web pages as blocks; hides how the article is found among menus, forms and scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree  # type: ignore[import-untyped]

from kb.blocks import Block
from kb.errors import DocumentUnreadable
from kb.formats.archive import MAX_DEPTH
from kb.formats.tables import table_blocks
from kb.formats.text import clean, decode

_DROPPED = frozenset(
    "script style noscript template iframe object svg canvas nav header footer aside button select"
    " textarea input option head rt rp".split()
)
_BLOCKS = frozenset(
    "address article blockquote body center dd div dl dt fieldset figcaption figure form h1 h2 h3"
    " h4 h5 h6 hr html legend li main ol p pre section table tbody td tfoot th thead tr ul br"
    " caption details summary".split()
)
_ARTICLE_NAMES = re.compile(
    r"(^|[\s_-])(trs_editor|ucap-content|zoom|article|content|con_?text|main-?text|news_?content"
    r"|article-?content|detail-?content|text|zw|zhengwen|info-?content)([\s_-]|$)",
    re.I,
)
_MAIN_SHARE = 0.5
_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w-]{2,20})", re.I)
_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
}
_BETWEEN_HAN = re.compile(
    r"(?<=[\u2e80-\u9fff\uff00-\uffef\u3000-\u303f])\s*\n\s*(?=[\u2e80-\uffef])"
)
_LAYOUT_CELL = 300
_MAX_TITLE = 120
_MAX_SPAN = 64


def read_html(data: bytes) -> list[Block]:
    """Return headings, paragraphs and table rows of a page's main text.

    Raises:
        DocumentUnreadable: unknown encoding, nesting too deep, or no main text.
    """
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
    )
    source = re.sub(r"<\?xml[^>]{0,200}\?>", "", _characters(data), count=1)
    try:
        root = etree.fromstring(source.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DocumentUnreadable("网页内容为空或已损坏，无法读取。") from error
    if root is None:
        raise DocumentUnreadable("网页内容为空或已损坏，无法读取。")
    _refuse_deep(root)
    title = _title(root)
    _prune(root)
    _number_items(root)
    main = _main(root)
    blocks = list(_blocks(main))
    if not blocks:
        raise DocumentUnreadable("网页中没有找到正文，请打开网页复制正文后另存为文本再上传。")
    if title and all(_squeezed(title) not in _squeezed(block.text) for block in blocks[:5]):
        blocks.insert(0, Block(title, "heading", 1))
    return blocks


def _characters(data: bytes) -> str:
    declared = _CHARSET.search(data[:8192])
    encoding = _CODECS.get(declared[1].decode("ascii", "ignore").lower()) if declared else None
    if encoding and not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        try:
            return clean(data.decode(encoding))
        except UnicodeDecodeError:
            pass  # a wrong declaration is common; the bytes themselves decide
    return decode(data)


def _refuse_deep(root: etree._Element) -> None:
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise DocumentUnreadable("网页标签嵌套层次过深，无法读取。")


def _title(root: etree._Element) -> str:
    """Return the page's own name; site names beside it are usually the shorter part."""
    for meta in root.iter("meta"):
        name, content = meta.get("name") or "", _flat(meta.get("content") or "")
        if name.lower() == "articletitle" and content:
            return content
    names = [_flat("".join(element.itertext())) for element in list(root.iter("h1"))[:1]]
    for element in list(root.iter("title"))[:1]:
        names.extend(re.split(r"\s*[_|>]\s*|\s+[-—]+\s+", _flat("".join(element.itertext()))))
    return max((name for name in names if len(name) <= _MAX_TITLE), key=len, default="")


def _prune(root: etree._Element) -> None:
    """Drop what is no text of the page; a form or header that frames the whole page stays."""
    whole = _length(root)
    for element in list(root.iter(etree.Element)):
        parent = element.getparent()
        if parent is None:
            continue
        style = (element.get("style") or "").replace(" ", "").lower()
        hidden = "display:none" in style or element.get("hidden") is not None
        framing = element.tag in ("form", "header", "aside")
        if hidden or element.tag in _DROPPED or framing:
            if framing and _length(element) > _MAIN_SHARE * whole:
                continue
            _remove(element, parent)


def _remove(element: etree._Element, parent: etree._Element) -> None:
    previous = element.getprevious()
    if element.tail:
        if previous is not None:
            previous.tail = (previous.tail or "") + element.tail
        else:
            parent.text = (parent.text or "") + element.tail
    parent.remove(element)


def _main(root: etree._Element) -> etree._Element:
    """Return the smallest element named like an article that holds most of the text."""
    whole = _length(root)
    best, best_length = root, whole + 1
    for element in root.iter(etree.Element):
        named = element.tag in ("article", "main") or any(
            _ARTICLE_NAMES.search(element.get(key) or "") for key in ("id", "class")
        )
        if named:
            length = _length(element)
            if _MAIN_SHARE * whole <= length < best_length and length:
                best, best_length = element, length
    return best


def _length(element: etree._Element) -> int:
    return sum(len(text.strip()) for text in element.itertext())


def _blocks(element: etree._Element) -> Iterator[Block]:
    pieces: list[str] = []
    yield from _walk(element, pieces, 0)
    yield from _flush(pieces, 0)


def _walk(element: etree._Element, pieces: list[str], level: int) -> Iterator[Block]:
    tag = element.tag
    if tag in _BLOCKS:
        yield from _flush(pieces, level)
    if tag == "table" and not _is_layout(element):
        yield from table_blocks(list(_rows(element)), header=element.find(".//th") is not None)
        return
    inner = int(tag[1]) if re.fullmatch(r"h[1-6]", str(tag)) else level
    pieces.append(_text(element.text, tag))
    for child in element:
        if isinstance(child.tag, str):
            yield from _walk(child, pieces, inner)
        pieces.append(_text(child.tail, tag))
    if tag in _BLOCKS:
        yield from _flush(pieces, inner)


def _text(text: str | None, tag: str) -> str:
    return (text or "").replace("\n", "\r") if tag == "pre" else text or ""


def _flush(pieces: list[str], level: int) -> Iterator[Block]:
    text = "".join(pieces)
    pieces.clear()
    for line in text.split("\r"):  # only preformatted text still holds this mark
        flat = _flat(line)
        if flat:
            yield Block(flat, "heading" if level else "paragraph", level)


def _flat(text: str) -> str:
    """Collapse white space as a browser does, without blanks between Chinese characters."""
    joined = _BETWEEN_HAN.sub("", clean(text).strip())
    return re.sub(r"[ \t\n\u00a0]+", " ", joined).strip()


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _number_items(root: etree._Element) -> None:
    """Write the numbers that a browser would print before the items of ordered lists."""
    for ordered in root.iter("ol"):
        if "none" in (ordered.get("style") or ""):
            continue
        start = ordered.get("start") or "1"
        first = int(start) if re.fullmatch(r"\d{1,4}", start) else 1
        for number, item in enumerate(ordered.iterchildren("li"), first):
            item.text = f"{number}. {(item.text or '').lstrip()}"


def _is_layout(table: etree._Element) -> bool:
    if table.find(".//table") is not None or table.find(".//h1") is not None:
        return True
    cells = [list(row.iterchildren("td", "th")) for row in table.iter("tr")]
    if all(len(row) <= 1 for row in cells):
        return True
    return any(
        _length(cell) > _LAYOUT_CELL and len(cell.findall(".//p")) > 2
        for row in cells
        for cell in row
    )


def _rows(table: etree._Element) -> Iterator[list[str]]:
    """Yield cell texts by grid column; what a span covers is an empty string."""
    covered: dict[int, int] = {}  # column → rows that a cell above still covers
    for row in table.iter("tr"):
        texts: list[str] = []
        for cell in row.iterchildren("td", "th"):
            _skip_covered(texts, covered)
            rows_down = _span(cell, "rowspan") - 1
            content = " ".join(block.text for block in _blocks(cell))
            for text in [content, *[""] * (_span(cell, "colspan") - 1)]:
                if rows_down:
                    covered[len(texts)] = rows_down
                texts.append(text)
        _skip_covered(texts, covered)
        yield texts


def _skip_covered(texts: list[str], covered: dict[int, int]) -> None:
    while covered.get(len(texts), 0):
        covered[len(texts)] -= 1
        texts.append("")


def _span(cell: etree._Element, name: str) -> int:
    value = (cell.get(name) or "1").strip()
    return max(1, min(int(value), _MAX_SPAN)) if re.fullmatch(r"[0-9]{1,3}", value) else 1
