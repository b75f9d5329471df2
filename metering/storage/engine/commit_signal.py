"""Whoever waits for what a transaction writes is told once it has ended, in the same process.

A connection goes back to the pool after its commit: from then on everybody sees what was written. A rollback tells too, which
costs whoever waits one look. Other processes are not told; they look by themselves from time to time.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event

_WRITTEN = "metering_deliveries_written"


def mark_deliveries_written(connection: Connection) -> None:
    """Say that this transaction writes deliveries."""
    connection.info[_WRITTEN] = True


def on_deliveries_committed(engine: Engine, tell: Callable[[], None]) -> Callable[[], None]:
    """Call ``tell`` whenever a transaction that wrote deliveries has ended; return what ends that."""

    def returned(_driver_connection: Any, record: Any) -> None:
        if record.info.pop(_WRITTEN, False):
            tell()

    event.listen(engine, "checkin", returned)
    return lambda: event.remove(engine, "checkin", returned)
