"""The departments that a task is given to; hides how the bracket at its end is worded."""

from __future__ import annotations

import re
from collections.abc import Iterator

_DUTY = re.compile(
    r"[（(【\[]\s*(?=(?:责任|牵头|配合|负责|主办|协办|承办|实施|参加|参与|落实|主管)"
    r"(?:单位|部门|处室|科室)\s*[：:])"
)
_DUTY_LABEL = re.compile(
    r"(?:责任|牵头|配合|负责|主办|协办|承办|实施|参加|参与|落实|主管)(?:单位|部门|处室|科室)\s*[：:]"
)
_OTHER_LABEL = re.compile(r"(?:完成|办理|责任)(?:时限|时间|期限|领导|人)\s*[：:]")
_AND_OTHERS = re.compile(
    r"(?:等(?:有关|相关)?(?:单位|部门)?)?(?:牵头|配合|按职责分工|分工|分别|负责)*$"
)
#: （甲局牵头，乙局、丙局按职责分工负责）: no label, the verb stands at the end.
_IN_CHARGE = re.compile(r"[（(]([^（）()。；;\n]{2,300}?负责)[）)]")
_OFFICE = re.compile(
    "(?:厅|局|委|办|部|院|署|处|会|银行|分行|支行|中心|政府|管委会|办公室|街道|镇|乡|县|市|区|单位|部门|公司|集团|总队|支队)$"
)
_DUTY_LIMIT = 1500


def responsible_units(text: str) -> tuple[str, ...]:
    """Return the departments in brackets such as （责任单位：甲局、乙局；配合单位：丙局） or
    （甲局牵头，乙局负责）, in order, each once."""
    found: dict[str, None] = {}
    for match in _DUTY.finditer(text):
        end = _closing_bracket(text, match.end())
        if end < 0:
            break
        found |= dict.fromkeys(_labelled(text[match.end() : end]))
    for match in _IN_CHARGE.finditer(text):
        names = [_AND_OTHERS.sub("", piece) for piece in _split_outside_brackets(match[1])]
        if all(_OFFICE.search(name) and name[0] != "由" for name in names):
            found |= dict.fromkeys(names)
    return tuple(found)


def _labelled(content: str) -> Iterator[str]:
    """Yield the names behind a label like 责任单位：, none behind another like 完成时限：."""
    wanted = False
    for piece in _split_outside_brackets(content):
        name = piece
        if _DUTY_LABEL.match(piece):
            wanted, name = True, _DUTY_LABEL.sub("", piece, count=1)
        elif _OTHER_LABEL.match(piece):
            wanted = False
        name = _AND_OTHERS.sub("", name.strip(" \n　。."))
        if wanted and name:
            yield name


def _closing_bracket(text: str, start: int) -> int:
    depth = 1
    for offset in range(start, min(len(text), start + _DUTY_LIMIT)):
        depth += (text[offset] in "（([【") - (text[offset] in "）)]】")
        if depth == 0:
            return offset
    return -1


def _split_outside_brackets(text: str) -> Iterator[str]:
    depth, begin = 0, 0
    for offset, char in enumerate(text):
        depth += (char in "（(") - (char in "）)")
        if depth == 0 and char in "、，,；;\n":
            yield text[begin:offset].strip()
            begin = offset + 1
    yield text[begin:].strip()
