"""COPY in PostgreSQL's binary format, for many rows at once.

The driver writes the rows of a table. If every column has a fixed length, a row is one ``struct`` of bytes, which takes a
quarter of the time.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, SmallInteger, Text
from sqlalchemy.exc import DBAPIError

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


def copy_columns(connection: Connection, columns: Sequence[Column[Any]], values: Sequence[Sequence[Any]]) -> int:
    """Append rows, given column by column, to the columns' table; return how many."""
    names, types = [column.name for column in columns], [_type_name(column.type) for column in columns]
    with _copying(connection, columns[0].table.name, names) as copy:
        copy.set_types(types)
        for row in zip(*values, strict=True):
            copy.write_row(row)
    return len(values[0])


def copy_packed(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[bytes]) -> None:
    """Append packed rows: the number of columns (16 bits), then length (32 bits) and content of each, big-endian."""
    with _copying(connection, table, columns) as copy:
        copy.write(b"".join((_HEADER, *rows, _TRAILER)))


@contextmanager
def _copying(connection: Connection, table: str, columns: Sequence[str]) -> Iterator[Any]:
    driver: Any = connection.connection.driver_connection
    quote = connection.dialect.identifier_preparer.quote
    statement = f"COPY {quote(table)} ({', '.join(map(quote, columns))}) FROM STDIN (FORMAT BINARY)"
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            yield copy
    except connection.dialect.loaded_dbapi.Error as error:
        # The driver was called directly; its errors become those of SQLAlchemy, as everywhere else.
        raise DBAPIError.instance(
            statement, None, error, connection.dialect.loaded_dbapi.Error, dialect=connection.dialect
        ) from error


def _type_name(kind: Any) -> str:
    return next(name for of, name in _TYPE_NAMES if isinstance(kind, of))


_TYPE_NAMES = ((Text, "text"), (LargeBinary, "bytea"), (SmallInteger, "int2"), (BigInteger, "int8"), (Integer, "int4"))
