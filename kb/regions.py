"""Administrative divisions by six-digit code (GB/T 2260); hides how codes nest.

A code's first two digits name the province, four the city, six the county. National policy has
no region; it is written as an empty path.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kb.errors import NotFound

_NO_PLACES = frozenset(("市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"))
# Whose names have that of a people in them.
_SHORT = {"内蒙古自治区": "内蒙古", "西藏自治区": "西藏"}
_PEOPLES = "朝鲜|土家|苗|藏|羌|彝|布依|侗|哈尼|壮|傣|白|景颇|傈僳|回|蒙古|哈萨克|柯尔克孜|维吾尔"
_KIND_OF_PLACE = re.compile(
    f"(?:省|市|地区|盟|特别行政区|(?:(?:{_PEOPLES})族?)*(?:自治区|自治州))$"
)


@dataclass(frozen=True)
class Mention:
    """A place in a text.

    Attributes:
        said: its name as people say it, without its kind.
        start, stop: where it stands, its kind included.
        codes: of the divisions that have this name.
    """

    said: str
    start: int
    stop: int
    codes: tuple[str, ...]


class Regions:
    """All known divisions.

    Args:
        names: code → name.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)
        self._codes: dict[str, list[str]] = {}
        for code, name in self._names.items():
            self._codes.setdefault(name, []).append(code)
        self._meant: dict[str, list[str]] = {}
        for code, name in self._names.items():
            self._meant.setdefault(_said(code, name), []).append(code)
        self._meant.pop("", None)
        self._spoken: dict[str, list[str]] = {}
        for said in sorted(self._meant):
            self._spoken.setdefault(said[:2], []).append(said)

    @classmethod
    def load(cls, path: Path) -> "Regions":
        """Read `code,name` lines."""
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = (line.split(",", 1) for line in lines if line and not line.startswith("#"))
        return cls({code: name for code, name in rows})

    def resolve(self, text: str) -> str | None:
        """Return the code for a code or an unambiguous name; None for empty text or 全国.

        Raises:
            NotFound: unknown, or the name fits several divisions.
        """
        text = text.strip()
        if text in ("", "全国", "国家"):
            return None
        if text in self._names:
            return text
        codes = self._codes.get(text, [])
        if len(codes) == 1:
            return codes[0]
        if codes:
            raise NotFound(f"地区“{text}”有多个，请写六位区划代码（如 {codes[0]}）")
        raise NotFound(f"没有地区“{text}”，请写六位行政区划代码或完整名称")

    def value(self, code: str | None) -> str:
        """What `resolve` takes for a division: its name, or its code where several have that."""
        name = self.name(code)
        return name if code is None or len(self._codes.get(name, ())) == 1 else code

    def name(self, code: str | None) -> str:
        """The name of a division; 全国 for None."""
        return self._names.get(code, code) if code else "全国"

    def mentioned(self, text: str) -> tuple[str, ...]:
        """The names of places in a text, as people say them: 重庆, 内蒙古, 平度市.

        Of a province or a city without its kind, of a county with it: 和平 or 资源 need not be one.
        """
        return tuple(dict.fromkeys(each.said for each in self.mentions(text)))

    def mentions(self, text: str) -> list[Mention]:
        """The places in a text in the order they stand; see `mentioned`."""
        found: list[Mention] = []
        at = 0
        while at < len(text):
            here = self._spoken.get(text[at : at + 2], ())
            said = max((each for each in here if text.startswith(each, at)), key=len, default="")
            if said:
                codes = self._meant[said]
                whole = next((n for n in map(self.name, codes) if text.startswith(n, at)), said)
                named = tuple(code for code in codes if self.name(code).startswith(whole))
                found.append(Mention(said, at, at + len(whole), named))
                at += len(whole)
            else:
                at += 1
        return found

    def inside(self, code: str) -> list[tuple[str, str]]:
        """Code and name of the counties of a city, or of those of its own city for a county."""
        city = code[:4]
        return [(c, name) for c, name in self._names.items() if c[:4] == city and depth(c) > 2]

    def path(self, code: str) -> tuple[str, ...]:
        """The division and what it lies in, nearest first: 370283 → 370283, 370200, 370000."""
        outer = (code, f"{code[:4]}00", f"{code[:2]}0000")
        return tuple(dict.fromkeys(each for each in outer if each in self._names))


def depth(code: str | None) -> int:
    """How far a division is from the whole country (None): province 1, city 2, county 3."""
    return len(_significant(code)) // 2


def nested(one: str | None, other: str | None) -> bool:
    """Whether one of two divisions lies in the other, or is it; None is the whole country."""
    shorter, longer = sorted((_significant(one), _significant(other)), key=len)
    return longer.startswith(shorter)


def _significant(code: str | None) -> str:
    pairs = [(code or "")[at : at + 2] for at in (0, 2, 4)]
    while pairs and pairs[-1] in ("00", ""):
        pairs.pop()
    return "".join(pairs)


def _said(code: str, name: str) -> str:
    """A place as people name it; empty for what is only an entry of the table, as 市辖区."""
    if name in _NO_PLACES:
        return ""
    if depth(code) > 2:
        return name
    short = _SHORT.get(name) or _KIND_OF_PLACE.sub("", name)
    return short if len(short) > 1 else name
