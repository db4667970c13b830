"""A real HTTP server that plays the endpoint of a language model; hides sockets and threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# How long a test waits for something that must happen; never reached by a passing test.
PATIENCE = 20.0


class Played(BaseHTTPRequestHandler):
    """One request; what it does to answer is the script of the moment."""

    protocol_version = "HTTP/1.1"
    server: Stage

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(
            (self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        )
        try:
            self.server.script(self)
        except OSError:
            self.close_connection = True  # the other side has left, as some tests want

    def do_GET(self) -> None:
        """Where a redirect that is followed would end."""
        self.server.received.append((self.path, {}, b""))
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests read `received`."""

    def say(self, body: bytes, status: int = 200, **headers: str) -> None:
        """A complete response."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def complete(self, text: object, finish: str = "stop", **message: object) -> None:
        """A completion."""
        said = {"role": "assistant", "content": text, **message}
        choice = {"index": 0, "message": said, "finish_reason": finish}
        body = {"id": "c-1", "object": "chat.completion", "choices": [choice]}
        self.say(json.dumps(body, ensure_ascii=False).encode())

    def wait(self) -> None:
        """Keep the other side waiting until the test is over."""
        self.server.over.wait(PATIENCE)
        self.close_connection = True


Script = Callable[[Played], None]


class Stage(ThreadingHTTPServer):
    """The server; `script` answers, `received` holds (path, headers, body) of every request."""

    daemon_threads = False
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Played)
        self.script: Script = lambda request: request.complete("")
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        """The base address that a setting would name."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count connections, not requests."""
        self.connections += 1
        super().process_request(request, client_address)

    def asked(self) -> dict[str, Any]:
        """The body of the last request."""
        found: dict[str, Any] = json.loads(self.received[-1][2])
        return found


@contextmanager
def stage() -> Iterator[Stage]:
    """A running server."""
    server = Stage()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
