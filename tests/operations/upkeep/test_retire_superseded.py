"""A month with completed, corrected and withdrawn usage is retired as any other: no answer about it changes."""

import pytest
from pyarrow import parquet
from sqlalchemy import select

from metering.domain.charges.corrections import CorrectionScope
from metering.domain.usage.events import UNKNOWN, QuantityGrade
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.upkeep.export_events import export_events
from metering.operations.upkeep.retire_month import list_event_months, retire_month
from metering.operations.usage.resolve_conflicts import accept_conflict
from metering.storage.tables import charges, events, retired_claims
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from support.builders import DAY, HOUR, NOON, usage_event
from support.correcting import correct, undo, withdraw

ACME = 2
SEPTEMBER, OCTOBER = 202609, 202610
IN_SEPTEMBER = NOON - 60 * DAY  # the 4th
RESPONSES = [f"response-{number:08d}" for number in range(4)]
UNSTATED = {"quantities": Quantities(), "quantity_grade": QuantityGrade.UNSTATED}


def request(name, **overrides):
    return usage_event(id=name, **{"time": IN_SEPTEMBER} | overrides)


@pytest.fixture
def closed(meter):
    """September: one request completed, one corrected, one withdrawn, one completed and then withdrawn; 240,000 nano-USD."""
    meter.ingest(
        request("completed", response_id=RESPONSES[0], **UNSTATED),
        request("corrected", provider=UNKNOWN, time=IN_SEPTEMBER + HOUR),
        request("withdrawn", source="wrong", response_id=RESPONSES[1]),
        request("both", source="wrong", route="", response_id=RESPONSES[2]),
    )
    meter.ingest(request("completed", response_id=RESPONSES[0]), request("both", source="wrong", response_id=RESPONSES[2]))
    correct(meter, CorrectionScope(ACME, where={"provider": UNKNOWN}), provider="together")
    withdraw(meter, CorrectionScope(ACME, source="wrong"))
    assert meter.total() == 240_000
    close(meter, OCTOBER)
    return meter


def close(meter, month):
    close_month(meter.engine, "acme", month, CloseOptions(bundled_plans(), True, True), now=meter.now)


def retire(meter, month=SEPTEMBER, export=None):
    return retire_month(meter.engine, month, export, with_unresolved=False, now=meter.now).month


def test_all_rows_leave_and_nothing_else_changes(closed):
    (month,) = list_event_months(closed.engine).months
    assert (month.events, month.stored_events, month.unpriced_events) == (6, 6, 0)
    spend = closed.spend()
    assert (retire(closed).events, closed.count(events), closed.count(charges)) == (6, 0, 0)
    assert closed.spend() == spend
    assert list_event_months(closed.engine).months[0].stored_events == 0
    assert closed.violations() == []


def test_the_records_again_are_duplicates_and_withdrawn_ones_count_again(closed):
    retire(closed)
    again = [request("completed", response_id=RESPONSES[0], **UNSTATED), request("completed", response_id=RESPONSES[0])]
    result = closed.ingest(*again, request("withdrawn", source="wrong", response_id=RESPONSES[1]))
    assert (result.duplicate, result.accepted, result.conflict) == (2, 1, 0)
    assert closed.total() == 360_000
    (month,) = list_event_months(closed.engine).months
    assert (month.events, month.stored_events) == (7, 1)
    assert closed.violations() == []


def test_only_claims_of_requests_that_count_are_kept(closed):
    retire(closed)
    assert closed.count(retired_claims) == 2  # of the placeholder, and of the record that completed it
    copies = [request(f"t{number}", source="tracer", response_id=response) for number, response in enumerate(RESPONSES[:3])]
    result = closed.ingest(*copies)
    assert (result.copy, result.accepted) == (1, 2)
    assert closed.total() == 480_000
    assert closed.violations() == []


def test_runs_over_retired_usage_keep_their_totals_and_undo_nothing(closed):
    retire(closed)
    assert undo(closed, 1).run.events_changed == 0
    assert undo(closed, 2).run.events_changed == 0
    assert closed.total() == 240_000
    assert closed.violations() == []


def test_an_event_that_counts_for_one_of_another_month_may_be_retired_first(meter):
    meter.ingest(request("a"))
    meter.ingest(request("a", time=NOON - 30 * DAY, quantities=Quantities(input_tokens=7)))  # in October
    accept_conflict(meter.engine, meter.settings, 1, reason="the date was wrong", by="cli", now=meter.now)
    assert meter.total() == 7_000
    close(meter, OCTOBER)
    retire(meter, OCTOBER)
    assert meter.violations() == []
    retire(meter, SEPTEMBER)
    assert meter.violations() == []
    assert meter.total() == 7_000


def test_a_late_completion_of_a_retired_request_is_a_conflict(closed):
    retire(closed)
    assert closed.ingest(request("corrected", time=IN_SEPTEMBER + HOUR, status=None)).conflict == 1
    assert closed.violations() == []


def test_an_export_says_which_records_no_longer_count_and_what_counts_instead(closed, tmp_path):
    export = export_events(closed.engine, SEPTEMBER, tmp_path, now=closed.now)
    rows = parquet.read_table(export.directory / "events.parquet").to_pylist()
    ids = {row.id: row.external_id for row in closed.rows(select(events.c.id, events.c.external_id))}
    shown = [(row["id"], row["superseded"], ids.get(row["superseded_by"])) for row in rows]
    assert sorted(shown, key=str) == [
        ("both", 1, "both"),
        ("both", 1, None),
        ("completed", 0, None),
        ("completed", 1, "completed"),
        ("corrected", 0, None),
        ("withdrawn", 1, None),
    ]
    assert retire(closed, export=export).events == 6
