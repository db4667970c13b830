"""An endpoint that is late, down, huge or strange costs a reason, never an answer."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator

import pytest

from service.composing.language_model import (
    AT_ONCE,
    FAILURES,
    LONGEST_PAUSE,
    MOST_BYTES,
    PAUSE,
    Breaker,
    Endpoint,
    LanguageModel,
    NoWords,
)
from tests.model_endpoint import PATIENCE, Played, Script, Stage, stage

MESSAGES = [{"role": "user", "content": "居住证怎么办？"}]
# Of a test that wants the deadline; the others never wait for theirs.
SOON = 0.3


@pytest.fixture
def server() -> Iterator[Stage]:
    with stage() as server:
        yield server


@pytest.fixture
def model(server: Stage) -> Iterator[LanguageModel]:
    model = LanguageModel(Endpoint(server.url, "m-1", key="k-1", timeout=PATIENCE, tokens=321))
    yield model
    model.close()


@pytest.fixture
def hasty(server: Stage) -> Iterator[LanguageModel]:
    model = LanguageModel(Endpoint(server.url, "m-1", timeout=SOON))
    yield model
    model.close()


def test_a_completion_is_asked_for_and_read(server: Stage, model: LanguageModel) -> None:
    server.script = lambda request: request.complete("好的。")
    assert model.words(MESSAGES) == "好的。"
    path, headers, _ = server.received[0]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer k-1"
    assert headers["content-type"] == "application/json"
    assert server.asked() == {
        "model": "m-1", "messages": MESSAGES, "temperature": 0, "max_tokens": 321, "stream": False,
    }  # fmt: skip


def test_the_connection_is_kept(server: Stage, model: LanguageModel) -> None:
    server.script = lambda request: request.complete("好。")
    for _ in range(5):
        model.words(MESSAGES)
    assert len(server.received) == 5 and server.connections == 1


def test_the_complete_address_may_be_given_too(server: Stage) -> None:
    server.script = lambda request: request.complete("好。")
    model = LanguageModel(Endpoint(f"{server.url}/chat/completions", "m-1", timeout=PATIENCE))
    assert model.words(MESSAGES) == "好。" and server.received[0][0] == "/v1/chat/completions"
    assert "authorization" not in server.received[0][1]
    model.close()


def test_the_surroundings_do_not_replace_the_key(
    server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.script = lambda request: request.complete("好。")
    model = LanguageModel(Endpoint(server.url, "m-1", key="k-1", timeout=PATIENCE))
    assert model.words(MESSAGES) == "好。"
    model.close()


def garbled_stream(request: Played) -> None:
    request.say(
        b'data: {"choices":[{"delta":{"content":"\xe5\n\n', Content_Type="text/event-stream"
    )


def endless(request: Played) -> None:
    """More than anyone should read, as fast as it is taken."""
    request.send_response(200)
    request.send_header("Connection", "close")
    request.end_headers()
    while True:
        request.wfile.write(b" " * 65536)


def redirect(request: Played) -> None:
    request.say(b"", 302, Location="/elsewhere")


def cut_short(request: Played) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"choices":')
    request.close_connection = True


def hang_up(request: Played) -> None:
    request.close_connection = True


def packed(request: Played) -> None:
    request.say(gzip.compress(b" " * 10_000_000), Content_Encoding="gzip")


def raw(body: object) -> Script:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda request: request.say(content)


BROKEN: dict[str, tuple[Script, str]] = {
    "error 500": (lambda request: request.say(b"{}", 500), "status 500"),
    "too many": (lambda request: request.say(b"{}", 429, Retry_After="60"), "status 429"),
    "wrong key": (lambda request: request.say(b"{}", 401), "status 401"),
    "accepted": (lambda request: request.say(b"", 202), "status 202"),
    "redirect": (redirect, "status 302"),
    "endless": (endless, "size"),
    "huge": (lambda request: request.complete("长" * MOST_BYTES), "size"),
    "compressed": (packed, "compressed"),
    "cut short": (cut_short, "unreachable"),
    "hangs up": (hang_up, "unreachable"),
    "garbled stream": (garbled_stream, "malformed"),
    "page": (raw(b"<html>login</html>"), "malformed"),
    "nothing": (raw(b""), "malformed"),
    "not utf-8": (raw(b'{"choices": [{"message": {"content": "\xff"}}]}'), "malformed"),
    "deep": (raw(b"[" * 100_000), "malformed"),
    "no choice": (raw({"choices": []}), "malformed"),
    "choices of another kind": (raw({"choices": {"a": 1}}), "malformed"),
    "a number": (raw(7), "malformed"),
    "no message": (raw({"choices": [{}]}), "malformed"),
    "message of another kind": (raw({"choices": [{"message": ["a"]}]}), "malformed"),
    "no content": (lambda request: request.complete(None), "malformed"),
    "content of another kind": (lambda request: request.complete(["好"]), "malformed"),
}


@pytest.mark.parametrize(("script", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_completion_is_a_failure(
    server: Stage, model: LanguageModel, script: Script, reason: str
) -> None:
    server.script = script
    for _ in range(FAILURES):
        with pytest.raises(NoWords) as caught:
            model.words(MESSAGES)
        assert caught.value.reason == reason
    with pytest.raises(NoWords, match="paused"):
        model.words(MESSAGES)
    assert {path for path, _, _ in server.received} == {"/v1/chat/completions"}
    assert len(server.received) == FAILURES


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda request: request.complete("", refusal="我不能回答"), "refused"),
        (lambda request: request.complete("", finish="content_filter"), "refused"),
        (lambda request: request.complete("说到一半", finish="length"), "cut off"),
    ],
)
def test_a_refusal_is_no_failure(
    server: Stage, model: LanguageModel, script: Script, reason: str
) -> None:
    server.script = script
    for _ in range(FAILURES + 1):
        with pytest.raises(NoWords, match=reason):
            model.words(MESSAGES)
    server.script = lambda request: request.complete("好。")
    assert model.words(MESSAGES) == "好。"


def dripping(request: Played) -> None:
    """A line of the head from time to time: no single read is late, the whole never ends."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not request.server.over.wait(SOON / 10):
        request.wfile.write(b"X-Wait: 1\r\n")


def keeping_alive(request: Played) -> None:
    """Blank lines until the answer is there, as busy services send them."""
    request.send_response(200)
    request.end_headers()
    while not request.server.over.wait(SOON / 10):
        request.wfile.write(b"\n")


@pytest.mark.parametrize("script", [Played.wait, dripping, keeping_alive])
def test_one_deadline_covers_everything(
    server: Stage, hasty: LanguageModel, script: Script
) -> None:
    server.script = script
    with pytest.raises(NoWords, match="late"):
        hasty.words(MESSAGES)


def test_nobody_there() -> None:
    with stage() as gone:
        url = gone.url
    model = LanguageModel(Endpoint(url, "m-1", timeout=PATIENCE))
    with pytest.raises(NoWords, match="unreachable"):
        model.words(MESSAGES)
    model.close()


def test_a_closed_model_gives_no_words(server: Stage) -> None:
    model = LanguageModel(Endpoint(server.url, "m-1"))
    model.close()
    with pytest.raises(NoWords, match="closed"):
        model.words(MESSAGES)
    model.close()


def test_who_comes_when_all_places_are_taken_does_not_wait(
    server: Stage, model: LanguageModel
) -> None:
    here, go = threading.Semaphore(0), threading.Event()

    def held(request: Played) -> None:
        here.release()
        go.wait(PATIENCE)
        request.complete("好。")

    server.script = held
    said: list[str] = []
    asking = [
        threading.Thread(target=lambda: said.append(model.words(MESSAGES))) for _ in range(AT_ONCE)
    ]
    for thread in asking:
        thread.start()
    assert all(here.acquire(timeout=PATIENCE) for _ in asking)
    with pytest.raises(NoWords, match="busy"):
        model.words(MESSAGES)
    go.set()
    for thread in asking:
        thread.join()
    assert said == ["好。"] * AT_ONCE
    assert model.words(MESSAGES) == "好。"


def test_closing_lets_go_whoever_waits(server: Stage) -> None:
    here = threading.Event()

    def silent(request: Played) -> None:
        here.set()
        request.wait()

    server.script = silent
    model = LanguageModel(Endpoint(server.url, "m-1", timeout=PATIENCE))
    reasons: list[str] = []

    def ask() -> None:
        with pytest.raises(NoWords) as caught:
            model.words(MESSAGES)
        reasons.append(caught.value.reason)

    asking = threading.Thread(target=ask)
    asking.start()
    assert here.wait(PATIENCE)
    model.close()
    asking.join(PATIENCE)
    assert reasons == ["closed"]


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_dead_endpoint_is_tried_again_after_growing_pauses() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        assert breaker.admits()
        breaker.failed()
    pause = PAUSE
    for _ in range(8):
        assert not breaker.admits()
        clock.now += pause
        assert breaker.admits(), "one trial after the pause"
        assert not breaker.admits(), "and only one"
        breaker.failed()
        pause = min(pause * 2, LONGEST_PAUSE)
    clock.now += LONGEST_PAUSE
    assert breaker.admits()
    breaker.worked()
    assert breaker.admits() and breaker.admits()
    for _ in range(FAILURES):
        breaker.failed()
    clock.now += PAUSE
    assert breaker.admits(), "it starts again with the short pause"


def test_successes_in_between_keep_the_breaker_closed() -> None:
    breaker = Breaker(Clock())
    for _ in range(FAILURES * 2):
        breaker.failed()
        breaker.worked()
    assert breaker.admits()


def test_an_endpoint_that_recovers_is_used_again(server: Stage) -> None:
    clock = Clock()
    model = LanguageModel(Endpoint(server.url, "m-1", timeout=PATIENCE), clock=clock)
    server.script = lambda request: request.say(b"", 503)
    for _ in range(FAILURES):
        with pytest.raises(NoWords):
            model.words(MESSAGES)
    server.script = lambda request: request.complete("好。")
    with pytest.raises(NoWords, match="paused"):
        model.words(MESSAGES)
    clock.now += PAUSE
    assert model.words(MESSAGES) == model.words(MESSAGES) == "好。"
    model.close()
