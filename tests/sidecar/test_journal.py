"""What was appended to the journal is read again, once and in order, whatever happens to the end of a segment."""

import errno
import os
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.sidecar import journal as journal_module
from metering.sidecar.journal import (
    MAGIC,
    MAX_RECORD_BYTES,
    JournalError,
    JournalWriter,
    SegmentReader,
    SyncPolicy,
    segments,
    try_lock,
    without_writer,
)

RECORDS = [b"one", b"two" * 100, b"\0" * 8, b"three"]


@pytest.fixture
def journal(tmp_path):
    writer = JournalWriter(tmp_path / "journal", 10_000_000)
    yield writer
    writer.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file that the examples of a test write one after the other."""
    return tmp_path_factory.mktemp("segments") / "s.journal"


def record(payload):
    return struct.pack(">II", len(payload), zlib.crc32(payload)) + payload


def read(path, limit=1_000):
    """Return (records, whether it is damaged, unread bytes)."""
    reader = SegmentReader(path)
    found = []
    while records := reader.records(limit):
        assert len(records) <= limit
        found += records
    state = reader.is_damaged, reader.unread_bytes
    reader.close()
    return found, *state


def test_a_segment_is_its_mark_and_records_of_length_checksum_and_payload(journal, folder):
    assert journal.append(b"one")
    (segment,) = segments(folder)
    assert segment.path.name == "0000000000000001.journal"
    # CRC-32 of "one" is 0x7A6C86F1.
    assert segment.path.read_bytes() == b"metering journal 1\n" + b"\0\0\0\x03" + b"\x7a\x6c\x86\xf1" + b"one"
    assert oct(segment.path.stat().st_mode & 0o777) == "0o600"
    assert (journal.size, journal.appended, journal.dropped) == (19 + 8 + 3, 1, 0)


def test_records_are_read_in_order_while_they_are_appended(journal, folder):
    journal.append(RECORDS[0])
    reader = SegmentReader(segments(folder)[0].path)
    assert reader.records(10) == RECORDS[:1]
    assert reader.records(10) == []
    for payload in RECORDS[1:]:
        journal.append(payload)
    assert reader.records(2) == RECORDS[1:3]
    assert reader.records(2) == RECORDS[3:]
    assert (reader.unread_bytes, reader.is_damaged) == (0, False)
    reader.close()


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=6), st.data())
def test_a_torn_end_is_left_out_and_everything_before_it_is_read(path, payloads, data):
    whole = MAGIC + b"".join(map(record, payloads))
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    fits, position = [], len(MAGIC)
    for payload in payloads:
        position += 8 + len(payload)
        if position <= cut:
            fits.append(payload)
    used = len(MAGIC) + sum(8 + len(each) for each in fits) if cut >= len(MAGIC) else 0
    found, is_damaged, unread = read(path)
    assert (found, is_damaged) == (fits, False)
    if used > len(MAGIC):
        assert unread == cut - used


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=6), st.integers(0), st.integers(1, 255))
def test_a_changed_byte_never_gives_a_record_that_was_not_written(path, payloads, place, change):
    whole = bytearray(MAGIC + b"".join(map(record, payloads)))
    whole[place % len(whole)] ^= change
    path.write_bytes(whole)
    found, is_damaged, unread = read(path)
    assert found == payloads[: len(found)]
    assert len(found) < len(payloads)
    assert is_damaged or unread


def test_zeros_at_the_end_as_a_power_failure_leaves_them_are_no_records(path):
    path.write_bytes(MAGIC + record(b"one") + bytes(4096))
    assert read(path) == ([b"one"], True, 4096)


def test_a_record_that_is_taken_back_while_it_is_read_does_no_harm(path):
    path.write_bytes(MAGIC + record(b"one") + record(b"a record that does not fit")[:20])
    reader = SegmentReader(path)
    assert reader.records(10) == [b"one"]
    path.write_bytes(MAGIC + record(b"one") + record(b"two") + record(b"three"))
    assert reader.records(10) == [b"two", b"three"]
    reader.close()


def test_a_full_disk_costs_what_does_not_fit_and_nothing_else(journal, folder, monkeypatch):
    journal.append(b"one")
    write, room = os.write, 5

    def full(fd, data):
        if room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data[:room])

    monkeypatch.setattr(os, "write", full)
    assert not journal.append(b"partly written")
    room = 0
    assert not journal.append(b"not written")
    assert (journal.dropped, journal.is_full, journal.last_error) == (2, True, "No space left on device")
    journal.refresh()
    assert journal.is_full, "the disk still has no room"
    monkeypatch.undo()
    journal.refresh()
    assert not journal.is_full
    assert journal.append(b"two")
    assert read(segments(folder)[0].path) == ([b"one", b"two"], False, 0)
    assert not list(folder.glob("probe"))


def test_a_segment_that_cannot_be_begun_is_not_left_behind(journal, folder, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    assert not journal.append(b"one")
    assert segments(folder) == []
    monkeypatch.undo()
    assert journal.append(b"two")
    assert read(segments(folder)[0].path) == ([b"two"], False, 0)


def test_a_record_that_cannot_be_taken_back_ends_its_segment(journal, folder, monkeypatch):
    journal.append(b"one")
    write = os.write

    def truncate(fd, size):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:4]))
    monkeypatch.setattr(os, "ftruncate", truncate)
    assert not journal.append(b"lost")
    monkeypatch.undo()
    assert journal.append(b"two")
    first, second = segments(folder)
    assert read(first.path) == ([b"one"], False, 4)
    assert read(second.path) == ([b"two"], False, 0)


def test_the_journal_is_full_before_the_requests_under_way_have_no_room(folder):
    # A bound of 8,000: an eighth is reserved. A record of 92 bytes takes 100; 19 are the mark.
    writer = JournalWriter(folder, 8_000)
    for _ in range(69):
        assert writer.append(b"x" * 92)
    assert (writer.size, writer.is_full) == (6_919, False)
    assert writer.append(b"x" * 92)
    assert (writer.size, writer.is_full) == (7_019, True)
    for _ in range(9):
        assert writer.append(b"x" * 92)
    assert not writer.append(b"x" * 92)
    assert (writer.size, writer.dropped, writer.appended) == (7_919, 1, 79)
    assert writer.append(b"x" * 73), "exactly the bound"
    assert writer.size == 8_000
    segments(folder)[0].path.unlink()  # stored
    writer.refresh()
    assert (writer.size, writer.is_full) == (0, False)
    writer.close()


def test_a_record_that_is_too_long_is_dropped(journal):
    assert not journal.append(b"x" * (MAX_RECORD_BYTES + 1))
    assert journal.append(b"x" * MAX_RECORD_BYTES)
    assert (journal.dropped, journal.is_full) == (1, False)


def test_segments_end_when_they_are_large_and_when_they_are_rotated(journal, folder, monkeypatch):
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 200)
    for _ in range(4):
        journal.append(b"x" * 92)  # 100 bytes: only one fits after the mark of 19
    assert [each.number for each in segments(folder)] == [1, 2, 3, 4]
    journal.rotate()
    journal.rotate()
    assert len(segments(folder)) == 4, "an empty segment is not begun"
    journal.append(b"next")
    assert [read(each.path)[0] for each in segments(folder)] == [[b"x" * 92]] * 4 + [[b"next"]]


def test_a_new_writer_continues_after_the_last_segment(folder):
    writer = JournalWriter(folder, 10_000_000)
    writer.append(b"one")
    writer.close()
    writer = JournalWriter(folder, 10_000_000)
    assert writer.size == 30
    writer.append(b"two")
    writer.close()
    assert [read(each.path)[0] for each in segments(folder)] == [[b"one"], [b"two"]]


def test_other_files_are_no_segments(journal, folder):
    for name in ("salt", "1.journal", "0000000000000001.journal.damaged", "set-aside.ndjson"):
        (folder / name).write_bytes(b"x" * 100)
    assert segments(folder) == []
    journal.refresh()
    assert journal.size == 0


def test_a_journal_has_one_writer(journal, folder, monkeypatch):
    monkeypatch.setattr(journal_module, "_LOCK_ATTEMPTS", 2)
    with pytest.raises(JournalError, match="is used by another sidecar"):
        JournalWriter(folder, 10_000_000)
    assert try_lock(folder) is None
    with without_writer(folder) as is_free:
        assert not is_free
    journal.close()
    with without_writer(folder) as is_free:
        assert is_free
        assert try_lock(folder) is None
    JournalWriter(folder, 10_000_000).close()


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(JournalError, match="cannot be used: Not a directory"):
        JournalWriter(file / "journal", 10_000_000)


def test_syncing_a_segment_that_has_ended_is_no_error(journal, monkeypatch):
    journal.append(b"one")

    def ended(fd):
        monkeypatch.undo()
        journal.rotate()
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(os, "fdatasync", ended)
    journal.sync()
    assert (journal.last_error, journal.is_dirty) == ("", False)


def test_a_disk_that_does_not_sync_is_an_error(journal, monkeypatch):
    journal.append(b"one")

    def broken(fd):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", broken)
    journal.sync()
    assert (journal.last_error, journal.is_full) == ("Input/output error", True)


def test_the_policies_are_named_as_in_the_settings():
    assert [policy.value for policy in SyncPolicy] == ["each", "group", "never"]
