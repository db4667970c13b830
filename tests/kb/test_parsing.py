from __future__ import annotations

import lzma
import re
from json import loads
from pathlib import Path

import pytest

from kb.blocks import Block
from kb.numerals import CHINESE, number
from kb.parsing import ParsedClause, ParsedDocument, parse, subdivide

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared/data is absent")


def blocks_of(text: str) -> list[Block]:
    """One block a line; # lines are headings, lines with | are table rows."""
    found = []
    for raw in re.sub("<!--.*?-->", "", text).splitlines():
        line = raw.strip()
        hashes = re.match("#+", line)
        if hashes:
            found.append(Block(line.lstrip("# "), "heading", len(hashes[0])))
        elif line:
            found.append(Block(line, "table" if " | " in line else "paragraph"))
    return [block for block in found if block.text]


def read(text: str) -> ParsedDocument:
    blocks = blocks_of(text)
    document = parse(blocks)
    assert_kept(blocks, document)
    return document


def squeeze(text: str) -> str:
    return re.sub("[\\s\\ufeff\\u200b-\\u200f]+", "", text)


def assert_kept(blocks: list[Block], document: ParsedDocument) -> None:
    """Every character is in exactly one clause or heading."""
    out = [c.text for c in document.clauses] + list(document.headings)
    assert sorted(squeeze("".join(out))) == sorted(squeeze("".join(b.text for b in blocks)))


def cited(document: ParsedDocument, kind: str = "") -> list[str]:
    return [str(c.locator) for c in document.clauses if not kind or c.kind == kind]


def by_citation(document: ParsedDocument, citation: str) -> ParsedClause:
    return next(c for c in document.clauses if str(c.locator) == citation)


def sentence(topic: str, length: int = 130) -> str:
    """A made-up rule of about ``length`` characters."""
    text = f"{topic}工作由社区窗口统一受理，当场能办结的当场办结，不能当场办结的一次告知所缺材料。"
    return (text * (length // len(text) + 1))[: length - 1] + "。"


LAW = """
# 青山市便民热线条例
2022年3月1日 青山市第十届人民代表大会常务委员会第五次会议通过
<!-- INFO END -->
## 第一章 总 则
第一条 为了规范便民热线，制定本条例。
第二条 便民热线全天受理下列事项：
（一）咨询；
（二）投诉和举报。
依照本条例第五条的规定不予受理的，应当说明理由。
## 第二章 办 理
### 第一节 受 理
第三条 接线人员应当如实记录。
第三条之一 记录保存三年。
### 第二节 转 办
第四条 承办单位应当在五个工作日内答复。
第二条第一项规定的事项，可以当场答复。
## 第三章 附 则
第五条　本条例自2022年5月1日起施行。
"""


def test_articles_come_in_order_with_their_chapter_and_headings() -> None:
    document = read(LAW)
    articles = [c for c in document.clauses if c.kind == "article"]
    assert [c.locator.article for c in articles] == [
        "第一条", "第二条", "第三条", "第三条之一", "第四条", "第五条",
    ]  # fmt: skip
    assert [c.locator.chapter for c in articles] == [
        "第一章", "第一章", "第二章", "第二章", "第二章", "第三章",
    ]  # fmt: skip
    assert articles[2].locator.section == "第一节"
    assert articles[4].headings == ("第二章 办 理", "第二节 转 办")
    assert articles[5].headings == ("第三章 附 则",)
    assert document.headings[0] == "第一章 总 则"
    assert len(document.headings) == 5


def test_title_and_record_of_adoption_are_the_front() -> None:
    front = [c for c in read(LAW).clauses if c.kind == "front"]
    assert len(front) == 1
    assert front[0].text.startswith("青山市便民热线条例\n2022年3月1日")


def test_a_line_that_refers_to_an_article_stays_in_its_article() -> None:
    article = by_citation(read(LAW), "第四条")
    assert article.text.endswith("第二条第一项规定的事项，可以当场答复。")


def test_article_text_keeps_its_paragraphs_and_items() -> None:
    article = by_citation(read(LAW), "第二条")
    assert article.text.count("\n") == 3


@pytest.mark.parametrize("form", ["第{}条 {}", "第{}条　{}", "第{}条{}", "第 {} 条 {}"])
def test_articles_with_any_gap_behind_the_number(form: str) -> None:
    numerals = ["一", "二", "三", "四"]
    text = "\n".join(form.format(n, f"本市设立第{n}办事大厅。") for n in numerals)
    assert cited(read(text), "article") == [f"第{n}条" for n in numerals]


def test_arabic_article_numbers() -> None:
    text = "\n".join(f"第{n}条 窗口应当公开办事指南。" for n in range(1, 13))
    assert cited(read(text), "article") == [f"第{n}条" for n in range(1, 13)]


def test_an_article_may_begin_with_an_ordinal() -> None:
    text = "第一条 第一次申请的，免收工本费。\n第二条 第二次申请的，减半收取。\n第三条 其他不减免。"
    assert cited(read(text), "article") == ["第一条", "第二条", "第三条"]


def test_law_that_starts_at_a_later_article() -> None:
    text = "# 民事法\n# 合同编\n## 第一分编 通则\n### 第一章 一般规定\n" + "\n".join(
        f"第四百{n}条 当事人应当守约。" for n in ("六十三", "六十四", "六十五")
    )
    document = read(text)
    assert cited(document, "article") == ["第四百六十三条", "第四百六十四条", "第四百六十五条"]
    assert document.clauses[-1].headings == ("第一分编 通则", "第一章 一般规定")
    assert document.clauses[-1].locator.at("subpart") == "第一分编"


def test_part_closes_the_chapter_of_the_part_before() -> None:
    document = read(
        "# 法\n## 第一编 总则\n### 第一章 任务\n第一条 甲。\n"
        "## 第二编 分则\n第二条 乙。\n## 附则\n第三条 丙。"
    )
    assert document.clauses[-2].headings == ("第二编 分则",)
    assert document.clauses[-1].headings == ("附则",)
    assert document.clauses[-1].locator.part == ""


def test_table_of_contents_is_front_and_gives_no_headings() -> None:
    document = read(
        "青山市道路条例\n目 录\n第一章 总则\n第二章 罚则\n"
        "第一章 总则\n第一条 甲。\n第二章 罚则\n第二条 乙。"
    )
    assert document.headings == ("第一章 总则", "第二章 罚则")
    assert document.clauses[0].kind == "front"
    assert "目 录" in document.clauses[0].text
    assert document.clauses[-1].headings == ("第二章 罚则",)


def test_contents_with_page_numbers_are_no_items() -> None:
    pages = "\n".join(f"{n}、第{n}类事项 ……{i}" for i, n in enumerate("一二三四五六", 1))
    body = "\n".join(f"{n}、{sentence(n + '类事项')}" for n in "一二三四五六")
    document = read(f"办事手册\n{pages}\n{body}")
    assert cited(document, "item") == [f"{n}、" for n in "一二三四五六"]


def test_articles_quoted_by_an_amendment_are_not_its_own() -> None:
    document = read(
        """
        青山市人民政府关于修改《青山市停车办法》的决定
        一、将第五条修改为：“第五条 停车位应当划线。
        “第六条 禁止占用盲道停车。
        第七条 违者罚款五十元。”
        二、在第九条后增加一条，作为第十条：“第十条 本办法由市交警支队解释。”
        三、本决定自公布之日起施行。
        """
    )
    assert cited(document, "item") == ["一、", "二、", "三、"]
    assert "禁止占用盲道" in by_citation(document, "一、").text
    assert cited(document, "article") == []


def test_amendment_item_is_found_behind_a_quotation_that_was_not_closed() -> None:
    document = read(
        "一、将第五条修改为：“停车位应当划线。\n"
        "二、将第六条修改为：“禁止占用盲道。”\n三、删去第八条。"
    )
    assert cited(document) == ["一、", "二、", "三、"]


def test_judicial_interpretation_with_headings_between_articles() -> None:
    document = read("# 解释\n## 一、管辖\n第一条 甲。\n第二条 乙。\n## 二、其他\n第三条 丙。")
    assert document.headings == ("一、管辖", "二、其他")
    assert document.clauses[-1].headings == ("二、其他",)
    assert str(document.clauses[-1].locator) == "第三条"


CIRCULAR = f"""
青山市人民政府办公室关于做好便民服务的通知
各镇人民政府，市政府各部门：
为方便群众办事，现通知如下：
一、优化服务
（一）延时服务。{sentence("延时", 260)}（责任单位：市政务局、市公安局，各镇；配合单位：市大数据局）
（二）上门服务。{sentence("上门", 280)}(牵头单位:市民政局)
二、规范收费
收费项目一律公开，没有公开的不得收取。
三、加强监督
1．设立意见箱。{sentence("意见", 300)}
2．定期回访。{sentence("回访", 320)}
（1）电话回访。
青山市人民政府办公室
2024年3月5日
（此件公开发布）
"""


def test_circular_units_and_headings() -> None:
    document = read(CIRCULAR)
    assert cited(document, "item") == ["一、（一）", "一、（二）", "二、", "三、1.", "三、2."]
    assert document.headings == ("一、优化服务", "三、加强监督")
    assert by_citation(document, "一、（二）").headings == ("一、优化服务",)


def test_short_unit_stays_whole_with_its_title_line() -> None:
    assert by_citation(read(CIRCULAR), "二、").text.startswith("二、规范收费\n收费项目")


def test_responsible_units_in_brackets_of_either_width() -> None:
    document = read(CIRCULAR)
    assert by_citation(document, "一、（一）").responsible == (
        "市政务局", "市公安局", "各镇", "市大数据局",
    )  # fmt: skip
    assert by_citation(document, "一、（二）").responsible == ("市民政局",)


def test_signature_date_and_note_are_the_closing() -> None:
    closing = read(CIRCULAR).clauses[-1]
    assert closing.kind == "closing"
    assert closing.text == "青山市人民政府办公室\n2024年3月5日\n（此件公开发布）"


def test_lead_in_of_a_divided_unit_is_a_clause_at_its_place() -> None:
    text = (
        f"一、总体目标。到年底，{sentence('提速', 150)}\n（一）{sentence('窗口', 300)}"
        f"\n（二）{sentence('网上', 300)}\n二、其他。照旧执行。"
    )
    assert cited(read(text)) == ["一、", "一、（一）", "一、（二）", "二、"]


def test_numbering_that_lost_its_line_breaks() -> None:
    text = (
        "现将有关事项通知如下：一、扩大范围"
        f"（一）加强登记。{sentence('登记', 260)}（二）畅通渠道。{sentence('渠道', 260)}"
        f"二、压缩时限{sentence('时限', 100)}三、本通知自印发之日起执行。"
    )
    document = read(text)
    assert cited(document, "item") == ["一、（一）", "一、（二）", "二、", "三、"]
    assert document.headings == ("一、扩大范围",)


def test_law_that_lost_its_line_breaks() -> None:
    text = (
        "青山市养犬办法第一章总则第一条为了规范养犬行为，制定本办法。第二条本办法适用于城区。"
        "依照第一条的规定，农村地区参照执行。第二章登记第三条养犬应当登记。"
        "违反第三条规定的，责令改正。第四条本办法自发布之日起施行。"
    )
    document = read(text)
    assert cited(document, "article") == ["第一条", "第二条", "第三条", "第四条"]
    assert document.headings == ("第一章总则", "第二章登记")
    assert document.clauses[-1].locator.chapter == "第二章"


@pytest.mark.parametrize(
    "text",
    [
        "本市按照第（一）项、第（二）项办理，费率为1.5元，共2.5元。",
        "奖励分为一、二、三等，另设特等。评为一、二等的公示。",
        "本条（一）和本条（二）所列情形除外，见附件1、附件2。",
        "2023年1月1日至2024年2月1日收费1.2万元，2.3万元另计。",
        "《办法（一）》和《办法（二）》继续有效。",
    ],
)
def test_references_decimals_dates_and_ranks_are_no_units(text: str) -> None:
    assert {c.kind for c in read(text).clauses} <= {"text", "front"}


def test_third_level_in_half_width_and_ideographic_form() -> None:
    for dot in (".", "．", "、"):
        body = "".join(f"{n}{dot}{sentence('登记', 200)}" for n in ("1", "2", "3"))
        document = read(f"一、登记\n{body}\n二、其他。照旧。")
        assert cited(document, "item") == ["一、1.", "一、2.", "一、3.", "二、"]


def test_all_five_levels() -> None:
    deep = f"①{sentence('甲', 260)}②{sentence('乙', 260)}"
    text = f"一、甲\n（一）乙\n1.丙\n（1）丁\n{deep}\n（2）戊。\n2.己。\n（二）庚。\n二、辛。"
    document = read(text)
    assert str(document.clauses[0].locator) == "一、（一）1.（1）①"
    assert cited(document)[-1] == "二、"


def test_second_level_may_go_on_counting_under_the_next_heading() -> None:
    text = "".join(
        f"{part}、办好实事" + "".join(f"（{n}）{sentence(n, 260)}" for n in numbers)
        for part, numbers in zip("一二三", ("一二三", "四五", "六七"), strict=True)
    )
    assert cited(read(text)) == [
        *("一、（一）", "一、（二）", "一、（三）"),
        *("二、（四）", "二、（五）", "三、（六）", "三、（七）"),
    ]


def test_lists_in_running_text_stay_with_the_words_that_introduce_them() -> None:
    rule = (
        f"有下列情形之一的，不予受理：（一）材料不全的；（二）超过期限的。{sentence('受理', 400)}"
    )
    texts = [c.text for c in read("关于受理工作的说明\n" + rule * 4).clauses if c.kind == "text"]
    assert all(text.count("情形之一") == text.count("（二）") for text in texts)


def test_numbering_that_starts_again_in_an_attached_document() -> None:
    text = f"""
    青山市民政局关于印发《救助办法》的通知
    一、认真执行。
    二、及时上报。
    青山市民政局
    2024年1月5日
    救助办法
    一、对象。{sentence("救助", 60)}
    二、标准。{sentence("标准", 60)}
    三、程序。{sentence("程序", 60)}
    """
    document = read(text)
    assert cited(document, "item") == ["一、", "二、", "一、", "二、", "三、"]
    assert document.headings == ("救助办法",)
    assert document.clauses[-1].headings == ("救助办法",)
    assert document.clauses[1].headings == ()


def test_attached_rules_with_articles() -> None:
    text = """
    各镇人民政府：
    现将《青山市养老办法》印发给你们。
    青山市人民政府
    2024年1月5日
    青山市养老办法
    第一章 总则
    第一条 为了保障老年人，制定本办法。
    第二条 本办法适用于本市。
    附件1
    申请表
    """
    document = read(text)
    assert [c.kind for c in document.clauses] == [
        "front", "closing", "front", "article", "article", "annex",
    ]  # fmt: skip
    assert str(document.clauses[-1].locator) == "附件1"


def test_list_of_annexes_before_the_signature_is_no_annex() -> None:
    text = """
    一、请各单位报名。
    二、报名表见附件。
    附件：1.报名表
    2.回执
    青山市体育局
    2024年1月5日
    附件1
    报名表
    一、姓名要写全。
    二、电话要写对。
    """
    document = read(text)
    assert document.clauses[2].kind == "closing"
    assert document.clauses[2].text.startswith("附件：1.报名表")
    assert cited(document)[-2:] == ["附件1 一、", "附件1 二、"]
    assert document.clauses[-1].locator.annex == "附件1"


def test_questions_and_answers_are_one_clause_each() -> None:
    text = """
    《养老办法》政策问答
    问：谁可以申请？
    答：年满六十周岁的居民。
    一、二级残疾人优先。
    问：到哪里申请？
    答：社区服务站。
    """
    items = [c for c in read(text).clauses if c.kind == "item"]
    assert [str(c.locator) for c in items] == ["第1问", "第2问"]
    assert items[0].text.startswith("问：谁可以申请？\n答：")


def test_questions_that_carry_numbers() -> None:
    document = read("一、问：谁可以申请？\n答：居民。\n二、问：到哪里？\n答：社区。")
    assert cited(document) == ["一、", "二、"]


def test_table_rows_stay_together_and_are_divided_by_size() -> None:
    rows = "\n".join(f"{n}. | 第{n}项事项 | {'办理时限五个工作日' * 3}" for n in range(1, 31))
    document = read(f"一、事项清单如下。\n{rows}\n二、照此办理。")
    tables = [c for c in document.clauses if " | " in c.text]
    assert len(tables) > 1
    assert all(len(c.text) <= 520 for c in tables)
    assert {str(c.locator) for c in tables} == {"一、"}


def test_long_text_without_numbers_is_divided_at_sentences() -> None:
    document = read("关于便民服务的说明\n" + sentence("登记", 3000))
    texts = [c.text for c in document.clauses if c.kind == "text"]
    assert len(texts) >= 5
    assert all(len(text) <= 900 and text.endswith("。") for text in texts)


def test_wide_gaps_in_a_long_block_are_line_breaks() -> None:
    text = "　　".join(
        [
            "为方便群众，通知如下。",
            f"一、登记。{sentence('登记', 80)}",
            f"二、收费。{sentence('收费', 80)}",
        ]
    )
    assert cited(read(text)) == ["", "一、", "二、"]


def test_short_neighbours_form_one_clause() -> None:
    names = "\n".join(f"{n}.青山市第{n}医院" for n in range(1, 21))
    document = read(f"定点医院名单\n{names}")
    assert len([c for c in document.clauses if c.kind == "text"]) == 1


def test_nothing_in_nothing_out() -> None:
    assert parse([]) == ParsedDocument((), ())
    assert parse([Block("  "), Block("\x00")]) == ParsedDocument((), ())


@pytest.mark.parametrize(
    "unit",
    ["（一）", "（一）（二）", "第一条", "一、", "1", "1.", "①②", "甲", "a", "“", "”", "问：",
     "附件", "第一章 总则", "（责任单位：", "2024年1月5日", "\x00甲", "。", "　　"],
)  # fmt: skip
def test_hostile_repetition_is_parsed_and_kept(unit: str) -> None:
    text = unit * (60_000 // len(unit))
    blocks = [Block(text)]
    document = parse(blocks)
    got = "".join(c.text for c in document.clauses) + "".join(document.headings)
    assert len(squeeze(got)) == len(squeeze(text))
    subdivide(text[:3000])


@shared
def test_seed_document() -> None:
    path = next((SHARED / "seed").glob("*.txt"))
    document = read(path.read_text("utf-8"))
    assert [heading[:2] for heading in document.headings] == ["一、", "二、", "三、", "四、"]
    items = [c for c in document.clauses if c.kind == "item"]
    assert [str(c.locator)[2:] for c in items] == [
        f"（{n}）" for n in "一二三一二三四一二三四五一二三"
    ]
    assert all(c.responsible for c in items)


@shared
def test_sample_of_laws() -> None:
    paths = sorted((SHARED / "laws" / "txt").rglob("*.txt"))[::13]
    line_start = re.compile(rf"第([{CHINESE}]+)条(之[{CHINESE}]+)?(?=\s|$)")
    checked = 0
    for path in paths:
        text = path.read_text("utf-8")
        document = read(text)
        found = [m for line in text.splitlines() if (m := line_start.match(line.strip()))]
        values = [number(m[1]) for m in found if not m[2]]
        if values and values == list(range(1, len(values) + 1)):
            checked += 1
            articles = [c.locator.article for c in document.clauses if c.kind == "article"]
            assert articles == [m[0] for m in found], path.name
    assert checked > 100


@shared
def test_sample_of_circulars() -> None:
    with lzma.open(SHARED / "documents-hebei" / "docs.jsonl.xz", "rt", encoding="utf-8") as lines:
        rows = [loads(line) for line in lines][::12]
    for row in rows:
        read(row["text"])


@shared
def test_office_documents() -> None:
    for path in sorted((SHARED / "documents-office").glob("*.txt")):
        document = read(path.read_text("utf-8"))
        assert any(c.kind in ("article", "item") for c in document.clauses), path.name
