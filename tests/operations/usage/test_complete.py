"""A record that states what an earlier one left open replaces it; one that contradicts it is a conflict."""

import pytest
from sqlalchemy import select

from metering.domain.usage.events import UNKNOWN, QuantityGrade
from metering.domain.usage.outcomes import Outcome
from metering.storage.tables import charges, event_conflicts, events, superseded_events
from pricing.quantities import Quantities
from support.builders import DAY, HOUR, NOON, SECOND, usage_event

RESPONSE = "ebafdc12cee84cf29c1b"


def placeholder(**overrides):
    """A record that was written when the request started: nothing is known of what it used."""
    fields = {"id": "a", "quantities": Quantities(), "quantity_grade": QuantityGrade.UNSTATED}
    return usage_event(**fields | overrides)


def final(**overrides):
    return usage_event(id="a", **overrides)


def test_a_placeholder_and_its_final_record_count_once_and_right(meter):
    first = meter.ingest(placeholder())
    assert (first.accepted, first.unpriced) == (1, 1)
    result = meter.ingest(final(time=NOON + 2 * SECOND))
    assert (result.accepted, result.completed, result.unpriced) == (0, 1, 0)
    assert [item.outcome for item in result.items] == [Outcome.COMPLETED]
    assert meter.total() == 120_000  # 100 x 1,000 + 10 x 2,000 nano-USD
    stored = meter.rows(select(events.c.external_id, events.c.event_time, events.c.charge_nano).order_by(events.c.id))
    assert stored == [("a", NOON, None), ("a", NOON, 120_000)]  # the first record's time stands
    assert [row.sign for row in meter.rows(select(charges))] == [-1]
    assert not meter.violations()


def test_both_in_one_batch_count_once_and_nothing_needs_attention(meter):
    result = meter.ingest(placeholder(), usage_event(), final())
    assert (result.accepted, result.completed, result.unpriced, result.received) == (2, 1, 0, 3)
    assert meter.total() == 240_000
    assert not meter.violations()


def test_the_final_record_first_makes_the_placeholder_a_duplicate(meter):
    meter.ingest(final())
    result = meter.ingest(placeholder(time=NOON - SECOND))
    assert (result.duplicate, result.completed, result.conflict) == (1, 0, 0)
    assert meter.total() == 120_000
    assert not meter.violations()


@pytest.mark.parametrize(
    "gap",
    [
        {"provider": UNKNOWN},
        {"model": UNKNOWN},
        {"route": ""},
        {"status": None},
        {"quantities": Quantities(), "quantity_grade": QuantityGrade.UNSTATED},
        {"quantities": Quantities(input_tokens=90), "quantity_grade": QuantityGrade.ESTIMATED},
        {"quantities": Quantities(input_tokens=100)},
        {"provider": UNKNOWN, "route": "", "status": None, "time": NOON - SECOND},
    ],
)
def test_each_gap_is_filled_in_either_order(meter, new_meter, gap):
    meter.ingest(final(**gap))
    assert meter.ingest(final()).completed == 1
    other = new_meter()
    other.declare("acme")
    other.record_prices()
    other.ingest(final())
    assert other.ingest(final(**gap)).duplicate == 1
    assert meter.total() == other.total() == 120_000
    assert not meter.violations()


def test_partial_records_add_up_in_any_split(meter):
    partial = final(provider=UNKNOWN, route="")
    without_quantities = placeholder(status=200)
    meter.ingest(partial)
    assert meter.ingest(without_quantities, partial, final(time=NOON + SECOND)).completed == 1
    assert meter.total() == 120_000
    again = meter.ingest(partial, without_quantities, final(time=NOON + SECOND))
    assert again.duplicate == 3
    assert meter.total() == 120_000
    assert not meter.violations()


@pytest.mark.parametrize(
    "change",
    [
        {"provider": "groq"},
        {"model": "llama-2"},
        {"route": "provider_key"},
        {"status": 500},
        {"quantities": Quantities(input_tokens=101, output_tokens=10)},
        {"time": NOON + 2 * HOUR},
        {"time": NOON + SECOND},
    ],
)
def test_a_record_that_contradicts_is_a_conflict_and_the_first_is_kept(meter, change):
    meter.ingest(final())
    result = meter.ingest(final(**change))
    assert (result.conflict, result.completed) == (1, 0)
    assert meter.total() == 120_000
    assert meter.count(event_conflicts) == 1
    assert meter.ingest(final(**change)).conflict == 1
    assert meter.count(event_conflicts) == 1
    assert not meter.violations()


def test_a_completed_event_of_a_closed_month_is_corrected_in_the_open_one(meter):
    meter.set_plan("pro", "2026-10-01")
    meter.ingest(placeholder(time=NOON - 14 * DAY))  # 20 October
    meter.close(202610, allow_unpriced=True)
    assert meter.ingest(final(time=NOON - 14 * DAY)).completed == 1
    late = [line for line in meter.statement(202611).lines if line.origin_month == 202610]
    assert [(line.quantity_kind, line.amount_pico) for line in late if line.quantity] == [
        ("input_tokens", 100_000_000),
        ("output_tokens", 20_000_000),
    ]
    assert not meter.violations()


def test_a_completed_record_that_another_source_recorded_is_a_copy(meter):
    meter.ingest(placeholder(response_id=RESPONSE))
    meter.ingest(usage_event(id="t", source="tracer", response_id=RESPONSE))
    result = meter.ingest(final(response_id=RESPONSE))
    assert (result.copy, result.completed) == (1, 0)
    assert meter.total() == 120_000
    (row,) = meter.rows(select(superseded_events))
    assert row.passes_identity == 0
    assert meter.ingest(final(response_id=RESPONSE)).duplicate == 1
    assert not meter.violations()


def test_another_source_of_a_completed_event_is_a_copy(meter):
    meter.ingest(placeholder(response_id=RESPONSE), final(response_id=RESPONSE))
    assert meter.ingest(usage_event(id="t", source="tracer", response_id=RESPONSE)).copy == 1
    assert meter.total() == 120_000
    assert not meter.violations()


def test_a_failure_that_is_stated_later_makes_the_event_cost_nothing(meter):
    meter.ingest(final(status=None))
    assert meter.total() == 120_000
    assert meter.ingest(final(status=500, quantities=Quantities(), quantity_grade=QuantityGrade.UNSTATED)).completed == 1
    assert meter.total() == 0
    assert not meter.violations()


def test_a_completion_in_another_process_after_a_new_series_is_priced_there(meter):
    meter.ingest(final(provider=UNKNOWN))
    assert meter.total() == 0
    meter.configure()
    assert meter.ingest(placeholder(provider="together")).completed == 1
    assert meter.total() == 120_000
    assert not meter.violations()


@pytest.mark.parametrize("output_first", [True, False])
def test_output_in_either_record_shows_that_the_request_was_answered(meter, output_first):
    """Without a status, a request is answered if there is output."""
    parts = [final(status=None, quantities=Quantities(**used)) for used in ({"output_tokens": 10}, {"input_tokens": 100})]
    for part in parts if output_first else reversed(parts):
        meter.ingest(part)
    assert meter.total() == 120_000
    assert not meter.violations()


def test_the_first_report_of_a_cost_stands(meter):
    meter.ingest(placeholder(provider="groq", reported_cost_nano=5))
    assert meter.ingest(final(provider="groq", reported_cost_nano=7)).completed == 1
    assert meter.total() == 5
    assert not meter.violations()


def test_a_route_that_the_account_has_anyway_completes_nothing(meter):
    meter.declare("routed-only", default_route="routed")
    meter.ingest(final(account="routed-only", route=""))
    assert meter.ingest(final(account="routed-only")).duplicate == 1
    assert meter.ingest(final(account="routed-only", time=NOON + SECOND)).conflict == 1  # a second request under one ID
    assert meter.count(events) == 1
    assert not meter.violations()
