"""References to rows that do not exist."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, ForeignKeyConstraint, select
from sqlalchemy.engine import Dialect

from metering.storage.engine.backend import backend_of
from metering.storage.tables import metadata


class DanglingReference(NamedTuple):
    """A value of a column that refers to a row of ``parent`` that does not exist."""

    table: str
    column: str
    value: int
    parent: str


def dangling_references(connection: Connection, *, limit: int) -> Iterator[DanglingReference]:
    """Return dangling references, at most ``limit`` per column. PostgreSQL does not enforce those of the events table."""
    for check in _reference_checks(backend_of(connection).dialect, limit):
        for value in connection.exec_driver_sql(check.statement).scalars():
            yield DanglingReference(check.table, check.column, value, check.parent)


class _ReferenceCheck(NamedTuple):
    """A query for the dangling values of a column."""

    table: str
    column: str
    parent: str
    statement: str


@cache
def _reference_checks(dialect: Dialect, limit: int) -> list[_ReferenceCheck]:
    """Return a check for each reference. Cached: compiling all takes longer than running them on a small database."""
    references = [
        reference
        for table in metadata.sorted_tables
        for reference in sorted(table.foreign_key_constraints, key=lambda constraint: tuple(constraint.column_keys))
    ]
    return [_reference_check(reference, dialect, limit) for reference in references]


def _reference_check(reference: ForeignKeyConstraint, dialect: Dialect, limit: int) -> _ReferenceCheck:
    (element,) = reference.elements
    column, target = element.parent, element.column
    parent = target.table.alias()  # a table may refer to itself
    exists = select(parent.c[target.name]).where(parent.c[target.name] == column).exists()
    statement = select(column).where(column.is_not(None), ~exists).distinct().order_by(column).limit(limit)
    text = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return _ReferenceCheck(column.table.name, column.name, target.table.name, str(text))
