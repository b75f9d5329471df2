"""Whether the database is whole, and whether every reference leads somewhere."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, ForeignKeyConstraint, select
from sqlalchemy.dialects import registry
from sqlalchemy.engine import Dialect

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


class DanglingReference(NamedTuple):
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


def dangling_references(connection: Connection, *, limit: int) -> Iterator[DanglingReference]:
    """Return references that lead nowhere, at most ``limit`` a column; on PostgreSQL the event log keeps none by itself."""
    for asked in _questions(connection.dialect.name, limit):
        for value in connection.exec_driver_sql(asked.statement).scalars():
            yield DanglingReference(asked.table, asked.column, value, asked.parent)


class _Question(NamedTuple):
    """Which values of a column lead nowhere."""

    table: str
    column: str
    parent: str
    statement: str


@cache
def _questions(dialect: str, limit: int) -> list[_Question]:
    """Return a question for each reference; to make all of them takes longer than a small database takes to answer."""
    references = [
        reference
        for table in metadata.sorted_tables
        for reference in sorted(table.foreign_key_constraints, key=lambda constraint: tuple(constraint.column_keys))
    ]
    return [_question(reference, registry.load(dialect)(), limit) for reference in references]


def _question(reference: ForeignKeyConstraint, dialect: Dialect, limit: int) -> _Question:
    (element,) = reference.elements
    column, target = element.parent, element.column
    parent = target.table.alias()  # a table may refer to itself
    exists = select(parent.c[target.name]).where(parent.c[target.name] == column).exists()
    statement = select(column).where(column.is_not(None), ~exists).distinct().order_by(column).limit(limit)
    text = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return _Question(column.table.name, column.name, target.table.name, str(text))
