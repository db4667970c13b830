"""A question and what was spoken of before → a question that stands by itself.

Hides how half a question is told from a new one: by what the base has for either, not by words
alone. The old matter is kept only where its own entries speak of what is asked now.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from embeddings import normalise, segment
from kb.passages import Passage
from kb.search import Scope, Search

# A question of more characters than this stands by itself, unless it points back.
LONG = 40
# Of what is asked now, the old matter's best entry must contain at least this share, and must not
# fall short by more than this of what the best entry for the question alone contains.
SPEAKS, SHORT_OF = 0.3, 0.15
# From this share on, an entry contains all that a question asks.
WHOLE = 0.95
# An entry's own wording.
SAME = 0.8
# Words of the subject.
SUBJECTS = 2

_FILLERS = re.compile(
    "^(?:(?:嗯+|哦+|噢+|好的?|行|对了?|那个|然后呢?|还有|另外|请问|你好|您好|谢谢你?|知道了|明白了)"
    "[，,。 ]+)+"
)
_LEADS = re.compile(r"^(?:那么|那|要是|如果|假如|还有|另外)+(?!边|里|些|种|个|年|天|时)")
_POINTS_BACK = re.compile(
    r"^(?:那|那么|还有|另外|然后)(?!曲|坡)|呢[？?。！!]*$|这个|那个|这种|那种|这笔|这样|它|上面|上边|刚才|刚刚"
    r"|前面|以上|里面|其中|你说的|您说的|还要|还需要|也要|也能|也可以|也得"
)
_INSTEAD = re.compile("呢[？?。！!]*$")
# What can be asked about any matter: papers, money, time, place, way. What remains is the matter.
_ASPECT = "|".join(
    """
        什么时候 委托别人 工作日 几个月 啥时候 手机上 小程序 app 跑一趟 办下来
        批下来 出结果 材料 资料 手续 证件 证明 东西 流程 步骤 程序 条件 要求 资格
        标准 规定 期限 时限 时间 限制 多久 多长 多少 几天 几年 几号 几点 几岁 几次
        何时 截止 最晚 最迟 最多 最少 最快 一般 大概 大约 当天 当场 立刻 马上 提前
        费用 收费 免费 要钱 交钱 花钱 收钱 给钱 付钱 块钱 金额 哪里 哪儿 地方 地点
        地址 窗口 大厅 电话 网上 线上 网站 微信 本人 亲自 代办 别人 家人 现场 表格
        办理 办好 办成 办完 申请 申领 领取 领到 拿到 取到 到账 到手 下来 批准 审核
        审批 出来 结果 结论 回复 答复 通知 准备 提供 提交 需要 必须 一定 应该 可以
        没有 什么 怎么 怎样 如何 哪些 哪个 一下 具体 详细 相关 到底 究竟 请问 知道
        手机 之内 以内 之前 以前 之后 以后 钱 费 哪 跑 填 表 办 领 拿 批 等 查
        看 交 带 去 来 给 弄 搞 做 走 提 收 能 要 得 须 会 有 算 行 成 用
        是 不 没 吗 么 吧 啊 呀 嘛 呢 了 的 地 都 还 也 就 再 又 才 只 咋
        啥 谁 几 多 好 一 个 张 份 次 趟 这 那 它 我 你 您 他 她 们 在 到
        从 和 跟 对 请 想 问 说 些 新 旧 着 过 得 最 时候 天 日 月 年 周 小时 晚 早
    """.split()
)
# Somebody who says how it is with them goes on with what was spoken of.
_OWN = re.compile(
    "我(?:是|在|有|没|们|家|这|今年|已经|只|才|总共|一共|人|的|户口|老家)|(?:属于|算是)"
)
_ASPECTS = re.compile(f"(?:{_ASPECT}|\\W)+")
_CHARACTER = re.compile(r"[a-z0-9\u3400-\u9fff]")


@dataclass(frozen=True)
class Matter:
    """What a conversation is about.

    Attributes:
        question: the last one that stood by itself.
        subject: what the question and those near it in the base speak of: "居住证".
    """

    question: str = ""
    subject: str = ""


class FollowUps:
    """Makes a question complete with what was spoken of before."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def standalone(self, text: str, matter: Matter, scope: Scope) -> str:
        """The question with the old matter named, or as it stands where it is complete."""
        asked = bare(text)
        back = bool(_POINTS_BACK.search(text))
        if not matter.question or (len(asked) > LONG and not back):
            return text
        now = content(asked)
        if not now:
            return _joined(matter.question, asked) if _CHARACTER.search(asked) else text
        narrow, whole = _joined(matter.subject, asked), _joined(matter.question, asked)
        alone, *found = self._search.glimpse((asked, narrow, whole), scope)
        if alone and alone.closeness >= SAME:
            return text
        covered = self._search.covered
        of_alone = covered(now, alone) if alone else 0.0
        of_narrow, of_whole = (covered(now, each) if each else 0.0 for each in found)
        if max(of_narrow, of_whole) < max(SPEAKS, of_alone - SHORT_OF):
            # Nobody speaks of it: what ties it to the old matter decides.
            tied = back or bool(_OWN.match(asked))
            return narrow if tied and of_alone < SPEAKS else text
        # 丢了呢 takes the place of the old deed; what else fits the old question goes on with it.
        instead = bool(_INSTEAD.search(asked))
        keep = of_whole > of_narrow or (of_whole == of_narrow and not instead)
        best, wording = (found[1], whole) if keep else (found[0], narrow)
        needless = alone and best and alone.key == best.key and of_alone >= WHOLE
        return text if needless and not back else wording


def matter_of(question: str, passages: Sequence[Passage]) -> Matter:
    """What a question that stands by itself is about, by what was found for it.

    The subject is what the best entry and its neighbours share: for 居住证怎么办理 it is 居住证.
    """
    entries = [passage for passage in passages if passage.kind == "entry"]
    best, others = next(iter(entries), None), entries[1:]
    asked = list(dict.fromkeys(_subjects(question)))
    own = [*asked, *(_named(best) if best else ())]
    near = [each for each in others if best and each.topic == best.topic]
    counts = Counter(word for each in near for word in set(_named(each)))
    shared = sorted(
        (word for word in dict.fromkeys(own) if counts[word]),
        key=lambda word: (-counts[word], word not in asked, -len(word)),
    )
    chosen = shared[:SUBJECTS] or sorted(asked, key=len)[-1:]
    return Matter(question, " ".join(chosen) or question)


def asks_of_any(text: str) -> bool:
    """Whether a text names no matter of its own: 那要什么材料, 多久能办好."""
    return not content(bare(text))


def bare(text: str) -> str:
    """A question without the words that only tie it to what was said before."""
    text = _FILLERS.sub("", text.strip())
    return _LEADS.sub("", text).strip(" ，,") or text


def content(text: str) -> str:
    """What a question names besides what can be asked about any matter; empty for nothing."""
    words = (" " if _ASPECTS.fullmatch(word) else word for word in segment(normalise(text)))
    return " ".join("".join(words).split())


def _subjects(text: str) -> Iterable[str]:
    return (
        word for word in segment(normalise(text)) if len(word) > 1 and not _ASPECTS.fullmatch(word)
    )


def _named(passage: Passage) -> Iterable[str]:
    return _subjects(" ".join((passage.title, *passage.tags)))


def _joined(matter: str, asked: str) -> str:
    return f"{matter.rstrip('？?。！! ')}，{asked}"
