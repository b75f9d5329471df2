"""Decoding in a process of its own, so that reading a log and writing the database use two cores.

A thread would not do: decoding and writing both hold the interpreter. One worker decodes the blocks of one input in order;
a few blocks are under way at once, so that neither side waits for the other. The first block is decoded here: most inputs
have no second one, and starting a process costs more than decoding a block.
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

BLOCKS_UNDER_WAY = 5  # a group's worth and one more: the decoder works on while a group is stored

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Batch).decode


class DecodeRequest(msgspec.Struct, frozen=True):
    """How one input is decoded; plain values, so that it travels to another process."""

    format: str
    options: DecodeOptions
    declared_tags: frozenset[str]


class _Worker:
    """The decoder of one input, in the process that decodes it."""

    def __init__(self, decoding: DecodeRequest) -> None:
        self._decoder = BlockDecoder(decoding.format, decoding.options, EqualRecords())
        self._builder = BatchBuilder(decoding.declared_tags)

    def decode(self, block: RawBlock) -> Batch:
        return self._builder.batch_of(self._decoder.decode(block))

    def decode_document(self, data: bytes) -> Batch:
        return self._builder.batch_of(self._decoder.decode_document(data))


def decode_document(decoding: DecodeRequest, data: bytes) -> Batch:
    """Decode one JSON document."""
    return _Worker(decoding).decode_document(data)


def decode_blocks(decoding: DecodeRequest, blocks: Iterable[RawBlock | LongLine]) -> Iterator[tuple[RawBlock, Batch]]:
    """Decode blocks in order; each comes back with its batch. A line that was passed over is an empty block's rejection.

    Raises what the input raises when it breaks off, once everything before that has come back.
    """
    readable = _Readable(blocks)
    yield from _decode(decoding, iter(readable))
    if readable.error is not None:
        raise readable.error


class _Readable:
    """Blocks up to where their input breaks off; ``error`` says why it did."""

    def __init__(self, blocks: Iterable[RawBlock | LongLine]) -> None:
        self._blocks = blocks
        self.error: LogFormatError | None = None

    def __iter__(self) -> Iterator[RawBlock | LongLine]:
        try:
            yield from self._blocks
        except LogFormatError as error:
            self.error = error


def _decode(decoding: DecodeRequest, source: Iterator[RawBlock | LongLine]) -> Iterator[tuple[RawBlock, Batch]]:
    first_blocks: list[RawBlock] = []
    for block in source:
        if isinstance(block, LongLine):
            yield _passed_over(block.record)
            continue
        first_blocks.append(block)
        if len(first_blocks) > 1:
            break
    if len(first_blocks) < 2:
        worker = _Worker(decoding)
        yield from ((block, worker.decode(block)) for block in first_blocks)
        return
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin, initargs=(decoding,))
    under_way: deque[Callable[[], tuple[RawBlock, Batch]]] = deque()
    try:
        for block in first_blocks:
            under_way.append(_submit(pool, block))
        for block in source:
            under_way.append(_submit(pool, block))
            if len(under_way) > BLOCKS_UNDER_WAY:
                yield under_way.popleft()()
        while under_way:
            yield under_way.popleft()()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # it ends while the last group is stored


def _submit(pool: ProcessPoolExecutor, block: RawBlock | LongLine) -> Callable[[], tuple[RawBlock, Batch]]:
    if isinstance(block, LongLine):
        passed_over = _passed_over(block.record)
        return lambda: passed_over
    future: Future[bytes] = pool.submit(_decode_in_worker, block)
    return lambda: (block, _unpack(future.result()))


def _passed_over(record: RejectedRecord) -> tuple[RawBlock, Batch]:
    return RawBlock(b"", record.position.line, record.position.offset), Batch([], BatchEvents.joined([]), [record], {})


_worker: _Worker | None = None


def _begin(decoding: DecodeRequest) -> None:
    global _worker  # noqa: PLW0603 - a worker process serves one input for its whole life
    end_with_parent()  # after kill -9 of the one it would wait for blocks for ever
    _worker = _Worker(decoding)
    gc.disable()  # for the same reason as in pause_collector, for the worker's whole life


def _decode_in_worker(block: RawBlock) -> bytes:
    if _worker is None:
        raise RuntimeError("the worker was not begun")
    return _pack(_worker.decode(block))
