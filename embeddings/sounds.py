"""How characters and words sound: pinyin without tones, and sounds that people mix up.

Hides the dictionary of readings; words decide between the readings of a character.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from pypinyin import Style, lazy_pinyin, pinyin

# Of the readings of a single character only the first ones are heard in daily use.
READINGS = 3

_HAN = re.compile(r"[\u3400-\u9fff]+")
_INITIAL = re.compile(r"^(zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?(.*)$")
_FLAT = {"zh": "z", "ch": "c", "sh": "s", "n": "l", "r": "l"}


def is_han(text: str) -> bool:
    """Whether a text is of Chinese characters only."""
    return _HAN.fullmatch(text) is not None


@lru_cache(maxsize=20_000)
def readings(character: str) -> tuple[str, ...]:
    """The readings of one character, the usual one first; empty for what is none."""
    if not is_han(character):
        return ()
    (found,) = pinyin(character, style=Style.NORMAL, heteronym=True, v_to_u=False)
    return tuple(dict.fromkeys(found))[:READINGS]


def syllables(word: str) -> tuple[str, ...]:
    """The reading of a word of Chinese characters, one syllable a character."""
    return tuple(lazy_pinyin(word, style=Style.NORMAL, v_to_u=False))


@lru_cache(maxsize=4096)
def folded(syllable: str) -> str:
    """A syllable after merging sounds that many speakers do not tell apart.

    zh/z, ch/c, sh/s, n/l, r/l, in/ing, en/eng, an/ang and h/f.
    """
    found = _INITIAL.match(syllable)
    initial, final = (found[1] or "", found[2]) if found else ("", syllable)
    if final.endswith("ng") and final not in ("ong", "iong"):
        final = final[:-1]
    if initial == "h":
        # hui is heard as fei, huang as fang.
        final = (
            "ei" if final == "ui" else final[1:] if len(final) > 1 and final[0] == "u" else final
        )
        initial = "f"
    return _FLAT.get(initial, initial) + final


def key(sounds: Sequence[str]) -> str:
    """One string for a sequence of syllables as they are heard."""
    return " ".join(folded(each) for each in sounds)
