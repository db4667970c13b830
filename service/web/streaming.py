"""Answers as server-sent events (WHATWG HTML, section 9.2); hides framing and heartbeats.

An answer is worked out in a thread of its own, so that the connection shows signs of life while
someone waits. Whoever goes away early is still answered on the record.
"""

import json
import logging
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from flask import Response, request

from service.web.responses import UNEXPECTED, error_body

log = logging.getLogger(__name__)

# Proxies commonly cut a silent connection after 30 or 60 seconds.
HEARTBEAT = 15.0
PING = ": ping\n\n"
_MEDIA = "text/event-stream"
# A sentence with its closing marks, quotation marks and line breaks.
_SENTENCE = re.compile(r"[^。！？；\n]*[。！？；\n]+[”’」』）)]*\s*|.+\Z", re.DOTALL)


def wants_events() -> bool:
    """Whether the client asks for events rather than for one JSON body."""
    asked = request.accept_mimetypes
    named = any(media == _MEDIA and quality > 0 for media, quality in asked)
    return named and asked[_MEDIA] >= asked["application/json"]


def streamed(events: Iterable[str]) -> Response:
    """A streamed response that no proxy holds back, keeps or changes."""
    answer = Response(events, content_type=f"{_MEDIA}; charset=utf-8")
    answer.headers["Cache-Control"] = "no-cache, no-transform"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def event(data: Any, name: str = "") -> str:
    """One event; `data` is sent as JSON, which has no line breaks of its own."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n"


def sentences(text: str) -> list[str]:
    """The sentences of a text; joined, they are the text again."""
    return _SENTENCE.findall(text)


class Events(Protocol):
    """How an answer is put into events."""

    def of(self, answer: dict[str, Any]) -> Iterator[str]:
        """The events of an answer's JSON."""

    def of_failure(self) -> Iterator[str]:
        """The events that say that there will be no answer."""


class AnswerEvents:
    """Events of our own API: `answer` with a part of the text each, then `done` with all of it.

    Args:
        request_id: as in the response's header.
    """

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def of(self, answer: dict[str, Any]) -> Iterator[str]:
        """Sentence by sentence, then the JSON that a client without events would have got."""
        for part in sentences(answer["text"]):
            yield event({"text": part}, "answer")
        yield event({"ok": True, "request_id": self._request_id, **answer}, "done")

    def of_failure(self) -> Iterator[str]:
        """One `error` with the usual body."""
        code, message = UNEXPECTED
        yield event(error_body(code, message, {}, self._request_id), "error")


class Streams:
    """Works out answers beside the connections that wait for them.

    Args:
        workers: how many at a time; as many as connections are served at a time.
        heartbeat: seconds of silence after which a sign of life is sent.
    """

    def __init__(self, workers: int, heartbeat: float = HEARTBEAT) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="stream")
        self._heartbeat = heartbeat

    def events(
        self, work: Callable[[], dict[str, Any]], events: Events
    ) -> Generator[str, None, None]:
        """Signs of life while `work` runs, then the events of the answer that it returns.

        The work starts at once, not when the first event is fetched.
        """
        return self._follow(self._pool.submit(work), events)

    def _follow(self, future: Future[dict[str, Any]], events: Events) -> Generator[str, None, None]:
        yield PING
        while not wait([future], timeout=self._heartbeat).done:
            yield PING
        error = future.exception()
        if error is None:
            yield from events.of(future.result())
        else:
            log.error("answering for a stream failed", exc_info=error)
            yield from events.of_failure()
