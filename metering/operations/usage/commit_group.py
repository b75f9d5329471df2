"""Store several batches in one commit, so that each page they touch is written once and the disk is flushed once.

Identities are random keys and touch nearly every page of their index in each batch: with one commit per batch, the whole index
would be rewritten each time. Results are returned after the commit that contains them: acknowledged means stored.

On a database server, one group is stored in a thread while the next is prepared (``pipelined``). On SQLite both need the
interpreter, so a thread would gain nothing.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from metering.domain.usage.batches import Batch
from metering.domain.usage.outcomes import BatchResult
from metering.operations.usage.ingest import Ingester, Origin, PreparedBatch

COMMIT_EVENTS = 20_000
# On a server most of a commit's cost is its rollups, of which a busy log has thousands: with 50 accounts, groups of 20,000
# store 51,000 events a second, groups of this size 58,000.
SERVER_COMMIT_EVENTS = 30_000
COMMIT_SECONDS = 1.0


class CommitGroup:
    """Collects prepared batches until they have enough events for a commit, or the first has waited for COMMIT_SECONDS."""

    def __init__(self, ingester: Ingester, *, pipelined: bool = False) -> None:
        self._ingester = ingester
        self._pipelined = pipelined
        self._commit_events = SERVER_COMMIT_EVENTS if pipelined else COMMIT_EVENTS
        self._storing: Future[list[BatchResult]] | None = None
        self._pending: list[PreparedBatch] = []
        self._events = 0
        self._since = 0.0

    def add(self, batch: Batch, origin: Origin) -> list[BatchResult]:
        """Add a batch; return the results of the batches that have been committed since the last call."""
        prepared = self._ingester.prepare(batch, origin)
        if not self._pending:
            self._since = time.monotonic()
        self._pending.append(prepared)
        self._events += prepared.result.rejected + len(prepared.charged.events)
        if self._events < self._commit_events and time.monotonic() - self._since < COMMIT_SECONDS:
            return []
        if not self._pipelined:
            return self.commit()
        pending = self._take_pending()
        results = self._finish_storing()
        self._storing = _store_in_thread(self._ingester, pending)
        return results

    def commit(self) -> list[BatchResult]:
        """Store the pending batches in one transaction; return the results. On an error none of them is stored."""
        pending = self._take_pending()
        results = self._finish_storing()
        return results + (self._ingester.store(pending) if pending else [])

    def _take_pending(self) -> list[PreparedBatch]:
        pending, self._pending, self._events = self._pending, [], 0
        return pending

    def _finish_storing(self) -> list[BatchResult]:
        """Wait for the group that is being stored; return its results, or raise its error."""
        storing, self._storing = self._storing, None
        return storing.result() if storing is not None else []


def _store_in_thread(ingester: Ingester, pending: Sequence[PreparedBatch]) -> Future[list[BatchResult]]:
    pool = ThreadPoolExecutor(1, thread_name_prefix="commit-group")
    storing = pool.submit(ingester.store, pending)
    pool.shutdown(wait=False)  # the thread ends with its only task
    return storing
