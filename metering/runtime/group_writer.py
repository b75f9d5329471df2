"""Requests that arrive together share a commit: one thread stores whatever waits, in one transaction.

A request's answer still comes after the commit that holds its events. While one transaction is written the next one gathers,
so that a busy service commits large groups and an idle one commits at once. Who was answered mostly sends again at once, so
that a group of several waits a moment for them: else the senders would part into halves that take turns, and pay for twice as
many commits. What waits is bounded: past the bound a request is told to come again, instead of memory growing without end.
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
# A commit waits for the senders of the last one so long at most; about as long as it takes itself.
LINGER_SECONDS = 0.004

_log = logging.getLogger(__name__)


class TooBusyError(DomainError):
    """More events wait to be stored than the service takes; nothing of the request was kept."""

    code = "too_busy"


Answered = Callable[[BatchResult | Exception], None]


class _QueuedBatch(NamedTuple):
    batch: Batch
    origin: Origin
    size: int
    answered: Answered


class GroupWriter:
    """Stores batches for many requests at once; its thread starts with the first of them and ends with ``close``.

    ``on_stored`` is called after each commit, and must not take long.
    """

    def __init__(
        self, ingester: Ingester, max_waiting_events: int, metrics: Metrics, on_stored: Callable[[], object] = lambda: None
    ) -> None:
        self._ingester = ingester
        self._metrics = metrics
        self._most = max_waiting_events
        self._on_stored = on_stored
        self._queue: deque[_QueuedBatch] = deque()
        self._expected = 0
        self._events = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, batch: Batch, origin: Origin, answered: Answered) -> None:
        """Take a batch. ``answered`` is called in the writer's thread: with the result after the commit that stores the batch,
        or with the error that it met. What was taken is stored, also when nobody waits for the answer any more.

        Raises TooBusyError when too much waits already. A batch that comes to an empty queue is taken whatever its size.
        """
        size = max(1, len(batch.events) + len(batch.rejected))
        with self._changed:
            if self._closed:
                raise TooBusyError("the service is shutting down; send the events again to another process")
            if self._queue and self._events + size > self._most:
                self._metrics.refused()
                raise TooBusyError(f"{self._events} events wait to be stored, at most {self._most} may; send them again later")
            self._queue.append(_QueuedBatch(batch, origin, size, answered))
            self._events += size
            self._metrics.waiting(self._events)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="group-writer", daemon=True)
                self._thread.start()
            if len(self._queue) >= self._expected:
                self._changed.notify()

    def close(self) -> None:
        """Take no more, store what waits, and end the thread."""
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
                self._events -= sum(waiting.size for waiting in group)
                self._metrics.waiting(self._events)

    def _next_group(self) -> list[_QueuedBatch]:
        """Wait for something to store; an empty group says that there will be nothing more."""
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
            results = self._ingester.ingest_all([(waiting.batch, waiting.origin) for waiting in group])
        except Exception as error:
            self._metrics.commit_failed()
            # Nothing of the group is stored. Where the database itself does not answer, trying each alone would only wait
            # longer; else one batch must not cost the others.
            if len(group) == 1 or isinstance(error, OperationalError):
                for waiting in group:
                    waiting.answered(error)
                return
            _log.warning("%d batches are stored one by one after %s", len(group), type(error).__name__)
            for waiting in group:
                self._write([waiting])
            return
        self._metrics.committed(sum(waiting.size for waiting in group), results, time.perf_counter() - started)
        self._expect_again(len(group))
        for waiting, result in zip(group, results, strict=True):
            waiting.answered(result)
        self._on_stored()

    def _expect_again(self, senders: int) -> None:
        """Say before they are answered how many may wait once they have sent again; a lone sender is not waited for."""
        with self._changed:
            together = len(self._queue) + senders
            self._expected = together if together > 1 else 0
