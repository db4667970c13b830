"""What an entry says as one value; hides how it lies in rows and in the JSON of a version."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from kb.departments import department_named
from kb.exchange import (
    HEADINGS,
    MAX_ANSWER,
    MAX_PHRASING,
    MAX_QUESTION,
    MAX_SHORT_ANSWER,
    MAX_SHORT_FIELD,
    REQUIRED,
    EntryRecord,
)
from kb.metadata import normalise_document_number
from kb.models import Basis, Department, Entry, Phrasing, Tag

# 某政发〔2024〕1号第三条: name, then the article that is meant.
_NUMBERED = re.compile(r"(?P<number>[^《》]+?号)(?P<rest>.*)", re.S)
_ARTICLE = re.compile(
    r"第([〇零一二两三四五六七八九十百千]+|\d{1,4})条(?:之[一二三四五六七八九十]+)?"
)
_OUTER = str.maketrans("〈〉", "《》")
_DEPARTMENTS, _TAGS = "departments of this transaction", "tags of this transaction"
_DATES = ("effective_on", "expires_on", "review_due")
_TEXTS = ("question", "answer", "short_answer", "topic", "audience", "phone")
_LISTS = ("similar", "negative", "tags", "basis")
# Longest values; the columns of some are narrower than what an entry table may hold.
_LIMITS = {
    "question": MAX_QUESTION, "answer": MAX_ANSWER, "short_answer": MAX_SHORT_ANSWER,
    "code": 64, "topic": 64, "audience": 64, "phone": 64, "department": 128, "tags": 64,
    "similar": MAX_PHRASING, "negative": MAX_PHRASING, "basis": MAX_PHRASING,
    "region": MAX_SHORT_FIELD,
}  # fmt: skip


class Ground(NamedTuple):
    """What an entry rests on, by name: a document's title or number, an article of it or ""."""

    target: str
    article: str


def parse_basis(text: str) -> Ground:
    """Split a basis into what names the document and the article: ("…法", "第五十八条").

    《》 or 〈〉 inside a title belong to it and become 《》, as on the document itself; of several
    documents the first one counts.
    """
    text = text.strip()
    name, rest = _quoted_title(text)
    if not name and (match := _NUMBERED.match(text)):
        name = normalise_document_number(match["number"]) or match["number"].strip()
        _, rest = _quoted_title(match["rest"].strip())
    if not name:
        return Ground(text, "")
    article = _ARTICLE.search(rest.partition("《")[0])
    return Ground(name, _in_words(article) if article else "")


def problems(record: EntryRecord, *, complete: bool = True) -> dict[str, str]:
    """What does not hold: English field name → what is wrong with it, in Chinese.

    Args:
        complete: whether everything that citizens need must be there; a draft may lack it.
    """
    wrong: dict[str, str] = {}
    for field, limit in _LIMITS.items():
        value: str | Sequence[str] = getattr(record, field)
        longest = max(map(len, (value,) if isinstance(value, str) else value), default=0)
        if longest > limit:
            wrong[field] = f"“{HEADINGS[field]}”有 {longest} 字，超过 {limit} 字"
    for field in REQUIRED if complete else ("question", "department"):
        if not getattr(record, field).strip():
            wrong[field] = f"“{HEADINGS[field]}”不能为空"
    begin, end = record.effective_on, record.expires_on
    if begin and end and end < begin:
        wrong["expires_on"] = "“失效日期”早于“生效日期”"
    return wrong


def record_of(entry: Entry) -> EntryRecord:
    """What the rows of an entry say, its region as a code."""
    return EntryRecord(
        question=entry.question,
        similar=tuple(each.text for each in entry.phrasings if not each.negative),
        negative=tuple(each.text for each in entry.phrasings if each.negative),
        answer=entry.answer,
        short_answer=entry.short_answer,
        department=entry.department.name,
        region=entry.region_code or "",
        topic=entry.topic,
        tags=tuple(tag.name for tag in entry.tags),
        audience=entry.audience,
        basis=tuple(each.text for each in entry.bases),
        effective_on=entry.effective_on,
        expires_on=entry.expires_on,
        review_due=entry.review_due,
        phone=entry.phone,
        status=entry.status.value,
        code=entry.code or "",
    )


def fill(session: Session, entry: Entry, record: EntryRecord, region_code: str | None) -> None:
    """Let the rows of an entry say what a record says; its status and version stay."""
    with session.no_autoflush:
        entry.department = _department(session, record.department)
        entry.tags = _tags(session, record.tags)
        entry.code = record.code or entry.code
        entry.region_code = region_code
        for name in (*_TEXTS, *_DATES):
            setattr(entry, name, getattr(record, name))
        wordings = [(text, False) for text in record.similar]
        wordings += [(text, True) for text in record.negative]
        if wordings != [(each.text, each.negative) for each in entry.phrasings]:
            entry.phrasings = [
                Phrasing(ordinal=number, text=text, negative=negative)
                for number, (text, negative) in enumerate(wordings, start=1)
            ]
        if record.basis != tuple(each.text for each in entry.bases):
            entry.bases = [_basis(*row) for row in enumerate(record.basis, start=1)]
        for each in entry.bases:
            # Whoever publishes vouches for the words as they are then.
            each.sketch = ""


def _basis(number: int, text: str) -> Basis:
    target, article = parse_basis(text)
    return Basis(ordinal=number, text=text, target=target, article=article, sketch="")


def as_content(record: EntryRecord, region_code: str | None) -> dict[str, Any]:
    """A record as the JSON of a version: lists, and dates as 2024-01-05; without its status."""
    content: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, date):
            value = value.isoformat()
        content[field.name] = value
    del content["status"]
    return content | {"region": region_code or ""}


def from_content(content: Mapping[str, Any], status: str = "draft") -> EntryRecord:
    """The record that a version's JSON holds."""
    values = dict(content)
    values |= {name: tuple(values.get(name, ())) for name in _LISTS}
    for name in _DATES:
        text = values.get(name)
        values[name] = date.fromisoformat(text) if text else None
    return EntryRecord(**{**values, "status": status})


def same(one: EntryRecord, other: EntryRecord) -> bool:
    """Whether two records, both with codes for regions, say the same; tags have no order."""

    def plain(record: EntryRecord) -> EntryRecord:
        return replace(record, status="draft", tags=tuple(sorted(set(record.tags))))

    return plain(one) == plain(other)


def _department(session: Session, name: str) -> Department:
    """As `department_named`, asking once a name in a transaction."""
    known: dict[str, Department] = session.info.setdefault(_DEPARTMENTS, {})
    if name not in known:
        known[name] = department_named(session, name)
    return known[name]


def _tags(session: Session, names: Sequence[str]) -> list[Tag]:
    known: dict[str, Tag] = session.info.setdefault(_TAGS, {})
    missing = [name for name in names if name not in known]
    if missing:
        held = session.scalars(select(Tag).where(Tag.name.in_(missing)))
        known |= {tag.name: tag for tag in held}
        for name in missing:
            if name not in known:
                known[name] = Tag(name=name)
                session.add(known[name])
    return [known[name] for name in dict.fromkeys(names)]


def _quoted_title(text: str) -> tuple[str, str]:
    """The title in the outermost 《》 that a text begins with, if any, and what follows."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "《") - (char == "》")
        if at == 0 and depth == 0:
            break
        if depth == 0:
            return text[1:at].strip().translate(_OUTER), text[at + 1 :]
    return "", text


def _in_words(article: re.Match[str]) -> str:
    """第58条 as the laws print it, 第五十八条."""
    label = article[1]
    if not label.isdigit():
        return article[0]
    value, words = int(label), ""
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, value = divmod(value, unit)
        if digit:
            words += "一二三四五六七八九"[digit - 1] + name
        elif words and value and words[-1] != "零":
            words += "零"
    if words.startswith("一十"):
        words = words[1:]
    return article[0].replace(label, words, 1)
