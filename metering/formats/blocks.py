"""Decode a log block by block. Each record becomes an event or a rejection; one bad record never costs the others.

State across blocks (a CSV's header, the shift of a replay, open streams, how often the same record occurred) is kept in the
decoder, so that the block boundaries do not affect the result.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from metering.domain.errors import DomainError, LogFormatError, RecordError
from metering.domain.usage.events import DecodedBlock, DecodedEvent, Position, RejectedRecord, UsageEvent
from metering.domain.usage.identity import fingerprint_of, raw_digest
from metering.formats.csv_columns import CsvReader
from metering.formats.items import split_items
from metering.formats.mapped_json import MappedJsonReader
from metering.formats.native import NativeReader
from metering.formats.open_streams import OpenStream, OpenStreams
from metering.formats.openai import OpenAiReader
from metering.formats.options import DecodeOptions
from metering.formats.overrides import override_of, overriding
from metering.formats.reading import Reading, RecordReader

Ordinals = Callable[[Sequence[str]], list[int]]

_BOM = b"\xef\xbb\xbf"
# A single object that fails with one of these is not a JSON document at all.
_UNREADABLE = frozenset({"not_json", "truncated_line", "invalid_utf8", "nul_byte"})


class RawBlock(Struct):
    """Part of an input, which ends at a line end unless it is the last: its bytes, first line (from 1) and byte offset."""

    data: bytes
    line: int
    offset: int


class _Found(NamedTuple):
    """What records became. ``without_id`` are the positions of events that need an ID, with the digests of their records."""

    events: list[DecodedEvent]
    rejected: list[RejectedRecord]
    without_id: list[tuple[int, str]]


class BlockDecoder:
    """Decodes one input of one format.

    ``ordinals`` returns, for each raw digest, the number of equal records before it in this input. Default: count in memory.
    Raises LogFormatError for an unknown format, InvalidTimeError for an unknown zone, DomainError for other invalid options.
    """

    def __init__(self, format: str, options: DecodeOptions, ordinals: Ordinals | None = None) -> None:  # noqa: A002
        self._reading = Reading(options)
        self._ordinals = ordinals or _count_in_memory()
        self._csv: CsvReader | None = None
        self._reader: RecordReader
        self._streams = OpenStreams()
        self._of_streams: OpenAiReader | None = None
        if format == "native":
            self._reader = NativeReader(self._reading)
        elif format == "openai":
            self._reader = self._of_streams = OpenAiReader(self._reading, self._streams)
        elif format == "csv":
            self._reader = self._csv = CsvReader(self._reading)
        elif format == "json":
            self._reader = MappedJsonReader(self._reading)
        else:
            raise LogFormatError(f"{format[:40]!r} is not a log format; use json (with a map), native, openai or csv")
        if options.columns and format not in ("csv", "json"):
            raise DomainError(f"a column map is only for CSV and for JSON of any shape (json), not for the format {format}")
        self._override = override_of(options)

    def decode(self, block: RawBlock) -> DecodedBlock:
        """Decode the records of one block. Skips blank lines. Raises LogFormatError for a CSV that lacks a column."""
        data, line, offset = block.data, block.line, block.offset
        if offset == 0 and data.startswith(_BOM):
            data, offset = data[3:], 3
        open_end = -1 if data.endswith(b"\n") else offset + len(data)
        records = _lines(data, line, offset) if self._csv is None else self._csv.rows(data, line, offset)
        return self._decode_records(records, open_end)

    def decode_whole(self, data: bytes) -> DecodedBlock:
        """Decode an input that is one block. Raises LogFormatError as ``decode``."""
        return self.decode_last(RawBlock(data, 1, 0))

    def decode_last(self, block: RawBlock) -> DecodedBlock:
        """Decode the last block of an input: its records, and what the end completes. Raises LogFormatError as ``decode``."""
        found = self.decode(block)
        ended = self.finish()
        found.events += ended.events
        found.rejected += ended.rejected
        for name, count in ended.unread_fields.items():
            found.unread_fields[name] = found.unread_fields.get(name, 0) + count
        return found

    def decode_document(self, data: bytes) -> DecodedBlock:
        """Decode one JSON document: an array, whose positions are 0-based items, or one object, at position 0.

        Raises LogFormatError (``not_json``) for a document that is not JSON, or an array that cannot be split into items.
        """
        if self._csv is not None:
            return self.decode_whole(data)
        text = data.removeprefix(_BOM).strip()
        is_array = text.startswith(b"[")
        items = split_items(text) if is_array else [text]
        block = self._decode_records(_items_with_offsets(items, data), len(data.rstrip()), is_last=True)
        if not is_array and block.rejected and block.rejected[0].code in _UNREADABLE:
            raise LogFormatError(block.rejected[0].reason, "not_json")
        block.by_index = True
        return block

    def finish(self) -> DecodedBlock:
        """Return the events of the streams that are still open. Call it once, when the input has ended.

        The position of a stream is that of its first chunk, which may be in an earlier block.
        """
        found = _Found([], [], [])
        self._complete(self._streams.finish(), found)
        return self._block_of(found)

    def _decode_records(
        self, records: Iterable[tuple[bytes, int, int]], open_end: int, *, is_last: bool = False
    ) -> DecodedBlock:
        """Decode records. ``open_end`` is the offset at which the input ends without a line end; -1 if it has one."""
        read = overriding(self._reader.read, self._override)
        found = _Found([], [], [])
        events, rejected, without_id = found
        for raw, line, offset in records:
            position = Position(line, offset, len(raw))
            try:
                event = read(raw)
            except RecordError as error:
                cut = error.code == "truncated_line" and offset + len(raw) != open_end
                rejected.append(self._rejected(_cut_record() if cut else error, raw, position))
                continue
            if not isinstance(event, UsageEvent):
                if event is not None:
                    self._complete(self._streams.add(event, raw, position), found)
                continue
            if not event.id:
                without_id.append((len(events), raw_digest(raw)))
            events.append(DecodedEvent(event, fingerprint_of(event), position))
        if is_last and self._of_streams is not None:
            self._complete(self._streams.finish(), found)
        return self._block_of(found)

    def _complete(self, streams: Sequence[OpenStream], found: "_Found") -> None:
        """Turn streams that are complete into events."""
        if self._of_streams is None:
            return
        for stream in streams:
            record, exchange = stream.exchange()
            try:
                event = self._of_streams.event_of(record, exchange)
                event = event if self._override is None else self._override(event)
            except RecordError as error:
                kept = self._of_streams.kept_of(record, exchange)
                found.rejected.append(RejectedRecord(stream.position, stream.digest, error.code, str(error), error.field, kept))
                continue
            if not event.id:
                found.without_id.append((len(found.events), stream.digest))
            found.events.append(DecodedEvent(event, fingerprint_of(event), stream.position))

    def _block_of(self, found: "_Found") -> DecodedBlock:
        if found.without_id:
            self._assign_ids(found.events, found.without_id)
        return DecodedBlock(found.events, found.rejected, self._reading.unread.drain())

    def _rejected(self, error: RecordError, raw: bytes, position: Position) -> RejectedRecord:
        return RejectedRecord(position, raw_digest(raw), error.code, str(error), error.field, self._reader.kept(raw))

    def _assign_ids(self, events: list[DecodedEvent], without_id: list[tuple[int, str]]) -> None:
        """Give records without an ID one, from their bytes and their ordinal among equal records."""
        ordinals = self._ordinals([digest for _, digest in without_id])
        for (index, digest), ordinal in zip(without_id, ordinals, strict=True):
            decoded = events[index]
            events[index] = replace(decoded, event=replace(decoded.event, id=f"{digest}-{ordinal}"))


def _cut_record() -> RecordError:
    return RecordError("not_json", "the record is cut off, and others follow it; it was written incompletely")


def _lines(data: bytes, line: int, offset: int) -> Iterator[tuple[bytes, int, int]]:
    carriage_returns = b"\r" in data
    for whole in data.split(b"\n"):
        raw = whole.removesuffix(b"\r") if carriage_returns else whole
        if raw and not raw.isspace():
            yield raw, line, offset
        line += 1
        offset += len(whole) + 1


def _items_with_offsets(items: list[bytes], data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield items with their index and offset. Only commas and white space are between two items."""
    offset = 0
    for index, item in enumerate(items):
        offset = data.find(item, offset)
        yield item, index, offset
        offset += len(item)


def _count_in_memory() -> Ordinals:
    seen: dict[str, int] = {}

    def ordinals(digests: Sequence[str]) -> list[int]:
        counts = []
        for digest in digests:
            counts.append(seen.get(digest, 0))
            seen[digest] = counts[-1] + 1
        return counts

    return ordinals
