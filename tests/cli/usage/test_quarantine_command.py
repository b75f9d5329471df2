"""``metering quarantine``: rejected records are listed without their content, and read again once they are fixed."""

import json
from pathlib import Path

from support.request_records import request


def ingest_with_rejection(command_line, *, name="requests.ndjson"):
    log = command_line.write_log([request(1), request(2, time="2026-11-03 10:15", prompt="a secret")], name)
    command_line.run("ingest", log, "--account", "acme", "--project", "search")
    assert command_line.code == 1
    command_line.now += 60_000_000
    return log


def test_a_rejected_record_is_listed_by_position_and_reason_never_by_content(command_line):
    log = ingest_with_rejection(command_line)
    listed = command_line.json("quarantine", "list")
    assert listed["open"] == 1
    (record,) = listed["items"]
    assert (record["file"], record["line"], record["code"]) == (str(log), 2, "naive_time")
    assert record["kept"]["id"] == "request-2"
    assert "secret" not in json.dumps(listed)
    assert f"{log}:2" in command_line.done("quarantine", "list")


def test_a_fixed_record_is_replayed_with_its_original_options(command_line):
    log = ingest_with_rejection(command_line)
    log.write_text(log.read_text().replace("2026-11-03 10:15", "2026-11-03T10:15:00Z"))
    replayed = command_line.json("quarantine", "replay")
    assert (replayed["total"]["accepted"], replayed["total"]["duplicate"], replayed["open"]) == (1, 1, 0)
    assert command_line.json("quarantine", "list") == {"items": [], "next_cursor": None, "open": 0}
    rows = command_line.json("spend", "--by", "account,project")["rows"]
    assert [(row["group"], row["events"]) for row in rows] == [({"account": "acme", "project": "search"}, 2)]


def test_records_that_are_still_invalid_stay_in_quarantine_and_the_command_fails(command_line):
    ingest_with_rejection(command_line)
    output = command_line.run("quarantine", "replay")
    assert command_line.code == 1
    assert "1 record in quarantine" in output


def test_a_missing_file_does_not_stop_the_replay_of_others(command_line):
    gone, fixed = (ingest_with_rejection(command_line, name=name) for name in ("a.ndjson", "b.ndjson"))
    Path(gone).unlink()
    fixed.write_text(fixed.read_text().replace("2026-11-03 10:15", "2026-11-03T10:15:00Z"))
    command_line.run("quarantine", "replay", "--json")
    assert command_line.code == 1
    assert "a.ndjson" in command_line.errors
    assert [record["file"] for record in command_line.json("quarantine", "list")["items"]] == [str(gone)]


def test_a_csv_is_replayed_with_the_same_columns_and_zone(command_line):
    trace = command_line.folder / "trace.csv"
    trace.write_text("WHEN,IN,OUT\n2026-11-03 10:00:00,100,10\nsometime,100,10\n")
    command_line.run(
        "ingest", trace, "--account", "acme", "--provider", "together", "--model", "meta-llama/Llama-3.3-70B-Instruct",
        "--route", "routed", "--time-zone", "Europe/Berlin", "--map", "time=WHEN,input_tokens=IN,output_tokens=OUT",
    )  # fmt: skip
    command_line.now += 1
    trace.write_text(trace.read_text().replace("sometime", "2026-11-03 11:00:00"))
    assert command_line.json("quarantine", "replay")["total"]["accepted"] == 1
    # 10:00 and 11:00 in Berlin are 09:00 and 10:00 UTC
    hours = command_line.json("spend", "--month", "2026-11", "--by", "none", "--granularity", "hour")["rows"]
    assert [row["period_start"] for row in hours] == ["2026-11-03T09:00:00.000000Z", "2026-11-03T10:00:00.000000Z"]


def test_the_table_is_limited_and_the_json_is_complete(command_line):
    log = command_line.write_log([request(0), *(request(number, time="never") for number in range(1, 61))])
    command_line.run("ingest", log, "--account", "acme")
    assert "10 more; raise --limit to list them" in command_line.done("quarantine", "list")
    assert len(command_line.json("quarantine", "list")["items"]) == 60
    first = command_line.json("quarantine", "list", "--limit", "5")
    assert ([item["line"] for item in first["items"]], first["open"]) == ([2, 3, 4, 5, 6], 60)


def test_an_empty_quarantine_is_reported(command_line):
    command_line.done("db", "upgrade")
    assert command_line.done("quarantine", "list") == "the quarantine is empty\n"
    command_line.done("quarantine", "replay")
