"""SQL expressions that the two databases spell differently."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, func, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

from metering.storage.engine.backend import backend_of
from metering.storage.tables.schema import Int64

_HALF_BITS = 32
_LOW_BITS = literal_column(str(2**_HALF_BITS - 1), Int64)


def halved_sum(amount: ColumnElement[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Return two sums, of the high and the low halves of an amount, which ``whole_sum`` combines.

    SQLite refuses a sum that exceeds 64 bits, even in an intermediate step; neither half comes near that.
    """
    return func.sum(amount.op(">>")(literal_column(str(_HALF_BITS)))), func.sum(amount.op("&")(_LOW_BITS))


def whole_sum(high: int, low: int) -> int:
    """Return the sum of the two halves of ``halved_sum``."""
    return (int(high) << _HALF_BITS) + int(low)


def is_not_zero(high: ColumnElement[int], low: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a sum in halves is not zero. If combining it overflows, it is far from zero, and stays so."""
    return high * literal_column(f"{2**_HALF_BITS}", Int64) + low != 0


def rows_at_once(
    connection: Connection, statement: Select[Any], named: Mapping[str, Any] = MappingProxyType({})
) -> list[tuple[Any, ...]]:
    """Return all rows, of integers and texts, that a statement finds; on SQLite without waiting for each row."""
    return backend_of(connection).rows_at_once(connection, statement, named)


def fetch_rows(connection: Connection, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
    """Return the rows of a statement as the driver's plain tuples; ``sql`` marks parameters with ``?``."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(backend_of(connection).driver_sql(sql), parameters)
        return list(cursor.fetchall())
    finally:
        cursor.close()


class json_integer(FunctionElement[int]):  # noqa: N801 - named as it reads in a statement
    """The integer at a key of a JSON object in a text column; NULL if the text is empty or has no such key.

    ``json_integer(column, key)``.
    """

    type = Int64
    inherit_cache = True


class json_string(FunctionElement[str]):  # noqa: N801
    """The string at a key of a JSON object in a text column; NULL as for ``json_integer``."""

    type = String()
    inherit_cache = True


class json_sum(FunctionElement[str]):  # noqa: N801
    """Two texts with JSON objects of integers, added up by key: ``json_sum(text, text)``. Zeros are left out; empty for none.

    A sum that leaves 64 bits is an error (see ``engine.errors.is_overflow``).
    """

    type = String()
    inherit_cache = True


class by_code_point(FunctionElement[str]):  # noqa: N801
    """A text that is compared and ordered by code points: the same order in every database, whatever its locale."""

    type = String()
    inherit_cache = True


@compiles(json_integer, "sqlite")
@compiles(json_string, "sqlite")
def _json_on_sqlite(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(clause, **options) for clause in element.clauses)
    # A path of json_extract would need the key quoted; a row of json_each has it unquoted. Most texts are empty, and json_each
    # takes a third of a sum's time even for those.
    return f"CASE WHEN {column} = '' THEN NULL ELSE (SELECT value FROM json_each({column}) WHERE \"key\" = {key}) END"


@compiles(json_integer, "postgresql")
def _json_integer_on_postgres(element: json_integer, compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CASE WHEN {column} = '' THEN NULL ELSE CAST(CAST({column} AS json) ->> {key} AS bigint) END"


@compiles(json_string, "postgresql")
def _json_string_on_postgres(element: json_string, compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(nullif({column}, '') AS json) ->> {key}"


@compiles(json_sum, "sqlite")
def _json_sum_on_sqlite(element: json_sum, compiler: SQLCompiler, **options: Any) -> str:
    first, second = (compiler.process(clause, **options) for clause in element.clauses)
    both = f'SELECT "key", value FROM json_each({first}) UNION ALL SELECT "key", value FROM json_each({second})'
    added = f'SELECT "key", sum(value) AS total FROM ({both}) GROUP BY "key" HAVING sum(value) <> 0'
    return _json_sum(first, second, f"""SELECT coalesce(nullif(json_group_object("key", total), '{{}}'), '') FROM ({added})""")


@compiles(json_sum, "postgresql")
def _json_sum_on_postgres(element: json_sum, compiler: SQLCompiler, **options: Any) -> str:
    first, second = (compiler.process(clause, **options) for clause in element.clauses)
    both = " UNION ALL ".join(f"SELECT key, value FROM json_each_text(CAST({each} AS json))" for each in (first, second))
    total = "sum(CAST(value AS bigint))"
    added = f"SELECT key, CAST({total} AS bigint) AS total FROM ({both}) AS counts GROUP BY key HAVING {total} <> 0"
    as_json = "CAST(json_object_agg(key, total ORDER BY key) AS text)"
    return _json_sum(first, second, f"SELECT coalesce({as_json}, '') FROM ({added}) AS added")


def _json_sum(first: str, second: str, added: str) -> str:
    return f"CASE WHEN {second} = '' THEN {first} WHEN {first} = '' THEN {second} ELSE ({added}) END"


@compiles(by_code_point, "sqlite")
def _as_it_is(element: by_code_point, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(by_code_point, "postgresql")
def _collated(element: by_code_point, compiler: SQLCompiler, **options: Any) -> str:
    return f'{compiler.process(element.clauses, **options)} COLLATE "C"'


def is_in_list(connection: Connection) -> str:
    """Return the condition that a column's value is in a list (``list_parameter``), as plain SQL with one ``?``."""
    return backend_of(connection).is_in_list


def list_parameter(connection: Connection, numbers: Iterable[int]) -> str:
    """Return numbers, each once, as the parameter of ``is_in_list``."""
    return backend_of(connection).integer_list(sorted(set(numbers)))
