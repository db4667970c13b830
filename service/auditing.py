"""The audit log as a file for people (XLSX, CSV) or machines (JSON lines); hides its columns."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from types import MappingProxyType

from kb.errors import DocumentUnreadable
from kb.formats.workbook import csv_table, workbook
from kb.journal import AuditRow
from service.wording import display_second_of

HEADINGS = ("序号", "时间", "操作人", "操作", "对象", "详情", "摘要")


def exported(rows: Iterable[AuditRow], suffix: str) -> bytes:
    """The rows as a file of a kind: ".xlsx", ".csv" or ".jsonl".

    JSON lines have all that the digests are made of, so that other programs can verify them.

    Raises:
        DocumentUnreadable: another suffix.
    """
    write = FORMATS.get(suffix)
    if write is None:
        raise DocumentUnreadable(f"只能导出为 {'、'.join(FORMATS)}")
    return write(rows)


def _plain(rows: Iterable[AuditRow]) -> Iterable[tuple[str, ...]]:
    for row in rows:
        detail = json.dumps(row.detail, ensure_ascii=False, sort_keys=True)
        when = display_second_of(row.at)
        yield (str(row.id), when, row.actor, row.action, row.subject, detail, row.digest)


def _json_lines(rows: Iterable[AuditRow]) -> bytes:
    lines = (
        json.dumps(
            {
                "id": row.id,
                "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
                "actor": row.actor,
                "action": row.action,
                "subject": row.subject,
                "detail": row.detail,
                "digest": row.digest,
            },
            ensure_ascii=False,
        )
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines).encode()


FORMATS: Mapping[str, Callable[[Iterable[AuditRow]], bytes]] = MappingProxyType(
    {
        ".xlsx": lambda rows: workbook(HEADINGS, _plain(rows), sheet="审计记录"),
        ".csv": lambda rows: csv_table(HEADINGS, _plain(rows)),
        ".jsonl": _json_lines,
    }
)
