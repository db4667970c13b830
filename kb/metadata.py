"""Facts about a document that stand in its own text: title, number, issuer, dates, secrecy mark.

Hides the many places and spellings in which laws, red-header circulars and web copies print them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePath

from kb.blocks import Block
from kb.dates import DATE, PERIOD, after, parse_date
from kb.marks import lay_out
from kb.numerals import CHINESE, number
from kb.outline import TITLE_END, outline

__all__ = ["Metadata", "extract", "normalise_document_number", "parse_date"]

_HEAD_LINES = 30
_TITLE_LINE = 60
_LEFT, _RIGHT = r"[〔\[（【﹝［]", r"[〕\]）】﹞］]"
_NUMBER = re.compile(
    rf"([一-龥]{{1,16}}) {{0,2}}{_LEFT} ?((?:19|20)\d\d) ?年?{_RIGHT} ?第? ?(\d{{1,5}}) {{0,2}}号"
)
_ORDER = re.compile(rf"([一-龥、]{{1,40}}?)令 ?(?:第|№)? ?(\d{{1,5}}|[{CHINESE}]{{1,7}}) ?号")
_NOTICE = re.compile(r"([一-龥]{0,20}公告) {0,2}((?:19|20)\d\d) ?年 ?第? ?(\d{1,5}) ?号")
_BEFORE_NUMBER = re.compile(
    r".*(?:通知|意见|办法|关于|根据|按照|依据|文件|以及|印发|转发|现将|字号|文号|编号|规定|方案|"
    r"的|和|年|月|日|发布|公布)(?=.)"
)
_BEFORE_ORDER = re.compile(r".*(?:[年月日]|经|以|根据|的|由)(?=.)")
_STATE = "中华人民共和国"

_RED_HEADER = re.compile(r"([一-龥]{4,40}?) ?(?:文 ?件|公 ?报)(?: ?（.{1,12}）)?")
_NOT_TITLE = re.compile(
    r"(?:密级|签发|发电|等级|紧急|特急|加急|平急|索 ?引 ?号|主题|分类|发布|发文|成文|公开|文号|抄|"
    rf"文件下载|[{CHINESE}]+、|第[{CHINESE}\d]+[章条编]|（[{CHINESE}]+）|附件|"
    r"标题|名称|有效性|\[pic\]|第.{1,6}号$|_{3,}|\||[\d\s]+$|目 ?录)"
)
_SENTENCE_END = "。；：，;:,"
_AUTHORITY = re.compile(
    r"(国务院、(?:中华人民共和国)?中央军事委员会|国务院(?!办公厅)|最高人民法院、最高人民检察院"
    r"|最高人民法院|最高人民检察院|[一-龥]{2,4}[省市州](?=第|人民代表大会)人民代表大会常务委员会)"
)
_CONGRESS = re.compile(
    r"((?:[一-龥]{2,8}?[省市州盟县])?)第[一二三四五六七八九十]{1,3}届((?:全国)?人民代表大会(?:常务委员会)?)"
)
_ORDERING = re.compile(
    r"日 ?([一-龥、]{2,30}?)(?:令第?|公告|发布|公布|"
    r"(?:(?:19|20)\d\d年)?第[^，。]{1,8}次[一-龥]{0,6}会议)"
)
_TITLE_ISSUER = re.compile(
    r"([一-龥 、]{2,40}?(?:政府|办公厅|办公室|委员会|厅|局|部|院|署|中心|总队))关于"
)
_ADOPTED = re.compile(r"通过|公布|发布|修正|修订|批准|修改|颁布|印发")
_RECORD_END = re.compile(r"通过|公布|发布|修正|修订|批准|施行|实施|印发|令")
_IN_FORCE_BEHIND = re.compile(r" ?(?:起|开始)?(?:正式)?(?:施行|实施|执行|生效)")

_APPLIES = "(?:施行|实施|执行|实行|试行|生效)"
_OWN_NAME = re.compile(
    "本(?:法|条例|办法|规定|细则|解释|决定|通知|意见|方案|措施|政策|文件|规则|制度|标准|规范|规程|指南|"
    "公告|通告|指引|预案|章程|批复|安排|目录|实施[一-龥]{2})|"
    "本[一-龥（）]{1,12}?(?:，|自|从|于|将|经|由|$| )"
)
_IN_FORCE = re.compile(
    rf"(?:自|从|于|将于)? ?(?P<day>{DATE}) ?(?:[零0]时)?(?:起|开始|之日起)?，? ?(?:正式)?{_APPLIES}"
    r"(?!以来|后|前|的|之前|之后)"
)
_FROM_ISSUE = re.compile(
    "自? ?(?:公布|发布|印发|颁布|通过|下发|发文|签发)之日起，?(?:满)? ?"
    rf"(?:(?P<days>\d{{1,3}}|[{CHINESE}]{{1,4}}) ?(?P<kind>日|天|个月)(?:后|之后|起)?，? ?)?"
    rf"(?:正式)?{_APPLIES}"
)
_UNTIL = re.compile(
    rf"(?:有效期(?:限)?(?:截止|截至)?(?:为)?(?:自{DATE}起?)?(?:到|至|截至)|施行至|实施至|执行至"
    rf"|(?:施行|实施|执行|生效)，?(?:有效期)?(?:到|至)|{DATE}起?至) ?(?P<day>{DATE})"
)
_LASTING = re.compile(
    rf"(?:有效期|试行期|执行期|实施期|暂行期)(?:限)?(?:暂定)?(?:为|是)? ?{PERIOD}"
)
_OWN_VALIDITY = re.compile(
    r"本(?:办法|通知|意见|规定|细则|方案|措施|政策|文件|规则|制度|决定|标准|规范|指南|公告|通告|条例|"
    r"实施[一-龥]{2})|^[^，]{0,4}自[^，]{1,20}(?:施行|实施|执行)|^[^，]{0,6}(?:有效期|试行期)"
    rf"|{_APPLIES}[^。]{{0,20}}有效期"
)
_NOT_VALIDITY = re.compile("届满|期满|证|备案|资格|施行前|施行之前")
_EXPLAINS = re.compile("解读|答记者问|问答|政策释疑")
_REPEAL = re.compile(
    r"(?:同时|即行|予以|一并|自行|相应|均|则)(?:废止|失效)|(?<!不)停止执行|不再执行|废止(?=。|，|；|$)"
)
_REPEALS_NAMED = re.compile(r"(?:决定|予以|现将|即日起)?废止(?=《)")
_PARTLY = re.compile(r"[^，、；。《]{0,30}(?:中(?:有关|关于|的|第)|第[一-龥\d]+条|有关.{0,12}规定)")
_GROUNDS = re.compile(r"(?:根据|依据|按照|依照|执行|适用|参照|遵照|以)(?:国务院|省|市|国家)?$")

_SECRET_MARK = re.compile(
    r"(绝 ?密|机 ?密|秘 ?密) ?[★☆\*＊] ?(?:\d|[一二三四五六七八九十]|长期|启用|$)?"
)
_SECRET_FIELD = re.compile(r"密 ?级 ?[：:|｜]? ?(绝 ?密|机 ?密|秘 ?密)")
_URGENT = "(?:特急|加急|平急|急件|特提)"
_SECRET_ALONE = re.compile(rf"(?:№?\d{{1,8}} )?{_URGENT}? ?(绝 ?密|机 ?密|秘 ?密) ?{_URGENT}?")
_INDEX = re.compile(r"索 ?引 ?号 ?[：:|｜]? ?([A-Za-z0-9][A-Za-z0-9/_.\-—－]{3,40})")

_SUFFIXES = re.compile(
    rf"\s*(?:[（(](?:19|20)\d\d-\d\d-\d\d[)）]|[（(][^（）()]*{_LEFT}(?:19|20)\d\d{_RIGHT}[^（）()]*号[）)]"
    r"|【[^】]*】\d*|\(\d{1,2}\))\s*$"
)


@dataclass(frozen=True)
class Metadata:
    """What a document says about itself; None or empty where it says nothing.

    ``issued_on`` is the latest day of adoption, publication or amendment, else the day of the
    signature; ``expires_on`` is the last day in force. ``repeals`` holds titles and normalised
    numbers of documents that this one repeals as a whole, in order: for 《X》（甲发〔2019〕3号）
    both; an older document of the same title may be among them. ``secrecy`` is ``绝密``,
    ``机密`` or ``秘密`` for a 密级 mark.
    """

    title: str
    document_number: str | None
    issuer: str | None
    issued_on: date | None
    effective_on: date | None
    expires_on: date | None
    repeals: tuple[str, ...]
    secrecy: str | None
    index_number: str | None


def normalise_document_number(text: str) -> str | None:
    """Return the first document number in ``text`` as 机关代字〔年〕n号, None where there is none.

    Any bracket style, leading zeros, 第 and spaces are accepted (form: GB/T 9704-2012). Orders and
    announcements become ``国务院令第711号`` and ``…公告2023年第6号``.
    """
    found = list(_numbers(_fold(text)))
    return min(found)[1] if found else None


def _numbers(text: str) -> Iterator[tuple[int, str]]:
    """Yield the first number of each form with its offset."""
    if match := _NUMBER.search(text):
        code = _BEFORE_NUMBER.sub("", match[1])
        yield match.start(), f"{code}〔{match[2]}〕{int(match[3])}号"
    if match := _ORDER.search(text):
        issuer = _BEFORE_ORDER.sub("", match[1]).replace(_STATE, "").strip("、")
        value = number(match[2])
        if issuer and value:
            yield match.start(), f"{issuer}令第{value}号"
    if match := _NOTICE.search(text):
        issuer = _BEFORE_ORDER.sub("", match[1]).replace(_STATE, "")
        yield match.start(), f"{issuer}{match[2]}年第{int(match[3])}号"


def extract(blocks: Sequence[Block], filename: str) -> Metadata:
    """Read the facts from the blocks, and from the file's name what the text does not give."""
    return _Reading(blocks, filename).metadata()


class _Reading:
    def __init__(self, blocks: Sequence[Block], filename: str) -> None:
        self.stem = PurePath(filename.replace("\\", "/")).name
        self.stem = re.sub(r"\.[A-Za-z]{2,5}$", "", self.stem)
        self.layout = lay_out(blocks)
        self.lines = [" ".join(line.split()) for line in self.layout.view.split("\n") if line]
        self.sources = self.layout.sources
        cuts, _ = outline(self.layout)
        units = (c.start for c in cuts if c.kind in ("heading", "article", "item", "question"))
        first = next(units, len(self.layout.view))
        self.front = [" ".join(x.split()) for x in self.layout.view[:first].split("\n") if x]
        self.records = _records(self.front[:_HEAD_LINES])
        self.signature = self._signature([(c.start, c.body) for c in cuts if c.kind == "closing"])

    def metadata(self) -> Metadata:
        title = self._title()
        issued = self._issued()
        explains = _EXPLAINS.search(title + self.stem) is not None
        effective = None if explains else self._effective(issued)
        return Metadata(
            title=title,
            document_number=self._number(),
            issuer=self._issuer(title),
            issued_on=issued,
            effective_on=effective,
            expires_on=None if explains else self._expires(effective or issued),
            repeals=() if explains else tuple(dict.fromkeys(self._repealed())),
            secrecy=self._secrecy(),
            index_number=self._index_number(),
        )

    def _signature(self, spans: Sequence[tuple[int, int]]) -> str:
        """Return the text of the first signature that holds a date."""
        for start, end in spans:
            text = self.layout.view[start:end].strip()
            if parse_date(text):
                return text
        return ""

    def _title(self) -> str:
        tops: list[str] = []
        for index, source in enumerate(self.sources[:4]):
            if source.kind == "heading" and source.level == 1:
                tops.append(self._printed(index))
            elif tops or index > 0:
                break
        if tops:
            return "".join(tops)
        named = _plain_title(self.stem)
        squeezed = "".join(named.split())
        if any("".join(line.split()) == squeezed for line in self.lines[:60]):
            return named
        leading = self._leading_title()
        # A name such as 20240105 or scan-3 says nothing; the beginning of the text does.
        return leading or (named if re.search("[一-龥]", named) else self._beginning() or named)

    def _beginning(self) -> str:
        """Return the first line that is no header, cut where it is too long for a title."""
        for index, line in enumerate(self.lines[:15]):
            if not _is_header(line):
                printed = self._printed(index)
                whole = len(printed) <= 2 * _TITLE_LINE and not set(printed) & set("。；！？")
                return printed if whole else f"{printed[: _TITLE_LINE - 1]}…"
        return ""

    def _printed(self, index: int) -> str:
        start, end = self.layout.starts[index], self.layout.line_end(index)
        return " ".join(self.layout.text[start:end].split())

    def _leading_title(self) -> str:
        joined = ""
        for index in range(min(len(self.lines), 15)):
            line = " ".join(self.layout.line(index).split())
            table = self.sources[index].kind == "table"
            if re.search(DATE, line) and len(line) <= _TITLE_LINE:
                joined = ""  # a signature above the title of the document that it issues
                continue
            if not joined and (table or _is_header(line)):
                continue
            if table or len(line) > _TITLE_LINE or line[-1:] in _SENTENCE_END:
                break
            if _NOT_TITLE.match(line) or line[:1] in "（(":
                break
            joined += self._printed(index)
            if TITLE_END.search(line) and _balanced(joined):
                return joined
            if len(joined) > 2 * _TITLE_LINE:
                break
        return ""

    def _number(self) -> str | None:
        for line in self.front[:_HEAD_LINES]:
            short = len(line) <= 80 and not re.search("《|根据|按照|依据|修正|修订", line)
            found = list(_numbers(line)) if short else []
            if found:
                return min(found)[1]
        opening = self.lines[0][:60] if self.lines else ""
        if match := re.match(
            rf"[^，。《（]{{0,40}}?[一-龥]{{2,12}}{_LEFT}\d{{4}}{_RIGHT}", opening
        ):
            return normalise_document_number(opening[match.start() :])
        return normalise_document_number(self.stem)

    def _issuer(self, title: str) -> str | None:
        if self.signature:
            lines = re.sub(DATE, "\n", self.signature).split("\n")
            names = [
                line.strip()
                for line in lines
                if re.fullmatch(r"[一-龥 、（）]{3,60}", line.strip())
            ]
            names = [name for name in names if not re.match("（|附件|联系|抄", name)]
            if names:
                return "、".join(_unglued("".join(name.split())) for name in names)
        for line in self.records:
            if header := _RED_HEADER.fullmatch(line):
                return "".join(header[1].split())
        for line in self.records:
            if parse_date(line) and (name := _authority(line)):
                return name
        match = _TITLE_ISSUER.match(title)
        return "".join(match[1].split()) if match else None

    def _issued(self) -> date | None:
        found = [day for line in self.records for day in _adoptions(line)]
        if found:
            return max(found)
        signed = parse_date(self.signature) if self.signature else None
        if signed:
            return signed
        alone = (line for line in self.records if re.fullmatch(rf"（? ?{DATE} ?）?", line))
        return next(filter(None, map(parse_date, alone)), None) or parse_date(self.stem)

    def _effective(self, issued: date | None) -> date | None:
        text = "\n".join(self.lines)
        own = [m for m in _IN_FORCE.finditer(text) if _own(text, m.start())]
        stated = [parse_date(m["day"]) for m in own]
        relative = [m for m in _FROM_ISSUE.finditer(text) if _own(text, m.start())]
        recorded = [parse_date(m["day"]) for line in self.records for m in _IN_FORCE.finditer(line)]
        if relative and (not own or relative[-1].start() > own[-1].start()):
            stated.append(_later(issued, relative[-1]))
        days = [day for day in stated[-1:] if day]
        known = days or [day for day in recorded if day]
        if issued and known and known[-1] < issued:
            later = [day for day in recorded if day and day >= issued]
            return max(later) if later else issued
        return known[-1] if known else None

    def _expires(self, start: date | None) -> date | None:
        for sentence in _sentences("\n".join(self.lines)):
            if not _OWN_VALIDITY.search(sentence) or _NOT_VALIDITY.search(sentence):
                continue
            if match := _UNTIL.search(sentence):
                return parse_date(match["day"])
            match = _LASTING.search(sentence)
            if match and start and _own_period(sentence, match.start()):
                count = number(match["count"])
                if count:
                    return after(start, count, match["unit"]) - timedelta(days=1)
        return None

    def _repealed(self) -> Iterator[str]:
        for sentence in _sentences("\n".join(self.lines)):
            for named in _REPEALS_NAMED.finditer(sentence):
                yield from _titles(sentence[named.end() :])
            keyword = list(_REPEAL.finditer(sentence))
            if keyword and "《" in sentence[: keyword[-1].start()]:
                yield from _titles(sentence[: keyword[-1].start()])

    def _secrecy(self) -> str | None:
        for index, line in enumerate(self.lines):
            match = _SECRET_MARK.search(line) if len(line) < 80 or index == 0 else None
            if match is None and index < 15:
                match = _SECRET_ALONE.fullmatch(line) or _SECRET_FIELD.search(line[:200])
            if match:
                return match[1].replace(" ", "")
        return None

    def _index_number(self) -> str | None:
        for line in self.lines[:_HEAD_LINES]:
            if match := _INDEX.search(line[:400]):
                return match[1]
        return None


def _is_header(line: str) -> bool:
    """Whether the line stands above a title: 红头, number, 密级, 索引号 and the like."""
    if len(line) < 2 or _NOT_TITLE.match(line) or _RED_HEADER.fullmatch(line):
        return True
    return bool(_NUMBER.search(line) or _SECRET_ALONE.fullmatch(line))


def _balanced(title: str) -> bool:
    return all(title.count(a) == title.count(b) for a, b in ("《》", "（）", "“”"))


def _records(lines: Sequence[str]) -> list[str]:
    """Return the lines that are no running text; a record broken behind its date is joined."""
    found: list[str] = []
    for line in lines:
        if len(line) > 300 or (line[-1:] in _SENTENCE_END and not line.startswith("（")):
            continue
        if found and re.match(DATE, found[-1]) and not _RECORD_END.search(found[-1]):
            found[-1] += line
        else:
            found.append(line)
    return found


def _fold(text: str) -> str:
    return lay_out([Block(line) for line in text.splitlines()]).view


def _plain_title(stem: str) -> str:
    title = stem.strip()
    while (shorter := _SUFFIXES.sub("", title)) != title and shorter.strip():
        title = shorter
    return title.strip()


def _unglued(names: str) -> str:
    """Put 、 between signatories whose line breaks were lost, told by the place they all name."""
    names = names.removeprefix(_STATE)
    place = re.match("[一-龥]{2,6}?[省市县区]", names)
    if place is None:
        return names
    return re.sub(f"(?<=[厅局委办会部室院署])(?={place[0]})", "、", names)


def _authority(line: str) -> str | None:
    if match := _CONGRESS.search(line):
        return (match[1].removeprefix("经") + match[2]).strip()
    if match := _AUTHORITY.search(line):
        return match[1].replace(_STATE, "")
    if match := _ORDERING.search(line):
        return match[1].replace(_STATE, "").strip("、") or None
    return None


def _adoptions(line: str) -> Iterator[date]:
    """Yield the days of adoption in a record such as （2020年1月2日第三次会议通过 …）."""
    if not _ADOPTED.search(line):
        return
    for match in re.finditer(DATE, line):
        ahead = line[max(0, match.start() - 12) : match.start()]
        inside = line.count("《", 0, match.start()) > line.count("》", 0, match.start())
        running = line[match.end() : match.end() + 1] in ("，", "以", "前", "后", "至")
        if _IN_FORCE_BEHIND.match(line, match.end()) or inside or running or ahead.endswith("自"):
            continue
        day = parse_date(match[0])
        if day:
            yield day


def _own(text: str, offset: int) -> bool:
    """Whether the sentence that holds the offset speaks of this document."""
    begin = max(text.rfind(char, max(0, offset - 80), offset) for char in "。；\n")
    ahead = text[max(begin + 1, offset - 80) : offset]
    return _OWN_NAME.search(ahead) is not None and "《" not in ahead


def _own_period(sentence: str, offset: int) -> bool:
    ahead = sentence[max(0, offset - 40) : offset]
    return (
        re.search(r"(?:施行|实施|执行|生效)[^。]{0,12}$|本[一-龥（）]{1,10}$|^ ?$|，$", ahead)
        is not None
    )


def _later(issued: date | None, match: re.Match[str]) -> date | None:
    if issued is None or match["days"] is None:
        return issued
    count = number(match["days"]) or 0
    return after(issued, count, "月") if match["kind"] == "个月" else issued + timedelta(days=count)


def _sentences(text: str) -> Iterator[str]:
    for match in re.finditer(r"[^。\n]+", text):
        if match.end() - match.start() < 2000:
            yield match[0] + "。"


def _titles(text: str) -> Iterator[str]:
    """Yield the titles in 《》, and the numbers behind them, that a sentence repeals as a whole."""
    for match in re.finditer(r"《([^《》]{2,100})》(?: ?（([^（）]{2,60})）)?", text):
        if _GROUNDS.search(text[: match.start()]) or _PARTLY.match(text, match.end()):
            continue
        yield match[1].strip()
        code = normalise_document_number(match[2]) if match[2] else None
        if code:
            yield code
