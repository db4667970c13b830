"""Small office files made in memory for the tests of readers; hides their containers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence

import pytest

from kb.errors import DocumentUnreadable
from kb.readers import read

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_NAMESPACES = (
    f'xmlns:w="{W}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def texts(data: bytes, name: str) -> list[str]:
    """Return the texts that reading a file gives."""
    return [block.text for block in read(data, name)]


def reason(data: bytes, name: str) -> str:
    """Return why a file is refused."""
    with pytest.raises(DocumentUnreadable) as caught:
        read(data, name)
    return str(caught.value)


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def numbered(text: str, number_id: int, level: int = 0) -> str:
    numbering = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number_id}"/></w:numPr>'
    return paragraph(text, numbering)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table; a cell that begins with ``<`` is given as XML."""
    cells = (
        "".join(f"<w:tc>{cell if cell.startswith('<') else paragraph(cell)}</w:tc>" for cell in row)
        for row in rows
    )
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"


def docx(body: str, parts: Mapping[str, str] | None = None) -> bytes:
    """Return a Word file; ``parts`` are the contents of styles, numbering, footnotes …"""
    parts = parts or {}
    relations = "".join(
        f'<Relationship Id="r{name}" Type="{_OFFICE}/{name}" Target="{name}.xml"/>'
        for name in parts
    )
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="r1" '
            f'Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
            "word/_rels/document.xml.rels": f'<Relationships xmlns="{_RELATIONS}">{relations}'
            "</Relationships>",
            "word/document.xml": f"<w:document {_NAMESPACES}><w:body>{body}</w:body></w:document>",
            **{
                f"word/{name}.xml": f"<w:{name} {_NAMESPACES}>{content}</w:{name}>"
                for name, content in parts.items()
            },
        }
    )


def numbering(levels: Sequence[tuple[str, str]]) -> str:
    """Return definitions of two lists (1 and 2, the second restarting) of (format, pattern)."""
    defined = "".join(
        f'<w:lvl w:ilvl="{i}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>'
        f'<w:lvlText w:val="{pattern}"/></w:lvl>'
        for i, (form, pattern) in enumerate(levels)
    )
    return (
        f'<w:abstractNum w:abstractNumId="7">{defined}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
        '<w:num w:numId="2"><w:abstractNumId w:val="7"/><w:lvlOverride w:ilvl="0">'
        '<w:startOverride w:val="1"/></w:lvlOverride></w:num>'
    )


Placed = tuple[float, float, str]  # left, bottom, text; 16 points high


def pdf(
    pages: Iterable[Sequence[Placed]], rules: str = "", encrypted: bool = False, image: bool = False
) -> bytes:
    """Return a PDF in a Chinese font that is not embedded; ``rules`` is drawn on every page."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "",
        "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H "
        "/DescendantFonts [4 0 R] >>",
        "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /DW 1000 /CIDSystemInfo "
        "<< /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> /FontDescriptor 5 0 R >>",
        "<< /Type /FontDescriptor /FontName /STSong-Light /Flags 4 /FontBBox [-25 -254 1000 880] "
        "/ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>",
        "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray "
        "/BitsPerComponent 8 /Length 1 >>\nstream\nA\nendstream",
    ]
    kids = []
    for placed in pages:
        text = "".join(
            f"BT /F1 16 Tf {x} {y} Td <{words.encode('utf-16-be').hex()}> Tj ET\n"
            for x, y, words in placed
        )
        content = f"{rules}\n{text}" + ("q 500 0 0 700 40 40 cm /I1 Do Q\n" if image else "")
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R >> /XObject << /I1 6 0 R >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    return _pdf_file(objects, encrypted)


def _pdf_file(objects: Sequence[str], encrypted: bool) -> bytes:
    out = bytearray(b"%PDF-1.5\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode("ascii")
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode("ascii")
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    key = "00" * 32  # no password at all gives these checks
    lock = f"/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <{key}> /U <{key}> >>"
    trailer = f"/Size {len(objects) + 1} /Root 1 0 R /ID [<{key}> <{key}>]"
    trailer += lock if encrypted else ""
    out += f"trailer << {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode("ascii")
    return bytes(out)
