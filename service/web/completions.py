"""The interface of OpenAI's chat completions over our answers; hides its shapes.

Whatever speaks that interface can ask here: the last message of the user is the question, and
the reply is the same verified answer as everywhere, with its sources below the text and as data
in `x_policy_qa`. Messages of the system and earlier turns change nothing about an answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from kb.errors import NotFound
from service import guards, wording
from service.conversations import Question
from service.web import access
from service.web.api import answering
from service.web.metrics import Metrics
from service.web.responses import UNEXPECTED, completions_error, require
from service.web.runtime import runtime
from service.web.searching import resolve_region
from service.web.streaming import Streams, event, sentences, streamed

MODEL = "policyqa"
END = "data: [DONE]\n\n"
# Requests of other programs carry long instructions; only the last question is read.
MAX_MESSAGES = 1000

SCOPES = {"complete": "ask", "models": "ask", "model": "ask"}
_MODEL = {"id": MODEL, "object": "model", "created": 0, "owned_by": "policyqa"}
_TAG = Tag(name="completions", description="兼容 OpenAI 的接口")


class _Lenient(BaseModel):
    """Parameters that steer a language model are taken and have no effect."""

    model_config = ConfigDict(extra="ignore")


class Part(_Lenient):
    """A part of a message; only text can be read."""

    type: str = Field(max_length=64)
    text: str = ""


class Message(_Lenient):
    """One turn."""

    role: str = Field(max_length=32)
    content: str | list[Part] | None = None


class Extra(BaseModel):
    """What our own API knows and OpenAI's does not."""

    model_config = ConfigDict(extra="forbid")

    region: str | None = Field(None, max_length=32, description="六位行政区划代码或名称")
    as_of: date | None = Field(None, description="按哪一天的政策回答，默认今天")
    channel: str = Field("api", max_length=32, pattern=r"^[a-z0-9_-]+$", description="渠道")
    conversation_id: str | None = Field(None, max_length=32, pattern=r"^[A-Za-z0-9_-]+$")


class StreamOptions(_Lenient):
    """What a stream carries besides the text."""

    include_usage: bool = False


class CompletionBody(_Lenient):
    """A request for a completion."""

    model: str = Field(MODEL, max_length=256, description="任意；回答的总是 policyqa")
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    x_policy_qa: Extra | None = Field(None, description="地区等")


class ModelPath(BaseModel):
    """A model's name in the address."""

    name: str = Field(max_length=256)


def build(metrics: Metrics, streams: Streams) -> APIBlueprint:
    """The blueprint; guarded like the rest of the API."""
    blueprint = APIBlueprint("completions", __name__, url_prefix="/v1", abp_tags=[_TAG])
    access.guard(blueprint, SCOPES)

    @blueprint.post("/chat/completions", summary="对话补全")
    def complete(body: CompletionBody) -> Response:
        question = question_of(body.messages)
        extra = body.x_policy_qa or Extra.model_validate({})
        asked = Question(
            text=question,
            channel=extra.channel,
            conversation_id=extra.conversation_id,
            region=resolve_region(extra.region),
            as_of=extra.as_of or runtime().today(),
            system=access.system_name(),
        )
        options = body.stream_options or StreamOptions()
        completion = Completion(
            question=question,
            created=round(runtime().now().timestamp()),
            base=runtime().settings.public_url,
            usage=options.include_usage,
        )
        work = answering(asked, metrics)
        if body.stream:
            return streamed(streams.events(work, completion))
        return jsonify(completion.whole(work()))

    @blueprint.get("/models", summary="模型列表")
    def models() -> Response:
        return jsonify({"object": "list", "data": [_MODEL]})

    @blueprint.get("/models/<name>", summary="模型")
    def model(path: ModelPath) -> Response:
        if path.name != MODEL:
            raise NotFound(f"没有模型“{path.name}”，可用的是 {MODEL}")
        return jsonify(_MODEL)

    return blueprint


def question_of(messages: Sequence[Message]) -> str:
    """The question: the last message of the user.

    Raises:
        InvalidRequest: there is none, or it cannot be asked.
    """
    last = next((each for each in reversed(messages) if each.role == "user"), None)
    require(last, "messages", "没有用户消息（role 为 user）")
    content = last.content if last and last.content else ""
    if isinstance(content, list):
        require(all(each.type == "text" for each in content), "messages", "目前只能读文字内容")
        content = "\n".join(each.text for each in content)
    problem = guards.problem_with(content)
    require(not problem, "messages", problem)
    return content


@dataclass(frozen=True)
class Completion:
    """An answer in the shapes of a completion: one body, or chunks.

    Attributes:
        created: seconds since 1970.
        base: public address of this service, for links; empty for none.
        usage: whether a stream ends with the counts.
    """

    question: str
    created: int
    base: str
    usage: bool

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The body of a completion that is not streamed."""
        content = self._content(answer)
        message = {"role": "assistant", "content": content, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {
            **self._head(answer, "chat.completion"),
            "choices": [choice],
            "usage": self._usage(content),
            "x_policy_qa": _sources(answer),
        }

    def of(self, answer: dict[str, Any]) -> Iterator[str]:
        """The chunks of a stream: the sources in the last one, then the counts if asked for."""
        head = self._head(answer, "chat.completion.chunk")
        content = self._content(answer)
        rest = {"usage": None} if self.usage else {}
        yield event({**head, "choices": [_delta({"role": "assistant", "content": ""})], **rest})
        for part in sentences(content):
            yield event({**head, "choices": [_delta({"content": part})], **rest})
        ended = {"choices": [_delta({}, "stop")], **rest, "x_policy_qa": _sources(answer)}
        yield event({**head, **ended})
        if self.usage:
            yield event({**head, "choices": [], "usage": self._usage(content)})
        yield END

    def of_failure(self) -> Iterator[str]:
        """The error that clients raise from within a stream."""
        code, message = UNEXPECTED
        yield event(completions_error(500, code, message, None))
        yield END

    def _head(self, answer: dict[str, Any], kind: str) -> dict[str, Any]:
        identifier = f"chatcmpl-{answer['answer_id']}"
        return {"id": identifier, "object": kind, "created": self.created, "model": MODEL}

    def _usage(self, content: str) -> dict[str, int]:
        """Characters stand for tokens: nothing here is metered, but clients expect figures."""
        asked, said = len(self.question), len(content)
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}

    def _content(self, answer: dict[str, Any]) -> str:
        """The text with everything that a client which reads only text must not miss."""
        parts = [answer["text"] or wording.PASSED_ON]
        if answer.get("notice"):
            parts.insert(0, answer["notice"])
        options = [f"{n}. {each['label']}" for n, each in enumerate(answer["options"], start=1)]
        if options:
            parts.append("\n".join(options))
        if answer["citations"]:
            lines = [self._source(n, each) for n, each in enumerate(answer["citations"], start=1)]
            parts.append("\n".join(["依据：", *lines]))
        if answer["ai_generated"]:
            parts.append(wording.GENERATED)
        return "\n\n".join(parts)

    def _source(self, number: int, cited: dict[str, Any]) -> str:
        named = f"（{cited['document_number']}）" if cited["document_number"] else ""
        standing = f"［{cited['validity_text']}］"
        link = f" {self.base.rstrip('/')}{cited['url']}" if self.base and cited["url"] else ""
        return f"[{number}] 《{cited['title']}》{named}{cited['locator']}{standing}{link}"


def _delta(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _sources(answer: dict[str, Any]) -> dict[str, Any]:
    """What our own API says besides the text."""
    kept = (
        "answer_id", "conversation_id", "outcome", "confidence", "ai_generated",
        "entry", "citations", "options", "suggestions", "contact",
    )  # fmt: skip
    return {name: answer[name] for name in kept}
