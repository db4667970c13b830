"""The addresses that messaging platforms deliver to; hides HTTP, and tells a forger nothing."""

import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from kb.errors import NotFound
from service.channels import Delivery, Rejected
from service.errors import NotReady, ServiceError, TooManyRequests
from service.web.access import client_address
from service.web.responses import problem
from service.web.runtime import runtime

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
# A platform delivers from a few addresses for all of its users.
PER_MINUTE = 6000

_REFUSALS = {
    400: ("bad_request", "请求的格式不对"),
    403: ("forbidden", "请求没有通过校验"),
    413: ("too_large", "内容太大了"),
}


def build() -> Blueprint:
    """The blueprint; whoever cannot sign is refused by the channels themselves."""
    hooks = Blueprint("webhooks", __name__, url_prefix="/hooks")

    @hooks.route("/<name>", methods=["GET", "POST"])
    def deliver(name: str) -> ResponseReturnValue:
        _admit(name)
        delivery = _delivery()
        try:
            said = runtime().inbox.receive(name, delivery, hung_up=_hung_up(request.environ))
        except Rejected as error:
            log.warning("delivery rejected", extra={"channel": name, "reason": str(error)})
            status = error.status if error.status in _REFUSALS else 400
            return problem(status, *_REFUSALS[status], {})
        except ServiceError:
            raise
        except Exception as error:
            # The platform tries again; by then the database may be back.
            log.exception("delivery failed")
            raise NotReady("服务暂时忙不过来，请稍后再试") from error
        return Response(said.body, content_type=said.content_type)

    return hooks


def _admit(name: str) -> None:
    """Refuse what cannot be a delivery, before anything is read.

    Raises:
        NotFound: the channel is not there.
        TooManyRequests: too many from one address.
    """
    if name not in runtime().channels:
        raise NotFound("没有接入这个渠道")
    names, limits = ("hooks", client_address()), runtime().limits
    if not limits.allow(*names, per_minute=PER_MINUTE):
        raise TooManyRequests(
            "请求太频繁，请稍后再试",
            retry_after=limits.seconds_left(*names, per_minute=PER_MINUTE),
        )
    request.max_content_length = MAX_BODY


def _delivery() -> Delivery:
    """This request, for a channel.

    Raises:
        RequestEntityTooLarge: the body is larger than `MAX_BODY`.
    """
    return Delivery(
        method=request.method,
        query=request.args.to_dict(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.get_data(cache=False, parse_form_data=False),
        received_at=runtime().now(),
    )


def _hung_up(environ: Mapping[str, Any]) -> Callable[[], bool]:
    """Tells whether the other end has closed the connection, as far as the server shows it."""
    connection = environ.get("gunicorn.socket")

    def hung_up() -> bool:
        if not isinstance(connection, socket.socket) or isinstance(connection, ssl.SSLSocket):
            return False
        try:
            return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    return hung_up
