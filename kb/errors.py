"""Everything that can go wrong with the knowledge base.

KnowledgeError
├ DocumentUnreadable   the bytes are not a document that can be read (reason says why)
├ DocumentRefused      readable, but must not enter the base (a secrecy mark)
├ InvalidEntry         one or more fields of an entry do not hold
├ NotFound             no such document, entry, region …
└ Conflict             a stale edit or a step that the present state does not allow

Errors carry data, never HTTP: `service.errors` alone decides on status codes.
Messages are Chinese, since people in departments read them.
"""


class KnowledgeError(Exception):
    """Base of all errors of the knowledge base; `str(error)` is fit for a reader."""


class DocumentUnreadable(KnowledgeError):  # noqa: N818
    """The file cannot be read as a document; nothing was stored."""


class DocumentRefused(KnowledgeError):  # noqa: N818
    """The file can be read but must not be stored, e.g. for its secrecy mark."""


class InvalidEntry(KnowledgeError):  # noqa: N818
    """Fields of an entry do not hold.

    Args:
        fields: English field name → what is wrong with it, in Chinese.
    """

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("；".join(fields.values()))
        self.fields = fields


class NotFound(KnowledgeError):  # noqa: N818
    """What was asked for does not exist."""


class Conflict(KnowledgeError):  # noqa: N818
    """The step does not fit the present state of its object."""
