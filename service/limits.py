"""How often something may happen; hides the counting."""

import math
import time

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

    def room(self, *names: str, per_minute: int) -> bool:
        """Whether one more would be allowed; counts nothing."""
        return bool(self._limiter.test(RateLimitItemPerMinute(per_minute), *names))

    def seconds_left(self, *names: str, per_minute: int) -> int:
        """After how many whole seconds, at least one, the next will be allowed."""
        window = self._limiter.get_window_stats(RateLimitItemPerMinute(per_minute), *names)
        return max(1, math.ceil(window.reset_time - time.time())) if not window.remaining else 1
