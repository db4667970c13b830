"""Number labels in official text and the sequences that they form.

Hides the spelling variants of labels, which occurrences are mere references or quotations, and how
a run 1, 2, 3 … is told from numbers that happen to stand in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from kb.blocks import Block
from kb.numerals import CHINESE, number

_SPREAD = 120  # a block longer than this with runs of wide spaces has lost its line breaks
_QUOTE_LIMIT = 200  # an opening quotation mark that is not closed by then was a slip of the pen
_AMENDED_LIMIT = 5000  # the same for new wording that an amendment quotes
_INDENT = 20
_GAP = 3  # a sequence may skip this many numbers, as in texts that lost a heading
SUB = 100  # an inserted 第十二条之一 sorts as 12 * 100 + 1

_VIEW = {
    **{ord("０") + i: str(i) for i in range(10)},
    **{ord(a): b for a, b in zip("().:,;．﹒", "（）.：，；..", strict=True)},
    **dict.fromkeys([0, *range(1, 10), 11, 12, *range(14, 32), 0xA0, 0x3000, 0x2002, 0x2003], " "),
    **dict.fromkeys([0xFEFF, *range(0x200B, 0x2010)], " "),
}
_WIDE = re.compile(r"[\u3000\u2003]{2,}")
_LABEL_ONLY = re.compile(
    rf"\s*(?:第[{CHINESE}\d]+[章节条编]|[（(][{CHINESE}\d]+[)）]|[{CHINESE}]+、|\d+[.、．])?\s*.?\s*"
)
_CN = "一二三四五六七八九十百"
_MARK = re.compile(
    rf"第 ?(?P<hn>[{CHINESE}]{{1,9}}|\d{{1,4}}) ?(?P<hu>分编|编|章|节|部分|条)"
    rf"(?: ?之(?P<hs>[{_CN}]{{1,3}})(?![{_CN}款项]))?"
    rf"|（ ?(?P<bn>[{_CN}]{{1,5}}) ?）|(?P<bc>[㈠-㈩])"
    r"|（ ?(?P<dn>\d{1,2}) ?）|(?P<dc>[⑴-⒇])"
    rf"|(?P<an>[{_CN}]{{1,5}})、"
    r"|(?<![\d.A-Za-z/—－-])(?:(?P<mn>\d{1,2}(?:\.\d{1,2}){1,3})(?![\d.%％])"
    r"|(?P<cn>\d{1,2})(?:\.(?!\d)|、(?!\d))|(?P<dh>\d{1,2})）)"
    r"|(?P<cc>[⒈-⒛])|(?P<ec>[①-⑳])"
    r"|(?P<q>问) ?\d{0,3} ?："
)
_UNIT_LEVEL = {
    "编": "part", "部分": "part", "分编": "subpart", "章": "chapter", "节": "section",
    "条": "article",
}  # fmt: skip
_FIRST_CHAR = {"bc": ("second", "㈠"), "dc": ("fourth", "⑴"), "cc": ("third", "⒈"),
               "ec": ("fifth", "①")}  # fmt: skip

_PLACE_AFTER = rf" ?第 ?[{CHINESE}\d]+ ?(?:、[{CHINESE}\d]+|和第[{CHINESE}]+)?[款项目条编章节]"
_REFERENCE_AFTER = re.compile(
    rf"{_PLACE_AFTER}| ?(?:的|规定|所列|所称|所规定|、|和|至|到|或|及|以及|与|中|以外|"
    r"）|》|，|。|；|之|修改|改为|增加|后|前|将|[一二三四五六七八九]款|[一二三四]项|“)"
)
_SPACED_REFERENCE_AFTER = re.compile(_PLACE_AFTER)
_ITEM_REFERENCE_AFTER = re.compile(
    r" ?(?:项|目|款|至|、（|、|和（|或者?（|及（|》|”》|中的|的规定|所列|规定的)"
)
_ITEM_REFERENCE_BEFORE = re.compile(
    rf"(?:第|第[{CHINESE}\d]+[条款项]|本[条款项]|本办法|按照?|[依参]照|符合|属于|附表|附图|"
    r"(?<!意)见|(?<!参)与|及|和|或者?|至|、) ?$"
)
_AMENDS = re.compile(rf"(?<=[。”\n])[{_CN}]{{1,5}}、(?:将|在|删|增加|第|对|把|修改)")
_NOT_FIRST_LEVEL = re.compile(
    r"(?:[统专唯之第周初其归如每某万逐另十百千零〇分]|星期|(?<!合)同|合二为)$"
)
_HEADING_BEFORE = re.compile(rf"第[{CHINESE}]{{1,5}}[章节][^。；，：第]{{1,25}}$")
_BOUNDARY = "。；：！？”）】》;!?\n"
_ENUMERATION = re.compile(rf"[{_CN}]{{1,3}}、")
_RANK_LIST = re.compile(rf"[{_CN}]{{1,3}}、|[{_CN}]{{1,3}}(?:等|类|级|是|线|期|审|档|款|项)")


@dataclass(frozen=True)
class Mark:
    """A number label at ``start``..``end`` of the text.

    ``order`` is the number times 100 plus that of 之一; ``line`` is true at the start of a line,
    ``strong`` also after the end of a sentence.
    """

    start: int
    end: int
    level: str
    order: int
    label: str
    line: bool
    strong: bool


@dataclass(frozen=True)
class Layout:
    """The blocks as one text, one line a paragraph, with the same text folded for matching.

    ``starts`` holds the offset of each line, ``sources`` the block that it came from. ``view`` has
    the length of ``text``: full-width digits, brackets and spaces are folded in it.
    """

    text: str
    view: str
    starts: tuple[int, ...]
    sources: tuple[Block, ...]

    def line_at(self, offset: int) -> int:
        """Return the index of the line that holds ``offset``."""
        return bisect_right(self.starts, offset) - 1

    def line_end(self, line: int) -> int:
        """Return the offset just behind the last character of the line."""
        return self.starts[line + 1] - 1 if line + 1 < len(self.starts) else len(self.text)

    def line(self, index: int) -> str:
        """Return the folded text of the line."""
        return self.view[self.starts[index] : self.line_end(index)]


def lay_out(blocks: Sequence[Block]) -> Layout:
    """Join the blocks, leaving out empty ones; wide gaps inside a long block become line breaks."""
    lines: list[str] = []
    sources: list[Block] = []
    for block in blocks:
        text = " ".join(block.text.splitlines()).strip()
        pieces = [text] if block.kind != "paragraph" or len(text) < _SPREAD else _unspread(text)
        pieces = [piece for piece in pieces if piece.translate(_VIEW).strip()]
        lines += pieces
        sources += [block for _ in pieces]
    starts, offset = [], 0
    for line in lines:
        starts.append(offset)
        offset += len(line) + 1
    text = "\n".join(lines)
    return Layout(text, text.translate(_VIEW), tuple(starts), tuple(sources))


def _unspread(text: str) -> list[str]:
    pieces: list[str] = []
    begin = 0
    for gap in _WIDE.finditer(text):
        if gap.end() == len(text) or _LABEL_ONLY.fullmatch(text, begin, gap.start()):
            continue
        pieces.append(text[begin : gap.start()].strip())
        begin = gap.end()
    return [*pieces, text[begin:].strip()]


def quoted(view: str) -> list[tuple[int, int]]:
    """Return the spans inside “…”.

    New wording quoted by an amendment (“ behind ： or at the start of a line) may run over several
    paragraphs, each opening anew; any other quotation is short, or was never closed.
    """
    spans: list[tuple[int, int]] = []
    opened, limit = -1, 0
    for match in re.finditer("[“”]", view):
        at = match.start()
        if match[0] == "”":
            if opened >= 0 and at - opened <= limit:
                spans.append((opened, at))
            opened = -1
        elif opened < 0 or at - opened > limit:
            opened = at
            limit = _AMENDED_LIMIT if at == 0 or view[at - 1] in "：\n" else _QUOTE_LIMIT
    return spans


def scan(layout: Layout) -> list[Mark]:
    """Return every label that may open a unit, in order: no references, quotations, table rows."""
    view = layout.view
    quotes = quoted(view)
    opens = [span[0] for span in quotes]
    marks: list[Mark] = []
    for match in _MARK.finditer(view):
        at = bisect_right(opens, match.start()) - 1
        if at >= 0 and match.start() < quotes[at][1] and not _AMENDS.match(view, match.start()):
            continue
        index = layout.line_at(match.start())
        if layout.sources[index].kind == "table":
            continue
        mark = _mark(match, view, layout.starts[index])
        if mark is not None:
            marks.append(mark)
    return marks


def _mark(match: re.Match[str], view: str, line_start: int) -> Mark | None:
    start, end = match.span()
    line = start - line_start < _INDENT and not view[line_start:start].strip()
    before = view[start - 1] if start else "\n"
    strong = line or before in _BOUNDARY or before == " "
    level, order, label = _reading(match)
    if order <= 0:
        return None
    if level in _UNIT_LEVEL.values():
        if match["hs"] is not None:
            order += number(match["hs"]) or 0
        spaced = line and view[end : end + 1] == " "
        reference = _SPACED_REFERENCE_AFTER if spaced else _REFERENCE_AFTER
        refers = reference.match(view, end) is not None
        strong = strong or _HEADING_BEFORE.search(view, max(0, start - 30), start) is not None
        accepted = strong and not refers
        if level in ("part", "subpart", "chapter", "section"):
            accepted = not refers
    else:
        accepted = _opens_item(match, view, line=line, strong=strong, level=level)
    return Mark(start, end, level, order, label, line, strong) if accepted else None


def _reading(match: re.Match[str]) -> tuple[str, int, str]:
    """Return level, order and printed label of a match."""
    group = match.lastgroup or ""
    text = match[0]
    if match["hn"] is not None:
        return _UNIT_LEVEL[match["hu"]], (number(match["hn"]) or 0) * SUB, text.replace(" ", "")
    if group in _FIRST_CHAR:
        level, first = _FIRST_CHAR[group]
        return level, (ord(text) - ord(first) + 1) * SUB, text
    if group == "mn":
        level = "decimal" if text.count(".") == 1 else "subdecimal"
        return level, int(text.rsplit(".", 1)[1]) * SUB, text
    if group == "q":
        return "question", SUB, "问"
    level, label = {
        "bn": ("second", text.replace(" ", "")),
        "dn": ("fourth", text.replace(" ", "")),
        "dh": ("fourth", text),
        "an": ("first", match["an"] or ""),
        "cn": ("third", match["cn"] or ""),
    }[group]
    return level, (number(match[group]) or 0) * SUB, label


def _opens_item(match: re.Match[str], view: str, *, line: bool, strong: bool, level: str) -> bool:
    start, end = match.span()
    tail = view[end : end + 6]
    before = view[max(0, start - 8) : start]
    if level == "first":
        if line:
            return _ENUMERATION.match(tail) is None
        if _RANK_LIST.match(tail) or _NOT_FIRST_LEVEL.search(before):
            return False
        return not (not strong and before[-1:].isdigit())
    if level == "question":
        return strong
    if level in ("decimal", "subdecimal"):
        return line
    if line:
        return not re.match(r" ?(?:项|目|款|至（|》|、（)", tail)
    if _ITEM_REFERENCE_AFTER.match(tail) and level != "third":
        return False
    if tail[:1] in ("", "\n") or (level in ("third", "fourth") and before.endswith("件")):
        return False
    return not _ITEM_REFERENCE_BEFORE.search(before)


def chain(marks: Sequence[Mark], *, any_start: bool = False, start: int = SUB) -> list[list[Mark]]:
    """Pick from labels of one level the sequences that number units; one list for each restart.

    A sequence starts at the order ``start`` (with ``any_start`` anywhere) and goes up by one;
    第十二条之一 follows 第十二条. A label that does not continue its sequence is left out. Linear
    but for look-ups.
    """
    return _Chain(marks, any_start=any_start, start=start).runs()


class _Chain:
    def __init__(self, marks: Sequence[Mark], *, any_start: bool, start: int) -> None:
        self.marks = marks
        self.start = start
        self.any_start = any_start
        self.places: dict[int, list[int]] = defaultdict(list)
        self.strong: dict[int, list[int]] = defaultdict(list)
        for index, mark in enumerate(marks):
            self.places[mark.order].append(index)
            if mark.strong:
                self.strong[mark.order].append(index)
        self.opening, self.run_of = self._plain_runs()

    def _plain_runs(self) -> tuple[list[int], list[int]]:
        """Label each mark with the start of the unbroken run 1, 2, 3 … that it continues."""
        run_of = [-1] * len(self.marks)
        opening: list[int] = []
        start, order = -1, 0
        for index, mark in enumerate(self.marks):
            if mark.order == SUB and (mark.strong or start < 0):
                start, order = index, SUB
                run_of[index] = index
            elif start >= 0 and mark.order // SUB == order // SUB + 1 and mark.order % SUB == 0:
                if order == SUB:
                    opening.append(start)
                order = mark.order
                run_of[index] = start
        return opening, run_of

    def runs(self) -> list[list[Mark]]:
        found: list[list[Mark]] = []
        index = self._first()
        while index >= 0:
            run = [index]
            while (following := self._successor(run[-1])) >= 0:
                run.append(following)
            if len(run) > 1 or self.marks[index].order in (SUB, self.start):
                found.append([self.marks[i] for i in run])
            index = self._opening_after(run[-1])
        single = len(found) == 1 and len(found[0]) == 1
        if single and not self.any_start and self.start == SUB:
            return []
        return found

    def _first(self) -> int:
        opening = self.opening[0] if self.opening else -1
        if self.start != SUB:
            return self._preferred(self.start, -1)
        if not self.any_start:
            return opening if opening >= 0 else self._late_start()
        for index, mark in enumerate(self.marks):
            if index == opening or (mark.line and self._successor(index) >= 0):
                return index
        return (
            opening if opening >= 0 else next((i for i, m in enumerate(self.marks) if m.line), -1)
        )

    def _late_start(self) -> int:
        """The first number may be lost, e.g. one made by the word processor."""
        for index in self.strong.get(2 * SUB, [])[:1]:
            if self._next(3 * SUB, index) >= 0:
                return index
        return -1

    def _opening_after(self, index: int) -> int:
        at = bisect_right(self.opening, index)
        return self.opening[at] if at < len(self.opening) else -1

    def _next(self, order: int, after: int, *, strong: bool = False) -> int:
        places = (self.strong if strong else self.places).get(order, [])
        at = bisect_right(places, after)
        return places[at] if at < len(places) else -1

    def _successor(self, index: int) -> int:
        order = self.marks[index].order
        whole = (order // SUB + 1) * SUB
        inserted = self._next(order + 1, index)
        following = self._preferred(whole, index)
        if inserted >= 0 and (following < 0 or inserted < following):
            return inserted
        if following < 0:
            following = self._past_gap(whole, index)
        restart = self._opening_after(index)
        if following >= 0 and 0 <= restart < following and self.run_of[following] >= restart:
            return -1
        return following

    def _preferred(self, order: int, after: int) -> int:
        weak = self._next(order, after)
        strong = self._next(order, after, strong=True)
        if weak < 0 or weak == strong or strong < 0:
            return weak
        limit = self._next(order + SUB, weak)
        return strong if limit < 0 or strong < limit else weak

    def _past_gap(self, order: int, after: int) -> int:
        restart = self._opening_after(after)
        for skipped in range(1, 40 if self.any_start else _GAP):
            index = self._next(order + skipped * SUB, after, strong=True)
            if index >= 0 and (restart < 0 or index < restart):
                return index
        return -1


def between(marks: Sequence[Mark], start: int, end: int) -> Sequence[Mark]:
    """Return the marks that begin in ``start <= offset < end``; ``marks`` is in order."""
    lower = bisect_left(marks, start, key=lambda mark: mark.start)
    return marks[lower : bisect_left(marks, end, lo=lower, key=lambda mark: mark.start)]
