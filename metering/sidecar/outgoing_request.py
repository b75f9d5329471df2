"""A request on its way to the upstream: held until it is whole, or passed on as it arrives.

A body that may be JSON is held, because the model and the stream's options are in it. Every other body, and one that is too
long, is passed on as it arrives, and only its start is read.
"""

from collections.abc import Container

from metering.sidecar.callers import SESSION, Caller
from metering.sidecar.estimates import embedded_data, prompt_tokens
from metering.sidecar.heads import RequestHead, upstream_head
from metering.sidecar.proxy import EnteringRequest
from metering.sidecar.request_facts import BodyFacts, facts_of, facts_of_part, with_usage_asked_for
from metering.sidecar.wires import Wire

_READ_OF_LONG_BODY = 64 * 1024


class OutgoingRequest:
    """One request. ``asks_for_usage``: the stream's usage was asked for in addition to what the client asked for."""

    def __init__(self, head: RequestHead, wire: Wire, caller: Caller, authority: bytes, max_held: int) -> None:
        self._head = head
        self._wire = wire
        self._caller = caller
        self._authority = authority
        self._max_held = max_held
        self._pieces: list[bytes] = []
        self._size = 0
        self._original = b""
        self._start = b""
        self._is_searched = False
        self.is_streamed = not self._may_be_held()
        self.facts = BodyFacts()
        self.input_tokens = 0

    @property
    def asks_for_usage(self) -> bool:
        """Whether usage was asked for."""
        return bool(self._original)

    @property
    def unread_bytes(self) -> int:
        """The size of a JSON body that is not read whole, as far as it is known; 0 for all others."""
        return max(self._head.length or 0, self._size) if self.is_streamed and self._is_json() else 0

    def entering(self, provider: str, started: int) -> EnteringRequest:
        """Return what the budgets' gate is asked."""
        return EnteringRequest(
            caller=self._caller,
            path=self._head.path,
            provider=provider,
            facts=self.facts,
            input_tokens=self.input_tokens,
            body_bytes=self._head.length or 0,
            unread_bytes=self.unread_bytes,
            started=started,
        )

    def add(self, piece: bytes) -> None:
        """Keep a piece of the body until it can be sent. One that gets too long is streamed."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self.is_streamed:
            self._search(piece)
        elif self._size > self._max_held:
            self.is_streamed = True
            self._search(b"".join(self._pieces))

    def whole(self, refuse_usage: Container[str]) -> bytes:
        """Return the request, which has arrived whole. ``refuse_usage`` are models that cannot be asked for usage."""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        if self._wire.is_inference:
            self.facts = facts_of(body, speaks=self._wire.name == "speech")
            self.input_tokens = prompt_tokens(self.facts, embedded_data(body))
        facts = self.facts
        if (
            self._wire.asks_for_usage
            and facts.is_stream
            and not facts.states_stream_options
            and facts.model not in refuse_usage
        ):
            self._original = body
            body = with_usage_asked_for(body, facts.stream_options)
        return self._head_for(len(body)) + body

    def as_written(self) -> bytes:
        """Return the request again, as the client wrote it."""
        body, self._original = self._original, b""
        return self._head_for(len(body)) + body

    def start(self) -> bytes:
        """Return the head of a request that is streamed."""
        return self._head_for(self._head.length)

    def waiting(self, *, is_complete: bool) -> bytes:
        """Return the pieces that were kept while the connection was opened."""
        data = b"".join(map(self.framed, self._pieces))
        self._pieces.clear()
        return data + self.end() if is_complete else data

    def passed(self, piece: bytes) -> bytes:
        """Read the next piece of a streamed body; return it as it is sent."""
        self._search(piece)
        return self.framed(piece)

    def _search(self, piece: bytes) -> None:
        """Look for the model in the start of a streamed body, which arrives in pieces of any size."""
        if self._is_searched or not self._wire.is_inference:
            return
        self._start += piece[:_READ_OF_LONG_BODY]
        self.facts = facts_of_part(self._start)
        if self.facts.model or len(self._start) >= _READ_OF_LONG_BODY:
            self._is_searched, self._start = True, b""

    def framed(self, piece: bytes) -> bytes:
        """Return a piece of a streamed body with its framing."""
        return piece if self._head.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece)

    def end(self) -> bytes:
        """Return what ends a streamed body."""
        return b"0\r\n\r\n" if self._head.length is None else b""

    def _may_be_held(self) -> bool:
        head = self._head
        if not self._wire.is_inference or head.value(b"content-encoding") not in (b"", b"identity"):
            return False
        return self._is_json() and (head.length is None or head.length <= self._max_held)

    def _is_json(self) -> bool:
        media = self._head.value(b"content-type").partition(b";")[0].strip().lower()
        return not media or media.endswith(b"json")

    def _head_for(self, length: int | None) -> bytes:
        session = self._caller.session
        added = [] if not session or self._head.value(SESSION) else [(SESSION, session.encode("ascii", "replace"))]
        return upstream_head(self._head, self._authority, length, plain_answer=self._wire.is_inference, added=added)
