"""Where a request comes from: only named proxies are believed, whatever a header claims."""

import pytest

from service.addresses import UNKNOWN, Proxies, subscriber

PROXIES = Proxies("10.0.0.5, 10.1.0.0/16 fd00::/8")


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        # A stranger may claim what he likes.
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.5", "198.51.100.1", "198.51.100.1"),
        # What the client wrote itself stands left of what the proxy added.
        ("10.0.0.5", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.5", "1.2.3.4, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("10.0.0.5", "10.1.2.3", "10.1.2.3"),
        ("10.0.0.5", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.5", '"[2001:db8::7]:4711"', "2001:db8::7"),
        ("::ffff:10.0.0.5", "198.51.100.1", "198.51.100.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.5", "garbage", "10.0.0.5"),
        ("10.0.0.5", "198.51.100.1, unknown", "10.0.0.5"),
        ("", "198.51.100.1", UNKNOWN),
    ],
)
def test_the_client_is_the_first_that_is_no_proxy(remote: str, forwarded: str, client: str) -> None:
    assert PROXIES.client(remote, forwarded) == client


def test_nobody_is_a_proxy_by_default() -> None:
    assert Proxies("").client("127.0.0.1", "198.51.100.1") == "127.0.0.1"


def test_what_is_no_network_is_refused() -> None:
    for wrong in ("proxy.example.org", "10.0.0.5/8", "10.0.0"):
        with pytest.raises(ValueError):
            Proxies(wrong)


def test_a_subscriber_has_one_ipv4_address_or_a_whole_ipv6_network() -> None:
    assert subscriber("203.0.113.9") == subscriber("::ffff:203.0.113.9") == "203.0.113.9"
    assert subscriber("2001:db8:0:1::7") == subscriber("2001:db8:0:1:ffff::9")
    assert subscriber("2001:db8:0:1::7") != subscriber("2001:db8:0:2::7")
    assert subscriber("fe80::1%eth0") == "fe80::/64"
    assert subscriber("nonsense") == UNKNOWN
