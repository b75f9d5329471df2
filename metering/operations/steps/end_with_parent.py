"""End a worker process when its parent is gone.

Without this, an orphaned server worker would keep the port, and an orphaned log decoder its memory.
"""

import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

_log = logging.getLogger(__name__)


def end_with_parent() -> None:
    """Send this process SIGTERM once the process that started it as a worker has ended. Does nothing outside a worker."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: BaseProcess) -> None:
    wait([parent.sentinel])
    _log.warning("the process that started this worker is gone: exiting")
    os.kill(os.getpid(), signal.SIGTERM)
