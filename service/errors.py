"""Everything that can go wrong towards a caller, and the only table of HTTP statuses.

ServiceError
├ InvalidRequest   fields say what is wrong
└ NotReady         the service is starting or cannot reach its database
"""

from kb import errors as kb


class ServiceError(Exception):
    """Base of the errors of this layer; `str(error)` is fit for a reader."""


class InvalidRequest(ServiceError):  # noqa: N818
    """The request does not hold.

    Args:
        fields: name → what is wrong with it, in Chinese.
    """

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("；".join(fields.values()))
        self.fields = fields


class NotReady(ServiceError):  # noqa: N818
    """Answers cannot be given at the moment."""


# Type of error → (HTTP status, code in the error body). A test holds every leaf against it.
STATUSES: dict[type[Exception], tuple[int, str]] = {
    InvalidRequest: (400, "invalid_request"),
    NotReady: (503, "not_ready"),
    kb.DocumentUnreadable: (422, "document_unreadable"),
    kb.DocumentRefused: (422, "document_refused"),
    kb.InvalidEntry: (422, "invalid_entry"),
    kb.NotFound: (404, "not_found"),
    kb.Conflict: (409, "conflict"),
}
