"""Of all processes on one database, one runs the jobs: the one that holds the lock on a file beside it.

The system lets go of the lock when its holder ends, however it ends, so that another process can take over at its next try.
The file alone means nothing, and is taken away by a holder that ends in order. A process that can not make or lock the file, as
in a folder it may only read, does not lead: it says so once and goes on with what else it does.
"""

import fcntl
import logging
import os
import threading
from pathlib import Path

SUFFIX = ".leader"

_log = logging.getLogger(__name__)


class Leader:
    """The lock beside one database file. Safe to use from several threads."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + SUFFIX)
        self._file: int | None = None
        self._told = False
        self._lock = threading.Lock()

    def is_leader(self) -> bool:
        """Return whether this process leads; one that does not yet tries to, without waiting."""
        with self._lock:
            if self._file is None:
                self._file = self._try()
            return self._file is not None

    def _try(self) -> int | None:
        try:
            file = _locked(self._path)
        except OSError as error:
            if not self._told:
                _log.warning("%s can not be locked (%s): this process runs no jobs until it can", self._path, error.strerror)
            self._told = True
            return None
        self._told = False
        return file

    def release(self) -> None:
        """Let go of the lock; another process may lead from now on."""
        with self._lock:
            if self._file is not None:
                # While it is still held: afterwards the file could be the lock of somebody else.
                self._path.unlink(missing_ok=True)
                os.close(self._file)
                self._file = None


def _locked(path: Path) -> int | None:
    """Return the file, open and locked; None where another process holds it."""
    while True:
        # Not inherited by programs that are started: they would keep the lock after this process has ended.
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
        # Its last holder took the file away between the opening and the locking: this lock would be nobody else's.
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
