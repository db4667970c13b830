"""Messages → the words of a model behind an OpenAI-compatible address.

Hides the connection, which is kept; the deadline, which covers everything; the size of what is
read; and the breaker that spares people the wait for an endpoint that is down.
"""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

import httpx

# An answer of a few sentences takes some kilobytes; whatever is longer is not one.
MOST_BYTES = 200_000
# Requests at the same time. Whoever comes later is not kept waiting: the web server has few
# threads, and most questions need no model.
AT_ONCE = 4
# Failures in a row that open the breaker, and the seconds until one question tries again; they
# double with each failed trial.
FAILURES = 3
PAUSE, LONGEST_PAUSE = 30.0, 600.0

Message = Mapping[str, str]


class NoWords(Exception):  # noqa: N818
    """The model has given no usable words; `reason` is one word for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Endpoint:
    """Where the model is and what it may take.

    Attributes:
        url: the base address, as in https://host/v1.
        key: sent as a bearer token; empty for none.
        timeout: seconds for everything from connecting to the last byte.
        tokens: at most this many are generated.
    """

    url: str
    model: str
    key: str = ""
    timeout: float = 8.0
    tokens: int = 600


class Breaker:
    """Stops trying after failures in a row, then lets one trial through after each pause.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = PAUSE
        self._closed_from = 0.0

    def admits(self) -> bool:
        """Whether to try now."""
        with self._lock:
            if self._failures < FAILURES:
                return True
            if self._clock() < self._closed_from:
                return False
            # This one is the trial; the others wait for another pause.
            self._closed_from = self._clock() + self._pause
            return True

    def worked(self) -> None:
        """The endpoint answered."""
        with self._lock:
            self._failures, self._pause = 0, PAUSE

    def failed(self) -> None:
        """The endpoint did not answer."""
        with self._lock:
            self._failures += 1
            if self._failures > FAILURES:
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._closed_from = self._clock() + self._pause


class LanguageModel:
    """One endpoint; safe to use from many threads.

    Requests run on an event loop of their own thread, because only there can one deadline end a
    request whatever it is waiting for.
    """

    def __init__(self, endpoint: Endpoint, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._breaker = Breaker(clock)
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._loop = asyncio.new_event_loop()
        # Nothing of the surroundings counts: no proxy, no .netrc that would replace the key.
        self._client = httpx.AsyncClient(
            timeout=endpoint.timeout,
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )
        if endpoint.key:
            self._client.headers["Authorization"] = f"Bearer {endpoint.key}"
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="language-model", daemon=True
        )
        self._thread.start()

    def words(self, messages: Sequence[Message]) -> str:
        """What the model says, as it came.

        Raises:
            NoWords: it is down, late, busy, refuses, or its response is not one.
        """
        if self._loop.is_closed():
            raise NoWords("closed")
        if not self._breaker.admits():
            raise NoWords("paused")
        if not self._free.acquire(blocking=False):
            raise NoWords("busy")
        try:
            asked = asyncio.run_coroutine_threadsafe(self._request(messages), self._loop)
            body = asked.result()
            text = _content(body)
        except NoWords:
            self._breaker.worked()
            raise
        except CancelledError as error:
            raise NoWords("closed") from error
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, _Malformed) as error:
            self._breaker.failed()
            raise NoWords(_named(error)) from error
        finally:
            self._free.release()
        self._breaker.worked()
        return text

    def close(self) -> None:
        """End the connection and the thread; again is harmless."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        # Whoever still waits for words is told that there will be none.
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._client.aclose()
        await self._loop.shutdown_default_executor()

    async def _request(self, messages: Sequence[Message]) -> bytes:
        address = self._endpoint.url.rstrip("/").removesuffix("/chat/completions")
        body = {
            "model": self._endpoint.model,
            "messages": list(messages),
            "temperature": 0,
            "max_tokens": self._endpoint.tokens,
            "stream": False,
        }
        content = json.dumps(body, ensure_ascii=False).encode()
        async with (
            asyncio.timeout(self._endpoint.timeout),
            self._client.stream(
                "POST",
                f"{address}/chat/completions",
                content=content,
                headers={"Content-Type": "application/json"},
            ) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise _Malformed(f"status {response.status_code}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise _Malformed("compressed")  # a few bytes could unfold to gigabytes
            received = bytearray()
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > MOST_BYTES:
                    raise _Malformed("size")
            return bytes(received)


class _Malformed(Exception):  # noqa: N818
    """The response is not what the protocol says."""


def _content(body: bytes) -> str:
    """The words of a completion.

    Raises:
        NoWords: the model refused, or stopped before the end.
        _Malformed: this is no completion.
    """
    try:
        choice: Any = json.loads(body)["choices"][0]
        message = choice["message"]
        refused = message.get("refusal") or choice.get("finish_reason") == "content_filter"
        cut_off = choice.get("finish_reason") == "length"
        text = message.get("content")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _Malformed("malformed") from error
    if refused:
        raise NoWords("refused")
    if cut_off:
        raise NoWords("cut off")
    if not isinstance(text, str):
        raise _Malformed("malformed")
    return text


def _named(error: Exception) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "late"
    return str(error) if isinstance(error, _Malformed) else "unreachable"
