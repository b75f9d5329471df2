"""The total time of a request is kept wherever the client waits.

A client's own timeouts are for one read each: a source that sends a byte of its headers every few seconds would never meet
one. A timer shuts the connection down instead, and the read in progress fails at once.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class Deadline:
    """Shuts the connection of one request down after ``seconds``. A context manager around the request.

    ``over`` says whether it did. ``trace`` is httpx's request extension of that name, by which the connection is known
    before there is a response.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of the socket once a connection is made, and again once it is encrypted."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
            if self.over:
                self._end()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            if self._socket is not None:
                # The plain method also of an encrypted socket: its own one takes apart what another thread is reading with.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
