"""A pasted total is compared with the whole statement and with usage alone; a correction brings our total to theirs exactly."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from metering.domain.errors import DomainError
from metering.domain.reconciliation.readings import ReadingRequiredError, TotalReading
from metering.domain.reconciliation.variances import Tolerance
from metering.invoices.reading import ReadOptions
from metering.operations.reconciliation.read_total import choose_reading, read_total
from metering.operations.reconciliation.reconcile import reconcile
from metering.operations.reconciliation.resolve_variance import resolve_variance
from metering.operations.statements.compare_closed_month import compare_closed_month
from metering.storage.tables import adjustments, reconciliations
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from support.bills import AFTER, END, START, csv_of, import_bill, reconciled, steps
from support.builders import instant, usage_event

PLANS = bundled_plans()
CENT, DOLLAR = 10_000_000, 1_000_000_000
NOVEMBER = 202611
STATEMENT, USAGE = TotalReading.STATEMENT, TotalReading.USAGE


def spend(meter, nano, *, name="use", time="2026-11-10T12:00:00Z", account="acme"):
    """Meter one request that costs so many nano-dollars, at a thousand nano-dollars a token."""
    assert nano % 1_000 == 0
    quantities = Quantities(input_tokens=nano // 1_000)
    meter.ingest(usage_event(id=name, time=instant(time), account=account, quantities=quantities))


@pytest.fixture
def pro(meter):
    """A PRO account with $26.74 of usage in November: the statement says 26.74 + 9.00 - 2.00 = 33.74."""
    meter.now = AFTER
    spend(meter, 2_674 * CENT)
    meter.set_plan("pro", "2026-11-01")
    assert meter.statement(NOVEMBER).total_cents == 3_374
    return meter


def accept(meter, variance_id, reading=None):
    if reading is not None:
        variance_id = choose_reading(meter.engine, variance_id, reading, PLANS, now=AFTER)
    return resolve_variance(meter.engine, variance_id, "accepted", who="ada", reason="theirs", correct=True, now=AFTER)


def to_decide(report):
    """Return the only variance that is not expected on an invoice."""
    (variance,) = [each for each in report.variances if each.state == "open"]
    return variance


def readings(report):
    return [(str(each.reading), each.ours_nano, each.difference_nano) for each in report.run.readings]


def again(meter, report, **how):
    return reconcile(meter.engine, report.invoice.id, PLANS, tolerance=Tolerance(nano=0), now=AFTER, **how)


@pytest.mark.parametrize(("total", "difference"), [("34.00", 26), ("30.24", -350), ("770.00", 73_626), ("0.00", -3_374)])
def test_read_as_the_statement_a_correction_is_the_difference_of_the_totals(pro, total, difference):
    report = reconciled(pro, f"${total}".encode())
    assert readings(report) == [
        ("statement", 3_374 * CENT, difference * CENT),
        ("usage", 2_674 * CENT, (difference + 700) * CENT),
    ]
    assert steps(report) == {"credits": -2 * DOLLAR, "fee": 9 * DOLLAR, "unexplained": difference * CENT}
    with pytest.raises(ReadingRequiredError, match="--reads statement or --reads usage"):
        accept(pro, to_decide(report).id)
    assert pro.count(adjustments) == 0
    done = accept(pro, to_decide(report).id, STATEMENT)
    assert (done.variance.corrected_nano, done.run.reading) == (difference * CENT, "statement")
    assert pro.statement(NOVEMBER).total_cents == round(float(total) * 100)
    settled = again(pro, report)
    assert readings(settled)[0] == ("statement", 3_374 * CENT + difference * CENT, 0)
    assert [(each.state, each.corrected_nano) for each in settled.variances if each.cause == "unexplained"] == [
        ("accepted", difference * CENT)
    ]
    assert settled.needs_attention == []
    assert pro.violations() == []


@pytest.mark.parametrize(("total", "usage"), [("34.00", 726), ("30.24", 350), ("26.00", -74)])
def test_read_as_usage_a_correction_brings_our_usage_to_theirs(pro, total, usage):
    report = reconciled(pro, total.encode())
    done = accept(pro, to_decide(report).id, USAGE)
    assert (done.variance.cause, done.variance.amount_nano, done.variance.corrected_nano) == (
        "unexplained",
        usage * CENT,
        usage * CENT,
    )
    assert done.run.id != report.run.id
    statement = pro.statement(NOVEMBER)
    assert statement.usage_nano + statement.adjustments_nano == round(float(total) * 100) * CENT
    assert statement.total_cents == round(float(total) * 100) + 700
    assert again(pro, report).needs_attention == []
    assert pro.violations() == []


def test_a_total_that_is_the_statements_or_the_usage_agrees(pro):
    report = reconciled(pro, b"33.74")
    assert readings(report)[0] == ("statement", 3_374 * CENT, 0)
    assert steps(report) == {"credits": -2 * DOLLAR, "fee": 9 * DOLLAR}
    assert (report.needs_attention, report.run.matched_nano, report.run.usage_nano) == ([], 2_674 * CENT, 2_674 * CENT)
    usage = reconciled(pro, b"26.74")
    assert (readings(usage)[1], usage.variances) == (("usage", 2_674 * CENT, 0), ())


def test_a_total_is_held_against_our_figures_when_it_is_imported(pro):
    imported = import_bill(pro, b"34.00").invoice
    found = read_total(pro.engine, imported, PLANS, now=AFTER)
    assert [(each.reading, each.difference_nano) for each in found] == [(STATEMENT, 26 * CENT), (USAGE, 726 * CENT)]
    assert read_total(pro.engine, import_bill(pro, csv_of({"model": "llama", "amount": "1"})).invoice, PLANS, now=AFTER) == ()


def test_where_both_readings_are_the_same_none_need_be_chosen(meter):
    meter.now = AFTER
    report = reconciled(meter, b"5.00")
    assert readings(report) == [("statement", 0, 5 * DOLLAR), ("usage", 0, 5 * DOLLAR)]
    accept(meter, to_decide(report).id)
    statement = meter.statement(NOVEMBER)
    assert (statement.total_cents, statement.usage_nano + statement.adjustments_nano) == (500, 5 * DOLLAR)
    assert again(meter, report).needs_attention == []
    assert meter.violations() == []


@pytest.mark.parametrize("total", ["9.00", "9.63", "10.50", "40.00", "2.00"])
def test_credits_that_are_left_do_not_pay_for_an_adjusted_total(meter, total):
    meter.now = AFTER
    spend(meter, 63 * CENT)
    meter.set_plan("pro", "2026-11-01")
    meter.grant(500 * DOLLAR, granted_at=START)
    assert meter.statement(NOVEMBER).total_cents == 900
    report = reconciled(meter, total.encode())
    if total == "9.00":
        assert report.needs_attention == []
        return
    accept(meter, report.variances[0].id, STATEMENT)
    statement = meter.statement(NOVEMBER)
    assert (statement.total_cents, statement.credits_nano) == (round(float(total) * 100), 63 * CENT)
    assert meter.violations() == []
    closed = meter.close(NOVEMBER)
    assert (closed.total_cents, closed.credits_nano) == (round(float(total) * 100), 63 * CENT)
    assert meter.violations() == []


def test_a_plan_change_within_the_month_counts_as_the_statement_has_it(meter):
    meter.now = AFTER
    spend(meter, 1_250 * CENT + 7_000)
    meter.set_plan("pro", "2026-11-16")
    before = meter.statement(NOVEMBER)
    assert before.total_cents == 1_250 + 450 - 200
    report = reconciled(meter, b"16.01")
    assert readings(report)[0] == ("statement", 1_500 * CENT, 101 * CENT)
    assert steps(report) == {
        "credits": -2 * DOLLAR, "fee": 450 * CENT, "adjustment": -7_000, "unexplained": 101 * CENT,
    }  # fmt: skip
    accept(meter, to_decide(report).id, STATEMENT)
    assert meter.statement(NOVEMBER).total_cents == 1_601
    assert meter.violations() == []


def test_adjustments_of_ones_own_and_late_usage_of_a_closed_month_belong_to_its_total(pro):
    pro.adjust(NOVEMBER, 100 * CENT)
    pro.close(NOVEMBER)
    pro.now = AFTER + 1
    spend(pro, 50 * CENT, name="late")
    assert pro.statement(NOVEMBER).total_cents == 3_474
    report = reconciled(pro, b"36.00", now=pro.now)
    assert readings(report)[0] == ("statement", 3_524 * CENT, 76 * CENT)
    assert steps(report) == {"credits": -2 * DOLLAR, "fee": 9 * DOLLAR, "adjustment": DOLLAR, "unexplained": 76 * CENT}
    accept(pro, to_decide(report).id, STATEMENT)
    assert pro.statement(NOVEMBER).total_cents == 3_474
    billed_later = [line for line in pro.statement(202612).lines if line.origin_month == NOVEMBER]
    assert sum(line.amount_pico for line in billed_later) == (50 + 76) * CENT * 1_000
    assert readings(again(pro, report))[0] == ("statement", 3_600 * CENT, 0)
    drift = compare_closed_month(pro.engine, "acme", NOVEMBER, PLANS, now=pro.now)
    assert (drift.closed_usage_nano, drift.usage_nano) == ((2_674 + 100) * CENT, (2_674 + 100 + 50 + 76) * CENT)
    assert pro.violations() == []


def test_a_chosen_reading_is_kept_and_changes_only_before_a_correction(pro):
    report = reconciled(pro, b"34.00")
    as_usage = again(pro, report, reading=USAGE)
    assert (as_usage.run.reading, steps(as_usage)) == ("usage", {"unexplained": 726 * CENT})
    assert again(pro, report).run.reading == "usage"
    as_statement = again(pro, report, reading=STATEMENT)
    accept(pro, to_decide(as_statement).id)
    with pytest.raises(DomainError, match="already corrected by invoice 1, read as statement"):
        again(pro, report, reading=USAGE)
    assert [row[0] for row in pro.rows(select(reconciliations.c.reading).order_by(reconciliations.c.id))] == [
        "", "usage", "usage", "statement",
    ]  # fmt: skip


def test_a_newer_total_is_corrected_by_the_rest(pro):
    report = reconciled(pro, b"34.00")
    accept(pro, to_decide(report).id, STATEMENT)
    newer = reconciled(pro, b"34.10")
    assert newer.invoice.supersedes_id == report.invoice.id
    accept(pro, to_decide(newer).id)
    assert pro.statement(NOVEMBER).total_cents == 3_410
    assert [row[0] for row in pro.rows(select(adjustments.c.amount_nano).order_by(adjustments.c.id))] == [26 * CENT, 10 * CENT]
    assert pro.violations() == []


def test_only_a_total_of_all_usage_of_a_month_can_be_a_statement(pro):
    part = reconciled(pro, b"34.00", start=START, end=END - 1)
    one = reconciled(pro, b"34.00", options=ReadOptions(start=START, end=END, provider="together"))
    lines = reconciled(pro, csv_of({"model": "llama", "amount": "34.00"}))
    for report in (part, one, lines):
        assert report.run.readings == ()
        with pytest.raises(DomainError, match="only one reading"):
            again(pro, report, reading=STATEMENT)
    assert accept(pro, to_decide(lines).id).variance.corrected_nano == 726 * CENT


def test_a_cause_that_explains_the_usage_is_named_but_not_corrected_before_a_reading_is_chosen(pro):
    pro.ingest(
        usage_event(
            id="failed", time=instant("2026-11-11T12:00:00Z"), status=500, quantities=Quantities(input_tokens=4_321_000)
        )
    )
    report = reconciled(pro, f"{26.74 + 4.321:.3f}".encode())
    assert steps(report) == {"failed_billed": 4_321_000_000}
    with pytest.raises(ReadingRequiredError):
        accept(pro, to_decide(report).id)
    accept(pro, to_decide(report).id, USAGE)
    statement = pro.statement(NOVEMBER)
    assert statement.usage_nano + statement.adjustments_nano == 31_061_000_000


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(usage=st.integers(0, 5_000_000), theirs=st.integers(0, 10_000), reading=st.sampled_from(list(TotalReading)))
def test_whatever_the_figures_our_total_becomes_theirs(bare_meter_for_totals, usage, theirs, reading):
    meter, account = bare_meter_for_totals()
    if usage:
        spend(meter, usage * 10_000, account=account, name=account)
    meter.set_plan("pro", "2026-11-05", account=account)
    report = reconciled(meter, f"{theirs // 100}.{theirs % 100:02d}".encode(), account=account)
    opened = [each for each in report.variances if each.state == "open"]
    if not opened:
        return
    try:
        variance_id = choose_reading(meter.engine, opened[0].id, reading, PLANS, now=AFTER)
    except DomainError as error:
        assert "no variance" in str(error)
        return
    resolve_variance(meter.engine, variance_id, "accepted", who="ada", reason="theirs", correct=True, now=AFTER)
    statement = meter.statement(NOVEMBER, account=account)
    if reading is STATEMENT:
        assert statement.total_cents == theirs
    else:
        assert statement.usage_nano + statement.adjustments_nano == theirs * CENT


@pytest.fixture
def bare_meter_for_totals(meter):
    """Return a function that returns the meter and a fresh account in it."""
    meter.now = AFTER
    names = iter(range(10_000))

    def fresh():
        account = f"fresh-{next(names)}"
        meter.declare(account)
        return meter, account

    return fresh
