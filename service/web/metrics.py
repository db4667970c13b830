"""Figures for Prometheus; one registry an application, so that several can live in a process."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "policyqa_answers_total",
            "Answers given",
            ["outcome", "channel", "system"],
            registry=self.registry,
        )
        self._requests = Histogram(
            "policyqa_request_seconds",
            "Time of requests",
            ["endpoint", "status"],
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Export a value that is read whenever figures are collected."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def answer(self, outcome: str, channel: str, system: str = "") -> None:
        """Count an answer; `system` is the name of the key that it was asked with."""
        self._answers.labels(outcome, channel, system).inc()

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """Time a request; statuses are grouped by their first digit."""
        self._requests.labels(endpoint, f"{status // 100}xx").observe(seconds)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)
