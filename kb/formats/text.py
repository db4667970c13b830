"""Plain text and Markdown: bytes to characters to blocks; hides how an encoding is recognised."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from kb.blocks import Block
from kb.errors import DocumentUnreadable
from kb.formats.tables import table_blocks

# Signs so frequent in Chinese prose that a wrong decoding, which spreads over the whole
# code table, cannot produce them often.
_FREQUENT = frozenset(
    "，。、；：（）《》“”〔〕　的一是不在有人和为中大国年月日第条以及或者应当对请可办理"
    "民政府部门单位规定关于要由与市县区上下个至从等按照员工行业申报问答标准我你什么怎样"
)
_MIN_FREQUENT_SHARE = 0.05
_SHORT_TEXT = 20  # below this many non-ASCII characters a share says nothing
_MAX_CONTROL_SHARE = 0.02
_MIN_NUL_SHARE = 0.1  # UTF-16 text has a NUL beside every ASCII character

# A short GB18030 text of two-byte characters can be valid UTF-8; it then reads as these scripts.
_FOREIGN_SCRIPTS = re.compile("[\u0250-\u036f\u0590-\u07ff]")

_UNSEEN = {
    **{code: None for code in (*range(0x20), *range(0x7F, 0xA0))},
    **{code: None for code in range(0xD800, 0xE000)},
    **{code: None for code in (0x200B, 0xFEFF, 0xFFFE, 0xFFFF)},
    **{ord(kept): kept for kept in "\n\t"},
    **{ord(turned): "\n" for turned in "\x0b\x0c\r"},
}
_HEADING = re.compile(r"(#{1,6})[ \t　]+(.*)")
_MAX_NESTING = 40
_MAX_MARKDOWN = 2 * 2**20  # characters; beyond, Markdown is read line by line


def clean(text: str) -> str:
    """Return the text without control characters, zero-width marks and lone surrogates.

    Every kind of line break becomes ``\\n``; nothing else is changed.
    """
    return text.replace("\r\n", "\n").translate(_UNSEEN)


def one_line(text: str) -> str:
    """Return the text cleaned, its white space at both ends gone and line breaks made blanks."""
    return " ".join(part.strip() for part in clean(text).splitlines() if part.strip())


def decode(data: bytes) -> str:
    """Decode UTF-8, UTF-16 (by its mark, or detected) or GB18030, strictly.

    Returns:
        The text cleaned as by `clean`.

    Raises:
        DocumentUnreadable: the bytes are in no such encoding, or are no text.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            text = _strictly(data[len(mark) :], encoding)
            break
    else:
        text = _detected(data)
    if text is None:
        raise DocumentUnreadable(
            "无法识别文件的文字编码，请另存为 UTF-8 或 GB18030（GBK）编码后再上传。"
        )
    controls = sum(text.count(chr(code)) for code in range(0x20) if code not in (0, 9, 10, 12, 13))
    if controls + text.count("\0") / 4 > _MAX_CONTROL_SHARE * len(text) + 1:
        raise DocumentUnreadable("文件内容不是文字，可能是图片、程序或已损坏的文件。")
    return clean(text)


def _detected(data: bytes) -> str | None:
    even, odd = data[0::2].count(0), data[1::2].count(0)
    if max(even, odd) > _MIN_NUL_SHARE * len(data) / 2 and len(data) % 2 == 0:
        wide = _strictly(data, "utf-16-be" if even > odd else "utf-16-le")
        if wide is not None and _is_plausible(wide):
            return wide
    text = _strictly(data, "utf-8")
    if text is not None and not _FOREIGN_SCRIPTS.search(text[:_SHORT_TEXT]):
        return text
    for encoding in ("gb18030", "utf-16-le", "utf-16-be"):
        text = _strictly(data, encoding)
        if text is not None and _is_plausible(text):
            return text
    return _strictly(data, "utf-8")


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_plausible(text: str) -> bool:
    """Tell Chinese prose, or mostly ASCII text, from the mojibake of another encoding."""
    sample = text[:200_000]
    foreign = [sign for sign in sample if sign > "\x7f"]
    if len(foreign) < _SHORT_TEXT:
        return all(sign in _FREQUENT or _in_gb2312(sign) for sign in foreign)
    frequent = sum(sign in _FREQUENT for sign in foreign)
    return frequent >= _MIN_FREQUENT_SHARE * len(foreign)


def _in_gb2312(sign: str) -> bool:
    try:
        return len(sign.encode("gb2312")) == 2
    except UnicodeEncodeError:
        return False


def read_plain(text: str) -> list[Block]:
    """Turn decoded text into blocks, one per line; ``# `` lines are headings."""
    return [_line_block(line) for line in _without_comments(text).splitlines() if line.strip()]


def _line_block(line: str) -> Block:
    stripped = line.strip()
    heading = _HEADING.fullmatch(stripped)
    if heading and heading[2].strip():
        return Block(heading[2].strip(), "heading", len(heading[1]))
    return Block(stripped)


def _without_comments(text: str) -> str:
    kept: list[str] = []
    position = 0
    while (start := text.find("<!--", position)) >= 0:
        end = text.find("-->", start + 4)
        if end < 0:
            break
        kept.append(text[position:start])
        position = end + 3
    kept.append(text[position:])
    return "".join(kept)


def read_markdown(text: str) -> list[Block]:
    """Turn Markdown into blocks: headings, one paragraph per line, list numbers kept as text."""
    source = _without_comments(text)
    if len(source) > _MAX_MARKDOWN:
        return read_plain(source)
    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable("table")
    # Only what marks up words: the other inline rules cost time and never matter in a policy.
    parser.disable(["code", "link", "image", "autolink", "html_inline", "entity"])
    tokens = parser.parse(source)
    if any(token.level >= _MAX_NESTING - 1 for token in tokens):
        return read_plain(source)  # the parser leaves out what is nested deeper
    return list(_markdown_blocks(tokens))


def _markdown_blocks(tokens: list[Token]) -> Iterator[Block]:
    heading = 0
    label = ""
    rows: list[list[str]] = []
    in_table = False
    for token in tokens:
        if token.type == "heading_open":
            heading = int(token.tag[1])
        elif token.type == "list_item_open":
            label = f"{token.info}{token.markup} " if token.info else ""
        elif token.type == "table_open":
            rows, in_table = [], True
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "table_close":
            in_table = False
            yield from table_blocks(rows, header=True)
        elif token.type in ("fence", "html_block"):
            yield from read_plain(re.sub(r"<[^<>\n]*>", "", token.content))
        elif token.type == "inline" and in_table:
            rows[-1].append(one_line(_inline_text(token)))
        elif token.type == "inline":
            for line in _inline_text(token).splitlines():
                if line.strip():
                    kind = "heading" if heading else "paragraph"
                    yield Block(label + line.strip(), kind, heading)
                    label = ""
            heading = 0


def _inline_text(token: Token) -> str:
    return "".join(
        "\n" if child.type in ("softbreak", "hardbreak") else child.content
        for child in token.children or ()
    )
