"""A client that sends exact bytes, and reads exact bytes."""

import json
import socket
import struct
from typing import Any, NamedTuple, Self

PATIENCE = 20.0


class RawResponse(NamedTuple):
    """A response: its status, its head as it arrived, its headers in lowercase, its body without framing."""

    status: int
    head: bytes
    headers: list[tuple[str, str]]
    body: bytes
    is_complete: bool

    def header(self, name: str) -> str | None:
        """Return the first value of a header; None if there is none."""
        return next((value for each, value in self.headers if each == name), None)

    @property
    def code(self) -> str:
        """The stable code of an error of the sidecar."""
        code: str = json.loads(self.body)["error"]["code"]
        return code


class RawClient:
    """One connection. Leaving its block closes it."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._rest = b""
        self._was_whole = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_until(self, mark: bytes) -> None:
        """Read until something has arrived, which stays to be read."""
        while mark not in self._rest:
            part = self.socket.recv(65_536)
            assert part, self._rest
            self._rest += part

    def reset(self) -> None:
        """Close the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def response(self, method: str = "POST") -> RawResponse:
        """Read one response. ``is_complete`` is False if the connection ended before it did."""
        while b"\r\n\r\n" not in self._rest:
            part = self.socket.recv(65_536)
            assert part, f"the connection ended before a response: {self._rest!r}"
            self._rest += part
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        read = RawResponse(int(first.split(" ")[1]), head, headers, b"", is_complete=True)
        if method == "HEAD" or read.status in (204, 304) or read.status < 200:
            return read
        if read.header("transfer-encoding") == "chunked":
            return self._chunked(read)
        if (length := read.header("content-length")) is not None:
            body = self.exactly(int(length))
            return read._replace(body=body, is_complete=self._was_whole)
        return read._replace(body=self.rest())

    def exactly(self, size: int) -> bytes:
        """Read so many bytes, or as many as there are."""
        data = bytearray(self._rest)
        while len(data) < size and (part := self._part()):
            data += part
        self._was_whole = len(data) >= size
        self._rest = bytes(data[size:])
        return bytes(data[:size])

    def rest(self) -> bytes:
        """Read until the connection ends."""
        parts = [self._rest]
        while part := self._part():
            parts.append(part)
        self._rest = b""
        return b"".join(parts)

    def _part(self) -> bytes:
        try:
            return self.socket.recv(1024 * 1024)
        except ConnectionResetError:
            return b""

    def _chunked(self, read: RawResponse) -> RawResponse:
        pieces: list[bytes] = []
        while (line := self._line()) is not None:
            size = int(line, 16)
            if size == 0:
                trailers = []
                while line := self._line():
                    name, _, value = line.decode().partition(":")
                    trailers.append((name.lower(), value.strip()))
                return read._replace(body=b"".join(pieces), headers=[*read.headers, *trailers], is_complete=line is not None)
            pieces.append(self.exactly(size))
            if not self._was_whole or self.exactly(2) != b"\r\n":
                break
        return read._replace(body=b"".join(pieces), is_complete=False)

    def _line(self) -> bytes | None:
        while b"\r\n" not in self._rest:
            part = self._part()
            if not part:
                return None
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line


def request_bytes(
    path: str = "/v1/chat/completions", body: object = None, method: str = "POST", version: str = "1.1", **headers: str
) -> bytes:
    """Return the bytes of a request; underscores in the names of ``headers`` become dashes."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    fields: dict[str, Any] = {"host": "sidecar", "content-type": "application/json", "content-length": str(len(content))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + content
