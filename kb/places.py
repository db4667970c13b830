"""Which place's rules a question asks for; hides how names, nicknames and their roles are read.

A name is not yet a place (北京路, 上海银行), and a place need not be the one whose rules are meant:
it may be where somebody comes from or goes to. Where that is open, no place is taken.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kb.regions import Mention, Regions, depth, nested

# Hong Kong, Macao and Taiwan: people travel there, the base has no rules of theirs.
_ELSEWHERE = ("71", "81", "82")
# What makes another thing of the name of a place before it.
_THING = re.compile(
    "[东西南北中]?(?:路|街|大道|巷|桥)|银行|大学|学院|中学|小学|医院|车站|火车站|[东西南北]站|机场|大厦|酒店|饭店"
    "|宾馆|板鸭|烤鸭|啤酒|火锅|小面|拉面|米粉|小吃|菜|现代|汽车|话|时间|证券|人寿|卫视|日报|晚报|奥运|会议"
    "|牌照|牌|车牌|有限|集团|公司"
)
# What makes it where somebody is from.
_ORIGIN = re.compile("(?:市|省)?的?(?:户口|户籍|籍|人(?!才|社|员|民|口|均|力|工|事)|老家|身份证)")
# What makes it where somebody goes, comes from or is not.
_AWAY = re.compile("(?:去|赴|往|回|飞|从|来自|不在|离开|除了|老家在?|户口在|户籍在|户口是|户籍是)$")
# Who goes somewhere to live or to work there asks for its rules.
_SETTLING = re.compile("落户|入户|定居|居住|工作|上班|上学|读书|买房|参保|创业|养老|迁入")
_AT = re.compile("(?:我?们?人?(?:现?在|是|住在?|到)|咱们?|我们)$")
_TAIL = re.compile("(?:这边|那边|这里|那里|当地|本地|地区|市民|市|省)?的?")
_KIND_OF_COUNTY = re.compile("(?:自治县|区|县|市|旗)$")
# Counties whose short names are words of their own.
_WORDS = frozenset(
    "和平 资源 新城 城关 城区 郊区 新华 东方 自由 河口 文峰 青年 平安 富裕 永远".split()
)


@dataclass(frozen=True)
class Place:
    """The place whose rules are asked for.

    Attributes:
        rest: the question without it; empty where it names nothing else.
    """

    code: str
    rest: str


class Places:
    """Finds the place in a question.

    Args:
        nicknames: nickname → code.
    """

    def __init__(self, regions: Regions, nicknames: Mapping[str, str]) -> None:
        self._regions = regions
        self._nicknames = {name: code for name, code in nicknames.items() if len(name) > 1}

    @classmethod
    def load(cls, regions: Regions, path: Path) -> "Places":
        """Read `code,nickname` lines."""
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = (line.split(",", 1) for line in lines if line and not line.startswith("#"))
        return cls(regions, {name.strip(): code for code, name in rows})

    def asked(self, text: str, near: str | None) -> Place | None:
        """The place whose rules a question asks for; None where it names none, or leaves it open.

        Args:
            near: code of the region that is asked from; decides between places of one name.
        """
        mentions = [each for each in self._mentions(text, near) if self._is_place(text, each)]
        parts = self._narrowed(mentions, near)
        meant = [part for part in parts if self._is_meant(text, part[0], part[1], near)]
        codes = {code for _, code in meant}
        if not codes:
            return None
        deepest = max(codes, key=depth)
        if not all(nested(code, deepest) for code in codes):
            # Two places: the one that is asked from is meant, if it is one of them.
            codes = {code for code in codes if near and nested(code, near)}
            if not codes:
                return None
            deepest = max(codes, key=depth)
        if len(parts) > len(meant) or not all(nested(code, deepest) for _, code in meant):
            return Place(deepest, text)
        return Place(deepest, _without(text, [mention for mention, _ in meant]))

    def _mentions(self, text: str, near: str | None) -> list[Mention]:
        found = self._regions.mentions(text)
        found += [
            Mention(name, match.start(), match.end(), (code,))
            for name, code in self._nicknames.items()
            for match in re.finditer(re.escape(name), text)
        ]
        for code, name in self._regions.inside(near) if near and depth(near) > 1 else ():
            short = _KIND_OF_COUNTY.sub("", name)
            if len(short) < 2 or short in _WORDS:
                continue
            for match in re.finditer(re.escape(short), text):
                if not any(m.start <= match.start() < m.stop for m in found):
                    found.append(Mention(short, match.start(), match.end(), (code,)))
        return sorted(found, key=lambda each: each.start)

    def _is_place(self, text: str, mention: Mention) -> bool:
        if all(code[:2] in _ELSEWHERE for code in mention.codes):
            return False
        return not _THING.match(text, mention.stop)

    def _narrowed(self, mentions: Iterable[Mention], near: str | None) -> list[tuple[Mention, str]]:
        """Mentions with the one division that each means; those that stay open are left out."""
        mentions = list(mentions)
        sure = [each.codes[0] for each in mentions if len(each.codes) == 1]
        found = []
        for each in mentions:
            codes = each.codes
            for known in (*sure, near):
                if len(codes) > 1 and known:
                    codes = tuple(c for c in codes if nested(c, known)) or codes
            # 吉林 is the province before it is the city in it.
            widest = min(map(depth, codes))
            codes = tuple(code for code in codes if depth(code) == widest)
            if len(codes) == 1:
                found.append((each, codes[0]))
        return found

    def _is_meant(self, text: str, mention: Mention, code: str, near: str | None) -> bool:
        if near and nested(code, near):
            return not _ORIGIN.match(text, mention.stop) or "落" in text
        before, after = text[: mention.start], text[mention.stop :]
        if _ORIGIN.match(text, mention.stop):
            return before.endswith("落")
        return not _AWAY.search(before) or bool(_SETTLING.search(after))


def _without(text: str, mentions: Iterable[Mention]) -> str:
    kept = text
    for mention in sorted(mentions, key=lambda each: -each.start):
        tail = _TAIL.match(kept, mention.stop)
        before = _AT.sub("", kept[: mention.start])
        kept = before + kept[tail.end() if tail else mention.stop :]
    return kept.strip(" ，,。")
