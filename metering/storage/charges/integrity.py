"""Checks of the database itself: damage, and dangling references."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, ForeignKeyConstraint, select
from sqlalchemy.dialects import registry
from sqlalchemy.engine import Dialect

from metering.storage.tables import metadata

# Indexes and constraints that PostgreSQL has not validated, and pages that were read with a wrong checksum.
_DAMAGE = """
SELECT 'index ' || CAST(indexrelid AS regclass)::text || ' is invalid' FROM pg_index
WHERE NOT indisvalid AND CAST(indrelid AS regclass)::text NOT LIKE 'pg_%%'
UNION ALL
SELECT 'constraint ' || conname || ' was never validated' FROM pg_constraint WHERE NOT convalidated
UNION ALL
SELECT checksum_failures || ' pages had a wrong checksum' FROM pg_stat_database
WHERE datname = current_database() AND checksum_failures > 0
"""


class DanglingReference(NamedTuple):
    """A value of a column that refers to a row of ``parent`` that does not exist."""

    table: str
    column: str
    value: int
    parent: str


def damage(connection: Connection) -> Iterator[str]:
    """Yield the damage that the database finds. SQLite: pages, indexes, NOT NULL, CHECK and types of STRICT tables."""
    if connection.dialect.name == "postgresql":
        yield from connection.exec_driver_sql(_DAMAGE).scalars()
        return
    yield from (finding for (finding,) in connection.exec_driver_sql("PRAGMA integrity_check(100)") if finding != "ok")


def dangling_references(connection: Connection, *, limit: int) -> Iterator[DanglingReference]:
    """Return dangling references, at most ``limit`` per column. PostgreSQL does not enforce those of the events table."""
    for check in _reference_checks(connection.dialect.name, limit):
        for value in connection.exec_driver_sql(check.statement).scalars():
            yield DanglingReference(check.table, check.column, value, check.parent)


class _ReferenceCheck(NamedTuple):
    """A query for the dangling values of a column."""

    table: str
    column: str
    parent: str
    statement: str


@cache
def _reference_checks(dialect: str, limit: int) -> list[_ReferenceCheck]:
    """Return a check for each reference. Cached: compiling all takes longer than running them on a small database."""
    references = [
        reference
        for table in metadata.sorted_tables
        for reference in sorted(table.foreign_key_constraints, key=lambda constraint: tuple(constraint.column_keys))
    ]
    return [_reference_check(reference, registry.load(dialect)(), limit) for reference in references]


def _reference_check(reference: ForeignKeyConstraint, dialect: Dialect, limit: int) -> _ReferenceCheck:
    (element,) = reference.elements
    column, target = element.parent, element.column
    parent = target.table.alias()  # a table may refer to itself
    exists = select(parent.c[target.name]).where(parent.c[target.name] == column).exists()
    statement = select(column).where(column.is_not(None), ~exists).distinct().order_by(column).limit(limit)
    text = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return _ReferenceCheck(column.table.name, column.name, target.table.name, str(text))
