"""The sealed envelope of WeChat, WeCom and DingTalk events; hides its cipher, padding and keys.

Inside: 16 random bytes, the length of the message in bytes (network order), the message, and for
whom it is. Padded to 32 bytes, not to the cipher's 16; AES-256-CBC whose start vector is the
beginning of the key; Base64; signed with a token by SHA-1.
"""

import base64
import hmac
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from service.channels import Delivery, Rejected, payloads, signatures

KEY_CHARACTERS = 43
PREFIX_BYTES = 16
LENGTH_BYTES = 4
BLOCK_BYTES = 16
PAD_BYTES = 32


@dataclass(frozen=True)
class Opened:
    """A message out of its envelope.

    Attributes:
        echo: what `seal` needs to answer it.
    """

    text: str
    echo: Mapping[str, str]


@dataclass(frozen=True)
class Sealed:
    """An envelope with what goes beside it; platforms name these four differently."""

    encrypt: str
    signature: str
    timestamp: str
    nonce: str


class Envelope:
    """The envelopes of one account.

    Args:
        token: signs them.
        keys: EncodingAESKeys, the present one first; a platform uses the one before for a while.
        receive_ids: identifiers of the account, any of which a message may be meant for.
        per_second: 1 where timestamps count seconds, 1000 where they count milliseconds.

    Raises:
        ValueError: no key, or one that is not 43 characters of Base64.
    """

    def __init__(
        self,
        token: str,
        *,
        keys: Sequence[str],
        receive_ids: Sequence[str],
        per_second: int = 1,
    ) -> None:
        if not keys:
            raise ValueError("no key")
        self._token = token
        self._keys = [aes_key(key) for key in keys]
        self._receive_ids = tuple(receive_ids)
        self._per_second = per_second

    def open(self, encrypt: str, delivery: Delivery, *, signature: str) -> Opened:
        """Check and decrypt what came with a delivery.

        Raises:
            Rejected: 403, forged, stale, for another account, or sealed with a key we do not
                have; 400, not UTF-8.
        """
        timestamp, nonce = (delivery.query.get(name, "") for name in ("timestamp", "nonce"))
        expected = signatures.sha1_of_sorted(self._token, timestamp, nonce, encrypt)
        signatures.check_signature(signature, expected)
        signatures.check_fresh(timestamp, delivery, per_second=self._per_second)
        for number, key in enumerate(self._keys):
            try:
                message, receive_id = decrypted(key, encrypt)
            except ValueError:
                continue
            for known in self._receive_ids:
                if hmac.compare_digest(receive_id, known.encode()):
                    echo = {
                        "key": str(number),
                        "receive_id": known,
                        "nonce": nonce,
                        "at": str(int(delivery.received_at.timestamp() * self._per_second)),
                    }
                    return Opened(payloads.decoded(message), echo)
        raise Rejected(403, "for another account, sealed with an unknown key, or damaged")

    def seal(self, message: bytes, echo: Mapping[str, str]) -> Sealed:
        """An envelope back to where an opened one came from, sealed with the key it used."""
        key = self._keys[int(echo["key"])]
        encrypt = encrypted(key, message, echo["receive_id"])
        timestamp, nonce = echo["at"], echo["nonce"]
        signature = signatures.sha1_of_sorted(self._token, timestamp, nonce, encrypt)
        return Sealed(encrypt, signature, timestamp, nonce)


def aes_key(encoding_aes_key: str) -> bytes:
    """The 32 bytes that an EncodingAESKey stands for.

    Raises:
        ValueError: it is not 43 characters of Base64.
    """
    if len(encoding_aes_key) != KEY_CHARACTERS:
        raise ValueError(f"an EncodingAESKey has {KEY_CHARACTERS} characters")
    # Its last character may carry bits that mean nothing; Python does not mind.
    return base64.b64decode(f"{encoding_aes_key}=", validate=True)


def encrypted(key: bytes, message: bytes, receive_id: str, *, prefix: bytes | None = None) -> str:
    """A message in its envelope, Base64.

    Args:
        prefix: 16 bytes that nobody can guess; made when not given.
    """
    prefix = secrets.token_bytes(PREFIX_BYTES) if prefix is None else prefix
    plain = prefix + struct.pack(">I", len(message)) + message + receive_id.encode()
    pad = PAD_BYTES - len(plain) % PAD_BYTES
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:BLOCK_BYTES])).encryptor()
    sealed = cipher.update(plain + bytes([pad]) * pad) + cipher.finalize()
    return base64.b64encode(sealed).decode("ascii")


def decrypted(key: bytes, encrypt: str) -> tuple[bytes, bytes]:
    """(message, for whom it is).

    Raises:
        ValueError: not Base64, damaged, or encrypted with another key.
    """
    sealed = base64.b64decode(encrypt, validate=True)
    if not sealed or len(sealed) % BLOCK_BYTES:
        raise ValueError("not a whole number of blocks")
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:BLOCK_BYTES])).decryptor()
    padded = cipher.update(sealed) + cipher.finalize()
    pad = padded[-1]
    if not 1 <= pad <= PAD_BYTES or padded[-pad:] != bytes([pad]) * pad:
        raise ValueError("wrong padding")
    plain = padded[PREFIX_BYTES:-pad]
    if len(plain) < LENGTH_BYTES:
        raise ValueError("too short")
    [length] = struct.unpack_from(">I", plain)
    message, receive_id = plain[LENGTH_BYTES:][:length], plain[LENGTH_BYTES + length :]
    if len(message) != length:
        raise ValueError("shorter than it says")
    return message, receive_id
