"""Opening the database, and the ways to use it: reading one state of it, writing alone, writing beside others.

What the two databases do differently around a transaction, and about the room they take, stands in ``sqlite_backend`` and
``postgres_backend``: both offer what ``Connections`` says.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from metering.storage.engine import postgres_backend, sqlite_backend
from metering.storage.engine.errors import DatabaseUrlError

__all__ = [
    "DatabaseUrlError",
    "autocommit",
    "concurrent_write",
    "database_bytes",
    "exclusive_write",
    "file_of",
    "is_server",
    "migration_transaction",
    "open_database",
    "read_snapshot",
    "vacuum",
    "without_password",
]


class Connections(Protocol):
    """What a database offers; the modules document their own way of it."""

    def open_engine(self, url: URL) -> Engine:
        """Open a URL."""

    def read_snapshot(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Read one state of the database."""

    def autocommit(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Read facts apart from each other."""

    def exclusive_write(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Write alone."""

    def concurrent_write(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Write beside others."""

    def migration_transaction(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Change the schema."""

    def database_bytes(self, engine: Engine) -> int:
        """Tell its size."""

    def vacuum(self, engine: Engine) -> None:
        """Give up what deleted rows took."""


_DATABASES: dict[str, ModuleType] = {"sqlite": sqlite_backend, "postgresql": postgres_backend}


def open_database(url: str) -> Engine:
    """Open the database at ``url`` (``sqlite:///metering.db``, ``postgresql://user:password@host/metering``).

    Raises DatabaseUrlError for a URL that is malformed or names a database that is not supported; it never tells a password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseUrlError("METERING_DATABASE_URL is not a database URL such as sqlite:///metering.db") from None
    name = parsed.get_backend_name()
    if name not in _DATABASES:
        raise DatabaseUrlError(
            f"METERING_DATABASE_URL names {name}; the data is kept in SQLite (sqlite:///metering.db) or PostgreSQL"
            " (postgresql://user@host/metering)"
        )
    return _connections(name).open_engine(parsed)


def file_of(url: URL) -> Path | None:
    """Return the file that a database is kept in; None where a server keeps it."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def without_password(url: str) -> str:
    """Return a URL as it may be shown. Raises DatabaseUrlError."""
    open_database(url)
    return make_url(url).difference_update_query(["password", "sslpassword"]).render_as_string(hide_password=True)


def is_server(engine: Engine) -> bool:
    """Whether the database works in processes of its own, beside this one."""
    return file_of(engine.url) is None


def read_snapshot(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a connection whose statements all see one state of the database."""
    return _connections(engine.dialect.name).read_snapshot(engine)


def autocommit(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a connection for facts that do not have to be of one moment: each statement may see another state.

    On PostgreSQL that spares a transaction, half of what looking up a few rows takes.
    """
    return _connections(engine.dialect.name).autocommit(engine)


def exclusive_write(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a connection in a write transaction; it commits at the end, or rolls back on an error.

    What looks before it writes may rely on what it saw: nobody else who asked for this writes at the same time.
    """
    return _connections(engine.dialect.name).exclusive_write(engine)


def concurrent_write(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a connection in a write transaction that, on PostgreSQL, runs beside others.

    For what is right whoever else writes: rows that are appended, keys that are unique, sums that are added to, each taken in
    the order of docs/architecture.md.
    """
    return _connections(engine.dialect.name).concurrent_write(engine)


def migration_transaction(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a write transaction in which the schema may change; of two at once the second waits for the first."""
    return _connections(engine.dialect.name).migration_transaction(engine)


def database_bytes(engine: Engine) -> int:
    """Return how many bytes the database takes on disk."""
    return _connections(engine.dialect.name).database_bytes(engine)


def vacuum(engine: Engine) -> None:
    """Give the room that deleted rows took back: to the file system on SQLite, on PostgreSQL to the rows to come."""
    _connections(engine.dialect.name).vacuum(engine)


def _connections(name: str) -> Connections:
    return cast("Connections", _DATABASES[name])
