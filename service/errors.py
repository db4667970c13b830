"""Everything that can go wrong towards a caller, and the only table of HTTP statuses.

ServiceError
├ InvalidRequest   fields say what is wrong
├ InvalidKey       an API key that opens nothing
├ ScopeMissing     an API key that does not open this
├ OriginRefused    a website that is not on the list
├ SignInRefused    name and password open nothing; does not tell why
├ NotSignedIn      a signed-in person is needed
├ Forbidden        signed in, but this is for others
├ StaleForm        a form or script without the token of this session
├ TooManyRequests  says after how many seconds to try again
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


class InvalidKey(ServiceError):  # noqa: N818
    """The API key is missing where one is needed, unknown or revoked."""


class ScopeMissing(ServiceError):  # noqa: N818
    """The API key is good, but not for this."""


class OriginRefused(ServiceError):  # noqa: N818
    """A page of a website that may not use the service from a browser."""


class SignInRefused(ServiceError):  # noqa: N818
    """Nobody is let in; the words are the same whatever the reason."""


class NotSignedIn(ServiceError):  # noqa: N818
    """There is no session, or it has run out."""


class Forbidden(ServiceError):  # noqa: N818
    """The role of the signed-in person does not include this."""


class StaleForm(ServiceError):  # noqa: N818
    """What was sent lacks the token of this session: an old page, or somebody else's."""


class TooManyRequests(ServiceError):  # noqa: N818
    """More than is allowed within a minute.

    Args:
        retry_after: seconds until the next request is allowed.
    """

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotReady(ServiceError):  # noqa: N818
    """Answers cannot be given at the moment."""


# Type of error → (HTTP status, code in the error body). A test holds every leaf against it.
STATUSES: dict[type[Exception], tuple[int, str]] = {
    InvalidRequest: (400, "invalid_request"),
    InvalidKey: (401, "invalid_key"),
    ScopeMissing: (403, "scope_missing"),
    OriginRefused: (403, "origin_refused"),
    SignInRefused: (401, "sign_in_refused"),
    NotSignedIn: (401, "not_signed_in"),
    Forbidden: (403, "forbidden"),
    StaleForm: (403, "stale_form"),
    TooManyRequests: (429, "too_many_requests"),
    NotReady: (503, "not_ready"),
    kb.DocumentUnreadable: (422, "document_unreadable"),
    kb.DocumentRefused: (422, "document_refused"),
    kb.InvalidEntry: (422, "invalid_entry"),
    kb.NotFound: (404, "not_found"),
    kb.Conflict: (409, "conflict"),
}
