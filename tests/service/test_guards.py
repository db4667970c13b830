"""What is masked, refused and recognised before a question is answered."""

import pytest

from service.guards import MAX_QUESTION, clean, impersonal, mask, problem_with, small_talk


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        # The check digit is right, so it is an identity number.
        ("我的身份证是11010519491231002X", "我的身份证是110105********002X"),
        ("号码 13812345678 打不通", "号码 138****5678 打不通"),
        ("138 1234 5678", "138****5678"),
        ("卡号6222021234567890128", "卡号6222***********0128"),
        ("车牌鲁B12345被拍了", "车牌鲁B*****被拍了"),
        # Numbers that people need to read stay.
        ("社保缴费 1234.56 元，2024年1月5日", "社保缴费 1234.56 元，2024年1月5日"),
        ("鲁政办发〔2024〕2号", "鲁政办发〔2024〕2号"),
        ("电话0532-12345", "电话0532-12345"),
        ("统一社会信用代码91370200MA3C000000", "统一社会信用代码91370200MA3C000000"),
        ("11010519491231002", "11010519491231002"),
    ],
)
def test_personal_numbers_are_masked_and_others_are_not(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize("text", ["", "  \n", "问" * (MAX_QUESTION + 1), "a\x00b", "\ud800"])
def test_what_is_no_question_gets_a_reason(text: str) -> None:
    assert problem_with(text)


@pytest.mark.parametrize("text", ["社保", "😀怎么办", "\u202e公积金", "'; DROP TABLE entry; --"])
def test_odd_questions_can_be_asked(text: str) -> None:
    assert not problem_with(text)


def test_control_characters_become_spaces() -> None:
    assert clean(" 社保\x07 怎么\t\n交 ") == "社保 怎么 交"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("你好", "greeting"),
        ("您好！", "greeting"),
        ("谢谢你", "thanks"),
        ("转人工", "person"),
        ("我要找人工客服", "person"),
        ("我不想活了", "danger"),
        ("你好，请问居住证怎么办", ""),
        ("死亡证明怎么开", ""),
        ("人工智能补贴政策", ""),
        ("谢谢参与活动的奖金要交税吗", ""),
    ],
)
def test_remarks_that_need_no_policy(text: str, kind: str) -> None:
    assert small_talk(text) == kind


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("电话１３８１２３４５６７８，急", "电话138****5678，急"),
        ("电话138\u200b1234\u200b5678", "电话138****5678"),
        ("身份证１１０１０５１９４９１２３１００２Ｘ", "身份证110105********002X"),
        ("车牌鲁Ｂ１２３４５被拍了", "车牌鲁B*****被拍了"),
        ("２０２４年第１２号，（一）", "２０２４年第１２号，（一）"),
    ],
)
def test_wide_and_invisible_characters_hide_no_number(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("居住证怎么办 13812345678", "居住证怎么办 "),
        ("我的车鲁B12345被拍了", "我的车被拍了"),
        ("2024年交了1234.56元", "2024年交了1234.56元"),
        ("13812345678", "13812345678"),
    ],
)
def test_what_is_searched_for_has_no_personal_numbers(text: str, left: str) -> None:
    assert impersonal(text) == left
