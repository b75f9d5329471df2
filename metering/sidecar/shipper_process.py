"""The process that stores what is in the journal: started, watched, started again when it ends, and ended."""

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_FINISH_SECONDS = 15.0

_log = logging.getLogger(__name__)


class ShipperProcess:
    """Runs the module that ships to the database or to a service. Closing its standard input tells it to end.

    ``start`` is a SidecarStart as JSON. ``connected`` is given one end of a connection to each process that is started, over
    which budgets are published; None: none are.
    """

    def __init__(self, start: str, *, to_service: bool, connected: Callable[[socket.socket], None] | None = None) -> None:
        module = "metering.sidecar.shipping.to_service" if to_service else "metering.sidecar.shipping"
        self._arguments = [sys.executable, "-m", module, start]
        self._connected = connected
        self._process: subprocess.Popen[bytes] | None = None
        self._pause = _FIRST_PAUSE_SECONDS
        self._not_before = 0.0

    def start(self) -> None:
        """Start it."""
        if self._connected is None:
            self._run(self._arguments)
            return
        ours, theirs = socket.socketpair()
        with theirs:
            is_started = self._run([*self._arguments, str(theirs.fileno())], theirs.fileno())
        if is_started:
            self._connected(ours)
        else:
            ours.close()

    def _run(self, arguments: Sequence[str], *inherited: int) -> bool:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - of this program
                arguments, stdin=subprocess.PIPE, pass_fds=inherited
            )
        except OSError as error:
            _log.error("the process that stores events cannot be started: %s", error)
            return False
        return True

    def keep_running(self) -> bool:
        """Return whether it runs; start it again after a pause if it has ended."""
        process, now = self._process, time.monotonic()
        if process is not None:
            code = process.poll()
            if code is None:
                return True
            _log.error("the process that stores events ended with %d; starting it again in %g s", code, self._pause)
            self._process = None
            self._not_before = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        if now >= self._not_before:
            self.start()
        return self._process is not None

    def finish(self) -> None:
        """Have it store what is left and end. What it does not manage to store stays in the journal."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(_FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            _log.warning("not everything in the journal was stored; the next start stores the rest")
            process.terminate()
            process.wait()
