"""The seam to messaging platforms: what a delivery, a message and a reply are.

One module a platform; each hides that platform's addresses, signatures, encryption and formats.
Nothing here knows of HTTP servers, databases or answers.

Errors:

    ChannelError
    ├ Rejected      the delivery is not genuine, or not readable: nothing was done
    └ Undelivered   the platform did not take a message; `permanent` says whether trying again helps
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class ChannelError(Exception):
    """Base of the errors of this package."""


class Rejected(ChannelError):  # noqa: N818
    """A delivery that must not be acted upon.

    Args:
        status: the HTTP status to refuse it with: 400 malformed, 403 not genuine, 413 too large.
        reason: for the log of the administrator; never told to the sender.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Undelivered(ChannelError):  # noqa: N818
    """A message that the platform did not take.

    Args:
        permanent: trying again cannot help (window closed, user gone, no permission).
    """

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.permanent = permanent


@dataclass(frozen=True)
class Delivery:
    """One HTTP request of a platform, as it came in.

    Attributes:
        query: decoded once, by the web server.
        headers: names in lower case.
        body: the raw bytes; signatures may cover them.
        received_at: aware, UTC.
    """

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class Kind(enum.StrEnum):
    """What a person, or the platform, did."""

    TEXT = "text"  # wrote, or spoke and the platform recognised it
    OTHER = "other"  # sent a picture, a place, a voice nobody recognised: asked to write instead
    ARRIVED = "arrived"  # followed the account, opened the chat: welcomed
    LEFT = "left"  # unfollowed: their conversation is erased
    SILENT = "silent"  # an event that gets no words


@dataclass(frozen=True)
class Message:
    """What a genuine delivery says.

    Attributes:
        key: the same for every retry of this message and for no other; at most 128 characters.
        user: the platform's identifier of the person; personal data, never stored in the open.
        text: of a text, what was said (a menu tap says its question); else empty.
        reply_to: what the platform needs to send words to this person or chat later (JSON of the
            channel's own); personal data. Empty where it cannot.
        echo: what `render` needs from the delivery, such as its nonce.
    """

    kind: Kind
    key: str
    user: str
    text: str = ""
    reply_to: str = ""
    echo: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Option:
    """A question to choose by tapping it or by sending its number."""

    label: str
    question: str


@dataclass(frozen=True)
class Reply:
    """What is to be said, before a channel cuts and dresses it.

    Attributes:
        text: complete; paragraphs separated by line breaks.
        short: a shorter version fit for a phone; empty for none.
        source: one line naming the basis; empty for none.
        url: absolute address of the full answer; empty where the service has no public address.
        options: to choose from, at most three.
        label: the notice that a text was generated; empty for reviewed words. Never cut off.
    """

    text: str
    short: str = ""
    source: str = ""
    url: str = ""
    options: tuple[Option, ...] = ()
    label: str = ""


@dataclass(frozen=True)
class Response:
    """The body to answer a delivery with."""

    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Capability:
    """What a platform allows.

    Attributes:
        patience: seconds within which a delivery must be answered, with a margin left.
        tries: deliveries of one message in all, counting the first.
        passive: whether the answer to a delivery may carry words to the person.
        push: whether words can be sent later.
        repeatable: whether the platform itself drops a message pushed twice with the same key.
    """

    patience: float
    tries: int
    passive: bool
    push: bool
    repeatable: bool = False


class Channel(Protocol):
    """One account on one platform. Implementations keep no state but cached access tokens."""

    @property
    def name(self) -> str:
        """Short name: wechat, wecom, dingtalk, feishu, recording."""

    @property
    def account(self) -> str:
        """The account's identifier on the platform; not secret."""

    @property
    def capability(self) -> Capability:
        """What this account allows."""

    def receive(self, delivery: Delivery) -> Message | Response:
        """The message of a genuine delivery; a response where the platform only checks us.

        Raises:
            Rejected: it is forged, stale, for another account or malformed.
        """

    def render(self, message: Message, reply: Reply) -> Response:
        """The response that carries a reply (only where the capability is passive)."""

    def acknowledge(self, message: Message) -> Response:
        """The response that ends the platform's retries and says nothing to the person."""

    def push(self, reply_to: str, reply: Reply, *, key: str) -> None:
        """Send words later.

        Args:
            reply_to: from a `Message`.
            key: at most 32 characters of [0-9a-z], the same when sent again.

        Raises:
            Undelivered: the platform did not take it.
        """
