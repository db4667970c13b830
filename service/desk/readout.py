"""Passage → what an operator says on the phone: the short answer, the full one, the materials.

Everything is taken from the reviewed text as it stands; nothing is put into other words.
"""

import re
from dataclasses import dataclass

from kb.passages import Citation, Passage

# As much as one can say in half a minute.
SPOKEN = 120

_SENTENCE = re.compile(r"[^。！？；\n]+[。！？；]?")
_NUMBERED = re.compile(
    r"\s*(?:\d{1,2}[.．、](?!\d)|[（(][一二三四五六七八九十\d]{1,3}[）)]|[①-⑳]|[-·•])"
)
_BRINGS = re.compile(r"带[上好齐着]?|携带|准备|提交|提供|出示|持|交")
_MATERIAL = re.compile(
    r"身份证|户口[簿本]|居住证|社保卡|护照|银行卡|结婚证|出生医学证明|照片|证明|证件|合同|发票|收据|"
    r"申请[表书]|登记表|委托书|复印件|原件|营业执照|不动产权证|驾驶证|行驶证|病历|材料"
)
_LISTS = re.compile(
    r"(材料|证件|手续|资料)[^。；]{0,40}[：:]\s*$|^\s*(所需|需要|申请|办理)?材料\s*[：:]?$"
)


@dataclass(frozen=True)
class Readout:
    """What is said and shown of a passage.

    Attributes:
        spoken: fit for the phone.
        reviewed: whether it was written as a short answer, rather than being a beginning.
        full: the complete text.
        materials: the lines and sentences of the text that say what to bring.
        citations: what it rests on.
    """

    spoken: str
    reviewed: bool
    full: str
    materials: tuple[str, ...]
    citations: tuple[Citation, ...]


def readout(passage: Passage, quote: Citation | None) -> Readout:
    """Prepare a passage.

    Args:
        quote: what to quote of a clause; None for an entry.
    """
    full = quote.text if quote else passage.text
    short = passage.entry.short_answer if passage.entry else ""
    return Readout(
        spoken=short or _beginning(full),
        reviewed=bool(short),
        full=full,
        materials=tuple(_materials(full)),
        citations=(quote,) if quote else passage.citations,
    )


def _beginning(text: str) -> str:
    """The first sentences, of which at least the first is said however long it is."""
    said = ""
    for sentence in _SENTENCE.findall(text):
        if said and len(said) + len(sentence) > SPOKEN:
            break
        said += sentence.strip()
    return said


def _materials(text: str) -> list[str]:
    found: list[str] = []
    listing = False
    for line in text.splitlines():
        if not line.strip():
            continue
        numbered = _NUMBERED.match(line) is not None
        if listing and numbered:
            found.append(line.strip())
            continue
        listing = _LISTS.search(line) is not None
        found += [
            sentence.strip()
            for sentence in _SENTENCE.findall(line)
            if _BRINGS.search(sentence) and _MATERIAL.search(sentence)
        ]
    return list(dict.fromkeys(found))
