"""Where a request comes from, seen through trusted proxies; hides headers and address forms.

Anyone can write an X-Forwarded-For header. It is believed only as far as the addresses that the
administrator named as proxies wrote it: from its right end, up to the first that is none of them.
"""

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN = "unknown"
# A subscriber line gets a whole /64 and may use any address in it.
SUBSCRIBER_BITS = 64


class Proxies:
    """The proxies whose word on where a request came from is taken.

    Args:
        networks: addresses or networks (CIDR), separated by commas or white space.

    Raises:
        ValueError: one of them is neither.
    """

    def __init__(self, networks: str) -> None:
        self._networks: Sequence[Network] = [
            ipaddress.ip_network(each) for each in networks.replace(",", " ").split()
        ]

    def client(self, remote: str, forwarded: str = "") -> str:
        """The address of the client itself.

        Args:
            remote: the address at the other end of the connection.
            forwarded: the X-Forwarded-For header, all lines joined by commas.
        """
        found = _parse(remote)
        if found is None:
            return UNKNOWN
        for text in reversed(forwarded.split(",")):
            if not self._trusts(found):
                break
            before = _parse(text)
            if before is None:
                break
            found = before
        return str(found)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def subscriber(address: str) -> str:
    """What one subscriber's addresses have in common: the IPv4 address, or the IPv6 /64."""
    found = _parse(address)
    if found is None:
        return UNKNOWN
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((int(found), SUBSCRIBER_BITS), strict=False))


def _parse(text: str) -> Address | None:
    """An address as headers write it: with a port, in brackets, IPv4 within IPv6."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if found.version == 6 else None
    return mapped or found
