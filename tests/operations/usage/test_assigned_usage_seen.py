"""Everything that reads an account's usage includes assigned usage: budgets, hours, bills, answers, retirement, verify."""

import pytest
from pyarrow import parquet
from sqlalchemy import select

from metering.domain.budgets.budgets import BudgetTerms
from metering.domain.charges.spend import Granularity
from metering.domain.errors import NotFoundError
from metering.domain.usage.retention import EventsRetiredError, StillOpenError, UnresolvedUsageError
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.evaluate_hours import evaluate_hours
from metering.operations.budgets.manage_budgets import Author, create_budget
from metering.operations.charges.explain_charge import explain_charge
from metering.operations.reconciliation.answer_billing import answer_billing
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.upkeep.export_events import export_events
from metering.operations.upkeep.retire_month import list_event_months, retire_month
from metering.storage.tables import alerts, event_identities, hour_sums, rollups, series
from pricing.bundled import bundled_plans
from support.assigning import assign, spent
from support.bills import AFTER, reconciled, steps
from support.builders import DAY, HOUR, NOON, instant, price_table, rate, usage_event

ACME = 2
EACH = 120_000
CATALOG = bundled_plans()
RESPONSE = "ebafdc12cee84cf29c1b"
SEPTEMBER, OCTOBER = 202609, 202610
IN_SEPTEMBER = NOON - 60 * DAY


def test_assigned_usage_counts_towards_budgets(meter):
    evaluator = BudgetEvaluator(meter.engine, CATALOG, lambda: meter.now)
    create_budget(meter.engine, "acme", BudgetTerms(amount_nano=2 * EACH, thresholds=(50,)), Author("test", meter.now), CATALOG)
    meter.ingest(usage_event(account="stranger"))
    assert evaluator.evaluate() == 0
    assign(meter)
    assert evaluator.evaluate() == 1
    assert [row.type for row in meter.rows(select(alerts))] == ["budget.threshold_reached"]


def test_unpriced_usage_is_alerted_on_in_the_account(meter):
    evaluator = BudgetEvaluator(meter.engine, CATALOG, lambda: meter.now)
    meter.ingest(usage_event(account="stranger", model="new"))
    evaluator.evaluate()
    before = meter.count(alerts)
    assign(meter)
    evaluator.evaluate()
    assert meter.count(alerts) == before + 1


def test_hourly_sums_include_assigned_usage(meter):
    """Usage counts on ``unassigned`` first, and only in the account after it is assigned."""
    hour = NOON // HOUR
    meter.ingest(usage_event(), usage_event(account="stranger"), usage_event(account="other"))

    def summed():
        BudgetEvaluator(meter.engine, CATALOG, lambda: meter.now).finish()
        for _ in range(100):
            evaluate_hours(meter.engine, lambda: meter.now)
        return dict(meter.rows(select(hour_sums.c.account_id, hour_sums.c.amount_nano).where(hour_sums.c.hour == hour)))

    meter.now = NOON + 2 * DAY
    assert summed() == {1: 2 * EACH, ACME: EACH}
    assign(meter)
    assert summed() == {1: EACH, ACME: 2 * EACH}


def test_spend_of_parts_of_days_and_by_the_hour_includes_assigned_usage(meter):
    meter.ingest(usage_event(account="stranger"), usage_event(account="stranger", time=NOON + HOUR))
    assign(meter)
    part = meter.spend(NOON, NOON + HOUR, account_id=ACME)
    assert [(row.events, row.amount_nano) for row in part] == [(1, EACH)]
    by_hour = meter.spend(NOON, NOON + 2 * HOUR, account_id=ACME, granularity=Granularity.HOUR)
    assert [row.amount_nano for row in by_hour] == [EACH, EACH]


def test_a_bill_is_matched_with_assigned_requests(meter):
    meter.now = AFTER
    for number in range(4):
        account = "stranger" if number % 2 else "acme"
        meter.ingest(usage_event(id=f"r{number}", account=account, inference_id=f"inference-{number:04d}", time=NOON + number))
    lines = [{"request_id": f"inference-{number:04d}", "amount_nano_usd": EACH} for number in range(4)]
    assert steps(reconciled(meter, lines[:1])) == {"missing_there": -EACH}
    assign(meter)
    report = reconciled(meter, [*lines, {"request_id": "inference-9999", "amount_nano_usd": 0}])
    assert (report.run.requests, report.run.matched_requests, report.run.ours_nano) == (4, 4, 4 * EACH)


def test_a_bill_is_not_matched_with_requests_that_were_only_reversed(meter):
    meter.now = AFTER
    meter.ingest(usage_event(id="r1", inference_id="inference-0001"))
    meter.ingest(usage_event(id="r1", account="stranger", inference_id="inference-0001"))
    assign(meter)
    report = reconciled(meter, [{"request_id": "inference-0001", "amount_nano_usd": EACH}])
    assert (report.run.requests, report.run.ours_nano, report.variances) == (1, EACH, ())


def test_hugging_face_gets_answers_about_assigned_requests_by_each_of_their_ids(meter):
    meter.ingest(
        usage_event(id="own", account="stranger", time=meter.now - HOUR),
        usage_event(account="stranger", time=meter.now - HOUR, inference_id="inference-0001"),
        usage_event(id="first", source="edge", time=meter.now - HOUR, response_id=RESPONSE),
        usage_event(id="second", account="stranger", time=meter.now - HOUR, response_id=RESPONSE),
    )
    request_ids = ["own", "inference-0001", "second"]
    assert answer_billing(meter.engine, ACME, request_ids, now=meter.now) == {}
    assign(meter)
    assert answer_billing(meter.engine, ACME, request_ids, now=meter.now) == dict.fromkeys(request_ids, EACH)


@pytest.fixture
def september(meter):
    """September of acme: its own event, one to assign that has a copy, and one that will only be reversed."""
    meter.ingest(
        usage_event(id="own", time=IN_SEPTEMBER),
        usage_event(id="came", account="stranger", time=IN_SEPTEMBER + HOUR, response_id=RESPONSE),
        usage_event(id="copy", account="stranger", source="tracer", time=IN_SEPTEMBER + HOUR, response_id=RESPONSE),
        usage_event(id="own", account="stranger", time=IN_SEPTEMBER),
    )
    return meter


def retire(meter):
    return retire_month(meter.engine, SEPTEMBER, None, with_unresolved=False, now=meter.now).month


def close(meter, month):
    close_month(meter.engine, "acme", month, CloseOptions(CATALOG, with_earlier=True), now=meter.now)


def test_a_month_can_be_retired_once_its_usage_is_assigned(september, tmp_path):
    close(september, SEPTEMBER)
    with pytest.raises(UnresolvedUsageError):
        retire(september)
    assign(september)
    # The assigned usage is billed in October.
    with pytest.raises(StillOpenError):
        retire(september)
    close(september, OCTOBER)
    export = export_events(september.engine, SEPTEMBER, tmp_path, now=september.now)
    rows = parquet.read_table(export.directory / "events.parquet").to_pylist()
    assert {(row["event_id"], row["account_id"], row["assigned_to"], row["counted_as"]) for row in rows} == {
        (1, 2, None, None), (2, 1, 2, 2), (4, 1, 2, 1),
    }  # fmt: skip
    (month,) = list_event_months(september.engine).months
    assert (month.events, month.stored_events, month.unassigned_events) == (3, 3, 0)
    assert retire(september).events == 3
    (month,) = list_event_months(september.engine).months
    assert (month.events, month.stored_events) == (3, 0)
    with pytest.raises(NotFoundError):
        retire(september)
    assert spent(september) == {"acme": (2, 2 * EACH)}
    assert not september.violations()
    # Its records are still duplicates and copies, in the account too.
    again = {"time": IN_SEPTEMBER + HOUR, "response_id": RESPONSE}
    assert september.ingest(usage_event(id="came", **again)).duplicate == 1
    assert september.ingest(usage_event(id="came", account="stranger", **again)).duplicate == 1
    assert september.ingest(usage_event(id="elsewhere", source="edge", **again)).copy == 1
    assert not september.violations()
    with pytest.raises(EventsRetiredError):
        explain_charge(september.engine, ACME, "came")


def test_a_repeat_of_a_retired_event_is_only_reversed(meter):
    meter.ingest(usage_event(id="own", time=IN_SEPTEMBER, response_id=RESPONSE))
    close(meter, SEPTEMBER)
    retire(meter)
    meter.ingest(
        usage_event(id="own", account="stranger", time=IN_SEPTEMBER, response_id=RESPONSE),
        usage_event(id="other", account="stranger", source="tracer", time=IN_SEPTEMBER + HOUR // 2, response_id=RESPONSE),
        usage_event(id="third", account="elsewhere", source="edge", time=IN_SEPTEMBER + 2 * HOUR),
    )
    assert assign(meter).repeats == 1
    assert spent(meter) == {"acme": (1, EACH), "unassigned": (1, EACH)}
    assert not meter.violations()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE assigned_events SET account_id = 3 WHERE event_id = 2", "identity_missing"),
        ("UPDATE assigned_events SET counted_as = 3 WHERE event_id = 4", "identity_missing"),
        ("UPDATE assigned_events SET event_time = event_time + 1 WHERE event_id = 2", "assigned_differs"),
        ("UPDATE assigned_events SET event_id = 77 WHERE event_id = 2", "assigned_missing"),
        ("DELETE FROM assigned_events WHERE event_id = 2", "identities_differ"),
        ("DELETE FROM charges WHERE event_id = 2 AND sign = 1", "not_moved"),
        ("DELETE FROM charges WHERE event_id = 4", "not_taken_back"),
        ("UPDATE charges SET series_id = 3 WHERE event_id = 2 AND sign = 1", "account_differs"),
        ("DELETE FROM event_identities WHERE event_id = 2", "identities_differ"),
    ],
)
def test_verify_finds_invalid_assigned_events(september, change, code):
    september.declare("umbrella")
    september.ingest(usage_event(account="umbrella", time=IN_SEPTEMBER))
    assign(september)
    assert not september.violations()
    september.execute("PRAGMA foreign_keys = OFF") if september.on_sqlite else None
    september.execute(change)
    assert code in {violation.code for violation in september.violations()}


def test_an_event_with_a_charge_in_another_account_was_assigned_to_it(september):
    """A charge in another account's series is only valid with an assignment."""
    assign(september)
    september.execute("DELETE FROM assigned_events WHERE event_id = 2")
    assert "account_differs" in {violation.code for violation in september.violations()}


def test_both_identities_of_an_assigned_event_have_its_digest(september):
    assign(september)
    assert len(set(september.rows(select(event_identities.c.fingerprint).where(event_identities.c.event_id == 2)))) == 1
    september.execute(
        "UPDATE event_identities SET fingerprint = 1 WHERE event_id = 2"
        " AND identity = (SELECT identity FROM event_identities WHERE event_id = 2 ORDER BY identity LIMIT 1)"
    )
    assert "content_differs" in {violation.code for violation in september.violations()}


def test_unassigned_usage_is_no_correction_and_leaves_no_sum_behind(september):
    assign(september)
    of_nobody = select(rollups.c.events, rollups.c.amount_nano).join(series).where(series.c.account_id == 1)
    assert {tuple(row) for row in september.rows(of_nobody)} == {(0, 0)}


def test_a_statement_bills_assigned_usage_with_the_months_usage(meter):
    meter.set_plan("pro", "2026-11-01")
    meter.record_prices(price_table(rate(9_000_000_000, 0), source="dear", effective_from=instant("2026-11-02T00:00:00Z")))
    meter.ingest(usage_event(account="stranger"), usage_event())
    before = meter.statement(202611)
    assign(meter)
    after = meter.statement(202611)
    # 100 tokens at $9,000 a million are $0.90, paid by the $2.00 of credits of PRO.
    assert (before.usage_nano, after.usage_nano) == (900_000_000, 1_800_000_000)
    assert (before.credits_nano, after.credits_nano) == (900_000_000, 1_800_000_000)
