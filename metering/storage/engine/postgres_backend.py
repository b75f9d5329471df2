"""PostgreSQL through psycopg 3: writers see what others have committed, readers see one snapshot.

Writing is READ COMMITTED: a batch waits for another writer's key and then sees what that one stored. Reading is REPEATABLE
READ, READ ONLY. A verb that looks before it writes holds WRITER_LOCK, so that it is alone as it is on SQLite; ingest, judging
and sending do not, and rely on unique keys and on rows taken in order. Locks of a transaction end with it, whatever becomes of
the process.
"""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import InvalidatePoolError

from metering.storage.engine.errors import DatabaseUrlError

# Keys of advisory locks: any numbers will do that other users of the database do not take.
MIGRATION_LOCK = 7_301_001
WRITER_LOCK = 7_301_002
LEADER_LOCK = 7_301_003
_ACCOUNT_LOCKS = 7_301_100  # and the numbers after it
_ACCOUNT_LOCK_COUNT = 64

# A session that was used so recently is taken for alive: should it not be, one transaction fails, and all are opened anew.
_ALIVE_SECONDS = 1.0
_DRIVER = "postgresql+psycopg"
# Seconds of silence, then seconds between questions, and how many stay unanswered before a session is taken for ended.
_FAREWELL = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
# After some executions the server would keep a plan that suits an account of average size, and read all sums of a month for one
# of thirty series. Writers ask for keys, which any plan finds.
_PLAN_FOR_WHAT_IS_ASKED = "SET LOCAL plan_cache_mode = force_custom_plan"


def open_engine(url: URL) -> Engine:
    """Open the database; nothing is connected yet. Raises DatabaseUrlError for another driver, no name, or no psycopg."""
    if url.drivername not in ("postgresql", _DRIVER):
        raise DatabaseUrlError("METERING_DATABASE_URL names a driver; PostgreSQL is used through psycopg: postgresql://…")
    if not url.database:
        raise DatabaseUrlError("METERING_DATABASE_URL names no database (postgresql://user@host/metering)")
    try:
        engine = create_engine(url.set(drivername=_DRIVER), isolation_level="READ COMMITTED", pool_use_lifo=True)
    except ModuleNotFoundError:
        raise DatabaseUrlError(
            "METERING_DATABASE_URL names PostgreSQL, and its driver is not installed: pip install 'hf-metering[postgres]'"
        ) from None
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_pre_ping, engine.dialect))
    return engine


@contextmanager
def read_snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a connection whose statements all see one snapshot, and are planned for what they ask about."""
    with engine.connect().execution_options(**_SNAPSHOT) as connection, connection.begin():
        connection.exec_driver_sql(_PLAN_FOR_WHAT_IS_ASKED)
        yield connection


@contextmanager
def autocommit(engine: Engine) -> Iterator[Connection]:
    """Give a connection each of whose statements sees what is committed when it begins; there is no transaction."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@contextmanager
def exclusive_write(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a write transaction, alone among those that ask for that."""
    with engine.connect() as connection, connection.begin():
        lock_exclusively(connection, WRITER_LOCK)
        yield connection


@contextmanager
def concurrent_write(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a write transaction that runs beside others."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def migration_transaction(engine: Engine) -> Iterator[Connection]:
    """Give a write transaction for a migration. Of two replicas that start together one waits, and finds it done."""
    with engine.connect() as connection, connection.begin():
        lock_exclusively(connection, MIGRATION_LOCK)
        yield connection


def database_bytes(engine: Engine) -> int:
    """Return the size of the database."""
    with read_snapshot(engine) as connection:
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


def vacuum(engine: Engine) -> None:
    """Let the rows to come have the room of deleted ones; nobody waits for that."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM charges, event_claims, event_copies, later_claims")


def lock_exclusively(connection: Connection, key: int) -> None:
    """Wait for an advisory lock, and hold it until the transaction ends."""
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (key,))


def share_accounts(connection: Connection, account_ids: Iterable[int]) -> None:
    """Hold accounts together with others until the transaction ends: whoever would take one of them waits."""
    keys = sorted({_account_key(account_id) for account_id in account_ids})
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(key) FROM unnest(%s::bigint[]) AS key", (keys,))


def take_account(connection: Connection, account_id: int) -> None:
    """Wait until nobody holds an account, and keep others from it until the transaction ends."""
    lock_exclusively(connection, _account_key(account_id))


def _account_key(account_id: int) -> int:
    # Accounts share few locks: a server has room for some thousand in all, and a batch may be about any number of accounts.
    # Locks of rows would not do: who wants one alone is passed by those who share it, and may wait for ever.
    return _ACCOUNT_LOCKS + account_id % _ACCOUNT_LOCK_COUNT


def dedicated_session(engine: Engine) -> Connection:
    """Open a session outside of the pool; each statement of it is a transaction. It ends when it is closed."""
    session = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    session.detach()
    # A machine that is gone says no farewell: without these the server would keep its session, and its locks, for two hours.
    for name, value in _FAREWELL.items():
        session.exec_driver_sql(f"SET {name} = {value}")
    return session


def try_session_lock(session: Connection, key: int) -> bool:
    """Take an advisory lock until the session ends, without waiting; False where another session has it."""
    return bool(session.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar_one())


def _prepare_connection(dbapi_connection: Any, _record: object) -> None:
    # A sum of BIGINTs is a NUMERIC, which the driver would give as Decimal; here every number is an integer.
    dbapi_connection.adapters.register_loader("numeric", _integer_loader(dbapi_connection))


def _integer_loader(dbapi_connection: Any) -> type:
    of_integers: type = dbapi_connection.adapters.get_loader(dbapi_connection.adapters.types["int8"].oid, 0)
    return of_integers


def _note_use(_dbapi_connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _pre_ping(dialect: Dialect, dbapi_connection: Any, record: Any, _proxy: object) -> None:
    # The pool's own way is to ask each time, which is a tenth of what a small commit waits for.
    if time.monotonic() - record.info.get("used_at", math.inf) < _ALIVE_SECONDS:
        return
    try:
        dialect.do_ping(dbapi_connection)
    except dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError("the server ended the session") from error  # and with it the others that were there
