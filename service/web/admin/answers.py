"""The record of one answer: what was said, from which version, and what that says now."""

from flask import Blueprint, render_template

from kb.errors import NotFound
from service.answers_on_record import AnswersOnRecord
from service.insights.figures import CHANNELS
from service.rights import may
from service.web.admin import section
from service.web.runtime import runtime
from service.web.sign_in import current_user

OUTCOMES = {
    "answered": "用问答原文回答",
    "answered_clause": "引用政策条款",
    "clarify": "请群众选择",
    "unanswerable": "如实说不知道",
    "handed_off": "转人工",
    "blocked": "暂停自动回答",
    "error": "出错",
}


def build() -> Blueprint:
    """The blueprint; for those who may read the entry that was answered from."""
    pages = section(Blueprint("answers", __name__, url_prefix="/admin/answers"), "entry.read")

    @pages.get("/<number>")
    def one(number: str) -> str:
        return _one(number[:32])

    return pages


def _one(number: str) -> str:
    given = AnswersOnRecord(runtime().db).one(number)
    history, user = runtime().history, current_user()
    said = current = None
    if given.entry_id and given.entry_version:
        said = history.said(given.entry_id, given.entry_version)
        current = history.current(given.entry_id)
    department, region = (
        (said.record.department, said.record.region or None) if said else ("", given.region)
    )
    if not may(user, "entry.read", department=department, region=region):
        raise NotFound("没有这条回答，可能已经过了保存期")
    changes = history.difference(said.id, current.id) if said and current else ()
    return render_template(
        "admin/answers.html",
        given=given,
        said=said,
        current=current,
        changes=changes,
        outcomes=OUTCOMES,
        channels=CHANNELS,
    )
