"""Usage that arrived unassigned is completed where it counts now, and completed usage can be assigned."""

import pytest

from metering.domain.charges.corrections import CorrectionScope
from metering.domain.usage.events import UNKNOWN, QuantityGrade
from metering.operations.usage.resolve_conflicts import accept_conflict
from pricing.quantities import Quantities
from support.assigning import assign, spent
from support.builders import DAY, NOON, usage_event
from support.correcting import correct, withdraw

UNASSIGNED, ACME = 1, 2
RESPONSE = "ebafdc12cee84cf29c1b"
UNSTATED = {"quantities": Quantities(), "quantity_grade": QuantityGrade.UNSTATED}


def strangers(**overrides):
    return usage_event(id="a", account="stranger", **overrides)


def test_an_assigned_placeholder_is_completed_in_its_account(meter):
    meter.ingest(strangers(**UNSTATED))
    assign(meter)
    assert meter.ingest(strangers()).completed == 1
    assert spent(meter) == {"acme": (1, 120_000)}
    assert not meter.violations()


def test_it_is_billed_in_the_open_month_of_that_account(meter):
    meter.set_plan("pro", "2026-10-01")
    october = NOON - 14 * DAY
    meter.ingest(strangers(time=october, **UNSTATED))
    assign(meter)
    meter.close(202610, allow_unpriced=True)
    assert meter.ingest(strangers(time=october)).completed == 1
    late = [line for line in meter.statement(202611).lines if line.origin_month == 202610 and line.quantity]
    assert sum(line.amount_pico or 0 for line in late) == 120_000_000
    assert not meter.violations()


def test_a_record_under_the_account_s_own_name_completes_it_too(meter):
    meter.ingest(strangers(**UNSTATED))
    assign(meter)
    assert meter.ingest(usage_event(id="a")).completed == 1
    assert spent(meter) == {"acme": (1, 120_000)}
    assert not meter.violations()


def test_a_completed_request_is_assigned_as_what_is_known_of_it(meter):
    meter.ingest(strangers(**UNSTATED))
    meter.ingest(strangers())
    result = assign(meter)
    assert (result.total.events, result.conflicts) == (1, 0)
    assert spent(meter) == {"acme": (1, 120_000)}
    assert not meter.violations()
    again = meter.ingest(strangers(), strangers(**UNSTATED), usage_event(id="a"), usage_event(id="a", **UNSTATED))
    assert again.duplicate == 4
    assert spent(meter) == {"acme": (1, 120_000)}
    assert not meter.violations()


def test_a_record_that_the_account_had_counted_already_completes_what_counts_there(meter):
    meter.ingest(usage_event(id="a", route=""))
    meter.ingest(strangers(route=""))
    assert assign(meter).repeats == 1
    assert meter.ingest(strangers()).completed == 1
    assert spent(meter) == {"acme": (1, 120_000)}
    assert [row.group for row in meter.spend(group_by=("route",)) if row.events] == [("routed",)]
    assert not meter.violations()


def test_a_conflict_is_accepted_where_the_event_counts_now(meter):
    meter.set_plan("pro", "2026-10-01")
    october = NOON - 14 * DAY
    meter.ingest(strangers(time=october), strangers(time=october, quantities=Quantities(input_tokens=7)))
    assign(meter)
    meter.close(202610)
    accept_conflict(meter.engine, meter.settings, 1, reason="the first was cut", by="cli", now=meter.now)
    assert spent(meter) == {"acme": (1, 7_000)}
    assert not meter.violations()


def test_corrected_usage_is_assigned_as_corrected(meter):
    meter.ingest(strangers(provider=UNKNOWN, route=""))
    correct(meter, CorrectionScope(UNASSIGNED), provider="together", route="routed")
    assert assign(meter).total.events == 1
    assert spent(meter) == {"acme": (1, 120_000)}
    assert not meter.violations()


def test_assigned_usage_is_withdrawn_and_counts_again_when_it_is_ingested_again(meter):
    meter.ingest(strangers())
    assign(meter)
    assert withdraw(meter, CorrectionScope(ACME, source="gateway")).run.events_changed == 1
    assert spent(meter) == {}
    assert not meter.violations()
    assert meter.ingest(usage_event(id="a")).accepted == 1
    assert spent(meter) == {"acme": (1, 120_000)}
    assert not meter.violations()


@pytest.mark.parametrize("assigned_first", [True, False])
def test_withdrawing_keeps_what_an_assigned_record_of_another_source_shows(meter, assigned_first):
    mine = usage_event(id="t", source="tracer", response_id=RESPONSE)
    theirs = strangers(response_id=RESPONSE)
    meter.ingest(theirs if assigned_first else mine)
    if assigned_first:
        assign(meter)
        meter.ingest(mine)
    else:
        meter.ingest(theirs)
        assert assign(meter).repeats == 1
    result = withdraw(meter, CorrectionScope(ACME, source="gateway" if assigned_first else "tracer"))
    assert (result.run.events_changed, result.run.events_kept) == (0, 1)
    assert spent(meter) == {"acme": (1, 120_000)}
    assert not meter.violations()
