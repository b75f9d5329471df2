"""Several batches share a commit: SQLite writes each page that they touch once, and waits for the disk once.

The identities' random keys touch nearly every page of their index in each batch, so that a commit a batch writes the whole
index again and again. Results are handed out after the commit that holds them: acknowledged means stored. A batch that fails
is taken back alone, and those before it are kept.
"""

import time
from contextlib import ExitStack

from sqlalchemy import Connection, Engine

from metering.domain.batches import Batch
from metering.domain.outcomes import BatchResult
from metering.operations.ingest import Ingester, Origin
from metering.storage.database import writing

COMMIT_EVENTS = 20_000
COMMIT_SECONDS = 1.0


class CommitGroup:
    """Stores batches in transactions of about COMMIT_EVENTS events, none of which stays open for much over a second."""

    def __init__(self, engine: Engine, ingester: Ingester) -> None:
        self._engine = engine
        self._ingester = ingester
        self._connection: Connection | None = None
        self._transaction = ExitStack()
        self._results: list[BatchResult] = []
        self._events = 0
        self._begun_at = 0.0
        self._committed: list[BatchResult] = []

    def add(self, batch: Batch, origin: Origin) -> list[BatchResult]:
        """Store a batch; return the results of all batches that were committed on the way."""
        prepared = self._ingester.prepare(batch, origin, before_writing=self._commit)
        connection = self._begin()
        with connection.begin_nested():
            result = self._ingester.store(connection, prepared)
        self._results.append(result)
        self._events += result.received
        if self._events >= COMMIT_EVENTS or time.monotonic() - self._begun_at >= COMMIT_SECONDS:
            self._commit()
        return self._handed_out()

    def commit(self) -> list[BatchResult]:
        """Commit what is open; return the results that were not handed out yet."""
        self._commit()
        return self._handed_out()

    def _begin(self) -> Connection:
        if self._connection is None:
            self._connection = self._transaction.enter_context(writing(self._engine))
            self._begun_at = time.monotonic()
        return self._connection

    def _commit(self) -> None:
        if self._connection is None:
            return
        results, self._results = self._results, []
        self._connection, self._events = None, 0
        self._transaction.close()
        self._committed += results

    def _handed_out(self) -> list[BatchResult]:
        committed, self._committed = self._committed, []
        return committed
