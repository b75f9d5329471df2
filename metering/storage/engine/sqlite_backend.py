"""SQLite: one writer at a time, and acknowledged writes are durable.

WAL with ``synchronous=FULL`` (an acknowledged commit survives a power cut), foreign keys on, and writers begin IMMEDIATE: a
deferred transaction that becomes a writer half-way is refused while another one writes.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import URL, Connection, Engine, Select, Table, create_engine, event, func, select
from sqlalchemy.dialects import sqlite

from metering.storage.engine.backend import BACKEND_OPTION, Backend
from metering.storage.engine.errors import DatabaseUrlError, SchemaOutOfDateError
from metering.storage.engine.fifo_lock import FifoLock

BUSY_TIMEOUT_MS = 30_000
PAGE_BYTES = 8_192  # of a new file; the identities' random keys touch fewer pages than with 4,096
PAGE_CACHE_KIB = 24_576
CHECKPOINT_PAGES = 4_000

_WRITES = "metering_writes"


class SqliteBackend(Backend):
    """A SQLite file."""

    name = "sqlite"
    is_server = False
    dialect = sqlite.dialect(paramstyle="qmark")

    def __init__(self) -> None:
        self._write_turns = FifoLock()

    @classmethod
    def open_engine(cls, url: URL) -> Engine:
        """Open the database file. Raises DatabaseUrlError for a database in memory, which would not be durable."""
        if not url.database or url.database == ":memory:":
            raise DatabaseUrlError("METERING_DATABASE_URL must name a file (sqlite:///metering.db); memory is not durable")
        # Last in, first out: one connection does the work and keeps a warm page cache, instead of several that each fill one.
        engine = create_engine(url, pool_use_lifo=True, execution_options={BACKEND_OPTION: cls()})
        event.listen(engine, "connect", _prepare_connection)
        event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def read_snapshot(self, engine: Engine) -> Iterator[Connection]:
        """Give a connection whose statements all see one state of the database."""
        with engine.connect() as connection, connection.begin():
            yield connection

    autocommit = read_snapshot  # a snapshot costs nothing here

    @contextmanager
    def exclusive_write(self, engine: Engine) -> Iterator[Connection]:
        """Give a connection in a write transaction; SQLite runs only one at a time."""
        with (
            self._write_turn(),
            engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    concurrent_write = exclusive_write

    @contextmanager
    def migration_transaction(self, engine: Engine) -> Iterator[Connection]:
        """Give a write transaction in which a table may be replaced by a new one of the same name.

        SQLite treats dropping a table as deleting its rows and looks for references to them, unless foreign keys are off, and
        they can only be switched between transactions. All references are checked before the commit instead.
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
                            f"the migration would leave a row of {dangling[0]} with a reference to a missing row;"
                            " nothing was changed"
                        )
            finally:
                driver.execute("PRAGMA foreign_keys = ON")

    def share_accounts(self, connection: Connection, account_ids: Collection[int]) -> None:
        """Do nothing: the write lock already excludes everyone else."""

    def lock_account(self, connection: Connection, account_id: int) -> None:
        """Do nothing: the write lock already excludes everyone else."""

    def database_bytes(self, engine: Engine) -> int:
        """Return the size of the database file, without the write-ahead log."""
        with engine.connect() as connection:
            pages, page = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
        return int(pages) * int(page)

    def vacuum(self, engine: Engine) -> None:
        """Rewrite the file without the deleted rows. Needs as much free space as the file takes, and blocks writers."""
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def damage(self, connection: Connection) -> Iterator[str]:
        """Yield damage of pages, indexes, NOT NULL, CHECK and the types of STRICT tables."""
        yield from (finding for (finding,) in connection.exec_driver_sql("PRAGMA integrity_check(100)") if finding != "ok")

    def months_without_partition(self, connection: Connection, months: Collection[int]) -> list[int]:  # noqa: ARG002
        """Return no month: the event log is one table."""
        return []

    def create_partitions(self, connection: Connection, months: Collection[int]) -> None:
        """Do nothing: the event log is one table."""

    def lock_partition(self, connection: Connection, month: int) -> None:
        """Do nothing: the write lock already excludes everyone else."""

    def empty_partition(self, connection: Connection, month: int) -> bool:  # noqa: ARG002
        """Return False: the event log is one table."""
        return False

    @staticmethod
    def insert(table: Table) -> Any:
        """Return SQLite's INSERT."""
        return sqlite.insert(table)

    def driver_sql(self, sql: str) -> str:
        """Return the statement as it is: the driver marks parameters with ``?``."""
        return sql

    def rows_at_once(self, connection: Connection, statement: Select[Any], named: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows, fetched as one JSON text.

        The driver releases the interpreter for each row, and next to busy threads waits up to 5 ms to get it back.
        """
        return [tuple(row) for row in json.loads(connection.execute(_as_json(statement), named).scalar_one())]

    is_in_list = "IN (SELECT value FROM json_each(?))"

    def integer_list(self, numbers: Iterable[int]) -> str:
        """Return integers as a JSON array."""
        return f"[{','.join(map(str, numbers))}]"

    text_table = "json_each(?) AS wanted"

    def text_list(self, texts: Collection[str]) -> Any:
        """Return texts as a JSON array."""
        return json.dumps(list(texts))

    @contextmanager
    def _write_turn(self) -> Iterator[None]:
        """Let the writers of this process wait for each other in the order of arrival.

        SQLite itself waits by polling, after longer and longer pauses of up to a tenth of a second: next to a busy writer
        others rarely get their turn. Its polling still handles other processes, and waits here that time out.
        """
        acquired = self._write_turns.acquire(BUSY_TIMEOUT_MS / 1_000)
        try:
            yield
        finally:
            if acquired:
                self._write_turns.release()


@lru_cache(maxsize=64)
def _as_json(statement: Select[Any]) -> Select[Any]:
    rows = statement.subquery()
    return select(func.json_group_array(func.json_array(*rows.c)))


def _prepare_connection(dbapi_connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: it would begin them deferred, and late.
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
