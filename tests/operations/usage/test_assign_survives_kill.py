"""After ``kill -9`` at any moment the same command completes the rest: each event is assigned once, and sums are exact."""

import random
import signal
from pathlib import Path

import pytest

from metering.storage.tables import assigned_events, charges
from pricing.quantities import Quantities
from support.assigning import spent
from support.builders import NOON, NOW, SECOND, usage_event
from support.victims import killed_after, start_victim

VICTIM = Path(__file__).with_name("assign_until_killed.py")
EVENTS = 2_000


@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_kill_at_any_moment_each_event_is_assigned_once(meter, seed):
    chance = random.Random(seed)
    tokens = [1 + number % 97 for number in range(EVENTS)]
    records = [
        {
            "id": f"r{number}",
            "time": NOON + number // 3 * SECOND,
            "quantities": Quantities(input_tokens=used),
            "project": f"p{number % 5}",
        }
        for number, used in enumerate(tokens)
    ]
    meter.ingest(*(usage_event(account="stranger", **fields) for fields in records))
    # A tenth of the records was also sent for the account.
    meter.ingest(*(usage_event(**fields) for fields in records[::10]))
    deaths = done = 0
    for _ in range(3):
        process = start_victim(VICTIM, meter.url, "stranger", "acme", NOW)
        acknowledged = killed_after(process, chance.randrange(1, 15), chance.random() / 50)
        deaths += process.returncode == -signal.SIGKILL
        assigned = meter.count(assigned_events)
        assert done + acknowledged <= assigned
        done = assigned
        assert meter.count(charges) == 2 * assigned - meter.count(
            assigned_events, assigned_events.c.counted_as != assigned_events.c.event_id
        )
        assert not meter.violations()
    assert deaths
    final = start_victim(VICTIM, meter.url, "stranger", "acme", NOW)
    final.communicate(timeout=300)
    assert final.returncode == 0
    assert spent(meter) == {"acme": (EVENTS, 1_000 * sum(tokens))}
    assert meter.count(assigned_events) == EVENTS
    assert meter.count(charges) == 2 * EVENTS - EVENTS // 10
    assert not meter.violations()
