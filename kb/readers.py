"""Documents as bytes in, blocks out; hides which format the bytes really have."""

from __future__ import annotations

import email
import email.policy
import re
from pathlib import PurePath

from kb.blocks import Block
from kb.errors import DocumentUnreadable
from kb.formats.docx import read_docx
from kb.formats.html import read_html
from kb.formats.legacy import read_legacy
from kb.formats.pdf import read_pdf
from kb.formats.text import decode, read_markdown, read_plain

__all__ = ["DOCUMENT_SUFFIXES", "MAX_BYTES", "decode", "read"]

MAX_BYTES = 50 * 2**20
DOCUMENT_SUFFIXES = (".txt", ".md", ".docx", ".doc", ".pdf", ".html", ".htm")

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HTML_START = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}\?>\s*|<!--.{0,500}?-->\s*){0,3}<(?:!doctype html|html|head|body)\b",
    re.I | re.S,
)
_HTML_ANYWHERE = re.compile(rb"<(?:!doctype html|html|head|body|div|p|table|meta)\b", re.I)
_NAMES = {".docx": "Word 文档（docx）", ".doc": "Word 文档（doc）", ".pdf": "PDF 文件"}


def read(data: bytes, filename: str) -> list[Block]:
    """Read a document of any format in `DOCUMENT_SUFFIXES`.

    The content decides on the format where the suffix is wrong about it.

    Args:
        data: the file, at most `MAX_BYTES`.
        filename: only its suffix is used, never as a path.

    Returns:
        At least one block; texts without line breaks and control characters, else verbatim.

    Raises:
        DocumentUnreadable: with the reason in Chinese; the only exception for whatever bytes.
    """
    suffix = PurePath(filename.replace("\\", "/")).suffix.lower()
    if suffix not in DOCUMENT_SUFFIXES:
        raise DocumentUnreadable(
            f"不支持“{suffix or '无后缀'}”格式，"
            f"请上传以下格式之一：{'、'.join(DOCUMENT_SUFFIXES)}。"
        )
    if not data:
        raise DocumentUnreadable("文件是空的，没有任何内容。")
    if len(data) > MAX_BYTES:
        raise DocumentUnreadable(f"文件超过 {MAX_BYTES // 2**20} MB，请拆分或压缩图片后再上传。")
    try:
        blocks = _read_as(_format(data, suffix), data, suffix)
    except DocumentUnreadable:
        raise
    except (RecursionError, MemoryError) as error:
        raise DocumentUnreadable("文件内部结构过于复杂，无法读取，请另存后再上传。") from error
    except Exception as error:
        # Parsers of foreign formats fail on hostile bytes in ways that no list can name.
        raise DocumentUnreadable(
            "文件已损坏或格式不规范，无法读取，请重新保存后再上传。"
        ) from error
    blocks = [block for block in blocks if block.text]
    if not blocks:
        raise DocumentUnreadable("文件里没有文字内容。")
    return blocks


def _format(data: bytes, suffix: str) -> str:
    """Return the suffix that the content deserves."""
    start = data[:1024]
    if b"%PDF-" in start and (suffix == ".pdf" or start.lstrip().startswith(b"%PDF-")):
        return ".pdf"
    if data.startswith(_ZIP):
        return ".docx"
    if data.startswith(_OLE):
        return ".ole"
    if start.startswith(b"{\\rtf"):
        return ".rtf"
    if re.match(rb"MIME-Version:", start, re.I):
        return ".mht"
    if _looks_like_html(data):
        return ".html"
    return suffix


def _looks_like_html(data: bytes) -> bool:
    start = data[:4096]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = start.replace(b"\0", b"")[2:]
    return _HTML_START.match(start.removeprefix(b"\xef\xbb\xbf")) is not None


def _read_as(form: str, data: bytes, suffix: str) -> list[Block]:
    if form == ".pdf" and b"%PDF-" in data[:1024]:
        return read_pdf(data)
    if form == ".docx" and data.startswith(_ZIP):
        return read_docx(data)
    if form == ".ole":
        return _read_ole(data)
    if form == ".rtf":
        return read_legacy(data, ".rtf")
    if form == ".mht":
        return read_html(_web_archive(data))
    if form in (".html", ".htm"):
        return read_html(data)
    if form in (".pdf", ".docx"):
        raise DocumentUnreadable(
            f"文件虽以 {suffix.lstrip('.')} 结尾，却不是有效的 {_NAMES[suffix]}，可能已损坏。"
        )
    text = decode(data)
    if not text.strip():
        raise DocumentUnreadable("文件里只有空白，没有文字内容。")
    if form == ".doc" and _HTML_ANYWHERE.search(data[:4096]):
        return read_html(data)
    return read_markdown(text) if form == ".md" else read_plain(text)


def _read_ole(data: bytes) -> list[Block]:
    """Read a compound file: Word 97, or what else old programs keep in that container."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise DocumentUnreadable("这个文档设有打开密码，请取消密码后再上传。")
    if "WordDocument".encode("utf-16-le") not in data:
        raise DocumentUnreadable(
            "文件不是 Word 文档（可能是 xls 表格、ppt 演示文稿或其他旧格式），"
            "请另存为 docx 后再上传。"
        )
    return read_legacy(data, ".doc")


def _web_archive(data: bytes) -> bytes:
    message = email.message_from_bytes(data, policy=email.policy.default)
    for part in message.walk():
        if part.get_content_type() == "text/html":
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and content:
                return content
    raise DocumentUnreadable("网页归档文件中没有网页内容，请另存为 docx 后再上传。")
