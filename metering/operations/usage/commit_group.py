"""Several batches share a commit: each page that they touch is written once, and the disk is waited for once.

The identities' random keys touch nearly every page of their index in each batch, so that a commit a batch would write the
whole index again and again. Results are handed out after the commit that holds them: acknowledged means stored.

A database server works in a process of its own. There one group is stored ``ahead``, while the next one is prepared here; on
SQLite both need the interpreter, and a thread would gain nothing.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from metering.domain.usage.batches import Batch
from metering.domain.usage.outcomes import BatchResult
from metering.operations.usage.ingest import Ingester, Origin, PreparedBatch

COMMIT_EVENTS = 20_000
# On a server a commit's cost lies in its sums, of which a busy log has thousands: 51,000 events a second of 50 accounts with
# groups of 20,000, 58,000 with these.
SERVER_COMMIT_EVENTS = 30_000
COMMIT_SECONDS = 1.0


class CommitGroup:
    """Gathers prepared batches until there are as many events as a commit takes, or one has waited for COMMIT_SECONDS."""

    def __init__(self, ingester: Ingester, *, ahead: bool = False) -> None:
        self._ingester = ingester
        self._ahead = ahead
        self._most = SERVER_COMMIT_EVENTS if ahead else COMMIT_EVENTS
        self._storing: Future[list[BatchResult]] | None = None
        self._waiting: list[PreparedBatch] = []
        self._events = 0
        self._since = 0.0

    def add(self, batch: Batch, origin: Origin) -> list[BatchResult]:
        """Take a batch; return the results of those that were committed since, none while they wait."""
        prepared = self._ingester.prepare(batch, origin)
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(prepared)
        self._events += prepared.result.rejected + len(prepared.charged.events)
        if self._events < self._most and time.monotonic() - self._since < COMMIT_SECONDS:
            return []
        if not self._ahead:
            return self.commit()
        waiting = self._take()
        before = self._stored()
        self._storing = _in_a_thread(self._ingester, waiting)
        return before

    def commit(self) -> list[BatchResult]:
        """Store what waits in one transaction; return the results. On an error nothing of it is stored."""
        waiting = self._take()
        before = self._stored()
        return before + (self._ingester.store(waiting) if waiting else [])

    def _take(self) -> list[PreparedBatch]:
        waiting, self._waiting, self._events = self._waiting, [], 0
        return waiting

    def _stored(self) -> list[BatchResult]:
        """Wait for the group that is being stored; return its results, or raise what it met."""
        storing, self._storing = self._storing, None
        return storing.result() if storing is not None else []


def _in_a_thread(ingester: Ingester, waiting: Sequence[PreparedBatch]) -> Future[list[BatchResult]]:
    pool = ThreadPoolExecutor(1, thread_name_prefix="commit-group")
    storing = pool.submit(ingester.store, waiting)
    pool.shutdown(wait=False)  # the thread ends with its one task
    return storing
