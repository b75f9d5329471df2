"""What all tables share: the metadata, names of constraints, and the types.

Where the two databases need different shapes, the declaration states both: types by a variant, keys by
``DialectPrimaryKey``, references that only SQLite can enforce by ``sqlite_foreign_key``.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# 64 bits on both databases; SQLite's STRICT tables know only INTEGER, and only that name makes a rowid alias. SQLite keeps a
# number in as many bytes as it needs; PostgreSQL in as many as were declared.
Int64 = BigInteger().with_variant(Integer(), "sqlite")
Int32 = Integer()
Int16 = SmallInteger().with_variant(Integer(), "sqlite")


class _UuidBytes(TypeDecorator[bytes]):
    """A PostgreSQL ``uuid`` that is bytes in Python."""

    impl = postgresql.UUID
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> UUID | None:  # noqa: ARG002 - as declared
        """Return the value as the driver takes it."""
        return None if value is None else UUID(bytes=value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:  # noqa: ARG002 - as declared
        """Return the value as bytes."""
        return value.bytes if isinstance(value, UUID) else value


# 16 bytes: a BLOB on SQLite, and on PostgreSQL a ``uuid``, which is eight bytes shorter than a ``bytea``.
Bytes16 = LargeBinary().with_variant(_UuidBytes(), "postgresql")


class DialectPrimaryKey(PrimaryKeyConstraint):
    """A primary key that is over other columns on PostgreSQL."""

    def __init__(self, *columns: str, on_postgres: tuple[str, ...]) -> None:
        super().__init__(*columns)
        self.on_postgres = on_postgres


@compiles(DialectPrimaryKey, "postgresql")
def _key_on_postgres(key: DialectPrimaryKey, compiler: DDLCompiler, **_: Any) -> str:
    return f"CONSTRAINT {compiler.preparer.format_constraint(key)} PRIMARY KEY ({', '.join(key.on_postgres)})"


def table(name: str, *items: SchemaItem, **options: Any) -> Table:
    """Declare a table, STRICT on SQLite. What a flag may be is a constraint of the table: migrations see no other."""
    flags = [item.name for item in items if isinstance(item, Column) and item.info.get("flag")]
    bounds = [CheckConstraint(f"{flag} IN (0, 1)", name=flag) for flag in flags]
    return Table(name, metadata, *items, *bounds, sqlite_strict=True, **options)


def identifier() -> Column[int]:
    """Return the surrogate key column ``id``."""
    return Column("id", Int64, primary_key=True)


def integer(name: str, *, null: bool = False, default: int | None = None) -> Column[int]:
    """Return a 64-bit integer column."""
    return Column(name, Int64, nullable=null, server_default=None if default is None else str(default))


def narrow_integer(name: str, kind: TypeEngine[int] = Int32, *, null: bool = False) -> Column[int]:
    """Return an integer column of a table with so many rows that its bytes count on PostgreSQL: Int32, or Int16."""
    return Column(name, kind, nullable=null)


def text(name: str, *, null: bool = False, default: str = "") -> Column[str]:
    """Return a text column; what is not stated is empty, unless null means something."""
    return Column(name, Text, nullable=null, server_default=None if null else default)


def foreign_key(name: str, target: str, *, null: bool = False, primary_key: bool = False) -> Column[int]:
    """Return a foreign key column to the ``id`` of a table."""
    return Column(name, Int64, ForeignKey(f"{target}.id"), nullable=null, primary_key=primary_key)


def sqlite_foreign_key(name: str, target: str) -> ForeignKeyConstraint:
    """Return a reference of a column that PostgreSQL does not keep by itself; ``metering verify`` checks it on both."""
    return ForeignKeyConstraint([name], [f"{target}.id"]).ddl_if(dialect="sqlite")


def flag(name: str) -> Column[int]:
    """Return a column that holds 0 or 1."""
    return Column(name, Int64, nullable=False, info={"flag": True})
