"""The job asks when that is due, and says a change of state once: to whoever has no network it is one line."""

import logging
from contextlib import ExitStack

import pytest

from metering.operations.prices.accept_sync import accept_sync
from metering.operations.prices.sync_prices import source_health
from metering.runtime.price_sync_job import sync_when_due
from support.loopback_source import answer
from support.router import Router, document

MINUTE = 60_000_000
DOWN = answer(status="503 Service Unavailable")


@pytest.fixture
def router(bare_meter):
    with ExitStack() as stack:
        yield Router(bare_meter, stack)


@pytest.fixture
def ticking(router, caplog):
    """A function that ticks once a minute for so many minutes; returns the warnings."""
    caplog.set_level(logging.WARNING)

    def tick(minutes):
        caplog.clear()
        for _ in range(minutes):
            router.meter.now += MINUTE
            sync_when_due(router.meter.engine, router.source)
        return [record.getMessage() for record in caplog.records]

    return tick


def test_of_the_ticks_of_two_hours_two_ask(router, ticking):
    assert ticking(120) == []
    assert router.outcomes() == ["recorded", "unchanged"]


def test_what_was_missed_while_nothing_ran_is_due_at_the_next_tick_once(router, ticking):
    ticking(1)
    router.meter.now += 300 * MINUTE
    ticking(2)
    assert router.outcomes() == ["recorded", "unchanged"]


def test_a_router_that_fails_is_told_once_asked_less_often_and_told_again_when_it_works(router, ticking):
    router.says(DOWN)
    (warning,) = ticking(60)
    assert "returned 503" in warning
    assert "it is tried again" in warning
    # at the first tick, and after 5, 10, 20 minutes; the next would come after 40 more
    assert router.outcomes() == ["failed"] * 4
    assert ticking(16) == []
    assert router.outcomes() == ["failed"] * 5
    router.says(document())
    assert ticking(80) == ["prices are synced again, after 5 failures"]
    assert source_health(router.meter.engine).consecutive_failures == 0


def test_a_held_sync_is_told_once_and_what_is_recorded_is_no_warning(router, ticking):
    ticking(1)
    router.says(document(("model-0", "together", 20, 2)))
    (warning,) = ticking(180)
    assert "sync 2 would change too much and is held" in warning
    accept_sync(router.meter.engine, 2, now=router.meter.now)
    assert ticking(60) == []
    router.says(document(("model-0", "together", 21, 2)))
    assert ticking(60) == []


def test_an_interval_of_nothing_asks_nobody(router, ticking):
    router.settings = type(router.settings)(router.settings.router_url, interval_minutes=0)
    ticking(5)
    assert router.outcomes() == []
    assert router.loopback.requests == []
