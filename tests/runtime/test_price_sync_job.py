"""The job syncs when due and logs a change of state once, so that a machine without network gets one line."""

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
    """A function that runs the job once a minute for a number of minutes and returns the warnings."""
    caplog.set_level(logging.WARNING)

    def tick(minutes):
        caplog.clear()
        for _ in range(minutes):
            router.meter.now += MINUTE
            sync_when_due(router.meter.engine, router.source)
        return [record.getMessage() for record in caplog.records]

    return tick


def test_prices_are_fetched_once_an_hour(router, ticking):
    assert ticking(120) == []
    assert router.outcomes() == ["recorded", "unchanged"]


def test_missed_syncs_are_made_up_for_once_at_the_next_tick(router, ticking):
    ticking(1)
    router.meter.now += 300 * MINUTE
    ticking(2)
    assert router.outcomes() == ["recorded", "unchanged"]


def test_a_failing_router_is_logged_once_and_retried_less_often_until_it_works_again(router, ticking):
    router.respond(DOWN)
    (warning,) = ticking(60)
    assert "returned 503" in warning
    assert "keeping current prices, will retry" in warning
    # at the first tick, and after 5, 10, 20 minutes; the next would come after 40 more
    assert router.outcomes() == ["failed"] * 4
    assert ticking(16) == []
    assert router.outcomes() == ["failed"] * 5
    router.respond(document())
    assert ticking(80) == ["price sync works again after 5 failed attempts"]
    assert source_health(router.meter.engine).consecutive_failures == 0


def test_a_pending_sync_is_logged_once_and_a_recorded_one_is_no_warning(router, ticking):
    ticking(1)
    router.respond(document(("model-0", "together", 20, 2)))
    (warning,) = ticking(180)
    assert "price sync 2 would change too much and is pending" in warning
    accept_sync(router.meter.engine, 2, now=router.meter.now)
    assert ticking(60) == []
    router.respond(document(("model-0", "together", 21, 2)))
    assert ticking(60) == []


def test_an_interval_of_zero_disables_the_job(router, ticking):
    router.settings = type(router.settings)(router.settings.router_url, interval_minutes=0)
    ticking(5)
    assert router.outcomes() == []
    assert router.loopback.requests == []
