"""Words that a model wrote are marked as such on the page and for programs, and stay harmless."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from lxml import html

from app import create_app
from embeddings import Encoder
from service import wording
from service.config import Settings
from service.web.runtime import runtime
from tests.factories import circular, publish
from tests.model_endpoint import PATIENCE, Stage, stage
from tests.web.conftest import NOW

QUESTION = "取暖补贴标准每户每个采暖季多少元"
GOOD = "每户每个采暖季可以领1200元取暖补贴。\n12月底前打到一卡通里。"


@pytest.fixture
def server() -> Iterator[Stage]:
    with stage() as server:
        server.script = lambda request: request.complete(GOOD)
        yield server


@pytest.fixture
def client(tmp_path: Path, encoder: Encoder, server: Stage) -> Iterator[FlaskClient]:
    settings = Settings(
        data_dir=str(tmp_path), llm_url=server.url, llm_model="m-1", llm_timeout=PATIENCE
    )
    app = create_app(settings, encoder=encoder, now=lambda: NOW, follow=False)
    notice = circular(
        "关于发放取暖补贴的通知",
        "某政办发〔2025〕8号",
        "补贴对象。本市低保家庭和特困人员可以领取冬季取暖补贴。",
        "补贴标准。每户每个采暖季补贴一千二百元，十二月底前打入一卡通。",
        issued=date(2025, 10, 1),
    )
    with app.app_context():
        publish(runtime().documents, notice)
        runtime().indexer.catch_up()
        objects = runtime()
    with app.test_client() as client:
        yield client
    objects.close()


def page(client: FlaskClient) -> html.HtmlElement:
    response = client.get(f"/?q={quote(QUESTION)}", headers={"Accept": "text/html"})
    assert response.status_code == 200
    return html.document_fromstring(response.text)


def test_the_page_marks_them_and_keeps_the_clause(client: FlaskClient) -> None:
    [card] = page(client).xpath("//article[@data-answer]")
    [said] = card.xpath(".//*[@data-copy]")
    copied = said.text_content()
    assert copied.index("1200元") < copied.index(wording.GENERATED) < copied.index("一千二百元")
    assert "AI生成" in card.xpath("string(.//*[@class='card__marks'])")
    for reviewed in ("人工审核", "原文摘录", wording.CLAUSE_LEAD):
        assert reviewed not in card.text_content()


def test_without_the_model_nothing_is_marked(client: FlaskClient, server: Stage) -> None:
    server.script = lambda request: request.say(b"", 500)
    [card] = page(client).xpath("//article[@data-answer]")
    assert "AI" not in card.text_content() and "原文摘录" in card.text_content()


def test_programs_are_told(client: FlaskClient, server: Stage) -> None:
    body = client.post("/api/v1/ask", json={"question": QUESTION}).get_json()
    assert body["outcome"] == "answered_clause" and body["ai_generated"] is True
    assert body["citations"][0]["text"] in body["text"]
    server.script = lambda request: request.complete("每户每个采暖季补贴9999元。")
    body = client.post("/api/v1/ask", json={"question": QUESTION}).get_json()
    assert body["ai_generated"] is False and "9999" not in body["text"]
