"""What the service counts about itself, for Prometheus.

A label is a name of this code (a route's template, an outcome, a job) and nothing that comes from a request or the database: no
account, no key, no id. So the number of series is bounded, and nothing is told of who uses the service.

Several workers share a port, and a scrape reaches one of them: each writes what it counts to a file of its own in a folder that
they share (``shared``), and whoever is asked adds all of them up, those of workers that ended too: a counter never goes back.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from metering.domain.errors import DomainError
from metering.domain.usage.outcomes import BatchResult, Outcome

NO_ROUTE = "(none)"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COMMIT_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)


class Metrics:
    """The counters of one process. ``shared``: the folder where the workers of one server keep theirs."""

    def __init__(self, shared: Path | None = None) -> None:
        # When each series began would be a third of them, and nobody asks.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._shared = shared
        self._registry = registry = CollectorRegistry()
        self._requests = Histogram(
            "metering_http_request_seconds",
            "HTTP requests, by the template of their route, and how long they took",
            ("route", "method", "status"),
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._request_series: dict[tuple[str, str, int], Histogram] = {}
        events = Counter(
            "metering_events", "Events sent to this server, by what became of them", ("outcome",), registry=registry
        )
        self._events = {outcome: events.labels(outcome.value) for outcome in Outcome}
        self._unpriced = Counter(
            "metering_events_unpriced", "Accepted events for which no price was known when they arrived", registry=registry
        )
        self._commit_events = Histogram(
            "metering_commit_events",
            "Events in a transaction that requests shared",
            buckets=_COMMIT_EVENTS,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "metering_commit_seconds",
            "How long preparing, storing and committing such a transaction took",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self._commit_failures = Counter(
            "metering_commit_failures", "Such transactions that failed; nothing of them is stored", registry=registry
        )
        self._waiting = Gauge(
            "metering_waiting_events",
            "Events that wait for their commit, or are in it",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._refused = Counter(
            "metering_refused_requests", "Requests that were answered 429 because too much waited", registry=registry
        )
        self._leader = Gauge(
            "metering_leader",
            "1 where this server runs the scheduled jobs, 0 where another one does",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._job_runs = Counter(
            "metering_job_runs", "Runs of scheduled jobs, by whether they failed", ("job", "outcome"), registry=registry
        )
        self._job_last = Gauge(
            "metering_job_last_success_timestamp_seconds",
            "When a job last ran without failing",
            ("job",),
            multiprocess_mode="mostrecent",
            registry=registry,
        )
        self._job_seconds = Gauge(
            "metering_job_last_duration_seconds",
            "How long a job's last run took",
            ("job",),
            multiprocess_mode="mostrecent",
            registry=registry,
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Note a request that was answered; status 0: it was not, its client went away."""
        key = (route, method if method in _METHODS else "other", status // 100)
        series = self._request_series.get(key)
        if series is None:
            told = f"{key[2]}xx" if status else "none"
            series = self._request_series[key] = self._requests.labels(key[0], key[1], told)
        series.observe(seconds)

    def waiting(self, events: int) -> None:
        """Note how many events wait for their commit."""
        self._waiting.set(events)

    def refused(self) -> None:
        """Note a request that found too much waiting."""
        self._refused.inc()

    def committed(self, events: int, results: Sequence[BatchResult | DomainError], seconds: float) -> None:
        """Note a transaction: the batches in it by what became of them, and how long it took."""
        self._commit_events.observe(events)
        self._commit_seconds.observe(seconds)
        stored = [result for result in results if isinstance(result, BatchResult)]
        for outcome, counter in self._events.items():
            if count := sum(getattr(result, outcome) for result in stored):
                counter.inc(count)
        if unpriced := sum(result.unpriced for result in stored):
            self._unpriced.inc(unpriced)

    def commit_failed(self) -> None:
        """Note a transaction that failed."""
        self._commit_failures.inc()

    def is_leader(self, *, is_leader: bool) -> None:
        """Note whether this process runs the jobs."""
        self._leader.set(int(is_leader))

    def job_done(self, job: str, now: float, seconds: float) -> None:
        """Note a run of a job that ended well, at ``now`` (seconds since 1970)."""
        self._job_runs.labels(job, "done").inc()
        self._job_last.labels(job).set(now)
        self._job_seconds.labels(job).set(seconds)

    def job_failed(self, job: str, seconds: float) -> None:
        """Note a run of a job that failed."""
        self._job_runs.labels(job, "failed").inc()
        self._job_seconds.labels(job).set(seconds)

    def exposed(self, accept: str, also: Iterable[Metric]) -> tuple[bytes, str]:
        """Return everything that was counted, and ``also``, in the format that a scraper accepts, with its media type."""
        encode, media = choose_encoder(accept)
        return encode(_AllMetrics(self._counted(), also)), media

    def _counted(self) -> Collector:
        if self._shared is None:
            return self._registry
        _forget_ended_workers(self._shared)
        return MultiProcessCollector(None, str(self._shared))  # type: ignore[no-untyped-call]


class _AllMetrics(Collector):
    """What is counted here, and what was asked for now."""

    def __init__(self, counted: Collector, also: Iterable[Metric]) -> None:
        self._counted = counted
        self._also = also

    def collect(self) -> Iterator[Metric]:
        """Give all of it."""
        yield from self._counted.collect()
        yield from self._also


def _forget_ended_workers(folder: Path) -> None:
    """Take away what only a living worker can say: whether it leads, and what waits in it."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)
