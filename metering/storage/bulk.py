"""Driver-level bulk calls: SQLAlchemy builds a statement once, the driver runs it with plain tuples.

The same statement through ``Connection.execute`` with dictionaries takes four times as long.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert

_DIALECT = sqlite.dialect(paramstyle="qmark")


def positional(statement: Insert) -> str:
    """Return the statement's SQL, taking a tuple of all columns in the table's order."""
    return str(statement.compile(dialect=_DIALECT))


def insert_all(table: Table) -> str:
    """Return an INSERT of every column."""
    return positional(insert(table))


def insert_new(table: Table) -> str:
    """Return an INSERT of every column that passes over rows whose key is taken."""
    return positional(insert(table).on_conflict_do_nothing())


def add_to(table: Table, *, key: Sequence[str]) -> str:
    """Return an INSERT that adds every column outside ``key`` to the row that is already there."""
    statement = insert(table)
    sums = {
        column.name: table.c[column.name] + statement.excluded[column.name]
        for column in table.columns
        if column.name not in key
    }
    return positional(statement.on_conflict_do_update(index_elements=list(key), set_=sums))


def run(connection: Connection, sql: str, rows: list[tuple[Any, ...]]) -> int:
    """Run a compiled statement for all rows; the answer is how many rows it changed."""
    if not rows:
        return 0
    return connection.exec_driver_sql(sql, rows).rowcount
