"""The background thread: goes on after a failure, stops when told."""

import threading

import pytest

from service import worker


def test_a_failing_job_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PAUSE_AFTER_FAILURE", 0.0)
    stop, done = threading.Event(), []

    def failing() -> bool:
        raise RuntimeError("broken")

    def working() -> bool:
        done.append(1)
        if len(done) == 3:
            stop.set()
        return False

    worker.watch(stop, [failing, working])
    assert len(done) == 3


def test_a_job_with_more_to_do_is_called_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PAUSE", 3600.0)
    stop, calls = threading.Event(), []

    def job() -> bool:
        calls.append(1)
        if len(calls) == 5:
            stop.set()
        return True

    worker.watch(stop, [job])
    assert len(calls) == 5
