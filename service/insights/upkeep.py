"""What is done in the background: counting, gathering, the daily check; hides how often."""

from collections.abc import Callable
from datetime import datetime, timedelta

from service.insights.checks import examine
from service.runtime import Runtime

COUNT_EVERY = timedelta(minutes=10)
GATHER_EVERY = timedelta(hours=1)
# Some gaps at a time, so that citizens need not wait.
TEND_EVERY = timedelta(minutes=2)
CHECK_EVERY = timedelta(minutes=5)


class Upkeep:
    """A job for `service.worker.watch`, on a thread of its own: it may take minutes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._next: dict[str, datetime] = {}
        self._tasks: dict[str, tuple[timedelta, Callable[[Runtime], bool]]] = {
            "count": (COUNT_EVERY, _count),
            "gather": (GATHER_EVERY, _gather),
            "tend": (TEND_EVERY, _tend),
            "check": (CHECK_EVERY, _check),
        }

    def job(self) -> bool:
        """Do what is due; whether there is more to do at once."""
        more = False
        for name, (pause, task) in self._tasks.items():
            now = self._runtime.now()
            if now < self._next.get(name, now):
                continue
            # Set before the task: one that fails is not tried again at once.
            self._next[name] = now + pause
            if task(self._runtime):
                self._next[name] = now
                more = True
        return more


def gather(runtime: Runtime) -> str:
    """Take up new questions and look which gaps are closed; says what was done, in Chinese."""
    done = runtime.insights.gatherer.gather()
    assigned = runtime.insights.gatherer.assign()
    proposals = runtime.insights.phrasings.gather()
    closed = runtime.insights.closing.close()
    return (
        f"归集 {done.questions} 个没答好的问题，新缺口 {done.opened} 个，"
        f"分派 {assigned.gaps} 个（还有 {assigned.left} 个待分派），"
        f"自动关闭 {closed} 个，新问法建议 {proposals} 条"
    )


def _count(runtime: Runtime) -> bool:
    return runtime.insights.tallies.bring_level() > 0


def _gather(runtime: Runtime) -> bool:
    gather(runtime)
    return False


def _tend(runtime: Runtime) -> bool:
    runtime.insights.gatherer.assign()
    runtime.insights.closing.close()
    return False


def _check(runtime: Runtime) -> bool:
    if runtime.insights.daily.due():
        runtime.insights.daily.run(lambda: examine(runtime))
    return False
