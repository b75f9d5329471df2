"""Ingest during a close: an event is on the closed statement or billed in the next month, never both, never neither."""

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
TIMEOUT = 30


def await_lock_wait(meter):
    """Return once a session waits for an advisory lock in this database."""
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    for _ in range(TIMEOUT * 100):
        with read_snapshot(meter.engine) as connection:
            if connection.exec_driver_sql(waiting).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("no session waits for a lock")


@pytest.fixture
def open_october(meter):
    """October with one event: partitions and series exist, so there is nothing else to wait for."""
    meter.ingest(usage_event(time=IN_OCTOBER))
    return meter


@pytest.fixture
def engines(open_october):
    made = [open_database(open_october.url) for _ in range(6)]
    yield made
    for engine in made:
        engine.dispose()


def pause_first_call(monkeypatch, module, name):
    """Pause the first call of a function; return an event that is set when it is reached, and one that resumes it."""
    reached, resume = threading.Event(), threading.Event()
    original = getattr(module, name)

    def paused(*arguments, **options):
        if not reached.is_set():
            reached.set()
            assert resume.wait(TIMEOUT)
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, paused)
    return reached, resume


def ingest(meter, engine):
    return Ingester(engine, meter.settings, lambda: NOW).ingest(batch_of(usage_event(time=IN_OCTOBER)), Origin("gateway"))


def close(engine, account="acme"):
    (statement,) = close_month(engine, account, OCTOBER, CloseOptions(PLANS), now=NOW)
    return statement


def billed_in(meter):
    statement = select(events.c.billing_month, func.count()).group_by(events.c.billing_month).order_by(events.c.billing_month)
    return dict(map(tuple, meter.rows(statement)))


@pytest.mark.only_on("postgresql")
def test_closing_waits_for_an_earlier_ingest_and_includes_its_event(open_october, engines, monkeypatch):
    reached, resume = pause_first_call(monkeypatch, store_events, "deduplicate")  # the accounts are locked here
    with ThreadPoolExecutor() as pool:
        ingesting = pool.submit(ingest, open_october, engines[0])
        assert reached.wait(TIMEOUT)
        closing = pool.submit(close, engines[1])
        await_lock_wait(open_october)
        assert open_october.count(statements) == 0
        resume.set()
        assert (ingesting.result().accepted, closing.result().events) == (1, 2)
    assert billed_in(open_october) == {OCTOBER: 2}
    assert open_october.violations() == []


@pytest.mark.only_on("postgresql")
def test_ingest_waits_for_an_earlier_close_and_is_billed_in_the_next_month(open_october, engines, monkeypatch):
    from metering.operations.statements import close_month as module  # noqa: PLC0415

    # Prepared beforehand, so that only storing waits, and only for the account.
    writer = Ingester(engines[1], open_october.settings, lambda: NOW)
    prepared = writer.prepare(batch_of(usage_event(time=IN_OCTOBER)), Origin("gateway"))
    reached, resume = pause_first_call(monkeypatch, module, "read_books")  # the account is locked here
    with ThreadPoolExecutor() as pool:
        closing = pool.submit(close, engines[0])
        assert reached.wait(TIMEOUT)
        ingesting = pool.submit(writer.store, [prepared])
        await_lock_wait(open_october)
        resume.set()
        (stored,) = ingesting.result()
        assert (stored.accepted, closing.result().events) == (1, 1)
    assert billed_in(open_october) == {OCTOBER: 1, NOVEMBER: 1}
    assert open_october.statement(NOVEMBER).lines[0].origin_month == OCTOBER
    assert open_october.violations() == []


def test_concurrent_closes_write_one_statement_and_all_return_it(open_october, engines):
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
def test_every_event_ingested_during_a_close_is_on_exactly_one_statement(open_october, engines, seed):
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
