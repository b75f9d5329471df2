"""After ``kill -9`` a month is closed or not: a statement with its entries, mark and alert, or none of them."""

import random
import signal
from pathlib import Path

import pytest

from metering.storage.tables import accounts, alerts, credit_entries, statements
from pricing.quantities import Quantities
from support.builders import NOW, usage_event
from support.victims import kill_unless_done, start_victim

PROGRAM = Path(__file__).with_name("close_until_killed.py")
DECEMBER_5 = NOW + 12 * 86_400_000_000
ACCOUNTS = 30


def start(meter, *step):
    return start_victim(PROGRAM, meter.url, DECEMBER_5, *step, text=True)


@pytest.fixture
def many(bare_meter):
    """Accounts on PRO with $3.00 of usage in November and $5.00 of purchased credits each."""
    bare_meter.record_prices()
    names = [f"account-{number:02d}" for number in range(ACCOUNTS)]
    for name in names:
        bare_meter.declare(name)
        bare_meter.set_plan("pro", "2026-11-01", account=name)
        bare_meter.grant(5_000_000_000, account=name, reference="r")
    bare_meter.ingest(*(usage_event(account=name, quantities=Quantities(input_tokens=3_000_000)) for name in names))
    return bare_meter


def check_closed_once_each(meter, closed):
    assert meter.count(statements) == closed
    assert meter.count(alerts, alerts.c.type == "statement.closed") == closed
    assert meter.count(accounts, accounts.c.closed_through == 202611) == closed
    # Two per account: what the included and the purchased credits paid.
    assert meter.count(credit_entries, credit_entries.c.kind == "apply") == 2 * closed
    assert meter.violations() == []


STEPS = ("record_entries", "insert_statement", "advance_closed_through", "raise_alert", "stored_statement")


@pytest.mark.parametrize("step", STEPS)
def test_a_close_killed_midway_leaves_nothing_and_the_next_one_closes_everything(many, step):
    process = start(many, step)
    assert (process.communicate()[0], process.returncode) == ("", -signal.SIGKILL)
    check_closed_once_each(many, 0)
    assert len(start(many).communicate()[0].splitlines()) == ACCOUNTS
    check_closed_once_each(many, ACCOUNTS)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_a_kill_at_any_moment_every_acknowledged_close_persists(many, seed):
    chance = random.Random(seed)
    acknowledged: dict[str, str] = {}
    for _ in range(3):
        process = start(many)
        for _ in range(chance.randint(1, 8)):
            line = process.stdout.readline().split()
            acknowledged |= dict([line]) if line else {}
        kill_unless_done(process, chance.random() / 50)
        acknowledged |= dict(line.split() for line in process.stdout.read().splitlines())
        process.stdout.close()
        process.wait()
        closed = many.count(statements)
        assert closed >= len(acknowledged)
        check_closed_once_each(many, closed)
    start(many).communicate()
    check_closed_once_each(many, ACCOUNTS)
    for name, digest in acknowledged.items():
        assert many.statement(202611, account=name).digest == digest
