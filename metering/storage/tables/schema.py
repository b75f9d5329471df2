"""What all tables share: the metadata, names of constraints, and the integer type."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, MetaData, Table, Text
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# 64 bits on both databases; SQLite's STRICT tables know only INTEGER, and only that name makes a rowid alias.
Int64 = BigInteger().with_variant(Integer(), "sqlite")


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


def text(name: str, *, null: bool = False) -> Column[str]:
    """Return a text column; what is not stated is empty, unless null means something."""
    return Column(name, Text, nullable=null, server_default=None if null else "")


def refers(name: str, target: str, *, null: bool = False, primary_key: bool = False) -> Column[int]:
    """Return a foreign key column to the ``id`` of a table."""
    return Column(name, Int64, ForeignKey(f"{target}.id"), nullable=null, primary_key=primary_key)


def flag(name: str) -> Column[int]:
    """Return a column that holds 0 or 1."""
    return Column(name, Int64, nullable=False, info={"flag": True})
