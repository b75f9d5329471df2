"""Whether the database is whole, and whether every reference leads somewhere."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, ForeignKeyConstraint, select

from metering.storage.tables import metadata

# Indexes and constraints that PostgreSQL does not vouch for, and pages whose checksum was wrong when they were read.
_UNSOUND = """
SELECT 'index ' || CAST(indexrelid AS regclass)::text || ' is invalid' FROM pg_index
WHERE NOT indisvalid AND CAST(indrelid AS regclass)::text NOT LIKE 'pg_%%'
UNION ALL
SELECT 'constraint ' || conname || ' was never validated' FROM pg_constraint WHERE NOT convalidated
UNION ALL
SELECT checksum_failures || ' pages had a wrong checksum' FROM pg_stat_database
WHERE datname = current_database() AND checksum_failures > 0
"""


class Dangling(NamedTuple):
    """A value of a column that names a row of ``parent`` which does not exist."""

    table: str
    column: str
    value: int
    parent: str


def damage(connection: Connection) -> Iterator[str]:
    """Say what the database itself finds wrong. SQLite: pages, indexes, NOT NULL, CHECK and the types of STRICT tables."""
    if connection.dialect.name == "postgresql":
        yield from connection.exec_driver_sql(_UNSOUND).scalars()
        return
    yield from (finding for (finding,) in connection.exec_driver_sql("PRAGMA integrity_check(100)") if finding != "ok")


def dangling_references(connection: Connection, *, limit: int) -> Iterator[Dangling]:
    """Return references that lead nowhere, at most ``limit`` a column; on PostgreSQL the event log keeps none by itself."""
    for table in metadata.sorted_tables:
        for reference in sorted(table.foreign_key_constraints, key=lambda constraint: tuple(constraint.column_keys)):
            yield from _dangling(connection, reference, limit)


def _dangling(connection: Connection, reference: ForeignKeyConstraint, limit: int) -> Iterator[Dangling]:
    (element,) = reference.elements
    column, target = element.parent, element.column
    parent = target.table.alias()  # a table may refer to itself
    exists = select(parent.c[target.name]).where(parent.c[target.name] == column).exists()
    statement = select(column).where(column.is_not(None), ~exists).distinct().order_by(column).limit(limit)
    for value in connection.execute(statement).scalars():
        yield Dangling(column.table.name, column.name, value, target.table.name)
