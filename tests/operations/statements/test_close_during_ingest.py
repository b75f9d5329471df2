"""Ingest and closing at once: an event is on the closed statement or billed in the next month. Never both, never neither."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.usage import store_events
from metering.operations.usage.ingest import Ingester, Origin
from metering.storage.engine.database import open_database, read_snapshot
from metering.storage.tables import alerts, events, statements
from support.builders import NOW, SECOND, batch_of, instant, usage_event
from support.meter import PLANS

OCTOBER, NOVEMBER = 202610, 202611
IN_OCTOBER = instant("2026-10-10T00:00:00Z")
PATIENCE = 30


def waits_for_a_lock(meter):
    """Wait until somebody waits for an advisory lock in this database."""
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    for _ in range(PATIENCE * 100):
        with read_snapshot(meter.engine) as connection:
            if connection.exec_driver_sql(waiting).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.fixture
def open_october(meter):
    """October with one event; partitions and series are there, so that nothing else is waited for."""
    meter.ingest(usage_event(time=IN_OCTOBER))
    return meter


@pytest.fixture
def engines(open_october):
    made = [open_database(open_october.url) for _ in range(6)]
    yield made
    for engine in made:
        engine.dispose()


def held_up(monkeypatch, module, name):
    """Hold up the first call of a function; return the event of its being reached, and the one that lets it go on."""
    reached, go_on = threading.Event(), threading.Event()
    original = getattr(module, name)

    def held(*arguments, **options):
        if not reached.is_set():
            reached.set()
            assert go_on.wait(PATIENCE)
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, held)
    return reached, go_on


def ingest(meter, engine):
    return Ingester(engine, meter.settings, lambda: NOW).ingest(batch_of(usage_event(time=IN_OCTOBER)), Origin("gateway"))


def close(engine, account="acme"):
    (statement,) = close_month(engine, account, OCTOBER, CloseOptions(PLANS), now=NOW)
    return statement


def billed_in(meter):
    statement = select(events.c.billing_month, func.count()).group_by(events.c.billing_month).order_by(events.c.billing_month)
    return dict(map(tuple, meter.rows(statement)))


@pytest.mark.only_on("postgresql")
def test_closing_waits_for_the_ingest_that_came_first_and_has_its_event(open_october, engines, monkeypatch):
    reached, go_on = held_up(monkeypatch, store_events, "judge")  # the accounts are held by then
    with ThreadPoolExecutor() as pool:
        ingesting = pool.submit(ingest, open_october, engines[0])
        assert reached.wait(PATIENCE)
        closing = pool.submit(close, engines[1])
        waits_for_a_lock(open_october)
        assert open_october.count(statements) == 0
        go_on.set()
        assert (ingesting.result().accepted, closing.result().events) == (1, 2)
    assert billed_in(open_october) == {OCTOBER: 2}
    assert open_october.violations() == []


@pytest.mark.only_on("postgresql")
def test_ingest_waits_for_the_close_that_came_first_and_is_billed_in_the_next_month(open_october, engines, monkeypatch):
    from metering.operations.statements import close_month as module  # noqa: PLC0415

    # Prepared before: only storing it is to wait, and only for the account.
    writer = Ingester(engines[1], open_october.settings, lambda: NOW)
    prepared = writer.prepare(batch_of(usage_event(time=IN_OCTOBER)), Origin("gateway"))
    reached, go_on = held_up(monkeypatch, module, "read_books")  # the account is held by then
    with ThreadPoolExecutor() as pool:
        closing = pool.submit(close, engines[0])
        assert reached.wait(PATIENCE)
        ingesting = pool.submit(writer.store, [prepared])
        waits_for_a_lock(open_october)
        go_on.set()
        (stored,) = ingesting.result()
        assert (stored.accepted, closing.result().events) == (1, 1)
    assert billed_in(open_october) == {OCTOBER: 1, NOVEMBER: 1}
    assert open_october.statement(NOVEMBER).lines[0].origin_month == OCTOBER
    assert open_october.violations() == []


def test_of_two_that_close_at_once_one_closes_and_both_answer_with_its_statement(open_october, engines):
    together = threading.Barrier(len(engines))

    def closing(engine):
        together.wait()
        return close(engine).digest

    with ThreadPoolExecutor(len(engines)) as pool:
        digests = set(pool.map(closing, engines))
    assert len(digests) == 1
    assert (open_october.count(statements), open_october.count(alerts)) == (1, 1)
    assert open_october.violations() == []


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_comes_while_a_month_closes_is_counted_on_exactly_one_statement(open_october, engines, seed):
    names = ["acme", *(f"other-{number}" for number in range(3))]
    for name in names[1:]:
        open_october.declare(name)
        open_october.ingest(usage_event(time=IN_OCTOBER, account=name))
    writers = engines[:4]
    started = threading.Barrier(len(writers) + 1)

    def write(number):
        chance = random.Random(seed * 10 + number)
        writer = Ingester(writers[number], open_october.settings, lambda: NOW)
        started.wait()
        for _ in range(15):
            batch = [
                usage_event(time=IN_OCTOBER + chance.randrange(10**6) * SECOND, account=chance.choice(names)) for _ in range(8)
            ]
            writer.ingest(batch_of(*batch), Origin("gateway"))

    def close_all():
        started.wait()
        return [close(engines[4], name) for name in random.Random(seed).sample(names, len(names))]

    with ThreadPoolExecutor(len(writers) + 1) as pool:
        writing = [pool.submit(write, number) for number in range(len(writers))]
        closed = pool.submit(close_all).result()
        for each in writing:
            each.result()
    billed = billed_in(open_october)
    assert sum(billed.values()) == len(names) + 4 * 15 * 8
    assert sum(statement.events for statement in closed) == billed[OCTOBER]
    later = sum(open_october.statement(NOVEMBER, account=name).events for name in names)
    assert later == billed.get(NOVEMBER, 0)
    assert open_october.violations() == []
