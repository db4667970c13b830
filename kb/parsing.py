"""Blocks of a document → its clauses, the units that a citizen is quoted.

Hides the grammars of laws (编章节条款项目) and of circulars (一、（一）1.（1）①), and how long
units are divided without losing or repeating a character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kb.blocks import Block
from kb.locator import LEVELS, Locator, Step
from kb.marks import SUB, Layout, Mark, between, chain, lay_out, scan
from kb.numerals import CHINESE, chinese
from kb.outline import Cut, outline
from kb.responsibility import responsible_units

UNIT = 500  # characters from which on a numbered unit is divided
_PARAGRAPH = 900  # characters from which on a single paragraph is cut at the ends of sentences
_SMALL = 40  # neighbouring sub-units shorter than this are a list and stay together
_TITLE = 60
_FRONT = 4000  # a longer preface is text to be found
_ITEM_LEVELS = LEVELS[LEVELS.index("first") :]

_SENTENCE = re.compile(r"[^。！？!?]*[。！？!?]+[”’）)】]*|[^。！？!?]+$")
_PART = re.compile(r"[^；;，,]*[；;，,]+|[^；;，,]+$")
_ARTICLE = re.compile(rf"\s*第\s?(?:[{CHINESE}]+|\d+)\s?条")
_POINT = re.compile(r"(?:^|(?<=[。；：，;:,\n]))\s*([一二三四五六七八九十]{1,2})(是|要)(?!否)")


@dataclass(frozen=True)
class ParsedClause:
    """One unit of a document.

    ``kind`` is ``front`` (title, record of adoption, table of contents, preamble, addressees),
    ``article``, ``item`` (a numbered unit of a circular, a question with its answer), ``text``
    (unnumbered), ``annex`` (unnumbered text of an annex) or ``closing`` (signature, date, notes).
    ``headings`` are the enclosing headings as printed, outermost first. ``text`` is verbatim with
    its own number, one paragraph a line. ``responsible`` names the departments that a bracket in
    the text makes responsible, in order, each once.
    """

    kind: str
    locator: Locator
    headings: tuple[str, ...]
    text: str
    responsible: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParsedDocument:
    """All clauses, and every heading once; together they hold each character of the blocks."""

    clauses: tuple[ParsedClause, ...]
    headings: tuple[str, ...]


def parse(blocks: Sequence[Block]) -> ParsedDocument:
    """Divide a document into clauses. Never raises; linear in the length of the text."""
    layout = lay_out(blocks)
    if not layout.text.strip():
        return ParsedDocument((), ())
    cuts, marks = outline(layout)
    return _Assembly(layout, marks).document(cuts)


@dataclass(frozen=True)
class _Open:
    """A heading that encloses what follows."""

    title: str
    step: Step | None
    depth: int


@dataclass(frozen=True)
class _Place:
    """Where a unit stands: the path and the headings above it."""

    path: tuple[Step, ...]
    headings: tuple[str, ...]

    def below(self, step: Step, title: str = "") -> _Place:
        return _Place((*self.path, step), (*self.headings, title) if title else self.headings)


class _Assembly:
    """Walks the cuts once and collects clauses and headings."""

    def __init__(self, layout: Layout, marks: Sequence[Mark]) -> None:
        self.layout = layout
        self.marks = marks
        self.clauses: list[ParsedClause] = []
        self.headings: list[str] = []
        self.stack: list[_Open] = []
        self.units = False
        self.reached: dict[str, int] = {}  # the last number of each level so far
        self.fresh = False  # whether a heading was opened since the last unit

    def document(self, cuts: Sequence[Cut]) -> ParsedDocument:
        for index, cut in enumerate(cuts):
            end = cuts[index + 1].start if index + 1 < len(cuts) else len(self.layout.text)
            self._piece(cut, end, last=index + 1 == len(cuts))
        return ParsedDocument(tuple(self.clauses), tuple(self.headings))

    def _piece(self, cut: Cut, end: int, *, last: bool) -> None:
        if cut.kind == "article":
            if cut.anew and self.units:
                self._leave_document()
            self.units, self.fresh = True, False
            self._article(cut, end)
        elif cut.kind in ("item", "question"):
            if cut.anew and self.units:
                self._leave_document()
            self.units, self.fresh = True, False
            self._leave(LEVELS.index("first"), 0)
            place = self._place()
            self._unit(cut.start, end, place, cut.step or Step("first", ""))
        elif cut.kind == "closing":
            self._emit("closing", cut.start, end, _Place((), ()))
        elif cut.kind == "front":
            self._front(cut.start, end, alone=last)
        else:
            self._opening(cut, end)

    def _opening(self, cut: Cut, end: int) -> None:
        """A heading, an annex or an attached document, with the text before its first unit."""
        if cut.kind == "attached":
            self.stack = [entry for entry in self.stack if self._is_annex(entry)]
            if not self.units:
                self._front(cut.start, end, alone=not self._has_more(end))
                return
        elif cut.kind == "annex":
            self.stack = []
            self.units = True
        else:
            rank = LEVELS.index(cut.step.level) if cut.step else -1
            self._leave(rank, cut.depth)
            self.units = self.units or cut.step is not None
        title = _one_line(self.layout.text[cut.start : cut.body])
        if title:
            self.headings.append(title)
            self.stack.append(_Open(title, cut.step, cut.depth))
            self.fresh = True
        kind = "annex" if any(self._is_annex(entry) for entry in self.stack) else "text"
        self._region(kind, cut.body, end, self._place())

    def _has_more(self, end: int) -> bool:
        return end < len(self.layout.text)

    @staticmethod
    def _is_annex(entry: _Open) -> bool:
        return entry.step is not None and entry.step.level == "annex"

    def _leave_document(self) -> None:
        """A numbering starts again: headings of the document before no longer enclose."""
        self.reached.clear()
        if not self.fresh:
            self.stack = [e for e in self.stack if e.step is None or self._is_annex(e)]

    def _leave(self, rank: int, depth: int) -> None:
        """Close the headings that a heading of this rank and block depth does not stand under."""
        while self.stack:
            top = self.stack[-1]
            inner = LEVELS.index(top.step.level) if top.step else -1
            if rank >= 0 and inner >= 0:
                closes = inner >= rank
            elif depth and top.depth:
                closes = top.depth >= depth
            else:
                closes = rank < 0 and inner > 0
            if not closes:
                return
            self.stack.pop()

    def _place(self) -> _Place:
        path = tuple(entry.step for entry in self.stack if entry.step is not None)
        return _Place(path, tuple(entry.title for entry in self.stack))

    def _article(self, cut: Cut, end: int) -> None:
        place = self._place().below(cut.step or Step("article", ""))
        rows = self._table_start(cut.start, end)
        if rows >= 0 and end - rows > UNIT:
            self._emit("article", cut.start, rows, place)
            self._passages("text", rows, end, place)
        else:
            self._emit("article", cut.start, end, place)

    def _table_start(self, start: int, end: int) -> int:
        for line in self._lines(start, end):
            if self.layout.sources[line].kind == "table" and self.layout.starts[line] > start:
                return self.layout.starts[line]
        return -1

    def _front(self, start: int, end: int, *, alone: bool) -> None:
        """The text before the first unit; in a document without units only its title lines."""
        if not alone and end - start <= _FRONT:
            self._passages("front", start, end, _Place((), ()))
            return
        split = start
        for line in self._lines(start, end)[:8]:
            text = self.layout.line(line).rstrip()
            if len(text) > _TITLE or text[-1:] in "。；":
                break
            split = min(end, self.layout.line_end(line))
        self._emit("front", start, split, _Place((), ()))
        self._region("text", split, end, _Place((), ()))

    def _region(self, kind: str, start: int, end: int, place: _Place) -> None:
        """Text below a heading: its numbered units, or passages where it has none."""
        children = self._children(start, end, _ITEM_LEVELS)
        if not children:
            self._passages(kind, start, end, place)
            return
        self.units = True
        self._passages(kind, start, children[0].start, place)
        self._each(children, end, place)

    def _each(self, children: Sequence[Mark], end: int, place: _Place) -> None:
        """Units one by one; neighbours too short to be quoted alone stay together."""
        bounds = [mark.start for mark in children[1:]] + [end]
        spans = [(m, m.start, b) for m, b in zip(children, bounds, strict=True)]
        while spans:
            count = _short_run(spans)
            if count > 1:
                self._emit(self._loose_kind(place), spans[0][1], spans[count - 1][2], place)
            else:
                mark, begin, bound = spans[0]
                self._unit(begin, bound, place, Step(mark.level, mark.label))
            del spans[: max(count, 1)]

    @staticmethod
    def _loose_kind(place: _Place) -> str:
        levels = {step.level for step in place.path}
        return "item" if levels & {*_ITEM_LEVELS} else "annex" if "annex" in levels else "text"

    def _unit(self, start: int, end: int, place: _Place, step: Step) -> None:
        """One numbered unit: whole while short, else its title, lead-in and sub-units."""
        length = end - start
        below = _ITEM_LEVELS
        if step.level in _ITEM_LEVELS:
            below = tuple(level for level in _ITEM_LEVELS if level != step.level)
        used = {passed.level for passed in place.path}
        below = tuple(level for level in below if level not in used)
        label_end = min(end, start + 1)
        children = self._children(label_end, end, below) if step.level != "question" else []
        title = self._title(start, children[0].start if children else end, divided=bool(children))
        if length <= UNIT or (not children and length <= _PARAGRAPH):
            self._emit("item", start, end, place.below(step))
            return
        if title > start:
            self.headings.append(_one_line(self.layout.text[start:title]))
            inner = place.below(step, self.headings[-1])
        else:
            title, inner = start, place.below(step)
        if not children:
            self._passages("item", title, end, inner)
            return
        self._passages("item", title, children[0].start, inner)
        self._each(children, end, inner)

    def _title(self, start: int, limit: int, *, divided: bool) -> int:
        """Return the end of the unit's title; ``start`` where it begins with a sentence."""
        line = self.layout.line_at(start)
        end = min(limit, self.layout.line_end(line))
        text = self.layout.view[start:end].strip()
        if not divided and end == limit:
            return start
        if len(text) > _TITLE or re.search("[。；：！？]", text[:-1]) or text[-1:] in "：；，":
            return start
        if text.endswith("。") and len(text) > _TITLE // 2:
            return start
        return end

    def _children(self, start: int, end: int, levels: Sequence[str]) -> list[Mark]:
        """Return the outermost numbering inside the span, all its restarts included."""
        best: list[Mark] = []
        marks = between(self.marks, start, end)
        for level in levels:
            runs = self._runs([mark for mark in marks if mark.level == level], level)
            found = [mark for run in runs for mark in run]
            if not found or (level != "first" and _mere_lists(runs, end)):
                continue
            if level == "first":
                best = found
                break
            if not best or found[0].start < best[0].start:
                best = found
        if best:
            self.reached[best[0].level] = best[-1].order
        return best

    def _runs(self, marks: Sequence[Mark], level: str) -> list[list[Mark]]:
        """The sequences of a level; one may go on counting from the unit before, as （五） under
        二、 after （四） under 一、."""
        runs = chain(marks)
        following = self.reached.get(level, 0) + SUB
        if following > SUB and level in ("second", "third"):
            continued = chain(marks, start=following)
            if continued and (not runs or continued[0][0].start < runs[0][0].start):
                return continued
        return runs

    def _lines(self, start: int, end: int) -> range:
        if start >= end:
            return range(0)
        return range(self.layout.line_at(start), self.layout.line_at(end - 1) + 1)

    def _passages(self, kind: str, start: int, end: int, place: _Place) -> None:
        """Divide unnumbered text at paragraphs, table rows kept together, within the size limit."""
        begin, size, table = start, 0, False
        for line in self._lines(start, end):
            left = max(start, self.layout.starts[line])
            right = min(end, self.layout.line_end(line))
            row = self.layout.sources[line].kind == "table"
            if left > begin and (size + right - left > UNIT or row != table):
                self._emit(kind, begin, left, place)
                begin, size = left, 0
            size, table = size + right - left, row
            if right - left > _PARAGRAPH:
                for piece in _sentences(self.layout.text, left, right):
                    self._emit(kind, begin, piece, place)
                    begin = piece
                size = right - begin
        self._emit(kind, begin, end, place)

    def _emit(self, kind: str, start: int, end: int, place: _Place) -> None:
        text = self.layout.text[start:end].strip()
        if text:
            locator = Locator(place.path)
            units = () if kind in ("front", "closing") else responsible_units(text)
            self.clauses.append(ParsedClause(kind, locator, place.headings, text, units))


def _mere_lists(runs: Sequence[Sequence[Mark]], end: int) -> bool:
    """Whether numbers inside running text count lists of it rather than divide it.

    That is so where several lists follow each other, or where much text follows the only list.
    """
    found = [mark for run in runs for mark in run]
    if sum(mark.line for mark in found) * 2 > len(found):
        return False
    starts = [mark.start for mark in found]
    if len(starts) == 1:
        return False
    longest = max(b - a for a, b in pairwise(starts))
    return len(runs) > 1 or end - starts[-1] > max(_PARAGRAPH, 3 * longest)


def _short_run(spans: Sequence[tuple[Mark, int, int]]) -> int:
    """Return how many of the first units are short, as far as they fit one clause."""
    count = 0
    for _, begin, bound in spans:
        if bound - begin >= _SMALL or bound - spans[0][1] > UNIT:
            break
        count += 1
    return count


def _sentences(text: str, start: int, end: int) -> Iterator[int]:
    """Yield offsets that cut the span into pieces of about UNIT characters, not its own end.

    Cuts fall behind sentences, so that a list stays with the words that introduce it; behind its
    entries only where one sentence is too long, anywhere only where there are none.
    """
    begin = start
    for match in _SENTENCE.finditer(text, start, end):
        if match.end() - begin > UNIT and match.start() > begin:
            yield match.start()
            begin = match.start()
        if match.end() - begin <= _PARAGRAPH:
            continue
        for part in _PART.finditer(text, begin, match.end()):
            if part.end() - begin > UNIT and part.start() > begin:
                yield part.start()
                begin = part.start()
            while part.end() - begin > _PARAGRAPH:
                begin += _PARAGRAPH
                yield begin


def _one_line(text: str) -> str:
    return " ".join(text.split("\n")).strip()


def subdivide(text: str) -> list[tuple[str, str]]:
    """Divide a clause's own text for precise citing: ``[(label, text)]``, verbatim and in order.

    In an article every unnumbered paragraph is a 款, （一） a 项 and 1. a 目 (Legislation Law,
    article 65): ``第二款第（一）项``. The 款 is not named where there is only one. Elsewhere the
    label is the number as printed (``（二）``, ``1.``, ``一是``), ``第二段`` for the second of
    several unnumbered paragraphs. The label is empty for text that needs none.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return []
    layout = lay_out([Block(line) for line in lines])
    legal = _ARTICLE.match(layout.view) is not None
    starts = _points(layout) if legal else {**_inner_points(layout), **_points(layout)}
    own = {0} if not legal and 0 in starts else set()
    pieces = _slices(layout, {k: v for k, v in starts.items() if k not in own})
    return _labelled(pieces, legal=legal)


def _points(layout: Layout) -> dict[int, tuple[str, str]]:
    marks = scan(layout)
    found: dict[int, tuple[str, str]] = {}
    for level in _ITEM_LEVELS:
        for run in chain([mark for mark in marks if mark.level == level]):
            if len(run) > 1:
                found |= {mark.start: (level, mark.label) for mark in run}
    return found


def _inner_points(layout: Layout) -> dict[int, tuple[str, str]]:
    found = list(_POINT.finditer(layout.view))
    counted = [match for n, match in enumerate(found, 1) if match[1] == chinese(n)]
    if len(counted) < 2:
        return {}
    return {match.start(1): ("point", match[1] + match[2]) for match in counted}


def _slices(layout: Layout, starts: dict[int, tuple[str, str]]) -> list[tuple[str, str, str]]:
    bounds = sorted({0, *starts, *layout.starts})
    pieces: list[tuple[str, str, str]] = []
    for start, end in zip(bounds, [*bounds[1:], len(layout.text)], strict=True):
        level, label = starts.get(start, ("", ""))
        pieces.append((level, label, layout.text[start:end].strip()))
    return [piece for piece in pieces if piece[2]]


def _labelled(pieces: Sequence[tuple[str, str, str]], *, legal: bool) -> list[tuple[str, str]]:
    plain = sum(1 for piece in pieces if not piece[0])
    count, item, found = 0, "", list[tuple[str, str]]()
    for level, label, text in pieces:
        if not level:
            count, item = count + 1, ""
            name = f"第{chinese(count)}{'款' if legal else '段'}" if plain > 1 else ""
            found.append((name, text))
            continue
        if not legal:
            found.append((label + {"first": "、", "third": "."}.get(level, ""), text))
            continue
        if level == "second" or not item:
            item = f"第{label}项"
            name = item
        else:
            name = f"{item}第{label}目"
        prefix = f"第{chinese(count)}款" if plain > 1 and count else ""
        found.append((prefix + name, text))
    return found
