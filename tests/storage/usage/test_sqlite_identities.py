"""An identity counts once, whether it is recent, settled or being moved."""

import random

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.engine.migrate import downgrade, upgrade
from metering.storage.tables import event_identities, recent_identities
from metering.storage.usage import sqlite_identities
from metering.storage.usage.sqlite_identities import insert_identities, stored_identities
from support.builders import usage_event

pytestmark = pytest.mark.only_on("sqlite")


@pytest.fixture(autouse=True)
def recent_from_the_fifth_event_on(monkeypatch):
    monkeypatch.setattr(sqlite_identities, "RECENT_FROM", 5)
    monkeypatch.setattr(sqlite_identities, "SWEEP_EVENTS", 40)


def places(meter):
    """How many identities have settled, and how many are recent."""
    with read_snapshot(meter.engine) as connection:
        return tuple(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (event_identities, recent_identities)
        )


def key(number):
    return number.to_bytes(16, "big")


def test_a_small_log_settles_at_once(meter):
    meter.ingest(*(usage_event() for _ in range(4)))
    assert places(meter) == (4, 0)


def test_in_a_larger_log_identities_are_recent_first_and_settle_in_turn(meter):
    meter.ingest(*(usage_event() for _ in range(4)))
    meter.ingest(usage_event())
    assert places(meter) == (4, 1)
    for _ in range(90):
        meter.ingest(usage_event())
    settled, recent = places(meter)
    # After two times round all that is recent came in the last round.
    assert (settled + recent, recent <= 40) == (95, True)
    assert not meter.violations()


def test_duplicates_and_conflicts_are_found_in_both_tables(meter):
    events = [usage_event(id=f"e{number}") for number in range(60)]
    for event in events:
        meter.ingest(event)
    settled, recent = places(meter)
    assert settled
    assert recent
    again = meter.ingest(*events)
    other = meter.ingest(*(usage_event(id=f"e{number}", status=404) for number in range(60)))
    assert (again.accepted, again.duplicate) == (0, 60)
    assert (other.accepted, other.conflict) == (0, 60)
    assert sum(places(meter)) == 60
    assert not meter.violations()


@pytest.mark.parametrize("seed", range(5))
def test_batches_of_any_size_give_the_same_result_as_a_single_table(new_meter, monkeypatch, seed):
    chance = random.Random(seed)
    batches = [[chance.randrange(150) for _ in range(chance.choice([1, 2, 7, 60]))] for _ in range(25)]
    counts = []
    for recent_from in (5, 10**9):
        monkeypatch.setattr(sqlite_identities, "RECENT_FROM", recent_from)
        meter = new_meter()
        meter.declare("acme")
        meter.record_prices()
        results = [meter.ingest(*(usage_event(id=f"e{number}") for number in batch)) for batch in batches]
        counts.append([(result.accepted, result.duplicate) for result in results])
        assert sum(places(meter)) == len({number for batch in batches for number in batch})
        assert not meter.violations()
    assert counts[0] == counts[1]


def test_recent_identities_are_checked_even_if_ids_start_over(meter):
    """IDs follow the newest event: if the newest events are dropped, IDs are small again, and recent identities still count."""
    with exclusive_write(meter.engine) as connection:
        assert insert_identities(connection, [(key(7), 9, 1)]) == 1
        assert insert_identities(connection, [(key(7), 2, 1), (key(8), 3, 1)]) == 1
        assert stored_identities(connection, [key(7)])[key(7)].event_id == 9


def test_the_database_itself_skips_a_recent_identity_that_has_settled(meter):
    with exclusive_write(meter.engine) as connection:
        connection.exec_driver_sql("INSERT INTO event_identities VALUES (?, 1, 1)", (key(7),))
        connection.exec_driver_sql("INSERT INTO recent_identities VALUES (?, 2, 2), (?, 3, 3)", (key(7), key(8)))
    assert places(meter) == (1, 1)
    with pytest.raises(IntegrityError), exclusive_write(meter.engine) as connection:
        connection.exec_driver_sql("INSERT INTO recent_identities VALUES (?, 4, 4)", (key(8),))


def test_a_downgrade_settles_everything(meter):
    meter.ingest(*(usage_event() for _ in range(4)))
    meter.ingest(*(usage_event() for _ in range(9)))
    assert places(meter)[1]
    downgrade(meter.engine, "0005")
    upgrade(meter.engine)
    assert places(meter) == (13, 0)
    assert not meter.violations()
