"""Documents by what people type for them: numbers in any brackets, orders, titles, articles."""

from __future__ import annotations

from datetime import date

import pytest

from kb.db import Database
from kb.documents import Documents
from kb.index import Index
from kb.indexing import Indexer
from kb.library import Library
from kb.lookup import Lookup
from tests.factories import TODAY, circular, publish, regulation


@pytest.fixture
def lookup(database: Database, documents: Documents, index: Index, indexer: Indexer) -> Lookup:
    articles = [f"第{n}件事。" for n in "一二三"]
    publish(documents, circular("青州市关于停车的通知", "青政发〔2024〕1号", "每小时三元。"))
    publish(documents, circular("青州市关于养犬的通知", "青政发〔2024〕11号", "拴绳。"))
    publish(documents, circular("外地关于停车的通知", "外政发〔2024〕1号", "五元。"))
    publish(documents, regulation("青州市居住证服务管理办法", *articles))
    publish(documents, regulation("中华人民共和国牧场法", *articles), title="中华人民共和国牧场法")
    order = circular("优化营商环境条例", "中华人民共和国国务院令第722号", "一窗受理。")
    publish(documents, order, title="优化营商环境条例")
    old = publish(documents, regulation("青州市犬只管理规定", "旧。", effective=date(2010, 1, 1)))
    new = publish(documents, regulation("青州市犬只管理规定", "新。", effective=date(2020, 1, 1)))
    if old != new:
        documents.repeal(old, on=date(2020, 1, 1), actor="审核", successor_id=new)
    indexer.catch_up()
    return Lookup(database, Library(database), index)


def titles(lookup: Lookup, text: str) -> list[str]:
    return [each.document.title for each in lookup.named_in(text, TODAY)]


@pytest.mark.parametrize(
    "text",
    [
        "青政发〔2024〕1号",
        "青政发[2024]1号",
        "青政发［2024］１号",
        "青政发（2024）1号",
        "青政发(2024) 1 号",
        "青政发【2024】第1号",
        "青政发２０２４年1号",
        "青政发2024 1号",
        "青政发 〔2024〕 001号",
        "请问青政发〔2024〕1号说了什么",
    ],
)
def test_a_number_in_any_brackets(lookup: Lookup, text: str) -> None:
    assert titles(lookup, text) == ["青州市关于停车的通知"]


@pytest.mark.parametrize("text", ["国令722", "国令第722号", "国务院令第722号", "国务院令 722 号"])
def test_an_order_by_its_number(lookup: Lookup, text: str) -> None:
    [named] = lookup.named_in(text, TODAY)
    assert named.document.document_number == "国务院令第722号"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("青州市居住证服务管理办法", "青州市居住证服务管理办法"),
        ("《青州市居住证服务管理办法》", "青州市居住证服务管理办法"),
        ("居住证服务管理办法", "青州市居住证服务管理办法"),
        (" 青州市 居住证服务管理办法 全文", "青州市居住证服务管理办法"),
        ("居住證服務管理辦法", "青州市居住证服务管理办法"),
        ("牧场法", "中华人民共和国牧场法"),
        ("《牧场法》怎么规定罚款", "中华人民共和国牧场法"),
        ("查一下牧场法", "中华人民共和国牧场法"),
    ],
)
def test_a_title_with_or_without_marks(lookup: Lookup, text: str, title: str) -> None:
    assert titles(lookup, text) == [title]


@pytest.mark.parametrize("place", ["第二条", "第2条", "第２条", "2条"])
def test_an_article_beside_the_name(lookup: Lookup, place: str) -> None:
    [named] = lookup.named_in(f"牧场法{place}", TODAY)
    assert named.clause is not None and named.clause.locator == "第二条"
    [missing] = lookup.named_in("牧场法第九十九条", TODAY)
    assert missing.clause is None


def test_what_is_in_force_comes_first(lookup: Lookup) -> None:
    named = lookup.named_in("青州市犬只管理规定", TODAY)
    assert named[0].document.validity.value == "in_force"


@pytest.mark.parametrize(
    "text",
    [
        "停车怎么收费",
        "居住证怎么办",
        "办法",
        "第二条",
        "青政发〔2024〕2号",
        "政发〔2024〕1号文件吗？？",
        "",
        "《》",
        "%",
        "令",
        "2024",
        "通知" * 200,
        "（" * 500,
        "第" * 500,
        "0" * 500,
    ],
)
def test_other_texts_name_nothing(lookup: Lookup, text: str) -> None:
    named = titles(lookup, text)
    assert named == []
