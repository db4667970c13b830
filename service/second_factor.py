"""The second factor of signing in: codes that a device shows, and codes on paper.

Time-based one-time passwords (RFC 6238: SHA-1, six digits, 30 seconds), as every authenticator
makes them. Hides secrets, replay, clocks that are a little off, and recovery codes. Whoever
calls holds the row of the account, so that one code cannot be used twice at the same moment.
"""

import hmac
import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pyotp
import segno
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from service.models import RecoveryCode, SecondFactor
from service.sealing import Sealer

ISSUER = "PolicyQA"
RECOVERY_CODES = 10

_SECONDS = 30
# How many steps a device's clock may be off, in either direction (RFC 6238, 5.2).
_OFF_BY = 1
# Without characters that look alike on paper.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_RECOVERY_LETTERS = 12
_CODE = re.compile(r"\d{6}", re.ASCII)


@dataclass(frozen=True)
class Enrolment:
    """What a device needs.

    Attributes:
        key: to type, in groups of four.
        square: the same as a QR code, an SVG picture.
    """

    key: str
    square: str


class SecondFactors:
    """All second factors of one installation.

    Args:
        now: the clock; aware times.
    """

    def __init__(self, sealer: Sealer, now: Callable[[], datetime]) -> None:
        self._sealer = sealer
        self._now = now

    def begin(self, session: Session, user_id: int) -> None:
        """Make a secret for a device that is to be confirmed; does nothing where one is active."""
        if self.active(session, user_id):
            return
        self.forget(session, user_id)
        secret = self._sealer.seal(pyotp.random_base32())
        session.add(SecondFactor(user_id=user_id, secret=secret, last_step=0))

    def enrolment(self, session: Session, user_id: int, name: str) -> Enrolment | None:
        """What to show while a device is to be confirmed; None otherwise."""
        found = session.get(SecondFactor, user_id)
        if found is None or found.confirmed_at is not None:
            return None
        secret = self._sealer.open(found.secret)
        address = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)
        square = segno.make(address, error="m")
        key = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
        return Enrolment(key, square.svg_inline(border=4, omitsize=True))

    def confirm(self, session: Session, user_id: int, code: str) -> list[str]:
        """Put a device into use with its first code; the recovery codes, empty when it is wrong."""
        found = session.get(SecondFactor, user_id)
        if found is None or found.confirmed_at is not None or not self._fits(found, code):
            return []
        found.confirmed_at = self._now()
        return self.renew_recovery(session, user_id)

    def accepts(self, session: Session, user_id: int, code: str) -> str:
        """Use up a code; what it was: "totp", "recovery", or empty when it is wrong or used."""
        found = session.get(SecondFactor, user_id, populate_existing=True)
        if found is None or found.confirmed_at is None:
            return ""
        if self._fits(found, code):
            return "totp"
        digest = self._digest(user_id, code)
        used = session.execute(
            delete(RecoveryCode).where(
                RecoveryCode.user_id == user_id, RecoveryCode.digest == digest
            )
        )
        return "recovery" if used.rowcount else ""  # type: ignore[attr-defined]

    def active(self, session: Session, user_id: int) -> bool:
        """Whether a device is in use."""
        found = session.get(SecondFactor, user_id)
        return found is not None and found.confirmed_at is not None

    def forget(self, session: Session, user_id: int) -> bool:
        """Remove device and recovery codes; whether a device was in use."""
        was = self.active(session, user_id)
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
        session.execute(delete(SecondFactor).where(SecondFactor.user_id == user_id))
        return was

    def renew_recovery(self, session: Session, user_id: int) -> list[str]:
        """New recovery codes in place of all before; only their pseudonyms are kept."""
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
        codes = [
            "".join(secrets.choice(_LETTERS) for _ in range(_RECOVERY_LETTERS))
            for _ in range(RECOVERY_CODES)
        ]
        session.add_all(
            RecoveryCode(user_id=user_id, digest=self._digest(user_id, each)) for each in codes
        )
        return ["-".join(re.findall("....", each)) for each in codes]

    def recovery_left(self, session: Session, user_id: int) -> int:
        """How many recovery codes are not used yet."""
        own = select(func.count(RecoveryCode.digest)).where(RecoveryCode.user_id == user_id)
        return session.scalar(own) or 0

    def _fits(self, found: SecondFactor, code: str) -> bool:
        """Whether a code is that of now, not used before; notes its step."""
        typed = _plain(code)
        if not _CODE.fullmatch(typed):
            return False
        try:
            device = pyotp.TOTP(self._sealer.open(found.secret), interval=_SECONDS)
        except ValueError:  # sealed with a key that is no longer there: an administrator resets it
            return False
        now = int(self._now().timestamp()) // _SECONDS
        for step in range(now - _OFF_BY, now + _OFF_BY + 1):
            right = hmac.compare_digest(device.generate_otp(step), typed)
            if right and step > found.last_step:
                found.last_step = step
                return True
        return False

    def _digest(self, user_id: int, code: str) -> str:
        return self._sealer.pseudonym("recovery", str(user_id), _plain(code).lower())


def _plain(code: str) -> str:
    """A code as it is compared: width, spaces and dashes do not count."""
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", code))[:64]
