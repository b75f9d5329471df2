"""Several batches share a commit: each page that they touch is written once, and the disk is waited for once.

The identities' random keys touch nearly every page of their index in each batch, so that a commit a batch would write the
whole index again and again. Results are handed out after the commit that holds them: acknowledged means stored.
"""

import time

from metering.domain.batches import Batch
from metering.domain.outcomes import BatchResult
from metering.operations.ingest import Ingester, Origin, PreparedBatch

COMMIT_EVENTS = 20_000
COMMIT_SECONDS = 1.0


class CommitGroup:
    """Gathers prepared batches until there are about COMMIT_EVENTS events, or one has waited for COMMIT_SECONDS."""

    def __init__(self, ingester: Ingester) -> None:
        self._ingester = ingester
        self._waiting: list[PreparedBatch] = []
        self._events = 0
        self._since = 0.0

    def add(self, batch: Batch, origin: Origin) -> list[BatchResult]:
        """Take a batch; return the results of those that were committed, none while they wait."""
        prepared = self._ingester.prepare(batch, origin)
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(prepared)
        self._events += prepared.result.rejected + len(prepared.charged.events)
        if self._events >= COMMIT_EVENTS or time.monotonic() - self._since >= COMMIT_SECONDS:
            return self.commit()
        return []

    def commit(self) -> list[BatchResult]:
        """Store what waits in one transaction; return the results. On an error nothing of it is stored."""
        waiting, self._waiting, self._events = self._waiting, [], 0
        return self._ingester.store(waiting) if waiting else []
