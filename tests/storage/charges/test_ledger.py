"""The ledger has a signed entry for every charge, and the rollups are its sums."""

import pytest
from sqlalchemy import select

from metering.domain.charges.ledger_sums import NO_SUMS, MonthRollupKey, RollupKey
from metering.domain.usage.events import PriceGrade
from metering.storage.charges.ledger import days_with_entries, entries, ledger_sums, rollup_sums
from metering.storage.engine.database import read_snapshot
from metering.storage.tables import month_rollups, retired_rollups, rollups
from pricing.quantities import Quantities
from support.builders import DAY, HOUR, NOON, price_table, rate, usage_event

TODAY = NOON // DAY


@pytest.fixture
def priced_later(meter):
    meter.ingest(usage_event(model="mystery", quantities=Quantities(input_tokens=7, output_tokens=3, reasoning_tokens=2)))
    meter.record_prices(price_table(rate(1_000_000, 0, model="mystery"), source="mystery"))
    meter.rate_unpriced()
    return meter


def ledger(meter, *columns, **limits):
    view = entries(**limits)
    return sorted(meter.rows(select(*(view.c[name] for name in columns))))


def test_an_event_is_one_entry_with_its_first_charge(meter):
    meter.ingest(usage_event())
    assert ledger(meter, "events", "amount_nano", "input_tokens", "event_day", "billing_month") == [
        (1, 120_000, 100, TODAY, 202611)
    ]


def test_an_unpriced_event_has_quantities_and_no_amount(meter):
    meter.ingest(usage_event(model="mystery"))
    assert ledger(meter, "events", "amount_nano", "rate_id", "price_grade", "output_tokens") == [(1, 0, 0, 2, 10)]


def test_a_reversal_negates_quantities_and_amount_and_a_replacement_adds_them(priced_later):
    assert ledger(priced_later, "events", "price_grade", "amount_nano", "input_tokens", "reasoning_tokens") == [
        (-1, 2, 0, -7, -2),
        (1, 0, 7_000, 7, 2),
        (1, 2, 0, 7, 2),
    ]


def test_the_entries_of_a_period_are_those_of_its_events(priced_later):
    priced_later.ingest(usage_event(time=NOON + HOUR))
    assert len(ledger(priced_later, "events", start=NOON, end=NOON + HOUR)) == 3
    assert len(ledger(priced_later, "events", start=NOON, end=NOON + HOUR + 1)) == 4
    assert ledger(priced_later, "events", start=NOON + 1, end=NOON + HOUR) == []


def test_the_entries_of_an_account_include_later_charges_of_unassigned_events(priced_later):
    umbrella = priced_later.declare("umbrella")
    priced_later.ingest(usage_event(account="umbrella"))
    assert len(ledger(priced_later, "events", account_id=umbrella)) == 1


def test_rollups_are_the_sums_of_the_ledger(priced_later):
    priced_later.ingest(usage_event(time=NOON - DAY), usage_event(time=NOON - DAY), usage_event(status=500))
    with read_snapshot(priced_later.engine) as connection:
        assert days_with_entries(connection) == [TODAY - 1, TODAY]
        for day in (TODAY - 1, TODAY):
            assert rollup_sums(connection, day) == ledger_sums(connection, day) != {}
        (yesterday,) = rollup_sums(connection, TODAY - 1).values()
    assert (yesterday.events, yesterday.amount_nano) == (2, 240_000)


def test_a_reversed_rollup_keeps_its_key_and_is_zero(priced_later):
    with read_snapshot(priced_later.engine) as connection:
        by_grade = {key.price_grade: sums for key, sums in rollup_sums(connection, TODAY).items()}
    assert by_grade[PriceGrade.UNPRICED] == NO_SUMS
    rated = by_grade[PriceGrade.RATED]
    assert (rated.events, rated.amount_nano) == (1, 7_000)


@pytest.mark.parametrize(
    ("key", "table"), [(RollupKey, rollups), (RollupKey, retired_rollups), (MonthRollupKey, month_rollups)]
)
def test_the_fields_of_a_key_are_the_primary_key_of_its_table(key, table):
    assert key._fields == tuple(column.name for column in table.primary_key)
