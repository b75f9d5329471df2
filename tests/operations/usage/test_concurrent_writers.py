"""Several processes write to one PostgreSQL at once: each request counts once, sums are exact, none blocks forever."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from sqlalchemy import func, select

from metering.operations.charges.rate_unpriced import rate_unpriced
from metering.operations.steps.ensure_partitions import ensure_partitions
from metering.operations.usage.ingest import Ingester, Origin
from metering.storage.engine.backend import backend_of
from metering.storage.engine.database import concurrent_write, open_database, read_snapshot
from metering.storage.tables import (
    EVENT_ID_BLOCK,
    account_names,
    charges,
    event_claims,
    event_copies,
    events,
    later_claims,
    series,
)
from metering.storage.usage.events import insert_identities, reserve_event_ids
from support.builders import DAY, HOUR, NOON, NOW, batch_of, price_table, rate, usage_event

pytestmark = pytest.mark.only_on("postgresql")

WRITERS = 8
RESPONSE = "ebafdc12cee84cf29c1b"


@pytest.fixture
def at_once(meter):
    """A function that makes each writer, an ingester with its own connections, do something at the same moment."""
    engines = [open_database(meter.url) for _ in range(WRITERS)]

    def run(work, writers=WRITERS):
        together = threading.Barrier(writers)

        def begin(number):
            writer = Ingester(engines[number], meter.settings, lambda: NOW)
            together.wait()
            return work(number, writer)

        with ThreadPoolExecutor(writers) as pool:
            return list(pool.map(begin, range(writers)))

    yield run
    for engine in engines:
        engine.dispose()


def deadlocks(meter):
    """The number of deadlocks that PostgreSQL has resolved in this database."""
    with read_snapshot(meter.engine) as connection:
        return connection.exec_driver_sql(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).scalar_one()


def traffic():
    """2,000 requests over two months and 40 series, each as a gateway and a tracer recorded it: 4,000 records."""
    for number in range(2_000):
        fields = {
            "time": NOON - number % 2 * 20 * DAY + number * 1_000_000,
            "project": f"p{number % 8}",
            "account": f"team-{number % 5}",
            "response_id": f"response-{number:012d}",
        }
        yield usage_event(id=f"r{number}", source="gateway", **fields)
        yield usage_event(id=f"t{number}", source="tracer", **fields)


@pytest.mark.parametrize("together", [100, 900], ids=["by arrays", "by COPY"])
def test_eight_writers_with_overlapping_records_count_each_request_once(meter, at_once, together):
    records = list(traffic())

    def write(number, writer):
        chance = random.Random(number)
        mine = chance.sample(records, len(records) * 3 // 4) + [
            each for each in records if int(each.id[1:]) % WRITERS == number
        ]
        chance.shuffle(mine)
        origin = Origin("x", create_accounts=True)
        return [writer.ingest(batch_of(*mine[at : at + together]), origin) for at in range(0, len(mine), together)]

    results = [result for written in at_once(write) for result in written]
    assert sum(result.accepted for result in results) == 2_000
    assert sum(result.copy for result in results) == 2_000
    assert sum(result.conflict + result.rejected + result.unassigned for result in results) == 0
    assert (meter.count(events), meter.count(event_copies), meter.count(event_claims)) == (2_000, 2_000, 2_000)
    assert meter.total() == 2_000 * 120_000
    assert meter.rows(select(func.count()).select_from(series)) == [(40,)]
    assert deadlocks(meter) == 0
    assert not meter.violations()


@pytest.mark.parametrize("answers", [200, 200, 200, 600, 600, 600])
def test_of_two_sources_that_record_the_same_response_at_once_one_counts(meter, at_once, answers):
    ids = [f"response-{number:08d}" for number in range(answers)]

    def write(number, writer):
        mine = [usage_event(source=f"s{number}", response_id=each) for each in ids]
        random.Random(number).shuffle(mine)
        return writer.ingest(batch_of(*mine), Origin("x"))

    results = at_once(write, writers=4)
    assert sum(result.accepted for result in results) == answers
    assert sum(result.copy for result in results) == 3 * answers
    assert deadlocks(meter) == 0
    assert not meter.violations()


@pytest.mark.parametrize("round_", range(5))
def test_with_a_claim_of_an_unrelated_event_still_only_one_of_two_counts(meter, at_once, round_):
    meter.ingest(usage_event(source="old", response_id=RESPONSE, time=NOON - 3 * HOUR))

    def write(number, writer):
        return writer.ingest(batch_of(usage_event(source=f"s{number}", response_id=RESPONSE)), Origin("x"))

    results = at_once(write)
    assert (sum(result.accepted for result in results), sum(result.copy for result in results)) == (1, WRITERS - 1)
    assert (meter.count(event_claims), meter.count(later_claims)) == (1, 1)
    assert not meter.violations()


def test_a_claim_first_made_by_a_copy_goes_to_a_counted_event(meter):
    """The copy has two IDs: one makes it a copy, and it releases the other for a third source's record."""
    meter.ingest(usage_event(source="gateway", response_id=RESPONSE))
    copy = usage_event(source="tracer", response_id=RESPONSE, inference_id="0-019ff4230000")
    alone = usage_event(source="third", inference_id="0-019ff4230000")
    result = meter.ingest(copy, alone)
    assert (result.accepted, result.copy) == (1, 1)
    (counted,) = meter.rows(select(events.c.id).join_from(events, event_claims, events.c.id == event_claims.c.event_id)
                            .where(events.c.response_id == ""))  # fmt: skip
    assert counted.id
    assert meter.ingest(usage_event(source="fourth", inference_id="0-019ff4230000")).copy == 1
    assert not meter.violations()


def test_concurrent_writers_create_each_account_source_series_and_month_once(meter, at_once):
    def write(number, writer):
        mine = [
            usage_event(account=f"new-{each}", source=f"source-{each}", time=NOON - each * 31 * DAY, project=f"p{each}")
            for each in range(10)
        ]
        return writer.ingest(batch_of(*mine), Origin("x", create_accounts=True))

    results = at_once(write)
    assert sum(result.accepted for result in results) == 10 * WRITERS
    new = account_names.c.name.like("new-%")
    assert meter.count(account_names, new) == 10
    assert deadlocks(meter) == 0
    assert not meter.violations()


def test_a_new_month_gets_its_partition_before_its_first_event(meter):
    with read_snapshot(meter.engine) as connection:
        assert backend_of(connection).months_without_partition(connection, [202601, 202511]) == [202511, 202601]
    january = NOON - 300 * DAY
    assert meter.ingest(usage_event(time=january)).accepted == 1
    with read_snapshot(meter.engine) as connection:
        assert backend_of(connection).months_without_partition(connection, [202601, 202511]) == [202511]
        assert connection.exec_driver_sql("SELECT count(*) FROM events_202601").scalar_one() == 1


def test_the_coming_months_have_partitions(bare_meter):
    ensure_partitions(bare_meter.engine, now=NOW, months_ahead=2)
    ensure_partitions(bare_meter.engine, now=NOW, months_ahead=2)
    with read_snapshot(bare_meter.engine) as connection:
        months = [202610, 202611, 202612, 202701, 202702]
        assert backend_of(connection).months_without_partition(connection, months) == [202610, 202702]


def test_the_ids_of_a_batch_are_consecutive_with_concurrent_writers(meter, at_once):
    def draw(number, writer):
        drawn = []
        for count in (1, EVENT_ID_BLOCK, EVENT_ID_BLOCK + 1, 25 * EVENT_ID_BLOCK):
            with concurrent_write(writer._engine) as connection:
                first = reserve_event_ids(connection, count)
                drawn.append(range(first, first + count))
        return drawn

    drawn = sorted((ids for each in at_once(draw) for ids in each), key=lambda ids: ids.start)
    assert len(drawn) == 4 * WRITERS
    assert all(before.stop <= after.start for before, after in pairwise(drawn))


def test_usage_that_is_priced_concurrently_is_charged_once(meter, at_once):
    meter.ingest(*(usage_event(model="mystery", project=f"p{number % 9}") for number in range(300)))
    meter.record_prices(price_table(rate(model="mystery"), source="mystery"))
    results = at_once(lambda number, writer: rate_unpriced(writer._engine, now=NOW), writers=4)
    assert sum(result.rated for result in results) == 300
    assert (meter.total(), meter.count(charges), deadlocks(meter)) == (300 * 120_000, 600, 0)
    assert not meter.violations()


def test_an_identity_is_unique_across_months(meter):
    """Identity is permanent, across partitions: the same ID a year later is the same identity."""
    meter.ingest(usage_event(id="a"))
    assert meter.ingest(usage_event(id="a", time=NOON - 400 * DAY)).conflict == 1
    with concurrent_write(meter.engine) as connection:
        assert insert_identities(connection, [(bytes(16), 1, 1), (bytes(16), 2, 2)]) == 1
