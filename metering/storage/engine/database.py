"""Opening the database, and the ways to use it: read one state of it, write alone, or write alongside others.

What differs between SQLite and PostgreSQL is in their backends (``sqlite_backend``, ``postgres_backend``).
"""

from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from metering.storage.engine.backend import Backend, backend_of
from metering.storage.engine.errors import DatabaseUrlError
from metering.storage.engine.postgres_backend import PostgresBackend
from metering.storage.engine.sqlite_backend import SqliteBackend

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

_BACKENDS: dict[str, type[Backend]] = {backend.name: backend for backend in (SqliteBackend, PostgresBackend)}


def open_database(url: str) -> Engine:
    """Open the database at ``url`` (``sqlite:///metering.db``, ``postgresql://user:password@host/metering``).

    Raises DatabaseUrlError for a URL that is malformed or names an unsupported database; it never shows a password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseUrlError("METERING_DATABASE_URL is not a database URL such as sqlite:///metering.db") from None
    name = parsed.get_backend_name()
    if name not in _BACKENDS:
        raise DatabaseUrlError(
            f"METERING_DATABASE_URL names {name}; supported are SQLite (sqlite:///metering.db) and PostgreSQL"
            " (postgresql://user@host/metering)"
        )
    return _BACKENDS[name].open_engine(parsed)


def file_of(url: URL) -> Path | None:
    """Return the file of a SQLite database; None for a database server."""
    return Path(str(url.database)) if url.get_backend_name() == SqliteBackend.name else None


def without_password(url: str) -> str:
    """Return a URL as it may be shown. Raises DatabaseUrlError."""
    open_database(url)
    return make_url(url).difference_update_query(["password", "sslpassword"]).render_as_string(hide_password=True)


def is_server(engine: Engine) -> bool:
    """Whether the database runs in its own processes, alongside this one."""
    return backend_of(engine).is_server


def read_snapshot(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a connection whose statements all see one state of the database."""
    return backend_of(engine).read_snapshot(engine)


def autocommit(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a connection for facts that need not be of one moment: each statement may see a different state.

    On PostgreSQL this saves a transaction, half the cost of looking up a few rows.
    """
    return backend_of(engine).autocommit(engine)


def exclusive_write(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a connection in a write transaction; it commits at the end, or rolls back on an error.

    Only one of these runs at a time, so an operation may rely on what it read before it writes.
    """
    return backend_of(engine).exclusive_write(engine)


def concurrent_write(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a connection in a write transaction that, on PostgreSQL, runs alongside others.

    For writes that are correct whatever others write: rows that are appended, unique keys, sums that are added to, each taken
    in the order of docs/architecture.md.
    """
    return backend_of(engine).concurrent_write(engine)


def migration_transaction(engine: Engine) -> AbstractContextManager[Connection]:
    """Give a write transaction in which the schema may change; a second one waits for the first."""
    return backend_of(engine).migration_transaction(engine)


def database_bytes(engine: Engine) -> int:
    """Return how many bytes the database takes on disk."""
    return backend_of(engine).database_bytes(engine)


def vacuum(engine: Engine) -> None:
    """Reclaim the space of deleted rows: for the file system on SQLite, for new rows on PostgreSQL."""
    backend_of(engine).vacuum(engine)
