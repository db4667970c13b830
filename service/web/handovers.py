"""People who were handed over: the queue, and the conversation with one of them.

Works as plain pages; the script of the console fetches the same pieces to keep them fresh.
"""

from flask import Blueprint, Response, redirect, render_template, request

from kb.passages import Passage
from service import guards
from service.desk.handoff import Thread
from service.desk.readout import readout
from service.web.operators import badges, scope
from service.web.requests import wants_page
from service.web.responses import ok
from service.web.runtime import runtime
from service.web.sign_in import current_user, guarded

CHANNEL_NAMES = {
    "web": "网站",
    "widget": "网站小窗",
    "api": "接口",
    "wechat": "微信",
    "wecom": "企业微信",
    "dingtalk": "钉钉",
    "feishu": "飞书",
}
# Answers that are proposed beside a conversation, for what was asked and for what was said last.
PROPOSED = 3


def build() -> Blueprint:
    """The blueprint; for operators and administrators."""
    handovers = Blueprint("handovers", __name__, url_prefix="/operator/queue")
    guarded(handovers, "operator", "admin")

    @handovers.context_processor
    def _common() -> dict[str, object]:
        return {"channel_names": CHANNEL_NAMES, "now": runtime().now(), "badges": badges}

    @handovers.get("")
    def queue() -> str | Response:
        if not wants_page():
            return ok(**badges())
        return render_template("operator/queue.html", queue=runtime().handoffs.queue())

    @handovers.get("/<int:number>")
    def conversation(number: int) -> str:
        thread = runtime().handoffs.thread(number)
        return render_template(
            "operator/conversation.html",
            thread=thread,
            proposed=[(passage, readout(passage, None)) for passage in _proposed(thread)],
            mine=thread.row.operator_id == current_user().id,
        )

    @handovers.get("/<int:number>/messages")
    def messages(number: int) -> str:
        thread = runtime().handoffs.thread(number)
        return render_template("operator/messages.html", thread=thread)

    @handovers.post("/<int:number>/claim")
    def claim(number: int) -> Response:
        runtime().handoffs.claim(number, current_user().id)
        return _to(number)

    @handovers.post("/<int:number>/reply")
    def reply(number: int) -> Response:
        runtime().handoffs.reply(number, current_user().id, request.form.get("text", ""))
        return _to(number) if wants_page() else ok()

    @handovers.post("/<int:number>/release")
    def release(number: int) -> Response:
        runtime().handoffs.release(number, current_user().id)
        return _to(None)

    @handovers.post("/<int:number>/close")
    def close(number: int) -> Response:
        runtime().handoffs.close(number, current_user().id)
        return _to(None)

    return handovers


def _to(number: int | None) -> Response:
    where = "/operator/queue" if number is None else f"/operator/queue/{number}"
    return redirect(where, code=303)  # type: ignore[return-value]


def _proposed(thread: Thread) -> list[Passage]:
    """Entries that fit what the person had asked, then what they said last."""
    said = [words.text for words in thread.words if words.author == "person"]
    found: dict[str, Passage] = {}
    for text in (thread.row.question, *said[-1:]):
        asked = guards.clean(text)[: guards.MAX_QUESTION]
        entries = [p for p in runtime().finder.find(asked, scope()) if p.kind == "entry"]
        found |= {passage.key: passage for passage in entries[:PROPOSED]}
    return list(found.values())
