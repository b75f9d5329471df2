"""A log is decoded block by block: each record an event or a reason, and one bad record never costs the others.

State that crosses blocks (a CSV's header, the shift of a replay, how often the same record was seen) lives in the decoder,
so that where an input is cut into blocks changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from metering.domain.errors import LogFormatError, RecordError
from metering.domain.usage.events import DecodedBlock, DecodedEvent, Position, RejectedRecord
from metering.domain.usage.identity import fingerprint_of, raw_digest
from metering.formats.csv_columns import CsvReader
from metering.formats.items import split_items
from metering.formats.native import NativeReader
from metering.formats.openai import OpenAiReader
from metering.formats.options import DecodeOptions
from metering.formats.reading import Reading, RecordReader

Ordinals = Callable[[Sequence[str]], list[int]]

_BOM = b"\xef\xbb\xbf"


class RawBlock(Struct):
    """A piece of an input that ends at a line end, except the last: its bytes, first line (from 1) and byte offset."""

    data: bytes
    line: int
    offset: int


class BlockDecoder:
    """Decodes one input of one format.

    ``ordinals`` returns for each raw digest how many equal records came before in this input; the default counts in memory.
    Raises LogFormatError for a format nobody knows, InvalidTimeError for a zone nobody knows.
    """

    def __init__(self, format: str, options: DecodeOptions, ordinals: Ordinals | None = None) -> None:  # noqa: A002
        self._reading = Reading(options)
        self._ordinals = ordinals or _count_in_memory()
        self._csv: CsvReader | None = None
        self._reader: RecordReader
        if format == "native":
            self._reader = NativeReader(self._reading)
        elif format == "openai":
            self._reader = OpenAiReader(self._reading)
        elif format == "csv":
            self._reader = self._csv = CsvReader(self._reading)
        else:
            raise LogFormatError(f"{format[:40]!r} is not a log format; use native, openai or csv")

    def decode(self, block: RawBlock) -> DecodedBlock:
        """Decode the records of one block; blank lines are skipped. Raises LogFormatError for a CSV without its columns."""
        data, line, offset = block.data, block.line, block.offset
        if offset == 0 and data.startswith(_BOM):
            data, offset = data[3:], 3
        open_end = -1 if data.endswith(b"\n") else offset + len(data)
        records = _lines(data, line, offset) if self._csv is None else self._csv.rows(data, line, offset)
        return self._decode_records(records, open_end)

    def decode_document(self, data: bytes) -> DecodedBlock:
        """Decode one JSON document: an array, whose positions are 0-based items, or one object, at position 0.

        Raises LogFormatError (code ``not_json``) for an array that can not be split into items.
        """
        if self._csv is not None:
            return self.decode(RawBlock(data, 1, 0))
        text = data.removeprefix(_BOM).strip()
        items = split_items(text) if text.startswith(b"[") else [text]
        return self._decode_records(_placed(items, data), len(data.rstrip()))

    def _decode_records(self, records: Iterable[tuple[bytes, int, int]], open_end: int) -> DecodedBlock:
        """Decode records; ``open_end`` is the offset at which the input ends without a line end, -1 where it does not."""
        read = self._reader.read
        events: list[DecodedEvent] = []
        rejected: list[RejectedRecord] = []
        nameless: list[tuple[int, str]] = []
        for raw, line, offset in records:
            position = Position(line, offset, len(raw))
            try:
                event = read(raw)
            except RecordError as error:
                cut = error.code == "truncated_line" and offset + len(raw) != open_end
                rejected.append(self._rejected(_cut_within() if cut else error, raw, position))
                continue
            if not event.id:
                nameless.append((len(events), raw_digest(raw)))
            events.append(DecodedEvent(event, fingerprint_of(event), position))
        if nameless:
            self._name(events, nameless)
        return DecodedBlock(events, rejected, self._reading.unread.drain())

    def _rejected(self, error: RecordError, raw: bytes, position: Position) -> RejectedRecord:
        return RejectedRecord(position, raw_digest(raw), error.code, str(error), error.field, self._reader.kept(raw))

    def _name(self, events: list[DecodedEvent], nameless: list[tuple[int, str]]) -> None:
        """Give records without an id one from their bytes and their ordinal among equals."""
        ordinals = self._ordinals([digest for _, digest in nameless])
        for (index, digest), ordinal in zip(nameless, ordinals, strict=True):
            decoded = events[index]
            events[index] = replace(decoded, event=replace(decoded.event, id=f"{digest}-{ordinal}"))


def _cut_within() -> RecordError:
    return RecordError("not_json", "the record ends in the middle, and others follow it; it was cut when it was written")


def _lines(data: bytes, line: int, offset: int) -> Iterator[tuple[bytes, int, int]]:
    carriage_returns = b"\r" in data
    for whole in data.split(b"\n"):
        raw = whole.removesuffix(b"\r") if carriage_returns else whole
        if raw and not raw.isspace():
            yield raw, line, offset
        line += 1
        offset += len(whole) + 1


def _placed(items: list[bytes], data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield items with their index and offset; between two of them stand only commas and white space."""
    offset = 0
    for index, item in enumerate(items):
        offset = data.find(item, offset)
        yield item, index, offset
        offset += len(item)


def _count_in_memory() -> Ordinals:
    seen: dict[str, int] = {}

    def ordinals(digests: Sequence[str]) -> list[int]:
        found = []
        for digest in digests:
            found.append(seen.get(digest, 0))
            seen[digest] = found[-1] + 1
        return found

    return ordinals
