"""ZIP files of documents as they come from office computers; hides names, junk and tricks."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from kb.errors import DocumentUnreadable
from kb.formats.archive import Archive

MAX_FILES = 100
_NESTED = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz")
_UTF8_NAME = 0x800


def unpack(data: bytes) -> Iterator[tuple[str, bytes | str]]:
    """Yield each file's bare name with its bytes, or with why it is refused.

    Folders only order the files within: no path of the archive is ever used as one.

    Raises:
        DocumentUnreadable: broken, encrypted, a bomb, empty, or too many files.
    """
    archive = Archive(data)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        members = [each for each in opened.infolist() if not each.is_dir()]
    wanted = [(each.filename, name) for each in members if (name := _name(each))]
    if not wanted:
        raise DocumentUnreadable("压缩包里没有文件。")
    if len(wanted) > MAX_FILES:
        raise DocumentUnreadable(f"压缩包里有 {len(wanted)} 个文件，一次最多 {MAX_FILES} 个。")
    for stored, name in wanted:
        if name.lower().endswith(_NESTED):
            yield name, "压缩包里又有压缩包，请解开后再上传"
        else:
            yield name, archive.read(stored)


def _name(member: zipfile.ZipInfo) -> str:
    """The bare name, as it was written; empty for what systems leave behind."""
    name = member.filename
    if not member.flag_bits & _UTF8_NAME:
        # Without that mark `zipfile` reads code page 437; Chinese Windows wrote GBK, others UTF-8.
        raw = name.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    path = PurePosixPath(name.replace("\\", "/"))
    junk = "__MACOSX" in path.parts or path.name.startswith((".", "~$")) or path.name == "Thumbs.db"
    return "" if junk else path.name
