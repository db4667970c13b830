"""Who may call the API: systems with a key, and anyone else within a limit; hides headers.

A key that is given must be good. Without one, the limit counts by subscriber, so that one
machine cannot take the service from everybody else.
"""

import ipaddress
import logging
from collections.abc import Mapping

from flask import Blueprint, g, request

from service.addresses import subscriber
from service.errors import InvalidKey, TooManyRequests
from service.keys import System
from service.web.runtime import runtime
from service.wording import TOO_FAST

log = logging.getLogger(__name__)

# What the service's own pages may ask for a visitor where there is no public API.
PAGE_PER_MINUTE = 300
KEY_NEEDED = "调用接口需要密钥（Authorization: Bearer pqa_…），请向管理员索取"


def guard(blueprint: Blueprint, scopes: Mapping[str, str]) -> None:
    """Check every request to a blueprint before its view runs.

    Args:
        scopes: name of each view → the scope that a key needs for it.
    """

    @blueprint.before_request
    def _admit() -> None:
        view = (request.endpoint or "").rpartition(".")[2]
        admit(scopes[view])


def admit(scope: str) -> None:
    """Let the request through, or refuse it.

    Raises:
        InvalidKey: the key opens nothing, or none was given where one is needed.
        ScopeMissing: the key does not open this.
        TooManyRequests: too many within a minute.
    """
    key = _bearer()
    if key is not None:
        system = runtime().keys.holder(key)
        runtime().keys.use(system, scope)
        g.system = system
    elif request.method != "OPTIONS":
        _count_visitor()


def system_name() -> str:
    """Name of the system whose key came with this request; empty for none."""
    system: System | None = g.get("system")
    return system.name if system else ""


def client_address() -> str:
    """The address of whoever sent this request, seen through trusted proxies."""
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
    remote = request.remote_addr or ""
    client = runtime().proxies.client(remote, forwarded)
    if forwarded and client == remote and _is_local(remote):
        _warn_once(remote)
    return client


def _bearer() -> str | None:
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    # Anything else, such as a proxy's own Basic authentication, is not meant for us.
    return key.strip() if kind.lower() == "bearer" else None


def _count_visitor() -> None:
    if g.get("site") is not None:
        return  # counted by `service.web.origins`
    per_minute = runtime().settings.public_per_minute
    if per_minute == 0:
        if request.headers.get("Sec-Fetch-Site") != "same-origin":
            raise InvalidKey(KEY_NEEDED)
        per_minute = PAGE_PER_MINUTE
    names = ("public", subscriber(client_address()))
    limits = runtime().limits
    if not limits.allow(*names, per_minute=per_minute):
        raise TooManyRequests(
            TOO_FAST, retry_after=limits.seconds_left(*names, per_minute=per_minute)
        )


def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False


_warned: set[str] = set()


def _warn_once(proxy: str) -> None:
    """A proxy nobody named makes all visitors look like one, who then share one limit."""
    if proxy not in _warned:
        _warned.add(proxy)
        log.warning(
            "X-Forwarded-For from a proxy that POLICYQA_TRUSTED_PROXIES does not name",
            extra={"proxy": proxy},
        )
