"""The XML of platforms: what is written reads back the same, and no trick of XML gets in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.channels import Rejected
from service.channels.payloads import clean
from service.channels.xml import read, write


@settings(deadline=None, derandomize=True)
@given(st.text(st.characters()) | st.text("]>&<![CDATA\r\n\x00"))
def test_text_survives(text: str) -> None:
    assert read(write({"Content": text}).decode()) == {"Content": clean(text)}


def test_articles_and_numbers() -> None:
    written = write({"ArticleCount": 1, "Articles": [{"Title": "甲]]>", "Url": "https://a/?b&c"}]})
    found = read(written.decode())
    assert found["ArticleCount"] == "1" and found["Articles/item/Title"] == "甲]]>"
    assert found["Articles/item/Url"] == "https://a/?b&c"
    assert "ArticleCount><![" not in written.decode()


def test_an_answer_cannot_add_elements() -> None:
    text = "]]></Content><MsgType>event</MsgType><Content><![CDATA["
    assert read(write({"MsgType": "text", "Content": text}).decode())["MsgType"] == "text"


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE xml [<!ENTITY x "y">]><xml><a>&x;</a></xml>',
        '<!DOCTYPE xml SYSTEM "http://127.0.0.1/x.dtd"><xml><a>1</a></xml>',
        '<!DOCTYPE xml [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><xml/>',
        '<!DOCTYPE xml [<!ENTITY a "1"><!ENTITY b "&a;&a;">]><xml><c>&b;</c></xml>',
        "<xml><a>&x;</a></xml>",
        "<xml><a>1</a><a>2</a></xml>",
        "<xml><a><b><c><d><e>1</e></d></c></b></a></xml>",
        "<xml><a>\x00</a></xml>",
        "<xml><a>1</a>",
        "<other/>",
        "",
        "text",
    ],
)
def test_it_refuses(document: str) -> None:
    with pytest.raises(Rejected) as caught:
        read(document)
    assert caught.value.status == 400


def test_a_declared_encoding_changes_nothing() -> None:
    assert read('<?xml version="1.0" encoding="gbk"?><xml><a>社保</a></xml>') == {"a": "社保"}
