"""One request and its answer: passed on in both directions, and metered once, however it ends."""

import asyncio
from typing import Any

from metering.sidecar.answer_framing import AnswerFraming, answer_framing
from metering.sidecar.answers import AnswerBody
from metering.sidecar.callers import Caller
from metering.sidecar.client_port import ClientPort
from metering.sidecar.exchanged import Exchanged
from metering.sidecar.heads import AnswerHead, Headers, RequestHead
from metering.sidecar.outgoing_request import OutgoingRequest
from metering.sidecar.passing import Passing
from metering.sidecar.proxy import EnteringRequest, Hold, now_micros
from metering.sidecar.refusals import Refusal, refusal_response
from metering.sidecar.upstream import UpstreamConnection, UpstreamError
from metering.sidecar.wires import Wire, wire_of

_MAX_HELD_ERROR = 64 * 1024
_REFUSED_USAGE = (400, 422)
_CLIENT_LEFT = 499


class PassedExchange:
    """One request and its answer."""

    def __init__(self, passing: Passing, client: ClientPort, head: RequestHead) -> None:
        self.passing = passing
        self.head = head
        self.method = head.method
        self.started = now_micros()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.path = head.path
        self.wire: Wire = wire_of(head.method, self.path)
        self.caller: Caller = passing.meter.callers.caller(head)
        self.deadline = 0.0
        self.is_request_complete = False
        self.closes_after = False
        self._client: ClientPort | None = client
        self._connection: UpstreamConnection | None = None
        self._request = OutgoingRequest(
            head, self.wire, self.caller, passing.upstream.address.authority, passing.limits.max_buffered_body
        )
        self._is_started = False
        self._hold: Hold | None = None
        self._answer: AnswerHead | None = None
        self._reader: AnswerBody | None = None
        self._held: list[bytes] | None = None
        self._out: list[bytes] = []
        self._framing = AnswerFraming(version=head.version)
        self._keeps_alive = False
        self._first_byte_ms: int | None = None
        self._is_answered = False
        self._is_metered = False

    # The request, from the client.

    def body_piece(self, piece: bytes) -> None:
        """Take a piece of the request's body."""
        request = self._request
        if request.is_streamed and self._connection is not None:
            self._connection.send(request.passed(piece))
            return
        request.add(piece)
        if request.is_streamed:
            self._start_streaming()

    def request_complete(self) -> None:
        """The request has arrived whole."""
        self.is_request_complete = True
        if not self._request.is_streamed:
            self._start_whole()
        elif self._connection is not None:
            self._connection.send(self._request.end())
        else:
            self._start_streaming()

    def client_gone(self) -> None:
        """The client has closed its connection. An answer that has begun to be made is read on for its usage, for a while."""
        self._client = None
        if self._is_answered:
            return
        if self._connection is None or not self.is_request_complete:
            self._give_up(_CLIENT_LEFT if self._connection is not None else None)
            return
        self._connection.resume()
        self.deadline = min(self.deadline or 1e12, self._loop.time() + self.passing.limits.drain_seconds)

    def pause_answer(self) -> None:
        """The client is slower than the upstream."""
        if self._connection is not None:
            self._connection.pause()

    def resume_answer(self) -> None:
        """The client takes more."""
        if self._connection is not None:
            self._connection.resume()

    def expire(self) -> None:
        """The deadline has passed."""
        if self._is_answered:
            return
        if self._client is None:
            self._give_up(_CLIENT_LEFT if self._answer is None else self._answer.status)
        elif self._answer is None:
            self._fail(Refusal(504, "upstream_timeout", "the upstream did not answer in time"))
        else:
            if self._connection is not None:
                self._connection.drop()
            self.answer_fails(UpstreamError("upstream_timeout", "the upstream's answer stalled"))

    # The answer, from the upstream.

    def answer_begins(self, head: AnswerHead) -> None:
        """Pass on the head; hold back an error that may be about the usage that was asked for."""
        self._first_byte_ms = round((self._loop.time() - self._began) * 1000)
        self._answer = head
        asked = self._request.asks_for_usage
        self._reader = AnswerBody(head, hides_usage=asked)
        self._extend_deadline()
        if asked and head.status in _REFUSED_USAGE:
            self._held = []
            return
        self._write_head()

    def answer_piece(self, piece: bytes) -> None:
        """Pass on a piece of the body."""
        if self._reader is None:
            return
        passed = self._reader.feed(piece)
        if self._held is not None:
            self._held.append(passed)
            if sum(map(len, self._held)) > _MAX_HELD_ERROR:
                self._release_held()
        elif passed:
            self._out.append(self._framing.piece(passed))

    def answer_ends(self, trailers: Headers) -> None:
        """Meter the exchange, then pass on the end."""
        if self._held is not None:
            body = b"".join(self._held)
            if self._client is not None and (b"stream_options" in body or b"include_usage" in body):
                self._ask_again()
                return
            self._release_held()
        rest = b"" if self._reader is None else self._reader.finish()
        if rest:
            self._out.append(self._framing.piece(rest))
        self._out.append(self._framing.end(trailers))
        self._is_answered = True
        self._connection = None
        self._meter(None)

    def flush(self) -> None:
        """Send what was passed on since the last time, and the end once the event is as safe as the policy demands."""
        data = b"".join(self._out)
        self._out.clear()
        if self._is_answered and self._is_metered and self.passing.meter.syncs_each:
            self.passing.meter.when_synced(lambda: self._send_last(data))
        elif self._is_answered:
            self._send_last(data)
        elif data and self._client is not None:
            self._extend_deadline()
            self._client.write(data)

    def answer_fails(self, error: UpstreamError) -> None:
        """The answer will not be complete: an error if the client has seen nothing of it, else a connection that is cut."""
        self._connection = None
        if self._is_answered:
            return
        if self._answer is None or self._held is not None:
            status = 504 if error.code == "upstream_timeout" else 502
            self._fail(Refusal(status, error.code, str(error)))
            return
        self._is_answered = True
        rest = b"" if self._reader is None else self._reader.finish()
        if rest:
            self._out.append(self._framing.piece(rest))
        self._meter(None, is_cut=True)
        if self._client is not None:
            self._client.write(b"".join(self._out))
            self._client.abort()
        self._done()

    def pause_request(self) -> None:
        """The upstream is slower than the client."""
        if self._client is not None:
            self._client.pause_reading()

    def resume_request(self) -> None:
        """The upstream takes more."""
        if self._client is not None:
            self._client.resume_reading()

    # Starting.

    def _refuse_unmetered(self) -> bool:
        """Refuse an inference request that could not be recorded, if that is what the settings say."""
        if not self.wire.is_inference or not self.passing.refuses_requests:
            return False
        self._refuse(Refusal(503, "journal_full", "usage cannot be recorded: the journal is full", retry_after_seconds=5))
        return True

    def _start_whole(self) -> None:
        if not self._refuse_unmetered():
            self._start(self._request.whole(self.passing.refuse_usage))

    def _start_streaming(self) -> None:
        if self._client is not None and not self.is_request_complete:
            self._client.pause_reading()
        if self._is_started:
            return
        self._is_started = True
        if not self._refuse_unmetered():
            self._start(self._request.start())

    def _start(self, data: bytes) -> None:
        """Ask the budgets, if any could refuse the request, then send what there is of it."""
        gate = self.passing.gate
        if self.wire.is_inference and gate.is_closed:
            provider = self.passing.provider_of(self.path, self._request.facts.model)
            entering = self._request.entering(provider, self.started)
            entered = gate.try_enter(entering)
            if entered is None:
                self.passing.run(self._start_once_entered(entering, data))
                return
            if isinstance(entered, Refusal):
                self._refuse(entered)
                return
            self._hold = entered
        self._start_upstream(data)

    async def _start_once_entered(self, entering: EnteringRequest, data: bytes) -> None:
        entered = await self.passing.gate.enter(entering)
        if isinstance(entered, Refusal):
            if not self._is_answered:
                self._refuse(entered)
        elif self._is_answered:  # the client has left
            entered.release()
        else:
            self._hold = entered
            self._start_upstream(data)

    def _start_upstream(self, data: bytes) -> None:
        connection = self.passing.upstream.take()
        if connection is not None:
            self._begin(connection, data)
        else:
            self.passing.run(self._start_once_connected(data))

    async def _start_once_connected(self, data: bytes) -> None:
        try:
            connection = self.passing.upstream.take() or await self.passing.upstream.connect()
        except UpstreamError as error:
            if not self._is_answered:
                self._fail(Refusal(504 if error.code == "upstream_timeout" else 502, error.code, str(error)))
            return
        self._begin(connection, data)

    def _begin(self, connection: UpstreamConnection, data: bytes) -> None:
        request = self._request
        if self._client is None or self._is_answered:
            self.passing.upstream.keep(connection)
            self._give_up(None)
            return
        if request.is_streamed:
            data += request.waiting(is_complete=self.is_request_complete)
        self._ask(connection, data)
        if request.is_streamed:
            self._client.resume_reading()

    def _ask(self, connection: UpstreamConnection, data: bytes) -> None:
        self._connection = connection
        now = self._loop.time()
        self.deadline = now + self.passing.limits.answer_seconds
        self.passing.meter.metrics.added(now - self._began)
        connection.ask(self, data)

    def _ask_again(self) -> None:
        """Send the request as the client wrote it: the provider refuses to be asked for usage."""
        self.passing.refuse_usage.add(self._request.facts.model)
        self._held = self._answer = self._reader = self._connection = None
        self.passing.run(self._start_once_connected(self._request.as_written()))

    # Ending.

    def _send_last(self, data: bytes) -> None:
        client = self._client
        if client is not None:
            client.write(data)
            keep = self._keeps_alive and self._may_keep_alive() and not self._framing.ends_with_close
            client.exchange_done(keep_alive=keep)
        self._done()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with an error of the sidecar. The request did not reach the upstream, so it is no usage."""
        self.passing.meter.metrics.refused.labels(refusal.code).inc()
        self._is_answered = True
        self._answer_refusal(refusal)

    def _fail(self, refusal: Refusal) -> None:
        """Answer with an error about the upstream, and meter a request that failed."""
        self._is_answered = True
        self._answer = None
        self._meter(refusal.status)
        self._answer_refusal(refusal)

    def _answer_refusal(self, refusal: Refusal) -> None:
        if self._connection is not None:
            self._connection.drop()
            self._connection = None
        client = self._client
        if client is not None:
            keep = self._may_keep_alive() and self.is_request_complete
            client.write(refusal_response(refusal, self.wire.errors, keep_alive=keep))
            if self.is_request_complete:
                client.exchange_done(keep_alive=keep)
            else:
                client.discard_rest()
        self._done()

    def _give_up(self, status: int | None) -> None:
        """The client has left: close the upstream's connection; meter what was sent, estimated if nothing states its usage."""
        if self._is_answered:
            return
        self._is_answered = True
        if self._connection is not None:
            self._connection.drop()
            self._connection = None
        if status is not None:
            self._meter(None if self._answer is not None else status, is_cut=True)
        elif self._hold is not None:
            self._hold.release()
        self._done()

    def _done(self) -> None:
        self._client = None
        self.passing.exchanges.discard(self)

    def _meter(self, own_status: int | None, *, is_cut: bool = False) -> None:
        """Record the exchange with its answer's status, or with the sidecar's own if there is no answer."""
        if self._is_metered or not self.wire.is_inference:
            return
        self._is_metered = True
        answer, reader = (None, None) if own_status is not None else (self._answer, self._reader)
        status = own_status if answer is None else answer.status
        statements: dict[str, Any] = {} if reader is None else reader.statements()
        exchanged = Exchanged(
            id=self.passing.meter.new_id(),
            started=self.started,
            latency_ms=round((self._loop.time() - self._began) * 1000),
            path=self.path,
            facts=self._request.facts,
            caller=self.caller,
            status=_CLIENT_LEFT if status is None else status,
            answer=answer,
            statements=statements,
            input_tokens=self._request.input_tokens,
            text_bytes=0 if reader is None else reader.text_bytes,
            chunks=0 if reader is None else reader.chunks,
            is_text=self.wire.is_known,
            is_partial=reader is not None and reader.is_partial,
            first_byte_ms=self._first_byte_ms,
            is_stream=reader is not None and reader.is_stream,
            is_cut=is_cut,
        )
        self.passing.meter.record(exchanged, self._hold)

    # Framing.

    @property
    def has_begun_answer(self) -> bool:
        """Whether the client has seen a part of an answer."""
        return self._answer is not None and self._held is None

    def _may_keep_alive(self) -> bool:
        return self.head.keep_alive and not self.closes_after and not self.passing.is_stopping

    def _write_head(self) -> None:
        answer, reader = self._answer, self._reader
        if answer is None or reader is None:
            return
        self._framing = framing = answer_framing(answer, self.head, is_edited=reader.hides_usage)
        self._keeps_alive = self._may_keep_alive() and self.is_request_complete
        self._out.append(framing.head(answer, keep_alive=self._keeps_alive))

    def _release_held(self) -> None:
        held, self._held = self._held or [], None
        self._write_head()
        self._out += [self._framing.piece(piece) for piece in held if piece]

    def _extend_deadline(self) -> None:
        if self._client is not None:
            self.deadline = self._loop.time() + self.passing.limits.answer_idle_seconds
