"""Of all processes on one PostgreSQL database, one runs the jobs: the one whose session holds an advisory lock.

The session is dedicated to the lock, outside the pool. The server releases the lock when the session ends, however its process
ended, so that another process can take over at its next try. A process that is cut off from the server is no longer the leader;
a job that it still runs cannot write.
"""

import threading

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from metering.storage.engine.postgres_locks import LEADER_LOCK, dedicated_session, try_session_lock


class ServerLeader:
    """The lock in one database. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None
        self._lock = threading.Lock()

    def is_leader(self) -> bool:
        """Return whether this process is the leader; if it is not, try to become it, without waiting."""
        with self._lock:
            if self._session is not None and not _is_alive(self._session):
                self._session = None
            if self._session is None:
                self._session = self._try()
            return self._session is not None

    def release(self) -> None:
        """Release the lock, so that another process can become the leader."""
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _try(self) -> Connection | None:
        try:
            session = dedicated_session(self._engine)
        except DBAPIError:
            return None  # the server does not respond; the next try may succeed
        if try_session_lock(session, LEADER_LOCK):
            return session
        session.close()
        return None


def _is_alive(session: Connection) -> bool:
    driver = session.connection.driver_connection
    try:
        session.exec_driver_sql("SELECT 1")
    except DBAPIError:
        session.close()
        if driver is not None:
            driver.close()  # nothing else closes a broken session outside the pool
        return False
    return True
