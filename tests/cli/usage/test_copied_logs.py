"""A record counts once in whichever file it is: rotated, copied or compressed. Stated sources stay apart."""

import gzip
import shutil
import sqlite3
from typing import Any

from support.request_records import LLAMA, request


def ingest(command_line, *arguments):
    total = command_line.json("ingest", *arguments, "--create-accounts")["total"]
    return {name: total[name] for name in ("accepted", "duplicate", "copy", "completed", "conflict") if total[name]}


def events(command_line):
    assert command_line.run("verify") and command_line.code == 0, command_line.errors
    return command_line.json("spend")["total"]["events"]


def test_a_rotated_log_counts_its_records_once(command_line):
    log = command_line.write_log([request(1), request(2)], "app.log")
    assert ingest(command_line, log, "--format", "native") == {"accepted": 2}
    shutil.copy(log, command_line.folder / "app.log.1")
    log = command_line.write_log([request(2), request(3)], "app.log")
    assert ingest(command_line, log, "--format", "native") == {"accepted": 1, "duplicate": 1}
    assert ingest(command_line, command_line.folder / "app.log.1", "--format", "native") == {"copy": 2}
    assert ingest(command_line, command_line.folder / "app.log.1", "--format", "native") == {"copy": 2}
    assert events(command_line) == 3


def test_a_copied_and_compressed_log_counts_once(command_line):
    log = command_line.write_log([request(1), request(2, id=None)])
    (command_line.folder / "copy.ndjson.gz").write_bytes(gzip.compress(log.read_bytes()))
    assert ingest(command_line, log, command_line.folder / "copy.ndjson.gz") == {"accepted": 2, "copy": 2}
    assert events(command_line) == 2


def test_other_requests_with_the_same_ids_in_another_file_count(command_line):
    first = command_line.write_log([request(1), request(2)], "pod-a.ndjson")
    second = command_line.write_log([request(1, time="2026-11-04T10:15:00Z"), request(2)], "pod-b.ndjson")
    assert ingest(command_line, first) == {"accepted": 2}
    assert ingest(command_line, second) == {"accepted": 1, "copy": 1}
    assert ingest(command_line, second) == {"duplicate": 1, "copy": 1}
    assert events(command_line) == 3
    third = command_line.write_log([request(1, usage={"input_tokens": 1, "output_tokens": 1})], "pod-c.ndjson")
    assert ingest(command_line, third) == {"accepted": 1}
    assert events(command_line) == 4


def test_a_final_record_in_the_next_file_completes_a_placeholder_with_a_long_id(command_line):
    placeholder = request(1, id="chatcmpl-0123456789abcdef", usage=None)
    final = request(1, id="chatcmpl-0123456789abcdef")
    assert ingest(command_line, command_line.write_log([placeholder], "app.log.1"), "--format", "native") == {"accepted": 1}
    assert ingest(command_line, command_line.write_log([final], "app.log"), "--format", "native") == {"completed": 1}
    assert events(command_line) == 1
    assert command_line.json("spend")["total"]["amount_usd"] == "0.001040000"


def test_stated_sources_stay_apart(command_line):
    log = command_line.write_log([request(1)])
    assert ingest(command_line, log, "--source", "gateway-1") == {"accepted": 1}
    assert ingest(command_line, log, "--source", "gateway-2") == {"accepted": 1}
    assert ingest(command_line, log) == {"accepted": 1}


def test_a_source_keeps_its_meaning_however_it_is_named_later(command_line):
    log = command_line.write_log([request(1)])
    assert ingest(command_line, log) == {"accepted": 1}
    assert ingest(command_line, log, "--source", "requests.ndjson") == {"duplicate": 1}
    other = command_line.write_log([request(5)], "b.ndjson")
    assert ingest(command_line, other, "--source", "b.ndjson") == {"accepted": 1}
    assert ingest(command_line, other) == {"duplicate": 1}
    assert events(command_line) == 2


def test_sources_of_older_databases_keep_their_identities(command_line):
    log = command_line.write_log([request(1)])
    assert ingest(command_line, log, "--source", "requests.ndjson") == {"accepted": 1}
    with sqlite3.connect(command_line.folder / "metering.db") as database:
        assert database.execute("SELECT derived FROM sources").fetchall() == [(0,)]
    assert ingest(command_line, log) == {"duplicate": 1}
    assert events(command_line) == 1


def test_a_response_id_that_repeats_a_day_later_is_another_request(command_line):
    first = request(1, id="chatcmpl-0123456789abcdef", response_id="chatcmpl-0123456789abcdef")
    later = first | {"time": "2026-11-04T10:15:00Z"}
    assert ingest(command_line, command_line.write_log([first, later])) == {"accepted": 2}
    assert ingest(command_line, command_line.write_log([first, later])) == {"duplicate": 2}
    assert events(command_line) == 2
    assert "0.00104" in command_line.done("explain", "chatcmpl-0123456789abcdef", "--account", "acme")


def test_a_log_of_an_older_release_that_identified_by_response_ids_counts_nothing_twice(command_line):
    usage = {"prompt_tokens": 800, "completion_tokens": 200}
    ids = [f"chatcmpl-0123456789abcde{number}" for number in range(3)]
    records: list[dict[str, Any]] = [
        {"id": f"own-{number}", "time": "2026-11-03T10:15:00Z", "account": "acme", "provider": "together", "route": "routed",
         "request": {"model": LLAMA}, "response": {"id": response_id, "model": LLAMA, "usage": usage}}
        for number, response_id in enumerate(ids)
    ]  # fmt: skip
    older = [record | {"id": response_id} for record, response_id in zip(records, ids, strict=True)]
    log = command_line.write_log(older)
    assert ingest(command_line, log, "--format", "openai", "--source", "requests.ndjson") == {"accepted": 3}
    with sqlite3.connect(command_line.folder / "metering.db") as database:
        database.execute("UPDATE sources SET by_response_id_through = (SELECT max(id) FROM events)")
    log = command_line.write_log([*records, records[0] | {"id": "own-3", "time": "2026-11-03T10:16:00Z"}])
    assert ingest(command_line, log, "--format", "openai") == {"accepted": 1, "duplicate": 3}
    assert ingest(command_line, log, "--format", "openai") == {"duplicate": 4}
    assert events(command_line) == 4
