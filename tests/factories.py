"""Plain makers of small policy texts, uploads and entry records for tests; and their clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from kb.documents import Documents, Imported, Upload
from kb.exchange import EntryRecord

TODAY = date(2026, 1, 15)
MORNING = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
# Real codes; 鼓楼区 is a name that two cities have.
DIVISIONS = {
    "320000": "江苏省",
    "320100": "南京市",
    "320106": "鼓楼区",
    "350000": "福建省",
    "350100": "福州市",
    "350102": "鼓楼区",
    "370000": "山东省",
    "370200": "青岛市",
    "370281": "胶州市",
    "370283": "平度市",
}


class Clock:
    """A clock that goes only when told to.

    Attributes:
        at: what it shows.
    """

    def __init__(self, at: datetime = MORNING) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> datetime:
        """Let time pass; what it shows then."""
        self.at += by
        return self.at


def day_in_words(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def final_clause(
    name: str, effective: date | None, expires: date | None, repeals: Sequence[str]
) -> str:
    """The sentences that say from when to when a text applies, and what it repeals."""
    words = ""
    if effective:
        words += f"{name}自{day_in_words(effective)}起施行"
        words += f"，有效期至{day_in_words(expires)}。" if expires else "。"
    return words + "".join(f"{named}同时废止。" for named in repeals)


def regulation(
    title: str,
    *rules: str,
    issued: date | None = None,
    effective: date | None = None,
    expires: date | None = None,
    repeals: Sequence[str] = (),
) -> str:
    """A text in articles; the last one says from when it applies.

    Args:
        repeals: as printed, 《某办法》 or 《某通知》（某政发〔2019〕3号）.
    """
    articles = [*rules]
    if last := final_clause("本办法", effective, expires, repeals):
        articles.append(last)
    numerals = "一二三四五六七八九十"
    lines = [title]
    if issued:
        lines.append(f"（{day_in_words(issued)}市人民政府常务会议通过）")
    lines += [f"第{numerals[number]}条 {rule}" for number, rule in enumerate(articles)]
    return "\n\n".join(lines) + "\n"


def circular(
    title: str,
    number: str,
    *items: str,
    issued: date | None = None,
    effective: date | None = None,
    expires: date | None = None,
    repeals: Sequence[str] = (),
) -> str:
    """A red-header text in numbered items, with its number and, where `issued`, a signature."""
    numerals = "一二三四五六七八九十"
    lines = [number, title, "各区人民政府："]
    lines += [f"{numerals[at]}、{item}" for at, item in enumerate(items)]
    if last := final_clause("本通知", effective, expires, repeals):
        lines.append(last)
    if issued:
        lines += ["某市人民政府", day_in_words(issued)]
    return "\n\n".join(lines) + "\n"


def upload(content: str, filename: str = "文件.txt", **facts: Any) -> Upload:
    return Upload(content.encode(), filename, **facts)


def add(documents: Documents, *uploads: Upload, publish: bool = True) -> list[Imported]:
    return list(documents.add(uploads, actor="编辑", publish=publish))


def publish(documents: Documents, content: str, **facts: Any) -> int:
    """Import and publish one text that must be good; return its document's id."""
    [outcome] = add(documents, upload(content, **facts))
    assert outcome.document_id is not None, outcome.reason
    return outcome.document_id


def entry(question: str, answer: str = "请到政务服务中心办理。", **facts: Any) -> EntryRecord:
    held = {"department": "市政务服务中心", "status": "published", **facts}
    return EntryRecord(question=question, answer=answer, **held)
