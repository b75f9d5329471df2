"""``metering retention``: listing months of events, and removing their events from the log."""

import json

import pytest

from metering.domain.instants import parse_instant
from support.month_of_llama import a_million_tokens_a_day


@pytest.fixture
def october(command_line):
    """A million tokens a day in October, closed in November."""
    log = command_line.write_log(a_million_tokens_a_day("2026-10"))
    command_line.done("ingest", log, "--account", "acme", "--plan", "pro")
    command_line.now = parse_instant("2026-12-05T00:00:00Z")
    return command_line


def test_a_months_events_are_exported_and_removed_and_its_spend_stays(october, tmp_path):
    assert "open for 1 account" in october.done("retention", "list")
    october.done("statements", "close", "acme", "2026-10")
    spend = october.json("spend", "--start", "2026-10-01", "--end", "2026-11-01")
    assert october.json("retention", "list")["months"][0]["can_be_dropped"] is True
    dropped = october.json("retention", "drop", "2026-10", "--into", tmp_path / "archive", "--yes")
    assert (dropped["month"], dropped["events"]) == ("2026-10", 30)
    manifest = json.loads((tmp_path / "archive" / "2026-10" / "manifest.json").read_text())
    assert manifest["files"]["events.parquet"]["rows"] == 30
    assert october.json("spend", "--start", "2026-10-01", "--end", "2026-11-01") == spend
    listed = october.done("retention", "list")
    assert "retired" in listed
    assert "30 events exported to" in listed
    october.done("verify")


def test_an_open_month_is_refused(october):
    october.run("retention", "drop", "2026-10", "--without-export", "--yes")
    assert october.code == 2
    assert "month_still_open" in october.errors


def test_drop_requires_a_folder_or_no_export(october):
    for options in ((), ("--into", "somewhere", "--without-export")):
        october.run("retention", "drop", "2026-10", *options, "--yes")
        assert october.code == 2
        assert "--into FOLDER, or --without-export" in october.errors


def test_hours_of_a_retired_month_are_refused_with_a_hint(october):
    october.done("statements", "close", "acme", "2026-10")
    october.done("retention", "drop", "2026-10", "--without-export", "--yes")
    october.run("spend", "--start", "2026-10-01", "--end", "2026-10-02", "--granularity", "hour")
    assert october.code == 2
    assert "events_retired" in october.errors
    assert "whole days and months" in october.errors


def test_an_event_of_a_retired_month_is_reported_as_retired(october):
    october.done("statements", "close", "acme", "2026-10")
    october.done("retention", "drop", "2026-10", "--without-export", "--yes")
    october.run("explain", "req-7", "--account", "acme")
    assert (october.code, october.errors.partition(":")[0]) == (2, "error[events_retired]")
    assert "2026-10" in october.errors
    october.run("explain", "req-77", "--account", "acme")
    assert october.errors.startswith("error[not_found]")
