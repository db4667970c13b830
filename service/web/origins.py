"""Which websites may ask from a visitor's browser, and how often; hides CORS and site keys.

A browser states truthfully which origin a page has. A page of this service may always ask. A page
of another origin names its site and must be on that site's list; else the request is refused
before anything is done, and no header tells the browser to hand anything out. Cookies play no
part: the answer is the same for everyone.
"""

import re
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from service.addresses import subscriber
from service.errors import OriginRefused, TooManyRequests
from service.sites import Site
from service.web.access import client_address
from service.web.runtime import runtime
from service.wording import NOT_LISTED, TOO_FAST

_SHARED = re.compile(r"/api/v1/(ask|suggest|feedback|greeting|conversations)(/.*)?")
# What happens while someone types or waits is allowed this many times as often as questions.
_OFTEN = 10
_RARE = ("ask", "feedback")
# Browsers ask again after two hours at the latest, whatever they are told.
_REMEMBERED = 7200


def install(app: Flask) -> None:
    """Guard the addresses that the widget uses; after request ids are given out."""
    app.before_request(_admit)
    app.after_request(_share)


def asking_site() -> Site | None:
    """The website that a request came from, if it named one; its origin has been checked."""
    site: Site | None = g.get("site")
    return site


def _admit() -> Response | None:
    """Let a request in, answer its preflight, or refuse it."""
    found = _SHARED.fullmatch(request.path)
    if not found:
        return None
    origin = request.headers.get("Origin")
    foreign = origin if origin is not None and not _is_own(origin) else None
    if foreign is not None and request.method == "OPTIONS":
        return _preflight(foreign)
    # A GET names its site in the address: a header of its own would cost a preflight each time.
    key = request.headers.get("X-Site") or request.args.get("site", "")
    site = runtime().sites.find(key) if key else None
    if (key and site is None) or (
        foreign is not None and (site is None or foreign not in site.origins)
    ):
        raise OriginRefused(NOT_LISTED)
    g.site, g.shared_with = site, foreign
    if site:
        _count(site, found[1])
    return None


def _preflight(origin: str) -> Response:
    """A preflight carries no site; the request that follows is held against its own."""
    if not runtime().sites.knows(origin):
        raise OriginRefused(NOT_LISTED)
    g.shared_with = origin
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = "GET, POST"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type, X-Site"
    response.headers["Access-Control-Max-Age"] = str(_REMEMBERED)
    return response


def _share(response: Response) -> Response:
    """Tell the browser which page may read this, and caches that it depends on the page."""
    if _SHARED.fullmatch(request.path):
        response.vary.add("Origin")
        if g.get("shared_with"):
            response.headers["Access-Control-Allow-Origin"] = g.shared_with
            response.headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
    return response


def _count(site: Site, what: str) -> None:
    rare = what in _RARE
    most = runtime().settings.widget_per_minute * (1 if rare else _OFTEN)
    names = ("widget", "rare" if rare else "often", site.key, subscriber(client_address()))
    if not runtime().limits.allow(*names, per_minute=most):
        wait = runtime().limits.seconds_left(*names, per_minute=most)
        raise TooManyRequests(TOO_FAST, retry_after=wait)


def _is_own(origin: str) -> bool:
    """Whether an origin is this service's own, also behind a proxy that ends TLS."""
    # No page can set this header; it helps where a proxy does not pass the host on.
    if request.headers.get("Sec-Fetch-Site") == "same-origin" or origin == _public_origin():
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return (
        origin == f"{parts.scheme}://{parts.netloc}"
        and parts.scheme in ("https", request.scheme)
        and parts.netloc == request.host.lower()
    )


def _public_origin() -> str:
    parts = urlsplit(runtime().settings.public_url)
    return f"{parts.scheme}://{parts.netloc}"
