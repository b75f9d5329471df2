"""Ingest one log: read it in blocks, decode them in a process of its own, store several blocks to a transaction.

What was stored before an error or an interruption stays, and handing the log in again counts nothing twice. When a log was
read to its end, its records in quarantine that were read well this time are resolved.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.usage.batches import Batch
from metering.domain.usage.outcomes import BatchResult
from metering.formats.blocks import RawBlock
from metering.formats.detect import DetectedFormat, Format, detect_format
from metering.formats.options import DecodeOptions
from metering.operations.steps.pause_collector import collector_paused
from metering.operations.usage.commit_group import CommitGroup
from metering.operations.usage.decode_apart import DecodeRequest, decode_blocks, decode_document
from metering.operations.usage.ingest import Ingester, Origin
from metering.operations.usage.read_log import STDIN, LogReader
from metering.storage.engine.database import exclusive_write, is_server
from metering.storage.usage.quarantine import resolve_replayed

MAX_ITEMS = 1_000


class LogRequest(Struct, frozen=True):
    """Which log to read and how. ``format`` is None to have it told from the content."""

    path: str
    options: DecodeOptions
    format: Format | None = None
    create_accounts: bool = False


class Progress(Struct, frozen=True):
    """How far a log has been read: bytes of the file, of ``size`` where it is known, and the result so far."""

    done: int
    size: int | None
    result: BatchResult


def ingest_log(
    engine: Engine,
    ingester: Ingester,
    request: LogRequest,
    *,
    declared_tags: frozenset[str],
    on_progress: Callable[[Progress], None] | None = None,
) -> BatchResult:
    """Ingest a log; the result keeps the first MAX_ITEMS items that were not accepted, and counts them all.

    Raises LogFormatError for a file that can not be read or told.
    """
    result = BatchResult()
    started = request.options.now
    with collector_paused(), LogReader(request.path) as reader:

        def count(stored: BatchResult) -> None:
            result.merge(stored, keep_items=MAX_ITEMS)
            if on_progress is not None:
                on_progress(Progress(reader.done, reader.size, result))

        detected = _detected(request, reader)
        origin = _origin(request, detected)
        decoding = DecodeRequest(detected.format, request.options, declared_tags)
        if detected.shape == "document":
            data = reader.document()
            count(ingester.ingest(decode_document(decoding, data), _origin_of(origin, RawBlock(data, 1, 0))))
        else:
            blocks = decode_blocks(decoding, reader.blocks(quoted=detected.format == "csv"))
            _store_in_groups(CommitGroup(ingester, ahead=is_server(engine)), blocks, origin, count)
    if origin.file:
        with exclusive_write(engine) as connection:
            resolve_replayed(connection, origin.source, origin.file, before=started, now=started)
    return result


def _detected(request: LogRequest, reader: LogReader) -> DetectedFormat:
    detected = detect_format(reader.head(), request.path, columns=request.options.columns)
    if request.format and request.format != detected.format:
        return DetectedFormat(request.format, "lines" if request.format == "csv" else detected.shape)
    return detected


def _origin(request: LogRequest, detected: DetectedFormat) -> Origin:
    return Origin(
        source=request.options.source,
        file="" if request.path == STDIN else str(Path(request.path).resolve()),
        options=msgspec.json.encode({"format": detected.format, "options": request.options}).decode(),
        create_accounts=request.create_accounts,
    )


def _store_in_groups(
    group: CommitGroup, blocks: Iterator[tuple[RawBlock, Batch]], origin: Origin, on_stored: Callable[[BatchResult], None]
) -> None:
    """Store batches, several to a commit. What was stored when the input ends or breaks off is committed and counted."""
    try:
        for block, batch in blocks:
            for result in group.add(batch, _origin_of(origin, block)):
                on_stored(result)
    finally:
        for result in group.commit():
            on_stored(result)


def _origin_of(origin: Origin, block: RawBlock) -> Origin:
    def raw_of(offset: int, length: int) -> bytes:
        start = offset - block.offset
        return block.data[start : start + length]

    return msgspec.structs.replace(origin, raw_of=raw_of)
