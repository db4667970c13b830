"""Whether something is in force on a day, from its dates alone; hides the order of the rules."""

import enum
from dataclasses import dataclass
from datetime import date


class Validity(enum.StrEnum):
    """Validity of a policy on a day; `UNKNOWN` for a document that is not in the base."""

    IN_FORCE = "in_force"
    NOT_YET = "not_yet"
    AMENDED = "amended"
    REPEALED = "repealed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Period:
    """The dates that bound validity; None where there is no bound.

    Attributes:
        effective_on: first day.
        expires_on: last day.
        superseded_on: first day of a later revision.
        repealed_on: first day after the repeal.
    """

    effective_on: date | None = None
    expires_on: date | None = None
    superseded_on: date | None = None
    repealed_on: date | None = None

    def on(self, day: date) -> Validity:
        """The validity on a day."""
        if self.repealed_on and day >= self.repealed_on:
            return Validity.REPEALED
        if self.superseded_on and day >= self.superseded_on:
            return Validity.AMENDED
        if self.expires_on and day > self.expires_on:
            return Validity.EXPIRED
        if self.effective_on and day < self.effective_on:
            return Validity.NOT_YET
        return Validity.IN_FORCE
