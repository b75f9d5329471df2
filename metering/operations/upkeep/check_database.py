"""The database reports no damage, and every reference names a row that exists."""

from collections.abc import Iterator

from sqlalchemy import Connection

from metering.domain.violations import Violation
from metering.storage.charges.integrity import dangling_references
from metering.storage.engine.backend import backend_of

MAX_SHOWN = 100


def database_is_whole(connection: Connection) -> Iterator[Violation]:
    """The database's own checks find no damage."""
    for finding in backend_of(connection).damage(connection):
        yield Violation("database_damaged", "database", "ok", finding, f"the database reports: {finding}")


def references_resolve(connection: Connection) -> Iterator[Violation]:
    """Every reference names a row that exists, including those that the database does not enforce."""
    for table, column, value, parent in dangling_references(connection, limit=MAX_SHOWN):
        message = f"{column} of {table} refers to row {value} of {parent}, which does not exist"
        yield Violation("dangling_reference", f"{table}.{column} {value}", f"a row of {parent}", "none", message)
