"""The events of a stream as they pass: which chunks state something, and which one the client did not ask for.

Most chunks carry a piece of text and state nothing else, so a chunk is decoded only if it is the first, or contains a field
that states something. Nothing of their text is kept.
"""

import re
from typing import Any

from metering.formats.json_records import nested_json
from metering.formats.stream_body import StreamBody

# An event that never ends is passed on after this many bytes, without being read.
MAX_EVENT_BYTES = 8 * 1024 * 1024

# A field with a value: many streams state ``"usage":null`` in every chunk.
_STATES_SOMETHING = re.compile(
    rb'"(?:usage|usageMetadata|usage_metadata|error)"\s*:\s*[^n\s]'
    rb'|"type"\s*:\s*"error"'
    rb'|"finish_reason"\s*:\s*"'
    rb'|"status"\s*:\s*"(?:failed|incomplete|completed|cancelled)'
)
# The end of an event: an empty line.
_END_BYTES = 3  # of an end that is not complete
_END = re.compile(rb"\r?\n\r?\n")
# An event of at most this size has no text, such as a comment or the end of the stream.
_NO_TEXT_BYTES = 24
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')


class StreamEvents:
    """Reads server-sent events from pieces of any size.

    ``hides_usage``: the chunk with nothing but the usage is left out of what ``feed`` returns, because the client did not ask
    for it. Everything else is returned unchanged, at once.
    """

    def __init__(self, *, hides_usage: bool) -> None:
        self._hides_usage = hides_usage
        self._open: list[bytes] = []
        self._open_size = 0
        self._open_end = b""
        self._is_first = True
        self._collected = StreamBody()
        self._events = 0
        self._bytes = 0
        self._smallest = 2 * MAX_EVENT_BYTES
        self._has_final_usage = False

    @property
    def body(self) -> dict[str, Any]:
        """What the events so far state about the whole response."""
        return self._collected.body

    @property
    def is_partial(self) -> bool:
        """Whether the usage so far is the one that a stream of the Messages API begins with: its output is not known yet."""
        return "usage" in self._collected.body and not self._has_final_usage

    @property
    def text_bytes(self) -> int:
        """About how many bytes of text the events carried: their size, less that of the smallest one for each of them."""
        return self._bytes - self._events * self._smallest if self._events else 0

    @property
    def events(self) -> int:
        """The number of events that carried text: all but the first, and those that state something."""
        return self._events

    def feed(self, piece: bytes) -> bytes:
        """Read the next piece; return what is passed on to the client."""
        if _is_one_event(piece) and not (self._open or self._is_first or _STATES_SOMETHING.search(piece)):
            self._add_text(len(piece) - 2)
            return piece
        if self._open:
            joint = self._open_end + piece
            end = _last_end(joint)
            if end == 0:
                return self._wait(piece)
            data = b"".join((*self._open, piece))
            end += len(data) - len(joint)
            self._open = []
        else:
            data, end = piece, _last_end(piece)
            if end == 0:
                return self._wait(piece)
        whole = data
        if end != len(data):
            whole = data[:end]
            self._wait(data[end:])
        if self._is_first or _STATES_SOMETHING.search(whole):
            return self._read(whole, piece)
        self._count(whole)
        return whole if self._hides_usage else piece

    def _wait(self, piece: bytes) -> bytes:
        """Keep a part of an event until its end arrives; return what is passed on by then."""
        if not self._open:
            self._open_size, self._open_end = 0, b""
        self._open.append(piece)
        self._open_size += len(piece)
        self._open_end = (self._open_end + piece[-_END_BYTES:])[-_END_BYTES:]
        waiting = b""
        if self._open_size > MAX_EVENT_BYTES:
            waiting, self._open = b"".join(self._open), []
        return waiting if self._hides_usage else piece

    def finish(self) -> bytes:
        """Read what the stream ended with, which may lack its last line end; return what is still to be passed on."""
        rest, self._open = b"".join(self._open), []
        if not rest:
            return b""
        passed = self._read_event(rest)
        return passed if self._hides_usage else b""

    def _count(self, whole: bytes) -> None:
        """Count the events that carry text: those without a name, and deltas."""
        for each in (whole,) if whole.count(b"\n\n") == 1 else _END.split(whole):
            event = each.strip(b"\r\n")
            size = len(event)
            if size > _NO_TEXT_BYTES and (event.startswith(b"data: {") or (event.startswith(b"event") and b"delta" in event)):
                self._add_text(size)

    def _add_text(self, size: int) -> None:
        self._events += 1
        self._bytes += size
        self._smallest = min(self._smallest, size)

    def _read(self, whole: bytes, piece: bytes) -> bytes:
        kept: list[bytes] = []
        start = 0
        for end in _END.finditer(whole):
            kept.append(self._read_event(whole[start : end.end()]))
            start = end.end()
        kept.append(whole[start:])  # more empty lines
        return b"".join(kept) if self._hides_usage else piece

    def _read_event(self, event: bytes) -> bytes:
        """Read one event with its end; return what is passed on of it."""
        states_something = _STATES_SOMETHING.search(event) is not None
        if states_something or (self._is_first and b"{" in event):
            self._add(event)
        else:
            self._count(event)
        if states_something and self._hides_usage and _USAGE.search(event) and _NO_CHOICES.search(event):
            return event[: len(event) - len(event.lstrip(b"\r\n"))]
        return event

    def _add(self, event: bytes) -> None:
        lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
        if not lines:
            return
        chunk = nested_json(lines[0] if len(lines) == 1 else b"\n".join(lines))
        if isinstance(chunk, dict):
            self._is_first = False
            self._collected.add(chunk)
            self._has_final_usage = self._has_final_usage or chunk.get("type") != "message_start"


def _is_one_event(piece: bytes) -> bool:
    """Whether a piece is exactly one event of the usual kind, and may have text."""
    return (
        piece.endswith(b"}\n\n")
        and piece.startswith(b"data: {")
        and len(piece) > _NO_TEXT_BYTES + 2
        and piece.find(b"\n\n", 0, -1) < 0
        and b"\r" not in piece
    )


def _last_end(data: bytes) -> int:
    """Return the position after the last complete event; 0 if none is complete."""
    if data.endswith(b"\n\n"):
        return len(data)
    plain, windows = data.rfind(b"\n\n"), data.rfind(b"\n\r\n")
    return max(plain + 2 if plain >= 0 else 0, windows + 3 if windows >= 0 else 0)
