"""What administrators set while the service runs: each with name, kind, range and explanation.

Hides how a value is typed into a form, checked and kept. Who keeps it is `service.tuning`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, time, timedelta
from string import Formatter
from typing import Any

from kb.clock import CHINA
from kb.understanding import STEPS
from service import wording
from service.working_days import is_working_day

CHANNELS = {
    "web": "网页",
    "widget": "网站小窗",
    "wechat": "微信公众号",
    "wecom": "企业微信",
    "dingtalk": "钉钉",
    "feishu": "飞书",
    "hotline": "热线",
    "api": "其他系统接口",
}
# All of them, also those that are added later.
EVERYWHERE = "all"
STEP_NAMES = {
    "typo": "改错字",
    "pinyin": "认拼音",
    "fuzzy": "认拼音时不分平翘舌、前后鼻音、n和l、h和f",
    "synonym": "补上规范的说法",
    "follow_up": "把追问补完整",
    "place": "认出问题里的地名",
}
LEVELS = {"info": "一般通知", "warning": "重要提醒", "urgent": "紧急通知"}
DAYS = {"always": "随时有人", "working": "工作日（按国务院办公厅节假日安排）", "daily": "每天"}
MOMENT = "%Y-%m-%dT%H:%M"
# Days ahead in which the next opening is looked for: longer than any holiday.
AHEAD = 30
MOST_TEXT = 300

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f<>]")


@dataclass(frozen=True)
class Tunable:
    """What is known of a setting.

    Attributes:
        kind: share, choice, several, switch, text, clock or moment.
        options: value → label, for choice and several.
        placeholders: what must stand in a text in braces, as {phone}; others may not.
        hidden: whether a form of its own changes it rather than the list.
    """

    name: str
    label: str
    about: str
    section: str
    kind: str
    default: Any
    options: Mapping[str, str] = field(default_factory=dict)
    placeholders: Sequence[str] = ()
    most: int = MOST_TEXT
    required: bool = False

    def read(self, typed: Sequence[str]) -> Any:
        """The value of what a form says.

        Raises:
            ValueError: it does not hold; the words are for the administrator.
        """
        first = typed[0].strip() if typed else ""
        return _READERS[self.kind](self, typed if self.kind == "several" else [first])

    def shown(self, value: Any) -> str:
        """A value in words."""
        if self.kind == "share":
            return f"{value * 100:g}%"
        if self.kind == "switch":
            return "开" if value else "关"
        if self.kind == "choice":
            return self.options.get(value, value)
        if self.kind == "several":
            return "、".join(self.options.get(each, each) for each in value) or "无"
        return str(value).replace("T", " ") or "（空）"


def _tunable(default: Any, label: str, about: str, **rest: Any) -> Any:
    return field(default=default, metadata={"label": label, "about": about, **rest})


def _share(default: float, label: str, about: str) -> Any:
    return _tunable(default, label, about, section="answers", kind="share")


def _words(default: str, label: str, about: str, placeholders: Sequence[str] = ()) -> Any:
    rest = {"section": "words", "kind": "text", "placeholders": placeholders, "required": True}
    return _tunable(default, label, about, **rest)


@dataclass(frozen=True)
class Tuned:
    """All of these settings at one moment."""

    wrong_entries: float = _share(
        0.15,
        "用标准答案作答，最多允许答错",
        "越小越谨慎：把握不够的就追问或如实说不知道，答得少、错得少。",
    )
    wrong_clauses: float = _share(
        0.3, "引用政策条文作答，最多允许引错", "没有标准答案时引用条文。越小，引用得越少、越准。"
    )
    wrong_options: float = _share(
        0.75,
        "请群众选择时，最多允许选项不对",
        "“您想问的是下面哪一个”里，允许没有一个对的比例。越大，追问越多，直接说不知道越少。",
    )
    steps: tuple[str, ...] = _tunable(
        STEPS,
        "理解问题的步骤",
        "去掉勾选，就不做这一步。改动后几秒内生效。",
        section="understanding",
        kind="several",
        options=STEP_NAMES,
    )
    stopped: tuple[str, ...] = _tunable(
        (),
        "已停止自动回答的渠道",
        "停止后，群众看到的是下面“停止自动回答时”那句话和热线电话；转人工照常。",
        section="stop",
        kind="several",
        options={EVERYWHERE: "全部渠道", **CHANNELS},
    )
    banner: str = _tunable(
        "",
        "通知内容",
        "显示在提问页、检索页和网站小窗的最上面；微信等渠道每次对话说一次。只能是文字。不填就没有通知。",
        section="banner",
        kind="text",
        most=200,
    )
    banner_level: str = _tunable(
        "info",
        "通知的级别",
        "紧急通知用红色标出。",
        section="banner",
        kind="choice",
        options=LEVELS,
    )
    banner_from: str = _tunable(
        "", "从什么时候开始显示", "北京时间；不填就是现在。", section="banner", kind="moment"
    )
    banner_until: str = _tunable(
        "",
        "到什么时候为止",
        "北京时间；不填就一直显示，直到有人撤下。",
        section="banner",
        kind="moment",
    )
    open_days: str = _tunable(
        "always",
        "哪些日子有人工坐席",
        "不在服务时间里的“转人工”不排队，而是告诉群众什么时候有人。",
        section="hours",
        kind="choice",
        options=DAYS,
    )
    open_from: str = _tunable(
        "09:00",
        "几点开始",
        "24小时制，如 09:00。选“随时有人”时不起作用。",
        section="hours",
        kind="clock",
    )
    open_until: str = _tunable(
        "17:00", "几点结束", "24小时制，应晚于开始的时间。", section="hours", kind="clock"
    )
    greeting: str = _words(wording.GREETING, "问候", "群众说“你好”时，以及小窗打开时说。")
    welcome: str = _words(wording.WELCOME, "关注后的欢迎", "微信等渠道，刚关注或第一次打开时说。")
    refusal: str = _words(
        wording.NO_MATCH,
        "没有确切答案时",
        "{where}会换成该联系的单位和电话，必须保留。",
        ("where",),
    )
    stopped_words: str = _words(
        wording.STOPPED,
        "停止自动回答时",
        "{phone}会换成热线电话，必须保留。",
        ("phone",),
    )
    closed_words: str = _words(
        wording.OPERATORS_CLOSED,
        "不在人工服务时间时",
        "{hours}会换成服务时间，{next}换成下一次有人的时间，{phone}换成热线电话，都必须保留。",
        ("hours", "next", "phone"),
    )
    to_person: str = _words(wording.TO_PERSON, "转人工时", "已经排上队，等待坐席接入时说。")
    to_hotline: str = _words(wording.TO_HOTLINE, "转人工但这里接不了时", "应写明可以拨打的电话。")

    def says_stopped(self, channel: str) -> bool:
        """Whether nothing is answered automatically on a channel."""
        return EVERYWHERE in self.stopped or channel in self.stopped

    def banner_at(self, now: datetime) -> "Banner | None":
        """What is to be made known at a moment; None for nothing."""
        if not self.banner:
            return None
        begin = _moment(self.banner_from)
        until = _moment(self.banner_until)
        if (begin and now < begin) or (until and now >= until):
            return None
        return Banner(self.banner, self.banner_level, LEVELS[self.banner_level], begin)

    def open_at(self, now: datetime) -> bool:
        """Whether there are operators at a moment."""
        there = now.astimezone(CHINA)
        return self.open_days == "always" or (
            self._opens_on(there.date())
            and time.fromisoformat(self.open_from)
            <= there.time()
            < time.fromisoformat(self.open_until)
        )

    def closed_at(self, now: datetime) -> str:
        """What is said where somebody asks for a person while nobody is there."""
        days = {"working": "工作日", "daily": "每天"}.get(self.open_days, "")
        return self.closed_words.format(
            hours=f"{days}{self.open_from}到{self.open_until}",
            next=self._next_opening(now.astimezone(CHINA)),
            phone=wording.HOTLINE_PHONE,
        )

    def no_match(self, department: str, phone: str) -> str:
        """An honest refusal that says where to turn."""
        return self.refusal.format(where=wording.whom_to_ask(department, phone))

    def _opens_on(self, day: date) -> bool:
        return self.open_days == "daily" or is_working_day(day)

    def _next_opening(self, there: datetime) -> str:
        begin = time.fromisoformat(self.open_from)
        for ahead in range(AHEAD):
            day = there.date() + timedelta(days=ahead)
            if self._opens_on(day) and (ahead or there.time() < begin):
                named = {0: "今天", 1: "明天"}.get(ahead, f"{day.month}月{day.day}日")
                return f"{named}{self.open_from}"
        return self.open_from


@dataclass(frozen=True)
class Banner:
    """A notice to everybody.

    Attributes:
        since: from when on it was to be shown; None for as soon as it was written.
    """

    text: str
    level: str
    level_name: str
    since: datetime | None


SECTIONS = {
    "answers": "答得多，还是答得准",
    "understanding": "怎样理解问题",
    "banner": "通知",
    "hours": "人工服务时间",
    "words": "服务说的话",
    "stop": "紧急停止",
}
TUNABLES: Mapping[str, Tunable] = {
    each.name: Tunable(name=each.name, default=each.default, **each.metadata)
    for each in fields(Tuned)
}


def problems_of(values: Mapping[str, Any]) -> dict[str, str]:
    """What does not hold between settings that hold by themselves, by name."""
    found = {}
    begin, until = values["banner_from"], values["banner_until"]
    if begin and until and until <= begin:
        found["banner_until"] = "结束的时间应晚于开始的时间"
    if values["open_days"] != "always" and values["open_until"] <= values["open_from"]:
        found["open_until"] = "结束的时间应晚于开始的时间"
    return found


def _moment(text: str) -> datetime | None:
    return datetime.strptime(text, MOMENT).replace(tzinfo=CHINA) if text else None


def _read_share(tunable: Tunable, typed: Sequence[str]) -> float:
    text = typed[0].rstrip("%％").strip()
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise ValueError("请填0到100之间的数，如 15")
    return round(value / 100, 4)


def _read_choice(tunable: Tunable, typed: Sequence[str]) -> str:
    if typed[0] not in tunable.options:
        raise ValueError(f"请从{'、'.join(tunable.options.values())}里选一个")
    return typed[0]


def _read_several(tunable: Tunable, typed: Sequence[str]) -> tuple[str, ...]:
    unknown = [each for each in typed if each not in tunable.options]
    if unknown:
        raise ValueError("有不认识的选项，请重新选择")
    return tuple(each for each in tunable.options if each in typed)


def _read_clock(tunable: Tunable, typed: Sequence[str]) -> str:
    if not _CLOCK.fullmatch(typed[0]):
        raise ValueError("请按24小时制填写，如 09:00")
    return typed[0]


def _read_moment(tunable: Tunable, typed: Sequence[str]) -> str:
    text = typed[0].replace(" ", "T")
    try:
        return datetime.strptime(text, MOMENT).strftime(MOMENT) if text else ""
    except ValueError:
        raise ValueError("请按“年-月-日 时:分”填写，如 2026-05-01 09:00") from None


def _read_text(tunable: Tunable, typed: Sequence[str]) -> str:
    text = "\n".join(line.strip() for line in typed[0].splitlines()).strip()
    if tunable.required and not text:
        raise ValueError("不能为空；不想改就用“恢复默认”")
    if len(text) > tunable.most:
        raise ValueError(f"最多{tunable.most}个字，现在是{len(text)}个")
    if _CONTROL.search(text):
        raise ValueError("只能是文字，不能有 < > 等代码符号")
    if tunable.required:
        _check_placeholders(tunable, text)
    return text


def _check_placeholders(tunable: Tunable, text: str) -> None:
    try:
        pieces = list(Formatter().parse(text))
    except ValueError:
        raise ValueError("花括号 { } 没有成对") from None
    # Nothing but the bare name: {phone.x} or {phone!r:>9} would reach into the program.
    used = [
        name if not spec and conversion is None else f"{name}…"
        for _, name, spec, conversion in pieces
        if name is not None
    ]
    missing = [f"{{{each}}}" for each in tunable.placeholders if each not in used]
    unknown = [f"{{{each}}}" for each in used if each not in tunable.placeholders]
    if missing:
        raise ValueError(f"缺少{'、'.join(missing)}")
    if unknown:
        raise ValueError(f"这里不能用{'、'.join(unknown)}")


_READERS: Mapping[str, Callable[[Tunable, Sequence[str]], Any]] = {
    "share": _read_share,
    "choice": _read_choice,
    "several": _read_several,
    "clock": _read_clock,
    "moment": _read_moment,
    "text": _read_text,
}
