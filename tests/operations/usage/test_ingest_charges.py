"""The charge of an event when it is ingested, and which events Hugging Face bills."""

import pytest
from sqlalchemy import select

from metering.domain.instants import parse_instant
from metering.domain.usage.events import PriceGrade, QuantityGrade
from metering.domain.usage.logged_events import EventQuery
from metering.operations.usage import ingest as operation
from metering.operations.usage.list_events import list_events
from metering.storage.prices.price_tables import load_tables
from metering.storage.tables import events, quarantine, rollups
from pricing.quantities import Quantities
from support.builders import DAY, FROM_2020, NOON, price_table, rate, usage_event
from support.meter import ALL_TIME


def test_an_event_with_a_charge_that_is_too_large_is_rejected_alone(meter):
    # 10^9 tokens at 10^13 pico-USD are 10^19 nano-USD.
    meter.record_prices(price_table(rate(10**13, model="gold"), source="gold"))
    huge = usage_event(id="huge", model="gold", quantities=Quantities(input_tokens=10**9, output_tokens=1))
    result = meter.ingest(usage_event(), huge, usage_event())
    assert (result.accepted, result.rejected) == (2, 1)
    assert [(item.line, item.code, item.id) for item in result.items] == [(2, "charge_too_large", "huge")]
    (bad,) = meter.rows(select(quarantine))
    assert (bad.code, bad.line, bad.offset) == ("charge_too_large", 2, 100)
    assert meter.total() == 240_000
    assert not meter.violations()


def test_an_event_without_a_price_is_kept_and_counted_as_unpriced(meter):
    result = meter.ingest(usage_event(model="mystery"), usage_event())
    assert (result.accepted, result.unpriced) == (2, 1)
    (row,) = meter.spend()
    assert (row.events, row.unpriced_events, row.unpriced_tokens, row.amount_nano) == (2, 1, 110, 120_000)
    (stored,) = meter.rows(select(events.c.charge_nano, events.c.price_grade).where(events.c.charge_nano.is_(None)))
    assert stored.price_grade == PriceGrade.UNPRICED


def test_a_quantity_without_a_price_leaves_the_whole_event_unpriced(meter):
    assert meter.ingest(usage_event(quantities=Quantities(input_tokens=1, images=1))).unpriced == 1
    assert meter.total() == 0


def test_an_interrupted_stream_without_usage_is_unpriced_not_free(meter):
    unstated = usage_event(quantities=Quantities(), quantity_grade=int(QuantityGrade.UNSTATED))
    assert meter.ingest(unstated).unpriced == 1


def test_a_reported_cost_is_the_charge_only_without_a_rate(meter):
    meter.ingest(usage_event(reported_cost_nano=7), usage_event(model="mystery", reported_cost_nano=7))
    assert [(row.group, row.amount_nano) for row in meter.spend(group_by=("model", "price_grade"))] == [
        (("llama", "rated"), 120_000),
        (("mystery", "reported"), 7),
    ]
    assert not meter.violations()


def test_a_gateways_cost_is_only_informational(meter):
    assert meter.ingest(usage_event(model="mystery", gateway_cost_nano=7)).unpriced == 1
    assert not meter.total()


@pytest.mark.parametrize("status", [400, 404, 429, 499, 500, 503, 100, 199])
def test_a_failed_request_is_counted_and_costs_nothing(meter, status):
    meter.ingest(usage_event(status=status, reported_cost_nano=9))
    (row,) = meter.spend(group_by=("price_grade", "billable"))
    assert (row.group, row.events, row.failed_events, row.amount_nano) == (("exempt", "false"), 1, 1, 0)
    assert not meter.violations()


def test_without_a_status_only_a_stated_error_makes_a_failure(meter):
    answered = usage_event(status=None)
    without_output = usage_event(status=None, quantities=Quantities(input_tokens=100))
    failed = usage_event(status=None, quantities=Quantities(input_tokens=100), failure="timeout")
    unstated = usage_event(status=None, quantities=Quantities(), quantity_grade=QuantityGrade.UNSTATED)
    meter.ingest(answered, without_output, failed, unstated)
    (row,) = meter.spend()
    assert (row.events, row.failed_events, row.unpriced_events, row.amount_nano) == (4, 1, 1, 220_000)
    assert not meter.violations()


def test_an_answer_of_a_gateways_cache_is_counted_and_costs_nothing(meter):
    bought = usage_event(response_id="chatcmpl-9f2c5d1e7a8b")
    cached = usage_event(
        response_id="chatcmpl-9f2c5d1e7a8b", source="other", gateway_cached=True, quantities=Quantities(), gateway_cost_nano=0
    )
    result = meter.ingest(bought, cached)
    assert (result.accepted, result.copy, result.unpriced) == (2, 0, 0)
    rows = meter.spend(group_by=("price_grade", "billable"))
    assert {row.group: (row.events, row.failed_events, row.amount_nano) for row in rows} == {
        ("rated", "true"): (1, 0, 120_000),
        ("gateway_cache", "false"): (1, 0, 0),
    }
    assert meter.rate_unpriced().rated == 0
    meter.record_prices(price_table(rate(9_000, 9_000)))
    assert meter.rerate().done_now.examined == 1
    assert not meter.violations()
    meter.now = parse_instant("2026-12-10T00:00:00Z")
    closed = meter.close(202611)
    assert (closed.events, closed.failed_events, len(closed.unpriced)) == (2, 0, 0)
    assert not meter.violations()


def test_usage_on_a_provider_key_is_priced_and_not_billable(meter):
    meter.ingest(usage_event(route="provider_key"), usage_event(route=""), usage_event())
    assert [(row.group, row.amount_nano) for row in meter.spend(group_by=("route", "billable"))] == [
        (("provider_key", "false"), 120_000),
        (("routed", "true"), 120_000),
        (("unknown", "false"), 120_000),
    ]


def test_an_event_is_priced_at_the_rate_in_effect_when_it_started(meter):
    midnight = NOON + DAY // 2
    meter.record_prices(price_table(rate(3_000_000, 0), effective_from=midnight))
    meter.ingest(usage_event(time=midnight - 1), usage_event(time=midnight))
    # 120,000 the day before, 100 x 3,000 from midnight on.
    assert sorted(meter.rows(select(events.c.charge_nano))) == [(120_000,), (300_000,)]


def test_a_price_recorded_between_two_batches_applies_to_the_second(bare_meter):
    bare_meter.declare("acme")
    assert bare_meter.ingest(usage_event()).unpriced == 1
    bare_meter.record_prices()
    assert bare_meter.ingest(usage_event()).unpriced == 0


def test_a_charge_is_rounded_up_once_per_request(meter):
    # 1 token at $0.0375 per million is 37.5 nano-USD.
    meter.record_prices(price_table(rate(37_500, 37_500, model="small"), source="small"))
    one = Quantities(input_tokens=1)
    meter.ingest(*(usage_event(model="small", quantities=one) for _ in range(3)))
    meter.ingest(usage_event(model="small", quantities=Quantities(input_tokens=1, output_tokens=1)))
    assert meter.total() == 3 * 38 + 75


def test_an_assumed_cache_price_is_marked(meter):
    meter.ingest(usage_event(quantities=Quantities(cache_read_tokens=5, output_tokens=1)), usage_event())
    query = EventQuery(meter.rows(select(events.c.account_id))[0][0], *ALL_TIME)
    logged = list_events(meter.engine, query, limit=10)
    assert sorted((event.cache_price_assumed, event.charge_nano) for event in logged) == [(False, 120_000), (True, 7_000)]
    assert not meter.violations()


def test_events_around_midnight_belong_to_their_own_day_and_month(meter):
    end = NOON - 3 * DAY + DAY // 2  # 2026-11-01T00:00:00Z
    meter.ingest(usage_event(time=end - 1), usage_event(time=end), usage_event(time=end + DAY - 1))
    months = select(rollups.c.billing_month, rollups.c.events).order_by(rollups.c.billing_month)
    assert meter.rows(months) == [(202610, 1), (202611, 2)]


def test_only_new_price_tables_are_read(meter, monkeypatch):
    read: list[int] = []

    def counting(connection, ids=None, *, after=0):
        found = load_tables(connection, ids, after=after)
        read.extend(table.id for table in found)
        return found

    monkeypatch.setattr(operation, "load_tables", counting)
    meter.ingest(usage_event())
    meter.record_prices(price_table(rate(7_000_000, 0), source="other", effective_from=FROM_2020 + 1))
    meter.ingest(usage_event())
    meter.ingest(usage_event())
    # 100 tokens in at 1,000 nano-USD and 10 out at 2,000, then 100 in at 7,000
    assert meter.total() == 120_000 + 700_000 + 700_000
    assert read == [1, 2]
