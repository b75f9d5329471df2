"""``metering prices sync``, ``accept`` and ``syncs``: the changes, the exit code, and the pending sync."""

import json
import subprocess
import sys

import pytest

from support.loopback_source import answer, source
from support.router import document

DEAR = ("model-0", "together", 20, 2)


@pytest.fixture
def synced(command_line):
    """The command line with a router on loopback, and limits that let the first sync pass."""
    with source(document()) as router:
        command_line.environment |= {
            "METERING_ROUTER_URL": router.url,
            "METERING_SYNC_MAX_CHANGED_PERCENT": "100",
            "METERING_SYNC_MAX_VANISHED_PERCENT": "100",
        }
        command_line.router = router
        yield command_line


def sync(synced, *script, arguments=()):
    if script:
        synced.router.respond(*script)
    synced.now += 1_000_000
    return synced.run("prices", "sync", *arguments)


def test_a_sync_prints_the_changes_and_the_table(synced):
    sync(synced)
    assert synced.code == 0
    text = sync(synced, document(("model-0", "together", 1.5, 2), ("new", "novita", 0.5, 1)))
    assert "together  model-0  input tokens" in text
    assert "raised  $1.00 / 1M  $1.50 / 1M" in text
    assert "3 prices changed; recorded as table" in text
    assert "no prices changed" in sync(synced)


def test_json_has_the_names_of_the_api(synced):
    sync(synced)
    found = json.loads(sync(synced, document(("model-0", "together", 1.5, 2)), arguments=["--json"]))
    (change,) = found["changes"]
    assert (change["before"], change["after"]) == (
        {"price_usd": "0.000001000000", "per": 1, "unit": "token"},
        {"price_usd": "0.000001500000", "per": 1, "unit": "token"},
    )
    assert (found["outcome"], found["health"]["consecutive_failures"]) == ("recorded", 0)


def test_a_pending_sync_is_exit_code_1_until_it_is_accepted(synced):
    sync(synced)
    text = sync(synced, document(DEAR))
    assert synced.code == 1
    assert "sync 2: pending, because 1 price would change" in text
    assert "reason: together model-0: input_tokens would change from 1 USD per million to 20 USD per million" in text
    assert "record it with `metering prices accept 2`" in synced.errors
    assert "no prices changed" in sync(synced)
    assert synced.code == 1  # it is still pending
    assert "raised" in synced.done("prices", "syncs", "2")
    assert "accepted sync 2: recorded its prices as table" in synced.done("prices", "accept", "2")
    sync(synced)
    assert (synced.code, synced.errors) == (0, "")
    synced.run("prices", "accept", "2")
    assert (synced.code, synced.errors) == (2, "error[not_held]: price sync 2 was already accepted, by sync 4\n")
    shown = synced.done("prices", "syncs")
    assert "held, accepted by 4" in shown
    assert "decides 2" in shown


def test_a_failed_fetch_is_exit_code_1_and_is_listed(synced):
    sync(synced)
    text = sync(synced, answer(b"<html>", content_type="text/html"))
    assert synced.code == 1
    assert "sync 2 failed" in text
    assert "HTML instead of JSON" in text
    assert "HTML instead of JSON" in synced.done("prices", "syncs")
    assert "1 failure since the last success" in synced.errors
    assert synced.json("prices", "syncs")["health"]["consecutive_failures"] == 1


def test_a_dry_run_shows_the_changes_and_records_nothing(synced):
    sync(synced)
    text = sync(synced, document(("model-0", "together", 1.5, 2)), arguments=["--dry-run"])
    assert synced.code == 0
    assert "raised  $1.00 / 1M  $1.50 / 1M" in text
    assert "1 price would change" in text
    found = json.loads(sync(synced, document(DEAR), arguments=["--dry-run", "--json"]))
    assert (synced.code, [reason["code"] for reason in found["reasons"]]) == (1, ["price_jump"])
    assert len(synced.json("prices", "syncs")["items"]) == 1
    sync(synced, answer(status="403 Forbidden"), arguments=["--dry-run"])
    assert synced.code == 1
    assert synced.errors.startswith("error[source_refuses]: ")


def test_the_first_sync_is_compared_with_the_bundled_record_of_the_same_list(synced):
    """Ten unknown models in place of every bundled one look like a broken router."""
    del synced.environment["METERING_SYNC_MAX_CHANGED_PERCENT"], synced.environment["METERING_SYNC_MAX_VANISHED_PERCENT"]
    found = json.loads(sync(synced, arguments=["--json"]))
    assert found["outcome"] == "held"
    assert {reason["code"] for reason in found["reasons"]} == {"too_many_changed", "too_many_vanished"}


def test_before_the_first_sync_there_is_nothing_to_list(synced):
    synced.done("db", "upgrade")
    assert "never synced" in synced.done("prices", "syncs")
    synced.run("prices", "syncs", "1")
    assert (synced.code, synced.errors) == (
        2,
        "error[not_found]: there is no price sync 1; `metering prices syncs` lists them\n",
    )


def test_the_other_prices_commands_do_not_import_the_http_client():
    code = "import sys, metering.cli.prices; print([n for n in ('httpx', 'apscheduler') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
