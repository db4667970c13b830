"""Runtime → Flask application: blueprints, limits and error handling, in one list."""

from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel

from service.runtime import Runtime
from service.web import api, operations, pages, responses
from service.web.metrics import Metrics
from service.web.runtime import install

MAX_REQUEST = 1_000_000


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
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    install(app, runtime)
    metrics = Metrics()
    metrics.watch("policyqa_index_lag", "Changes not yet indexed", lambda: runtime.indexer.lag())
    responses.install(app, metrics)
    app.register_api(api.build(metrics))
    app.register_blueprint(operations.build(metrics))
    app.register_blueprint(pages.build(metrics))
    return app
