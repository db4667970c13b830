"""Rate limits: each name has its own count."""

from service.limits import Limits


def test_more_than_allowed_is_refused_for_that_name_alone() -> None:
    limits = Limits()
    assert [limits.allow("ask", "a", per_minute=2) for _ in range(3)] == [True, True, False]
    assert limits.allow("ask", "b", per_minute=2)
    assert limits.allow("search", "a", per_minute=2)
