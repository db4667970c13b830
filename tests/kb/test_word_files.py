"""Word files, new and old: numbering, tables, revisions, text boxes, conversion."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from kb.blocks import Block
from kb.formats import legacy
from kb.readers import read
from tests.kb import sample_files as sample
from tests.kb.sample_files import reason, texts

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

LEVELS = (
    ("chineseCounting", "%1、"),
    ("chineseCounting", "（%2）"),
    ("decimal", "%3."),
    ("decimalEnclosedCircleChinese", "%4"),
)


def test_word_automatic_numbers_are_text() -> None:
    body = "".join(
        [
            sample.numbered("总体要求", 1),
            sample.numbered("目标", 1, 1),
            sample.numbered("原则", 1, 1),
            sample.numbered("2024年完成", 1, 2),
            sample.numbered("细项", 1, 3),
            sample.numbered("保障措施", 1),
            sample.numbered("组织", 1, 1),
            sample.numbered("另起", 2),
            sample.paragraph("无编号"),
        ]
    )
    assert texts(sample.docx(body, {"numbering": sample.numbering(LEVELS)}), "a.docx") == [
        "一、总体要求",
        "（一）目标",
        "（二）原则",
        "1. 2024年完成",
        "①细项",
        "二、保障措施",
        "（一）组织",
        "一、另起",
        "无编号",
    ]


def test_word_numbers_and_headings_of_styles() -> None:
    styles = (
        '<w:style w:styleId="1"><w:name w:val="heading 1"/><w:pPr><w:numPr><w:numId w:val="1"/>'
        "</w:numPr></w:pPr></w:style>"
        '<w:style w:styleId="a"><w:basedOn w:val="1"/><w:name w:val="own"/></w:style>'
        '<w:style w:styleId="t"><w:name w:val="Title"/></w:style>'
    )
    levels = [("chineseCountingThousand", "第%1章"), ("decimal", "%1.%2")]
    body = (
        sample.paragraph("办法", '<w:pStyle w:val="t"/>')
        + sample.paragraph("总则", '<w:pStyle w:val="a"/>')
        + sample.paragraph("附则", '<w:pStyle w:val="1"/>')
        + sample.paragraph("二级", '<w:outlineLvl w:val="1"/>')
    )
    parts = {"styles": styles, "numbering": sample.numbering(levels)}
    assert read(sample.docx(body, parts), "a.docx") == [
        Block("办法", "heading", 1),
        Block("第一章 总则", "heading", 1),
        Block("第二章 附则", "heading", 1),
        Block("二级", "heading", 2),
    ]


def test_word_revisions_hidden_text_breaks_and_notes() -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    body = (
        f"<w:p>{run.format('甲')}<w:del><w:r><w:delText>删</w:delText></w:r></w:del>"
        f"<w:ins>{run.format('增')}</w:ins>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>隐</w:t></w:r>"
        '<w:r><w:footnoteReference w:id="2"/><w:br/><w:t>下一行</w:t></w:r></w:p>'
        f"<w:moveFrom>{sample.paragraph('移走')}</w:moveFrom>"
        f"<w:sdt><w:sdtContent>{sample.paragraph('控件内')}</w:sdtContent></w:sdt><w:sectPr/>"
    )
    notes = (
        '<w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>'
        f'<w:footnote w:id="2">{sample.paragraph("注释内容")}</w:footnote>'
    )
    assert texts(sample.docx(body, {"footnotes": notes}), "a.docx") == [
        "甲增",
        "下一行",
        "控件内",
        "脚注1：注释内容",
    ]


def test_word_text_box_is_read_once_in_its_place() -> None:
    box = f"<w:txbxContent>{sample.paragraph('某市人民政府文件')}</w:txbxContent>"
    shape = (
        "<w:r><mc:AlternateContent><mc:Choice><w:drawing><wps:txbx>"
        f"{box}</wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>{box}"
        "</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )
    body = f"<w:p>{shape}<w:r><w:t>关于停车的通知</w:t></w:r></w:p>" + sample.paragraph("正文")
    assert texts(sample.docx(body), "a.docx") == ["某市人民政府文件", "关于停车的通知", "正文"]


def test_word_tables() -> None:
    merged = "<w:tcPr><w:vMerge/></w:tcPr>"
    start = '<w:tcPr><w:vMerge w:val="restart"/></w:tcPr>'
    fees = sample.table(
        [
            ["序号", "项目", "标准"],
            ["1", start + sample.paragraph("停车"), "2元"],
            ["2", merged + sample.paragraph(""), "3元"],
        ]
    )
    form = sample.table([["姓名", "", "性别", ""], ["住址", "", "", ""]])
    frame = sample.table([[sample.paragraph("框内一段") + sample.paragraph("框内二段")]])
    assert read(sample.docx(fees + form + frame), "a.docx") == [
        Block("序号\u3000|\u3000项目\u3000|\u3000标准", "table"),
        Block("序号：1；项目：停车；标准：2元", "table"),
        Block("序号：2；标准：3元", "table"),
        Block("姓名\u3000|\u3000性别", "table"),
        Block("住址", "table"),
        Block("框内一段"),
        Block("框内二段"),
    ]


def test_entities_and_deep_nesting_in_word_are_refused() -> None:
    part = f'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "{"x" * 99}">]><w>&a;</w>'
    assert "实体" in reason(sample.zipped({"word/document.xml": part}), "a.docx")
    wide = part.encode("utf-16")
    assert "实体" in reason(sample.zipped({"word/document.xml": wide}), "a.docx")
    deep = "<w:tbl><w:tr><w:tc>" * 3000 + "</w:tc></w:tr></w:tbl>" * 3000
    assert "嵌套" in reason(sample.docx(deep), "a.docx")


# --- old Word files ---

OLD_WORD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "WordDocument".encode("utf-16-le")


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_old_word_without_a_converter_names_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    text = reason(OLD_WORD, "a.doc")
    assert "libreoffice-writer" in text
    assert "antiword" in text
    assert "libreoffice-writer" in reason(b"{\\rtf1 a}", "a.doc")


def test_old_word_goes_through_the_converter_under_a_name_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "antiword", 'for last; do :; done; echo "一、${last##*/}"')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    if shutil.which("soffice") or shutil.which("libreoffice"):
        pytest.skip("LibreOffice is installed and comes first")
    assert texts(OLD_WORD, "$(reboot).doc") == ["一、source.doc"]
    program(tmp_path, "antiword", "exit 1")
    assert "损坏" in reason(OLD_WORD, "a.doc")


def test_a_converter_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "soffice", "sleep 60 & sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(legacy, "TIMEOUT_S", 0.3)
    assert "用时过长" in reason(OLD_WORD, "a.doc")


# --- real files ---

OFFICE = SHARED / "documents-office"


@pytest.mark.skipif(not OFFICE.is_dir(), reason="the shared office documents are not here")
def test_real_word_files_agree_with_their_text() -> None:
    for path in sorted(OFFICE.glob("*.docx")):
        ours = re.sub(r"\s|｜", "", "".join(texts(path.read_bytes(), path.name)))
        given_text = path.with_suffix(".txt").read_text(encoding="utf-8")
        # The text beside it holds page headers and page numbers as well.
        assert ours[-400:] in re.sub(r"\s", "", given_text)
        assert len(ours) > 0.98 * len(re.sub(r"\s", "", given_text))


@pytest.mark.skipif(not OFFICE.is_dir(), reason="the shared office documents are not here")
@pytest.mark.skipif(
    not any(map(shutil.which, ("soffice", "libreoffice", "antiword"))),
    reason="neither LibreOffice nor antiword is installed",
)
def test_real_old_word_files_agree_with_their_text() -> None:
    for path in sorted(OFFICE.glob("*.doc")):
        ours = re.sub(r"\s|｜", "", "".join(texts(path.read_bytes(), path.name)))
        given_text = path.with_suffix(".txt").read_text(encoding="utf-8")
        # The text beside it marks pictures, rules and the borders of cells.
        plain = re.sub(r"\s|\[pic\]|_{20,}|\|", "", given_text)
        assert abs(len(ours.replace("|", "")) - len(plain)) < 0.01 * len(plain)
