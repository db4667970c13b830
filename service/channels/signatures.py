"""How platforms prove that a delivery is theirs and new; hides digests and comparing."""

import base64
import hashlib
import hmac

from service.channels import Delivery, Rejected

# How far a platform's clock and ours may differ, either way; a delivery outside is a replay.
WINDOW = 300.0


def sha1_of_sorted(*parts: str) -> str:
    """SHA-1 of the parts in order of their characters, in hexadecimal (WeChat, WeCom, DingTalk)."""
    return hashlib.sha1(_bytes("".join(sorted(parts)))).hexdigest()


def hmac_sha256(key: bytes, message: bytes) -> str:
    """HMAC-SHA256 in Base64 (DingTalk robots, Feishu's send-only robots, Standard Webhooks)."""
    return base64.b64encode(hmac.digest(key, message, "sha256")).decode("ascii")


def same(given: str, expected: str) -> bool:
    """Compare in constant time; for any text, an empty expectation matches nothing."""
    return bool(expected) and hmac.compare_digest(_bytes(given), _bytes(expected))


def check_signature(given: str, expected: str) -> None:
    """Let a delivery pass whose signature is the expected one.

    Raises:
        Rejected: 403, it is another.
    """
    if not same(given, expected):
        raise Rejected(403, "wrong signature")


def check_fresh(
    stamp: str, delivery: Delivery, *, window: float = WINDOW, per_second: int = 1
) -> None:
    """Let a delivery pass that was signed about now.

    Args:
        stamp: Unix time in digits.
        window: seconds, into the past and into the future.
        per_second: 1 where the stamp counts seconds, 1000 where it counts milliseconds.

    Raises:
        Rejected: 403, the time is missing, unreadable or too far away.
    """
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 16):
        raise Rejected(403, "no readable timestamp")
    if abs(delivery.received_at.timestamp() - int(stamp) / per_second) > window:
        raise Rejected(403, "stale or future timestamp")


def _bytes(text: str) -> bytes:
    # JSON may carry lone surrogates, which have no UTF-8 of their own.
    return text.encode("utf-8", "surrogatepass")
