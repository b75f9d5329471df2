"""Migrations keep the events: a database has the same content after a downgrade and an upgrade."""

import pytest
from sqlalchemy import select

from metering.storage.engine.migrate import downgrade, upgrade
from metering.storage.tables import charges, claims_by_hour, event_copies, events, month_rollups, price_tables, receipts
from pricing.quantities import Quantities
from pricing.rates import Price
from support.builders import NOON, price_table, rate, usage_event

pytestmark = pytest.mark.only_on("sqlite")  # no PostgreSQL database was ever used at an earlier revision

RESPONSE = "ebafdc12cee84cf29c1b"


@pytest.fixture
def filled(meter):
    """Events with and without every value that the wide rows had columns for, a copy, and later charges."""
    with_cache = {"input_tokens": Price(1_000_000), "cache_read_tokens": Price(1), "output_tokens": Price(0)}
    meter.record_prices(price_table(rate(model="cached", prices=with_cache), source="cached"))
    meter.ingest(
        usage_event(id="plain", response_id=RESPONSE),
        usage_event(id="copy", source="tracer", response_id=RESPONSE),
        usage_event(id="failed", status=500, tags={"user": "u-1"}),
        usage_event(id="read", quantities=Quantities(cache_read_tokens=5, output_tokens=1), time_derived=True),
        usage_event(id="written", quantities=Quantities(cache_write_1h_tokens=7, images=2, output_tokens=1)),
        usage_event(id="priced read", model="cached", quantities=Quantities(cache_read_tokens=5, output_tokens=1)),
        usage_event(id="later", model="mystery", route="routed"),
        usage_event(id="own key", route="provider_key", tags={"user": "u-2"}, time_derived=True),
    )
    meter.now += 1_000
    meter.ingest(usage_event(id="another day", time=NOON + 1))
    meter.record_prices(price_table(rate(model="mystery"), source="mystery"))
    meter.rate_unpriced()
    return meter


def everything(meter):
    tables = (events, charges, receipts, event_copies, claims_by_hour)
    return [[tuple(row) for row in meter.rows(select(table))] for table in tables]


def test_a_downgrade_and_upgrade_changes_no_event(filled):
    before = everything(filled)
    downgrade(filled.engine, "0001")
    upgrade(filled.engine)
    assert everything(filled) == before
    assert not filled.violations()


def test_a_downgrade_restores_the_wide_rows(filled):
    downgrade(filled.engine, "0001")
    with filled.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT external_id, received_at, billable, cache_price_unknown, time_derived,"
            " cache_write_1h_tokens, images, details FROM events ORDER BY id"
        ).fetchall()
        later = connection.exec_driver_sql("SELECT sign, billable, cache_price_unknown FROM charges ORDER BY id").fetchall()
    then = filled.now - 1_000
    assert [tuple(row) for row in rows] == [
        ("plain", then, 1, 0, 0, 0, 0, ""),
        ("failed", then, 0, 0, 0, 0, 0, '{"tags":{"user":"u-1"}}'),
        ("read", then, 1, 1, 1, 0, 0, ""),
        ("written", then, 1, 0, 0, 7, 2, ""),
        ("priced read", then, 1, 0, 0, 0, 0, ""),
        ("later", then, 1, 0, 0, 0, 0, ""),
        ("own key", then, 0, 0, 1, 0, 0, '{"tags":{"user":"u-2"}}'),
        ("another day", then + 1_000, 1, 0, 0, 0, 0, ""),
    ]
    assert [tuple(row) for row in later] == [(-1, 1, 0), (1, 1, 0)]


def test_a_migration_that_would_leave_a_dangling_reference_is_undone(filled):
    downgrade(filled.engine, "0001")
    with filled.engine.connect() as careless:
        driver = careless.connection.driver_connection
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute("DELETE FROM events WHERE external_id = 'plain'")
        driver.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(Exception, match="a reference to a missing row"):
        upgrade(filled.engine)
    with filled.engine.connect() as connection:
        columns = {row[1] for row in connection.exec_driver_sql("PRAGMA table_info(events)")}
    assert "received_at" in columns


def test_monthly_rollups_are_added_up_from_the_daily_ones(filled):
    filled.ingest(usage_event(id="another month", time=NOON - 40 * 86_400_000_000))
    before = sorted(tuple(row) for row in filled.rows(select(month_rollups)))
    assert len({row[5] for row in before}) == 2
    downgrade(filled.engine, "0004")
    upgrade(filled.engine)
    after = sorted(tuple(row) for row in filled.rows(select(month_rollups)))
    assert after == before
    assert not filled.violations()


def test_price_tables_of_equal_content_stay_distinct_on_a_downgrade(filled):
    """The newest keeps the digest, so that the previous release recognizes it; charges keep their rate."""
    first, other = price_table(rate(7, model="own"), source="own"), price_table(rate(8, model="own"), source="own")
    for each in (first, other, first):
        filled.record_prices(each)
    before = [tuple(row) for row in filled.rows(select(price_tables).order_by(price_tables.c.id))]
    downgrade(filled.engine, "0005")
    digests = [row.digest for row in filled.rows(select(price_tables.c.digest).order_by(price_tables.c.id))]
    assert digests[-3:] == [f"{first.digest} {before[-3][0]}", other.digest, first.digest]
    upgrade(filled.engine)
    assert [tuple(row) for row in filled.rows(select(price_tables).order_by(price_tables.c.id))] == before
    assert not filled.violations()
