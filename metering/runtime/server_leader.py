"""Of all processes on one PostgreSQL, one runs the jobs: the one whose session holds a lock in it.

The session is the process's own, outside of the pool, and does nothing else. The server lets go of the lock when the session
ends, however its process ended, so that another one can take over at its next try. Whoever is cut off from the server leads no
more; a job that it still runs can not write.
"""

import threading

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from metering.storage.engine.postgres_locks import LEADER_LOCK, dedicated_session, try_session_lock


class ServerLeader:
    """The lock in one database. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None
        self._lock = threading.Lock()

    def is_leader(self) -> bool:
        """Return whether this process leads; one that does not yet tries to, without waiting."""
        with self._lock:
            if self._session is not None and not _lives(self._session):
                self._session = None
            if self._session is None:
                self._session = self._try()
            return self._session is not None

    def release(self) -> None:
        """Let go of the lock; another process may lead from now on."""
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _try(self) -> Connection | None:
        try:
            session = dedicated_session(self._engine)
        except DBAPIError:
            return None  # the server does not answer; the next try may find it
        if try_session_lock(session, LEADER_LOCK):
            return session
        session.close()
        return None


def _lives(session: Connection) -> bool:
    driver = session.connection.driver_connection
    try:
        session.exec_driver_sql("SELECT 1")
    except DBAPIError:
        session.close()
        if driver is not None:
            driver.close()  # a session outside of the pool that broke off is closed by nobody else
        return False
    return True
