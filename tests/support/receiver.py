"""A webhook receiver on loopback with a behavior that the test chooses. It records requests and stops with its block.

A behavior gets the connection and responds on it: ``accepted``, ``refused()``, ``reset``, ``silent`` and others. Default:
accept everything.
"""

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Self, TypeAlias

PATIENCE = 20.0
Behavior: TypeAlias = Callable[["Receiver", socket.socket, int], None]


class Received(NamedTuple):
    """One request: when it arrived (monotonic seconds), its target, its headers in lower case, its body."""

    at: float
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Listens on a free port and records the requests."""

    def __init__(self, behavior: Behavior | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self._tls = tls
        self.behavior = behavior or accepted
        self.stopped = threading.Event()
        self._arrived = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.settimeout(0.05)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._thread.join(PATIENCE)
        self._listener.close()

    def wait_for(self, count: int) -> list[Received]:
        """Wait for this many requests; return all requests."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.received) >= count, PATIENCE), len(self.received)
            return list(self.received)

    def _serve(self) -> None:
        while not self.stopped.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.settimeout(PATIENCE)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._answer(connection)
        connection.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            head, _, body = _read_until(connection, b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
            while len(body) < int(headers["content-length"]):
                body += _part(connection)
            with self._arrived:
                self.received.append(Received(time.monotonic(), lines[0].split(" ")[1], headers, body))
                number = len(self.received)
                self._arrived.notify_all()
            self.behavior(self, connection, number)


def response(status: str, body: bytes = b"", **headers: str) -> bytes:
    """A complete response; underscores in the names of ``headers`` become dashes."""
    fields = {"content-length": str(len(body)), "connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return "\r\n".join([f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]).encode() + body


def responding(content: bytes) -> Behavior:
    """A receiver that responds with these bytes."""

    def respond(receiver: Receiver, connection: socket.socket, number: int) -> None:
        connection.sendall(content)

    return respond


accepted = responding(response("204 No Content"))


def refused(status: str = "500 Internal Server Error", body: bytes = b"", **headers: str) -> Behavior:
    """A receiver that refuses messages."""
    return responding(response(status, body, **headers))


def reset(receiver: Receiver, connection: socket.socket, number: int) -> None:
    """A receiver that resets the connection."""
    # Closing with a linger time of zero sends RST instead of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent(receiver: Receiver, connection: socket.socket, number: int) -> None:
    """A receiver that never responds."""
    receiver.stopped.wait(PATIENCE)


def dripping(receiver: Receiver, connection: socket.socket, number: int) -> None:
    """A receiver that sends its headers one byte at a time, without end."""
    for byte in response("200 OK" + "k" * 100_000):
        if receiver.stopped.wait(0.02):
            return
        connection.sendall(bytes([byte]))


def endless(receiver: Receiver, connection: socket.socket, number: int) -> None:
    """A receiver that responds with an endless body."""
    connection.sendall(b"HTTP/1.1 500 Oh\r\nconnection: close\r\n\r\n")
    while not receiver.stopped.is_set():
        connection.sendall(b"x" * 65_536)


def failing_at_first(times: int) -> Behavior:
    """A receiver that refuses the first ``times`` messages."""

    def behave(receiver: Receiver, connection: socket.socket, number: int) -> None:
        connection.sendall(response("503 Busy") if number <= times else response("200 OK", b"ok"))

    return behave


def _read_until(connection: socket.socket, mark: bytes) -> tuple[bytes, bytes, bytes]:
    read = b""
    while mark not in read:
        read += _part(connection)
    return read.partition(mark)


def _part(connection: socket.socket) -> bytes:
    """Return the next bytes. Raises ConnectionError if the sender is gone: tests kill senders in the middle of a body."""
    part = connection.recv(65_536)
    if not part:
        raise ConnectionError
    return part


@contextmanager
def receiver(behavior: Behavior | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver on loopback."""
    with Receiver(behavior, tls) as running:
        yield running
