"""Every sentence that the service itself says; kept in one place so that it can be reviewed."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOTLINE = "12345政务服务便民热线"
HOTLINE_PHONE = "12345"

GREETING = "您好，我可以解答社保、医保、公积金、户籍、办证、办企业等政策问题。请直接说您想办的事。"
THANKS = "不客气，还有问题随时问我。"
TO_PERSON = "已为您转人工服务。您也可以直接拨打12345，说明您刚才的问题。"
DANGER = (
    "您的安全最要紧。遇到危险请立刻拨打110，需要急救请拨打120，发生火灾请拨打119；"
    "心里难受撑不住时，可以拨打12356心理援助热线，24小时都有人听您说。"
)
TRY_AGAIN = "抱歉，系统刚才出了点问题，请稍后再试，或拨打12345咨询。"
CLARIFY = "您想问的是下面哪一个？"
CLARIFY_ONE = "您想问的是下面这个吗？如果不是，请换个说法再问一次，或拨打12345。"
CLAUSE_LEAD = "暂时没有整理好的问答，为您找到相关的政策原文："

VALIDITY = {
    "in_force": "现行有效",
    "not_yet": "尚未施行",
    "amended": "已修改",
    "repealed": "已废止",
    "expired": "已失效",
    "unknown": "本库未收录原文",
}


def no_match(department: str, phone: str) -> str:
    """An honest refusal that says where to turn."""
    where = f"建议联系{department}（电话{phone}）" if department != HOTLINE else f"建议拨打{phone}"
    return f"抱歉，知识库里没有能确切回答这个问题的政策，我不想给您不可靠的答案。{where}咨询。"


def display_date(day: date | None) -> str:
    """A date as GB/T 9704 writes it: 2025年5月1日."""
    return f"{day.year}年{day.month}月{day.day}日" if day else ""


def percent(probability: float) -> str:
    """A probability in words people use; nothing that was only estimated is quite certain."""
    return f"{min(round(probability * 100), 99)}%"


def display_day_of(moment: datetime) -> str:
    """The day in China on which something happened."""
    return display_date(moment.astimezone(SHANGHAI).date())


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
