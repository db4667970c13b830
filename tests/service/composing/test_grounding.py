"""A text that says more than its source is refused; one that says the same is not."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.composing.grounding import LONGEST, objection
from tests.kb.test_figures import in_chinese

ALLOWANCE = (
    "《关于发放取暖补贴的通知》（某政办发〔2025〕8号）二：\n"
    "补贴标准。年满六十五周岁的低保家庭成员，每户每个采暖季补贴一千二百元，"
    "十二月底前打入一卡通；已由单位报销的不予补贴。"
)
PERMIT = (
    "《示例市居住证服务管理办法》（示例政发〔2025〕3号）第八条：\n"
    "申领居住证，应当向居住地公安派出所提交本人居民身份证、本人相片以及居住地住址、就业、就读等"
    "证明材料。公安机关应当自受理之日起15日内制作发放居住证；特殊情况可以延长，但最长不得超过30日。"
)
BENEFIT = (
    "《失业保险条例》第十七条：\n失业人员失业前用人单位和本人累计缴费满1年不足5年的，领取失业保险金的"
    "期限最长为12个月；累计缴费满5年不足10年的，领取失业保险金的期限最长为18个月；累计缴费10年以上的，"
    "领取失业保险金的期限最长为24个月。"
)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("已由单位报销的不予补贴，其他低保家庭每户每个采暖季补贴1200元。", ALLOWANCE),
        ("65岁以上的低保家庭，每户1,200元，12月底前打到一卡通；单位已报销的不予补贴。", ALLOWANCE),
        ("根据某政办发〔2025〕8号，每户补贴0.12万元，已由单位报销的不再补贴。", ALLOWANCE),
        ("带上本人身份证、相片和住址、就业或者就读的证明，到居住地公安派出所申领。\n"
         "公安机关受理后15日内发证，特殊情况最长30天。", PERMIT),
        ("依据《示例市居住证服务管理办法》第8条，公安机关十五日内制作发放居住证。", PERMIT),
        ("累计缴费满1年不足5年的，最长领12个月；满5年不足10年的，最长领18个月；\n"
         "10年以上的，最长领24个月。", BENEFIT),
        ("失业保险金最长可以领12个月到24个月，看累计缴费年限。", BENEFIT),
    ],
)  # fmt: skip
def test_the_same_in_other_words_is_accepted(text: str, source: str) -> None:
    assert objection(text, source) == ""


@pytest.mark.parametrize(
    ("text", "source", "reason"),
    [
        ("", ALLOWANCE, "empty"),
        ("　\n", ALLOWANCE, "empty"),
        ("每户每个采暖季补贴" * 80, ALLOWANCE, "length"),
        ("Each household gets an allowance.", ALLOWANCE, "language"),
        ("每户每个采暖季补贴，请看 PDF。", ALLOWANCE, "language"),
        ("取暖補助を支給します", ALLOWANCE, "language"),
        ("每户每个采暖季都有补贴😀", ALLOWANCE, "language"),
        ("<b>每户每个采暖季补贴</b>", ALLOWANCE, "language"),
        ("<每户每个采暖季补贴>", ALLOWANCE, "address"),
        ("[每户每个采暖季](补贴)", ALLOWANCE, "address"),
        ("每户每个采暖季补贴，见www.某市.cn", ALLOWANCE, "language"),
        ("每户每个采暖季补贴://", ALLOWANCE, "address"),
        ("依据《某市补贴办法》，每户每个采暖季补贴。", ALLOWANCE, "title"),
        ("每户每个采暖季补贴，到市民政局申请。", ALLOWANCE, "department"),
        ("每户每个采暖季补贴，到区民政部门或者街道办事处申请。", ALLOWANCE, "department"),
        ("每户每个采暖季全额补贴。", ALLOWANCE, "promise"),
        ("办理居住证当场发放、免费。", PERMIT, "promise"),
        ("每户每个采暖季补贴1500元。", ALLOWANCE, "figure"),
        ("每户每个采暖季补贴一千五百元。", ALLOWANCE, "figure"),
        ("每户每个采暖季补贴1200。", ALLOWANCE, "denial"),
        ("每户每个采暖季补贴12万元。", ALLOWANCE, "figure"),
        ("每人每个采暖季补贴1200人。", ALLOWANCE, "figure"),
        ("每户每个采暖季补贴百分之十二。", ALLOWANCE, "figure"),
        ("每户每个采暖季补贴，11月底前打入一卡通。", ALLOWANCE, "figure"),
        ("每户每个采暖季补贴，十二月底后打入一卡通。", ALLOWANCE, "figure"),
        ("年满六十周岁的低保家庭成员补贴。", ALLOWANCE, "figure"),
        ("不满六十五周岁的低保家庭成员补贴。", ALLOWANCE, "figure"),
        ("依据第三条，每户每个采暖季补贴。", ALLOWANCE, "figure"),
        ("依据国办发〔2025〕8号，每户每个采暖季补贴。", ALLOWANCE, "figure"),
        ("依据某政办发〔2025〕9号，每户每个采暖季补贴。", ALLOWANCE, "figure"),
        ("补贴咨询0532-12345678。", ALLOWANCE, "figure"),
        ("补贴咨询１３８００１３８０００。", ALLOWANCE, "figure"),
        ("补贴咨询1 3 8 0 0 1 3 8 0 0 0。", ALLOWANCE, "figure"),
        ("每户每个采暖季补贴一千二百元，已由单位报销的可以补贴。", ALLOWANCE, "denial"),
        ("公安机关15个工作日内制作发放居住证。", PERMIT, "figure"),
        ("公安机关30日内制作发放居住证，最长15年。", PERMIT, "figure"),
        ("居住证最短30日发放。", PERMIT, "figure"),
        ("累计缴费10年以下的，最长领24个月。", BENEFIT, "figure"),
        ("缴费满1年，不能领取。", "《某条例》第一条：\n累计缴费满1年可以领取保险金。", "denial"),
        ("天气很好，出门记得带伞。", PERMIT, "subject"),
        ("公安机关制作发放居住证，不得收押金。退伍老兵优先排队。", PERMIT, "subject"),
    ],
)  # fmt: skip
def test_what_the_source_does_not_say_is_refused(text: str, source: str, reason: str) -> None:
    assert objection(text, source) == reason


def test_a_prohibition_counts_where_the_text_speaks_of_its_item() -> None:
    items = "《某措施》三：\n（一）见习期限三至十二个月。\n（二）参加培训的给予补贴，不得重复享受。"
    assert objection("未就业的，见习期限3至12个月。", items) == ""
    assert objection("未就业的，参加培训的给予补贴。", items) == "denial"
    assert objection("参加培训的给予补贴，不能重复享受。", items) == ""


def test_an_empty_source_supports_nothing() -> None:
    assert objection("可以办理。", "") == "subject"


def test_the_longest_text_is_still_read() -> None:
    sentence = "已由单位报销的不予补贴。"
    assert objection(sentence * (LONGEST // len(sentence)), ALLOWANCE) == ""


KNOWN = {"8": 8, "2025": 2025, "2": 2, "65": 65, "1200": 1200, "12": 12, "1": 1}
UNITS = ["元", "万元", "日", "个月", "年", "%", "周岁", "个工作日", "人", "次", "", "条", "平方米"]


@given(st.integers(0, 10**8 - 1), st.sampled_from(UNITS), st.booleans(), st.booleans())
def test_a_number_that_the_source_lacks_is_refused(
    value: int, unit: str, chinese: bool, ordinal: bool
) -> None:
    assume(value not in KNOWN.values() and value * 10_000 not in KNOWN.values())
    shown = in_chinese(value) if chinese and value else str(value)
    said = f"已由单位报销的不予补贴，每户每个采暖季补贴{'第' if ordinal else ''}{shown}{unit}。"
    assert objection(said, ALLOWANCE) == "figure"


@given(
    st.dates(), st.sampled_from(["{0.year}年{0.month}月{0.day}日", "{0.month}月{0.day}日", "{0}"])
)
def test_a_date_that_the_source_lacks_is_refused(day: object, pattern: str) -> None:
    said = f"已由单位报销的不予补贴，每户每个采暖季补贴，{pattern.format(day)}打入一卡通。"
    assert objection(said, ALLOWANCE) == "figure"


@given(st.text(), st.text())
def test_any_text_can_be_judged(text: str, source: str) -> None:
    objection(text, source)
