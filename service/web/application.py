"""Runtime → Flask application: blueprints, limits and error handling, in one list."""

from typing import Any

from flask.json.provider import DefaultJSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel

from service.runtime import Runtime
from service.web import (
    account,
    api,
    completions,
    handovers,
    operations,
    operators,
    origins,
    pages,
    responses,
    sign_in,
    ticketing,
    webhooks,
    widget,
)
from service.web.admin import (
    answers,
    audit,
    corrections,
    daily,
    documents,
    drafts,
    entries,
    exports,
    figures,
    gaps,
    home,
    imports,
    lab,
    people,
    reviews,
    settings,
    synonyms,
    tickets,
)
from service.web.metrics import Metrics
from service.web.runtime import install
from service.web.streaming import Streams

MAX_REQUEST = 1_000_000


class Json(DefaultJSONProvider):
    """Chinese as it is, and hostile nesting as the malformed JSON that it is."""

    ensure_ascii = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse JSON.

        Raises:
            ValueError: it is malformed, or nested too deeply to be read.
        """
        try:
            return super().loads(s, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class ErrorDetail(BaseModel):
    """What went wrong, for programs (`code`, `fields`) and for people (`message`)."""

    code: str
    message: str
    fields: dict[str, str]


class ErrorBody(BaseModel):
    """The body of every error."""

    ok: bool
    error: ErrorDetail
    request_id: str


def build(runtime: Runtime, *, secret_key: str, version: str) -> OpenAPI:
    """Assemble the application around a runtime."""
    app = OpenAPI(
        "service",
        info=Info(title="PolicyQA 政策问答知识库", version=version),
        validation_error_status=400,
        validation_error_model=ErrorBody,
        validation_error_callback=responses.invalid,
        doc_ui=False,
    )
    app.config.update(
        SECRET_KEY=secret_key,
        MAX_CONTENT_LENGTH=MAX_REQUEST,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.json = Json(app)
    install(app, runtime)
    metrics = Metrics()
    metrics.watch("policyqa_index_lag", "Changes not yet indexed", lambda: runtime.indexer.lag())
    responses.install(app, metrics)
    origins.install(app)
    streams = Streams(runtime.settings.threads)
    app.register_api(api.build(metrics, streams))
    app.register_api(completions.build(metrics, streams))
    app.register_blueprint(operations.build(metrics))
    app.register_blueprint(pages.build(metrics))
    app.register_blueprint(webhooks.build())
    sign_in.install(app)
    for console in (account, operators, handovers, ticketing):
        app.register_blueprint(console.build())
    for editing in (entries, drafts, reviews, corrections, answers):
        app.register_blueprint(editing.build())
    for bulk in (imports, exports, documents):
        app.register_blueprint(bulk.build())
    for page in (home, people, audit, gaps, tickets, figures, daily, settings, synonyms, lab):
        app.register_blueprint(page.build())
    app.register_api(widget.build())
    return app
