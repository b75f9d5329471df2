"""PostgreSQL through psycopg 3: writers see what others have committed, readers see one snapshot.

Writes are READ COMMITTED: a batch waits for another writer's key and then sees what that writer stored. Reads are REPEATABLE
READ, READ ONLY. An operation that reads before it writes takes WRITER_LOCK, so that it is alone, as it is on SQLite. Ingest,
budget evaluation and webhook delivery do not take it; they rely on unique keys and on rows locked in order.
"""

import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, Select, Table, create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import InvalidatePoolError

from metering.domain.instants import month_start, next_month
from metering.storage.engine.backend import BACKEND_OPTION, Backend
from metering.storage.engine.errors import DatabaseUrlError
from metering.storage.engine.postgres_locks import (
    MIGRATION_LOCK,
    WRITER_LOCK,
    account_lock,
    lock_accounts_shared,
    lock_exclusively,
)

# A session that was used this recently is taken for alive. If it is not, one transaction fails, and all sessions are reopened.
_ALIVE_SECONDS = 1.0
_DRIVER = "postgresql+psycopg"
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
# After some executions the server would keep a plan that suits an account of average size, and read all sums of a month for an
# account of thirty series. Writers look up keys, which any plan finds.
_CUSTOM_PLANS = "SET LOCAL plan_cache_mode = force_custom_plan"

# Acknowledged means durable, even if the server, the role, the database or the URL's options turn it off. Other values are
# kept: each of them waits for the disk.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"

# Attached, not created as a partition: creating one locks the log against readers and writers of all months.
_CREATE_PARTITION = "CREATE TABLE {name} (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
_ATTACH_PARTITION = "ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"
_PARTITIONS = "SELECT CAST(inhrelid AS regclass)::text FROM pg_inherits WHERE inhparent = CAST('events' AS regclass)"

# Indexes and constraints that the server does not vouch for, and pages that failed their checksum when they were read.
_DAMAGE = """
SELECT 'index ' || CAST(indexrelid AS regclass)::text || ' is invalid' FROM pg_index
WHERE NOT indisvalid AND CAST(indrelid AS regclass)::text NOT LIKE 'pg_%%'
UNION ALL
SELECT 'constraint ' || conname || ' was never validated' FROM pg_constraint WHERE NOT convalidated
UNION ALL
SELECT checksum_failures || ' pages failed their checksum' FROM pg_stat_database
WHERE datname = current_database() AND checksum_failures > 0
"""


class PostgresBackend(Backend):
    """A PostgreSQL database.

    The event log has one partition per UTC month, created before an event of the month is stored. There is no default
    partition: an event in it would keep the month's own partition from being created.
    """

    name = "postgresql"
    is_server = True
    dialect = postgresql.dialect(paramstyle="format")  # type: ignore[no-untyped-call]

    @classmethod
    def open_engine(cls, url: URL) -> Engine:
        """Open the database without connecting yet.

        Raises DatabaseUrlError for another driver, a missing database name, or when psycopg is not installed.
        """
        if url.drivername not in ("postgresql", _DRIVER):
            raise DatabaseUrlError("METERING_DATABASE_URL names a driver; write postgresql://… (psycopg is used)")
        if not url.database:
            raise DatabaseUrlError("METERING_DATABASE_URL names no database (postgresql://user@host/metering)")
        try:
            engine = create_engine(
                url.set(drivername=_DRIVER),
                isolation_level="READ COMMITTED",
                pool_use_lifo=True,
                execution_options={BACKEND_OPTION: cls()},
            )
        except ModuleNotFoundError:
            raise DatabaseUrlError(
                "METERING_DATABASE_URL names PostgreSQL, and its driver is not installed: pip install 'hf-metering[postgres]'"
            ) from None
        event.listen(engine, "connect", _prepare_connection)
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", partial(_pre_ping, engine.dialect))
        return engine

    @contextmanager
    def read_snapshot(self, engine: Engine) -> Iterator[Connection]:
        """Give a connection whose statements all see one snapshot; each is planned for its own parameters."""
        with engine.connect().execution_options(**_SNAPSHOT) as connection, connection.begin():
            connection.exec_driver_sql(_CUSTOM_PLANS)
            yield connection

    @contextmanager
    def autocommit(self, engine: Engine) -> Iterator[Connection]:
        """Give a connection without a transaction; each statement sees what is committed when it begins."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    @contextmanager
    def exclusive_write(self, engine: Engine) -> Iterator[Connection]:
        """Give a connection in a write transaction; only one of these runs at a time."""
        with engine.connect() as connection, connection.begin():
            lock_exclusively(connection, WRITER_LOCK)
            yield connection

    @contextmanager
    def concurrent_write(self, engine: Engine) -> Iterator[Connection]:
        """Give a connection in a write transaction that runs alongside others."""
        with engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def migration_transaction(self, engine: Engine) -> Iterator[Connection]:
        """Give a write transaction for a migration. Of two replicas that start together, one waits and finds it done."""
        with engine.connect() as connection, connection.begin():
            lock_exclusively(connection, MIGRATION_LOCK)
            yield connection

    def share_accounts(self, connection: Connection, account_ids: Collection[int]) -> None:
        """Take shared locks on accounts."""
        lock_accounts_shared(connection, account_ids)

    def lock_account(self, connection: Connection, account_id: int) -> None:
        """Wait until no transaction shares the account, and keep others from it."""
        lock_exclusively(connection, account_lock(account_id))

    def database_bytes(self, engine: Engine) -> int:
        """Return the size of the database."""
        with self.read_snapshot(engine) as connection:
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())

    def vacuum(self, engine: Engine) -> None:
        """Let new rows reuse the space of deleted ones; blocks no one."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM charges, event_claims, event_copies, later_claims")

    def damage(self, connection: Connection) -> Iterator[str]:
        """Yield invalid indexes, constraints never validated, and pages that failed their checksum."""
        yield from connection.exec_driver_sql(_DAMAGE).scalars()

    def months_without_partition(self, connection: Connection, months: Collection[int]) -> list[int]:
        """Return the months without a partition."""
        if not months:
            return []
        existing = set(connection.exec_driver_sql(_PARTITIONS).scalars())
        return sorted(month for month in set(months) if _partition(month) not in existing)

    def create_partitions(self, connection: Connection, months: Collection[int]) -> None:
        """Create the missing partitions."""
        for month in self.months_without_partition(connection, months):
            name = _partition(month)
            connection.exec_driver_sql(_CREATE_PARTITION.format(name=name))
            bounds = {"start": month_start(month), "end": month_start(next_month(month))}
            connection.exec_driver_sql(_ATTACH_PARTITION.format(name=name, **bounds))

    def lock_partition(self, connection: Connection, month: int) -> None:
        """Lock the month's partition, if it exists."""
        if not self.months_without_partition(connection, [month]):
            connection.exec_driver_sql(f"LOCK TABLE {_partition(month)} IN ACCESS EXCLUSIVE MODE")

    def empty_partition(self, connection: Connection, month: int) -> bool:
        """Truncate the month's partition, which frees its space at once.

        Not dropped: dropping locks the log of all months, so this would wait for an ingest that has that lock and itself waits
        for the month.
        """
        if not self.months_without_partition(connection, [month]):
            connection.exec_driver_sql(f"TRUNCATE TABLE {_partition(month)}")
        return True

    @staticmethod
    def insert(table: Table) -> Any:
        """Return PostgreSQL's INSERT."""
        return postgresql.insert(table)

    def driver_sql(self, sql: str) -> str:
        """Mark parameters with ``%s``."""
        return sql.replace("?", "%s")

    def rows_at_once(self, connection: Connection, statement: Select[Any], named: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return [tuple(row) for row in connection.execute(statement, named)]

    # Looked up in the column's index; joined with ``unnest``, whole months of events were read and sorted.
    is_in_list = "= ANY(CAST(? AS bigint[]))"

    def integer_list(self, numbers: Iterable[int]) -> str:
        """Return integers as the text of an array: the driver inspects each element of a list."""
        return f"{{{','.join(map(str, numbers))}}}"

    text_table = "unnest(CAST(? AS text[])) AS wanted(value)"

    def text_list(self, texts: Collection[str]) -> Any:
        """Return texts as a list, which the driver makes an array of."""
        return list(texts)


def _partition(month: int) -> str:
    return f"events_{month}"


def _prepare_connection(dbapi_connection: Any, _record: object) -> None:
    # A sum of BIGINTs is a NUMERIC, which the driver would return as Decimal; here every number is an integer.
    dbapi_connection.adapters.register_loader("numeric", _integer_loader(dbapi_connection))
    dbapi_connection.execute(_DURABLE)
    dbapi_connection.commit()  # a setting that was made in a transaction ends with it, unless it commits


def _integer_loader(dbapi_connection: Any) -> type:
    loader: type = dbapi_connection.adapters.get_loader(dbapi_connection.adapters.types["int8"].oid, 0)
    return loader


def _note_use(_dbapi_connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _pre_ping(dialect: Dialect, dbapi_connection: Any, record: Any, _proxy: object) -> None:
    # The pool's own pre-ping asks each time, which is a tenth of what a small commit takes.
    if time.monotonic() - record.info.get("used_at", math.inf) < _ALIVE_SECONDS:
        return
    try:
        dialect.do_ping(dbapi_connection)
    except dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError("the server ended the session") from error  # and with it the others in the pool
