"""The skeleton of a document: where its headings, articles, first-level items, annexes and
signatures begin.

Hides how laws, circulars, interpretations in question-and-answer form and notices with attached
documents are told apart, with or without line breaks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kb.locator import LEVELS, Step
from kb.marks import Layout, Mark, between, chain, scan
from kb.numerals import CHINESE

_HEADING_LIMIT = 60
_INLINE_HEADING_LIMIT = 45
_STRUCTURE = ("part", "subpart", "chapter", "section")
_SENTENCE_END = "。；：，;:,"

_ANNEX = re.compile(
    rf"附 ?(?:件|录|表|图)? ?(?P<n>[{CHINESE}]{{1,3}}|\d{{1,2}}(?: ?[-—－] ?\d{{1,2}})?)?"
    r"(?: ?[：.]| |(?=\n)|$|(?=[^一-龥]))"
)
_ANNEX_LIST = re.compile(r"附 ?件 ?(?:：|\d|[一二三四五六七八九十]|$)")
_PAGE = re.compile(r"(?:[.…·]{2}|  |- ?) ?\d{1,3} ?-?$")
_ANNEX_ITEM = re.compile(r"附 ?件 ?： ?1 ?[.、]")
_DATE = re.compile(
    r"(?:(?:19|20)\d\d ?年 ?\d{1,2} ?月 ?\d{1,2} ?日"
    r"|[一二][〇○零O0一二三四五六七八九]{3}年[一二三四五六七八九十]{1,3}月[一二三四五六七八九十]{1,3}日)"
)
_DATE_GOES_ON = re.compile(
    r" ?[，。、；前后起以止至到的在—\-－~～）》”经由第]| ?(?:印发|发布|公布|通过|之|开始|实施|施行)"
)
_SIGNATORY = re.compile(
    r"(?:政府|办公厅|办公室|委员会|委|厅|局|部|院|署|会|处|中心|总队|支队|公司|银行|分行|集团|协会|"
    r"学会|联合会|总工会|法院|检察院|团|社|组|台|省委|市委|县委|区委|站|所) ?$"
)
_AFTER_SIGNATURE = re.compile(
    r" ?(?:（[^（）\n]{0,40}(?:公开|此件|联系)[^（）\n]{0,60}）|抄 ?[送报]|主动公开|依申请公开|"
    r"不予公开|公开方式|[^\n。]{0,60}印发 ?$|联系人|联系电话|"
    r"更多信息请关注[^。\n]{0,30})"
)
TITLE_END = re.compile(
    r"(?:办法|细则|规定|条例|方案|规则|制度|意见|通知|指南|目录|标准|章程|要点|规划|计划|措施|规程|"
    r"规范|清单|决定|公告|通告|说明|预案|纲要|指引|程序|准则|守则|要求|名单|总结|"
    r"报告|须知|一览表|解读|问答|答记者问|批复|的函|公示|手册)(?: ?（[^（）]{1,20}）)? ?$"
)


@dataclass(frozen=True)
class Cut:
    """Where a piece of the document begins.

    ``kind`` is ``front``, ``heading``, ``article``, ``item``, ``question``, ``annex``,
    ``closing`` or ``attached`` (a document that the one before it issues). ``body`` is the offset
    behind the heading text, equal to ``start`` where the piece has none. ``depth`` is the level of
    the heading block, 0 elsewhere. ``anew`` marks the first unit of a numbering that starts again.
    """

    start: int
    body: int
    kind: str
    step: Step | None = None
    depth: int = 0
    anew: bool = False


def outline(layout: Layout) -> tuple[list[Cut], list[Mark]]:
    """Return the cuts in order, the first at offset 0, and all labels of the text."""
    return _Outline(layout).cuts()


class _Outline:
    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.view = layout.view
        contents = self._contents()
        self.marks = [mark for mark in scan(layout) if not contents[0] <= mark.start < contents[1]]
        self.contents = contents
        self.by_level: dict[str, list[Mark]] = {level: [] for level in LEVELS}
        for mark in self.marks:
            self.by_level[mark.level].append(mark)

    def cuts(self) -> tuple[list[Cut], list[Mark]]:
        articles = chain(self.by_level["article"], any_start=True)
        questions = self._questions(articles)
        items = self._first_level(articles, questions)
        headings = self._headings(articles, items)
        taken = {cut.start for cut in headings}
        runs = [*articles, *items, *([questions] if questions else [])]
        cuts = [*headings]
        for kind, group in (("article", articles), ("item", items)):
            for run in group:
                cuts += [
                    Cut(m.start, m.start, kind, Step(m.level, m.label), anew=m is run[0])
                    for m in run
                    if m.start not in taken
                ]
        cuts += [
            Cut(m.start, m.start, "question", Step("question", f"第{n}问"))
            for n, m in enumerate(questions, 1)
        ]
        inside = _Spans([(run[0].start, run[-1].start) for run in runs])
        closings = self._closings(inside)
        cuts += closings
        cuts += self._annexes(inside, _Spans([(c.start, c.body) for c in closings]))
        cuts = self._attached(_unique(cuts))
        if not cuts or cuts[0].start > 0:
            cuts.insert(0, Cut(0, 0, "front"))
        return cuts, self.marks

    def _contents(self) -> tuple[int, int]:
        """Return the span of a table of contents, which repeats the headings to come."""
        layout = self.layout
        match = re.search(r"(?:^|\n)(目 ?[录次])(?=\n)", self.view[:20000])
        if match is None:
            return self._paged()
        first = layout.line_at(match.end()) + 1
        opening = _bare(layout.line(first)) if first < len(layout.starts) else ""
        for index in range(first + 1, min(len(layout.starts), first + 400)):
            line = layout.line(index)
            if len(line) > 80 or (opening and _bare(line) == opening):
                return match.start(1), layout.starts[index]
        return 0, 0

    def _paged(self) -> tuple[int, int]:
        """Return the span of at least five lines in a row that end in a page number."""
        first = 0
        for index in range(min(len(self.layout.starts), 600)):
            if _PAGE.search(self.layout.line(index)):
                continue
            if index - first >= 5:
                return self.layout.starts[first], self.layout.starts[index]
            first = index + 1
        return 0, 0

    def _questions(self, articles: list[list[Mark]]) -> list[Mark]:
        marks = self.by_level["question"]
        if len(marks) < 2 or sum(map(len, articles)) > 2:
            return []
        labels = {mark.end for mark in self.by_level["first"]}
        return [] if any(m.start in labels or m.start - 1 in labels for m in marks) else marks

    def _first_level(
        self, articles: list[list[Mark]], questions: Sequence[Mark]
    ) -> list[list[Mark]]:
        spans = [(run[0].start, run[-1].start) for run in articles if len(run) > 1]
        if questions:
            spans.append((questions[0].start, len(self.view)))
        inside = _Spans(spans)
        starts = {mark.start for run in articles for mark in run}
        free = [
            mark
            for mark in self.by_level["first"]
            if not inside.holds(mark.start) or self._heads(mark, starts)
        ]
        return chain(free)

    def _heads(self, mark: Mark, starts: Iterable[int]) -> bool:
        """Whether the label opens a short heading with a unit right behind it."""
        if mark.line:
            end = self.layout.line_end(self.layout.line_at(mark.start))
            if end - mark.start <= _HEADING_LIMIT and end + 1 in starts:
                return True
        reach = range(mark.end + 1, mark.end + _INLINE_HEADING_LIMIT)
        end = next((offset for offset in reach if offset in starts), -1)
        return end >= 0 and not re.search("[。；：，]", self.view[mark.end : end])

    def _headings(self, articles: list[list[Mark]], items: list[list[Mark]]) -> list[Cut]:
        starts = {mark.start for run in articles for mark in run}
        first = {mark.start for run in items for mark in run}
        units = starts or set(first)
        found: list[Cut] = []
        for mark in reversed(self.marks):
            opens = mark.start in first and self._heads(mark, starts)
            end = self._heading_end(mark, units) if mark.level in _STRUCTURE or opens else -1
            if end < 0:
                continue
            units.add(mark.start)
            depth = self.layout.sources[self.layout.line_at(mark.start)].level
            found.append(Cut(mark.start, end, "heading", Step(mark.level, mark.label), depth))
        found.reverse()
        return sorted([*found, *self._styled(units)], key=lambda cut: cut.start)

    def _heading_end(self, mark: Mark, starts: Iterable[int]) -> int:
        if mark.line:
            line = self.layout.line_at(mark.start)
            text = self.layout.line(line)
            styled = self.layout.sources[line].kind == "heading"
            short = len(text) <= _HEADING_LIMIT and "。" not in text
            if styled or (short and text.rstrip()[-1:] not in _SENTENCE_END):
                return self.layout.line_end(line)
        reach = range(mark.end, mark.end + _INLINE_HEADING_LIMIT)
        end = next((offset for offset in reach if offset in starts), -1)
        return end if end > 0 and not re.search("[。；：，]", self.view[mark.end : end]) else -1

    def _styled(self, taken: Iterable[int]) -> list[Cut]:
        """Headings that the file marks as such and that are not 编章节."""
        found: list[Cut] = []
        plain = False
        for index, source in enumerate(self.layout.sources):
            start = self.layout.starts[index]
            if source.kind != "heading":
                plain = True
                continue
            text = self.layout.line(index)
            title = not plain and (source.level == 1 or index == 0)
            if start in taken or title or len(text) > 80 or "。" in text or self._listed(start):
                continue
            annex = _ANNEX.match(text)
            label = next(iter(between(self.marks, start, start + 1)), None)
            kind, step = "heading", Step(label.level, label.label) if label else None
            if annex:
                kind, step = "annex", _annex_step(annex)
            found.append(Cut(start, self.layout.line_end(index), kind, step, source.level))
        return found

    def _listed(self, offset: int) -> bool:
        return self.contents[0] <= offset < self.contents[1]

    def _closings(self, inside: _Spans) -> list[Cut]:
        """Signatures with a date: Cut.body is the end of the date and of the notes behind it."""
        found: list[Cut] = []
        for match in _DATE.finditer(self.view):
            if inside.holds(match.start()) or self._listed(match.start()):
                continue
            start = self._signature_start(match.start(), match.end())
            if start > 0 and (not found or start >= found[-1].body):
                found.append(Cut(start, self._signature_end(match.end()), "closing"))
        return found

    def _signature_start(self, date: int, end: int) -> int:
        view = self.view
        if _DATE_GOES_ON.match(view, end):
            return -1
        line = self.layout.line_at(date)
        line_start = self.layout.starts[line]
        ahead = view[max(line_start, date - 120) : date]
        sentence = max(ahead.rfind(char) for char in "。；！：”）")
        if sentence >= 0:
            signed = ahead[sentence + 1 :]
            return date - len(signed) if _SIGNATORY.search(signed) else -1
        if ahead.strip():
            signed_here = _SIGNATORY.search(ahead) and len(ahead) < 120
            return self._signatories_above(line) if signed_here else -1
        above = self._signatories_above(line)
        alone = end == self.layout.line_end(line)
        return above if above < line_start or (alone and line > 2) else -1

    def _signatories_above(self, line: int) -> int:
        first = line
        while first > 1 and line - first < 20:
            text = self.layout.line(first - 1)
            if len(text) > 40 or text.rstrip()[-1:] in _SENTENCE_END or not _SIGNATORY.search(text):
                break
            first -= 1
        for index in range(first - 1, max(0, first - 12), -1):
            text = self.layout.line(index)
            if len(text) > 80 or text.endswith("。"):
                break
            if _ANNEX_LIST.match(text):
                return self.layout.starts[index]
        return self.layout.starts[first]

    def _signature_end(self, end: int) -> int:
        while end < len(self.view):
            behind = end + 1 if self.view[end] == "\n" else end
            match = _AFTER_SIGNATURE.match(self.view, behind)
            if match is None:
                break
            line_end = self.layout.line_end(self.layout.line_at(behind))
            end = line_end if self.view[end] == "\n" else max(match.end(), end + 1)
        return end

    def _annexes(self, inside: _Spans, closings: _Spans) -> list[Cut]:
        found: list[Cut] = []
        for index, start in enumerate(self.layout.starts):
            text = self.layout.line(index)
            match = _ANNEX.match(text) if text.startswith("附") else None
            if match is None or len(text) > _HEADING_LIMIT or text.endswith("。"):
                continue
            if inside.holds(start) or closings.holds(start) or self._listed(start):
                continue
            if self.layout.sources[index].kind == "paragraph" and index > 0:
                end = self.layout.line_end(index)
                listed = _ANNEX_ITEM.match(text)
                step = _annex_step(match)
                found.append(
                    Cut(start, start, "closing") if listed else Cut(start, end, "annex", step)
                )
        return found

    def _attached(self, cuts: list[Cut]) -> list[Cut]:
        """Add the starts of attached documents: behind a signature, and before a numbering that
        starts again where a title precedes it."""
        added: list[Cut] = []
        seen = False
        for index, cut in enumerate(cuts):
            following = cuts[index + 1].start if index + 1 < len(cuts) else len(self.view)
            if cut.kind == "closing" and self.view[cut.body : following].strip():
                title = self._title_end(cut.body, following)
                added.append(Cut(cut.body, title, "attached"))
            if cut.anew and seen:
                first = index
                while first and cuts[first - 1].kind == "heading":
                    first -= 1
                floor = cuts[first - 1] if first else cut
                start = self._title_before(cuts[first].start, floor.body)
                if start >= 0 and floor.kind not in ("closing", "annex"):
                    added.append(Cut(start, self._title_end(start, cuts[first].start), "attached"))
            seen = seen or cut.kind in ("article", "item", "question")
        return _unique([*cuts, *added])

    def _title_end(self, start: int, limit: int) -> int:
        """Return the end of the title lines at ``start``; ``start`` where there are none."""
        index = self.layout.line_at(start + 1 if self.view[start : start + 1] == "\n" else start)
        for line in range(index, min(index + 4, len(self.layout.starts))):
            text = self.view[max(start, self.layout.starts[line]) : self.layout.line_end(line)]
            if self.layout.line_end(line) > limit or len(text) > _HEADING_LIMIT:
                break
            if text.rstrip()[-1:] in _SENTENCE_END:
                break
            if TITLE_END.search(text):
                return self.layout.line_end(line)
        return start

    def _title_before(self, offset: int, floor: int) -> int:
        line = self.layout.line_at(offset)
        for index in range(line - 1, max(0, line - 12), -1):
            start = self.layout.starts[index]
            if start < floor:
                break
            text = self.layout.line(index)
            if len(text) <= _HEADING_LIMIT and TITLE_END.search(text) and not text[:1].isdigit():
                return start
        return -1


class _Spans:
    """Closed intervals in order, for membership tests."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._spans = sorted(spans)
        self._reach: list[int] = []
        for _, end in self._spans:
            self._reach.append(max(end, self._reach[-1] if self._reach else end))

    def holds(self, offset: int) -> bool:
        """Whether the offset lies behind the start of some span and not behind its end."""
        low, high = 0, len(self._spans)
        while low < high:
            middle = (low + high) // 2
            if self._spans[middle][0] <= offset:
                low = middle + 1
            else:
                high = middle
        return low > 0 and self._reach[low - 1] >= offset


def _unique(cuts: Iterable[Cut]) -> list[Cut]:
    """Return the cuts in order, one for each offset and none inside the heading of another."""
    kept: list[Cut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.start, -cut.body)):
        if kept and (cut.start < kept[-1].body or cut.start == kept[-1].start):
            continue
        kept.append(cut)
    return kept


def _annex_step(match: re.Match[str]) -> Step:
    return Step("annex", re.sub(r"[\s：.]", "", match[0]) or "附件")


def _bare(line: str) -> str:
    return re.sub(r"[\s.…·\-—\d]", "", line)
