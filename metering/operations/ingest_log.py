"""Ingest one log: read it in blocks, decode them in a process of its own, store each block in one transaction.

What was stored before an error or an interruption stays, and handing the log in again counts nothing twice. When a log was
read to its end, its records in quarantine that were read well this time are resolved.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.batches import Batch
from metering.domain.outcomes import BatchResult
from metering.formats.blocks import RawBlock
from metering.formats.detect import Detected, Format, detect_format
from metering.formats.options import DecodeOptions
from metering.operations.ingest import Ingester, Origin
from metering.operations.steps.decode_apart import Decoding, decode_blocks, decode_document
from metering.operations.steps.pause_collector import collector_paused
from metering.operations.steps.read_log import STDIN, LogReader
from metering.storage.database import writing
from metering.storage.quarantine import resolve_read_again

KEPT_ITEMS = 1_000


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
    """Ingest a log; the result keeps the first KEPT_ITEMS items that were not accepted, and counts them all.

    Raises LogFormatError for a file that can not be read or told.
    """
    result = BatchResult()
    started = request.options.now
    with collector_paused(), LogReader(request.path) as reader:
        detected = _detected(request, reader)
        origin = _origin(request, detected)
        decoding = Decoding(detected.format, request.options, declared_tags)
        if detected.shape == "document":
            data = reader.document()
            _store(ingester, RawBlock(data, 1, 0), decode_document(decoding, data), origin, result)
        else:
            blocks = reader.blocks(quoted=detected.format == "csv")
            for block, batch in decode_blocks(decoding, blocks):
                _store(ingester, block, batch, origin, result)
                if on_progress is not None:
                    on_progress(Progress(reader.done, reader.size, result))
    if origin.file:
        with writing(engine) as connection:
            resolve_read_again(connection, origin.source, origin.file, before=started, now=started)
    return result


def _detected(request: LogRequest, reader: LogReader) -> Detected:
    detected = detect_format(reader.head(), request.path, columns=request.options.columns)
    if request.format and request.format != detected.format:
        return Detected(request.format, "lines" if request.format == "csv" else detected.shape)
    return detected


def _origin(request: LogRequest, detected: Detected) -> Origin:
    return Origin(
        source=request.options.source,
        file="" if request.path == STDIN else str(Path(request.path).resolve()),
        options=msgspec.json.encode({"format": detected.format, "options": request.options}).decode(),
        create_accounts=request.create_accounts,
    )


def _store(ingester: Ingester, block: RawBlock, batch: Batch, origin: Origin, result: BatchResult) -> None:
    def raw_of(offset: int, length: int) -> bytes:
        start = offset - block.offset
        return block.data[start : start + length]

    stored = ingester.ingest(batch, msgspec.structs.replace(origin, raw_of=raw_of))
    result.merge(stored, keep_items=KEPT_ITEMS)
