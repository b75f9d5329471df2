"""A process whose parent is gone ends: a server's worker would keep the port, a log's decoder its memory, and nobody would stop
them.
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
    """Ask this process to end, as a supervisor would, when the one that started it as a worker has ended. Else do nothing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: BaseProcess) -> None:
    wait([parent.sentinel])
    _log.warning("the process that started this worker is gone: it ends")
    os.kill(os.getpid(), signal.SIGTERM)
