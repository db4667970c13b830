"""The JSON API of the public contract: ask, search, suggest, feedback, documents, entries."""

from collections.abc import Callable
from datetime import date
from typing import Any

from flask import Response, g
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from kb.search import Scope
from service import guards
from service.conversations import Question, Reach
from service.presentation import (
    answer_json,
    document_json,
    entry_json,
    message_json,
)
from service.web import access
from service.web.metrics import Metrics
from service.web.origins import asking_site
from service.web.responses import ok
from service.web.runtime import runtime
from service.web.searching import SearchQuery, SoundText, resolve_region, search_json, searched
from service.web.streaming import AnswerEvents, Streams, streamed, wants_events

# What a system's key must open, by view.
SCOPES = {
    "ask": "ask",
    "feedback": "ask",
    "messages": "ask",
    "search": "search",
    "suggest": "search",
    "popular": "search",
    "document": "read",
    "entry": "read",
}
CHANNELS = ("web", "widget", "hotline", "wechat", "wecom", "dingtalk", "feishu", "api", "cli")

_TAG = Tag(name="policyqa", description="政策问答")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AskBody(_Strict):
    """A question."""

    question: SoundText = Field(description="问题，最多500字")
    channel: str = Field("api", max_length=32, pattern=r"^[a-z0-9_-]+$", description="渠道")
    conversation_id: str | None = Field(None, max_length=32, pattern=r"^[A-Za-z0-9_-]+$")
    region: str | None = Field(None, max_length=32, description="六位行政区划代码或名称")
    as_of: date | None = Field(None, description="按哪一天的政策回答，默认今天")


class SuggestQuery(BaseModel):
    """The beginning or a part of a question."""

    q: str = Field("", max_length=guards.MAX_QUESTION)
    region: str = Field("", max_length=32, description="六位行政区划代码或名称")


class PopularQuery(BaseModel):
    """For whom to list what is asked most."""

    region: str = Field("", max_length=32, description="六位行政区划代码或名称")
    department: str = Field("", max_length=128, description="责任单位")
    limit: int = Field(6, ge=1, le=20)


class FeedbackBody(_Strict):
    """What a person thought of an answer."""

    answer_id: str = Field(max_length=32, pattern=r"^[0-9a-f]+$")
    helpful: bool
    comment: str = Field("", max_length=1000)


class ConversationId(BaseModel):
    """A conversation in the address."""

    id: str = Field(max_length=32, pattern=r"^[A-Za-z0-9_-]+$", description="会话编号")


class MessagesQuery(BaseModel):
    """Which messages are new."""

    after: int = Field(0, ge=0, le=2**31 - 1, description="已收到的最后一条消息的编号")


class Numbered(BaseModel):
    """A number in the address."""

    id: int = Field(ge=1, le=2**31 - 1)


def build(metrics: Metrics, streams: Streams) -> APIBlueprint:
    """The blueprint; open to anyone within the limits of `service.web.access`."""
    api = APIBlueprint("api", __name__, url_prefix="/api/v1", abp_tags=[_TAG])
    access.guard(api, SCOPES)

    @api.post("/ask", summary="提问")
    def ask(body: AskBody) -> Response:
        site = asking_site()
        channel = "widget" if site else body.channel
        asked = Question(
            text=body.question,
            channel=channel,
            conversation_id=body.conversation_id,
            region=resolve_region(body.region or (site.region if site else None)),
            as_of=body.as_of or runtime().today(),
            system=access.system_name(),
            # The widget fetches an operator's words; a caller of the API has no way to hear them.
            reach=Reach() if channel == "widget" else None,
        )
        work = answering(asked, metrics)
        if wants_events():
            return streamed(streams.events(work, AnswerEvents(g.request_id)))
        return ok(**work())

    @api.get("/search", summary="检索")
    def search(query: SearchQuery) -> Response:
        return ok(**search_json(searched(query)))

    @api.get("/suggest", summary="输入提示")
    def suggest(query: SuggestQuery) -> Response:
        text = guards.clean(query.q)
        scope = Scope(as_of=runtime().today(), region=resolve_region(query.region))
        found = runtime().finder.suggest(text, scope) if text else []
        return ok(suggestions=[{"text": each.text, "kind": each.kind} for each in found])

    @api.get("/popular", summary="大家都在问")
    def popular(query: PopularQuery) -> Response:
        region = resolve_region(query.region)
        scope = Scope(as_of=runtime().today(), region=region, department=query.department)
        return ok(questions=runtime().popularity.questions(scope, limit=query.limit))

    @api.post("/feedback", summary="评价回答")
    def feedback(body: FeedbackBody) -> Response:
        runtime().conversations.rate(body.answer_id, helpful=body.helpful, comment=body.comment)
        return ok()

    @api.get("/conversations/<id>/messages", summary="转人工后的新消息")
    def messages(path: ConversationId, query: MessagesQuery) -> Response:
        state, words = runtime().handoffs.messages(path.id, query.after)
        return ok(state=state, messages=[message_json(each) for each in words])

    @api.get("/documents/<int:id>", summary="政策文件")
    def document(path: Numbered) -> Response:
        found = runtime().library.document(path.id, runtime().today())
        return ok(document=document_json(found, runtime().regions))

    @api.get("/entries/<int:id>", summary="问答条目")
    def entry(path: Numbered) -> Response:
        found = runtime().library.entry(path.id, runtime().today())
        return ok(entry=entry_json(found, runtime().regions))

    return api


def answering(asked: Question, metrics: Metrics) -> Callable[[], dict[str, Any]]:
    """What answers a question and returns the answer's JSON; it needs no request around it."""
    objects = runtime()

    def work() -> dict[str, Any]:
        answer = objects.answerer.answer(asked)
        channel = asked.channel if asked.channel in CHANNELS else "other"
        metrics.answer(answer.outcome.value, channel, asked.system)
        return answer_json(answer, objects.regions)

    return work
