"""The sample month: the same for the same seed, all of it valid, nearly all of it priced."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from support.places import ROOT

SCRIPT = ROOT / "examples" / "sample_traffic.py"


def generate(*arguments):
    command = [sys.executable, str(SCRIPT), "--events", "2000", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def october():
    return generate("--month", "2026-10", "--seed", "7")


def test_the_same_seed_generates_the_same_month_and_a_different_seed_does_not(october):
    assert generate("--month", "2026-10", "--seed", "7") == october
    assert generate("--month", "2026-10", "--seed", "8") != october


def test_a_month_looks_like_real_traffic(october):
    events = [json.loads(line) for line in october.splitlines()]
    assert len(events) == 2_000
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    assert {event["time"][:7] for event in events} == {"2026-10"}
    assert len({event["id"] for event in events}) == 2_000
    assert {event["account"] for event in events} == {"acme"}
    routes = Counter(event.get("route", "unknown") for event in events)
    assert routes["routed"] > 1_500
    assert min(routes["serverless"], routes["provider_key"]) > 10
    assert {429, 500, 503} & {event["status"] for event in events}
    used = Counter(kind for event in events for kind in event.get("usage", {}))
    assert all(used[kind] for kind in ("cache_read_tokens", "reasoning_tokens", "compute_ms", "images", "megapixels"))
    nights = sum(event["time"][11:13] < "06" for event in events)
    assert 0 < nights < 300


def test_all_sample_traffic_is_accepted_and_little_is_unpriced(october, command_line):
    log = command_line.folder / "october.ndjson"
    log.write_bytes(october)
    total = command_line.json("ingest", log, "--account", "acme", "--plan", "pro")["total"]
    assert (total["accepted"], total["received"]) == (2_000, 2_000)
    assert 0 < total["unpriced"] < 40
    statement = command_line.json("statements", "show", "acme", "2026-10")
    assert statement["usage_nano_usd"] > 0
    assert statement["owed_to_partners_nano_usd"] > 0
    command_line.done("verify")
