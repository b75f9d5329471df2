"""A log is read in bounded memory, each record once, and an invalid part does not affect the rest."""

import gzip
import io
import json
import sys
from collections import Counter

import msgspec
import pytest
from sqlalchemy import select

from metering.domain.errors import LogFormatError
from metering.domain.instants import format_instant
from metering.formats.blocks import RawBlock
from metering.formats.options import DecodeOptions
from metering.operations.usage import commit_group, read_log
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from metering.operations.usage.read_log import MAX_LINE_BYTES, LogReader
from metering.storage.tables import events, quarantine
from pricing.quantities import Quantities
from support.builders import NOON, NOW, SECOND, instant
from support.presence import instance

EVENT = {"account": "acme", "provider": "together", "model": "llama", "route": "routed", "status": 200}


def line(number, **overrides):
    """One native record of 120,000 nano-USD."""
    usage = {"input_tokens": 100, "output_tokens": 10}
    record = {**EVENT, "id": f"r{number}", "time": format_instant(NOON + number * SECOND), "usage": usage, **overrides}
    return json.dumps({name: value for name, value in record.items() if value is not None}).encode()


def log_of(*lines):
    return b"".join(each + b"\n" for each in lines)


@pytest.fixture
def log(tmp_path):
    """A function that writes a log file and returns its path."""

    def write(content, name="requests.jsonl"):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


@pytest.fixture
def ingest(meter):
    def run(path, on_progress=None, **options):
        decode = DecodeOptions(**{"source": "requests.jsonl", "now": meter.now} | options)
        return ingest_log(
            meter.engine, meter.ingester, LogRequest(path, decode), declared_tags=frozenset(), on_progress=on_progress
        )

    return run


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of three lines, each committed, so that most logs have several blocks and are decoded in a worker process."""
    monkeypatch.setattr(read_log, "BLOCK_LINES", 3)
    monkeypatch.setattr(commit_group, "COMMIT_EVENTS", 3)
    monkeypatch.setattr(commit_group, "SERVER_COMMIT_EVENTS", 3)


def counts(result):
    return result.accepted, result.duplicate, result.rejected


def test_a_log_is_counted_once_however_often_it_is_read(meter, log, ingest):
    path = log(log_of(*map(line, range(5))))
    assert counts(ingest(path)) == (5, 0, 0)
    assert counts(ingest(path)) == (0, 5, 0)
    assert meter.total() == 600_000
    assert not meter.violations()


def test_a_log_that_has_grown_adds_only_its_new_records(meter, log, ingest):
    ingest(log(log_of(*map(line, range(5)))))
    assert counts(ingest(log(log_of(*map(line, range(8)))))) == (3, 5, 0)


def test_a_gzip_file_is_read_as_its_content(meter, log, ingest):
    assert counts(ingest(log(gzip.compress(log_of(*map(line, range(5)))), "requests.jsonl.gz"))) == (5, 0, 0)
    assert counts(ingest(log(log_of(*map(line, range(5)))))) == (0, 5, 0)


def cut_gzip(lines):
    """The first half of a gzip file whose content does not compress well, and the whole file."""
    whole = gzip.compress(log_of(*(line(i, response_id=f"{i * 7919:040x}") for i in range(lines))))
    return whole[: len(whole) // 2], whole


@pytest.mark.parametrize("blocks", ["one block", "many blocks"])
def test_the_whole_lines_of_a_truncated_gzip_file_are_stored_before_the_error(meter, log, ingest, monkeypatch, blocks):
    if blocks == "many blocks":
        monkeypatch.setattr(read_log, "BLOCK_LINES", 100)
    half, whole = cut_gzip(2_000)
    with pytest.raises(LogFormatError, match="cut off or damaged"):
        ingest(log(half))
    stored = meter.count(events)
    assert 500 < stored < 1_800
    assert meter.count(quarantine) == 0  # the line that is cut off is not a record
    assert not meter.violations()
    assert counts(ingest(log(whole))) == (2_000 - stored, stored, 0)


def test_a_gzip_file_with_nothing_readable_is_refused(log, ingest):
    with pytest.raises(LogFormatError, match="cut off or damaged"):
        ingest(log(gzip.compress(log_of(line(0)))[:11]))


def test_a_damaged_gzip_document_is_refused_as_a_whole(meter, log, ingest):
    document = b"[" + b",".join(line(i) for i in range(50)) + b"]"
    with pytest.raises(LogFormatError, match="cut off or damaged"):
        ingest(log(gzip.compress(document)[:-30]))
    assert meter.count(events) == 0


@pytest.mark.parametrize("length", [MAX_LINE_BYTES + 1, 3 * MAX_LINE_BYTES, 9 * MAX_LINE_BYTES])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_line_that_is_too_long_is_skipped_and_reported(meter, log, ingest, length, where):
    lines = [line(i) for i in range(2)]
    start = b'{"time": "2026-11-03T12:00:00Z", "model": "llama", "prompt": "'
    lines.insert(where, start + b"x" * (length - 1 - len(start)))
    result = ingest(log(log_of(*lines)))
    assert counts(result) == (2, 0, 1)
    assert [(item.line, item.code) for item in result.items] == [(where + 1, "line_too_long")]
    (bad,) = meter.rows(select(quarantine))
    assert (bad.line, bad.offset, bad.length) == (where + 1, sum(len(each) + 1 for each in lines[:where]), length)
    assert (bad.kept, bad.digest) == ("{}", "")


def test_the_longest_accepted_line_is_one_mebibyte(meter, log, ingest):
    padded = line(1)[:-1] + b" " * (MAX_LINE_BYTES - len(line(1)) - 1) + b"}"
    assert len(padded) == MAX_LINE_BYTES - 1
    assert counts(ingest(log(log_of(line(0), padded)))) == (2, 0, 0)


def test_a_last_line_without_a_line_end_is_read_and_a_long_one_is_reported(meter, log, ingest):
    assert counts(ingest(log(log_of(line(0)) + line(1)))) == (2, 0, 0)
    assert counts(ingest(log(log_of(line(0)) + b"x" * (MAX_LINE_BYTES + 1)))) == (0, 1, 1)


def test_standard_input_is_read_to_its_end(meter, ingest, monkeypatch):
    data = log_of(*map(line, range(4)), b"{broken")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
    assert counts(ingest("-")) == (4, 0, 1)
    (bad,) = meter.rows(select(quarantine))
    assert (bad.file, bad.line) == ("", 5)


def test_positions_continue_across_blocks_that_a_worker_decodes(meter, log, ingest, small_blocks):
    lines = [line(i) for i in range(10)]
    lines[1], lines[8] = b"{broken", b'{"also": "broken"}'
    path = log(log_of(*lines))
    result = ingest(path)
    assert counts(result) == (8, 0, 2)
    assert [item.line for item in result.items] == [2, 9]
    assert {(bad.line, bad.offset) for bad in meter.rows(select(quarantine))} == {
        (number + 1, sum(len(each) + 1 for each in lines[:number])) for number in (1, 8)
    }
    assert counts(ingest(path)) == (0, 8, 2)
    assert not meter.violations()


def test_equal_records_without_an_id_are_numbered_across_blocks(meter, log, ingest, small_blocks):
    nameless = line(0, id=None)
    path = log(log_of(nameless, line(1, id=None), nameless, nameless, line(2), nameless, nameless, nameless))
    assert counts(ingest(path)) == (8, 0, 0)
    assert counts(ingest(path)) == (0, 8, 0)
    ids = [row.external_id for row in meter.rows(select(events.c.external_id).order_by(events.c.id))]
    ordinals = Counter(each.rpartition("-")[2] for each in ids if each != "r2")
    assert ordinals == {"0": 2, "1": 1, "2": 1, "3": 1, "4": 1, "5": 1}


def test_block_boundaries_do_not_affect_the_result(meter, new_meter, log, monkeypatch):
    content = log_of(*(line(i % 9, id=None) for i in range(40)), b"{broken", line(99))
    path = log(content)
    stored = []
    for block_lines in (1, 7, 1_000):
        monkeypatch.setattr(read_log, "BLOCK_LINES", block_lines)
        other = new_meter()
        other.declare("acme")
        other.record_prices()
        options = DecodeOptions(source="a.log", now=NOW)
        result = ingest_log(other.engine, other.ingester, LogRequest(path, options), declared_tags=frozenset())
        assert counts(result) == (41, 0, 1)
        stored.append(sorted(other.rows(select(events.c.external_id, events.c.event_time, events.c.charge_nano))))
    assert stored[0] == stored[1] == stored[2]


def test_a_csv_header_and_quoted_line_ends_work_across_blocks(meter, log, ingest, small_blocks):
    rows = [f'r{i},2026-11-03T10:00:{i:02d}Z,llama,100,10,"a\nb ""c"""' for i in range(9)]
    path = log("\n".join(["id,time,model,input_tokens,output_tokens,note", *rows]).encode(), "requests.csv")
    result = ingest(path, account="acme", provider="together", route="routed")
    assert counts(result) == (9, 0, 0)
    assert result.unread_fields == {"note": 9}
    assert meter.total() == 9 * 120_000


@pytest.mark.parametrize("stray", [1, 5, 11])
def test_a_stray_quote_costs_only_its_own_row(meter, log, ingest, small_blocks, monkeypatch, stray):
    monkeypatch.setattr(read_log, "MAX_QUOTED_LINES", 4)
    rows = [f"r{i},2026-11-03T10:00:{i:02d}Z,llama,100,10" for i in range(12)]
    rows[stray] = rows[stray].replace(",llama", ',"llama')
    path = log("\n".join(["id,time,model,input_tokens,output_tokens", *rows, ""]).encode(), "requests.csv")
    result = ingest(path, account="acme", provider="together", route="routed")
    assert [(item.line, item.code) for item in result.items] == [(stray + 2, "wrong_number_of_cells")]
    assert result.accepted == 11


def test_a_stray_quote_does_not_slow_down_a_long_csv(log, monkeypatch):
    monkeypatch.setattr(read_log, "BLOCK_LINES", 1_000)
    path = log(b'a,"b\n' + b"1,2\n" * 500_000)
    with LogReader(path) as reader:
        blocks = [instance(RawBlock, block) for block in reader.blocks(quoted=True)]
    assert sum(block.data.count(b"\n") for block in blocks) == 500_001
    assert max(block.data.count(b"\n") for block in blocks) <= 1_000 + read_log.MAX_QUOTED_LINES


def test_a_document_is_read_item_by_item(meter, log, ingest):
    items = b"[" + b", ".join([line(0), b'{"model": "llama"}', line(1)]) + b"]"
    result = ingest(log(items, "requests.json"))
    assert counts(result) == (2, 0, 1)
    assert [item.line for item in result.items] == [1]


def test_a_fixed_record_is_resolved_when_its_log_is_ingested_again(meter, log, ingest):
    good, bad = line(0), line(1, time="yesterday")
    path = log(log_of(good, bad, b"{broken"))
    assert counts(ingest(path)) == (1, 0, 2)
    meter.now += SECOND
    fixed = line(1)
    assert counts(ingest(log(log_of(good, fixed, b"{broken")))) == (1, 1, 1)
    states = {record.code: record.resolved_at for record in meter.rows(select(quarantine))}
    assert states["invalid_time"] == meter.now
    # The broken line moved, because the fixed one is longer: the entry at its old offset is resolved, the new one is open.
    broken = [record.resolved_at for record in meter.rows(select(quarantine)) if record.code != "invalid_time"]
    assert sorted(broken, key=str) == [meter.now, None]


def test_a_record_that_is_still_invalid_stays_in_quarantine_once(meter, log, ingest):
    path = log(log_of(line(0), b"{broken"))
    ingest(path)
    meter.now += SECOND
    ingest(path)
    (bad,) = meter.rows(select(quarantine))
    assert (bad.recorded_at, bad.seen_at, bad.resolved_at) == (NOW, NOW + SECOND, None)


def test_a_record_in_quarantine_keeps_its_read_options(meter, log, ingest):
    ingest(log(log_of(line(0), b"{broken")), zone="Europe/Berlin")
    (bad,) = meter.rows(select(quarantine))
    options = msgspec.json.decode(bad.options)
    assert (options["format"], options["options"]["zone"]) == ("native", "Europe/Berlin")


def test_a_charge_that_is_too_large_is_quarantined_with_its_position_and_digest(meter, log, ingest):
    meter.execute("UPDATE rate_prices SET price_pico = 10000000000000")
    huge = line(1, usage={"input_tokens": 10**9})
    assert counts(ingest(log(log_of(line(0), huge)))) == (1, 0, 1)
    (bad,) = meter.rows(select(quarantine))
    assert (bad.code, bad.line, bad.offset, bad.length) == ("charge_too_large", 2, len(line(0)) + 1, len(huge))
    assert len(bad.digest) == 32


def test_progress_is_reported_after_each_commit(log, ingest, small_blocks):
    content = log_of(*map(line, range(7)))
    calls = []
    ingest(log(content), on_progress=lambda progress: calls.append((progress.done, progress.size, progress.result.accepted)))
    assert [accepted for _, _, accepted in calls] == [3, 6, 7]
    assert calls[-1][:2] == (len(content), len(content))


def test_only_the_first_items_are_listed_and_all_are_counted(log, ingest, monkeypatch):
    monkeypatch.setattr("metering.operations.usage.ingest_log.MAX_ITEMS", 2)
    result = ingest(log(log_of(line(0), *[b"{broken"] * 5)))
    assert (result.rejected, len(result.items)) == (5, 2)


def test_duplicates_leave_room_for_rejected_records_among_the_items(log, ingest, monkeypatch):
    monkeypatch.setattr("metering.operations.usage.ingest_log.MAX_ITEMS", 2)
    ingest(log(log_of(*map(line, range(5)))))
    result = ingest(log(log_of(*map(line, range(5)), b"{broken")))
    assert (result.duplicate, [(item.line, item.outcome) for item in result.items]) == (5, [(6, "rejected")])


def test_positions_in_a_document_are_indexes(log, ingest):
    result = ingest(log(b"[" + line(0) + b', {"model": "llama"}]', "requests.json"))
    assert (result.by_index, [item.line for item in result.items]) == (True, [1])
    assert not ingest(log(log_of(line(1)))).by_index


def test_a_document_that_is_not_json_is_refused_and_not_quarantined(meter, log, ingest):
    with pytest.raises(LogFormatError) as refused:
        ingest(log(json.dumps({"time": "2026-11-03T12:00:00Z", "model": "llama"}, indent=1).encode()[:-4], "requests.json"))
    assert (refused.value.code, meter.count(quarantine)) == ("not_json", 0)


def test_records_stored_before_a_failure_stay_stored(meter, log, ingest, small_blocks, monkeypatch):
    store = meter.ingester.store
    batches = []

    def fail_at_the_third(prepared):
        batches.append(prepared)
        if len(batches) == 3:
            raise OSError("the disk is full")
        return store(prepared)

    monkeypatch.setattr(meter.ingester, "store", fail_at_the_third)
    path = log(log_of(*map(line, range(12))))
    with pytest.raises(OSError, match="disk is full"):
        ingest(path)
    monkeypatch.undo()
    assert meter.count(events) == 6
    assert counts(ingest(path)) == (6, 6, 0)
    assert not meter.violations()


@pytest.mark.parametrize("content", [b"", b"\n\n \n"])
def test_an_empty_log_is_refused(log, ingest, content):
    with pytest.raises(LogFormatError, match="empty"):
        ingest(log(content))


def test_a_missing_log_or_a_directory_is_refused(tmp_path, ingest):
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(LogFormatError, match=path.name):
            ingest(str(path))


def test_a_replay_is_shifted_as_a_whole(meter, log, ingest, small_blocks):
    ingest(log(log_of(*map(line, range(7)))), replay_from=instant("2026-10-31T23:59:57Z"))
    times = [row.event_time for row in meter.rows(select(events.c.event_time).order_by(events.c.event_time))]
    start = instant("2026-10-31T23:59:57Z")
    assert times == [start + i * SECOND for i in range(7)]
    assert [row.events for row in meter.spend(granularity="month")] == [3, 4]
    assert Quantities(input_tokens=700, output_tokens=70) == meter.spend()[0].quantities
