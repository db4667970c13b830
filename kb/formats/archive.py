"""ZIP containers of office files, opened with care; hides the checks against bombs."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from xml.etree import ElementTree

from kb.errors import DocumentUnreadable

MAX_UNPACKED = 200 * 2**20
MAX_MEMBERS = 10_000
MAX_DEPTH = 200
_MAX_RATIO = 200
_RATIO_FREE = 20 * 2**20  # small parts may compress as well as they like
_DECLARATIONS = ("<!DOCTYPE", "<!ENTITY")
_BOMB = "文件解压后过大，疑似压缩炸弹，已拒绝读取。"
_BROKEN = "文件已损坏，无法打开，请重新保存后再上传。"


class Archive:
    """The members of a ZIP file whose declared and real sizes were checked first.

    Raises:
        DocumentUnreadable: on construction or reading: broken, encrypted, or a bomb.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise DocumentUnreadable(_BROKEN) from error
        members = self._zip.infolist()
        if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_UNPACKED:
            raise DocumentUnreadable(_BOMB)
        if any(m.flag_bits & 0x1 for m in members):
            raise DocumentUnreadable("文件设有密码，请取消密码后再上传。")
        if any(m.file_size > _RATIO_FREE + _MAX_RATIO * m.compress_size for m in members):
            raise DocumentUnreadable(_BOMB)
        self._members = {member.filename: member for member in members}

    @property
    def names(self) -> frozenset[str]:
        """The paths of all members."""
        return frozenset(self._members)

    def read(self, name: str) -> bytes:
        """Return a member's bytes; empty when there is no such member."""
        member = self._members.get(name)
        if member is None:
            return b""
        try:
            with self._zip.open(member) as stream:
                content = stream.read(member.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            raise DocumentUnreadable(_BROKEN) from error
        except (NotImplementedError, RuntimeError) as error:
            raise DocumentUnreadable("文件使用了不支持的压缩方式，请重新保存后再上传。") from error
        if len(content) > member.file_size:
            raise DocumentUnreadable(_BOMB)
        return content

    def xml(self, name: str) -> ElementTree.Element | None:
        """Return a member's root element; None when there is no such member."""
        content = self.read(name)
        return parse_xml(content) if content else None

    def refuse_declarations(self) -> None:
        """Refuse the archive when any XML part declares a document type or an entity."""
        for name in self._members:
            if name.lower().endswith((".xml", ".rels", ".vml")):
                _refuse_declarations(self.read(name))


def parse_xml(content: bytes) -> ElementTree.Element:
    """Parse XML that declares no entities and nests at most `MAX_DEPTH` levels.

    Raises:
        DocumentUnreadable: otherwise.
    """
    _refuse_declarations(content)
    depth = 0
    root: ElementTree.Element | None = None
    try:
        for event, element in ElementTree.iterparse(io.BytesIO(content), ("start", "end")):
            depth += 1 if event == "start" else -1
            root = element if root is None else root
            if depth > MAX_DEPTH:
                raise DocumentUnreadable("文件内部嵌套层次过深，无法读取。")
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DocumentUnreadable(_BROKEN) from error
    if root is None:
        raise DocumentUnreadable(_BROKEN)
    return root


def _refuse_declarations(content: bytes) -> None:
    for mark in _DECLARATIONS:
        for encoding in ("ascii", "utf-16-le", "utf-16-be"):
            if mark.encode(encoding) in content:
                raise DocumentUnreadable("文件内含不安全的实体声明（DTD），已拒绝读取。")


def relations(archive: Archive, part: str) -> Mapping[str, tuple[str, str]]:
    """Return the relations of a part: id → (last word of the type, path of the target)."""
    folder, _, name = part.rpartition("/")
    root = archive.xml(f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels")
    found: dict[str, tuple[str, str]] = {}
    for element in root if root is not None else ():
        target = element.get("Target", "")
        if element.get("TargetMode") == "External":
            continue
        path = target.lstrip("/") if target.startswith("/") or not folder else f"{folder}/{target}"
        kind = element.get("Type", "").rpartition("/")[2]
        found[element.get("Id", "")] = (kind, path)
    return found
