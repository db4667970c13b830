"""Public pages, all of which work without JavaScript; hides how values become page furniture."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, redirect, render_template, request
from pydantic import ValidationError

from kb.facets import FACETS
from kb.highlighting import extract, highlighted
from kb.library import ClauseView, DocumentView
from kb.search import Scope
from service import guards
from service.conversations import Question
from service.presentation import citation_url, matched_by, passage_url, pieces, rewrite_json
from service.web.metrics import Metrics
from service.web.requests import local, referring_page
from service.web.responses import require
from service.web.runtime import runtime
from service.web.searching import (
    ANY,
    IN_FORCE,
    Searched,
    SearchQuery,
    resolve_region,
    searched,
)
from service.wording import (
    GENERATED,
    KINDS,
    VALIDITY,
    display_date,
    display_day_of,
    percent,
    understood_as,
)

EXAMPLES = (
    "灵活就业人员怎么交社保？",
    "公积金怎么提取？",
    "居住证怎么办理？",
    "被公司辞退有补偿吗？",
    "失业金怎么领？",
    "怎么开办一家公司？",
)
YEAR_IN_SECONDS = 365 * 24 * 3600
# A numbered item whose first line is no longer than this carries a title.
ITEM_TITLE = 40

_NUMBER = re.compile(
    r"\s*(?:\d{1,2}[.．、](?!\d)|[（(][一二三四五六七八九十\d]{1,3}[）)]|[一二三四五六七八九十]+、|[①-⑳])"
)
_BRACKETS = str.maketrans("()", "（）")
# Facets of the search page in their order.
_FACETS = {
    "kind": "类型",
    "topic": "主题",
    "department": "责任单位",
    "region": "适用地区",
    "year": "年份",
    "audience": "办理对象",
    "tag": "标签",
}


@dataclass(frozen=True)
class Choice:
    """A value of a facet on the page: choosing it finds `count`, or takes it back."""

    label: str
    count: int
    chosen: bool
    address: str


@dataclass(frozen=True)
class Section:
    """A clause with the headings that begin at it.

    Attributes:
        headings: (depth from 0, anchor, text) of each heading that the clause before lacked.
        mark: the clause's number where its text begins with it, else empty.
        titled: whether the first line, after the mark, is a title of its own.
        lines: its paragraphs, without the mark.
    """

    clause: ClauseView
    headings: tuple[tuple[int, str, str], ...]
    mark: str
    titled: bool
    lines: tuple[str, ...]


def build(metrics: Metrics) -> Blueprint:
    """The blueprint; open to anyone."""
    pages = Blueprint("pages", __name__)
    _furnish(pages)

    @pages.get("/")
    def ask() -> str | tuple[str, int]:
        text = request.args.get("q", "")
        if not text:
            return render_template("ask.html", examples=_often_asked())
        problem = guards.problem_with(text)
        if problem:
            shown = text[: guards.MAX_QUESTION]
            return render_template(
                "ask.html", examples=_often_asked(), question=shown, problem=problem
            ), 400
        asked = Question(
            text=text,
            as_of=runtime().today(),
            region=resolve_region(request.args.get("region")),
            conversation_id=_conversation(),
        )
        answer = runtime().answerer.answer(asked)
        metrics.answer(answer.outcome.value, "web")
        return render_template("ask.html", question=text, answer=answer)

    @pages.post("/feedback")
    def feedback() -> str:
        given = request.form.get("helpful", "")
        require(given in ("yes", "no"), "helpful", "请选择“有帮助”或“没帮助”")
        runtime().conversations.rate(
            request.form.get("answer_id", "")[:32],
            helpful=given == "yes",
            comment=request.form.get("comment", "")[:1000],
        )
        return render_template("thanks.html", back=referring_page())

    @pages.get("/search")
    def search() -> str | tuple[str, int]:
        if not request.args.get("q"):
            scope = Scope(as_of=runtime().today(), region=resolve_region(None))
            popular = runtime().popularity.questions(scope)
            return render_template("search.html", query=None, found=None, popular=popular)
        try:
            query = _search_query()
        except ValidationError:
            text = request.args["q"][: guards.MAX_QUESTION]
            problem = guards.problem_with(request.args["q"]) or "检索条件不对，请重新选择"
            return render_template(
                "search.html", query=None, found=None, text=text, problem=problem
            ), 400
        found = searched(query)
        return render_template(
            "search.html",
            query=query,
            found=found,
            validities=validities(found),
            facets={name: (label, choices(found, name)) for name, label in _FACETS.items()},
            cleared=_cleared(query),
        )

    @pages.get("/documents/<int:document_id>")
    def document(document_id: int) -> str:
        found = runtime().library.document(document_id, runtime().today())
        parts = sections(found)
        return render_template(
            "document.html",
            document=found,
            sections=parts,
            contents=contents(parts),
            sample=any("示例文件" in clause.text for clause in found.clauses[:1]),
        )

    @pages.get("/entries/<int:entry_id>")
    def entry(entry_id: int) -> str:
        found = runtime().library.entry(entry_id, runtime().today())
        return render_template("entry.html", passage=found, entry=found.entry)

    @pages.get("/text-size")
    def text_size() -> Response:
        """Keep the choice of text size and go back; without JavaScript, hence a page."""
        response = redirect(local(request.args.get("back", "")), code=303)
        if request.args.get("size") == "large":
            response.set_cookie(
                "text_size", "large", max_age=YEAR_IN_SECONDS, httponly=True, samesite="Lax"
            )
        else:
            response.delete_cookie("text_size", httponly=True, samesite="Lax")
        return response  # type: ignore[return-value]

    return pages


def sections(document: DocumentView) -> list[Section]:
    """A document's clauses in order, each with the headings that begin at it.

    The title is left out of the text before the first clause: the page shows it already.
    """
    found: list[Section] = []
    before: Sequence[str] = ()
    count = 0
    for clause in document.clauses:
        shared = 0
        for ours, theirs in zip(clause.headings, before, strict=False):
            if ours != theirs:
                break
            shared += 1
        begun = []
        for depth, text in enumerate(clause.headings[shared:], shared):
            count += 1
            begun.append((depth, f"section-{count}", text))
        before = clause.headings
        mark, text = split_mark(clause)
        lines = text.splitlines()
        if clause.kind == "front" and not found:
            lines = _without_title(lines, document)
        if lines or begun or mark:
            titled = clause.kind == "item" and bool(mark) and _begins_with_title(lines)
            found.append(Section(clause, tuple(begun), mark, titled, tuple(lines)))
    return found


def contents(parts: Sequence[Section]) -> list[tuple[int, str, str]]:
    """The table of contents: (depth, anchor, text) of headings and of items with a title."""
    rows: list[tuple[int, str, str]] = []
    for part in parts:
        rows += part.headings
        clause = part.clause
        if part.titled and not clause.headings:
            rows.append((0, f"clause-{clause.id}", part.mark + part.lines[0].strip()))
    return rows if len(rows) > 1 else []


def split_mark(clause: ClauseView) -> tuple[str, str]:
    """A clause's text divided after the number it begins with, the end of its locator."""
    locator, text = clause.locator, clause.text
    # A locator has full-width brackets, whatever the text was typed with.
    start = text[: len(locator)].translate(_BRACKETS)
    for at in range(len(locator)):
        at_boundary = at == 0 or locator[at] in "第（" or locator[at - 1] in "、）"
        if at_boundary and start.startswith(locator[at:]):
            length = len(locator) - at
            return text[:length], text[length:].lstrip()
    return "", text


def web_address(text: str) -> str:
    """The text if it is an http(s) address, else empty: nothing else may become a link."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return ""
    return text.strip() if parts.scheme in ("http", "https") and parts.netloc else ""


def sureness(confidence: float) -> str:
    """A probability in words, for people who do not think in percentages."""
    steps = ((0.9, "很高"), (0.75, "较高"), (0.6, "一般"))
    return next((words for least, words in steps if confidence >= least), "不高，请核对原文")


def narrowed(query: SearchQuery, **changes: object) -> str:
    """The address of a search with some of its conditions changed; None takes one away."""
    held = query.model_dump(mode="json", exclude_defaults=True) | {"page": None} | changes
    given = {name: value for name, value in held.items() if value not in (None, "", [])}
    return "/search?" + urlencode(given, doseq=True)


def choices(found: Searched, facet: str) -> list[Choice]:
    """The values of a facet, those chosen first; none where there is nothing to choose."""
    query = found.query
    chosen = [str(each) for each in getattr(query, facet)]
    counted = found.narrowed.counts.get(facet, ())
    if len(counted) < 2 and not chosen:
        return []
    rows = []
    for value, count in sorted(counted, key=lambda row: row[0] not in chosen):
        on = value in chosen
        left = [each for each in chosen if each != value] if on else [*chosen, value]
        label = KINDS[value] if facet == "kind" else _facet_label(facet, value)
        rows.append(Choice(label, count, on, narrowed(query, **{facet: left})))
    return rows


def validities(found: Searched) -> list[Choice]:
    """The ways to choose by validity: in force unless asked otherwise, one, or all."""
    query = found.query
    chosen = query.validity or [IN_FORCE]
    counts = dict(found.narrowed.counts.get("validity", ()))
    rows = [(value, counts.get(value, 0)) for value in VALIDITY if value != "unknown"]
    rows = [row for row in rows if row[1] or row[0] in (IN_FORCE, *chosen)]
    rows.append((ANY, sum(counts.values())))
    return [
        Choice(
            VALIDITY.get(value, "全部"),
            count,
            value in chosen,
            narrowed(query, validity=None if value == IN_FORCE else value),
        )
        for value, count in rows
    ]


def _cleared(query: SearchQuery) -> str:
    """The address of a search without any condition; empty where it has none."""
    conditions = (*FACETS, "as_of")
    held = query.model_dump(include=set(conditions), exclude_defaults=True)
    return narrowed(query, **dict.fromkeys(conditions)) if held else ""


def _often_asked() -> list[str]:
    """What people ask most where the page is for, then examples."""
    scope = Scope(as_of=runtime().today(), region=resolve_region(request.args.get("region")))
    asked = runtime().popularity.questions(scope, limit=len(EXAMPLES), fill=False)
    return list(dict.fromkeys([*asked, *EXAMPLES]))[: len(EXAMPLES)]


def _facet_label(facet: str, value: str) -> str:
    return runtime().regions.name(value) if facet == "region" and value.isdigit() else value


def _search_query() -> SearchQuery:
    """The conditions in the address.

    Raises:
        ValidationError: they do not hold.
    """
    several = {name for name, each in SearchQuery.model_fields.items() if each.default == []}
    given = request.args.to_dict() | {name: request.args.getlist(name) for name in several}
    return SearchQuery.model_validate(given)


def numbered(line: str) -> bool:
    """Whether a line begins with a number of its own, such as 1. or （一）."""
    return _NUMBER.match(line) is not None


def dial(phone: str) -> str:
    """The address that dials a number: of several numbers the first, without its extension."""
    found = re.search(r"\+?\d[\d\- ()（）]{1,18}\d|\d{3,}", phone)
    return "tel:" + re.sub(r"[^\d+]", "", found[0]) if found else ""


def _furnish(pages: Blueprint) -> None:
    """Give every template the filters and values that pages share."""
    filters: dict[str, Callable[..., object]] = {
        "day": display_date,
        "local_day": display_day_of,
        "percent": percent,
        "citation_url": citation_url,
        "passage_url": passage_url,
        "web_address": web_address,
        "sureness": sureness,
        "dial": dial,
        "highlighted": highlighted,
        "extract": extract,
        "pieces": pieces,
        "matched_by": matched_by,
        "numbered": numbered,
        "rewrite_json": rewrite_json,
        "understood_as": understood_as,
    }
    for name, function in filters.items():
        pages.add_app_template_filter(function, name)

    @pages.app_context_processor
    def _common() -> dict[str, object]:
        home = runtime().settings.region
        return {
            "validity_names": VALIDITY,
            "kind_names": KINDS,
            "generated_notice": GENERATED,
            "region_name": runtime().regions.name,
            "home_region": runtime().regions.name(runtime().regions.resolve(home)) if home else "",
            "narrowed": narrowed,
            "banner": runtime().tuning.banner,
            "large_text": request.cookies.get("text_size") == "large",
            "here": request.full_path.rstrip("?") if request.method == "GET" else "/",
        }

    @pages.after_request
    def _not_shared(response: Response) -> Response:
        # A page carries one person's answer and text size; a cache in between must not keep it.
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response


def _begins_with_title(lines: Sequence[str]) -> bool:
    """Whether the first line stands alone: short, and without the full stop of a sentence."""
    return bool(lines) and len(lines[0]) <= ITEM_TITLE and not lines[0].rstrip().endswith("。")


def _without_title(lines: Sequence[str], document: DocumentView) -> list[str]:
    title, seen = "".join(document.title.split()), ""
    for at, line in enumerate(lines):
        seen += "".join(line.split())
        if seen == title:
            return list(_from_text(lines[at + 1 :], document))
        if not title.startswith(seen):
            break
    return list(lines)


def _from_text(lines: Sequence[str], document: DocumentView) -> Iterator[str]:
    """The lines but for the document number, which the table of facts shows."""
    for line in lines:
        if line.strip() != document.document_number:
            yield line


def _conversation() -> str | None:
    given = request.args.get("conversation", "")
    return given if given.isascii() and given.isalnum() and len(given) <= 32 else None
