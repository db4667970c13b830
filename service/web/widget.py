"""The chat window for other websites: its script, its page for frames, its demonstration.

Hides how the script is kept small and fresh in caches, and who may put the page into a frame.
"""

import gzip
import hashlib
from pathlib import Path

from flask import Response, render_template, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from kb.errors import NotFound
from service.config import ROOT
from service.web.origins import asking_site
from service.web.pages import EXAMPLES
from service.web.responses import content_policy, ok
from service.web.runtime import runtime
from service.wording import HOTLINE, HOTLINE_PHONE

SCRIPT = ROOT / "service" / "static" / "widget.js"
# A new version reaches every website within ten minutes; until then nothing is fetched.
_FRESH = "public, max-age=600"

_TAG = Tag(name="policyqa", description="政策问答")


class _Embedded(BaseModel):
    """The site in the address of a page for frames."""

    site: str = Field(max_length=64)


def build() -> APIBlueprint:
    """The blueprint; open to anyone."""
    widget = APIBlueprint("widget", __name__, abp_tags=[_TAG])
    script = _Script(SCRIPT)

    @widget.get("/widget.js", doc_ui=False)
    def code() -> Response:
        return script.response()

    @widget.get("/api/v1/greeting", summary="小窗打开时的问候和例子")
    def greeting() -> Response:
        site = asking_site()
        region = site.region if site and site.region else _home()
        made_known = runtime().tuning.banner()
        return ok(
            greeting=runtime().tuning.current().greeting,
            notice={"text": made_known.text, "level": made_known.level_name}
            if made_known
            else None,
            examples=list(EXAMPLES),
            region=region,
            region_name=runtime().regions.name(region) if region else "",
            hotline={"name": HOTLINE, "phone": HOTLINE_PHONE},
        )

    @widget.get("/embed/<site>", doc_ui=False)
    def embed(path: _Embedded) -> Response:
        found = runtime().sites.find(path.site)
        if found is None:
            raise NotFound("没有这个网站的小窗")
        response = Response(render_template("embed.html", site=found))
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = content_policy(found.origins)
        return response

    @widget.get("/demo", doc_ui=False)
    def demo() -> str:
        return render_template("demo.html", server=_server())

    return widget


class _Script:
    """The widget's code, compressed once; answers with 304 where the browser has it already."""

    def __init__(self, path: Path) -> None:
        self._plain = path.read_bytes()
        self._small = gzip.compress(self._plain, mtime=0)
        self._tag = hashlib.sha256(self._plain).hexdigest()[:32]

    def response(self) -> Response:
        squeezed = request.accept_encodings.quality("gzip") > 0
        response = Response(
            self._small if squeezed else self._plain, content_type="text/javascript; charset=utf-8"
        )
        if squeezed:
            response.headers["Content-Encoding"] = "gzip"
        response.vary.add("Accept-Encoding")
        response.headers["Cache-Control"] = _FRESH
        # It is public and the same for all, so that pages may check or isolate what they load.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.set_etag(self._tag, weak=True)
        response.make_conditional(request)
        return response


def _home() -> str | None:
    return runtime().regions.resolve(runtime().settings.region)


def _server() -> str:
    """The address at which other websites reach this service."""
    return (runtime().settings.public_url or request.host_url).rstrip("/")
