"""Assigning concurrently on PostgreSQL, with itself, ingest of the same records, and closing. Each request counts once."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from metering.domain.usage.assigning import AssignmentScope
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.usage import assign_usage as operation
from metering.operations.usage.assign_usage import assign_usage
from metering.operations.usage.ingest import Ingester, Origin
from metering.storage.engine.database import open_database, read_snapshot
from metering.storage.tables import assigned_events, charges, statements
from support.assigning import spent
from support.builders import NOON, NOW, SECOND, batch_of, instant, usage_event
from support.meter import PLANS

pytestmark = pytest.mark.only_on("postgresql")

EACH = 120_000
REQUESTS = 600


@pytest.fixture
def at_once(meter, monkeypatch):
    """A function that runs several functions at the same moment, each with its own connections."""
    monkeypatch.setattr(operation, "CHUNK", 50)
    engines = []

    def run(*works):
        together = threading.Barrier(len(works))
        mine = [open_database(meter.url) for _ in works]
        engines.extend(mine)

        def begin(number):
            together.wait()
            return works[number](mine[number])

        with ThreadPoolExecutor(len(works)) as pool:
            return list(pool.map(begin, range(len(works))))

    yield run
    for engine in engines:
        engine.dispose()


def assigning(meter, account="acme"):
    return lambda engine: assign_usage(engine, account, AssignmentScope("stranger"), meter.settings, clock=lambda: NOW)


def sending(meter, records, seed):
    """Return a function that sends the records in a random order."""
    shuffled = random.Random(seed).sample(records, len(records))

    def send(engine):
        writer = Ingester(engine, meter.settings, lambda: NOW)
        return [writer.ingest(batch_of(*shuffled[at : at + 30]), Origin("x")) for at in range(0, len(shuffled), 30)]

    return send


def deadlocks(meter):
    with read_snapshot(meter.engine) as connection:
        return connection.exec_driver_sql(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).scalar_one()


def records(account, source="gateway"):
    letter = source[0]
    return [
        usage_event(
            id=f"{letter}{number}",
            source=source,
            account=account,
            time=NOON + number * SECOND,
            response_id=f"response-{number:012d}",
        )
        for number in range(REQUESTS)
    ]


def test_concurrent_assignments_of_the_same_usage_assign_it_once(meter, at_once):
    meter.ingest(*records("stranger"))
    found = at_once(*[assigning(meter)] * 3)
    assert sum(each.total.events for each in found) == REQUESTS
    assert spent(meter) == {"acme": (REQUESTS, REQUESTS * EACH)}
    assert (meter.count(assigned_events), meter.count(charges)) == (REQUESTS, 2 * REQUESTS)
    assert not meter.violations()


def test_concurrent_assignments_to_two_accounts_assign_each_event_once(meter, at_once):
    meter.declare("umbrella")
    meter.ingest(*records("stranger"))
    at_once(assigning(meter), assigning(meter, "umbrella"))
    sums = spent(meter)
    assert sum(events for events, _ in sums.values()) == REQUESTS
    assert sums.keys() <= {"acme", "umbrella"}
    assert not meter.violations()


@pytest.mark.parametrize("seed", range(3))
def test_records_that_arrive_during_their_assignment_count_once(meter, at_once, seed):
    """The same records, another source's of the same requests, and more of an undeclared account, all at the same moment."""
    meter.ingest(*records("stranger"))
    at_once(
        assigning(meter),
        sending(meter, records("acme"), seed),
        sending(meter, records("acme", "tracer"), seed + 10),
        sending(meter, records("stranger", "tracer"), seed + 20),
    )
    at_once(assigning(meter))
    assert spent(meter) == {"acme": (REQUESTS, REQUESTS * EACH)}
    assert deadlocks(meter) == 0
    assert not meter.violations()


def test_usage_assigned_during_a_close_is_on_that_statement_or_the_next(meter, at_once):
    october = instant("2026-10-10T00:00:00Z")
    meter.ingest(usage_event(time=october))
    meter.ingest(*(usage_event(account="stranger", time=october + number) for number in range(REQUESTS)))
    at_once(assigning(meter), lambda engine: close_month(engine, "acme", 202610, CloseOptions(PLANS), now=NOW))
    assert meter.count(statements) == 1
    closed, draft = meter.statement(202610), meter.statement(202611)
    assert closed.usage_nano + draft.usage_nano == (REQUESTS + 1) * EACH
    assert not meter.violations()
