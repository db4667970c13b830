from __future__ import annotations

import lzma
import re
from datetime import date
from json import loads
from pathlib import Path

import pytest

from kb.blocks import Block
from kb.metadata import Metadata, extract, normalise_document_number, parse_date

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared/data is absent")


def read(text: str, filename: str = "无题.txt") -> Metadata:
    blocks = []
    for raw in re.sub("<!--.*?-->", "", text).splitlines():
        line = raw.strip()
        hashes = re.match("#+", line)
        if hashes:
            blocks.append(Block(line.lstrip("# "), "heading", len(hashes[0])))
        elif line:
            blocks.append(Block(line, "table" if " | " in line else "paragraph"))
    return extract(blocks, filename)


BEGINNING = (
    "近日，某局印发了新的补贴规定，以下是主要内容。补贴按月发放。补贴按月发放。补贴按月发放。"
    "补贴按月发放。补贴按月发放。补贴"
)[:59] + "…"
NOTICE = """
青山市人民政府办公室文件
青政办发〔2024〕3号
青山市人民政府办公室
关于印发青山市养老服务办法的通知
各镇人民政府，市政府各部门：
现将《青山市养老服务办法》印发给你们，请认真执行。
青山市人民政府办公室
2024年1月5日
（此件公开发布）
青山市养老服务办法
第一条 为了发展养老服务，根据《老年人权益保障法》，制定本办法。
第二条 本办法自2024年2月1日起施行，有效期5年。《青山市养老补贴办法》（青政发〔2019〕12号）同时废止。
"""


def test_notice_with_red_header() -> None:
    found = read(NOTICE)
    assert found.title == "青山市人民政府办公室关于印发青山市养老服务办法的通知"
    assert found.document_number == "青政办发〔2024〕3号"
    assert found.issuer == "青山市人民政府办公室"
    assert found.issued_on == date(2024, 1, 5)
    assert found.effective_on == date(2024, 2, 1)
    assert found.expires_on == date(2029, 1, 31)
    assert found.repeals == ("青山市养老补贴办法", "青政发〔2019〕12号")
    assert found.secrecy is None


def test_law_with_record_of_adoption_and_amendment() -> None:
    found = read(
        """
        # 中华人民共和国便民法
        2011年2月25日 第十一届全国人民代表大会常务委员会第十九次会议通过
        2019年4月23日 第十三届全国人民代表大会常务委员会第十次会议《关于修改〈便民法〉的决定》修正
        <!-- INFO END -->
        ## 第一章 总 则
        第一条 为了便民，制定本法。
        第二条 本法自2011年6月1日起施行。
        """,
        "便民法(2019-04-23).txt",
    )
    assert found.title == "中华人民共和国便民法"
    assert found.issuer == "全国人民代表大会常务委员会"
    assert found.issued_on == date(2019, 4, 23)
    assert found.effective_on == date(2019, 4, 23)


def test_amendment_with_its_own_date_of_effect() -> None:
    found = read(
        "# 收费办法\n2010年1月1日 国务院令第560号公布\n2020年12月1日 国务院令第735号修订\n"
        "2021年3月1日 施行\n第一条 为了收费。\n第二条 本办法自2010年5月1日起施行。"
    )
    assert found.issued_on == date(2020, 12, 1)
    assert found.effective_on == date(2021, 3, 1)
    assert found.document_number == "国务院令第560号"
    assert found.issuer == "国务院"


def test_date_of_effect_in_the_record() -> None:
    found = read(
        "门牌管理办法\n（2005年6月7日公安部令第78号发布 自2005年10月1日起施行）\n"
        "第一条 甲。\n第二条 乙。"
    )
    assert found.issued_on == date(2005, 6, 7)
    assert found.effective_on == date(2005, 10, 1)
    assert (found.document_number, found.issuer) == ("公安部令第78号", "公安部")


def test_record_broken_over_two_lines() -> None:
    found = read(
        "# 规定\n2008年9月25日 青山市第十届人民代表大会常务委员会第六次会议通过\n"
        "2017年7月28日 青山市\n"
        "第十二届人民代表大会常务委员会第三次会议修正\n第一条 甲。\n第二条 乙。"
    )
    assert found.issued_on == date(2017, 7, 28)
    assert found.issuer == "青山市人民代表大会常务委员会"


@pytest.mark.parametrize(
    ("words", "effective", "expires"),
    [
        ("本办法自公布之日起施行。", date(2024, 1, 5), None),
        ("本通知自印发之日起执行，有效期两年。", date(2024, 1, 5), date(2026, 1, 4)),
        ("本办法自发布之日起30日后施行。", date(2024, 2, 4), None),
        ("本办法自发布之日起三十日后施行，试行期一年。", date(2024, 2, 4), date(2025, 2, 3)),
        (
            "本办法自2024年3月1日起施行，有效期至2026年12月31日。",
            date(2024, 3, 1),
            date(2026, 12, 31),
        ),
        ("本措施自2024年3月1日起施行，至2024年12月31日止。", date(2024, 3, 1), date(2024, 12, 31)),
        ("本办法有效期5年，自２０２４年３月１日起施行。", date(2024, 3, 1), date(2029, 2, 28)),
        ("本办法自二〇二四年三月一日起实施，有效期6个月。", date(2024, 3, 1), date(2024, 8, 31)),
        ("本办法由市民政局负责解释，自印发之日起施行。", date(2024, 1, 5), None),
        ("许可证有效期5年。本办法自2024年3月1日起施行。", date(2024, 3, 1), None),
        ("《旧办法》自2001年3月1日起施行以来成效明显。", None, None),
        ("请认真执行。", None, None),
    ],
)
def test_effect_and_expiry(words: str, effective: date | None, expires: date | None) -> None:
    found = read(f"关于做好便民服务的通知\n为便民，通知如下。{words}\n青山市民政局\n2024年1月5日")
    assert (found.effective_on, found.expires_on) == (effective, expires)


@pytest.mark.parametrize(
    ("words", "repealed"),
    [
        ("《甲办法》同时废止。", ("甲办法",)),
        ("原《甲办法》（青政发［2019］第03号）同时废止。", ("甲办法", "青政发〔2019〕3号")),
        (
            "《甲办法》、《乙办法》和2010年发布的《丙规定》即行废止。",
            ("甲办法", "乙办法", "丙规定"),
        ),
        ("《关于修改〈甲办法〉的决定》停止执行。", ("关于修改〈甲办法〉的决定",)),
        ("现决定废止《甲办法》《乙办法》。", ("甲办法", "乙办法")),
        ("根据《上位法》的规定，《甲办法》同时废止。", ("甲办法",)),
        ("《甲办法》中关于收费的规定同时废止。", ()),
        ("复议期间行政决定不停止执行。《甲办法》继续有效。", ()),
        ("请按照《甲办法》办理。", ()),
    ],
)
def test_repeals(words: str, repealed: tuple[str, ...]) -> None:
    assert read(f"关于便民服务的通知\n{words}").repeals == repealed


def test_interpretation_of_a_policy_repeals_nothing() -> None:
    found = read(
        "《养老办法》政策解读\n本办法自2024年1月1日起施行，有效期5年。《旧办法》同时废止。"
    )
    assert (found.effective_on, found.expires_on, found.repeals) == (None, None, ())


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("秘密★一年\n青山市公安局文件\n关于巡逻的通知", "秘密"),
        ("000012\n机 密\n关于巡逻的通知", "机密"),
        ("绝密★启用前\n试卷", "绝密"),
        ("密级：机密\n关于巡逻的通知", "机密"),
        ("机密 特急\n关于巡逻的通知", "机密"),
        ("密级 | 秘密 | 页数 3\n关于巡逻的通知", "秘密"),
        ("关于保守商业秘密的通知\n不得泄露国家秘密和工作秘密。", None),
        ("保守国家秘密条例\n国家秘密分为绝密、机密、秘密三级。", None),
        ("关于密级管理的通知\n密级分为三等，机密文件专柜存放。", None),
    ],
)
def test_secrecy_mark(text: str, mark: str | None) -> None:
    assert read(text).secrecy == mark


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("青政办发〔2024〕3号", "青政办发〔2024〕3号"),
        ("青政办发[2024]03号", "青政办发〔2024〕3号"),
        ("青政办发（２０２４）第 12 号", "青政办发〔2024〕12号"),
        ("青政办发【2024】3号", "青政办发〔2024〕3号"),
        ("青政办发﹝2024﹞003号", "青政办发〔2024〕3号"),
        ("根据《通知》(青政发〔2021〕9号)要求", "青政发〔2021〕9号"),
        ("现印发青政发〔2021〕9号文件", "青政发〔2021〕9号"),
        ("中华人民共和国国务院令第711号", "国务院令第711号"),
        ("（2005年6月7日公安部令第78号发布）", "公安部令第78号"),
        ("青山市人民政府令〔2015〕第3号", "青山市人民政府令〔2015〕3号"),
        ("公告2023年第6号", "公告2023年第6号"),
        ("税务总局公告2023年第06号", "税务总局公告2023年第6号"),
        ("第三十条第2号", None),
        ("电话12345", None),
        ("", None),
    ],
)
def test_document_number(text: str, number: str | None) -> None:
    assert normalise_document_number(text) == number


def test_number_of_a_cited_document_is_not_its_own() -> None:
    assert (
        read("关于便民的通知\n根据《总方案》（国发〔2024〕1号）要求，通知如下。").document_number
        is None
    )


def test_number_from_the_file_name() -> None:
    found = read("各镇：\n请照办。", "关于便民的通知（青公发〔2023〕1491号）.doc")
    assert found.document_number == "青公发〔2023〕1491号"
    assert found.title == "关于便民的通知"


@pytest.mark.parametrize(
    ("filename", "title"),
    [
        ("便民条例(2023-12-29).txt", "便民条例"),
        ("C:\\文件\\便民通知【正文】4433808.doc", "便民通知"),
        ("便民通知(1).pdf", "便民通知"),
        ("便民办法（试行）.docx", "便民办法（试行）"),
    ],
)
def test_title_from_the_file_name(filename: str, title: str) -> None:
    assert read("请照办。", filename).title == title


def test_title_that_the_file_name_confirms() -> None:
    letter = "各镇人民政府：\n现印发给你们。\n青山市人民政府\n2024年1月5日\n"
    text = letter + "2024年便民要点\n一、甲。\n二、乙。"
    assert read(text, "2024年便民要点.txt").title == "2024年便民要点"


def test_date_from_the_file_name_only_where_the_text_has_none() -> None:
    assert read("第一条 甲。", "条例(2023-12-29).txt").issued_on == date(2023, 12, 29)
    signed = "请照办。\n青山市民政局\n2024年1月5日"
    assert read(signed, "条例(2023-12-29).txt").issued_on == date(2024, 1, 5)


def test_several_signatories() -> None:
    found = read("请照办。\n青山市民政局\n青山市财政局\n2024年1月5日")
    assert found.issuer == "青山市民政局、青山市财政局"
    glued = read("请照办。青山市民政局青山市财政局2024年1月5日")
    assert glued.issuer == "青山市民政局、青山市财政局"


def test_index_number() -> None:
    assert read("索 引 号：qs01/2024-00012\n关于便民的通知").index_number == "qs01/2024-00012"
    assert read("索引号 | 000014349/2024-00012 | 主题\n通知").index_number == "000014349/2024-00012"
    assert read("关于便民的通知").index_number is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024年1月5日", date(2024, 1, 5)),
        ("2024-01-05", date(2024, 1, 5)),
        ("2024/1/5", date(2024, 1, 5)),
        ("2024.1.5", date(2024, 1, 5)),
        ("20240105", date(2024, 1, 5)),
        ("２０２４年１月５日", date(2024, 1, 5)),
        ("二〇二四年一月五日", date(2024, 1, 5)),
        ("二○二四年十二月三十一日", date(2024, 12, 31)),
        ("二O二四年元月五日", date(2024, 1, 5)),
        ("2024-01-05 10:20:30", date(2024, 1, 5)),
        ("2024-01-05T10:20:30Z", date(2024, 1, 5)),
        ("发布于 2024 年 1 月 5 日", date(2024, 1, 5)),
        ("2024年2月30日", None),
        ("2024-13-01", None),
        ("20241301", None),
        ("2024年1月", None),
        ("12345678901", None),
        ("", None),
        ("甲", None),
    ],
)
def test_parse_date(text: str, day: date | None) -> None:
    assert parse_date(text) == day


def test_nothing() -> None:
    assert extract([], "") == Metadata("", None, None, None, None, None, (), None, None)


@pytest.mark.parametrize(
    "unit", ["《", "〔2024〕", "本", "2024年1月5日", "有效期", "同时废止", "\x00"]
)
def test_hostile_repetition(unit: str) -> None:
    extract([Block(unit * (60_000 // len(unit)))], "a.txt")


@shared
def test_laws_have_title_date_and_effect() -> None:
    paths = sorted((SHARED / "laws" / "txt").rglob("*.txt"))[::13]
    found = [read(path.read_text("utf-8"), path.name) for path in paths]
    assert all(item.title for item in found)
    assert sum(item.issued_on is not None for item in found) >= 0.98 * len(found)
    assert sum(item.effective_on is not None for item in found) >= 0.9 * len(found)
    assert not [item.title for item in found if item.secrecy]
    later = [i for i in found if i.issued_on and i.effective_on]
    assert all(item.effective_on >= item.issued_on for item in later)  # type: ignore[operator]


@shared
def test_circulars_have_no_secrecy_mark() -> None:
    with lzma.open(SHARED / "documents-hebei" / "docs.jsonl.xz", "rt", encoding="utf-8") as lines:
        rows = [loads(line) for line in lines][::12]
    found = [read(row["text"], row["title"]) for row in rows]
    assert not [item.title for item in found if item.secrecy]


@shared
def test_seed_document() -> None:
    path = next((SHARED / "seed").glob("*.txt"))
    found = read(path.read_text("utf-8"), path.name)
    assert found.title == path.stem
    assert found.issuer == "平度市人民政府办公室"
    assert found.issued_on == date(2024, 7, 16)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("大学生参军优惠政策\n一、优先报名。\n二、优先体检。", "大学生参军优惠政策"),
        ("近日，某局印发了新的补贴规定，以下是主要内容。" + "补贴按月发放。" * 9, BEGINNING),
    ],
)
def test_a_file_name_that_says_nothing_gives_way_to_the_beginning(text: str, title: str) -> None:
    assert read(text, "20240105.txt").title == title
    assert read(text, "参军问答.txt").title == "参军问答"
