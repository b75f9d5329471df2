"""Replaying the quarantine: each file once, with its original options; records that are valid now are resolved."""

import json

from metering.formats.options import DecodeOptions
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from metering.operations.usage.list_quarantine import list_quarantine
from metering.operations.usage.replay_quarantine import replay_quarantine
from support.builders import rejected_record

GOOD = {"id": "a", "time": "2026-11-03T10:00:00Z", "model": "llama", "provider": "together", "usage": {"input_tokens": 1}}


def read(meter, path, **options):
    request = LogRequest(str(path), DecodeOptions(source=path.name, now=meter.now, account="acme", **options))
    return ingest_log(meter.engine, meter.ingester, request, declared_tags=frozenset())


def replay(meter, **options):
    meter.now += 1_000_000
    return replay_quarantine(meter.engine, meter.ingester, now=meter.now, declared_tags=frozenset(), **options)


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_file_with_many_bad_records_is_read_once(meter, tmp_path):
    bad = [GOOD | {"id": str(number), "time": "?"} for number in range(5)]
    path = write(tmp_path / "log.ndjson", GOOD, *bad)
    read(meter, path)
    (again,) = replay(meter).files
    assert (again.file, again.open_before, again.result.duplicate, again.result.rejected) == (str(path), 5, 1, 5)


def test_a_file_is_replayed_with_the_options_of_its_last_read(meter, tmp_path):
    first, second = GOOD | {"time": "?"}, GOOD | {"id": "b", "time": "?"}
    path = write(tmp_path / "log.ndjson", first)
    read(meter, path, route="provider_key")
    meter.now += 1
    write(path, first, second)
    read(meter, path, route="routed")
    write(path, GOOD, GOOD | {"id": "b"})
    assert [again.open_before for again in replay(meter).files] == [2]
    assert [row.group for row in meter.spend(group_by=("route",))] == [("routed",)]


def test_a_file_read_as_two_sources_is_replayed_as_both(meter, tmp_path):
    path = write(tmp_path / "log.ndjson", GOOD | {"time": "?"})
    for source in ("first", "second"):
        options = DecodeOptions(source=source, now=meter.now, account="acme", route="routed")
        ingest_log(meter.engine, meter.ingester, LogRequest(str(path), options), declared_tags=frozenset())
    assert [again.source for again in replay(meter).files] == ["first", "second"]


def test_a_record_without_a_file_stays_open_and_is_counted(meter):
    meter.ingest(rejected=[rejected_record()])
    replayed = replay(meter)
    assert (replayed.files, replayed.without_file, replayed.still_open) == ([], 1, 1)


def test_a_time_that_was_in_the_future_can_be_valid_in_a_replay(meter, tmp_path):
    path = write(tmp_path / "log.ndjson", GOOD | {"time": "2026-11-30T00:00:00Z"})
    assert read(meter, path, route="routed").rejected == 1
    meter.now += 10 * 24 * 3_600 * 1_000_000
    replayed = replay(meter)
    assert (replayed.files[0].result.accepted, replayed.still_open) == (1, 0)


def test_a_replay_creates_accounts_only_if_requested(meter, tmp_path):
    path = write(tmp_path / "log.ndjson", GOOD | {"time": "?", "account": "newcomer"})
    read(meter, path)
    write(path, GOOD | {"account": "newcomer"})
    replayed = replay(meter, create_accounts=True)
    assert (replayed.files[0].result.accepted, replayed.files[0].result.unassigned) == (1, 0)


def test_the_list_can_be_limited_and_returns_the_total(meter, tmp_path):
    read(meter, write(tmp_path / "log.ndjson", *(GOOD | {"id": str(n), "time": "?"} for n in range(3))))
    records, count = list_quarantine(meter.engine, limit=2)
    assert ([record.line for record in records], count) == ([1, 2], 3)
