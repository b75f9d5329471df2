"""Of all processes on one SQLite database, one runs the jobs: the one that has locked a file next to the database.

The system releases the lock when its holder ends, however it ends, so that another process can take over at its next try. The
file alone means nothing; a holder that ends normally removes it. A process that cannot create or lock the file, as in a
read-only folder, does not lead: it logs this once and does its other work.
"""

import fcntl
import logging
import os
import threading
from pathlib import Path

SUFFIX = ".leader"

_log = logging.getLogger(__name__)


class Leader:
    """The lock next to one database file. Thread-safe."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + SUFFIX)
        self._file: int | None = None
        self._has_warned = False
        self._lock = threading.Lock()

    def is_leader(self) -> bool:
        """Return whether this process is the leader; if it is not, try to become it, without waiting."""
        with self._lock:
            if self._file is None:
                self._file = self._try()
            return self._file is not None

    def _try(self) -> int | None:
        try:
            file = _locked(self._path)
        except OSError as error:
            if not self._has_warned:
                _log.warning("cannot lock %s (%s): this process runs no jobs until it can", self._path, error.strerror)
            self._has_warned = True
            return None
        self._has_warned = False
        return file

    def release(self) -> None:
        """Release the lock, so that another process can become the leader."""
        with self._lock:
            if self._file is not None:
                # Before the lock is released: afterwards the file could be another process's lock.
                self._path.unlink(missing_ok=True)
                os.close(self._file)
                self._file = None


def _locked(path: Path) -> int | None:
    """Return the file, open and locked; None if another process has locked it."""
    while True:
        # Not inherited by child programs: they would keep the lock after this process has ended.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        except OSError:
            os.close(file)
            raise
        if _is_at(file, path):
            return file
        # Its last holder removed the file between the opening and the locking: no other process would see this lock.
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
