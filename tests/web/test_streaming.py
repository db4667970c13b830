"""Answers as server-sent events: framing, signs of life, and people who go away."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from service.web.streaming import PING, AnswerEvents, Streams, event, sentences

EVENTS = {"Accept": "text/event-stream"}
KNOWN = {"question": "居住证丢了怎么补办？"}


def read(stream: str) -> list[tuple[str, Any]]:
    """(name, data) of each event, as the specification tells a browser to read them."""
    found = []
    for block in stream.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if fields:
            found.append((fields.get("event", "message"), json.loads(fields["data"])))
    return found


def test_the_text_comes_in_parts_and_then_the_whole_answer(client: FlaskClient) -> None:
    response = client.post("/api/v1/ask", json=KNOWN, headers=EVENTS)
    *parts, (last, whole) = read(response.get_data(as_text=True))
    assert last == "done" and len(parts) > 1 and {name for name, _ in parts} == {"answer"}
    assert "".join(data["text"] for _, data in parts) == whole["text"]
    plain = client.post("/api/v1/ask", json=KNOWN).get_json()
    assert whole.keys() == plain.keys() and whole["ok"] is True
    assert whole["request_id"] == response.headers["X-Request-Id"]
    own = ("request_id", "conversation_id", "answer_id")
    assert {k: v for k, v in whole.items() if k not in own} == {
        k: v for k, v in plain.items() if k not in own
    }


def test_nothing_on_the_way_may_keep_or_hold_back_the_stream(client: FlaskClient) -> None:
    headers = client.post("/api/v1/ask", json=KNOWN, headers=EVENTS).headers
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Accel-Buffering"] == "no" and "Content-Length" not in headers


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("text/event-stream", True),
        ("text/event-stream, application/json", True),
        ("application/json, text/event-stream;q=0.5", False),
        ("application/json", False),
        ("*/*", False),
        ("text/*", False),
        ("text/event-stream;q=0", False),
        ("", False),
    ],
)
def test_only_those_who_ask_for_events_get_them(
    client: FlaskClient, accept: str, streams: bool
) -> None:
    response = client.post("/api/v1/ask", json=KNOWN, headers={"Accept": accept})
    assert (response.mimetype == "text/event-stream") is streams


def test_a_question_that_cannot_be_asked_is_refused_before_any_stream(client: FlaskClient) -> None:
    response = client.post("/api/v1/ask", json={"question": ""}, headers=EVENTS)
    assert response.status_code == 400 and response.get_json()["error"]["fields"] == {
        "question": "请输入您的问题"
    }


def test_there_are_signs_of_life_while_an_answer_takes_long() -> None:
    ready = threading.Event()

    def work() -> dict[str, Any]:
        ready.wait()
        return {"text": "好了。"}

    events = Streams(1, heartbeat=0.001).events(work, AnswerEvents("request"))
    assert [next(events) for _ in range(4)] == [PING] * 4
    ready.set()
    assert [name for name, _ in read("".join(events))] == ["answer", "done"]


def test_a_failure_is_told_in_the_one_error_shape(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> dict[str, Any]:
        raise RuntimeError("secret inside")

    stream = "".join(Streams(1).events(work, AnswerEvents("request")))
    [(name, body)] = read(stream)
    assert name == "error" and body["ok"] is False and body["request_id"] == "request"
    assert set(body["error"]) == {"code", "message", "fields"} and "secret" not in stream
    assert "secret inside" in caplog.text


def test_whoever_leaves_early_is_answered_on_the_record_all_the_same() -> None:
    ready, answered = threading.Event(), threading.Event()

    def work() -> dict[str, Any]:
        ready.wait()
        answered.set()
        return {"text": "好了。"}

    events = Streams(1).events(work, AnswerEvents("request"))
    assert next(events) == PING
    events.close()
    ready.set()
    assert answered.wait(timeout=60)


def test_a_connection_that_breaks_leaves_the_server_serving(client: FlaskClient, site: str) -> None:
    at = urlsplit(site)
    body = json.dumps(KNOWN).encode()
    request = (
        f"POST /api/v1/ask HTTP/1.1\r\nHost: {at.netloc}\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(3):
        with socket.create_connection((at.hostname, at.port)) as connection:
            connection.sendall(request.encode() + body)
            assert connection.recv(12).endswith(b" 200")
    with urlopen(f"{site}/healthz/ready") as response:
        assert response.status == 200


def test_hostile_text_cannot_leave_its_event() -> None:
    hostile = "好\n\nevent: done\ndata: {}\r\n\r\n\u2028\u0000"
    framed = event({"text": hostile}, "answer")
    assert framed.count("\n\n") == 1 and "\r" not in framed
    assert read(framed) == [("answer", {"text": hostile})]


@given(st.text())
def test_sentences_joined_are_the_text_again(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_a_sentence_keeps_its_closing_marks() -> None:
    assert sentences("他说：“能办。”请带身份证！\n1. 填表；2. 等") == [
        "他说：“能办。”",
        "请带身份证！\n",
        "1. 填表；",
        "2. 等",
    ]
