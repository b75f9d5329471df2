"""PostgreSQL's advisory locks: of a transaction, which end with it, and of a session, which end with that.

Either way the server releases them when the process that holds them ends, however it ends.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, Engine

# Keys of advisory locks; any numbers that other users of the database do not use.
MIGRATION_LOCK = 7_301_001
WRITER_LOCK = 7_301_002
LEADER_LOCK = 7_301_003
_ACCOUNT_LOCKS = 7_301_100  # and the numbers after it
_ACCOUNT_LOCK_COUNT = 64

# After 30 seconds of silence the server asks three times, 10 seconds apart, before it ends a session.
_KEEPALIVES = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}


def lock_exclusively(connection: Connection, key: int) -> None:
    """Wait for an advisory lock, and keep it until the transaction ends."""
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (key,))


def lock_accounts_shared(connection: Connection, account_ids: Iterable[int]) -> None:
    """Take shared locks on accounts until the transaction ends; an exclusive lock on any of them waits."""
    keys = sorted({account_lock(account_id) for account_id in account_ids})
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(key) FROM unnest(%s::bigint[]) AS key", (keys,))


def account_lock(account_id: int) -> int:
    """Return the key of an account's lock."""
    # Accounts share few locks: a server has room for some thousand in all, and a batch may be about any number of accounts.
    # Row locks would not do: a transaction that waits for an exclusive one is overtaken by those that share it, and may starve.
    return _ACCOUNT_LOCKS + account_id % _ACCOUNT_LOCK_COUNT


def dedicated_session(engine: Engine) -> Connection:
    """Open a session outside the pool, in which each statement is a transaction. It ends when it is closed."""
    session = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    session.detach()
    # A machine that is gone does not close its connections: without these the server would keep the session, and its locks,
    # for two hours.
    for name, value in _KEEPALIVES.items():
        session.exec_driver_sql(f"SET {name} = {value}")
    return session


def try_session_lock(session: Connection, key: int) -> bool:
    """Take an advisory lock until the session ends, without waiting; False if another session has it."""
    return bool(session.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar_one())
