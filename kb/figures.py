"""A text → the figures it states; hides the ways in which Chinese writes numbers and dates.

「一千二百元」, 「1,200元」 and 「0.12万元」 are one figure, 「二〇二五年五月一日」 and
「2025-05-01」 one date, 「第十二条」 and 「第12条」 one place in a law.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

Value = Fraction | str
# 以上, 以下 and 以内 include the number they stand with, 超过 and 不满 do not (Civil Code 1259).
LEAST, MOST, ABOVE, BELOW = "least", "most", "above", "below"
BEFORE, AFTER = "before", "after"

_FORMAL = str.maketrans("壹贰貳叁參肆伍陆陸柒捌玖拾佰仟萬億", "一二二三三四五六六七八九十百千万亿")
_DIGITS = {char: at for at, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_MYRIAD = 10**4
_POWERS = (("亿", 10**8), ("万", _MYRIAD), ("千", 1000), ("百", 100), ("十", 10))
_HAN = "〇零一二两三四五六七八九"
_RUN = rf"(?:\d+(?:\.\d+)?|[{_HAN}十百千万亿])+"
_SMALL = rf"(?:\d{{1,2}}|[{_HAN}十]{{1,3}})"
# Words with a numeral in them that state no number.
_IDIOM = re.compile(
    rf"(?<![\d{_HAN}十百千万亿])"
    r"(?:一(?:般|定|些|样|直|旦|致|律|并|同|起|边|方面)|进一步|百姓|统一|唯一|同一|任一|某一"
    r"|(?<![条分])之一|万一(?!元))"
)
_DOCUMENT = re.compile(r"([\u4e00-\u9fff]*)\[((?:19|20)\d\d)\]第?0*(\d{1,5})号")
_YEAR = rf"(?:(?:19|20|21)\d\d|[一二][{_HAN}]{{3}})"
_DATES = (
    re.compile(
        rf"(?P<y>{_YEAR})年(?:(?P<m>{_SMALL})月份?(?:(?P<d>{_SMALL})[日号]?)?)(?!个)"
        rf"|(?<![\d.])(?P<y2>(?:19|20|21)\d\d)(?P<sep>[-./])(?P<m2>\d\d?)(?P=sep)(?P<d2>\d\d?)(?!\d)"
    ),
    re.compile(rf"(?<![\d{_HAN}十个])(?P<m>{_SMALL})月(?:份?(?P<d>{_SMALL})[日号])?"),
)
_RATIO = re.compile(
    rf"(?P<whole>{_RUN})分之(?P<part>{_RUN}(?:点[{_HAN}]+)?)"
    rf"|(?:(?P<low>{_RUN})[~至到-])?(?P<many>{_RUN})(?P<sign>%|‰|成(?![年立为果本员功人效长]))"
    r"|(?<![\d/])(?P<over>\d+)/(?P<under>[1-9]\d*)(?![\d/])"
)
_PHONE = re.compile(
    r"(?<![\d.])(?:\d{3,4}-\d{3,4}-\d{3,4}|0\d{2,3}-\d{7,8}|\d{7,}|0\d+)(?![\d.元万亿人户%])"
)
_PLACE = re.compile(
    rf"第({_RUN})(?:(条)之({_RUN})|(?:[、~和或至到]第?({_RUN}))?(编|分编|章|节|条|款|项|目|号|批|期|类|档|级)?)"
)
_MARKER = re.compile(
    rf"(?:(?<=\n)|^)\s*(?:\d{{1,2}}[.、)](?!\d)|[一二三四五六七八九十]{{1,3}}、)|\(({_SMALL})\)"
)
_UNITS = (
    "个百分点|个工作日|工作日|个自然日|自然日|日历日|个月|年度|年|月|周岁|岁|小时|分钟|秒|周|星期|天|日|"
    "平方米|平方公里|公里|米|亩|公斤|千克|克|吨|元|块|角|人次|人|户|次|倍|折|份|个|项|件|类|种|档|级|"
    "名|家|寸|页|张|套|处|所|孩|胎|学期|学年|季度|分|号|时|点|度"
)
_SAME_UNIT = {
    "工作日": "个工作日", "自然日": "日", "个自然日": "日", "日历日": "日", "天": "日",
    "岁": "周岁", "块": "元", "星期": "周", "年度": "年", "千克": "公斤", "时": "点",
}  # fmt: skip
_AMOUNT = re.compile(rf"(?P<n>{_RUN}(?:点[{_HAN}]+(?![十百千]))?)(?P<u>{_UNITS})?(?P<half>半)?")
_RANGE = re.compile(rf"({_RUN})({_UNITS})?[~至到-]({_RUN})({_UNITS})?")
_HALF = re.compile(rf"半({_UNITS}|数|价)?")
_NOT = "(?:不|不得|不应|不能|不可|未|没有)"
_PREFIX = re.compile(
    rf"(?P<most>{_NOT}(?:超过|高于|多于|大于)|至多|最多|最高|最长|最迟)$"
    rf"|(?P<least>{_NOT}(?:少于|低于|小于)|至少|最少|最低|最短|(?<![不未没])(?:年?满|达到?))$"
    r"|(?P<below>[不未没][满到足]|低于|少于|小于)$"
    r"|(?P<above>超过|高于|多于|大于)$"
    r"|(?P<before>截至|截止到?)$"
)
_SUFFIX = re.compile(
    r"(?:的|\(含\)|含|[底末初])?(?:(?P<least>及?以上)|(?P<most>及?以下|以内|之内|内)"
    r"|(?P<before>以前|之前|前)|(?P<after>以后|之后|后|起))"
)


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        value: the number; a phone number, a date or a document's number as a string.
        unit: in one spelling; empty where none follows.
        bounds: whether it is a limit, and in which direction.
    """

    value: Value
    unit: str
    bounds: frozenset[str] = frozenset()


def normalised(text: str) -> str:
    """One spelling of widths, brackets, dashes, digits and thousands separators."""
    # A full-width comma divides a sentence; NFKC would make a thousands separator of it.
    text = "".join(_plain(char) for char in text.replace("，", "、"))
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"[【〔﹝［]", "[", re.sub(r"[】〕﹞］]", "]", text))
    text = re.sub(r"[–—―−‐‑]+", "-", re.sub(r"[～∼〜]", "~", text))
    text = re.sub(r"\(((?:19|20)\d\d)\)(?=第?\d+号)", r"[\1]", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<!\d)\d(?: +\d(?!\d))+", lambda match: match[0].replace(" ", ""), text)
    text = re.sub(r"(?<=[\d第\]]) +(?=[^\d\s])|(?<=[^\d\s]) +(?=[\d\]])", "", text)
    text = re.sub(r"第\(([^)]{1,5})\)", r"第\1", text)
    text = re.sub(
        r"[壹贰貳叁參肆伍陆陸柒捌玖拾佰仟萬億]{2,}|[壹贰貳叁參肆伍陆陸柒捌玖拾佰仟萬億](?=元|万元)",
        lambda match: match[0].translate(_FORMAL),
        text,
    )
    return (
        re.sub(r"[俩倆]", "两个", text)
        .replace("仨", "三个")
        .replace("廿", "二十")
        .replace("卅", "三十")
    )


def figures(text: str) -> frozenset[Figure]:
    """Every figure that a text states."""
    return frozenset(_Reader(normalised(text)).read())


def number(run: str) -> Value:
    """The value of digits and numerals (「3千5」, 「二〇二五」), else the run itself."""
    if all(char in _DIGITS for char in run):
        return Fraction("".join(str(_DIGITS[char]) for char in run))
    try:
        return _evaluated(run, _POWERS)
    except ValueError:
        return run  # no single number, such as 三四十


def _evaluated(run: str, powers: Sequence[tuple[str, int]]) -> Fraction:
    for at, (sign, power) in enumerate(powers):
        if sign not in run:
            continue
        above, _, below = run.partition(sign)
        # Only 万 and 亿 multiply what is itself a product: 三百万, 一万亿.
        factors = powers[at + 1 :] if power >= _MYRIAD else ()
        value = (_evaluated(above, factors) if above else Fraction(1)) * power
        rest = below.lstrip("零〇")
        if not rest:
            return value
        if rest == below and power > 10 and len(rest) == 1 and rest != "十":
            return value + _evaluated(rest, ()) * power / 10  # 三万五 is 35,000
        return value + _evaluated(rest, powers[at + 1 :])
    return Fraction(_DIGITS[run]) if run in _DIGITS else Fraction(run)


class _Reader:
    """Reads figures off a text, the longest kinds first; what is read is blotted out."""

    def __init__(self, text: str) -> None:
        self._text = _IDIOM.sub(lambda match: "□" * len(match[0]), text)

    def read(self) -> Iterator[Figure]:
        yield from self._documents()
        yield from self._dates()
        for match in self._take(_PHONE):
            yield Figure(re.sub(r"\D", "", match[0]), "")
        yield from self._ratios()
        yield from self._places()
        yield from self._ranges()
        for match in self._take(_MARKER):
            yield Figure(number(re.sub(rf"[^\d{_HAN}十]", "", match[0])), "序")
        yield from self._amounts()

    def _take(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Every match, which is then no longer in the text."""
        found = list(pattern.finditer(self._text))
        yield from found
        self._text = pattern.sub(lambda match: "□" * len(match[0]), self._text)

    def _bounds(self, match: re.Match[str]) -> frozenset[str]:
        before = _PREFIX.search(self._text[max(0, match.start() - 6) : match.start()])
        after = _SUFFIX.match(self._text, match.end())
        found = (each.lastgroup for each in (before, after) if each)
        return frozenset(name for name in found if name)

    def _documents(self) -> Iterator[Figure]:
        for match in self._take(_DOCUMENT):
            yield Figure(f"{match[1]}[{match[2]}]{match[3]}", "文号")

    def _dates(self) -> Iterator[Figure]:
        whole, partial = _DATES
        years = {}
        for match in self._take(whole):
            year = str(number(match["y"] or match["y2"]))
            years[match.end()] = year
            month, day = match["m"] or match["m2"], match["d"] or match["d2"]
            yield Figure(_day(year, month, day), "日期", self._bounds(match))
        for match in self._take(partial):
            # The end of a period has its year from the beginning: 2025年5月1日至6月1日.
            joined = self._text[match.start() - 1 : match.start()] in tuple("至到~-")
            year = years.get(match.start() - 1, "") if joined else ""
            yield Figure(_day(year, match["m"], match["d"]), "日期", self._bounds(match))

    def _ratios(self) -> Iterator[Figure]:
        for match in self._take(_RATIO):
            if match["whole"]:
                value = _over(_decimal(match["part"]), number(match["whole"]))
            elif match["many"]:
                hundred = {"%": 100, "‰": 1000, "成": 10}[match["sign"][0]]
                value = _over(number(match["many"]), Fraction(hundred))
                if match["low"]:
                    yield Figure(_over(number(match["low"]), Fraction(hundred)), "%")
            else:
                value = Fraction(int(match["over"]), int(match["under"]))
            yield Figure(value, "%", self._bounds(match))

    def _places(self) -> Iterator[Figure]:
        for match in self._take(_PLACE):
            if match[2]:
                yield Figure(f"{number(match[1])}之{number(match[3])}", "第条")
                continue
            for run in (match[1], match[4]):
                if run:
                    yield Figure(number(run), f"第{match[5] or ''}")

    def _ranges(self) -> Iterator[Figure]:
        """The lower end of 「3至5年」, which has its unit (and its 万) from the upper one."""
        for match in _RANGE.finditer(self._text):
            low, unit, high, shared = match.groups()
            if unit or not shared:
                continue
            power = re.search(r"[万亿]+$", high)
            run = low + power[0] if power and not re.search("[万亿]", low) else low
            yield _figure(number(run), shared, frozenset())
            at = match.start()
            self._text = self._text[:at] + "□" * len(low) + self._text[at + len(low) :]

    def _amounts(self) -> Iterator[Figure]:
        for match in self._take(_AMOUNT):
            value, unit = _decimal(match["n"]), match["u"] or ""
            if match["half"]:
                if isinstance(value, Fraction) and unit in ("年", "小时", "天", "岁"):
                    value += Fraction(1, 2)
                else:
                    yield Figure(Fraction(1, 2), "半")
            if not unit:
                follows = self._text[match.end() : match.end() + 1]
                unit = follows if re.fullmatch(r"[\u4e00-\u9fff]", follows) else ""
                unit = "" if unit and unit in "的了是和或及与在为以由向、" else unit
            yield _figure(value, unit, self._bounds(match))
        for match in self._take(_HALF):
            yield _figure(Fraction(1, 2), match[1] or "半", self._bounds(match))


def _figure(value: Value, unit: str, bounds: frozenset[str]) -> Figure:
    unit = _SAME_UNIT.get(unit, unit)
    if unit == "年" and isinstance(value, Fraction):
        if value.denominator == 1 and 1900 <= value <= 2200:
            return Figure(str(value), "日期", bounds)
        return Figure(value * 12, "个月", bounds)
    return Figure(value, unit, bounds)


def _over(part: Value, whole: Value) -> Value:
    if isinstance(part, str) or isinstance(whole, str) or not whole:
        return f"{part}/{whole}"
    return part / whole


def _decimal(run: str) -> Value:
    """A number that may have its decimals after 点."""
    whole, point, decimals = run.partition("点")
    value = number(whole)
    if not point or isinstance(value, str):
        return value
    digits = "".join(str(_DIGITS[char]) for char in decimals)
    return value + Fraction(int(digits), 10 ** len(digits))


def _day(year: str, month: str | None, day: str | None) -> str:
    parts = [year, *(str(number(each)) for each in (month, day) if each)]
    return "-".join(parts)


def _plain(char: str) -> str:
    """A character that is a number by itself, in digits; an invisible one as nothing."""
    kind = unicodedata.category(char)
    if kind == "Cf":
        return ""
    if kind == "Nd":
        return str(unicodedata.digit(char))
    if kind == "No" or (
        kind == "Nl" and char != "〇" and not unicodedata.name(char).startswith("ROMAN")
    ):
        value = Fraction(unicodedata.numeric(char)).limit_denominator(1000)
        return f"、({value})、" if value.denominator == 1 else f"、{value}、"
    return char
