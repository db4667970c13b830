"""Every sentence that the service itself says; kept in one place so that it can be reviewed."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from kb.clock import CHINA, day_of

HOTLINE = "12345政务服务便民热线"
HOTLINE_PHONE = "12345"

GREETING = "您好，我可以解答社保、医保、公积金、户籍、办证、办企业等政策问题。请直接说您想办的事。"
THANKS = "不客气，还有问题随时问我。"
TO_PERSON = "正在为您转人工，工作人员接入后会在这里回复您。着急的话也可以直接拨打12345。"
TO_HOTLINE = "需要人工服务，请拨打12345，把您刚才的问题告诉接线员就行。"
OPERATOR_HERE = "工作人员已接入，您有什么想说的，请直接写在这里。"
OPERATOR_LEFT = "这位工作人员暂时离开，正在为您转给另一位，请稍等。"
OPERATOR_DONE = "这次人工服务到这里结束。还有问题，随时接着问我。"
OPERATORS_BUSY = (
    "抱歉，让您久等了，工作人员都在忙，这次没能接上。您可以拨打12345，或者稍后再说“转人工”。"
)
OPERATOR_IDLE = "有一会儿没有新消息了，这次人工服务先到这里。还需要的话，再说“转人工”就行。"
OPERATORS_CLOSED = (
    "现在不是人工服务时间（{hours}），{next}起有工作人员，到时再说“转人工”就行。"
    "着急的话请拨打{phone}。"
)
STOPPED = "自动回答正在维护，暂时停用，请稍后再来。着急的话请拨打{phone}，或者说“转人工”。"
NO_MATCH = "抱歉，知识库里没有能确切回答这个问题的政策，我不想给您不可靠的答案。{where}咨询。"
PASSED_ON = "您的话已转给工作人员，请等待回复。"
FROM_OPERATOR = "【人工】"
DANGER = (
    "您的安全最要紧。遇到危险请立刻拨打110，需要急救请拨打120，发生火灾请拨打119；"
    "心里难受撑不住时，可以拨打12356心理援助热线，24小时都有人听您说。"
)
TRY_AGAIN = "抱歉，系统刚才出了点问题，请稍后再试，或拨打12345咨询。"
WELCOME = (
    "您好，欢迎关注！您可以直接发文字问政策，比如“居住证怎么办”“灵活就业怎么交医保”。"
    "我只按本地现行有效的政策回答，并写明依据；找不到时会如实告诉您该问谁。"
)
PLEASE_WRITE = "抱歉，我现在只看得懂文字。请把您想问的事用一句话写下来发给我，或拨打12345咨询。"
STILL_LOOKING = "您的问题需要多查一会儿，请过几秒回复数字 1 查看答案。"
CLARIFY = "您想问的是下面哪一个？"
CLARIFY_ONE = "您想问的是下面这个吗？如果不是，请换个说法再问一次，或拨打12345。"
WHICH_PLACE = "各地规定不一样，您问的是哪里？"
WHO_ARE_YOU = "不同的人规定不一样，您属于哪一种？"
NONE_OF_THEM = "抱歉，没有您要问的。请换个说法，用一句话说清您想办的事，或拨打12345咨询。"
NOTHING_BEFORE = "我这里没有刚才的对话了。请直接说您想问的事。"
NO_BASIS = "刚才的回答没有引用政策条文。您可以拨打12345核实。"
NOTED = "好的，还有问题随时问我。"
NOT_LISTED = "这个网站还没有登记，不能在这里提问。您可以打开政策问答网页，或拨打12345咨询。"
TOO_FAST = "您问得有点快，请稍等一会儿再问。着急的话可以直接拨打12345。"
CLAUSE_LEAD = "暂时没有整理好的问答，为您找到相关的政策原文："
# The notice that GB 45438-2025 asks to stand with every text that a model wrote.
GENERATED = "内容由AI生成，仅供参考，以政策原文为准"
SHORTENED = "（内容较长，这里只显示了开头部分，完整内容可拨打12345咨询。）"
NEWS_TITLE = "为您找到了答复，点开查看全文"

VALIDITY = {
    "in_force": "现行有效",
    "not_yet": "尚未施行",
    "amended": "已修改",
    "repealed": "已废止",
    "expired": "已失效",
    "unknown": "本库未收录原文",
}

KINDS = {
    "entry": "问答",
    "document": "政策文件",
    "clause": "政策条款",
    "interpretation": "政策解读",
}


def whom_to_ask(department: str, phone: str) -> str:
    """The middle of a sentence: whom to turn to."""
    return f"建议联系{department}（电话{phone}）" if department != HOTLINE else f"建议拨打{phone}"


def understood_as(rewrites: Sequence[Mapping[str, str]]) -> str:
    """What was changed in a question, or looked for besides; empty for nothing.

    Args:
        rewrites: as in the JSON of an answer.
    """
    whole = [each["to"] for each in rewrites if each["kind"] == "follow_up"]
    # A whole question has in it what was put right in the half of it.
    read = whole or [each["to"] for each in rewrites if each["kind"] in ("typo", "pinyin")]
    added = [each["to"] for each in rewrites if each["kind"] == "synonym"]
    sentences = []
    if read:
        sentences.append(f"已按{_quoted(read)}为您查找。")
    if added:
        sentences.append(f"同时查找了{_quoted(added)}。")
    sentences += [
        rules_of(each["from"], each["to"]) for each in rewrites if each["kind"] == "place"
    ]
    return "".join(sentences)


def rules_of(asked: str, found: str) -> str:
    """Whose rules an answer gives, where a place was asked for."""
    if asked == found:
        return f"以下是{found}的规定。"
    return f"未找到{asked}的规定，以下是{found}的规定。"


def no_rules_of(place: str, phone: str) -> str:
    """An honest refusal for a place of which the base has nothing that fits."""
    return (
        f"抱歉，知识库里没有{place}关于这个问题的规定，我不想拿别处的规定来回答您。"
        f"建议拨打当地的{phone}咨询。"
    )


def still_unclear(department: str, phone: str) -> str:
    """What is said instead of asking back a second time."""
    whom = f"{department}（电话{phone}）" if department != HOTLINE else phone
    return (
        "抱歉，还是没能确定您想问的是哪一件事。"
        f"可以看看下面几个问题，或联系{whom}，把事情直接告诉工作人员。"
    )


def no_such_number(count: int) -> str:
    """Kind words to a number that stands for nothing."""
    if not count:
        return "现在没有可以按序号选的内容，请直接说您想问的事。"
    return f"没有这个序号，可选的是1到{count}。请回复其中一个，或直接说您想问的事。"


def item_of(number: int, text: str) -> str:
    """One item of the last answer, verbatim."""
    return f"刚才回答的第{number}点：\n{text}"


def no_such_item(number: int) -> str:
    """The last answer has no such item."""
    return f"刚才的回答没有第{number}点。完整的回答是："


def quoted_again(title: str, locator: str, text: str) -> str:
    """A basis of the last answer, verbatim."""
    return f"《{title}》{locator}\n{text or '（本库未收录原文）'}"


def _quoted(words: Sequence[str]) -> str:
    return "、".join(f"“{each}”" for each in dict.fromkeys(words))


def display_date(day: date | None) -> str:
    """A date as GB/T 9704 writes it: 2025年5月1日."""
    return f"{day.year}年{day.month}月{day.day}日" if day else ""


def percent(probability: float) -> str:
    """A probability in words people use; nothing that was only estimated is quite certain."""
    return f"{min(round(probability * 100), 99)}%"


def display_day_of(moment: datetime) -> str:
    """The day in China on which something happened."""
    return display_date(day_of(moment))


def display_time_of(moment: datetime) -> str:
    """The time of the day in China at which something happened: 10:05."""
    return f"{moment.astimezone(CHINA):%H:%M}"


def display_moment_of(moment: datetime) -> str:
    """The day and time in China at which something happened: 1月15日 10:05."""
    there = moment.astimezone(CHINA)
    return f"{there.month}月{there.day}日 {there:%H:%M}"


def display_second_of(moment: datetime) -> str:
    """The second in China at which something happened: 2026-01-15 10:05:09."""
    return f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"


def not_in_force(title: str, validity: str, day: date | None, successor: str) -> str:
    """Why a document that fits the question is not used, and what took its place."""
    when = display_date(day)
    said = {
        "repealed": f"已于{when}废止" if when else "已废止",
        "expired": f"有效期已于{when}届满" if when else "已失效",
        "not_yet": f"将于{when}起施行，目前尚未生效" if when else "尚未施行",
        "amended": "已修改，该版本不再适用",
    }[validity]
    tail = f"现在适用《{successor}》。" if successor else "请以现行有效的文件为准。"
    return f"与您问题最相关的《{title}》{said}，不能作为现行依据。{tail}"


def basis_amended(title: str, day: date) -> str:
    """Why an answer that fits the question is held back: its basis says something else now."""
    return (
        f"与您问题最相关的答复，依据的《{title}》已于{display_date(day)}修改，"
        "原来的答复不再适用，正在按新规定修订。请以文件现在的规定为准。"
    )


def banner(level: str, text: str) -> str:
    """A notice to everybody, before an answer."""
    return f"【{level}】{text}"


def full_answer(url: str) -> str:
    """Where to read on, under a text that had to be shortened."""
    return f"内容较长，查看全文：{url}"


def choose_by_number(count: int) -> str:
    """How to choose among numbered questions where nothing can be tapped."""
    numbers = "、".join(str(number) for number in range(1, count + 1))
    return f"回复序号（{numbers}）即可选择。"


def cannot_read(problem: str) -> str:
    """Why a message cannot be answered, and what to do instead."""
    return f"抱歉，{problem}。请把您想问的事用一句话写下来，或拨打{HOTLINE_PHONE}咨询。"


def ask_instead(department: str, phone: str) -> str:
    """Whom to ask, in one sentence."""
    return f"如需帮助，可联系{department}（电话{phone}）。"


def basis(title: str, locator: str) -> str:
    """The basis of an answer, in one line."""
    return f"依据：《{title}》{locator}"
