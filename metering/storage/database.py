"""Opening the database, and the two ways to use it: reading and writing.

SQLite: WAL with ``synchronous=FULL`` (an acknowledged commit survives a power cut), foreign keys on, and writers begin
IMMEDIATE: a deferred transaction that turns into a writer half-way is refused while another one writes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from metering.domain.errors import DomainError

BUSY_TIMEOUT_MS = 30_000
PAGE_BYTES = 8_192  # of a new file; the identities' random keys touch fewer pages than with 4,096
PAGE_CACHE_KIB = 24_576
CHECKPOINT_PAGES = 4_000


class DatabaseUrlError(DomainError):
    """The database URL can not be used."""

    code = "invalid_database_url"


def open_database(url: str) -> Engine:
    """Open the database at ``url`` (``sqlite:///metering.db``).

    Raises DatabaseUrlError for a URL that is malformed or names a database that is not supported.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseUrlError("METERING_DATABASE_URL is not a database URL such as sqlite:///metering.db") from None
    if parsed.get_backend_name() != "sqlite":
        raise DatabaseUrlError(
            f"METERING_DATABASE_URL names {parsed.get_backend_name()}; this release keeps its data in SQLite"
            " (sqlite:///metering.db)"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise DatabaseUrlError("METERING_DATABASE_URL needs a file (sqlite:///metering.db): memory does not survive")
    # Last in, first out: one connection does the work and keeps a warm page cache, instead of several that each fill one.
    engine = create_engine(parsed, pool_use_lifo=True)
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection whose statements all see one state of the database."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a write transaction; it commits at the end, or rolls back on an error."""
    with engine.connect().execution_options(metering_writes=True) as connection, connection.begin():
        yield connection


def _prepare_connection(dbapi_connection: Any, _record: object) -> None:
    # The driver must not begin transactions on its own: it would begin them deferred, and late.
    dbapi_connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        f"page_size = {PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        f"cache_size = -{PAGE_CACHE_KIB}",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    ):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("metering_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
