"""Acknowledged means stored: after ``kill -9`` at any moment nothing acknowledged is missing and nothing counts twice."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from builders import NOON, NOW, SECOND
from sqlalchemy import select

from metering.domain.instants import format_instant
from metering.storage.tables import events

ROOT = Path(__file__).parents[2]
VICTIM = Path(__file__).with_name("ingest_until_killed.py")
RECORDS = 3_000


def record(number):
    tokens = 1 + number % 97
    return {
        "id": f"r{number}",
        "time": format_instant(NOON + number * SECOND),
        "account": "acme",
        "provider": "together",
        "model": "llama",
        "route": "routed",
        "status": 200,
        "project": f"p{number % 11}",
        "usage": {"input_tokens": tokens},
        "response_id": f"response-{number:020d}",
    }


def start(meter, log):
    return subprocess.Popen(
        [sys.executable, str(VICTIM), meter.url, str(log), str(NOW)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        start_new_session=True,  # the process that decodes goes down with it
    )


def killed_after(process, acknowledgements, delay):
    """Kill the process some time after it has acknowledged so often; return how many records it acknowledged in all."""
    acknowledged = 0
    for _ in range(acknowledgements):
        told = process.stdout.readline()
        if not told:
            break
        acknowledged = int(told)
    try:
        process.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    return max([acknowledged, *map(int, rest)])


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_any_moment_it_loses_nothing_and_counts_nothing_twice(meter, tmp_path, seed):
    chance = random.Random(seed)
    log = tmp_path / "crash.log"
    log.write_text("".join(json.dumps(record(number)) + "\n" for number in range(RECORDS)))
    deaths = 0
    for _ in range(3):
        process = start(meter, log)
        acknowledged = killed_after(process, chance.randrange(1, 20), chance.random() / 20)
        deaths += process.returncode == -signal.SIGKILL
        stored = {row.external_id for row in meter.rows(select(events.c.external_id))}
        assert {f"r{number}" for number in range(acknowledged)} <= stored
        assert not meter.violations()
    assert deaths
    final = start(meter, log)
    final.communicate(timeout=60)
    assert final.returncode == 0
    (row,) = meter.spend()
    # 1,000 nano-USD a token, of which the records have 1 to 97 in turn.
    expected = 1_000 * sum(1 + number % 97 for number in range(RECORDS))
    assert (row.events, row.amount_nano) == (RECORDS, expected)
    assert not meter.violations()
