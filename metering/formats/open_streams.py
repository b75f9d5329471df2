"""Streams that a log records with one chunk a line: grouped by response ID, so that each is one event.

A stream is complete when the input ends, or when its ID begins another response. Of more than MAX_OPEN_STREAMS, the one that
has waited longest for a chunk is taken as complete. What is kept of a chunk is bounded, and none of it is content.
"""

from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from metering.domain.usage.events import Position
from metering.domain.usage.identity import may_repeat, raw_digest
from metering.formats.openai_exchange import Exchange
from metering.formats.stream_body import StreamBody

MAX_OPEN_STREAMS = 10_000

# Events of Anthropic streams that state nothing about the response as a whole.
_WITHOUT_STATEMENT = frozenset({"content_block_start", "content_block_delta", "content_block_stop", "ping", "message_stop"})
_ANTHROPIC_EVENTS = frozenset({"message_start", "message_delta", *_WITHOUT_STATEMENT})
_NAMES_OF_A_REQUEST = ("id", "model", "request", "response", "time")
_READ_APART = frozenset({"request", "response", "message", "usage", "x_groq", "delta", "error"})
_REPEATS_AFTER_SECONDS = 3_600
_MAX_KEPT_FIELDS = 64
_MAX_KEPT_TEXT = 1_024


class StreamPart(Struct):
    """A record that is one chunk of a stream. ``key`` is the response's ID; empty if the chunk does not state one."""

    key: str
    record: dict[str, Any]
    exchange: Exchange
    chunk: dict[str, Any]

    @property
    def is_whole(self) -> bool:
        """Whether the record is a request with the last chunk of its response: the logger kept no others."""
        return self.record is not self.chunk and bool(self.exchange.request) and bool(self.chunk.get("usage"))


class OpenStream(Struct):
    """The chunks so far of one stream: the first record without its content, and what all of them state.

    ``position`` and ``digest`` are those of the first chunk, ``created`` is the time that it states. ``is_bare``: the records
    are the chunks themselves, without a logger's fields around them.
    """

    key: str
    record: dict[str, Any]
    around: Exchange
    collected: StreamBody
    position: Position
    digest: str
    created: Any
    is_bare: bool

    def exchange(self) -> tuple[dict[str, Any], Exchange]:
        """Return the record and the exchange that the same response would have without streaming."""
        body = self.collected.body
        record = {**self.record, **body} if self.is_bare else self.record
        return record, replace(self.around, response=record if self.is_bare else body, is_wrapped=not self.is_bare)


def stream_part(record: dict[str, Any], exchange: Exchange) -> StreamPart | None:
    """Return the record as a chunk of a stream; None if it is a whole response."""
    if exchange.is_collected:
        return None
    chunk, kind = record, _kind(record)
    if kind is None and exchange.response is not record:
        chunk, kind = exchange.response, _kind(exchange.response)
    if kind is None:
        return None
    inner = chunk.get("response") if kind == "responses" else chunk.get("message") if kind == "message" else None
    stated = inner if isinstance(inner, dict) else chunk
    key = stated.get("id") or (record.get("id") if record is not chunk else "")
    return StreamPart(key if isinstance(key, str) else "", record, exchange, chunk)


def says_nothing(part: StreamPart) -> bool:
    """Whether a chunk states nothing about the response as a whole, such as a piece of its text."""
    kind = part.chunk.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        return not isinstance(part.chunk.get("response"), dict)
    return isinstance(kind, str) and kind in _WITHOUT_STATEMENT


class OpenStreams:
    """The streams of one input that have begun."""

    def __init__(self, limit: int = MAX_OPEN_STREAMS) -> None:
        self._limit = limit
        self._open: dict[str, OpenStream] = {}
        self._newest = ""

    def add(self, part: StreamPart, raw: bytes, position: Position) -> list[OpenStream]:
        """Add a chunk to its stream, or begin one; return the streams that are complete now."""
        complete = []
        key = part.key or self._newest
        stream = self._open.pop(key, None)
        if stream is not None and _is_another_response(stream, part.chunk):
            complete.append(stream)
            stream = None
        is_first = stream is None
        if stream is None:
            stream = _begun(key, part, raw, position)
        elif not stream.is_bare and stream.record.get("id") != part.record.get("id"):
            stream.record.pop("id", None)  # the logger numbers lines, not requests
        stream.collected.add(part.chunk)
        if is_first and part.is_whole:
            return [*complete, stream]
        self._open[key] = stream  # last in order: it has waited the shortest
        self._newest = key
        if len(self._open) > self._limit:
            complete.append(self._open.pop(next(iter(self._open))))
        return complete

    def take_error(self, record: dict[str, Any], exchange: Exchange) -> StreamPart | None:
        """Return a record that is the error of the stream before it; None if it names a separate request."""
        if not self._open or not record.get("error") or any(record.get(name) for name in _NAMES_OF_A_REQUEST):
            return None
        return StreamPart("", record, exchange, record)

    def finish(self) -> list[OpenStream]:
        """Return the streams that are open, in the order in which they began; none is open afterward."""
        streams, self._open = list(self._open.values()), {}
        return sorted(streams, key=lambda stream: (stream.position.line, stream.position.offset))


def _kind(chunk: dict[str, Any]) -> str | None:
    """Return the API that streams a chunk; None if this is none."""
    named = chunk.get("object")
    if named == "chat.completion.chunk":
        return "chat"
    if named == "text_completion":
        return "completion" if _is_unfinished(chunk) else None
    event = chunk.get("type")
    if not isinstance(event, str):
        return None
    if event in _ANTHROPIC_EVENTS:
        return "message"
    return "responses" if event.startswith("response.") else None


def _is_unfinished(chunk: dict[str, Any]) -> bool:
    """Whether a text completion is a chunk: it has no usage, or no choice, or a choice that goes on."""
    choices = chunk.get("choices")
    if not chunk.get("usage") or choices == []:
        return True
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and "finish_reason" in choice and choice["finish_reason"] is None for choice in choices
    )


def _is_another_response(stream: OpenStream, chunk: dict[str, Any]) -> bool:
    created, before = chunk.get("created"), stream.created
    if isinstance(created, int | Decimal) and isinstance(before, int | Decimal):
        try:
            apart = abs(Decimal(created) - before)
            if apart > _REPEATS_AFTER_SECONDS or (apart and stream.collected.is_closed and may_repeat(stream.key)):
                return True
        except ArithmeticError:  # NaN
            return False
    return stream.collected.continues_finished(chunk) and may_repeat(stream.key)


def _begun(key: str, part: StreamPart, raw: bytes, position: Position) -> OpenStream:
    return OpenStream(
        key=key,
        record=_kept(part.record),
        around=replace(part.exchange, request=_kept(part.exchange.request), response={}, is_collected=True),
        collected=StreamBody(),
        position=position,
        digest=raw_digest(raw),
        created=part.chunk.get("created"),
        is_bare=part.record is part.chunk,
    )


def _kept(record: dict[str, Any], depth: int = 2) -> dict[str, Any]:
    """Return the fields of a record that are not content: single values that are short, and small objects of them."""
    kept: dict[str, Any] = {}
    for name, value in record.items():
        if len(kept) >= _MAX_KEPT_FIELDS:
            break
        if isinstance(value, dict):
            if depth and name not in _READ_APART:
                kept[name] = _kept(value, depth - 1)
        elif value is None or isinstance(value, int | Decimal) or (isinstance(value, str) and len(value) <= _MAX_KEPT_TEXT):
            kept[name] = value
    return kept
