"""Ingest one log: read it in blocks, decode them in a worker process, store several blocks per transaction.

Whatever was stored before an error or an interruption stays stored, and ingesting the log again counts nothing twice. Once a
log has been read to its end, those of its records in quarantine that are no longer rejected are resolved.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.usage.batches import Batch
from metering.domain.usage.outcomes import BatchResult
from metering.formats.blocks import RawBlock
from metering.formats.detect import DetectedFormat, Format, detect_format, stated_format
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
    """Which log to read and how. With ``format`` None, the format is detected from the content."""

    path: str
    options: DecodeOptions
    format: Format | None = None
    create_accounts: bool = False


class Progress(Struct, frozen=True):
    """How far a log has been read: ``done`` bytes of ``size`` (None: unknown), and the result up to there."""

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
    """Ingest a log. The result counts every record and lists the first MAX_ITEMS that were rejected, conflicts or copies.

    Raises LogFormatError for an input that cannot be read, or whose format cannot be detected, and DomainError for options that
    are not valid.
    """
    request.options.check()
    result = BatchResult()
    started = request.options.now
    with collector_paused(), LogReader(request.path) as reader:

        def count(stored: BatchResult) -> None:
            result.merge(stored, keep_items=MAX_ITEMS)
            if on_progress is not None:
                on_progress(Progress(reader.done, reader.size, result))

        detected = detected_format(request, reader)
        origin = _origin(request, detected)
        decode_request = DecodeRequest(detected.format, request.options, declared_tags)
        if detected.shape == "document":
            data = reader.document()
            count(ingester.ingest(decode_document(decode_request, data), _origin_of_block(origin, RawBlock(data, 1, 0))))
        else:
            blocks = decode_blocks(decode_request, reader.blocks(quoted=detected.format == "csv"))
            _store_in_groups(CommitGroup(ingester, pipelined=is_server(engine)), blocks, origin, count)
    if origin.file:
        with exclusive_write(engine) as connection:
            resolve_replayed(connection, origin.source, origin.file, before=started, now=started)
    return result


def detected_format(request: LogRequest, reader: LogReader) -> DetectedFormat:
    """Return the stated format of a log, or the one that its content shows. Raises LogFormatError."""
    if request.format is not None:
        return stated_format(request.format, reader.head(), request.path)
    return detect_format(reader.head(), request.path, columns=request.options.columns)


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
    """Store batches, several per commit. Pending batches are also committed and counted if reading the input fails."""
    try:
        for block, batch in blocks:
            for result in group.add(batch, _origin_of_block(origin, block)):
                on_stored(result)
    finally:
        for result in group.commit():
            on_stored(result)


def _origin_of_block(origin: Origin, block: RawBlock) -> Origin:
    def raw_of(offset: int, length: int) -> bytes:
        start = offset - block.offset
        # A stream that is completed in a later block than its first chunk is not in that block's bytes.
        return block.data[start : start + length] if start >= 0 else b""

    return msgspec.structs.replace(origin, raw_of=raw_of)
