"""Signals the end of transactions that wrote deliveries, within the same process.

A connection returns to the pool after its commit: from then on every connection sees what was written. A rollback signals too,
which costs one query in vain. Other processes get no signal; they poll from time to time.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event

_WRITTEN = "metering_deliveries_written"


def mark_deliveries_written(connection: Connection) -> None:
    """Mark the transaction as one that writes deliveries."""
    connection.info[_WRITTEN] = True


def on_deliveries_committed(engine: Engine, notify: Callable[[], None]) -> Callable[[], None]:
    """Call ``notify`` after each transaction that wrote deliveries; return a function that stops this."""

    def returned(_driver_connection: Any, record: Any) -> None:
        if record.info.pop(_WRITTEN, False):
            notify()

    event.listen(engine, "checkin", returned)
    return lambda: event.remove(engine, "checkin", returned)
