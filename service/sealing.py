"""Personal identifiers → pseudonyms and sealed values; hides the cryptography.

A person on a channel is known by a pseudonym alone, which cannot be turned back. What must be
turned back (where to send an operator's words, a number to call back) is sealed while it is
needed, and erased afterwards. Both hang on the installation's secret key.
"""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken

PSEUDONYM_DIGITS = 32


class Sealer:
    """Pseudonyms and seals of one installation.

    Args:
        key: the installation's secret.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._fernet = Fernet(base64.urlsafe_b64encode(self._derived("seal")))

    def pseudonym(self, *parts: str) -> str:
        """The same for the same parts, `PSEUDONYM_DIGITS` hexadecimal digits."""
        message = "\x1f".join(parts).encode()
        found = hmac.new(self._derived("pseudonym"), message, hashlib.sha256)
        return found.hexdigest()[:PSEUDONYM_DIGITS]

    def seal(self, text: str) -> str:
        """Encrypt; empty stays empty."""
        return self._fernet.encrypt(text.encode()).decode("ascii") if text else ""

    def open(self, sealed: str) -> str:
        """Decrypt.

        Raises:
            ValueError: sealed with another key, or damaged.
        """
        if not sealed:
            return ""
        try:
            return self._fernet.decrypt(sealed.encode("ascii")).decode()
        except InvalidToken as error:
            raise ValueError("sealed with another key") from error

    def _derived(self, purpose: str) -> bytes:
        return hmac.new(self._key, purpose.encode(), hashlib.sha256).digest()
