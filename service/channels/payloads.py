"""The body of a delivery → plain values; hides limits, encoding and hostile text."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from service.channels import Delivery, Rejected, Response

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12

JSON_TYPE = "application/json; charset=utf-8"

# What XML 1.0 forbids, which nothing that people write needs: controls other than tab and line
# breaks, lone surrogates, non-characters.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_PLAIN_KEY = re.compile(r"[0-9A-Za-z_.=+/:-]{1,100}", re.ASCII)


def body_of(delivery: Delivery) -> str:
    """The text of a delivery that was posted.

    Raises:
        Rejected: 413 too large, 400 not a POST, empty or not UTF-8.
    """
    if delivery.method != "POST":
        raise Rejected(400, "neither GET nor POST")
    if len(delivery.body) > MAX_BYTES:
        raise Rejected(413, f"body of more than {MAX_BYTES} bytes")
    text = decoded(delivery.body)
    if not text.strip():
        raise Rejected(400, "empty body")
    return text


def decoded(data: bytes) -> str:
    """Text out of UTF-8.

    Raises:
        Rejected: 400, it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Rejected(400, "not UTF-8") from None


def read_json(text: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Rejected: 400, not JSON, not an object, or nested too deeply.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Rejected(400, "not JSON") from None
    if not isinstance(found, dict):
        raise Rejected(400, "not a JSON object")
    level: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        level = list(_inside(level))
    if level:
        raise Rejected(400, f"JSON nested deeper than {MAX_DEPTH} levels")
    return found


def write_json(value: Mapping[str, Any]) -> Response:
    """A response of JSON, in which characters stand for themselves."""
    return Response(json.dumps(value, ensure_ascii=False).encode(), JSON_TYPE)


def text_at(value: object, *path: str) -> str:
    """The text or number under a path of names; empty where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return clean(str(value))


def clean(text: str) -> str:
    """Text without characters that databases, XML or terminals choke on; line breaks as \\n."""
    return _FORBIDDEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def key_of(*parts: str) -> str:
    """A short key that is the same for the same parts and tells no personal identifier.

    A single plain identifier stays as it is, so that it can be found in the platform's own logs.
    """
    if len(parts) == 1 and _PLAIN_KEY.fullmatch(parts[0]):
        return parts[0]
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()


def _inside(level: list[Any]) -> Iterator[Any]:
    """The containers that lie directly in those of a level."""
    for each in level:
        values = each.values() if isinstance(each, dict) else each
        yield from (value for value in values if isinstance(value, dict | list))
