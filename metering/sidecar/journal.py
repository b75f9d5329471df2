"""The journal: events on disk between the answer to the application and the database.

A segment is a file that starts with MAGIC and holds records: length, checksum (CRC-32) and payload, both numbers 32 bits, big
endian. A record is appended with one write before the last byte of its answer leaves, so a killed process loses nothing. What a
power failure can lose depends on when the disk is synced (see SyncPolicy). Segments are deleted once everything in them is
stored; a record may be stored twice, which counts once, because an event has an identity.

A record's position is the number of its segment and its number within it, as one integer. Positions rise from record to record
for as long as one process writes.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import struct
import time
import zlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO

from msgspec import Struct

from metering.domain.errors import DomainError

MAGIC = b"metering journal 1\n"
SEGMENT_BYTES = 4 * 1024 * 1024
MAX_RECORD_BYTES = 1024 * 1024
# Holds at least one record, and usually thousands.
_READ_BYTES = 2 * MAX_RECORD_BYTES
_HEAD = struct.Struct(">II")
_RESERVED_SHARE, _MAX_RESERVED_BYTES = 8, 1024 * 1024
_PROBED_BYTES = 4096
_LOCK_ATTEMPTS, _LOCK_PAUSE_SECONDS = 20, 0.1
_NAME = re.compile(r"([0-9]{16})\.journal")

_RECORDS_BITS = 32

_log = logging.getLogger(__name__)


class JournalError(DomainError):
    """The journal's folder cannot be used."""

    code = "journal_unusable"


class SyncPolicy(StrEnum):
    """When the disk is synced, which decides what a power failure can lose.

    EACH: before the last byte of each answer leaves; it loses nothing. GROUP: at most so many milliseconds later; it loses that
    much. NEVER: when the operating system does, which is usually within 30 seconds. Killing the process loses nothing with any.
    """

    EACH = "each"
    GROUP = "group"
    NEVER = "never"


class Segment(Struct, frozen=True, order=True):
    """A file of the journal, by its number. Lower numbers are older."""

    number: int
    path: Path


def position_of(segment: int, records: int) -> int:
    """Return the position of the last one of so many records of a segment."""
    return (segment << _RECORDS_BITS) + records


class JournalWriter:
    """Appends records. Of one folder, one process writes. ``max_bytes`` bounds the size of all segments.

    ``position`` is that of the last record that was appended; 0 before the first.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self.max_bytes = max_bytes
        self._lock = _locked(folder)
        self._number = max((each.number for each in segments(folder)), default=0)
        self._fd = -1
        self._written = 0
        self._records = 0
        self._size = _size_of(folder)
        self.is_dirty = False
        self.position = 0
        self.appended = 0
        self.dropped = 0
        self.last_error = ""

    @property
    def size(self) -> int:
        """The size of all segments in bytes, as of the last ``refresh`` and what was written since."""
        return self._size

    @property
    def is_full(self) -> bool:
        """Whether the journal or the disk is full. A part is reserved for the requests that are under way by then."""
        return self._size >= self.max_bytes - min(self.max_bytes // _RESERVED_SHARE, _MAX_RESERVED_BYTES) or bool(
            self.last_error
        )

    def append(self, payload: bytes) -> bool:
        """Append a record. False: it was dropped, because the journal or the disk is full; ``last_error`` says why."""
        record = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        if len(payload) > MAX_RECORD_BYTES or self._size + len(record) > self.max_bytes:
            self.dropped += 1
            return False
        try:
            if self._fd < 0 or self._written + len(record) > SEGMENT_BYTES:
                self._begin_segment()
            _write_whole(self._fd, record)
        except OSError as error:
            self._take_back(error)
            return False
        self._written += len(record)
        self._size += len(record)
        self.is_dirty = True
        self._records += 1
        self.position = position_of(self._number, self._records)
        self.appended += 1
        self.last_error = ""
        return True

    def sync(self) -> None:
        """Have the disk keep what was written so far. May be called from another thread."""
        self.is_dirty = False
        fd = self._fd
        if fd >= 0:
            try:
                os.fdatasync(fd)
            except OSError as error:
                if self._fd != fd:  # the segment has ended, which synced it
                    return
                self.last_error = error.strerror or str(error)
                _log.error("the journal cannot be synced: %s", self.last_error)

    def rotate(self) -> None:
        """End the segment, so that it can be deleted once it is stored. Does nothing if it is empty."""
        if self._fd >= 0 and self._written > len(MAGIC):
            self._end_segment()

    def refresh(self) -> None:
        """Look at the disk again: how large the journal is now, and whether an error has passed."""
        self._size = _size_of(self._folder)
        if self.last_error and self._takes_bytes():
            self.last_error = ""

    def close(self) -> None:
        """End the segment and release the folder."""
        self._end_segment()
        self._lock.close()

    def _begin_segment(self) -> None:
        self._end_segment()
        number = self._number + 1
        path = self._folder / f"{number:016d}.journal"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            _write_whole(fd, MAGIC)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._number, self._fd, self._written, self._records = number, fd, len(MAGIC), 0
        self._size += len(MAGIC)

    def _takes_bytes(self) -> bool:
        """Whether the disk has room again."""
        probe = self._folder / "probe"
        try:
            with probe.open("wb", buffering=0) as file:
                _write_whole(file.fileno(), bytes(_PROBED_BYTES))
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
        return True

    def _end_segment(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):
                os.fdatasync(fd)
            os.close(fd)
            self._written = 0

    def _take_back(self, error: OSError) -> None:
        """Remove what a failed write left, so that later records can be read."""
        self.dropped += 1
        reason = error.strerror or str(error)
        if reason != self.last_error:
            _log.error("the journal cannot be written: %s", reason)
        self.last_error = reason
        if self._fd >= 0:
            try:
                os.ftruncate(self._fd, self._written)
            except OSError:
                self._end_segment()  # nothing after what is left of the record could be read


def _write_whole(fd: int, data: bytes) -> None:
    if os.write(fd, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def segments(folder: Path) -> list[Segment]:
    """Return the segments of a journal, oldest first."""
    matches = ((entry, _NAME.fullmatch(entry.name)) for entry in folder.iterdir())
    return sorted(Segment(int(match.group(1)), entry) for entry, match in matches if match)


class SegmentReader:
    """Reads the records of one segment as they are appended. ``returned`` is how many records it has returned.

    What was not returned is read from the file again each time: a writer takes an incomplete record back when the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("rb", buffering=0)
        self._position = 0
        self.is_damaged = False
        self.returned = 0

    def records(self, limit: int) -> list[bytes]:
        """Return complete records that were not returned before, at most ``limit``.

        The last record may be incomplete: it is being written, or its writer was killed. A record that cannot be right, such as
        one with a wrong checksum, is not passed over (``is_damaged``).
        """
        found: list[bytes] = []
        data = os.pread(self._file.fileno(), _READ_BYTES, self._position)
        position = 0
        self.is_damaged = False
        if self._position == 0:
            if not data.startswith(MAGIC):
                self.is_damaged = not MAGIC.startswith(data)
                return found
            position = len(MAGIC)
        while len(found) < limit and len(data) - position >= _HEAD.size:
            length, checksum = _HEAD.unpack_from(data, position)
            end = position + _HEAD.size + length
            if not 0 < length <= MAX_RECORD_BYTES:
                self.is_damaged = True
                break
            if end > len(data):
                break
            payload = data[position + _HEAD.size : end]
            if zlib.crc32(payload) != checksum:
                self.is_damaged = True
                break
            position = end
            found.append(payload)
        self._position += position
        self.returned += len(found)
        return found

    @property
    def unread_bytes(self) -> int:
        """The size of what follows the last record that was returned: an incomplete record, or a damaged part."""
        return max(0, os.fstat(self._file.fileno()).st_size - self._position)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextlib.contextmanager
def without_writer(folder: Path) -> Iterator[bool]:
    """Keep sidecars from starting to write to a journal; False: one writes to it now."""
    lock = try_lock(folder)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.close()


def try_lock(folder: Path) -> IO[bytes] | None:
    """Take the lock of a journal's writer until the file is closed; None if it is taken. Raises OSError."""
    lock = (folder / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _locked(folder: Path) -> IO[bytes]:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for _ in range(_LOCK_ATTEMPTS):
            lock = try_lock(folder)
            if lock is not None:
                return lock
            time.sleep(_LOCK_PAUSE_SECONDS)  # the last sidecar may be about to end
    except OSError as error:
        raise JournalError(f"the journal's folder {folder} cannot be used: {error.strerror}") from None
    raise JournalError(
        f"the journal's folder {folder} is used by another sidecar; stop that one, or set METERING_SIDECAR_JOURNAL"
    )


def _size_of(folder: Path) -> int:
    total = 0
    for each in segments(folder):
        with contextlib.suppress(FileNotFoundError):
            total += each.path.stat().st_size
    return total
