"""After ``kill -9`` at any moment, a re-rating run resumes where it was: totals are exact, and nothing is replaced twice."""

import random
import signal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from metering.domain.charges.rerating import RerateScope
from metering.operations.charges.rerate import start_rerate
from metering.storage.charges.rerate_runs import run_with_id
from metering.storage.engine.database import read_snapshot
from metering.storage.tables import charges
from pricing.quantities import Quantities
from support.builders import FROM_2020, NOON, NOW, SECOND, price_table, rate, usage_event
from support.presence import present
from support.victims import killed_after, start_victim

VICTIM = Path(__file__).with_name("rerate_until_killed.py")
EVENTS = 2_000


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_killed_at_any_moment_replaces_every_charge_once(meter, seed):
    chance = random.Random(seed)
    tokens = [1 + number % 97 for number in range(EVENTS)]
    meter.ingest(
        *(
            usage_event(time=NOON + number // 3 * SECOND, quantities=Quantities(input_tokens=used), project=f"p{number % 5}")
            for number, used in enumerate(tokens)
        )
    )
    meter.record_prices(price_table(rate(3_000_000, 0), effective_from=FROM_2020 + 1))
    run_id = start_rerate(meter.engine, RerateScope(None, 0, NOW), reason="r", now=NOW).id
    deaths = 0
    for _ in range(3):
        process = start_victim(VICTIM, meter.url, run_id, NOW)
        acknowledged = killed_after(process, chance.randrange(1, 20), chance.random() / 50)
        deaths += process.returncode == -signal.SIGKILL
        with read_snapshot(meter.engine) as connection:
            run = present(run_with_id(connection, run_id))
        assert acknowledged <= run.events_changed
        assert meter.count(charges) == 2 * run.events_changed
        assert not meter.violations()
    assert deaths
    final = start_victim(VICTIM, meter.url, run_id, NOW)
    final.communicate(timeout=300)
    assert final.returncode == 0
    # 3,000 nano-USD a token where it was 1,000, and each event taken back and replaced once.
    assert meter.total() == 3_000 * sum(tokens)
    of_an_event = select(func.count(charges.c.id)).group_by(charges.c.event_id)
    assert {row[0] for row in meter.rows(of_an_event)} == {2}
    assert meter.count(charges) == 2 * EVENTS
    assert not meter.violations()
