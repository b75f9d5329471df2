"""A limit on the total time of a request, wherever the client is waiting.

The client's own timeouts apply to each read: a source that sends one byte every few seconds would never hit them. A timer
shuts the connection down instead, and the read in progress fails immediately.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class Deadline:
    """Shuts down the connection of one request after ``seconds``. Use it as a context manager around the request.

    ``expired`` is True once it has done so. Pass ``trace`` as httpx's request extension of that name: it provides the
    connection before there is a response.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Remember the socket when the connection is established, and again after the TLS handshake."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
            if self.expired:
                self._expire()

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            if self._socket is not None:
                # The method of the plain socket even for TLS: ssl's own shutdown would break the read in the other thread.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
