"""A search as a page and as JSON: conditions → results, counts, and ways to go on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints

from kb.facets import FACETS, Filters, Narrowed, by_date, narrow, recommended
from kb.lookup import Named
from kb.passages import Passage
from kb.regions import nested
from kb.search import RESULTS, Scope, as_document
from kb.understanding import Rewrite, Understood
from service import guards
from service.presentation import facets_json, named_json, result_json, rewrite_json
from service.web.responses import require
from service.web.runtime import runtime

# Results are paged within this many: as many entries, clauses and documents as are looked at.
SEARCH_DEPTH = 3 * RESULTS
# With a filter that leaves nothing of these, so many of a kind are looked at.
DEEPER = 400
MOST_CHOSEN = 20
# What contains this share of a text contains all of it; no other spelling is proposed then.
FITS = 0.95
RELATED, KEYWORDS, POPULAR = 5, 8, 6
IN_FORCE, ANY = "in_force", "any"


def _sound(text: str) -> str:
    problem = guards.problem_with(text)
    if problem:
        raise ValueError(problem)
    return text


def _several(value: object) -> object:
    """One value or several, without empty ones and repetitions."""
    values = value if isinstance(value, list | tuple) else [value]
    return list(dict.fromkeys(each for each in values if each not in (None, "")))


SoundText = Annotated[str, AfterValidator(_sound)]
_Many = BeforeValidator(_several)
_Words = Annotated[list[Annotated[str, StringConstraints(max_length=128)]], _Many]
_Kinds = Annotated[
    list[Annotated[str, StringConstraints(pattern="^(entry|clause|document|interpretation)$")]],
    _Many,
]
_Validities = Annotated[
    list[
        Annotated[
            str, StringConstraints(pattern="^(in_force|not_yet|amended|repealed|expired|any)$")
        ]
    ],
    _Many,
]
_Years = Annotated[list[Annotated[int, Field(ge=1900, le=2200)]], _Many]


class SearchQuery(BaseModel):
    """What to search for and how to narrow it; a facet given several times admits any of them."""

    q: SoundText = Field(description="检索词，可以是事项、文件名称或文号")
    region: _Words = Field([], max_length=MOST_CHOSEN, description="适用地区，名称或代码，可多个")
    department: _Words = Field([], max_length=MOST_CHOSEN, description="责任单位，可多个")
    topic: _Words = Field([], max_length=MOST_CHOSEN, description="主题，可多个")
    kind: _Kinds = Field([], max_length=MOST_CHOSEN, description="类型，可多个")
    validity: _Validities = Field(
        [], max_length=MOST_CHOSEN, description="时效性，可多个；默认只看现行有效，any 不限"
    )
    year: _Years = Field([], max_length=MOST_CHOSEN, description="年份，可多个")
    tag: _Words = Field([], max_length=MOST_CHOSEN, description="标签，可多个")
    audience: _Words = Field([], max_length=MOST_CHOSEN, description="办理对象，可多个")
    as_of: date | None = Field(None, description="按哪一天的时效，默认今天")
    sort: str = Field("relevance", pattern="^(relevance|date)$", description="relevance 或 date")
    as_typed: bool = Field(False, description="按原词检索，不改错字、不认拼音、不补同义词")
    page: int = Field(1, ge=1, le=1000)
    per_page: int = Field(10, ge=1, le=50)


@dataclass(frozen=True)
class Searched:
    """What a search found.

    Attributes:
        shown: the results of one page.
        full: whether there may be more results than were counted.
        proposed: another spelling that was not applied; empty for none.
    """

    query: SearchQuery
    understood: Understood
    narrowed: Narrowed
    shown: tuple[Passage, ...]
    full: bool
    named: tuple[Named, ...]
    proposed: str
    related: tuple[str, ...]
    keywords: tuple[str, ...]
    popular: tuple[str, ...] = field(default=())

    @property
    def total(self) -> int:
        """How many results there are over all pages."""
        return len(self.narrowed.passages)


def resolve_region(text: str | None) -> str | None:
    """The code of a region given in a request, else the installation's.

    Raises:
        NotFound: no such region.
    """
    return runtime().regions.resolve(text or runtime().settings.region)


def searched(query: SearchQuery) -> Searched:
    """Search and narrow.

    Raises:
        NotFound: no such region.
        InvalidRequest: a page behind the last one that there can be.
    """
    require(query.page * query.per_page <= SEARCH_DEPTH, "page", "页数超出范围")
    objects, text = runtime(), guards.clean(query.q)
    filters = _filters(query)
    scope = _scope(query, filters)
    understood = Understood(text)
    if not query.as_typed:
        understood = objects.understanding.understand(text, scope)
    named = tuple(objects.lookup.named_in(text, scope.as_of))
    narrowed, full = _found(understood, scope, filters, named)
    passages = narrowed.passages if query.sort == "relevance" else tuple(by_date(narrowed.passages))
    start = (query.page - 1) * query.per_page
    shown = passages[start : start + query.per_page]
    questions = (p.title for p in narrowed.passages if p.kind == "entry" and p not in shown)
    return Searched(
        query,
        understood,
        narrowed,
        shown,
        full,
        named,
        proposed="" if query.as_typed else _proposed(understood, text, narrowed),
        related=tuple(dict.fromkeys(questions))[:RELATED],
        keywords=tuple(recommended(narrowed.passages, text)[:KEYWORDS]),
        popular=() if shown else tuple(objects.popularity.questions(scope, limit=POPULAR)),
    )


def search_json(found: Searched) -> dict[str, Any]:
    """The body of a search of the public contract."""
    regions, query, rewrites = runtime().regions, found.query, found.understood.rewrites
    return {
        "total": found.total,
        "complete": not found.full,
        "page": query.page,
        "per_page": query.per_page,
        "results": [result_json(each, regions, found.understood) for each in found.shown],
        "facets": facets_json(found.narrowed.counts),
        "documents": [named_json(each) for each in found.named],
        "did_you_mean": found.proposed or (query.q if _put_right(rewrites) else None),
        "question_understood": found.understood.said,
        "rewrites": [rewrite_json(each) for each in rewrites],
        "related": list(found.related),
        "keywords": list(found.keywords),
        "popular": list(found.popular),
    }


def _put_right(rewrites: Iterable[Rewrite]) -> bool:
    """Whether what was typed is not what was searched for."""
    return any(each.kind in ("typo", "pinyin") for each in rewrites)


def _filters(query: SearchQuery) -> Filters:
    chosen = {name: [str(each) for each in getattr(query, name)] for name in FACETS}
    chosen["validity"] = [] if ANY in query.validity else query.validity or [IN_FORCE]
    regions = query.region or ([runtime().settings.region] if runtime().settings.region else [])
    chosen["region"] = [_region_value(each) for each in regions]
    return Filters(chosen)


def _region_value(text: str) -> str:
    """A region as the facet writes it.

    Raises:
        NotFound: no such region.
    """
    regions = runtime().regions
    return regions.value(regions.resolve(text))


def _scope(query: SearchQuery, filters: Filters) -> Scope:
    """All that may be counted: in and around the installation's region, or everywhere."""
    home = resolve_region(None)
    chosen = [runtime().regions.resolve(each) for each in filters.of("region")]
    around = home if all(nested(each, home) for each in chosen) else None
    return Scope(as_of=query.as_of or runtime().today(), region=around, validity=None)


def _found(
    understood: Understood, scope: Scope, filters: Filters, named: tuple[Named, ...]
) -> tuple[Narrowed, bool]:
    """Everything relevant, narrowed; what is asked for by name comes first."""
    objects = runtime()
    first = _as_results(named, scope)
    narrowed, full = Narrowed((), {}), False
    for depth in (RESULTS, DEEPER):
        passages, full = objects.search.results(
            understood.text, scope, also=understood.also, depth=depth
        )
        keys = {each.key for each in first}
        rest = [each for each in passages if each.key not in keys]
        narrowed = narrow([*first, *rest], filters, objects.regions)
        if narrowed.passages or not full:
            break
    return narrowed, full


def _as_results(named: tuple[Named, ...], scope: Scope) -> list[Passage]:
    """Documents and clauses asked for by name, as results."""
    found = []
    for each in named:
        clause = each.clause or next(iter(each.document.clauses), None)
        if clause is not None:
            passages = runtime().library.passages([f"clause:{clause.id}"], scope.as_of)
            found += passages if each.clause else [as_document(p) for p in passages]
    return found


def _proposed(understood: Understood, text: str, narrowed: Narrowed) -> str:
    """Another spelling that may be meant, where nothing was put right and little fits."""
    best = max((each.breadth for each in narrowed.passages), default=0.0)
    if _put_right(understood.rewrites) or best >= FITS:
        return ""
    completions = runtime().understanding.completions(text)
    return next((each for each in completions if each != text), "")
