"""What becomes of an answer on a messaging platform: basis, address, options, whom to ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from kb.passages import Citation, EntryFacts, Passage
from kb.validity import Validity
from service import wording
from service.channels import Option
from service.conversations import Answer, Choice, Contact, Outcome
from service.replies import problem_reply, reply_of
from service.tunables import Tuned

URL = "https://policy.example.gov.cn"
CITED = Citation(
    7,
    70,
    "某市居住证办法",
    "某政发〔2024〕1号",
    "某市",
    "第八条",
    "十日内办理。",
    Validity.IN_FORCE,
)
ENTRY = EntryFacts(
    id=12, code="A-1", version=1, question="居住证怎么办？", wordings=(), negatives=(),
    answer="带身份证到派出所办理，十日内领取。", short_answer="到派出所办。", phone="",
    review_due=None, updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip
PASSAGE = Passage(
    key="entry:12", kind="entry", title=ENTRY.question, text=ENTRY.answer, headings=(),
    department="市公安局", topic="", tags=(), audience="", region_code=None,
    effective_on=date(2024, 1, 1), expires_on=None, published_on=None,
    validity=Validity.IN_FORCE, citations=(CITED,), entry=ENTRY,
)  # fmt: skip
ANSWERED = Answer(Outcome.ANSWERED, ENTRY.answer, entry=PASSAGE, citations=(CITED,))


def test_an_entry_brings_its_short_answer_its_basis_and_its_page() -> None:
    reply = reply_of(ANSWERED, f"{URL}/")
    assert (reply.text, reply.short) == (ENTRY.answer, "到派出所办。")
    assert reply.source == "依据：《某市居住证办法》第八条"
    assert reply.url == f"{URL}/entries/12"
    assert (reply.options, reply.label) == ((), "")


def test_without_a_public_address_there_is_no_link() -> None:
    assert reply_of(ANSWERED, "").url == ""


def test_a_quoted_clause_names_its_basis_once_and_leads_to_its_page() -> None:
    text = f"{wording.CLAUSE_LEAD}\n\n《某市居住证办法》（某政发〔2024〕1号）第八条：\n十日内办理。"
    reply = reply_of(Answer(Outcome.ANSWERED_CLAUSE, text, citations=(CITED,)), URL)
    assert (reply.source, reply.url) == ("", f"{URL}/documents/7#clause-70")


def test_words_of_a_model_carry_the_label_and_the_basis() -> None:
    answer = Answer(
        Outcome.ANSWERED_CLAUSE, "十天内能办好。", citations=(CITED,), ai_generated=True
    )
    reply = reply_of(answer, URL)
    assert reply.label == wording.GENERATED and reply.source == "依据：《某市居住证办法》第八条"


def test_a_repealed_text_is_never_the_basis() -> None:
    old = replace(CITED, title="旧办法", validity=Validity.REPEALED)
    reply = reply_of(replace(ANSWERED, citations=(old, CITED)), URL)
    assert "旧办法" not in reply.source
    assert reply_of(replace(ANSWERED, citations=(old,)), URL).source == ""
    refused = Answer(Outcome.UNANSWERABLE, "《旧办法》已废止。", citations=(old,))
    assert (reply_of(refused, URL).source, reply_of(refused, URL).url) == ("", "")


def test_a_refusal_says_whom_to_ask_and_says_it_once() -> None:
    contact = Contact("市公安局", "0532-110")
    said = reply_of(Answer(Outcome.UNANSWERABLE, "《旧办法》已废止。", contact=contact), URL).text
    assert said.endswith("可联系市公安局（电话0532-110）。")
    text = Tuned().no_match(contact.department, contact.phone)
    assert reply_of(Answer(Outcome.UNANSWERABLE, text, contact=contact), URL).text == text


def test_questions_to_choose_from_become_options() -> None:
    options = tuple(Choice(each, each) for each in ("甲？", "乙？", "丙？", "丁？"))
    answer = Answer(Outcome.CLARIFY, wording.CLARIFY, options=options)
    reply = reply_of(answer, URL)
    assert reply.options == (Option("甲？", "甲？"), Option("乙？", "乙？"), Option("丙？", "丙？"))
    assert (reply.source, reply.url) == ("", "")


@pytest.mark.parametrize("text", ["", "  ", "\u0007", "问" * 501, "坏\ud800字", "坏\x00字"])
def test_what_cannot_be_read_gets_kind_words(text: str) -> None:
    reply = problem_reply(text)
    assert reply is not None and reply.text.startswith("抱歉") and "12345" in reply.text
    reply.text.encode()


def test_what_can_be_read_is_no_problem() -> None:
    assert problem_reply("居住证怎么办") is None
