"""A scripted upstream on loopback: real sockets, answers and faults that a test chooses, and a record of what it received.

``respond`` returns the answer to a request (default: the canned answer of its path); answers that were queued with ``script``
come first, in order. The server runs in a thread and ends with its block.
"""

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

from msgspec import Struct

PATIENCE = 20.0
_HEAD_LIMIT = 1024 * 1024


class Asked(NamedTuple):
    """One request as it arrived: the head's bytes, its parts, and the body without its framing.

    ``connection`` numbers the connections from 1. Names of ``headers`` are lowercase, in the order in which they arrived.
    """

    head: bytes
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """Return the first value of a header; None if there is none."""
        return next((value for each, value in self.headers if each == name), None)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def document(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


class Answer(Struct):
    """An answer, or what is left of it after a fault.

    ``framing`` is ``length``, ``chunked`` or ``close``; ``length`` overrides the stated length, which is else that of all
    pieces. The fault: after ``cut_after`` pieces the answer ends like ``ending`` says: ``close``, ``reset``, ``half_close`` (no
    more is sent, but the connection stays open) or ``stall``. ``gate``: the piece of that index is sent once the event is set.
    ``raw`` is sent instead of a head. ``closes``: the connection is closed after a complete answer.
    """

    pieces: Iterable[bytes] = ()
    status: int = 200
    media: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    framing: str = "length"
    length: int | None = None
    trailers: tuple[tuple[str, str], ...] = ()
    cut_after: int | None = None
    ending: str = "close"
    pause_seconds: float = 0.0
    gate: tuple[int, threading.Event] | None = None
    raw: bytes | None = None
    closes: bool = False

    @property
    def body(self) -> bytes:
        """The whole body, without its framing."""
        return b"".join(self.pieces)


def json_answer(document: object, status: int = 200, **fields: Any) -> Answer:
    """Return an answer with a JSON body."""
    return Answer((json.dumps(document).encode(),), status, **fields)


def stream_answer(events: Iterable[bytes], **fields: Any) -> Answer:
    """Return a stream of server-sent events, one piece each."""
    return Answer(tuple(events), media="text/event-stream", **{"framing": "chunked", **fields})


Respond = Callable[[Asked], Answer]


class UpstreamServer:
    """Listens on a free port and records the requests."""

    def __init__(self, respond: Respond, tls: ssl.SSLContext | None = None) -> None:
        self.respond = respond
        self.early: Answer | None = None  # an answer that is sent before the body of the request is read
        self.reads_bodies = threading.Event()  # while it is not set, bodies of requests stay unread
        self.reads_bodies.set()
        self.received: list[Asked] = []
        self.begun = 0  # requests of which the head has arrived
        self.connections = 0
        self.open_connections = 0
        self.port = 0
        self._tls = tls
        self._scripted: deque[Answer] = deque()
        self._changed = threading.Condition()
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def script(self, *answers: Answer) -> None:
        """Give these answers to the next requests, in order."""
        self._scripted.extend(answers)

    def clear(self) -> None:
        """Forget what was received and scripted."""
        with self._changed:
            self.received.clear()
            self._scripted.clear()
            self.early = None

    def wait_for(self, count: int) -> list[Asked]:
        """Wait until this many requests were received; return all."""
        self.wait_until(lambda: len(self.received) >= count)
        return list(self.received)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that changes with a request or a connection."""
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE), (len(self.received), self.open_connections)

    def close_connections(self) -> None:
        """Close every open connection, as a restart would."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._tasks])
        self.wait_until(lambda: self.open_connections == 0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls, limit=_HEAD_LIMIT, backlog=512)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(self._abort_connections())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _abort_connections(self) -> None:
        """Close what is open although its task has ended, such as an answer that no client reads."""
        for writer in self._writers:
            writer.transport.abort()
        async with asyncio.timeout(PATIENCE):
            # The errors are those of connections that were reset.
            await asyncio.gather(*(each.wait_closed() for each in self._writers), return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        with self._changed:
            self.connections += 1
            self.open_connections += 1
            number = self.connections
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with self._changed:
                self.open_connections -= 1
                self._changed.notify_all()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        """Read a request and answer it; return whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        asked = Asked(head, method, target, headers, b"", number)
        with self._changed:
            self.begun += 1
            self._changed.notify_all()
        early, self.early = self.early, None
        if early is not None:
            self._record(asked)
            return await self._answer(writer, reader, asked, early)
        if not self.reads_bodies.is_set():
            await asyncio.get_running_loop().run_in_executor(None, self.reads_bodies.wait, PATIENCE)
        asked = asked._replace(body=await _body(reader, asked))
        self._record(asked)
        answer = self._scripted.popleft() if self._scripted else self.respond(asked)
        return await self._answer(writer, reader, asked, answer)

    def _record(self, asked: Asked) -> None:
        with self._changed:
            self.received.append(asked)
            self._changed.notify_all()

    async def _answer(self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader, asked: Asked, answer: Answer) -> bool:
        if answer.gate is not None and answer.gate[0] < 0:  # not even the head is sent
            await asyncio.get_running_loop().run_in_executor(None, answer.gate[1].wait, PATIENCE)
        if answer.cut_after is None or answer.cut_after >= 0:
            writer.write(_head(answer) if answer.raw is None else answer.raw)
            await writer.drain()
        if asked.method == "HEAD" or answer.status in (204, 304):
            return not answer.closes
        for index, piece in enumerate(answer.pieces):
            if answer.cut_after is not None and index >= answer.cut_after:
                break
            if answer.pause_seconds:
                await asyncio.sleep(answer.pause_seconds)
            if answer.gate is not None and answer.gate[0] == index:
                await asyncio.get_running_loop().run_in_executor(None, answer.gate[1].wait, PATIENCE)
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if answer.framing == "chunked" else piece)
            await writer.drain()
        if answer.cut_after is not None:
            await _end_early(writer, reader, answer.ending)
            return False
        if answer.framing == "chunked":
            trailers = "".join(f"{name}: {value}\r\n" for name, value in answer.trailers)
            writer.write(f"0\r\n{trailers}\r\n".encode())
        await writer.drain()
        return not answer.closes and answer.framing != "close" and answer.raw is None


async def _body(reader: asyncio.StreamReader, asked: Asked) -> bytes:
    if asked.header("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n"
        while await reader.readline() != b"\r\n":
            pass
        return body
    return await reader.readexactly(int(asked.header("content-length") or 0))


def _head(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {'OK' if answer.status == 200 else 'Status'}"]
    if answer.media:
        lines.append(f"content-type: {answer.media}")
    if answer.framing == "length" and answer.status != 204:
        lines.append(f"content-length: {len(answer.body) if answer.length is None else answer.length}")
    if answer.framing == "chunked":
        lines.append("transfer-encoding: chunked")
    if answer.closes or answer.framing == "close":
        lines.append("connection: close")
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return "\r\n".join([*lines, "", ""]).encode()


async def _end_early(writer: asyncio.StreamWriter, reader: asyncio.StreamReader, ending: str) -> None:
    if ending == "reset":
        # Closing with a linger time of zero sends RST instead of FIN.
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    elif ending == "half_close":
        writer.write_eof()
    if ending in ("half_close", "stall"):
        await asyncio.wait_for(reader.read(), PATIENCE)
