"""The platforms' APIs on this machine: hands out tokens and takes what is pushed; hides HTTP.

Whoever points a channel's API address here sees what the service would have sent, and may make it
fail in the ways that platforms fail.
"""

import json
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from service.channels.dingtalk import SESSION_PATH

LIFETIME = 7200
MAX_BYTES = 2**20


@dataclass(frozen=True)
class Request:
    """One call of the API.

    Attributes:
        raw: the body as it came in.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The body read as a JSON object; empty where it is none."""
        try:
            found = json.loads(self.raw)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Said:
    """Words that the platform would now show.

    Attributes:
        to: the person, the session (DingTalk) or the message replied to (Feishu).
    """

    to: str
    text: str


class SimulatedPlatform:
    """All four APIs at one address; to be used in a `with` statement.

    Args:
        port: where to listen on 127.0.0.1; 0 for any that is free.

    Attributes:
        requests: every call, oldest first.
        said: words in the order in which they came.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.said: queue.Queue[Said] = queue.Queue()
        self._lock = threading.Lock()
        self._tokens = 0
        self._verdicts: list[Mapping[str, Any] | bytes] = []
        self._keys: set[str] = set()
        self._said_at: dict[Said, float] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def fetched(self) -> int:
        """How many tokens were handed out."""
        return self._tokens

    def expire(self) -> None:
        """Make the present token invalid, before its time."""
        with self._lock:
            self._tokens += 1

    def will(self, *verdicts: Mapping[str, Any] | bytes) -> None:
        """Answer the next pushes with these, whatever they hold."""
        with self._lock:
            self._verdicts.extend(verdicts)

    def answer(self, request: Request) -> Mapping[str, Any] | bytes:
        """What the platform says to a call; None of it leaves this machine."""
        with self._lock:
            self.requests.append(request)
            if request.path in TOKEN_PATHS:
                self._tokens += 1
                token, good = f"token-{self._tokens}", {"errcode": 0, "code": 0}
                if request.path == "/open-apis/auth/v3/tenant_access_token/internal":
                    return {**good, "tenant_access_token": token, "expire": LIFETIME}
                return {**good, "access_token": token, "expires_in": LIFETIME}
            if self._verdicts:
                return self._verdicts.pop(0)
            return self._take(request)

    def _take(self, request: Request) -> Mapping[str, Any]:
        """Check the token and keep the words."""
        token, content = f"token-{self._tokens}", request.content
        if request.path in ("/cgi-bin/message/custom/send", "/cgi-bin/message/send"):
            if request.query.get("access_token") != token:
                return {"errcode": 40001, "errmsg": "invalid credential"}
            words = Said(content["touser"], content["text"]["content"])
            interval = content.get("duplicate_check_interval", 0)
            if not content.get("enable_duplicate_check") or self._is_new(words, interval):
                self.said.put(words)
            return {"errcode": 0, "errmsg": "ok"}
        if request.path == SESSION_PATH:
            self.said.put(Said(request.query.get("session", ""), content["text"]["content"]))
            return {"errcode": 0, "errmsg": "ok"}
        if request.path.startswith("/open-apis/im/v1/messages"):
            if request.headers.get("authorization") != f"Bearer {token}":
                return {"code": 99991663, "msg": "Invalid access token"}
            if content["uuid"] not in self._keys:
                self._keys.add(content["uuid"])
                to = content.get("receive_id") or unquote(request.path.split("/")[5])
                self.said.put(Said(to, json.loads(content["content"])["text"]))
            return {"code": 0, "msg": "success"}
        return {"errcode": 404, "code": 404}

    def _is_new(self, words: Said, interval: float) -> bool:
        """Whether words were not said to that person within an interval in seconds."""
        now = time.monotonic()
        before = self._said_at.get(words)
        self._said_at[words] = now
        return before is None or now - before > interval


TOKEN_PATHS = {
    "/cgi-bin/stable_token",
    "/cgi-bin/gettoken",
    "/open-apis/auth/v3/tenant_access_token/internal",
}


def _handler(platform: SimulatedPlatform) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            length = min(int(self.headers.get("Content-Length") or 0), MAX_BYTES)
            request = Request(
                path=parts.path,
                query={name: values[0] for name, values in parse_qs(parts.query).items()},
                headers={name.lower(): value for name, value in self.headers.items()},
                raw=self.rfile.read(length),
            )
            answer = platform.answer(request)
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
