"""Work that nobody waits for, done in a background thread; hides pauses and failures."""

import logging
import threading
from collections.abc import Callable, Sequence

# One step of a job: True when there may be more to do at once.
Job = Callable[[], bool]

PAUSE = 0.5
PAUSE_AFTER_FAILURE = 5.0

log = logging.getLogger(__name__)


def watch(stop: threading.Event, jobs: Sequence[Job]) -> None:
    """Run jobs in turn until `stop` is set; one that fails does not hold up the others."""
    while not stop.is_set():
        busy = failed = False
        for job in jobs:
            try:
                busy = job() or busy
            except Exception:
                failed = True
                log.exception("background job failed")
        if failed:
            stop.wait(PAUSE_AFTER_FAILURE)
        elif not busy:
            stop.wait(PAUSE)
