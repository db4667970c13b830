"""Text → the tokens that lexical search counts; hides segmentation and spelling variants.

Two kinds of token are made side by side. Words (jieba, search mode) carry meaning;
overlapping character pairs survive every mistake of the segmenter. On policy questions the
two together rank clearly better than either alone (docs/adr/0004).
"""

import logging
import re
import unicodedata

import jieba
from opencc import OpenCC

jieba.setLogLevel(logging.WARNING)

_segmenter = jieba.Tokenizer()
_traditional_to_simplified = OpenCC("t2s")

# Zero-width and bidirectional marks come along with copied text and would split words.
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")
_RUN = re.compile(r"[\u3400-\u9fff\U00020000-\U000323af]+|[a-z0-9]+(?:\.[0-9]+)*")

# Function words of questions and of officialese: frequent everywhere, evidence for nothing.
STOP_WORDS = frozenset(
    """
    的 了 和 与 及 或 在 是 有 为 对 由 于 以 等 其 并 按 从 把 被 将 我 你 您 他 她 它 们
    我们 你们 他们 这 那 这个 那个 吗 呢 吧 啊 呀 嘛 哦 请 请问 您好 你好 谢谢 一下 一个
    什么 怎么 怎样 如何 哪些 哪里 哪个 多少 几 能 能否 可以 可否 是否 需要 要 想 应 应当 该
    就 都 也 还 又 再 很 会 到 去 给 让 跟 比 而 但 但是 如果 因为 所以 之 者 所 此 各 有关 相关
    进行 关于 根据 以及 不 没 没有 上 下 中 里 用 做 办 说 知道 问 问题 情况 时候 现在
    """.split()
)


# Words that make a question of a matter: they say nothing about which matter it is.
_ASKING = re.compile(
    "请问|您好|你好|谢谢|怎么办理|怎么办|怎么样|怎么|怎样|如何|什么|哪些|哪里|哪个|多少|是否|能否"
    "|可否|能不能|可不可以|需不需要|有没有|是不是|要不要|吗|呢|吧|呀|嘛|的|了"
)


def normalise(text: str) -> str:
    """Fold spelling variants: NFKC, lower case, simplified characters, no invisible marks."""
    # Half of a surrogate pair, as a cut-off emoji leaves it, is no text to the converter.
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).lower()
    return str(_traditional_to_simplified.convert(text))


def matter(text: str) -> str:
    """What a question is about: the text without its asking words."""
    return _ASKING.sub(" ", text)


def words(text: str) -> list[str]:
    """Segment normalised text into words, long ones also into the shorter words inside them."""
    return [
        word
        for word in _segmenter.cut_for_search(text)
        if word not in STOP_WORDS and _RUN.match(word)
    ]


def segment(text: str) -> list[str]:
    """Segment normalised text into words that follow each other, stop words and all."""
    return list(_segmenter.cut(text))


def general_frequency(word: str) -> int:
    """How often a word occurs in the segmenter's dictionary of general language, 0 for never."""
    _segmenter.initialize()
    return int(_segmenter.FREQ.get(word) or 0)


def general_total() -> int:
    """Sum of all frequencies of general language."""
    _segmenter.initialize()
    return int(_segmenter.total)


def pairs(text: str) -> list[str]:
    """Overlapping character pairs of each Chinese run; Latin words and numbers stay whole."""
    found: list[str] = []
    for run in _RUN.findall(text):
        if run[0] < "\u3400" or len(run) == 1:
            found.append(run)
        else:
            found.extend(run[i : i + 2] for i in range(len(run) - 1))
    return found
