"""Driver-level bulk inserts: SQLAlchemy builds a statement once, the driver runs it with plain tuples.

The same statement through ``Connection.execute`` with dictionaries takes four times as long. Many rows go into one statement:
the driver then enters the database once per statement instead of once per row, which takes a quarter off again. PostgreSQL
takes the rows by COPY, or, where they are few or a row can stand in the way, one array a column: a statement that is as long
for a thousand rows as for one is read once, by the driver and by the server. Rows keep their order either way.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from metering.storage.engine.postgres_arrays import array_of
from metering.storage.engine.postgres_copy import copy_columns
from metering.storage.engine.sql import json_sum

_PARAMETERS_A_STATEMENT = 8_000
# Rows from which on a COPY is worth its two round trips.
_WORTH_A_COPY = 50
_ONE_ROW = re.compile(r" VALUES \([^()]*\)")

OnConflict = Callable[[Any], Any]
"""Adds to a dialect's INSERT what becomes of rows whose key is taken."""


class _Database(NamedTuple):
    """How a database's INSERT is made, and written."""

    insert: Callable[[Table], Any]
    dialect: Dialect


_SQLITE = _Database(sqlite.insert, sqlite.dialect(paramstyle="qmark"))
_POSTGRES = _Database(postgresql.insert, postgresql.dialect(paramstyle="format"))  # type: ignore[no-untyped-call]


class _Statement(NamedTuple):
    """An INSERT in two halves; between them stands where its rows come from."""

    before: str
    after: str


class BulkInsert:
    """An INSERT that takes rows as tuples of all columns, in the table's order. An ``id`` of None is the database's to give.

    Its statements are built when they are first needed: most commands write to few tables.
    """

    def __init__(self, table: Table, on_conflict: OnConflict | None = None) -> None:
        self._table = table
        self._width = len(table.columns)
        self._rows = max(1, _PARAMETERS_A_STATEMENT // self._width)
        self._on_conflict = on_conflict
        self._numbered = table.autoincrement_column is not None
        self._marks = f"({', '.join('?' * self._width)})"

    @cached_property
    def _on_sqlite(self) -> _Statement:
        return self._statement(_SQLITE, list(self._table.columns))

    @cached_property
    def _full(self) -> str:
        return self._of_rows(self._rows)

    @cached_property
    def _from_arrays(self) -> str:
        given = list(self._table.columns)[self._numbered :]
        arrays = ", ".join(f"CAST(%s AS {column.type.compile(dialect=_POSTGRES.dialect)}[])" for column in given)
        statement = self._statement(_POSTGRES, given)
        return f"{statement.before}SELECT * FROM unnest({arrays}){statement.after}"

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert the rows; return how many rows the statement changed."""
        if not rows:
            return 0
        if connection.dialect.name == "postgresql":
            return self._run_on_postgres(connection, list(zip(*rows, strict=True)))
        return self._run_on_sqlite(connection, list(chain.from_iterable(rows)))

    def run_columns(self, connection: Connection, columns: Sequence[Sequence[Any]]) -> int:
        """Insert rows whose values stand column by column: a million small tuples less."""
        if not columns[0]:
            return 0
        if connection.dialect.name == "postgresql":
            return self._run_on_postgres(connection, columns)
        return self._run_on_sqlite(connection, list(chain.from_iterable(zip(*columns, strict=True))))

    def run_flat(self, connection: Connection, values: list[Any]) -> int:
        """Insert rows that stand one after the other in one list."""
        if not values:
            return 0
        if connection.dialect.name == "postgresql":
            return self._run_on_postgres(connection, [values[place :: self._width] for place in range(self._width)])
        return self._run_on_sqlite(connection, values)

    def _run_on_sqlite(self, connection: Connection, values: list[Any]) -> int:
        changed = 0
        step = self._rows * self._width
        for start in range(0, len(values), step):
            part = tuple(values[start : start + step])
            sql = self._full if len(part) == step else self._of_rows(len(part) // self._width)
            changed += connection.exec_driver_sql(sql, part).rowcount
        return changed

    def _run_on_postgres(self, connection: Connection, columns: Sequence[Sequence[Any]]) -> int:
        skipped = int(self._numbered and columns[0][0] is None)
        if self._numbered and not skipped:
            raise ValueError(f"the ids of {self._table.name} are given by the database")
        if self._on_conflict is None and len(columns[0]) >= _WORTH_A_COPY:
            return copy_columns(connection, list(self._table.columns)[skipped:], columns[skipped:])
        kinds = [column.type for column in self._table.columns][skipped:]
        arrays = tuple(map(array_of, kinds, columns[skipped:]))
        return connection.exec_driver_sql(self._from_arrays, arrays).rowcount

    def _of_rows(self, rows: int) -> str:
        return f"{self._on_sqlite.before}VALUES {', '.join([self._marks] * rows)}{self._on_sqlite.after}"

    def _statement(self, database: _Database, columns: list[Any]) -> _Statement:
        statement = database.insert(self._table).inline()
        if self._on_conflict is not None:
            statement = self._on_conflict(statement)
        one_row = str(statement.compile(dialect=database.dialect, column_keys=[column.name for column in columns]))
        found = _ONE_ROW.search(one_row)
        if found is None:
            raise ValueError(f"not an INSERT of values: {one_row}")
        return _Statement(f"{one_row[: found.start()]} ", one_row[found.end() :])


def insert_all(table: Table) -> BulkInsert:
    """Return an INSERT of every column."""
    return BulkInsert(table)


def insert_new(table: Table) -> BulkInsert:
    """Return an INSERT of every column that passes over rows whose key is taken."""
    return BulkInsert(table, lambda statement: statement.on_conflict_do_nothing())


def add_to(table: Table, *, key: Sequence[str]) -> BulkInsert:
    """Return an INSERT that adds every column outside ``key`` to the row that is already there.

    A column of text holds integers by name as JSON, which are added up by name.
    """

    def add(statement: Any) -> Any:
        sums = {
            column.name: _plus(table.c[column.name], statement.excluded[column.name])
            for column in table.columns
            if column.name not in key
        }
        return statement.on_conflict_do_update(index_elements=list(key), set_=sums)

    return BulkInsert(table, add)


def _plus(before: Any, added: Any) -> Any:
    return json_sum(before, added) if isinstance(before.type, Text) else before + added


def replace_in(table: Table, *, key: Sequence[str], columns: Sequence[str]) -> BulkInsert:
    """Return an INSERT that takes over ``columns`` where the key is taken."""

    def replace(statement: Any) -> Any:
        return statement.on_conflict_do_update(
            index_elements=list(key), set_={name: statement.excluded[name] for name in columns}
        )

    return BulkInsert(table, replace)


def insert_if_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert one row, unless its key is taken; say whether it was inserted. Waits for another writer of the same key."""
    # Inline: no generated id is asked for.
    statement = _insert(connection, table).values(**values).inline().on_conflict_do_nothing()
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount == 1


def insert_if_new_id(connection: Connection, table: Table, values: Mapping[str, Any]) -> int | None:
    """Insert one row, unless its key is taken; return its generated ``id``, None where it was not inserted."""
    statement = _insert(connection, table).values(**values).on_conflict_do_nothing().returning(table.c.id)
    found: int | None = connection.execute(statement).scalar_one_or_none()
    return found


def _insert(connection: Connection, table: Table) -> Any:
    database = _POSTGRES if connection.dialect.name == "postgresql" else _SQLITE
    return database.insert(table)
