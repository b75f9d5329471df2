"""SQLite: one writer at a time, and what is acknowledged survives.

WAL with ``synchronous=FULL`` (an acknowledged commit survives a power cut), foreign keys on, and writers begin IMMEDIATE: a
deferred transaction that turns into a writer half-way is refused while another one writes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, create_engine, event

from metering.storage.engine.errors import DatabaseUrlError, SchemaOutOfDateError
from metering.storage.engine.fifo_lock import FifoLock

BUSY_TIMEOUT_MS = 30_000
PAGE_BYTES = 8_192  # of a new file; the identities' random keys touch fewer pages than with 4,096
PAGE_CACHE_KIB = 24_576
CHECKPOINT_PAGES = 4_000

_WRITES = "metering_writes"
_TURNS: WeakKeyDictionary[Engine, FifoLock] = WeakKeyDictionary()


def open_engine(url: URL) -> Engine:
    """Open the database file. Raises DatabaseUrlError where there is none: memory does not survive."""
    if not url.database or url.database == ":memory:":
        raise DatabaseUrlError("METERING_DATABASE_URL needs a file (sqlite:///metering.db): memory does not survive")
    # Last in, first out: one connection does the work and keeps a warm page cache, instead of several that each fill one.
    engine = create_engine(url, pool_use_lifo=True)
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def read_snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a connection whose statements all see one state of the database."""
    with engine.connect() as connection, connection.begin():
        yield connection


autocommit = read_snapshot  # a snapshot costs nothing here


@contextmanager
def exclusive_write(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a write transaction, alone."""
    with _turn(engine), engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


concurrent_write = exclusive_write  # there are no others


@contextmanager
def migration_transaction(engine: Engine) -> Iterator[Connection]:
    """Give a write transaction in which a table may be replaced by another one of its name.

    SQLite takes the rows of a dropped table for deleted and looks for what refers to them, unless foreign keys are off; they
    can be switched between transactions only. That every reference leads somewhere is checked before the commit instead.
    """
    with engine.connect().execution_options(**{_WRITES: True}) as connection:
        driver = connection.connection.driver_connection
        if driver is None:
            raise SchemaOutOfDateError("the database connection was lost before the migration began")
        driver.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                yield connection
                dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if dangling is not None:
                    raise SchemaOutOfDateError(
                        f"after the migration a row of {dangling[0]} would refer to nothing; nothing changed"
                    )
        finally:
            driver.execute("PRAGMA foreign_keys = ON")


def database_bytes(engine: Engine) -> int:
    """Return the size of the database file, without what its log holds."""
    with engine.connect() as connection:
        pages, page = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
    return int(pages) * int(page)


def vacuum(engine: Engine) -> None:
    """Write the file anew without what deleted rows took. Needs as much room again meanwhile, and others wait to write."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("VACUUM")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    """Let the writers of this process wait for each other in the order of coming, and be woken when it is their turn.

    SQLite's own waiting is to look again, after longer and longer pauses of up to a tenth of a second: beside a busy writer
    another one seldom gets its turn. It remains for other processes, and for whoever waits here for too long.
    """
    turns = _TURNS.setdefault(engine, FifoLock())
    came = turns.take(BUSY_TIMEOUT_MS / 1_000)
    try:
        yield
    finally:
        if came:
            turns.give_up()


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
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
