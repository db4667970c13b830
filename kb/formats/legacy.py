"""Word 97 (.doc) and RTF files through LibreOffice or antiword; hides the outside programs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from kb.blocks import Block
from kb.errors import DocumentUnreadable
from kb.formats.docx import read_docx
from kb.formats.tables import table_blocks
from kb.formats.text import decode, read_plain

TIMEOUT_S = 90.0
_MAX_OUTPUT = 100 * 2**20
_OFFICE_PROGRAMS = ("soffice", "libreoffice")
_ANTIWORD_ROW = re.compile(r"\s*\|.*\|\s*")
_ANTIWORD_MARKS = re.compile(r"\[pic\]|_{20,}")
_BROKEN = "文件已损坏或不是有效的 Word 文档，请用 Word 或 WPS 另存为 docx 后再上传。"


def read_legacy(data: bytes, suffix: str) -> list[Block]:
    """Convert a Word 97 or RTF file and return its blocks.

    LibreOffice is preferred, since it keeps tables and automatic numbers.

    Args:
        suffix: ``".doc"`` or ``".rtf"``.

    Raises:
        DocumentUnreadable: no program to convert with, conversion failed or took too long.
    """
    office = next(filter(None, map(shutil.which, _OFFICE_PROGRAMS)), None)
    antiword = shutil.which("antiword") if suffix == ".doc" else None
    with tempfile.TemporaryDirectory(prefix="policyqa-", ignore_cleanup_errors=True) as folder:
        source = Path(folder) / f"source{suffix}"
        source.write_bytes(data)
        if office:
            return _through_office(office, source)
        if antiword:
            return _through_antiword(antiword, source)
    if suffix == ".rtf":
        raise DocumentUnreadable(
            "读取 RTF 文件需要在服务器上安装 libreoffice-writer；也可以将文件另存为 docx 后再上传。"
        )
    raise DocumentUnreadable(
        "读取 doc 文件需要在服务器上安装 libreoffice-writer 或 antiword；"
        "也可以将文件另存为 docx 后再上传。"
    )


def _through_office(program: str, source: Path) -> list[Block]:
    folder = source.parent
    _run(
        [
            program,
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            *("--headless", "--norestore", "--convert-to", "docx", "--outdir", str(folder)),
            str(source),
        ],
        folder,
    )
    converted = source.with_suffix(".docx")
    if not converted.is_file() or converted.stat().st_size > _MAX_OUTPUT:
        raise DocumentUnreadable(_BROKEN)
    return read_docx(converted.read_bytes())


def _through_antiword(program: str, source: Path) -> list[Block]:
    # -w 0: one line a paragraph; UTF-8.txt: the program's own character map.
    text = decode(_run([program, "-m", "UTF-8.txt", "-w", "0", str(source)], source.parent))
    blocks: list[Block] = []
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if _ANTIWORD_ROW.fullmatch(line):
            rows.append(line.strip()[1:-1].split("|"))
            continue
        blocks.extend(table_blocks(rows))
        rows = []
        blocks.extend(read_plain(_ANTIWORD_MARKS.sub("", line)))
    return blocks


def _run(command: list[str], folder: Path) -> bytes:
    """Run a program in a folder of its own and return what it printed."""
    output = folder / "output"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder)},
            start_new_session=True,
        )
        try:
            status = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise DocumentUnreadable(
                "转换文件用时过长，已停止，请另存为 docx 后再上传。"
            ) from error
        finally:
            # LibreOffice is started by a wrapper: the whole session has to end.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status != 0 or output.stat().st_size > _MAX_OUTPUT:
        raise DocumentUnreadable(_BROKEN)
    return output.read_bytes()
