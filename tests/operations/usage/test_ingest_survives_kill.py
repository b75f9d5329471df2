"""Acknowledged means stored: after ``kill -9`` at any moment nothing acknowledged is missing and nothing counts twice."""

import json
import random
import signal
from pathlib import Path

import pytest
from sqlalchemy import select

from metering.domain.instants import format_instant
from metering.storage.tables import events
from support.builders import NOON, NOW, SECOND
from support.victims import killed_after, start_victim

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


@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_kill_at_any_moment_nothing_is_lost_or_counted_twice(meter, tmp_path, seed):
    chance = random.Random(seed)
    log = tmp_path / "crash.log"
    log.write_text("".join(json.dumps(record(number)) + "\n" for number in range(RECORDS)))
    deaths = 0
    for _ in range(3):
        process = start_victim(VICTIM, meter.url, log, NOW)
        acknowledged = killed_after(process, chance.randrange(1, 20), chance.random() / 20)
        deaths += process.returncode == -signal.SIGKILL
        stored = {row.external_id for row in meter.rows(select(events.c.external_id))}
        assert {f"r{number}" for number in range(acknowledged)} <= stored
        assert not meter.violations()
    assert deaths
    final = start_victim(VICTIM, meter.url, log, NOW)
    final.communicate(timeout=300)
    assert final.returncode == 0
    (row,) = meter.spend()
    # 1,000 nano-USD per token; the records have 1 to 97 tokens in turn.
    expected = 1_000 * sum(1 + number % 97 for number in range(RECORDS))
    assert (row.events, row.amount_nano) == (RECORDS, expected)
    assert not meter.violations()
