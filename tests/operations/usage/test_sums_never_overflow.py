"""A sum never overflows: an event that would overflow it is rejected alone, and sums over accounts can exceed 64 bits.

An image costs 90 dollars here and a request makes 100,000 of them: nine million dollars, which was once allowed. 1,024 such
requests fit into 64 bits (1,024 x 9 x 10^15 = 9,216 x 10^15 < 9,223 x 10^15), one more does not.
"""

import pytest
from sqlalchemy import func, select

from metering.domain.charges.spend import Granularity, PeriodBasis
from metering.domain.errors import DomainError
from metering.operations.credits.grant_credits import record_used_elsewhere
from metering.operations.statements.show_statement import show_statement
from metering.operations.usage.ingest import Origin
from metering.storage.charges.billed_usage import billable_by_months
from metering.storage.engine.database import read_snapshot
from metering.storage.engine.errors import SumTooLargeError
from metering.storage.tables import charges, events, quarantine, rollups
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from pricing.rates import Price
from support.builders import DAY, HOUR, NOON, batch_of, instant, price_table, rate, usage_event

NINE_MILLION = 9 * 10**15
DECEMBER = instant("2026-12-03T12:00:00Z")


def pictures(event_id: str, **fields):
    return usage_event(**{"id": event_id, "model": "flux", "quantities": Quantities(images=100_000)} | fields)


def many(count: int, prefix: str = "p", **fields):
    return [pictures(f"{prefix}{number}", **fields) for number in range(count)]


@pytest.fixture
def dear(meter, monkeypatch):
    """A meter with the limit of a charge before it was lowered."""
    monkeypatch.setattr("pricing.rating.MAX_CHARGE_NANO", 2**53 - 1)
    meter.declare("globex")
    meter.record_prices(price_table(rate(model="flux", prices={"images": Price(90 * 10**12)}), source="dear"))
    return meter


def test_a_charge_of_nine_million_dollars_is_refused_and_eight_thousand_are_not(meter):
    meter.record_prices(price_table(rate(model="flux", prices={"images": Price(90 * 10**12)}), source="dear"))
    result = meter.ingest(pictures("huge"), pictures("dear", quantities=Quantities(images=97)), usage_event())
    assert (result.accepted, [(item.id, item.code) for item in result.items]) == (2, [("huge", "charge_too_large")])
    assert meter.total() == 8_730 * 10**9 + 120_000


def test_spend_over_all_accounts_can_exceed_64_bits(dear):
    assert dear.ingest(*many(600)).accepted == 600
    assert dear.ingest(*many(600, "g", account="globex", time=NOON + DAY)).accepted == 600
    assert 1_200 * NINE_MILLION > 2**63
    for query in (
        {"granularity": Granularity.TOTAL},
        {"granularity": Granularity.MONTH, "group_by": ("model",)},
        {"granularity": Granularity.MONTH, "period_basis": PeriodBasis.BILLING},
        {"granularity": Granularity.TOTAL, "start": NOON, "end": NOON + 2 * DAY},
    ):
        (row,) = dear.spend(**query)
        assert (row.events, row.quantities.images, row.amount_nano) == (1_200, 120_000_000, 1_200 * NINE_MILLION)
    assert not dear.violations()


def test_a_statement_and_credits_can_exceed_64_bits(dear):
    dear.ingest(*many(600))
    dear.ingest(*many(600, "k", project="other"))
    statement = show_statement(dear.engine, "acme", 202611, bundled_plans())
    assert statement.usage_nano == 1_200 * NINE_MILLION
    with read_snapshot(dear.engine) as connection:
        assert billable_by_months(connection, 2) == {(202611, 202611): 1_200 * NINE_MILLION}


def test_an_event_that_overflows_a_sum_is_rejected_alone(dear):
    result = dear.ingest(usage_event(), *many(1_100), usage_event())
    assert (result.accepted, result.rejected) == (1_026, 76)
    assert {item.code for item in result.items} == {"sum_too_large"}
    assert [item.line for item in result.items] == list(range(1_026, 1_102))
    assert dear.total() == 1_024 * NINE_MILLION + 240_000
    kept = dear.rows(select(quarantine.c.code, quarantine.c.offset).order_by(quarantine.c.line))
    assert kept[0] == ("sum_too_large", 100 * 1_025)
    assert len(kept) == 76
    assert not dear.violations()


def test_a_nearly_full_counter_accepts_what_still_fits(dear):
    dear.ingest(*many(600))
    result = dear.ingest(*many(600, "q"), usage_event())
    assert (result.accepted, result.rejected) == (425, 176)
    assert dear.total() == 1_024 * NINE_MILLION + 120_000
    assert not dear.violations()


def test_a_monthly_sum_can_overflow_before_its_daily_sums(dear):
    dear.ingest(*many(1_000))
    result = dear.ingest(*many(100, "q", time=NOON + DAY), *many(100, "r", time=DECEMBER))
    assert (result.accepted, result.rejected) == (124, 76)
    assert not dear.violations()


def test_a_rejected_event_takes_no_identity_and_is_rejected_again(dear):
    dear.ingest(*many(1_024))
    for _ in range(2):
        result = dear.ingest(pictures("late"), pictures("p0"))
        assert [(item.id, item.code) for item in result.items] == [("late", "sum_too_large"), ("p0", "duplicate")]
    assert dear.count(quarantine) == 1


def test_a_repeat_of_a_rejected_event_is_rejected_too(dear):
    dear.ingest(*many(1_024))
    twice = pictures("late", response_id="chatcmpl-0123456789")
    copy = pictures("late", source="other", response_id="chatcmpl-0123456789")
    others = [pictures("late", time=NOON + later) for later in range(1, 10)]
    result = dear.ingest(twice, twice, *others, copy, usage_event())
    assert (result.accepted, result.rejected) == (1, 12)
    assert {item.code for item in result.items} == {"sum_too_large"}
    assert not dear.violations()


def test_batches_that_share_a_commit_do_not_affect_each_other(dear):
    first, second = batch_of(*many(1_030)), batch_of(usage_event(), pictures("other"))
    results = dear.ingester.ingest_all([(first, Origin("gateway")), (second, Origin("api"))])
    assert [(result.accepted, result.rejected) for result in results] == [(1_024, 6), (1, 1)]
    assert not dear.violations()


@pytest.mark.parametrize("column", ["events", "input_tokens", "amount_nano"])
@pytest.mark.parametrize("table", ["rollups", "month_rollups"])
def test_the_last_event_that_fits_is_accepted_and_the_next_is_not(meter, table, column):
    weighs = {"events": 1, "input_tokens": 100, "amount_nano": 120_000}[column]
    meter.ingest(usage_event())
    meter.execute(f"UPDATE {table} SET {column} = ?", 2**63 - 1 - weighs)
    assert meter.ingest(usage_event()).accepted == 1
    assert [item.code for item in meter.ingest(usage_event()).items] == ["sum_too_large"]
    assert meter.count(events) == 2
    assert meter.ingest(usage_event(project="other")).accepted == 1


@pytest.mark.parametrize("column", ["events", "input_tokens", "amount_nano"])
def test_of_a_batch_that_overflows_a_sum_the_event_that_fills_it_exactly_is_accepted(meter, column):
    weighs = {"events": 1, "input_tokens": 100, "amount_nano": 120_000}[column]
    meter.ingest(usage_event())
    meter.execute(f"UPDATE rollups SET {column} = ?", 2**63 - 1 - weighs)
    result = meter.ingest(usage_event(id="fits"), usage_event(id="does-not"))
    assert (result.accepted, [(item.id, item.code) for item in result.items]) == (1, [("does-not", "sum_too_large")])
    assert meter.count(events) == 2


def test_usage_priced_late_that_does_not_fit_stays_unpriced(dear):
    dear.ingest(usage_event(model="late"))
    dear.record_prices(price_table(rate(model="late"), source="late"))
    dear.ingest(usage_event(model="late"))
    dear.execute("UPDATE rollups SET amount_nano = ? WHERE amount_nano = 120000", 2**63 - 1)
    with pytest.raises(SumTooLargeError):
        dear.rate_unpriced()
    assert dear.count(charges) == 0
    assert sorted(dear.rows(select(rollups.c.events, rollups.c.amount_nano))) == [(1, 0), (1, 2**63 - 1)]


def test_a_rerating_stops_before_the_step_that_would_overflow(dear):
    dear.ingest(*many(600))
    dear.ingest(*many(600, "g", account="globex"))
    dear.record_prices(
        price_table(rate(model="flux", prices={"images": Price(10**12)}), source="sheet", effective_from=NOON - DAY)
    )
    with pytest.raises(SumTooLargeError) as refused:
        dear.rerate()
    assert refused.value.code == "sum_too_large"
    # Each account is one step, and the first is done: 600 x 100,000 dollars.
    assert dear.total() == 600 * NINE_MILLION + 600 * 10**14
    assert not dear.violations()
    assert dear.rerate(account_id=3).run.after_nano == 600 * 10**14
    assert dear.total() == 1_200 * 10**14
    assert not dear.violations()


def test_a_reversal_makes_room_again(dear):
    dear.ingest(*many(1_024))
    cheap = rate(model="flux", prices={"images": Price(10**12)})
    dear.record_prices(price_table(cheap, source="sheet", effective_from=NOON))
    dear.rerate()
    assert dear.total() == 1_024 * 10**14
    # An hour earlier the high price was still in effect: it fits into the counter that the reversal lowered.
    assert dear.ingest(*many(1_024, "q", time=NOON - HOUR)).accepted == 1_024
    assert dear.total() == 1_024 * 10**14 + 1_024 * NINE_MILLION
    assert not dear.violations()


def test_a_charge_over_a_limit_that_is_newer_than_it_is_no_violation(dear, monkeypatch):
    dear.ingest(pictures("old"))
    monkeypatch.setattr("pricing.rating.MAX_CHARGE_NANO", 2**43 - 1)
    assert not dear.violations()
    assert dear.rows(select(func.sum(events.c.charge_nano)))[0][0] == NINE_MILLION


def test_credits_used_elsewhere_are_bounded_by_the_month(meter):
    record_used_elsewhere(meter.engine, "acme", 202611, 2**53 - 2, reason="endpoints", now=NOON)
    with pytest.raises(DomainError, match="less than nine million dollars"):
        record_used_elsewhere(meter.engine, "acme", 202611, 2, reason="endpoints", now=NOON)
