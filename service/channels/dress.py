"""A reply → the one text that a platform shows; hides what gives way when there is no room.

The label is never touched; options, source and the address of the full answer are kept whole
as far as there is room; the text itself is what gets shorter.
"""

import unicodedata

from service import wording
from service.channels import Option, Reply
from service.channels.payloads import clean

MAX_OPTIONS = 3
OPTION_CHARACTERS = 60
SOURCE_CHARACTERS = 160
ELLIPSIS = "…"
# A cut looks for the end of a sentence in the last third.
SENTENCE_ENDS = "。！？；\n"


def dressed(reply: Reply, limit_bytes: int) -> str:
    """The whole reply as plain text of at most `limit_bytes` of UTF-8; empty for nothing to say."""
    if not reply.text.strip() and not reply.options:
        return ""
    whole = _whole(reply)
    if _size(whole) <= limit_bytes:
        return whole
    text, label = clean(reply.text).strip(), clean(reply.label).strip()
    address = wording.full_answer(reply.url) if reply.url else wording.SHORTENED
    tail = _tail((_options(reply.options), _source(reply.source), address), label, limit_bytes)
    room = limit_bytes - _size(_joined("", *tail)) - _size("\n\n")
    short = clean(reply.short).strip()
    body = short if short and _size(short) <= room else cut(text, room)
    return _joined(body, *tail)


def fits(reply: Reply, limit_bytes: int) -> bool:
    """Whether nothing of a reply has to be left out."""
    return _size(_whole(reply)) <= limit_bytes


def cut(text: str, limit_bytes: int) -> str:
    """The beginning of a text, at most `limit_bytes` of UTF-8, on the boundary of a character.

    Whole where it fits; else it ends with the end of a sentence if one is near, and an ellipsis.
    """
    if _size(text) <= limit_bytes:
        return text
    room = limit_bytes - _size(ELLIPSIS)
    if room <= 0:
        return ""
    kept = text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    end = len(kept)
    # What people see as one character (a family, a flag of accents) is not torn apart.
    while 0 < end < len(text) and (_attaches(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    stop = max(kept.rfind(mark, 0, end) for mark in SENTENCE_ENDS) + 1
    if stop > end * 2 // 3:
        end = stop
    return kept[:end].rstrip() + ELLIPSIS


def _tail(parts: tuple[str, ...], label: str, limit_bytes: int) -> tuple[str, ...]:
    """What comes under a shortened text: those parts for which there is room, then the label."""
    kept: tuple[str, ...] = ()
    for part in parts:
        # A quarter of the room at least is for the text.
        if _size(_joined(*kept, part, label)) <= limit_bytes * 3 // 4:
            kept = (*kept, part)
    return (*kept, label)


def _whole(reply: Reply) -> str:
    text, label = clean(reply.text).strip(), clean(reply.label).strip()
    return _joined(text, _options(reply.options), _source(reply.source), label)


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _options(options: tuple[Option, ...]) -> str:
    if not options:
        return ""
    lines = [
        f"{number}. {_line(option.label, OPTION_CHARACTERS)}"
        for number, option in enumerate(options[:MAX_OPTIONS], start=1)
    ]
    return "\n".join([*lines, wording.choose_by_number(len(lines))])


def _source(source: str) -> str:
    return _line(source, SOURCE_CHARACTERS)


def _line(text: str, characters: int) -> str:
    line = " ".join(clean(text).split())
    return line if len(line) <= characters else line[: characters - 1] + ELLIPSIS


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _attaches(character: str) -> bool:
    """Whether a character is drawn onto the one before it."""
    return (
        unicodedata.combining(character) > 0
        or unicodedata.category(character) in ("Mn", "Me")
        or character in "\u200d\ufe0e\ufe0f"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )
