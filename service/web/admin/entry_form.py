"""The form of a draft: what was typed ↔ an entry record, and the clauses to choose bases from.

Hides which fields a form may set: whatever else is sent is not looked at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import request

from kb.errors import NotFound
from kb.exchange import HEADINGS, EntryRecord
from kb.formats.text import clean, one_line
from kb.metadata import parse_date
from kb.search import Scope
from service.accounts import Account
from service.rights import RIGHTS, Reach, may
from service.web.runtime import runtime

_LISTS = ("similar", "negative", "tags", "basis")
_DATES = ("effective_on", "expires_on", "review_due")
_TEXTS = ("answer", "short_answer")
_LINES = ("question", "department", "region", "topic", "audience", "phone", "code")
FIELDS = (*_LINES, *_TEXTS, *_LISTS, *_DATES)
FOUND = 8
_LONGEST = 100_000
_ARTICLE = re.compile(r"第[^条]{1,12}条(?:之[一二三四五六七八九十]+)?")


@dataclass(frozen=True)
class Clause:
    """A clause to choose: how an entry cites it, its words and its page."""

    text: str
    words: str
    address: str


def typed_record() -> dict[str, str]:
    """The fields of the form as they were typed."""
    form = request.form
    return {name: form.get(name, "")[:_LONGEST].replace("\r\n", "\n") for name in FIELDS}


def as_typed(record: EntryRecord) -> dict[str, str]:
    """A record as somebody would type it, its region by name."""
    given = {name: str(getattr(record, name)) for name in (*_LINES, *_TEXTS)}
    given |= {name: "\n".join(getattr(record, name)) for name in _LISTS}
    for name in _DATES:
        day = getattr(record, name)
        given[name] = day.isoformat() if day else ""
    given["region"] = runtime().regions.value(record.region) if record.region else ""
    return given


def read(given: Mapping[str, str], user: Account) -> tuple[EntryRecord, dict[str, str]]:
    """The record that was typed, its region as a code, and what is wrong with it, by field."""
    wrong: dict[str, str] = {}
    values: dict[str, object] = {name: one_line(given[name]) for name in _LINES}
    values |= {name: clean(given[name]).strip() for name in _TEXTS}
    for name in _LISTS:
        rows = (one_line(row) for row in given[name].splitlines())
        values[name] = tuple(dict.fromkeys(row for row in rows if row))
    for name in _DATES:
        values[name] = parse_date(given[name].strip()) if given[name].strip() else None
        if given[name].strip() and values[name] is None:
            wrong[name] = f"“{HEADINGS[name]}”应写成年月日，如 2026-01-05"
    if only_own(user):
        values["department"] = user.department
    try:
        values["region"] = runtime().regions.resolve(one_line(given["region"])) or ""
    except NotFound as error:
        values["region"], wrong["region"] = "", str(error)
    record = EntryRecord(**values)  # type: ignore[arg-type]
    if "region" not in wrong and record.department and not _may_write(user, record):
        own = runtime().regions.name(user.region_code)
        wrong["region"] = f"您只能写{own}或其中的地区"
    return record, wrong


def only_own(user: Account) -> bool:
    """Whether somebody writes for one department only."""
    return RIGHTS["entry.write"][user.role] == Reach.OWN and bool(user.department)


def with_basis(given: Mapping[str, str], text: str) -> dict[str, str]:
    """What was typed, with one more line among the bases."""
    rows = [row for row in given["basis"].splitlines() if row.strip()]
    if text and text not in rows:
        rows.append(one_line(text)[:200])
    return {**given, "basis": "\n".join(rows)}


def clauses(text: str, region: str | None) -> list[Clause]:
    """Clauses in force that a text names, then those that speak of it."""
    text = one_line(text)[:200]
    if not text:
        return []
    day = runtime().today()
    found: dict[str, Clause] = {}
    for named in runtime().lookup.named_in(text, day):
        document, clause = named.document, named.clause
        locator = clause.locator if clause else ""
        words = clause.text if clause else "整份文件"
        _add(found, document.title, locator, (words, document.id, clause.id if clause else None))
    scope = Scope(as_of=day, region=region, kind="clause")
    for passage in runtime().search.passages(text, scope, limit=FOUND).passages:
        cited = passage.citations[0]
        _add(found, cited.title, cited.locator, (cited.text, cited.document_id, cited.clause_id))
    return list(found.values())[:FOUND]


def _add(
    found: dict[str, Clause], title: str, locator: str, at: tuple[str, int | None, int | None]
) -> None:
    article = _ARTICLE.search(locator)
    text = f"《{title}》{article[0] if article else ''}"
    words, document_id, clause_id = at
    anchor = f"#clause-{clause_id}" if clause_id else ""
    found.setdefault(text, Clause(text, words[:200], f"/documents/{document_id}{anchor}"))


def _may_write(user: Account, record: EntryRecord) -> bool:
    return may(user, "entry.write", department=record.department, region=record.region or None)
