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
    rb'|"finish_reason"\s*:\s*"'
    rb'|"status"\s*:\s*"(?:failed|incomplete|completed|cancelled)'
)
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')


class StreamEvents:
    """Reads server-sent events from pieces of any size.

    ``hides_usage``: the chunk with nothing but the usage is left out of what ``feed`` returns, because the client did not ask
    for it. Everything else is returned unchanged, at once.
    """

    def __init__(self, *, hides_usage: bool) -> None:
        self._hides_usage = hides_usage
        self._open = b""
        self._is_first = True
        self._collected = StreamBody()
        self._events = 0
        self._bytes = 0
        self._smallest = MAX_EVENT_BYTES

    @property
    def body(self) -> dict[str, Any]:
        """What the events so far state about the whole response."""
        return self._collected.body

    @property
    def text_bytes(self) -> int:
        """About how many bytes of text the events carried: their size, less that of the smallest one for each of them."""
        return max(0, self._bytes - self._events * self._smallest) if self._events else 0

    @property
    def events(self) -> int:
        """The number of events that carried text, about: all but the first and the last two."""
        return max(0, self._events - 3)

    def feed(self, piece: bytes) -> bytes:
        """Read the next piece; return what is passed on to the client."""
        data = self._open + piece if self._open else piece
        end = _last_end(data)
        if end == 0:
            if len(data) > MAX_EVENT_BYTES:
                self._open = b""
                return data if self._hides_usage else piece
            self._open = data
            return b"" if self._hides_usage else piece
        whole = data if end == len(data) else data[:end]
        self._open = data[end:]
        self._count(whole)
        if self._is_first or _STATES_SOMETHING.search(whole):
            return self._read(whole, piece)
        return whole if self._hides_usage else piece

    def finish(self) -> bytes:
        """Read what the stream ended with, which may lack its last line end; return what is still to be passed on."""
        rest, self._open = self._open, b""
        if rest and _STATES_SOMETHING.search(rest):
            self._add(rest)
        return rest if self._hides_usage else b""

    def _count(self, whole: bytes) -> None:
        events = whole.count(b"\n\n") or 1
        self._events += events
        self._bytes += len(whole)
        if events == 1 and 24 < len(whole) < self._smallest and whole.startswith(b"data: {"):
            self._smallest = len(whole)

    def _read(self, whole: bytes, piece: bytes) -> bytes:
        separator = b"\r\n\r\n" if b"\r\n\r\n" in whole else b"\n\n"
        kept: list[bytes] = []
        for event in whole.split(separator):
            if not event:
                continue
            if (self._is_first and b"{" in event) or _STATES_SOMETHING.search(event):
                self._add(event)
                self._is_first = False
            if not (self._hides_usage and _USAGE.search(event) and _NO_CHOICES.search(event)):
                kept.append(event)
        if not self._hides_usage:
            return piece
        return b"".join(event + separator for event in kept)

    def _add(self, event: bytes) -> None:
        lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
        if not lines:
            return
        chunk = nested_json(lines[0] if len(lines) == 1 else b"\n".join(lines))
        if isinstance(chunk, dict):
            self._collected.add(chunk)


def _last_end(data: bytes) -> int:
    """Return the position after the last complete event; 0 if none is complete."""
    if data.endswith(b"\n\n"):
        return len(data)
    plain, windows = data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n")
    return max(plain + 2 if plain >= 0 else 0, windows + 4 if windows >= 0 else 0)
