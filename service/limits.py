"""How often something may happen; hides the counting."""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter


class Limits:
    """Counts within this process, which serves all requests."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def allow(self, *names: str, per_minute: int) -> bool:
        """Count one more for whom `names` identify; False when that is too many."""
        return bool(self._limiter.hit(RateLimitItemPerMinute(per_minute), *names))
