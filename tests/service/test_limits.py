"""Rate limits: each name has its own count."""

from service.limits import Limits


def test_more_than_allowed_is_refused_for_that_name_alone() -> None:
    limits = Limits()
    assert [limits.allow("ask", "a", per_minute=2) for _ in range(3)] == [True, True, False]
    assert limits.allow("ask", "b", per_minute=2)
    assert limits.allow("search", "a", per_minute=2)


def test_it_says_when_the_next_will_be_allowed() -> None:
    limits = Limits()
    limits.allow("ask", "a", per_minute=1)
    assert 1 <= limits.seconds_left("ask", "a", per_minute=1) <= 60
    assert limits.seconds_left("ask", "never", per_minute=1) == 1


def test_asking_for_room_counts_nothing() -> None:
    limits = Limits()
    assert all(limits.room("sign-in", "a", per_minute=1) for _ in range(3))
    assert limits.allow("sign-in", "a", per_minute=1)
    assert not limits.room("sign-in", "a", per_minute=1)
    assert limits.room("sign-in", "b", per_minute=1)
