"""Store the batches of concurrent requests in shared commits: one thread stores whatever is queued, in one transaction.

A request is still answered after the commit that contains its events. While one transaction is written, the next group
collects: a busy service commits large groups, an idle one commits at once. Most clients send again as soon as they are
answered, so a group of several lingers for a moment; without that, they would split into halves that alternate and need twice
as many commits. The queue is bounded: past the bound, requests are refused and sent again later, so that memory does not grow.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy.exc import OperationalError

from metering.domain.errors import DomainError
from metering.domain.usage.batches import Batch
from metering.domain.usage.outcomes import BatchResult
from metering.operations.usage.ingest import Ingester, Origin
from metering.runtime.metrics import Metrics

GROUP_EVENTS = 20_000
# How long a commit waits for the clients of the last one to send again; about as long as a commit takes.
LINGER_SECONDS = 0.004

_log = logging.getLogger(__name__)


class TooBusyError(DomainError):
    """Too many events are waiting to be stored. Nothing of the request was stored."""

    code = "too_busy"


OnResult = Callable[[BatchResult | Exception], None]


class _QueuedBatch(NamedTuple):
    batch: Batch
    origin: Origin
    size: int
    on_result: OnResult


class GroupWriter:
    """Stores batches for many requests at once. Its thread starts with the first batch and ends with ``close``.

    ``on_stored`` is called after each commit and must return quickly.
    """

    def __init__(
        self, ingester: Ingester, max_waiting_events: int, metrics: Metrics, on_stored: Callable[[], object] = lambda: None
    ) -> None:
        self._ingester = ingester
        self._metrics = metrics
        self._max_events = max_waiting_events
        self._on_stored = on_stored
        self._queue: deque[_QueuedBatch] = deque()
        self._expected = 0
        self._events = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, batch: Batch, origin: Origin, on_result: OnResult) -> None:
        """Queue a batch.

        ``on_result`` is called in the writer's thread, with the result after the commit that stores the batch, or with the
        error. A queued batch is stored even if its result is no longer awaited.

        Raises TooBusyError if too many events are queued. An empty queue accepts a batch of any size.
        """
        size = max(1, len(batch.events) + len(batch.rejected))
        with self._changed:
            if self._closed:
                raise TooBusyError("the service is shutting down; send the events again to another process")
            if self._queue and self._events + size > self._max_events:
                self._metrics.refused()
                raise TooBusyError(
                    f"{self._events:,} events are waiting to be stored, of at most {self._max_events:,}; send them again later"
                )
            self._queue.append(_QueuedBatch(batch, origin, size, on_result))
            self._events += size
            self._metrics.waiting(self._events)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="group-writer", daemon=True)
                self._thread.start()
            if len(self._queue) >= self._expected:
                self._changed.notify()

    def close(self) -> None:
        """Accept no more batches, store those that are queued, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            self._write(group)
            with self._changed:
                self._events -= sum(queued.size for queued in group)
                self._metrics.waiting(self._events)

    def _next_group(self) -> list[_QueuedBatch]:
        """Wait for batches to store. An empty group means that the writer was closed and the queue is empty."""
        with self._changed:
            if len(self._queue) < self._expected and not self._closed:
                self._changed.wait(LINGER_SECONDS)
            self._expected = 0
            while not self._queue and not self._closed:
                self._changed.wait()
            group: list[_QueuedBatch] = []
            size = 0
            while self._queue and (not group or size + self._queue[0].size <= GROUP_EVENTS):
                group.append(self._queue.popleft())
                size += group[-1].size
            return group

    def _write(self, group: Sequence[_QueuedBatch]) -> None:
        started = time.perf_counter()
        try:
            results = self._ingester.ingest_all([(queued.batch, queued.origin) for queued in group])
        except Exception as error:
            self._metrics.commit_failed()
            # Nothing of the group is stored. If the database does not respond, storing each batch alone would only take
            # longer. Otherwise one batch must not cost the others.
            if len(group) == 1 or isinstance(error, OperationalError):
                for queued in group:
                    queued.on_result(error)
                return
            _log.warning("storing %d batches one by one after %s", len(group), type(error).__name__)
            for queued in group:
                self._write([queued])
            return
        self._metrics.committed(sum(queued.size for queued in group), results, time.perf_counter() - started)
        self._expect_next(len(group))
        for queued, result in zip(group, results, strict=True):
            queued.on_result(result)
        self._on_stored()

    def _expect_next(self, answered: int) -> None:
        """Set the number of batches to linger for, before the clients are answered. A single client is not waited for."""
        with self._changed:
            together = len(self._queue) + answered
            self._expected = together if together > 1 else 0
