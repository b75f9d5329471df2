"""The valid rows of price syncs, and the source's health derived from them."""

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from metering.domain.prices.price_syncs import SourceHealth
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices.price_syncs import (
    NewSync,
    insert_sync,
    list_syncs,
    newest_success,
    pending_sync,
    source_health,
    sync_by_id,
)
from support.builders import NOW

SOURCE = "hf_router"


@pytest.fixture
def write(meter):
    """A function that writes a row for a minute and returns its id."""

    def call(outcome, minute=0, **fields):
        at = NOW + minute * 60_000_000
        required: dict[str, Any] = (
            {"held": "{}"} if outcome == "held" else {"error_code": "e", "error_message": "m"} if outcome == "failed" else {}
        )
        required |= {"table_id": 1} if outcome in ("recorded", "accepted") else {}
        with exclusive_write(meter.engine) as connection:
            return insert_sync(connection, NewSync(SOURCE, at, at, outcome, **required | fields)).id

    return call


def read(meter, query, *arguments, **options):
    with read_snapshot(meter.engine) as connection:
        return query(connection, *arguments, **options)


def minute(number):
    return NOW + number * 60_000_000


def test_a_source_without_syncs_has_no_health(meter):
    assert read(meter, source_health, SOURCE) == SourceHealth(None, None, None, 0, "", None)


def test_health_counts_the_failures_since_the_last_success(meter, write):
    write("failed", 1)
    write("recorded", 2)
    write("failed", 3)
    write("failed", 4, error_message="the last")
    assert read(meter, source_health, SOURCE) == SourceHealth(minute(4), minute(2), minute(4), 2, "the last", None)
    write("unchanged", 5)
    assert read(meter, source_health, SOURCE) == SourceHealth(minute(5), minute(5), minute(4), 0, "", None)
    assert read(meter, source_health, "another") == SourceHealth(None, None, None, 0, "", None)


def test_a_held_sync_is_pending_until_it_is_decided(meter, write):
    pending = write("held")
    assert read(meter, source_health, SOURCE).waiting == pending
    decision = write("accepted", 1, decides=pending)
    assert read(meter, pending_sync, SOURCE) is None
    row = read(meter, sync_by_id, pending)
    assert (row.outcome, row.decided_by, row.decision) == ("held", decision, "accepted")
    assert read(meter, newest_success, SOURCE).id == pending


def test_a_sync_is_decided_once(write):
    pending = write("held")
    write("accepted", decides=pending)
    with pytest.raises(IntegrityError):
        write("superseded", decides=pending)


def test_rows_are_returned_newest_first_in_pages(meter, write):
    ids = [write("unchanged", number) for number in range(3)]
    assert [row.id for row in read(meter, list_syncs, before=None, limit=2)] == [ids[2], ids[1]]
    assert [row.id for row in read(meter, list_syncs, before=ids[1], limit=2)] == [ids[0]]
    assert read(meter, sync_by_id, 99) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": "maybe"}, {"outcome": "recorded", "table_id": None}, {"outcome": "unchanged", "table_id": 1},
        {"outcome": "held", "held": ""}, {"outcome": "unchanged", "held": "{}"}, {"outcome": "failed", "error_code": ""},
        {"outcome": "unchanged", "error_code": "e"}, {"outcome": "accepted"}, {"outcome": "unchanged", "decides": 1},
        {"outcome": "unchanged", "finished_at": NOW - 1}, {"outcome": "recorded", "table_id": 99},
    ],
)  # fmt: skip
def test_a_contradictory_row_is_refused_by_the_database(meter, write, fields):
    write("held")
    with pytest.raises(IntegrityError), exclusive_write(meter.engine) as connection:
        required: dict[str, Any] = {"held": "{}"} if fields["outcome"] == "held" else {}
        required |= {"table_id": 1} if fields["outcome"] in ("recorded", "accepted") else {}
        insert_sync(connection, NewSync(**{"source": SOURCE, "started_at": NOW, "finished_at": NOW} | required | fields))
