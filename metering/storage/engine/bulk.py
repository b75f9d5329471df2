"""Driver-level bulk inserts: SQLAlchemy builds a statement once, the driver runs it with plain tuples.

The same statement through ``Connection.execute`` with dictionaries takes four times as long. Many rows go into one statement:
the driver then enters the database once per statement instead of once per row, which takes a quarter off again. PostgreSQL
takes the rows by COPY, or, where they are few or can conflict, as one array per column: a statement of the same length for a
thousand rows as for one is parsed once, by the driver and by the server. Either way rows keep their order.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, Text

from metering.storage.engine.backend import Backend, PerBackend, backend_of
from metering.storage.engine.postgres_arrays import array_of
from metering.storage.engine.postgres_backend import PostgresBackend
from metering.storage.engine.postgres_copy import copy_columns
from metering.storage.engine.sql import json_sum
from metering.storage.engine.sqlite_backend import SqliteBackend

_PARAMETERS_PER_STATEMENT = 8_000
# From this many rows on, a COPY is worth its two round trips.
_MIN_COPY_ROWS = 50
_ONE_ROW = re.compile(r" VALUES \([^()]*\)")

OnConflict = Callable[[Any], Any]
"""Adds to an INSERT what happens to rows whose key is taken."""


class _Statement(NamedTuple):
    """An INSERT in two halves, before and after its rows."""

    before: str
    after: str


class _Insert(ABC):
    """An INSERT of whole rows on one database. Its statements are built at first use: most commands write to few tables."""

    def __init__(self, table: Table, on_conflict: OnConflict | None) -> None:
        self._table = table
        self._on_conflict = on_conflict
        self._columns = list(table.columns)

    @abstractmethod
    def rows(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert rows as tuples."""

    @abstractmethod
    def columns(self, connection: Connection, columns: Sequence[Sequence[Any]]) -> int:
        """Insert rows given as columns."""

    @abstractmethod
    def flat(self, connection: Connection, values: list[Any]) -> int:
        """Insert rows given one after the other in one list."""

    def _statement(self, backend: type[Backend], columns: list[Any]) -> _Statement:
        statement = backend.insert(self._table).inline()
        if self._on_conflict is not None:
            statement = self._on_conflict(statement)
        one_row = str(statement.compile(dialect=backend.dialect, column_keys=[column.name for column in columns]))
        values = _ONE_ROW.search(one_row)
        if values is None:
            raise ValueError(f"not an INSERT of values: {one_row}")
        return _Statement(f"{one_row[: values.start()]} ", one_row[values.end() :])


class _SqliteInsert(_Insert):
    """As many rows as possible in each statement."""

    def __init__(self, table: Table, on_conflict: OnConflict | None) -> None:
        super().__init__(table, on_conflict)
        self._width = len(self._columns)
        self._rows_per_statement = max(1, _PARAMETERS_PER_STATEMENT // self._width)
        self._marks = f"({', '.join('?' * self._width)})"

    def rows(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert rows as tuples."""
        return self.flat(connection, list(chain.from_iterable(rows)))

    def columns(self, connection: Connection, columns: Sequence[Sequence[Any]]) -> int:
        """Insert rows given as columns."""
        return self.flat(connection, list(chain.from_iterable(zip(*columns, strict=True))))

    def flat(self, connection: Connection, values: list[Any]) -> int:
        """Insert rows given one after the other."""
        changed = 0
        step = self._rows_per_statement * self._width
        for start in range(0, len(values), step):
            part = tuple(values[start : start + step])
            sql = self._full if len(part) == step else self._of_rows(len(part) // self._width)
            changed += connection.exec_driver_sql(sql, part).rowcount
        return changed

    @cached_property
    def _halves(self) -> _Statement:
        return self._statement(SqliteBackend, self._columns)

    @cached_property
    def _full(self) -> str:
        return self._of_rows(self._rows_per_statement)

    def _of_rows(self, rows: int) -> str:
        return f"{self._halves.before}VALUES {', '.join([self._marks] * rows)}{self._halves.after}"


class _PostgresInsert(_Insert):
    """COPY, or one array per column."""

    def __init__(self, table: Table, on_conflict: OnConflict | None) -> None:
        super().__init__(table, on_conflict)
        self._numbered = table.autoincrement_column is not None

    def rows(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert rows as tuples."""
        return self.columns(connection, list(zip(*rows, strict=True)))

    def columns(self, connection: Connection, columns: Sequence[Sequence[Any]]) -> int:
        """Insert rows given as columns."""
        skipped = int(self._numbered and columns[0][0] is None)
        if self._numbered and not skipped:
            raise ValueError(f"the database assigns the ids of {self._table.name}")
        if self._on_conflict is None and len(columns[0]) >= _MIN_COPY_ROWS:
            return copy_columns(connection, self._columns[skipped:], columns[skipped:])
        types = [column.type for column in self._columns][skipped:]
        arrays = tuple(map(array_of, types, columns[skipped:]))
        return connection.exec_driver_sql(self._from_arrays, arrays).rowcount

    def flat(self, connection: Connection, values: list[Any]) -> int:
        """Insert rows given one after the other."""
        width = len(self._columns)
        return self.columns(connection, [values[position::width] for position in range(width)])

    @cached_property
    def _from_arrays(self) -> str:
        given = self._columns[self._numbered :]
        arrays = ", ".join(f"CAST(%s AS {column.type.compile(dialect=PostgresBackend.dialect)}[])" for column in given)
        statement = self._statement(PostgresBackend, given)
        return f"{statement.before}SELECT * FROM unnest({arrays}){statement.after}"


class BulkInsert:
    """An INSERT of rows with all columns, in the table's order. The database assigns an ``id`` that is None."""

    def __init__(self, table: Table, on_conflict: OnConflict | None = None) -> None:
        self._inserts: PerBackend[_Insert] = PerBackend(
            sqlite=_SqliteInsert(table, on_conflict), postgres=_PostgresInsert(table, on_conflict)
        )

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert the rows; return how many rows the statement changed."""
        return self._inserts.of(connection).rows(connection, rows) if rows else 0

    def run_columns(self, connection: Connection, columns: Sequence[Sequence[Any]]) -> int:
        """Insert rows given column by column, which saves a small tuple per row."""
        return self._inserts.of(connection).columns(connection, columns) if columns[0] else 0

    def run_flat(self, connection: Connection, values: list[Any]) -> int:
        """Insert rows given one after the other in one list."""
        return self._inserts.of(connection).flat(connection, values) if values else 0


def insert_all(table: Table) -> BulkInsert:
    """Return an INSERT of every column."""
    return BulkInsert(table)


def insert_new(table: Table) -> BulkInsert:
    """Return an INSERT of every column that skips rows whose key is taken."""
    return BulkInsert(table, lambda statement: statement.on_conflict_do_nothing())


def add_to(table: Table, *, key: Sequence[str]) -> BulkInsert:
    """Return an INSERT that adds every column outside ``key`` to the row that already exists.

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
    """Return an INSERT that overwrites ``columns`` of rows whose key is taken."""

    def replace(statement: Any) -> Any:
        return statement.on_conflict_do_update(
            index_elements=list(key), set_={name: statement.excluded[name] for name in columns}
        )

    return BulkInsert(table, replace)


def insert_if_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert one row unless its key is taken; return whether it was inserted. Waits for another writer of the same key."""
    # Inline: no generated id is fetched.
    statement = backend_of(connection).insert(table).values(**values).inline().on_conflict_do_nothing()
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount == 1


def insert_if_new_id(connection: Connection, table: Table, values: Mapping[str, Any]) -> int | None:
    """Insert one row unless its key is taken; return its generated ``id``, or None if it was not inserted."""
    statement = backend_of(connection).insert(table).values(**values).on_conflict_do_nothing().returning(table.c.id)
    inserted: int | None = connection.execute(statement).scalar_one_or_none()
    return inserted
