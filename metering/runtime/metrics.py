"""What the service counts about itself, for Prometheus.

A label is a name from this code (a route's template, an outcome, a job), never anything from a request or the database: no
account, no key, no id. So the number of series is bounded, and nothing about who uses the service is revealed.

Several workers share a port, and a scrape reaches one of them. Each writes its counts to files in a shared folder
(``shared``), and the one that is scraped adds all of them up, including those of workers that ended: a counter never goes back.
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


class _RequestCounts:
    """HTTP requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "metering_http_request_seconds",
            "Duration of HTTP requests, by the template of their route",
            ("route", "method", "status"),
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self.series: dict[tuple[str, str, int], Histogram] = {}
        self.refused = Counter(
            "metering_refused_requests", "Requests answered 429 because too many events were waiting", registry=registry
        )


class _CommitCounts:
    """Events, and the transactions that requests share to store them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        outcomes = Counter("metering_events", "Events sent to this server, by outcome", ("outcome",), registry=registry)
        self.outcomes = {outcome: outcomes.labels(outcome.value) for outcome in Outcome}
        self.unpriced = Counter(
            "metering_events_unpriced", "Accepted events that had no price when they arrived", registry=registry
        )
        self.events = Histogram(
            "metering_commit_events", "Events per shared transaction", buckets=_COMMIT_EVENTS, registry=registry
        )
        self.seconds = Histogram(
            "metering_commit_seconds",
            "Duration of a shared transaction: prepare, store and commit",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self.failures = Counter(
            "metering_commit_failures", "Shared transactions that failed; nothing of them is stored", registry=registry
        )
        self.waiting = Gauge(
            "metering_waiting_events",
            "Events that wait for their commit, or are in it",
            multiprocess_mode="livesum",
            registry=registry,
        )


class _JobCounts:
    """Scheduled jobs, and which process runs them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leader = Gauge(
            "metering_leader",
            "1 if this server runs the scheduled jobs, 0 if another one does",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.runs = Counter("metering_job_runs", "Runs of scheduled jobs, by outcome", ("job", "outcome"), registry=registry)
        self.last_success = Gauge(
            "metering_job_last_success_timestamp_seconds",
            "Time of a job's last successful run",
            ("job",),
            multiprocess_mode="mostrecent",
            registry=registry,
        )
        self.last_seconds = Gauge(
            "metering_job_last_duration_seconds",
            "Duration of a job's last run",
            ("job",),
            multiprocess_mode="mostrecent",
            registry=registry,
        )


class Metrics:
    """The counters of one process. ``shared``: the folder where the workers of one server keep theirs."""

    def __init__(self, shared: Path | None = None) -> None:
        # A creation time per series would be a third of the output, and nothing reads it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._shared = shared
        self._registry = CollectorRegistry()
        self._requests = _RequestCounts(self._registry)
        self._commits = _CommitCounts(self._registry)
        self._jobs = _JobCounts(self._registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered; status 0: it was not, because its client disconnected."""
        key = (route, method if method in _METHODS else "other", status // 100)
        series = self._requests.series.get(key)
        if series is None:
            status_class = f"{key[2]}xx" if status else "none"
            series = self._requests.series[key] = self._requests.seconds.labels(key[0], key[1], status_class)
        series.observe(seconds)

    def waiting(self, events: int) -> None:
        """Record how many events wait for their commit."""
        self._commits.waiting.set(events)

    def refused(self) -> None:
        """Count a request that found too many events waiting."""
        self._requests.refused.inc()

    def committed(self, events: int, results: Sequence[BatchResult | DomainError], seconds: float) -> None:
        """Count a transaction: its events, the outcomes of its batches, and its duration."""
        self._commits.events.observe(events)
        self._commits.seconds.observe(seconds)
        stored = [result for result in results if isinstance(result, BatchResult)]
        for outcome, counter in self._commits.outcomes.items():
            if count := sum(getattr(result, outcome) for result in stored):
                counter.inc(count)
        if unpriced := sum(result.unpriced for result in stored):
            self._commits.unpriced.inc(unpriced)

    def commit_failed(self) -> None:
        """Count a transaction that failed."""
        self._commits.failures.inc()

    def is_leader(self, *, is_leader: bool) -> None:
        """Record whether this process runs the jobs."""
        self._jobs.leader.set(int(is_leader))

    def job_done(self, job: str, now: float, seconds: float) -> None:
        """Count a successful run of a job that ended at ``now`` (seconds since 1970)."""
        self._jobs.runs.labels(job, "done").inc()
        self._jobs.last_success.labels(job).set(now)
        self._jobs.last_seconds.labels(job).set(seconds)

    def job_failed(self, job: str, seconds: float) -> None:
        """Count a failed run of a job."""
        self._jobs.runs.labels(job, "failed").inc()
        self._jobs.last_seconds.labels(job).set(seconds)

    def exposed(self, accept: str, also: Iterable[Metric]) -> tuple[bytes, str]:
        """Return all counts, and ``also``, in the format that a scraper accepts, with its media type."""
        encode, media = choose_encoder(accept)
        return encode(_AllMetrics(self._counted(), also)), media

    def _counted(self) -> Collector:
        if self._shared is None:
            return self._registry
        _remove_files_of_ended_workers(self._shared)
        return MultiProcessCollector(None, str(self._shared))  # type: ignore[no-untyped-call]


class _AllMetrics(Collector):
    """The counts of the process or its workers, and values that are read at the scrape."""

    def __init__(self, counted: Collector, also: Iterable[Metric]) -> None:
        self._counted = counted
        self._also = also

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield from self._counted.collect()
        yield from self._also


def _remove_files_of_ended_workers(folder: Path) -> None:
    """Remove what only a running worker can report: whether it is the leader, and how many events wait."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)
