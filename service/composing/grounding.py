"""Whether a text keeps to its source; hides what is compared.

A text is refused for every figure, date, place in a law, document, title, department, address or
foreign word that its source lacks, for turning a limit or a prohibition round, and for speaking
mostly of something else. What it cannot see: two figures of the source that changed places.
"""

import re
import unicodedata
from collections.abc import Iterable

from kb.figures import Figure, figures, normalised

LONGEST = 600
# Least share of the pairs of characters that must be the source's own: of the whole text, and of
# each sentence of it.
COMMON, COMMON_SENTENCE = 0.25, 0.15
# A shorter sentence is judged with the rest only.
SENTENCE = 6

_HAN = re.compile(r"[\u3400-\u9fff]+")
_LATIN = re.compile(r"[a-z]+")
_MARKUP = re.compile(r"[<>`{}|\\]|\]\(|\*\*|^#", re.MULTILINE)
_ADDRESS = re.compile(r"[a-z0-9.@_-]*(?:://|www\.|@|[a-z0-9]\.[a-z])[^\s\u3000-\u9fff]*")
_SENTENCE = re.compile(r"[。;!?\n]")
_TITLE = re.compile(r"《([^》]*)》")
_DEPARTMENT = re.compile(
    r"(?=([省市区县镇乡州国]?[\u4e00-\u9fff]{2}"
    r"(?:局|厅|委员会|委(?![托派员任])|(?<![全内外本干一])部(?![分门署队位])"
    r"|所(?![在有以得需属谓述列])|服务站|受理点|办公室|办事处|人民政府|中心|派出所|法院|检察院|居委会|村委会|大厅|窗口"
    r"|银行|协会|基金会|公司|大队|支队|热线|公众号|小程序|网站|平台)))"
)
# A number without a unit stands for a count or an amount: for none of these.
_NOT_COUNTED = ("序", "文号", "日期", "个月")
# Promises and denials that nobody may add.
_CHARGED = re.compile(
    "免费|全免|全额|减半|翻倍|双倍|加倍|终身|永久|无限期|随时|立即|当场|当天|当日|无条件|必须|保证|承诺|肯定"
)
_DENIED = re.compile(
    r"不得|不予|不能|不可以|不可|不准|不许|不允许|不享受|不再|不应|不用|不必|不需|无需|无须|禁止|严禁|除外|不收"
)
_DENIES = re.compile("[不未无非勿禁免]|除外|取消|停止")
_KEEPS = re.compile(r"不(?!超过|少于|低于|高于|足|满)|[无勿禁]|除外|只能|只有|仅限")
_PROHIBITED = re.compile(
    r"不得(?!超过|少于|低于|高于)|不予|不能|不可|不准|不享受|不再|禁止|严禁|除外"
)


def objection(text: str, source: str) -> str:
    """Why a text may not speak for its source, in one word for the log; empty when it may."""
    said, given = normalised(text).lower(), normalised(source).lower()
    if not said.strip():
        return "empty"
    if len(text) > LONGEST:
        return "length"
    if not _is_chinese(said, given):
        return "language"
    if _MARKUP.search(text) or any(each not in given for each in _ADDRESS.findall(said)):
        return "address"
    for name, pattern in (("title", _TITLE), ("department", _DEPARTMENT), ("promise", _CHARGED)):
        if any(each not in given for each in pattern.findall(said)):
            return name
    stated = figures(source)
    if not all(_holds(figure, stated) for figure in figures(text)):
        return "figure"
    if _turned_round(said, given):
        return "denial"
    if _common(said, given) < COMMON:
        return "subject"
    sentences = (each for each in _SENTENCE.split(said) if len(each) >= SENTENCE)
    return "" if all(_common(each, given) >= COMMON_SENTENCE for each in sentences) else "subject"


def _is_chinese(said: str, given: str) -> bool:
    """Han characters, and of foreign words only those of the source."""
    letters = [char for char in said if unicodedata.category(char)[0] in "LM"]
    foreign = [char for char in letters if not _HAN.match(char) and not "a" <= char <= "z"]
    words = set(_LATIN.findall(said)) - set(_LATIN.findall(given))
    symbols = any(
        unicodedata.category(char) in ("So", "Cs", "Co", "Cn", "Cc")
        for char in said.replace("\n", "")
    )
    return bool(_HAN.search(said)) and not foreign and not words and not symbols


def _holds(figure: Figure, stated: Iterable[Figure]) -> bool:
    """Whether a figure is among those stated, as the same kind of thing and the same limit."""
    same = [each for each in stated if _same(figure, each)]
    return bool(same) and figure.bounds <= frozenset().union(*(each.bounds for each in same))


def _same(figure: Figure, other: Figure) -> bool:
    if figure.unit == "日期":
        return other.unit == "日期" and _within(figure, other)
    if figure.unit == "文号":
        mine, its = str(figure.value), str(other.value)
        return other.unit == "文号" and (mine.endswith(its) or its.endswith(mine))
    if not figure.unit:
        counted = other.unit not in _NOT_COUNTED and not other.unit.startswith("第")
        return counted and figure.value == other.value
    return (figure.value, figure.unit) == (other.value, other.unit)


def _within(figure: Figure, other: Figure) -> bool:
    """Whether a date is another one, or what is left of it without its year or its day."""
    mine, its = str(figure.value).split("-"), str(other.value).split("-")
    if figure.bounds and len(mine) < len(its):
        return False  # before May 1 is not before May
    shorter = its[: len(mine)]
    return mine == shorter or (not mine[0] and mine[1:] == shorter[1:])


def _turned_round(said: str, given: str) -> bool:
    """Whether a text denies what its source does not, or leaves out that it prohibits."""
    if _DENIED.search(said) and not _DENIES.search(given):
        return True
    # Of a clause in items, only those that the text speaks of.
    shares = [(_common(said, line), line) for line in given.splitlines()]
    most = max((share for share, _ in shares), default=0.0)
    spoken_of = (line for share, line in shares if share >= most / 2)
    return any(_PROHIBITED.search(line) for line in spoken_of) and not _KEEPS.search(said)


def _common(said: str, given: str) -> float:
    """Share of a text's pairs of neighbouring characters that its source has."""
    pairs = [run[at : at + 2] for run in _HAN.findall(said) for at in range(len(run) - 1)]
    return sum(pair in given for pair in pairs) / len(pairs) if pairs else 0.0
