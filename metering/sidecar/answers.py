"""What is read from an answer while it passes: its body's statements, without its content."""

import contextlib
import json
import re
import zlib
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw, Struct

from metering.formats.json_records import nested_json
from metering.sidecar.heads import AnswerHead
from metering.sidecar.stream_events import StreamEvents

MAX_KEPT_BODY = 16 * 1024 * 1024
_DECODED_WHOLE = 256 * 1024
_ERROR_BODY_BYTES = 64 * 1024


class _LargeAnswer(Struct):
    """The fields of a large answer, such as embeddings or images, that state something; its content is skipped."""

    id: Raw = Raw()
    object: Raw = Raw()
    model: Raw = Raw()
    created: Raw = Raw()
    usage: Raw = Raw()
    meta: Raw = Raw()
    error: Raw = Raw()
    status: Raw = Raw()
    type: Raw = Raw()
    duration: Raw = Raw()
    usageMetadata: Raw = Raw()  # noqa: N815 - Gemini's name
    data: Raw = Raw()
    images: Raw = Raw()


_LISTS = ("data", "images")
_decode_large = msgspec.json.Decoder(_LargeAnswer).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_END_BYTES = 16 * 1024
_NAME_IN_START = re.compile(rb'"(id|object|model)"\s*:\s*("[^"\\]{1,255}")')
_USAGE_IN_END = re.compile(rb'"usage"\s*:\s*(?=\{)')


class AnswerBody:
    """Reads the body of one answer from its pieces. ``feed`` returns what is passed on to the client."""

    def __init__(self, head: AnswerHead, *, hides_usage: bool) -> None:
        media = head.value(b"content-type").partition(b";")[0].strip().lower()
        encoding = head.value(b"content-encoding").strip().lower()
        self._media = media
        self._is_json = media.endswith(b"json") or not media
        self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in (b"gzip", b"deflate") else None
        self._is_readable = encoding in (b"", b"identity", b"gzip", b"deflate")
        self.hides_usage = hides_usage and media == b"text/event-stream" and encoding in (b"", b"identity")
        self._events = StreamEvents(hides_usage=self.hides_usage) if media == b"text/event-stream" else None
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._tail: bytes | None = None
        if head.length is not None and head.length > MAX_KEPT_BODY:
            self._tail = b""
        self._size = 0

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of events."""
        return self._events is not None

    @property
    def text_bytes(self) -> int:
        """About how many bytes of text the answer has."""
        return self._size if self._events is None else self._events.text_bytes

    @property
    def is_partial(self) -> bool:
        """Whether the usage that a stream stated so far is that of its beginning."""
        return self._events is not None and self._events.is_partial

    @property
    def chunks(self) -> int:
        """About how many chunks with text a stream had."""
        return 0 if self._events is None else self._events.events

    def feed(self, piece: bytes) -> bytes:
        """Read the next piece."""
        self._size += len(piece)
        if not self._is_readable:
            return piece
        readable = piece if self._unpack is None else self._unpacked(piece)
        if self._events is not None:
            passed = self._events.feed(readable)
            return passed if self.hides_usage else piece
        if self._is_json:
            self._keep(readable)
        return piece

    def _keep(self, readable: bytes) -> None:
        """Keep the body; of one that gets too long, its two ends."""
        if self._tail is None:
            self._kept.append(readable)
            self._kept_bytes += len(readable)
            if self._kept_bytes > MAX_KEPT_BODY:
                self._kept, self._tail = [b"".join(each[:_END_BYTES] for each in self._kept[:1])], readable[-_END_BYTES:]
            return
        if not self._kept:
            self._kept.append(readable[:_END_BYTES])
        self._tail = (self._tail + readable[-_END_BYTES:])[-_END_BYTES:]

    def finish(self) -> bytes:
        """Return what is still to be passed on."""
        return b"" if self._events is None else self._events.finish()

    def statements(self) -> dict[str, Any]:
        """Return what the body states about the response as a whole. Content may be in it; none of it is stored."""
        if self._events is not None:
            return self._events.body
        if self._media.startswith(b"image/"):
            return {"image": 1}
        if not self._kept:
            return {}
        if self._tail is not None:
            return _statements_of_ends(self._kept[0], self._tail)
        body = self._kept[0] if len(self._kept) == 1 else b"".join(self._kept)
        if len(body) > _DECODED_WHOLE:
            return _large_statements(body)
        decoded = nested_json(body)
        return decoded if isinstance(decoded, dict) else {}

    def _unpacked(self, piece: bytes) -> bytes:
        if self._unpack is None:
            return piece
        try:
            unpacked = self._unpack.decompress(piece, MAX_KEPT_BODY)
        except zlib.error:
            self._is_readable = False
            return b""
        if self._unpack.unconsumed_tail:  # much larger than any answer
            self._is_readable = False
            return b""
        return unpacked


def _large_statements(body: bytes) -> dict[str, Any]:
    try:
        read = _decode_large(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    stated: dict[str, Any] = {}
    for name in _LargeAnswer.__struct_fields__:
        value = bytes(getattr(read, name))
        if name in _LISTS and value[:1] == b"[":
            stated[name] = [{}] * len(_decode_list(value))
        elif value and len(value) <= _ERROR_BODY_BYTES:
            stated[name] = nested_json(value)
    return stated


def _statements_of_ends(start: bytes, end: bytes) -> dict[str, Any]:
    """Return what the two ends of a very long body state: names in its first bytes, the usage in its last ones.

    A quoted name in a text has a backslash before its second quote, so only the name of a field matches.
    """
    stated: dict[str, Any] = {
        name.decode(): nested_json(value) for name, value in reversed(_NAME_IN_START.findall(start)) if nested_json(value)
    }
    found = list(_USAGE_IN_END.finditer(end))
    if found:
        text = end[found[-1].end() :].decode("utf-8", "replace")
        with contextlib.suppress(ValueError, RecursionError):
            stated["usage"] = json.JSONDecoder(parse_float=Decimal).raw_decode(text)[0]
    return stated
