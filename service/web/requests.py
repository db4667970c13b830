"""Whether a person or a program asks, and where a person may be sent back to.

Hides headers and the tricks that are played with them.
"""

from urllib.parse import urlsplit

from flask import request

_PROGRAMS = ("/api/", "/hooks/", "/healthz/", "/metrics", "/openapi.json", "/v1/")


def wants_page() -> bool:
    """Whether a person looks at the response rather than a program."""
    if request.path.startswith(_PROGRAMS):
        return False
    return request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html"


def local(address: str) -> str:
    """An address within this site, else the first page: a redirect must not lead elsewhere."""
    plain = address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and address[1:2] != "/" else "/"


def referring_page() -> str:
    """The page of this site that a form was sent from; empty if it cannot be told."""
    parts = urlsplit(request.referrer or "")
    if parts.netloc != request.host:
        return ""
    return local(f"{parts.path}?{parts.query}" if parts.query else parts.path)
