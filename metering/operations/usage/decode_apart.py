"""Decode a log in a worker process, so that decoding and writing to the database use two cores.

A thread would not help: decoding and writing both hold the interpreter. One worker decodes the blocks of one input in order,
with a few blocks in progress at once, so that neither side waits for the other. The first block is decoded in this process:
most inputs have no second one, and starting a process takes longer than decoding a block.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import msgspec

from metering.domain.errors import LogFormatError
from metering.domain.usage.batch_events import BatchEvents
from metering.domain.usage.batches import Batch, BatchBuilder
from metering.domain.usage.events import RejectedRecord
from metering.formats.blocks import BlockDecoder, RawBlock
from metering.formats.options import DecodeOptions
from metering.operations.steps.end_with_parent import end_with_parent
from metering.operations.usage.read_log import LongLine
from metering.storage.usage.equal_records import EqualRecords

BLOCKS_IN_PROGRESS = 5  # a group's worth and one more, so that decoding goes on while a group is stored

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Batch).decode


class DecodeRequest(msgspec.Struct, frozen=True):
    """How to decode one input. Plain values, so that it can be passed to another process."""

    format: str
    options: DecodeOptions
    declared_tags: frozenset[str]


class _Worker:
    """The decoder of one input, in the process that decodes it."""

    def __init__(self, request: DecodeRequest) -> None:
        self._decoder = BlockDecoder(request.format, request.options, EqualRecords())
        self._builder = BatchBuilder(request.declared_tags, request.options.source if request.options.source_is_derived else "")

    def decode(self, block: RawBlock) -> Batch:
        return self._builder.batch_of(self._decoder.decode(block))

    def decode_document(self, data: bytes) -> Batch:
        return self._builder.batch_of(self._decoder.decode_document(data))

    def finish(self) -> Batch:
        return self._builder.batch_of(self._decoder.finish())


def decode_document(request: DecodeRequest, data: bytes) -> Batch:
    """Decode one JSON document. Raises LogFormatError (``not_json``) if it is not JSON."""
    return _Worker(request).decode_document(data)


def decode_blocks(request: DecodeRequest, blocks: Iterable[RawBlock | LongLine]) -> Iterator[tuple[RawBlock, Batch]]:
    """Decode blocks in order; yield each with its batch. A skipped line is yielded as an empty block with one rejection.

    If reading the input fails, everything before the failure is yielded before the error is raised.
    """
    readable = _ReadableBlocks(blocks)
    yield from _decode(request, iter(readable))
    if readable.error is not None:
        raise readable.error


class _ReadableBlocks:
    """The blocks up to where reading their input fails; ``error`` is then the reason."""

    def __init__(self, blocks: Iterable[RawBlock | LongLine]) -> None:
        self._blocks = blocks
        self.error: LogFormatError | None = None

    def __iter__(self) -> Iterator[RawBlock | LongLine]:
        try:
            yield from self._blocks
        except LogFormatError as error:
            self.error = error


def _decode(request: DecodeRequest, source: Iterator[RawBlock | LongLine]) -> Iterator[tuple[RawBlock, Batch]]:
    first_blocks: list[RawBlock] = []
    for block in source:
        if isinstance(block, LongLine):
            yield _rejected_line(block.record)
            continue
        first_blocks.append(block)
        if len(first_blocks) > 1:
            break
    if len(first_blocks) < 2:
        worker = _Worker(request)
        yield from ((block, worker.decode(block)) for block in first_blocks)
        yield from _with_content(worker.finish())
        return
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(request,))
    in_progress: deque[Callable[[], tuple[RawBlock, Batch]]] = deque()
    try:
        for block in first_blocks:
            in_progress.append(_submit(pool, block))
        for block in source:
            in_progress.append(_submit(pool, block))
            if len(in_progress) > BLOCKS_IN_PROGRESS:
                yield in_progress.popleft()()
        while in_progress:
            yield in_progress.popleft()()
        yield from _with_content(_unpack(pool.submit(_finish_in_worker).result()))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # the worker exits while the last group is stored


def _with_content(batch: Batch) -> Iterator[tuple[RawBlock, Batch]]:
    """Yield what the end of the input completed, if anything, with an empty block: its records are in earlier ones."""
    if len(batch.events) or batch.rejected or batch.unread_fields:
        yield RawBlock(b"", 0, 0), batch


def _submit(pool: ProcessPoolExecutor, block: RawBlock | LongLine) -> Callable[[], tuple[RawBlock, Batch]]:
    if isinstance(block, LongLine):
        rejected = _rejected_line(block.record)
        return lambda: rejected
    future: Future[bytes] = pool.submit(_decode_in_worker, block)
    return lambda: (block, _unpack(future.result()))


def _rejected_line(record: RejectedRecord) -> tuple[RawBlock, Batch]:
    return RawBlock(b"", record.position.line, record.position.offset), Batch([], BatchEvents.joined([]), [record], {})


_worker: _Worker | None = None


def _start_worker(request: DecodeRequest) -> None:
    global _worker  # noqa: PLW0603 - a worker process decodes one input in its lifetime
    end_with_parent()  # if the parent is killed, the worker would otherwise never end
    _worker = _Worker(request)
    gc.disable()  # for the reason given in pause_collector


def _decode_in_worker(block: RawBlock) -> bytes:
    if _worker is None:
        raise RuntimeError("the worker was not started")
    return _pack(_worker.decode(block))


def _finish_in_worker() -> bytes:
    if _worker is None:
        raise RuntimeError("the worker was not started")
    return _pack(_worker.finish())
