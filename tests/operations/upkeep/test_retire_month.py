"""Retiring a month removes its events from the log and changes no answer about the month."""

import json

import pytest
from pyarrow import parquet
from sqlalchemy import func, select

from metering.domain.charges.spend import Granularity, PeriodBasis
from metering.domain.errors import AlreadyExistsError, NotFoundError
from metering.domain.usage.logged_events import EventQuery
from metering.domain.usage.retention import (
    EventsRetiredError,
    MonthChangedError,
    StillOpenError,
    SumsDifferError,
    UnresolvedUsageError,
)
from metering.operations.charges.explain_charge import AmbiguousEventError, explain_charge
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.statements.show_statement import canonical_statement
from metering.operations.upkeep.export_events import export_events
from metering.operations.upkeep.retire_month import list_event_months, retire_month
from metering.operations.usage.list_events import list_events
from metering.storage.tables import (
    charges,
    event_claims,
    event_copies,
    event_identities,
    events,
    later_claims,
    retired_claims,
    retired_rollups,
)
from pricing.bundled import bundled_plans
from support.bills import AFTER, reconciled
from support.builders import DAY, HOUR, NOON, instant, price_table, rate, usage_event

ACME = 2
SEPTEMBER, OCTOBER, NOVEMBER = 202609, 202610, 202611
IN_SEPTEMBER = NOON - 60 * DAY  # the 4th
IN_OCTOBER = NOON - 30 * DAY
CLOSING = CloseOptions(bundled_plans(), allow_unpriced=True, with_earlier=True)
RESPONSE = "ebafdc12cee84cf29c1b"


@pytest.fixture
def closed(meter):
    """September: a re-rated event, one with a copy, and a failed one; October: one event. Both months are closed."""
    meter.ingest(
        usage_event(id="first", time=IN_SEPTEMBER),
        usage_event(id="copied", time=IN_SEPTEMBER + HOUR, response_id=RESPONSE),
        usage_event(id="copy", source="tracer", time=IN_SEPTEMBER + HOUR, response_id=RESPONSE),
        usage_event(id="failed", time=IN_SEPTEMBER + DAY, status=500),
        usage_event(id="october", time=IN_OCTOBER),
    )
    meter.record_prices(price_table(rate(3_000_000, 0), source="dearer", effective_from=IN_SEPTEMBER - DAY))
    meter.rerate(start=IN_SEPTEMBER, end=IN_SEPTEMBER + 1)
    close(meter, OCTOBER)
    return meter


def close(meter, month):
    close_month(meter.engine, "acme", month, CLOSING, now=meter.now)


def retire(meter, month=SEPTEMBER, export=None, *, with_unresolved=False):
    return retire_month(meter.engine, month, export, with_unresolved=with_unresolved, now=meter.now).month


def all_answers(meter):
    """Spend by day and month, by both bases, and the closed statements."""
    questions = [(Granularity.DAY, PeriodBasis.EVENT), *((Granularity.MONTH, basis) for basis in PeriodBasis)]
    statement = canonical_statement(meter.engine, "acme", SEPTEMBER)
    start, end = instant("2026-09-01T00:00:00Z"), instant("2026-12-01T00:00:00Z")
    asked = {"group_by": ("model", "key", "rate")}
    return [meter.spend(start, end, granularity=by, period_basis=basis, **asked) for by, basis in questions], statement


def test_spend_and_statements_of_a_retired_month_stay_the_same(closed):
    before = all_answers(closed)
    retired = retire(closed)
    assert (retired.events, retired.copies, retired.charges) == (3, 1, 2)
    assert all_answers(closed) == before
    assert closed.violations() == []


def test_only_the_months_events_leave_with_their_copies_charges_and_claims(closed):
    retire(closed)
    assert [row.external_id for row in closed.rows(select(events))] == ["october"]
    assert [closed.count(table) for table in (charges, event_copies, event_claims)] == [0, 0, 0]
    assert closed.count(event_identities) == 5  # three events, a copy, and October's


def test_a_retired_event_is_distinguished_from_an_unknown_one(closed):
    retire(closed)
    for source in (None, "gateway"):
        with pytest.raises(EventsRetiredError, match=r"'first' was counted and has left the log.*2026-09\)"):
            explain_charge(closed.engine, ACME, "first", source)
    with pytest.raises(EventsRetiredError):  # a copy leaves with what it is a copy of
        explain_charge(closed.engine, ACME, "copy")
    with pytest.raises(NotFoundError, match="there is no event 'never'"):
        explain_charge(closed.engine, ACME, "never")
    with pytest.raises(NotFoundError):
        explain_charge(closed.engine, ACME, "first", "tracer")
    assert explain_charge(closed.engine, ACME, "october").event.id == "october"


def test_a_retired_event_and_one_of_another_source_with_the_same_id_are_two_events(closed):
    retire(closed)
    closed.ingest(usage_event(id="first", source="tracer", time=NOON))
    with pytest.raises(AmbiguousEventError) as refused:
        explain_charge(closed.engine, ACME, "first")
    assert refused.value.sources == ["gateway", "tracer"]
    assert explain_charge(closed.engine, ACME, "first", "tracer").event.source == "tracer"


def test_a_retired_event_that_arrives_again_is_still_a_duplicate(closed):
    retire(closed)
    result = closed.ingest(
        usage_event(id="first", time=IN_SEPTEMBER), usage_event(id="copied", time=IN_SEPTEMBER + HOUR, status=404)
    )
    assert (result.accepted, result.duplicate, result.conflict) == (0, 1, 1)


def test_ids_of_retired_events_are_never_reused(meter):
    """Identities refer to them: a new event with such an ID would be taken for the retired one."""
    meter.ingest(usage_event(id="only", time=IN_SEPTEMBER))
    (used,) = meter.rows(select(events.c.id))[0]
    close(meter, SEPTEMBER)
    retire(meter)
    result = meter.ingest(usage_event(id="only", time=IN_SEPTEMBER), usage_event(id="new", time=NOON))
    assert (result.accepted, result.duplicate) == (1, 1)
    assert meter.rows(select(events.c.id))[0][0] > used
    assert meter.violations() == []


def test_a_late_event_of_a_retired_month_counts_and_the_month_can_be_retired_again(closed):
    retire(closed)
    assert closed.ingest(usage_event(id="late", time=IN_SEPTEMBER)).accepted == 1
    assert closed.violations() == []
    with pytest.raises(StillOpenError):  # it is billed in November, which is open
        retire(closed)
    closed.now = instant("2026-12-10T00:00:00Z")
    close(closed, NOVEMBER)
    assert retire(closed).events == 1
    assert closed.violations() == []
    september = list_event_months(closed.engine).months[0]
    assert (september.events, september.stored_events) == (4, 0)


def test_a_month_that_is_open_for_one_account_is_not_retired(closed):
    closed.declare("globex")
    closed.ingest(usage_event(account="globex", time=IN_SEPTEMBER))
    with pytest.raises(StillOpenError, match="1 account has usage of it on an open statement"):
        retire(closed)


def test_unresolved_usage_is_retired_only_with_its_option(meter):
    meter.ingest(usage_event(model="mystery", time=IN_SEPTEMBER), usage_event(account="stranger", time=IN_SEPTEMBER))
    close(meter, SEPTEMBER)
    with pytest.raises(UnresolvedUsageError, match="1 unpriced and 1 unassigned events"):
        retire(meter)
    assert retire(meter, with_unresolved=True).events == 2
    assert meter.violations() == []


def test_a_month_without_events_and_a_second_retirement_are_refused(closed):
    with pytest.raises(NotFoundError):
        retire(closed, 202601)
    retire(closed)
    with pytest.raises(NotFoundError):
        retire(closed)


def test_events_stay_if_their_rollups_are_wrong(closed):
    closed.execute("UPDATE rollups SET amount_nano = amount_nano + 1 WHERE billing_month = ?", SEPTEMBER)
    with pytest.raises(SumsDifferError, match="metering verify"):
        retire(closed)
    assert closed.count(events) == 4


FIRST_INSTANT, LAST_INSTANT = instant("2026-09-01T00:00:00Z"), instant("2026-10-01T00:00:00Z") - 1


@pytest.mark.parametrize("time", [FIRST_INSTANT, LAST_INSTANT])
def test_the_first_and_last_day_of_a_month_are_checked_before_its_events_are_deleted(meter, time):
    meter.ingest(usage_event(time=time))
    close(meter, SEPTEMBER)
    meter.execute("UPDATE rollups SET events = events + 1 WHERE event_day = ?", time // DAY)
    with pytest.raises(SumsDifferError):
        retire(meter)
    assert meter.count(events) == 1


@pytest.mark.parametrize("time", [FIRST_INSTANT, LAST_INSTANT])
def test_the_sums_of_the_first_and_last_day_of_a_month_are_kept(meter, time):
    meter.ingest(usage_event(time=time))
    close(meter, SEPTEMBER)
    assert retire(meter).events == 1
    assert meter.rows(select(retired_rollups.c.event_day, retired_rollups.c.events)) == [(time // DAY, 1)]
    assert meter.violations() == []


def test_a_question_that_needs_retired_events_is_refused(closed):
    retire(closed)
    september = instant("2026-09-01T00:00:00Z"), instant("2026-10-01T00:00:00Z")
    with pytest.raises(EventsRetiredError, match="2026-09"):
        closed.spend(*september, granularity=Granularity.HOUR)
    with pytest.raises(EventsRetiredError):
        closed.spend(IN_SEPTEMBER, NOON)  # starts in the middle of a day
    with pytest.raises(EventsRetiredError):
        list_events(closed.engine, EventQuery(2, *september), limit=10)
    with pytest.raises(EventsRetiredError):
        closed.preview_rerate()
    with pytest.raises(EventsRetiredError):
        closed.rerate()
    october = instant("2026-10-01T00:00:00Z"), instant("2026-11-01T00:00:00Z")
    assert [row.amount_nano for row in closed.spend(*october, granularity=Granularity.HOUR)] == [120_000]


def test_an_export_has_every_event_with_its_charges_and_copies(closed, tmp_path):
    export = export_events(closed.engine, SEPTEMBER, tmp_path, now=closed.now)
    assert export.directory == tmp_path / "2026-09"
    manifest = json.loads((export.directory / "manifest.json").read_text())
    assert {name: file["rows"] for name, file in manifest["files"].items()} == {
        "events.parquet": 3,
        "charges.parquet": 2,
        "copies.parquet": 1,
    }
    rows = {row["id"]: row for row in parquet.read_table(export.directory / "events.parquet").to_pylist()}
    first = rows["first"]
    assert (first["account"], first["provider"], first["model"], first["source"]) == ("acme", "together", "llama", "gateway")
    assert (first["input_tokens"], first["output_tokens"], first["charge_nano_usd"]) == (100, 10, 120_000)
    assert first["event_time"].isoformat() == "2026-09-04T12:00:00+00:00"
    assert rows["failed"]["charge_nano_usd"] == 0
    later = parquet.read_table(export.directory / "charges.parquet").to_pylist()
    assert [(row["sign"], row["amount_nano_usd"]) for row in later] == [(-1, -120_000), (1, 300_000)]
    assert [row["external_id"] for row in parquet.read_table(export.directory / "copies.parquet").to_pylist()] == ["copy"]
    assert closed.count(events) == 4


def test_a_month_is_not_retired_if_events_arrived_after_its_export(closed, tmp_path):
    export = export_events(closed.engine, SEPTEMBER, tmp_path, now=closed.now)
    closed.ingest(usage_event(id="late", time=IN_SEPTEMBER, account="stranger"))
    with pytest.raises(MonthChangedError, match="nothing was removed"):
        retire(closed, export=export, with_unresolved=True)
    assert closed.count(events) == 5
    assert closed.count(event_claims) == 1


def test_an_export_never_overwrites_another_and_leaves_no_partial_files(closed, tmp_path):
    export_events(closed.engine, SEPTEMBER, tmp_path, now=closed.now)
    with pytest.raises(AlreadyExistsError):
        export_events(closed.engine, SEPTEMBER, tmp_path, now=closed.now)
    assert [path.name for path in tmp_path.iterdir()] == ["2026-09"]


def test_the_disk_space_of_a_months_events_is_reclaimed(meter):
    meter.ingest(*(usage_event(id=f"e{number}", time=IN_SEPTEMBER + number, key="k" * 200) for number in range(20_000)))
    close(meter, SEPTEMBER)
    done = retire_month(meter.engine, SEPTEMBER, None, with_unresolved=False, now=meter.now)
    assert done.month.events == 20_000
    # Identities stay: about 35 bytes of some 130 on SQLite, 100 of some 300 on PostgreSQL.
    assert done.bytes_after < done.bytes_before * (0.6 if meter.on_sqlite else 0.85)
    assert meter.count(events) == meter.rows(select(func.count()).select_from(events))[0][0] == 0


def test_a_bill_by_request_is_refused_for_a_retired_month_and_one_by_day_is_not(meter):
    requests = [usage_event(id=f"r{number}", time=NOON + number, inference_id=f"inference-{number:04d}") for number in range(3)]
    meter.ingest(*requests)
    meter.now = AFTER
    close(meter, NOVEMBER)
    retire(meter, NOVEMBER)
    with pytest.raises(EventsRetiredError, match="2026-11"):
        reconciled(meter, [{"request_id": "inference-0000", "amount_nano_usd": 120_000}])
    by_day = {"day": "2026-11-03", "provider": "together", "model": "llama", "amount_nano_usd": 360_000}
    report = reconciled(meter, [by_day], allow_overlap=True)
    assert (report.run.ours_nano, report.run.theirs_nano) == (360_000, 360_000)


@pytest.mark.only_on("postgresql")
def test_retiring_does_not_wait_for_writers_of_other_months(closed):
    with closed.engine.connect() as writer, writer.begin():
        # As an ingest does from its first row of any month until its commit.
        writer.exec_driver_sql("LOCK TABLE ONLY events IN ROW EXCLUSIVE MODE")
        closed.execute(f"ALTER DATABASE {closed.engine.url.database} SET lock_timeout = '2s'")
        closed.engine.pool.dispose()
        assert retire(closed).events == 3


def test_a_closed_statement_still_verifies_after_its_charges_were_retired(meter):
    """November shows one request without a price; only their charges show that the other two have one."""
    meter.now = instant("2026-11-04T00:00:00Z")
    meter.ingest(*(usage_event(id=name, model="new", time=IN_OCTOBER) for name in ("one", "two")))
    close(meter, OCTOBER)
    meter.record_prices(price_table(rate(model="new"), source="late", effective_from=IN_OCTOBER))
    meter.rate_unpriced()
    meter.ingest(usage_event(id="late", model="new", time=IN_OCTOBER - DAY))
    meter.now = instant("2026-12-05T00:00:00Z")
    close(meter, NOVEMBER)
    assert meter.violations() == []
    retire(meter, OCTOBER, with_unresolved=True)
    assert meter.violations() == []


def test_every_claim_of_a_response_id_survives_retirement(meter):
    """Of two events with one response ID, hours apart, PostgreSQL keeps the claim of the second in another table."""
    meter.ingest(usage_event(id="first", time=IN_SEPTEMBER, response_id=RESPONSE))
    second = IN_SEPTEMBER + 3 * HOUR
    assert meter.ingest(usage_event(id="second", source="tracer", time=second, response_id=RESPONSE)).accepted == 1
    close(meter, SEPTEMBER)
    retire(meter)
    left = [event_claims] if meter.on_sqlite else [event_claims, later_claims]
    assert [meter.count(table) for table in left] == [0] * len(left)
    assert meter.count(retired_claims) == 2
    for number, time in enumerate((IN_SEPTEMBER, second)):
        copy = usage_event(id=f"copy {number}", source="archive", time=time, response_id=RESPONSE)
        assert meter.ingest(copy).copy == 1
    assert meter.violations() == []


def test_another_sources_record_of_a_retired_event_is_a_copy(closed):
    retire(closed)
    before = closed.total()
    again = usage_event(id="copy of it", source="archive", time=IN_SEPTEMBER + HOUR, response_id=RESPONSE)
    assert closed.ingest(again).copy == 1
    assert closed.ingest(again).duplicate == 1
    assert closed.total() == before
    assert closed.violations() == []
    elsewhere = usage_event(id="not one", source="archive", time=IN_SEPTEMBER + 3 * HOUR, response_id=RESPONSE)
    assert closed.ingest(elsewhere).accepted == 1  # more than an hour apart
    assert closed.violations() == []
