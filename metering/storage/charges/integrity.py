"""References to rows that do not exist."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, ForeignKeyConstraint, select
from sqlalchemy.engine import Dialect

from metering.storage.engine.backend import backend_of
from metering.storage.tables import metadata


class DanglingReference(NamedTuple):
    """A value of a column that names a row of ``parent`` which does not exist."""

    table: str
    column: str
    value: int
    parent: str


def dangling_references(connection: Connection, *, limit: int) -> Iterator[DanglingReference]:
    """Return references that lead nowhere, at most ``limit`` a column; on PostgreSQL the event log keeps none by itself."""
    for asked in _questions(backend_of(connection).dialect, limit):
        for value in connection.exec_driver_sql(asked.statement).scalars():
            yield DanglingReference(asked.table, asked.column, value, asked.parent)


class _Question(NamedTuple):
    """Which values of a column lead nowhere."""

    table: str
    column: str
    parent: str
    statement: str


@cache
def _questions(dialect: Dialect, limit: int) -> list[_Question]:
    """Return a question for each reference; to make all of them takes longer than a small database takes to answer."""
    references = [
        reference
        for table in metadata.sorted_tables
        for reference in sorted(table.foreign_key_constraints, key=lambda constraint: tuple(constraint.column_keys))
    ]
    return [_question(reference, dialect, limit) for reference in references]


def _question(reference: ForeignKeyConstraint, dialect: Dialect, limit: int) -> _Question:
    (element,) = reference.elements
    column, target = element.parent, element.column
    parent = target.table.alias()  # a table may refer to itself
    exists = select(parent.c[target.name]).where(parent.c[target.name] == column).exists()
    statement = select(column).where(column.is_not(None), ~exists).distinct().order_by(column).limit(limit)
    text = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return _Question(column.table.name, column.name, target.table.name, str(text))
