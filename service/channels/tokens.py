"""Calls to a platform's API with an access token; hides time-outs, its renewal and its secrecy.

A token is fetched once for all threads, before it expires, and once again when the platform says
that it is not valid after all.
"""

import functools
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from service.channels import Undelivered

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
# Seconds before its end at which a token is renewed.
MARGIN = 300.0
# A platform that gives no lifetime is asked again after this many seconds.
SHORTEST = 60.0

# It would log whole addresses, and tokens are part of them.
logging.getLogger("httpx").setLevel(logging.WARNING)


class Tokens:
    """The access token of one account, shared by threads.

    Args:
        fetch: gets a new one; (token, seconds it will be valid).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], tuple[str, float]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def use(
        self,
        call: Callable[[str], dict[str, Any]],
        *,
        refused: Callable[[dict[str, Any]], bool],
    ) -> dict[str, Any]:
        """The outcome of a call with a token; tried once more with a new one if `refused`.

        Raises:
            Undelivered: no token can be had, or the call itself raised it.
        """
        token = self._current(but_not="")
        outcome = call(token)
        return call(self._current(but_not=token)) if refused(outcome) else outcome

    def _current(self, *, but_not: str) -> str:
        # Whoever comes second finds what the first one fetched.
        with self._lock:
            if self._token in ("", but_not) or self._clock() >= self._until:
                self._token, seconds = self._fetch()
                self._until = self._clock() + max(seconds - MARGIN, SHORTEST)
            return self._token


def post(
    url: str,
    content: Mapping[str, Any],
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Post JSON, in which characters stand for themselves, and read the JSON that comes back.

    Raises:
        Undelivered: not reached, not in time, or no JSON came back; trying again may help.
    """
    return _answer(
        "POST",
        url,
        content=json.dumps(content, ensure_ascii=False).encode(),
        params=params,
        headers={"Content-Type": "application/json; charset=utf-8", **(headers or {})},
    )


def get(url: str, params: Mapping[str, str]) -> dict[str, Any]:
    """Read JSON; raises as `post`."""
    return _answer("GET", url, params=params)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes a tenth of a second, so they are read once."""
    return httpx.create_ssl_context()


def _answer(method: str, url: str, **options: Any) -> dict[str, Any]:
    try:
        answer = httpx.request(method, url, timeout=TIMEOUT, verify=_tls(), **options)
        found = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # Its words may hold the address, and the address the token.
        raise Undelivered(
            f"platform not reached: {type(error).__name__}", permanent=False
        ) from None
    if not isinstance(found, dict):
        raise Undelivered("platform answered no JSON object", permanent=False)
    return found


def code_of(answer: Mapping[str, Any], name: str) -> int:
    """The platform's verdict on a call; 0 is good."""
    code = answer.get(name, 0)
    return code if isinstance(code, int) else -1


def address_in(reply_to: str) -> dict[str, Any]:
    """What a channel wrote into `Message.reply_to`.

    Raises:
        Undelivered: it wrote nothing, since nothing can be said later.
    """
    if not reply_to:
        raise Undelivered("nowhere to send to", permanent=True)
    found: dict[str, Any] = json.loads(reply_to)
    return found


def token_in(answer: Mapping[str, Any], *, name: str, lifetime: str) -> tuple[str, float]:
    """(token, seconds) out of a platform's answer.

    Raises:
        Undelivered: it holds none; the platform's code, if any, is in the words.
    """
    token, seconds = answer.get(name), answer.get(lifetime, 0)
    if not isinstance(token, str) or not token or not isinstance(seconds, int | float):
        code = code_of(answer, "errcode") or code_of(answer, "code")
        raise Undelivered(f"no access token: code {code}", permanent=False)
    return token, float(seconds)
