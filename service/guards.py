"""What is checked before a question is answered or stored; hides the patterns.

Identity numbers (GB 11643 checksum), bank cards (Luhn), mobile numbers and plates are masked
before anything is stored or logged, as the Personal Information Protection Law asks.
"""

import re
import unicodedata
from collections.abc import Callable

MAX_QUESTION = 500
# A remark is short, and so is the time that its pattern takes.
MAX_REMARK = 20

_DIGITS = re.compile(r"(?<![\d.])\d(?:[ -]?[\dXx]){10,18}(?![\d])")
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][·\s]?[A-Z0-9]{5,6}"
)
# Zero-width characters, which would hide a number from the patterns and not from a reader.
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]")
_NARROW = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_GREETING = re.compile(
    r"^(你好|您好|哈喽|嗨|hi|hello|在吗|有人吗|早上好|下午好|晚上好)[啊呀吗的。！!~，, ]*$", re.I
)
_THANKS = re.compile(
    r"^(?:(?:好的?|嗯+|哦+|行|知道了|明白了|清楚了)[，, ]*)?(?:谢谢|多谢|感谢|辛苦了|再见|拜拜)"
    r"(?:你|您|了|啦|啊|呀|哈|[。！!~ ])*$"
)
_NOTED = re.compile(
    r"^(?:嗯|哦|噢|喔|好|行|可以|ok|okay|知道|明白|懂了|收到|了解|原来如此)"
    r"(?:嗯|哦|好|知道|明白|收到|[啊呀吧哈了的。！!~，, ])*$",
    re.I,
)
# A whole clause that asks for a person; 人工 inside a question is a word like any other.
_PERSON = re.compile(
    r"(?:请|麻烦|快|赶紧|马上|立刻|直接|给我|帮我|我|要|想|需要|能不能|能|可以|可不可以|怎么|如何|还是|那|就)*"
    r"(?:转接?|找|接|叫|换|连|来|和|跟|联系)?(?:一下|个|到|成|给)?(?:你们的?)?"
    r"(?:人工|真人|活人|客服人员)"
    r"(?:客服|服务|坐席|座席|接听|回答|处理|咨询|聊|说话|说)*(?:吧|吗|啊|呀|行吗|好吗|可以吗|谢谢|一下|来)*"
)
_CLAUSES = re.compile(r"[，,。.！!？?；;\s]+")
_DANGER = re.compile(
    r"不想活|想自杀|想死(?!亡)|要自杀|[要想]割腕|[要想]跳楼|活不下去|救命|着火了|起火了|正在(打|砍|抢)|要杀(我|人)|家暴.*(现在|正在)"
)


def problem_with(question: str) -> str:
    """What is wrong with a question, in Chinese; empty when it can be asked."""
    if not question.strip():
        return "请输入您的问题"
    if len(question) > MAX_QUESTION:
        return f"问题太长了，请控制在{MAX_QUESTION}个字以内"
    if any(unicodedata.category(char) == "Cs" for char in question) or "\x00" in question:
        return "问题里有无法识别的字符，请重新输入"
    return ""


def clean(question: str) -> str:
    """Remove control characters and fold white space; wording stays as typed."""
    return " ".join(_CONTROL.sub(" ", question).split())


def small_talk(question: str) -> str:
    """Kind of a remark that needs no policy: greeting, thanks, noted,
    person, danger; else empty."""
    said = question.strip()
    if _DANGER.search(said):
        return "danger"
    if any(len(c) <= MAX_REMARK and _PERSON.fullmatch(c) for c in _CLAUSES.split(said)):
        return "person"
    for kind, pattern in (("greeting", _GREETING), ("thanks", _THANKS), ("noted", _NOTED)):
        if len(said) <= MAX_REMARK and pattern.search(said):
            return kind
    return ""


def mask(text: str) -> str:
    """Replace the middle of personal numbers by asterisks, however wide they were typed."""
    text = _INVISIBLE.sub("", text)
    # One character for one: what is found in the narrow text lies at the same place in the other.
    text = _replaced(_DIGITS, _mask_digits, text)
    return _replaced(_PLATE, lambda match: match[0][:2] + "*****", text)


def impersonal(text: str) -> str:
    """A text without personal numbers, which say nothing of what is asked; never empty by it."""
    found = _INVISIBLE.sub("", text)
    found = _replaced(
        _DIGITS, lambda match: "" if _mask_digits(match) != match[0] else match[0], found
    )
    found = _replaced(_PLATE, lambda match: "", found)
    return found if found.strip() else text


def _replaced(pattern: re.Pattern[str], masked: Callable[[re.Match[str]], str], text: str) -> str:
    narrow = text.translate(_NARROW)
    pieces, done = [], 0
    for match in pattern.finditer(narrow):
        hidden = masked(match)
        kept = text[match.start() : match.end()] if hidden == match[0] else hidden
        pieces += [text[done : match.start()], kept]
        done = match.end()
    return "".join([*pieces, text[done:]])


def _mask_digits(match: re.Match[str]) -> str:
    found = match[0]
    bare = re.sub(r"[ -]", "", found).upper()
    if len(bare) == 18 and _is_identity(bare):
        return bare[:6] + "*" * 8 + bare[-4:]
    if len(bare) == 11 and re.fullmatch(r"1[3-9]\d{9}", bare):
        return bare[:3] + "****" + bare[-4:]
    if 15 <= len(bare) <= 19 and bare.isdigit() and _is_card(bare):
        return bare[:4] + "*" * (len(bare) - 8) + bare[-4:]
    return found


def _is_identity(bare: str) -> bool:
    if not bare[:17].isdigit():
        return False
    total = sum(int(digit) * weight for digit, weight in zip(bare, _WEIGHTS, strict=False))
    return _CHECK[total % 11] == bare[17]


def _is_card(bare: str) -> bool:
    """Luhn's checksum (ISO/IEC 7812-1)."""
    total = 0
    for at, digit in enumerate(reversed(bare)):
        value = int(digit) * (2 if at % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
