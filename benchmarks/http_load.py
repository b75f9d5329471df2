"""A load generator on bare protocols: the same request again and again on some connections, with the latency of each."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import cast

import uvloop
from mock_upstream import MODEL
from msgspec import Struct

_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
TOKEN = "sk-0f6b2d91c7e84a35b1d2c3e4f5a60718293a4b5c6d7e8f90"
_SDK_HEADERS = (
    "accept: application/json\r\naccept-encoding: gzip, deflate\r\nconnection: keep-alive\r\ncontent-type: application/json\r\n"
    "user-agent: OpenAI/Python 2.8.0\r\nx-stainless-lang: python\r\nx-stainless-package-version: 2.8.0\r\n"
    "x-stainless-os: Linux\r\nx-stainless-arch: x64\r\nx-stainless-runtime: CPython\r\nx-stainless-runtime-version: 3.11.7\r\n"
    "x-stainless-async: false\r\nx-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\n"
    f"authorization: Bearer {TOKEN}\r\nx-metering-project: search\r\n"
)


def request(*, prompt_bytes: int = 700, chunks: int = 0, pause_ms: int = 0) -> bytes:
    """Return a chat request as the OpenAI SDK writes it. ``chunks``: ask for a stream of so many."""
    prompt = ("The quick brown fox jumps over the lazy dog. " * (prompt_bytes // 45 + 1))[:prompt_bytes]
    stream = ',"stream":true' if chunks else ""
    body = f'{{"messages":[{{"role":"user","content":"{prompt}"}}],"model":"{MODEL}","temperature":0.2{stream}}}'
    more = f"x-bench-chunks: {chunks}\r\nx-bench-pause-ms: {pause_ms}\r\n" if chunks else ""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n{_SDK_HEADERS}{more}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body.encode()


class Sent(Struct):
    """What came of the requests: the latency of each and the time to its first byte, in seconds, and the time of all."""

    latencies: list[float]
    first_bytes: list[float]
    seconds: float = 0.0


class _Connection(asyncio.Protocol):
    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._pieces: list[bytes] = []
        self._missing = 0
        self._is_chunked = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._ask()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
            self._end_if(self._missing <= 0)
            return
        if self._is_chunked:
            self._end_stream_with(data)
            return
        if not self._pieces:
            self._load.sent.first_bytes.append(time.perf_counter() - self._asked)
        self._pieces.append(data)
        data = b"".join(self._pieces)
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        if not data.startswith(b"HTTP/1.1 200"):
            self._load.fail(data)
            return
        length = _LENGTH.search(data, 0, end)
        if length is None:
            self._is_chunked = True
            self._end_stream_with(data)
        else:
            self._missing = end + 4 + int(length[1]) - len(data)
            self._end_if(self._missing <= 0)

    def connection_lost(self, error: Exception | None) -> None:
        if self._pieces:
            self._load.fail(f"the connection was closed: {error}".encode())

    def _end_stream_with(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-5:]
        self._end_if(self._tail == b"0\r\n\r\n")

    def _end_if(self, is_complete: bool) -> None:
        if is_complete:
            self._load.sent.latencies.append(time.perf_counter() - self._asked)
            self._pieces.clear()
            self._missing, self._is_chunked, self._tail = 0, False, b""
            self._ask()

    def _ask(self) -> None:
        if not self._load.take():
            self._transport.close()
            return
        self._asked = time.perf_counter()
        self._transport.write(self._load.request)


class _Load:
    def __init__(self, data: bytes, count: int, connections: int) -> None:
        self.request = data
        self.sent = Sent([], [])
        self._left = count
        self._open = connections
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self) -> bool:
        """Return whether another request is to be sent; the last connection that gets none ends the run."""
        if self._left:
            self._left -= 1
            return True
        self._open -= 1
        if not self._open and not self.done.done():
            self.done.set_result(None)
        return False

    def fail(self, data: bytes) -> None:
        if not self.done.done():
            self.done.set_exception(SystemExit(f"unexpected answer: {data[:1000].decode(errors='replace')}"))


async def _send(port: int, data: bytes, count: int, connections: int, during: Callable[[], None] | None) -> Sent:
    loop = asyncio.get_running_loop()
    load = _Load(data, count, connections)
    started = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port)
    while during is not None and not load.done.done():
        during()
        await asyncio.wait([load.done], timeout=0.05)
    await load.done
    load.sent.seconds = time.perf_counter() - started
    return load.sent


def send(port: int, data: bytes, count: int, connections: int, during: Callable[[], None] | None = None) -> Sent:
    """Send a request ``count`` times over the connections. ``during`` is called every 50 ms until the last answer."""
    return uvloop.run(_send(port, data, count, connections, during))
