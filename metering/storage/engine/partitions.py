"""The event log's partitions: on PostgreSQL one a UTC month, made before an event of the month arrives.

There is no partition for the rest: an event without a partition of its own would keep that partition from ever being made.
On SQLite the log is one table, and nothing has to be made.
"""

from collections.abc import Collection

from sqlalchemy import Connection

from metering.domain.instants import month_start, next_month

# Attached, not created as a partition: creating one locks the log against readers and writers of all months.
_CREATE = "CREATE TABLE {name} (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
_ATTACH = "ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"
_EXISTING = "SELECT CAST(inhrelid AS regclass)::text FROM pg_inherits WHERE inhparent = CAST('events' AS regclass)"


def months_without_partition(connection: Connection, months: Collection[int]) -> list[int]:
    """Return those of the months (``YYYYMM``) whose events could not be stored yet, in order."""
    if connection.dialect.name != "postgresql" or not months:
        return []
    existing = set(connection.exec_driver_sql(_EXISTING).scalars())
    return sorted(month for month in set(months) if partition_name(month) not in existing)


def create_partitions(connection: Connection, months: Collection[int]) -> None:
    """Make the partitions of the months that have none. Needs to write alone: nobody makes the same one meanwhile."""
    for month in months_without_partition(connection, months):
        name = partition_name(month)
        connection.exec_driver_sql(_CREATE.format(name=name))
        bounds = {"start": month_start(month), "end": month_start(next_month(month))}
        connection.exec_driver_sql(_ATTACH.format(name=name, **bounds))


def partition_name(month: int) -> str:
    """Return the name of a month's partition."""
    return f"events_{month}"


def lock_partition(connection: Connection, month: int) -> None:
    """Keep others from a month's events until the transaction ends, where the month has a partition."""
    if _exists(connection, month):
        connection.exec_driver_sql(f"LOCK TABLE {partition_name(month)} IN ACCESS EXCLUSIVE MODE")


def empty_partition(connection: Connection, month: int) -> bool:
    """Take a month's events away at once, with all the room they take; say whether the log is kept in partitions.

    Emptied and not dropped: dropping one locks the log of all months, for which this would wait while ingest, which holds that,
    waits for the month.
    """
    if connection.dialect.name != "postgresql":
        return False
    if _exists(connection, month):
        connection.exec_driver_sql(f"TRUNCATE TABLE {partition_name(month)}")
    return True


def _exists(connection: Connection, month: int) -> bool:
    return connection.dialect.name == "postgresql" and not months_without_partition(connection, [month])
