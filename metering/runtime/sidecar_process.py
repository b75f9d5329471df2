"""A sidecar next to a server: started with it, started again when it ends, and ended with it.

The sidecar is a separate process, so that it passes requests on however busy the server is. Its standard input is a pipe from
the server: when the server ends, even by a signal that no process can handle, the pipe closes and the sidecar ends in order.
"""

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import msgspec

from metering.operations.service.sidecar_settings import SidecarStart

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0
_STEADY_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_MARGIN_SECONDS = 20  # for storing what is left in the journal, after the last request

_log = logging.getLogger(__name__)


@contextmanager
def sidecar_alongside(start: SidecarStart | None) -> Iterator[None]:
    """Keep a sidecar running while the block runs; None: there is none."""
    if start is None:
        yield
        return
    process = _SidecarProcess(start)
    previous = signal.signal(signal.SIGTERM, _exit)  # the default would end this process without the sidecar
    process.start()
    try:
        yield
    finally:
        process.finish()
        signal.signal(signal.SIGTERM, previous)


def _exit(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)


class _SidecarProcess:
    """Runs ``python -m metering.sidecar``, watched by a thread."""

    def __init__(self, start: SidecarStart) -> None:
        text = msgspec.json.encode(msgspec.structs.replace(start, ends_with_input=True)).decode()
        self._arguments = [sys.executable, "-m", "metering.sidecar", text]
        self._patience = start.settings.shutdown_seconds + _MARGIN_SECONDS
        self._process: subprocess.Popen[bytes] | None = None
        self._is_finishing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="sidecar", daemon=True)

    def start(self) -> None:
        """Start it, and the thread that watches it."""
        self._run()
        self._watcher.start()

    def finish(self) -> None:
        """Have it end its requests and store what they used, and wait for it."""
        self._is_finishing.set()
        self._watcher.join()
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(self._patience)
        except subprocess.TimeoutExpired:
            _log.warning("the sidecar did not end within %d s: stopped; its journal keeps what is not stored", self._patience)
            process.kill()
            process.wait()

    def _run(self) -> None:
        try:
            # In a separate session: Ctrl-C in a terminal reaches the server, which then ends the sidecar.
            self._process = subprocess.Popen(  # noqa: S603 - of this program
                self._arguments, stdin=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            self._process = None
            _log.error("the sidecar cannot be started: %s", error.strerror or error)

    def _watch(self) -> None:
        pause, started = _FIRST_PAUSE_SECONDS, time.monotonic()
        while not self._is_finishing.wait(_LOOK_SECONDS):
            code = None if self._process is None else self._process.poll()
            if self._process is not None and code is None:
                continue
            if time.monotonic() - started > _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            _log.error("the sidecar ended with %s; starting it again in %g s", code, pause)
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
            if self._is_finishing.wait(pause):
                return
            pause, started = min(2 * pause, _LONGEST_PAUSE_SECONDS), time.monotonic()
            self._run()
