"""Make sure that every event has a partition: the coming months' ahead of time, others when an event needs one."""

import threading
from collections.abc import Iterable

from sqlalchemy import Engine

from metering.domain.instants import month_of, next_month
from metering.storage.engine.backend import backend_of
from metering.storage.engine.database import exclusive_write, read_snapshot

MONTHS_AHEAD = 2


def ensure_partitions(engine: Engine, *, now: int, months_ahead: int = MONTHS_AHEAD) -> None:
    """Make sure that events of the current month and the next ``months_ahead`` can be stored."""
    months = [month_of(now)]
    for _ in range(months_ahead):
        months.append(next_month(months[-1]))
    PartitionCache(engine).prepare(months)


class PartitionCache:
    """The months (``YYYYMM``) that are known to have a partition. Shared by a process's threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: frozenset[int] = frozenset()
        self._lock = threading.Lock()

    def prepare(self, months: Iterable[int]) -> None:
        """Make sure that events of the months can be stored. Missing partitions commit first, in a short transaction."""
        needed = frozenset(months)
        if needed <= self._known:
            return
        with self._lock:
            with read_snapshot(self._engine) as connection:
                missing = backend_of(connection).months_without_partition(connection, needed - self._known)
            if missing:
                with exclusive_write(self._engine) as connection:
                    backend_of(connection).create_partitions(connection, missing)
            self._known |= needed
