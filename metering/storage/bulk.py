"""Driver-level bulk inserts: SQLAlchemy builds a statement once, the driver runs it with plain tuples.

The same statement through ``Connection.execute`` with dictionaries takes four times as long. Many rows go into one statement:
the driver then enters SQLite once per statement instead of once per row, which takes a quarter off again.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert

_DIALECT = sqlite.dialect(paramstyle="qmark")
_PARAMETERS_A_STATEMENT = 8_000


class BulkInsert:
    """An INSERT that takes rows as tuples of all columns, in the table's order."""

    def __init__(self, statement: Insert) -> None:
        one_row = str(statement.compile(dialect=_DIALECT))
        self._width = len(statement.table.columns)
        marks = f"({', '.join('?' * self._width)})"
        self._before, found, self._after = one_row.partition(marks)
        if not found:
            raise ValueError(f"not an INSERT of all columns: {one_row}")
        self._marks = marks
        self._rows = max(1, _PARAMETERS_A_STATEMENT // self._width)
        self._full = self._sql(self._rows)

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert the rows; return how many rows the statement changed."""
        return self.run_flat(connection, list(chain.from_iterable(rows)))

    def run_flat(self, connection: Connection, values: list[Any]) -> int:
        """Insert rows that stand one after the other in one list: a million small tuples less."""
        changed = 0
        step = self._rows * self._width
        for start in range(0, len(values), step):
            part = tuple(values[start : start + step])
            sql = self._full if len(part) == step else self._sql(len(part) // self._width)
            changed += connection.exec_driver_sql(sql, part).rowcount
        return changed

    def _sql(self, rows: int) -> str:
        return f"{self._before}{', '.join([self._marks] * rows)}{self._after}"


def insert_all(table: Table) -> BulkInsert:
    """Return an INSERT of every column."""
    return BulkInsert(insert(table))


def insert_new(table: Table) -> BulkInsert:
    """Return an INSERT of every column that passes over rows whose key is taken."""
    return BulkInsert(insert(table).on_conflict_do_nothing())


def add_to(table: Table, *, key: Sequence[str]) -> BulkInsert:
    """Return an INSERT that adds every column outside ``key`` to the row that is already there."""
    statement = insert(table)
    sums = {
        column.name: table.c[column.name] + statement.excluded[column.name]
        for column in table.columns
        if column.name not in key
    }
    return BulkInsert(statement.on_conflict_do_update(index_elements=list(key), set_=sums))
