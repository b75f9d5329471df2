"""Connections to the upstream: opened with verified TLS, kept for the next request, and read as HTTP/1.1."""

import asyncio
import ssl
from collections import deque
from typing import Protocol

import httptools

from metering.sidecar.heads import AnswerHead, Headers, answer_head
from metering.sidecar.upstream_address import UpstreamAddress

MAX_ANSWER_HEAD_BYTES = 256 * 1024
MAX_IDLE = 512


class UpstreamError(Exception):
    """The upstream could not be reached, or its answer ended early or is not HTTP. ``code`` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class AnswerSink(Protocol):
    """What receives an answer as it arrives."""

    method: bytes
    is_request_complete: bool

    def answer_begins(self, head: AnswerHead) -> None:
        """The head has arrived."""

    def answer_piece(self, piece: bytes) -> None:
        """A piece of the body has arrived."""

    def answer_ends(self, trailers: Headers) -> None:
        """The answer is complete."""

    def flush(self) -> None:
        """All that arrived at once has been handed over."""

    def answer_fails(self, error: UpstreamError) -> None:
        """The answer will not be complete."""

    def pause_request(self) -> None:
        """The connection takes no more of the request for now."""

    def resume_request(self) -> None:
        """The connection takes more of the request."""


class UpstreamConnection(asyncio.Protocol):
    """One connection. It serves one request at a time."""

    def __init__(self, upstream: "Upstream") -> None:
        self._upstream = upstream
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._sink: AnswerSink | None = None
        self._is_broken = False
        self._is_paused = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        self._reason = b""
        self._headers: Headers = []
        self._trailers: Headers = []
        self._head: AnswerHead | None = None
        self._head_bytes = 0
        self._is_complete = False

    @property
    def is_usable(self) -> bool:
        """Whether another request can be sent."""
        return not self._is_broken and self._transport is not None and not self._transport.is_closing()

    def ask(self, sink: AnswerSink, data: bytes) -> None:
        """Send the first bytes of a request, whose answer goes to ``sink``."""
        self._begin()
        self._sink = sink
        self.resume()
        self.send(data)

    def send(self, data: bytes) -> None:
        """Send more of a request."""
        if self._transport is not None:
            self._transport.write(data)

    def pause(self) -> None:
        """Stop reading the answer: the client is slower."""
        if self._transport is not None and not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read the answer again."""
        if self._transport is not None and self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def drop(self) -> None:
        """Close the connection. Nothing more is handed over."""
        self._sink = None
        self._is_broken = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Read a part of the answer."""
        sink = self._sink
        if sink is None:  # nothing was asked
            self.drop()
            return
        if self._head is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("bad_answer", "the upstream switched protocols, which was not asked for")
            return
        except httptools.HttpParserError as error:
            if self._sink is sink and not self._is_complete:
                self._fail("bad_answer", f"the upstream's answer is not HTTP/1.1: {error}")
                return
            self._is_broken = True
        if self._head is None and self._head_bytes > MAX_ANSWER_HEAD_BYTES:
            self._fail("bad_answer", f"the head of the upstream's answer has more than {MAX_ANSWER_HEAD_BYTES:,} bytes")
            return
        if self._is_complete:
            self._release()
        sink.flush()

    def eof_received(self) -> None:
        """The upstream has sent everything: close."""

    def connection_lost(self, error: Exception | None) -> None:
        """Hand over how the answer ended."""
        self._is_broken = True
        self._upstream.forget(self)
        sink, self._sink = self._sink, None
        if sink is None:
            return
        head = self._head
        if head is not None and error is None and not head.is_chunked and head.length is None:
            sink.answer_ends([])  # an answer of unstated length ends with its connection
            sink.flush()
            return
        sink.answer_fails(UpstreamError("upstream_closed", "the upstream closed the connection before its answer was complete"))

    def pause_writing(self) -> None:
        """The upstream is slower than the client."""
        if self._sink is not None:
            self._sink.pause_request()

    def resume_writing(self) -> None:
        """The upstream takes more."""
        if self._sink is not None:
            self._sink.resume_request()

    # Called by the parser.

    def on_message_begin(self) -> None:
        """An answer after a complete one was not asked for."""
        if self._is_complete:
            self._is_broken = True

    def on_status(self, status: bytes) -> None:
        """Keep the reason phrase."""
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or a trailer after the body."""
        (self._headers if self._head is None else self._trailers).append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        """Hand over the head, unless it is only an interim answer."""
        status = self._parser.get_status_code()
        if status < 200 or self._sink is None or self._is_complete:
            self._reason, self._headers = b"", []
            return
        if self._head_bytes > MAX_ANSWER_HEAD_BYTES and self._headers_size() > MAX_ANSWER_HEAD_BYTES:
            return  # what arrived with the head may be a part of the body
        self._head = answer_head(status, self._reason, self._headers)
        sink = self._sink
        sink.answer_begins(self._head)
        if sink.method == b"HEAD":
            self._is_broken = True  # the parser expects a body that does not come
            self.on_message_complete()

    def on_body(self, piece: bytes) -> None:
        """Hand over a piece of the body."""
        if self._sink is not None and not self._is_complete:
            self._sink.answer_piece(piece)

    def on_message_complete(self) -> None:
        """Hand over the end."""
        if self._head is None or self._is_complete:  # the end of an interim answer
            return
        self._is_complete = True
        sink = self._sink
        if not self._parser.should_keep_alive() or (sink is not None and not sink.is_request_complete):
            self._is_broken = True  # what is left of a request must not be read as the next one
        if sink is not None:
            sink.answer_ends(self._trailers)

    def _headers_size(self) -> int:
        return sum(len(name) + len(value) for name, value in self._headers)

    def _fail(self, code: str, message: str) -> None:
        sink = self._sink
        self.drop()
        if sink is not None:
            sink.answer_fails(UpstreamError(code, message))

    def _release(self) -> None:
        self._sink = None
        if self.is_usable:
            self._upstream.keep(self)
        else:
            self.drop()


class Upstream:
    """The pool of connections to one address. ``tls`` None: plain HTTP."""

    def __init__(self, address: UpstreamAddress, tls: ssl.SSLContext | None, connect_seconds: float) -> None:
        self.address = address
        self._tls = tls
        self._connect_seconds = connect_seconds
        self._idle: deque[UpstreamConnection] = deque()

    def take(self) -> UpstreamConnection | None:
        """Return an open connection that is not used, the newest first; None if there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """Open a connection. Raises UpstreamError."""
        address, loop = self.address, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self),
                    address.host,
                    address.port,
                    ssl=self._tls,
                    server_hostname=address.host if self._tls is not None else None,
                )
        except TimeoutError:
            raise UpstreamError("upstream_timeout", f"no connection within {self._connect_seconds:g} s") from None
        except ssl.SSLCertVerificationError as error:
            message = f"the upstream's certificate is not valid: {error.verify_message}"
            raise UpstreamError("upstream_certificate", message) from None
        except OSError as error:
            raise UpstreamError("upstream_unreachable", f"no connection: {error.strerror or error}") from None
        return connection

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request."""
        if len(self._idle) >= MAX_IDLE:
            connection.drop()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """Remove a connection that was closed."""
        if connection in self._idle:
            self._idle.remove(connection)

    def close_idle(self, before: float) -> None:
        """Close connections that were not used since ``before`` (time of the loop)."""
        while self._idle and self._idle[0].idle_since < before:
            self._idle.popleft().drop()


def verified_tls() -> ssl.SSLContext:
    """Return the settings of TLS connections. Certificates are verified; SSL_CERT_FILE can name the authorities."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
