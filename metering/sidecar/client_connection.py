"""A connection of an application: requests are read one after the other, and each becomes an exchange.

Pipelined requests are refused: the first is answered, then the connection is closed, and the client sends the others again
(RFC 9112, section 9.3.2).
"""

import asyncio

import httptools

from metering.sidecar.exchange import Exchange
from metering.sidecar.heads import BadHeadError, Headers, HeadReader, RequestHead
from metering.sidecar.own_pages import OWN_PREFIX, own_page
from metering.sidecar.passing import Passing
from metering.sidecar.refusals import Refusal, refusal_response
from metering.sidecar.repeated_requests import RepeatedRequests
from metering.sidecar.wires import ErrorShape

_LINGER_SECONDS = 2.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ClientConnection(asyncio.Protocol):
    """One connection of an application."""

    def __init__(self, passing: Passing, clients: "set[ClientConnection]") -> None:
        self._passing = passing
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._is_closing = False
        self._is_discarding = False
        self._has_ended = False
        self._paused = False
        self._is_own = False
        self.deadline = 0.0
        self._parser = httptools.HttpRequestParser(self)
        self._heads = HeadReader(passing.limits.max_target_bytes)
        self._repeated = RepeatedRequests()
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: Headers = []
        self._head_bytes = 0
        self._is_head_read = False

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._exchange is None

    # The transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; refuse a connection past the bound."""
        self._transport = transport  # type: ignore[assignment]
        if len(self._clients) >= self._passing.limits.max_clients:
            self._refuse(Refusal(503, "too_many_connections", "too many connections; try again later", retry_after_seconds=1))
            return
        self._clients.add(self)
        self.deadline = self._loop.time() + self._passing.limits.head_seconds

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        if self._is_closing:
            return
        begins = not self._head_bytes
        if begins:
            repeated = self._repeated.match(data)
            if repeated is not None:
                self._take_whole(*repeated)
                return
        if not self._is_head_read:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(Refusal(501, "upgrade_refused", "an upgrade of the connection (WebSocket, HTTP/2) is refused"))
            return
        except httptools.HttpParserError as error:
            refused = error.__context__ if isinstance(error.__context__, BadHeadError) else None
            if refused is not None:
                self._refuse(Refusal(refused.status, refused.code, str(refused)))
            else:
                self._refuse(Refusal(400, "bad_request", f"the request is not HTTP/1.1: {error}"))
            return
        limit = self._passing.limits.max_head_bytes
        if not self._is_head_read and self._head_bytes > limit:
            self._refuse(Refusal(431, "head_too_large", _too_large(limit)))
        elif begins and self._exchange is not None:
            self._repeated.remember(data, self._exchange.head)

    def _take_whole(self, head: RequestHead, body: bytes) -> None:
        """Begin the exchange of a request that has arrived whole. The parser stays between two requests."""
        self._head_bytes = len(body)
        self._is_head_read = True
        self._is_own = False
        self.deadline = 0.0
        self._exchange = exchange = Exchange(self._passing, self, head)
        self._passing.exchanges.add(exchange)
        exchange.body_piece(body)
        exchange.request_complete()

    def eof_received(self) -> bool:
        """The client sends no more. Stay open for the answer of a request that is complete."""
        self._has_ended = True
        exchange = self._exchange
        return exchange is not None and exchange.is_request_complete

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        del error
        self._is_closing = True
        self._clients.discard(self)
        self._transport = None
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            exchange.client_gone()

    def pause_writing(self) -> None:
        """The client is slower than the upstream."""
        if self._exchange is not None:
            self._exchange.pause_answer()

    def resume_writing(self) -> None:
        """The client takes more."""
        if self._exchange is not None:
            self._exchange.resume_answer()

    # The exchange's view of this connection.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Take no more of the request for now."""
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take more of the request."""
        if self._transport is not None and self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def exchange_done(self, *, keep_alive: bool) -> None:
        """The answer was sent whole: wait for the next request, or close."""
        exchange, self._exchange = self._exchange, None
        if self._is_closing or (exchange is not None and not exchange.is_request_complete):
            self._close_after_reading()
            return
        if not keep_alive or self._has_ended or self._passing.is_stopping:
            self.close()
            return
        self._begin()
        self.deadline = self._loop.time() + self._passing.limits.keep_alive_seconds
        self.resume_reading()

    def discard_rest(self) -> None:
        """Take what is left of a request that was answered early, for a while, then close.

        Closing at once would reset the connection, and the client might never read the answer.
        """
        self._exchange = None
        self._is_discarding = True
        self.deadline = self._loop.time() + self._passing.limits.linger_seconds
        self.resume_reading()

    def abort(self) -> None:
        """Close at once."""
        self._exchange = None
        self._is_closing = True
        if self._transport is not None:
            # What was written is sent; the missing end tells the client that the answer is not complete.
            self._transport.close()

    def close(self) -> None:
        """Close once everything was sent."""
        self._is_closing = True
        if self._transport is not None:
            self._transport.close()

    def _close_after_reading(self) -> None:
        """Close a connection on which the client may be sending: closing it at once would reset it and discard the answer.

        See RFC 9112, section 9.6.
        """
        self._is_closing = True
        self.deadline = 0.0
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self.resume_reading()
        if self._has_ended or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        self._loop.call_later(_LINGER_SECONDS, transport.abort)

    def expire(self) -> None:
        """The deadline of a head, of a body or of an idle connection has passed."""
        exchange = self._exchange
        if exchange is None and (self._is_discarding or not self._head_bytes):
            self.close()
        elif exchange is None or not exchange.is_request_complete:
            self._refuse(Refusal(408, "request_timeout", "the request did not arrive in time"))

    # Called by the parser.

    def on_message_begin(self) -> None:
        """A request begins. One that begins before the last was answered is refused."""
        if self._exchange is not None:
            self._exchange.closes_after = True
            self._is_closing = True

    def on_url(self, url: bytes) -> None:
        """Keep a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Trailers of a request are left out: nothing that is passed on uses them."""
        if not self._is_head_read:
            self._headers.append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        """Begin the exchange. Raises BadHeadError, which the parser wraps."""
        if self._is_closing:
            return
        self._is_head_read = True
        limits = self._passing.limits
        if self._head_bytes > limits.max_head_bytes:
            self._check_head_size(limits.max_head_bytes)
        head = self._heads.read(
            self._parser.get_method(),
            self._target,
            self._headers,
            self._parser.get_http_version(),
            keep_alive=self._parser.should_keep_alive(),
        )
        self.deadline = self._loop.time() + limits.body_idle_seconds
        if head.target.startswith(OWN_PREFIX):
            page = own_page(head, self._passing)
            self.write(page)
            self._is_own = True
            return
        self._is_own = False
        self._exchange = Exchange(self._passing, self, head)
        self._passing.exchanges.add(self._exchange)
        if head.expects_continue:
            self.write(_CONTINUE)

    def on_body(self, piece: bytes) -> None:
        """Hand over a piece of the body."""
        if self._exchange is not None and not self._is_closing:
            self.deadline = self._loop.time() + self._passing.limits.body_idle_seconds
            self._exchange.body_piece(piece)

    def on_message_complete(self) -> None:
        """Hand over the end of the request."""
        if self._is_closing:
            return
        self.deadline = 0.0
        if self._is_discarding:
            self.close()
        elif self._exchange is not None:
            self._exchange.request_complete()
        elif self._is_own:
            self.exchange_done(keep_alive=self._parser.should_keep_alive())

    def _check_head_size(self, limit: int) -> None:
        """Raises BadHeadError. What arrived with the head may be a part of the body."""
        if len(self._target) + sum(len(name) + len(value) for name, value in self._headers) > limit:
            raise BadHeadError("head_too_large", _too_large(limit), 431)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with an error and close; a request that was answered already is given no second answer."""
        if self._is_discarding:
            self.close()
            return
        self._passing.meter.metrics.refused.labels(refusal.code).inc()
        exchange, self._exchange = self._exchange, None
        shape = ErrorShape.OPENAI if exchange is None else exchange.wire.errors
        if exchange is None or not exchange.has_begun_answer:
            self.write(refusal_response(refusal, shape, keep_alive=False))
        self._close_after_reading()
        if exchange is not None:
            exchange.client_gone()


def _too_large(limit: int) -> str:
    return f"the request's head has more than {limit:,} bytes"
