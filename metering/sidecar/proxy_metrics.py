"""The sidecar's counters, in Prometheus' format. Labels are bounded: a model or provider past the bound is ``(other)``."""

from collections.abc import Callable

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from metering.domain.usage.events import UsageEvent
from metering.sidecar.exchanged import Exchanged

MAX_SERIES = 500
_OTHER = "(other)"
_ADDED = (0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)


class _Counts(Struct):
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    reported_nano: int = 0


class ProxyMetrics:
    """Counts requests, tokens, drops and delays of one sidecar."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "sidecar_requests", "Requests that were passed through.", ["provider", "model", "status"], registry=registry
        )
        self._tokens = Counter("sidecar_tokens", "Tokens that were metered.", ["provider", "model", "kind"], registry=registry)
        self._reported = Counter(
            "sidecar_reported_cost_usd", "What providers reported that requests cost.", ["provider", "model"], registry=registry
        )
        self._added = Histogram(
            "sidecar_added_seconds", "Time from a request's last byte to its start upstream.", buckets=_ADDED, registry=registry
        )
        self.dropped = Counter("sidecar_dropped_events", "Events that the journal had no room for.", registry=registry)
        self.refused = Counter("sidecar_refused_requests", "Requests that were refused.", ["code"], registry=registry)
        self.clients = Gauge("sidecar_clients", "Open connections of applications.", registry=registry)
        self.journal_bytes = Gauge("sidecar_journal_bytes", "Size of the journal.", registry=registry)
        self.journal_seconds = Gauge("sidecar_journal_age_seconds", "Age of the journal's oldest segment.", registry=registry)
        self.shipping = Gauge("sidecar_shipping", "1 while the process that stores events runs.", registry=registry)
        self.reserved = Gauge("sidecar_reserved_usd", "Reserved for requests in flight.", registry=registry)
        self._series: dict[tuple[str, str], tuple[str, str]] = {}
        self._waiting: dict[tuple[str, str, int], _Counts] = {}

    def exchange(self, event: UsageEvent, exchanged: Exchanged) -> None:
        """Count an exchange that ended."""
        labels = self._labels(event)
        key = (*labels, exchanged.status // 100)
        counts = self._waiting.get(key)
        if counts is None:
            counts = self._waiting[key] = _Counts()
        used = event.quantities
        counts.requests += 1
        counts.input_tokens += used.prompt_tokens
        counts.output_tokens += used.output_tokens
        counts.reported_nano += event.reported_cost_nano or 0

    def watch_reserved(self, reserved_nano: Callable[[], int]) -> None:
        """Show what is reserved at the moment the metrics are read."""
        self.reserved.set_function(lambda: reserved_nano() / 1e9)

    def added(self, seconds: float) -> None:
        """Record how long a request waited in the sidecar."""
        self._added.observe(seconds)

    def exposed(self) -> bytes:
        """Return all metrics as text."""
        self._count_waiting()
        return generate_latest(self._registry)

    def _count_waiting(self) -> None:
        """Add what was counted since the last time: a counter with labels takes longer than the rest of counting a request."""
        waiting, self._waiting = self._waiting, {}
        for (provider, model, hundreds), counts in waiting.items():
            self._requests.labels(provider, model, f"{hundreds}xx").inc(counts.requests)
            if counts.input_tokens:
                self._tokens.labels(provider, model, "input").inc(counts.input_tokens)
            if counts.output_tokens:
                self._tokens.labels(provider, model, "output").inc(counts.output_tokens)
            if counts.reported_nano:
                self._reported.labels(provider, model).inc(counts.reported_nano / 1e9)

    def _labels(self, event: UsageEvent) -> tuple[str, str]:
        key = (event.provider, event.model)
        labels = self._series.get(key)
        if labels is None:
            if len(self._series) >= MAX_SERIES:
                return _OTHER, _OTHER
            labels = self._series[key] = key
        return labels
