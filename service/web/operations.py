"""For administrators and machines: health, metrics, API description."""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import text

from service.errors import NotReady
from service.web.metrics import Metrics
from service.web.responses import ok
from service.web.runtime import runtime

# An index this many changes behind still answers, only without the latest entries.
LAG_ALLOWED = 10_000


def build(metrics: Metrics) -> Blueprint:
    """The blueprint; open to anyone who can reach the port."""
    operations = Blueprint("operations", __name__)

    @operations.get("/healthz/live")
    def live() -> Response:
        return ok()

    @operations.get("/healthz/ready")
    def ready() -> Response:
        try:
            with runtime().db.reading() as session:
                session.execute(text("SELECT 1"))
            lag = runtime().indexer.lag()
        except Exception as error:
            raise NotReady("数据库连接不上") from error
        if lag > LAG_ALLOWED:
            raise NotReady(f"索引正在更新，还有 {lag} 项变更")
        return ok(index_lag=lag)

    @operations.get("/metrics")
    def figures() -> Response:
        return Response(metrics.text(), mimetype="text/plain; version=0.0.4")

    @operations.get("/openapi.json")
    def description() -> Response:
        app: Any = current_app
        return jsonify(app.api_doc)

    return operations
