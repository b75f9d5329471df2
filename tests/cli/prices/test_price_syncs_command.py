"""``metering prices sync``, ``accept`` and ``syncs``: the diff, the exit code, and what waits."""

import json
import subprocess
import sys

import pytest

from support.loopback_source import answer, source
from support.router import document

DEAR = ("model-0", "together", 20, 2)


@pytest.fixture
def asked(command_line):
    """The command line with a router on loopback, before which nothing but its ten models was known."""
    with source(document()) as router:
        command_line.environment |= {
            "METERING_ROUTER_URL": router.url,
            "METERING_SYNC_MAX_CHANGED_PERCENT": "100",
            "METERING_SYNC_MAX_VANISHED_PERCENT": "100",
        }
        command_line.router = router
        yield command_line


def sync(asked, *script, arguments=()):
    if script:
        asked.router.say(*script)
    asked.now += 1_000_000
    return asked.run("prices", "sync", *arguments)


def test_a_sync_prints_what_changed_and_the_version(asked):
    sync(asked)
    assert asked.code == 0
    text = sync(asked, document(("model-0", "together", 1.5, 2), ("new", "novita", 0.5, 1)))
    assert "together  model-0  input tokens" in text
    assert "raised  $1.00 / 1M  $1.50 / 1M" in text
    assert "3 prices changed; recorded as table" in text
    assert "nothing changed" in sync(asked)


def test_json_has_the_names_of_the_api(asked):
    sync(asked)
    found = json.loads(sync(asked, document(("model-0", "together", 1.5, 2)), arguments=["--json"]))
    (change,) = found["sync"]["changes"]
    assert (change["before"], change["after"]) == (
        {"price_usd": "0.000001000000", "per": 1, "unit": "token"},
        {"price_usd": "0.000001500000", "per": 1, "unit": "token"},
    )
    assert (found["sync"]["outcome"], found["health"]["consecutive_failures"]) == ("recorded", 0)


def test_what_is_held_is_exit_code_1_until_it_is_accepted(asked):
    sync(asked)
    text = sync(asked, document(DEAR))
    assert asked.code == 1
    assert "sync 2: held, as 1 price would change" in text
    assert "because together model-0: input_tokens goes from 1 USD per million to 20 USD per million" in text
    assert "`metering prices accept 2` records it" in asked.errors
    assert "nothing changed" in sync(asked)
    assert asked.code == 1  # it waits still
    assert "raised" in asked.done("prices", "syncs", "2")
    assert "what sync 2 held is recorded as table" in asked.done("prices", "accept", "2")
    sync(asked)
    assert (asked.code, asked.errors) == (0, "")
    asked.run("prices", "accept", "2")
    assert (asked.code, asked.errors) == (2, "error[not_held]: sync 2 was accepted already, by 4\n")
    shown = asked.done("prices", "syncs")
    assert "held, accepted by 4" in shown
    assert "decides 2" in shown


def test_a_router_that_fails_is_exit_code_1_and_seen_later(asked):
    sync(asked)
    text = sync(asked, answer(b"<html>", content_type="text/html"))
    assert asked.code == 1
    assert "sync 2 failed" in text
    assert "HTML instead of JSON" in text
    assert "HTML instead of JSON" in asked.done("prices", "syncs")
    assert "1 failed since the last answer" in asked.errors
    assert asked.json("prices", "syncs")["health"]["consecutive_failures"] == 1


def test_a_dry_run_shows_the_same_and_records_nothing(asked):
    sync(asked)
    text = sync(asked, document(("model-0", "together", 1.5, 2)), arguments=["--dry-run"])
    assert asked.code == 0
    assert "raised  $1.00 / 1M  $1.50 / 1M" in text
    assert "1 price would change" in text
    found = json.loads(sync(asked, document(DEAR), arguments=["--dry-run", "--json"]))
    assert (asked.code, [reason["code"] for reason in found["reasons"]]) == (1, ["price_jump"])
    assert len(asked.json("prices", "syncs")["syncs"]) == 1
    sync(asked, answer(status="403 Forbidden"), arguments=["--dry-run"])
    assert asked.code == 1
    assert asked.errors.startswith("error[source_refuses]: ")


def test_the_first_sync_is_judged_by_the_bundled_record_of_the_same_list(asked):
    """Ten unknown models in place of every bundled one look like a broken router."""
    del asked.environment["METERING_SYNC_MAX_CHANGED_PERCENT"], asked.environment["METERING_SYNC_MAX_VANISHED_PERCENT"]
    found = json.loads(sync(asked, arguments=["--json"]))
    assert found["sync"]["outcome"] == "held"
    assert {reason["code"] for reason in found["sync"]["reasons"]} == {"too_many_changed", "too_many_vanished"}


def test_before_the_first_sync_there_is_nothing_to_list(asked):
    asked.done("db", "upgrade")
    assert "never asked" in asked.done("prices", "syncs")
    asked.run("prices", "syncs", "1")
    assert (asked.code, asked.errors) == (2, "error[not_found]: there is no sync 1\n")


def test_the_other_commands_of_prices_load_no_client():
    code = "import sys, metering.cli.prices; print([n for n in ('httpx', 'apscheduler') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
