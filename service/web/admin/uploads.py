"""Requests that carry files; hides where their size is limited, and what a browser is sent back."""

from urllib.parse import quote

from flask import Blueprint, Response, make_response, request

TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".csv": "text/csv; charset=utf-8",
    ".jsonl": "application/x-ndjson",
}
# Beside the files: the other fields of a form, and the lines between them.
_BESIDE = 2**20


def admit_files(blueprint: Blueprint, most: int) -> None:
    """Let forms of a blueprint carry files; call it before the guard, which reads the form.

    The guard looks for a session first, so strangers cannot make the service read a large body.

    Args:
        most: bytes of all files of a request together.
    """

    @blueprint.before_request
    def _allow() -> None:
        request.max_content_length = most + _BESIDE


def attachment(data: bytes, filename: str, kind: str) -> Response:
    """A file to be saved, never shown: whatever is in it does nothing here."""
    response = make_response(data)
    response.headers["Content-Type"] = kind
    named = f"attachment; filename*=UTF-8''{quote(filename)}"
    response.headers["Content-Disposition"] = named
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
