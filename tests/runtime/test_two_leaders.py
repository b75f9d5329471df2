"""If two processes both believe they are the leader, the database decides, and scheduled work happens once."""

import threading
from contextlib import ExitStack

import pytest
from sqlalchemy import select

from metering.operations.prices.sync_prices import RouterSource
from metering.runtime.price_sync_job import sync_when_due
from metering.runtime.scheduler import Job, Scheduler
from metering.storage.engine.database import open_database
from metering.storage.tables import alerts, price_syncs
from support.router import Router, document

pytestmark = pytest.mark.only_on("sqlite", "postgresql")

PATIENCE = 20
MINUTE = 60_000_000


class AlwaysLeads:
    """A leader that does not know that its session ended."""

    def is_leader(self) -> bool:
        return True

    def release(self) -> None:
        """Do nothing."""


@pytest.fixture
def router(bare_meter):
    with ExitStack() as stack:
        yield Router(bare_meter, stack)


def test_two_leaders_record_a_price_change_once(router):
    router.sync(document())
    router.meter.now += 120 * MINUTE
    router.respond(document(("model-0", "together", 1.1, 2.0)))
    together = threading.Barrier(2)
    done = [threading.Event() for _ in range(2)]
    engines = [open_database(router.meter.url) for _ in range(2)]
    met = [0]

    def fetch(address, etag):
        answer = router.fetch(address, etag)
        if not met[0]:
            # Both have an answer before either of them writes: neither can know of the other.
            together.wait(PATIENCE)
            met[0] = 1
        return answer

    def job(number):
        def run():
            sync_when_due(engines[number], RouterSource(fetch, router.settings, lambda: router.meter.now))
            done[number].set()

        return Job("price sync", run)

    schedulers = [Scheduler([job(number)], AlwaysLeads(), tick_seconds=0.05) for number in range(2)]
    try:
        for scheduler in schedulers:
            scheduler.start()
        assert all(each.wait(PATIENCE) for each in done)
    finally:
        for scheduler in schedulers:
            scheduler.stop()
        for engine in engines:
            engine.dispose()
    outcomes = sorted(row.outcome for row in router.meter.rows(select(price_syncs)))
    assert outcomes == ["recorded", "recorded", "unchanged"]
    assert len(router.versions()) == 2
    assert router.meter.count(alerts) == 2
    assert not router.meter.violations()
