"""Whether links still lead somewhere; hides requests, redirects and which addresses are off limits.

Whoever writes an entry chooses the links in it, so this must not become a way to look around the
city's own network: only public addresses are asked, the address that was checked is the one that
is connected to, and every redirect is checked again.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

MOST = 2000
AT_ONCE = 8
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
REDIRECTS = 5
WORKS, BROKEN, UNREACHED, PRIVATE = "works", "broken", "unreached", "private"

# Full-width brackets and marks end a link in Chinese text.
_LINK = re.compile(r"https?://[^\s<>\"'（）()《》【】，。；、！？“”\u4e00-\u9fa5]+", re.I)
_HEADERS = {"User-Agent": "PolicyQA-link-check", "Accept": "*/*"}
# Answers to HEAD that say nothing about GET.
_ASK_AGAIN = frozenset((400, 403, 404, 405, 406, 501, 503))
# The link works, but not for a program.
_THERE = frozenset((401, 403, 429))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Verdict:
    """What became of a link: `state` is works, broken, unreached or private; `why` is Chinese."""

    url: str
    state: str
    why: str = ""


class _OffLimitsError(Exception):
    """An address that is not public."""


def links_in(text: str) -> list[str]:
    """The links of a text, each once."""
    return list(dict.fromkeys(match.rstrip(".,;:!?") for match in _LINK.findall(text)))


def check(
    urls: Sequence[str], *, allowed: Callable[[Address], bool] = lambda address: address.is_global
) -> list[Verdict]:
    """Ask for each link, some at a time; never raises for what a link does.

    Args:
        allowed: which addresses may be connected to.
    """
    with (
        httpx.Client(timeout=TIMEOUT, trust_env=False, headers=_HEADERS) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        return list(pool.map(lambda url: _verdict(client, url, allowed), urls))


def _verdict(client: httpx.Client, url: str, allowed: Callable[[Address], bool]) -> Verdict:
    try:
        status = _status(client, "HEAD", url, allowed)
        if status in _ASK_AGAIN:
            status = _status(client, "GET", url, allowed)
    except _OffLimitsError:
        return Verdict(url, PRIVATE, "内网或保留地址，不检查")
    except (ValueError, httpx.InvalidURL, httpx.UnsupportedProtocol):
        return Verdict(url, BROKEN, "网址写法不对")
    except httpx.TooManyRedirects:
        return Verdict(url, BROKEN, "跳转次数太多")
    except (OSError, httpx.HTTPError) as error:
        late = isinstance(error, httpx.TimeoutException)
        return Verdict(url, UNREACHED, "超时" if late else "连接不上")
    if status < 400 or status in _THERE:
        return Verdict(url, WORKS)
    return Verdict(url, BROKEN, "页面不存在" if status in (404, 410) else f"返回 {status}")


def _status(client: httpx.Client, method: str, url: str, allowed: Callable[[Address], bool]) -> int:
    """The status at the end of all redirects.

    Raises:
        _OffLimitsError: a hop leads to an address that is not allowed.
        ValueError: a hop is no web address.
    """
    for _ in range(REDIRECTS + 1):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(url)
        host, port = parts.hostname, parts.port
        address = _address(host, port or (443 if parts.scheme == "https" else 80), allowed)
        # Connected to by number, so that a second look-up cannot yield another machine.
        target = httpx.URL(url).copy_with(host=str(address))
        named = host if port is None else f"{host}:{port}"
        with client.stream(
            method, target, headers={"Host": named}, extensions={"sni_hostname": host}
        ) as response:
            onward = response.headers.get("Location", "")
            if not (response.is_redirect and onward):
                return response.status_code
        url = urljoin(url, onward)
    raise httpx.TooManyRedirects("too many")


def _address(host: str, port: int, allowed: Callable[[Address], bool]) -> Address:
    """An allowed address of a host.

    Raises:
        _OffLimitsError: any of its addresses is not allowed.
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found]
    for address in addresses:
        mapped = getattr(address, "ipv4_mapped", None) or address
        if not allowed(mapped):
            raise _OffLimitsError(host)
    return addresses[0]
