"""Read a log in blocks of whole lines, in bounded memory: a file, a gzip file, or standard input.

A block ends at a line end; for CSV, outside of quotes. A line over the limit is skipped and reported, and none of it is kept.
If an input is cut off or damaged, all whole lines before the damage are returned before the error is raised.
"""

import gzip
import sys
import zlib
from collections.abc import Iterator
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import Self, cast

from msgspec import Struct

from metering.domain.errors import LogFormatError
from metering.domain.usage.events import Position, RejectedRecord
from metering.formats.blocks import RawBlock

BLOCK_BYTES = 2 * 1024 * 1024
BLOCK_LINES = 16_384
MAX_LINE_BYTES = 1024 * 1024
# How far an open quote is followed. After a stray quote, no line end would ever be outside of quotes.
MAX_QUOTED_LINES = 256
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
HEAD_BYTES = 64 * 1024
STDIN = "-"
_GZIP_MAGIC = b"\x1f\x8b"


class LongLine(Struct, frozen=True):
    """A line that was skipped because it is longer than MAX_LINE_BYTES."""

    record: RejectedRecord


class LogReader:
    """An open input. ``size`` is its length on disk (None: unknown), ``done`` the number of bytes read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.size: int | None = None
        self._plain = self._open()
        self._stream: BufferedIOBase = self._plain
        if self._plain.peek(2)[:2] == _GZIP_MAGIC:
            self._stream = gzip.GzipFile(fileobj=self._plain)
        self._buffer = b""
        self._ended = False
        self._damage: LogFormatError | None = None
        self._offset = 0
        self._line = 1

    def _open(self) -> BufferedReader:
        if self.path == STDIN:
            return cast("BufferedReader", sys.stdin.buffer)
        try:
            file = Path(self.path).open("rb")  # noqa: SIM115 - closed by close()
            self.size = Path(self.path).stat().st_size
        except OSError as error:
            raise LogFormatError(f"{self.path}: {error.strerror or error}", "unreadable_file") from None
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.path != STDIN:
            self._plain.close()

    @property
    def done(self) -> int:
        """The number of bytes of the file that have been read; compressed bytes for a gzip file."""
        return self._plain.tell() if self.path != STDIN else self._offset

    def head(self) -> bytes:
        """Return the first bytes without consuming them, for format detection. Raises LogFormatError if none are readable."""
        self._fill(HEAD_BYTES)
        if self._damage is not None and not self._buffer:
            raise self._damage
        return self._buffer[:HEAD_BYTES]

    def document(self) -> bytes:
        """Return the whole input. Raises LogFormatError if it is over MAX_DOCUMENT_BYTES or cut off."""
        self._fill(MAX_DOCUMENT_BYTES + 1)
        if self._damage is not None:
            raise self._damage
        if len(self._buffer) > MAX_DOCUMENT_BYTES:
            raise LogFormatError(
                f"{self.path}: the JSON document is over {MAX_DOCUMENT_BYTES >> 20} MiB; write one record per line (NDJSON)"
            )
        return self._buffer

    def blocks(self, *, quoted: bool) -> Iterator[RawBlock | LongLine]:
        """Yield the input in blocks. ``quoted``: line ends inside double quotes do not end a record (CSV).

        Raises LogFormatError after the readable part of a damaged input.
        """
        while True:
            self._fill(BLOCK_BYTES)
            whole = self._ended and self._damage is None
            cut = len(self._buffer) if whole else _last_line_end(self._buffer, quoted=quoted)
            if self._damage is not None and cut == 0:
                raise self._damage
            if not self._buffer:
                return
            if cut == 0 or (self._ended and len(self._buffer) > MAX_LINE_BYTES and b"\n" not in self._buffer):
                yield self._long_line(b"")
                continue
            block, self._buffer = self._buffer[:cut], self._buffer[cut:]
            yield from self._pieces(block, quoted=quoted)

    def _pieces(self, block: bytes, *, quoted: bool) -> Iterator[RawBlock | LongLine]:
        """Split a block at lines that are too long and at BLOCK_LINES."""
        lines = block.count(b"\n")
        if lines <= BLOCK_LINES and not _has_long_line(block):
            yield self._take(block, lines)
            return
        piece: list[bytes] = []
        quotes = 0
        for line in block.splitlines(keepends=True) if b"\r" not in block else _lines(block):
            if len(line) > MAX_LINE_BYTES:
                if piece:
                    yield self._take(b"".join(piece), len(piece))
                    piece, quotes = [], 0
                yield self._long_line(line)
                continue
            piece.append(line)
            quotes += line.count(b'"') if quoted else 0
            if len(piece) >= BLOCK_LINES and (quotes % 2 == 0 or len(piece) >= BLOCK_LINES + MAX_QUOTED_LINES):
                yield self._take(b"".join(piece), len(piece))
                piece, quotes = [], 0
        if piece:
            yield self._take(b"".join(piece), len(piece))

    def _take(self, block: bytes, lines: int) -> RawBlock:
        raw = RawBlock(block, self._line, self._offset)
        self._offset += len(block)
        self._line += lines
        return raw

    def _long_line(self, start: bytes) -> LongLine:
        """Skip one long line. ``start`` is the whole line, or empty if only its beginning is in the buffer."""
        length = len(start)
        if not start:
            while True:
                end = self._buffer.find(b"\n")
                taken = len(self._buffer) if end < 0 else end + 1
                length += taken
                self._buffer = self._buffer[taken:]
                if end >= 0 or self._ended:
                    break
                self._fill(BLOCK_BYTES)
        position = Position(self._line, self._offset, length)
        self._offset += length
        self._line += 1
        reason = (
            f"the line has {length} bytes, more than the limit of {MAX_LINE_BYTES}; log usage without prompts and completions"
        )
        return LongLine(RejectedRecord(position, "", "line_too_long", reason))

    def _fill(self, size: int) -> None:
        parts = [self._buffer]
        have = len(self._buffer)
        while have < size and not self._ended:
            try:
                # One read at a time: a longer read that hits the damage loses what it has already decompressed.
                part = self._stream.read1(size - have)
            except (EOFError, gzip.BadGzipFile, zlib.error):
                self._damage = LogFormatError(
                    f"{self.path}: the gzip data is cut off or damaged after {self._offset + have} bytes of content;"
                    " the complete lines before that were read",
                    "damaged_file",
                )
                part = b""
            if not part:
                self._ended = True
            parts.append(part)
            have += len(part)
        self._buffer = b"".join(parts)


def _last_line_end(data: bytes, *, quoted: bool) -> int:
    """Return where the last whole record of ``data`` ends; 0 if there is none.

    If no line end near the last one is outside of quotes, a quote is stray and the last line end is used.
    """
    last = cut = data.rfind(b"\n") + 1
    quotes = data.count(b'"', 0, last) if quoted else 0
    for _ in range(MAX_QUOTED_LINES):
        if quotes % 2 == 0:
            break
        start = data.rfind(b"\n", 0, cut - 1) + 1
        quotes -= data.count(b'"', start, cut)
        cut = start
    return cut if cut and quotes % 2 == 0 else last


def _has_long_line(data: bytes) -> bool:
    """Whether a line is longer than MAX_LINE_BYTES; such a line leaves a stretch of half that length without a line end."""
    half = MAX_LINE_BYTES // 2
    if all(data.find(b"\n", start, start + half) >= 0 for start in range(0, len(data) - half, half)):
        return False
    return max(map(len, data.split(b"\n"))) >= MAX_LINE_BYTES


def _lines(data: bytes) -> list[bytes]:
    """Split at line feeds only: a lone carriage return is part of a line."""
    parts = data.split(b"\n")
    lines = [part + b"\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines
