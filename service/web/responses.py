"""What every response has in common: request id, one error shape, security headers, metrics."""

import logging
import re
import time
import uuid
from collections.abc import Iterable
from typing import Any

from flask import Flask, Response, g, jsonify, render_template, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from service.errors import STATUSES, InvalidKey, InvalidRequest, TooManyRequests
from service.web.metrics import Metrics
from service.web.requests import wants_page

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_CODES = {
    400: ("bad_request", "请求的格式不对"),
    404: ("not_found", "没有找到您要的内容"),
    405: ("method_not_allowed", "这个地址不支持这种请求方式"),
    413: ("too_large", "内容太大了"),
    415: ("unsupported_media_type", "请用 JSON 格式提交"),
    429: ("too_many_requests", "请求太频繁，请稍后再试"),
}
# Below this address errors have the shape that clients of OpenAI's API expect.
COMPLETIONS = "/v1/"
_COMPLETIONS_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
UNEXPECTED = ("unexpected", "服务出了点问题，请稍后再试")


def content_policy(ancestors: Iterable[str] = ()) -> str:
    """What a page may load, and the origins besides its own that may put it into a frame."""
    framed_by = " ".join(("'self'", *ancestors))
    return (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        f"form-action 'self'; frame-ancestors {framed_by}"
    )


_HEADERS = {
    "Content-Security-Policy": content_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def ok(**fields: Any) -> Response:
    """A success body: `ok`, the request id and the given fields."""
    return jsonify({"ok": True, "request_id": g.request_id, **fields})


def problem(status: int, code: str, message: str, fields: dict[str, str]) -> tuple[Response, int]:
    """The only error body there is; a page for people, JSON for programs, the same facts."""
    if wants_page():
        page = render_template(
            "error.html", status=status, code=code, message=message, request_id=g.request_id
        )
        return Response(page, mimetype="text/html"), status
    if request.path.startswith(COMPLETIONS):
        param = next(iter(fields), None)
        said = f"{param}：{message}" if param else message
        return jsonify(completions_error(status, code, said, param)), status
    return jsonify(error_body(code, message, fields, g.request_id)), status


def error_body(code: str, message: str, fields: dict[str, str], request_id: str) -> dict[str, Any]:
    """The one shape of errors for programs."""
    error = {"code": code, "message": message, "fields": fields}
    return {"ok": False, "error": error, "request_id": request_id}


def completions_error(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    """The shape that clients of OpenAI's API read; they tell errors apart by status and type."""
    kind = _COMPLETIONS_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def invalid(error: ValidationError) -> Response:
    """A 400 that names each field that does not hold."""
    fields = {}
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        name = ".".join(str(part) for part in each["loc"]) or "body"
        fields[name] = _in_chinese(each["type"], each["msg"])
    response, status = problem(400, "invalid_request", "；".join(fields.values()), fields)
    response.status_code = status
    return response


def install(app: Flask, metrics: Metrics) -> None:
    """Attach ids, error handlers, headers and timing to an application."""

    @app.before_request
    def _begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        g.began = time.perf_counter()

    @app.after_request
    def _finish(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = g.request_id
        seconds = time.perf_counter() - g.began
        metrics.request(request.endpoint or "none", response.status_code, seconds)
        return response

    @app.errorhandler(Exception)
    def _failed(error: Exception) -> tuple[Response, int]:
        if isinstance(error, HTTPException):
            if error.response is not None:
                return error.response, error.response.status_code  # type: ignore[return-value]
            status = error.code or 500
            code, message = _CODES.get(status, UNEXPECTED)
            return problem(status, code, message, {})
        known = STATUSES.get(type(error))
        if known is None:
            log.exception("unexpected error", extra={"request_id": g.request_id})
            return problem(500, *UNEXPECTED, {})
        fields = getattr(error, "fields", {})
        response, status = problem(known[0], known[1], str(error), fields)
        if isinstance(error, TooManyRequests):
            response.headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, InvalidKey):
            response.headers["WWW-Authenticate"] = "Bearer"
        return response, status


def require(condition: object, name: str, message: str) -> None:
    """Refuse the request for one field unless a condition holds.

    Raises:
        InvalidRequest: it does not.
    """
    if not condition:
        raise InvalidRequest({name: message})


def _in_chinese(kind: str, message: str) -> str:
    said = {
        "missing": "缺少这一项",
        "string_type": "应是文字",
        "bool_type": "应是 true 或 false",
        "bool_parsing": "应是 true 或 false",
        "int_parsing": "应是整数",
        "int_type": "应是整数",
        "date_from_datetime_parsing": "应是日期，如 2025-05-01",
        "date_parsing": "应是日期，如 2025-05-01",
        "date_type": "应是日期，如 2025-05-01",
        "model_type": "请提交 JSON 对象",
        "model_attributes_type": "请提交 JSON 对象",
        "extra_forbidden": "不认识这一项",
        "string_too_long": "太长了",
        "string_too_short": "不能为空",
        "string_unicode": "有无法识别的字符",
        "greater_than_equal": "数值太小",
        "less_than_equal": "数值太大",
        "enum": "不是可选的值",
        "literal_error": "不是可选的值",
    }
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return said.get(kind, "格式不对")
