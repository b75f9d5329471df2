"""An invoice is compared with metered usage: every difference is recorded with its cause, its evidence and its state."""

import json

import pytest
from sqlalchemy import select

from metering.domain.accounts.plan_history import PlanChange
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import date_of
from metering.domain.reconciliation.invoices import InvoiceError
from metering.domain.reconciliation.variances import Tolerance
from metering.invoices.reading import ReadOptions
from metering.operations.accounts.manage_plans import set_plan
from metering.operations.reconciliation import import_invoice as importing
from metering.operations.reconciliation.export_evidence import export_evidence
from metering.operations.reconciliation.reconcile import reconcile, show_reconciliation
from metering.operations.reconciliation.resolve_variance import resolve_variance
from metering.operations.reconciliation.show_invoices import list_invoices, read_document, show_invoice
from metering.storage.reconciliation.invoices import insert_lines
from metering.storage.tables import account_names, adjustments, alerts, invoice_documents, invoice_lines
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from pricing.rates import Price
from support.bills import AFTER, END, START, csv_of, import_bill, reconciled, steps
from support.builders import HOUR, instant, price_table, rate, usage_event

NOON = instant("2026-11-10T12:00:00Z")
CHARGE = 120_000  # a hundred tokens in, ten out


def line(number, amount=CHARGE):
    return {"request_id": f"inference-{number:04d}", "amount_nano_usd": amount}


def request(number, **fields):
    return usage_event(**{"id": f"r{number}", "time": NOON + number, "inference_id": f"inference-{number:04d}"} | fields)


@pytest.fixture
def ten(meter):
    meter.now = AFTER
    meter.ingest(*(request(number) for number in range(10)))
    return meter


def test_a_matching_invoice_has_no_step(ten):
    report = reconciled(ten, [line(number) for number in range(10)])
    assert (report.run.ours_nano, report.run.theirs_nano) == (10 * CHARGE, 10 * CHARGE)
    assert (report.run.requests, report.run.matched_requests, report.run.matched_nano) == (10, 10, 10 * CHARGE)
    assert (report.variances, report.bridge.steps) == ((), ())
    assert ten.count(alerts) == 0


def test_each_difference_is_recorded_with_the_requests_and_lines_that_show_it(ten):
    ten.ingest(
        request(20, route="provider_key"),
        request(21, status=500),
        request(22, model="no-price"),
        request(23, time=END + HOUR),
    )
    lines = [line(number) for number in range(2, 10)]
    report = reconciled(
        ten,
        [
            *lines,
            line(2),  # again
            line(77, 5_000),  # not metered
            line(3, -20_000),
            line(20, 7_000),
            line(21, 8_000),
            line(22, 9_000),
            line(23),
        ],
    )
    assert steps(report) == {
        "missing_there": -2 * CHARGE,
        "missing_here": 5_000,
        "duplicate_there": CHARGE,
        "refund": -20_000,
        "other_route_billed": 7_000,
        "failed_billed": 8_000,
        "unpriced_here": 9_000,
        "period_edge": CHARGE,
    }
    missing = next(each for each in report.variances if each.cause == "missing_there")
    evidence = [each for _, each in export_evidence(ten.engine, missing.id)]
    assert [(each.event_id, each.request_id, each.ours_nano, each.theirs_nano) for each in evidence] == [
        ("r0", "inference-0000", CHARGE, None),
        ("r1", "inference-0001", CHARGE, None),
    ]
    again = next(each for each in report.variances if each.cause == "duplicate_there")
    ((_, shown),) = export_evidence(ten.engine, again.id)
    assert (shown.request_id, shown.line, shown.theirs_nano) == ("inference-0002", 10, CHARGE)


def test_requests_are_found_by_any_id_that_both_sides_know(meter):
    meter.now = AFTER
    meter.ingest(
        request(1),
        request(2, inference_id="", response_id="response-0000000002"),
        request(3, inference_id=""),
    )
    rows = [{"request_id": name, "amount_nano_usd": CHARGE} for name in ("inference-0001", "response-0000000002", "r3")]
    assert steps(reconciled(meter, rows)) == {}


def test_a_price_version_and_cached_tokens_are_inferred_from_the_amounts(meter):
    meter.now = AFTER
    meter.record_prices(
        price_table(
            rate(
                prices={
                    "input_tokens": Price(1_000_000),
                    "output_tokens": Price(2_000_000),
                    "cache_read_tokens": Price(100_000),
                }
            ),
            source="cheaper-cache",
            effective_from=instant("2026-06-01T00:00:00Z"),
        ),
        price_table(rate(1_300_000, 2_900_000), source="later", effective_from=instant("2026-12-01T00:00:00Z")),
    )
    used = Quantities(input_tokens=100, cache_read_tokens=50, output_tokens=10)
    meter.ingest(*(request(number, quantities=used) for number in range(4)))
    ours = 100_000 + 5_000 + 20_000
    report = reconciled(meter, [line(0, ours), line(1, 170_000), line(2, 170_000), line(3, 130_000 + 65_000 + 29_000)])
    assert steps(report) == {"quantity": 2 * (170_000 - ours), "price": 224_000 - ours}
    named = {each.cause: (each.detail, each.basis) for each in report.variances}
    assert named["quantity"] == ("cached_as_input", "inferred")
    assert named["price"][0].startswith("rate ")


def test_a_re_rated_charge_counts_at_its_current_amount(ten):
    ten.record_prices(price_table(rate(2_000_000, 4_000_000), source="sheet"))
    ten.rerate()
    report = reconciled(ten, [line(number) for number in range(10)])
    assert report.run.ours_nano == 20 * CHARGE
    assert steps(report) == {"price": -10 * CHARGE}


def test_sums_are_compared_with_rollups_by_day_provider_and_total(ten):
    day = {"date": "2026-11-10", "provider": "together", "model": "LLAMA", "amount_nano_usd": 10 * CHARGE}
    assert steps(reconciled(ten, [day])) == {}
    assert steps(reconciled(ten, [{"provider": "together", "amount_nano_usd": 20 * CHARGE}])) == {
        "duplicate_there": 10 * CHARGE
    }
    report = reconciled(
        ten, [{"provider": "novita", "amount_nano_usd": 7}, {"provider": "together", "amount_nano_usd": 10 * CHARGE}]
    )
    assert steps(report) == {"missing_here": 7}


def test_a_pasted_total_shows_the_credits_and_the_fee_of_the_plan(meter):
    meter.now = AFTER
    day = instant("2026-11-03T12:00:00Z")
    tokens = Quantities(input_tokens=1_000_000)  # a dollar
    meter.ingest(*(usage_event(time=day + number, quantities=tokens) for number in range(27)))

    set_plan(meter.engine, "acme", PlanChange(date_of(START // (24 * HOUR)), "pro"), bundled_plans(), now=AFTER)
    report = reconciled(meter, b"Total due: $34.00")
    assert steps(report) == {"credits": -2_000_000_000, "fee": 9_000_000_000}
    assert [each.state for each in report.variances] == ["explained", "explained"]


def test_each_kind_of_line_other_than_usage_is_a_separate_step(ten):
    rows = [line(number) for number in range(10)]
    rows += [
        {"kind": "credit", "amount_nano_usd": -500_000},
        {"kind": "fee", "amount_nano_usd": 9},
        {"kind": "tax", "amount_nano_usd": 1},
    ]
    assert steps(reconciled(ten, rows)) == {"credits": -500_000, "fee": 9, "tax": 1}


def test_a_total_that_is_not_the_sum_of_its_lines_is_a_variance(ten):
    report = reconciled(ten, [line(number) for number in range(10)], total="1.00")
    assert steps(report) == {"total_mismatch": 1_000_000_000 - 10 * CHARGE}


def test_tokens_without_amounts_are_compared_at_our_prices(meter):
    meter.now = AFTER
    meter.record_prices(price_table(rate(provider="fireworks-ai")))
    meter.ingest(*(request(number, provider="fireworks-ai", route="provider_key") for number in range(10)))
    head = "start_time,end_time,base_model_name,prompt_tokens,completion_tokens\n"
    rows = head + "2026-11-10T00:00:00Z,2026-11-11T00:00:00Z,llama,1100,100\n"
    options = ReadOptions(start=START, end=END)
    report = reconciled(meter, rows.encode(), options=options)
    assert report.run.valued
    assert steps(report) == {"quantity": 100_000}
    assert report.variances[0].detail == "input_tokens"


def test_the_same_document_again_changes_nothing(ten):
    content = csv_of(*(line(number) for number in range(10)))
    first, again = import_bill(ten, content), import_bill(ten, content)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.invoice == show_invoice(ten.engine, first.invoice.id).invoice
    assert ten.count(invoice_lines) == 10
    assert b"".join(read_document(ten.engine, first.invoice.id)) == content


def test_a_corrected_document_supersedes_and_both_stay(ten):
    first = import_bill(ten, csv_of(line(1))).invoice
    second = import_bill(ten, csv_of(line(1), line(2))).invoice
    assert second.supersedes_id == first.id
    assert [each.invoice.superseded_by for each in list_invoices(ten.engine)] == [None, second.id]
    with pytest.raises(DomainError, match=f"superseded by {second.id}"):
        reconcile(ten.engine, first.id, bundled_plans(), tolerance=Tolerance(), now=AFTER)


def test_overlapping_periods_are_refused_unless_allowed(ten):
    import_bill(ten, csv_of(line(1)))
    with pytest.raises(InvoiceError) as error:
        import_bill(ten, csv_of(line(2)), start=START + HOUR)
    assert error.value.code == "overlapping_invoice"
    assert ten.count(invoice_documents) == 1
    import_bill(ten, csv_of(line(2)), start=START + HOUR, allow_overlap=True)
    total = import_bill(ten, b"12.00").invoice
    assert total.supersedes_id is None


def test_a_document_that_cannot_be_read_completely_leaves_nothing(ten):
    with pytest.raises(InvoiceError, match="line 3"):
        import_bill(ten, b"request_id,amount\na,1\nb,nothing\n")
    assert (ten.count(invoice_documents), ten.count(invoice_lines)) == (0, 0)


def test_an_invoice_of_another_account_is_refused(ten):
    with pytest.raises(InvoiceError) as error:
        import_bill(ten, b"request_id,amount,account\na,1,globex\n")
    assert error.value.code == "wrong_account"
    with pytest.raises(NotFoundError):
        import_bill(ten, csv_of(line(1)), account="globex")


def test_small_differences_are_tolerated_only_while_all_of_them_together_are(ten):
    rows = [line(number, CHARGE + 1_000) for number in range(10)]
    assert reconciled(ten, rows, tolerance=Tolerance(nano=10_000)).needs_attention == []
    (waiting,) = reconciled(ten, rows, tolerance=Tolerance(nano=9_999)).needs_attention
    assert waiting.amount_nano == 10_000
    # Relative: a percent of 1,210,000.
    assert reconciled(ten, rows, tolerance=Tolerance(nano=0, ppm=10_000)).needs_attention == []


def test_requests_less_than_half_an_hour_old_are_pending(ten):
    report = reconciled(ten, [line(number) for number in range(9)], now=NOON + 20 * 60 * 1_000_000)
    assert steps(report) == {"pending": -CHARGE}
    assert report.needs_attention == []


def decide(meter, variance, state, *, who="ada", reason="asked them", **options):
    return resolve_variance(meter.engine, variance.id, state, who=who, reason=reason, now=AFTER, **options)


def test_a_decision_carries_over_to_the_next_run_while_the_amount_is_the_same(ten):
    report = reconciled(ten, [line(number) for number in range(9)])
    (variance,) = report.variances
    assert variance.state == "open"
    decide(ten, variance, "disputed")
    again = reconcile(ten.engine, report.invoice.id, bundled_plans(), tolerance=Tolerance(), now=AFTER + 1)
    (kept,) = again.variances
    assert (kept.state, kept.who, kept.reason) == ("disputed", "ada", "asked them")
    ten.ingest(request(30))
    later = reconcile(ten.engine, report.invoice.id, bundled_plans(), tolerance=Tolerance(), now=AFTER + 2)
    (reopened,) = later.variances
    assert (reopened.state, reopened.who) == ("open", "reconcile")
    assert reopened.reason == "was disputed at -0.00012 USD by ada: asked them"
    # The earlier run still shows the decision.
    assert show_reconciliation(ten.engine, report.run.id).variances[0].state == "disputed"


def test_a_decision_needs_the_newest_run_a_name_and_a_reason(ten):
    report = reconciled(ten, [line(number) for number in range(9)])
    for fields in ({"who": " "}, {"reason": ""}, {"state": "done"}):
        with pytest.raises(DomainError):
            decide(ten, report.variances[0], **{"state": "accepted"} | fields)
    reconcile(ten.engine, report.invoice.id, bundled_plans(), tolerance=Tolerance(), now=AFTER)
    with pytest.raises(DomainError, match="earlier run"):
        decide(ten, report.variances[0], "accepted")
    with pytest.raises(NotFoundError):
        resolve_variance(ten.engine, 999, "accepted", who="ada", reason="x", now=AFTER)


def test_an_open_variance_raises_one_alert_until_something_changes(ten):
    report = reconciled(ten, [line(number) for number in range(9)])
    reconcile(ten.engine, report.invoice.id, bundled_plans(), tolerance=Tolerance(nano=0), now=AFTER + 1)
    ((kind, data, account_id),) = ten.rows(select(alerts.c.type, alerts.c.data, alerts.c.account_id))
    assert (kind, account_id) == ("reconciliation.variance_found", report.run.account_id)
    content = json.loads(data)
    assert (content["invoice"], content["difference_nano_usd"]) == (report.invoice.id, -CHARGE)
    assert content["open"][0]["cause"] == "missing_there"
    ten.ingest(request(31))
    reconcile(ten.engine, report.invoice.id, bundled_plans(), tolerance=Tolerance(nano=0), now=AFTER + 2)
    assert ten.count(alerts) == 2


def test_an_invoice_of_a_provider_covers_only_usage_on_its_own_key(ten):
    ten.ingest(request(40, route="provider_key"))
    report = reconciled(ten, [line(40), line(1, 5_000)], biller="together")
    assert report.run.ours_nano == CHARGE
    assert steps(report) == {"other_route_billed": 5_000}


def test_accepting_with_a_correction_adjusts_the_statement_once(ten):
    report = reconciled(ten, [*(line(number) for number in range(10)), line(77, 5_000)])
    (variance,) = report.variances
    done = decide(ten, variance, "accepted", correct=True)
    ((billing_month, origin_month, amount, reason),) = ten.rows(
        select(adjustments.c.billing_month, adjustments.c.origin_month, adjustments.c.amount_nano, adjustments.c.reason)
    )
    assert (billing_month, origin_month, amount, reason) == (202611, 202611, 5_000, "asked them")
    assert (done.variance.corrected_nano, done.variance.adjustment) == (
        5_000,
        f"variance {variance.id} of invoice {report.invoice.id}",
    )
    with pytest.raises(DomainError, match="already corrected"):
        decide(ten, variance, "accepted", correct=True)
    with pytest.raises(DomainError, match="only an accepted variance"):
        decide(ten, variance, "disputed", correct=True)
    assert ten.count(adjustments) == 1
    assert ten.violations() == []


def test_a_correction_follows_the_variance_when_late_data_changes_it(ten):
    lines = [*(line(number) for number in range(10)), line(77, CHARGE), line(78, CHARGE)]
    report = reconciled(ten, lines)
    decide(ten, report.variances[0], "accepted", correct=True)

    def again(number):
        ten.ingest(request(number))
        (found,) = reconcile(ten.engine, report.invoice.id, bundled_plans(), tolerance=Tolerance(), now=AFTER).variances
        return found

    half = again(77)
    assert (half.amount_nano, half.state, half.corrected_nano) == (CHARGE, "open", 2 * CHARGE)
    decide(ten, half, "accepted", correct=True)
    gone = again(78)
    assert (gone.amount_nano, gone.items, gone.state, gone.corrected_nano) == (0, 0, "open", CHARGE)
    assert "no difference anymore" in gone.reason
    decide(ten, gone, "accepted", correct=True)
    assert [row[0] for row in ten.rows(select(adjustments.c.amount_nano).order_by(adjustments.c.id))] == [
        2 * CHARGE,
        -CHARGE,
        -CHARGE,
    ]
    assert reconcile(ten.engine, report.invoice.id, bundled_plans(), tolerance=Tolerance(), now=AFTER).variances == ()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE invoice_lines SET amount_nano = amount_nano + 1 WHERE position = 2", "invoice_differs"),
        ("UPDATE reconciliations SET ours_nano = ours_nano + 1", "bridge_broken"),
        ("UPDATE variance_items SET amount_nano = amount_nano + 1", "variance_differs"),
        ("UPDATE variances SET cause = 'rounding'", "rounding_exceeds_slack"),
    ],
)
def test_verify_finds_what_does_not_add_up_in_a_reconciliation(ten, change, code):
    reconciled(ten, [line(number) for number in range(9)])
    assert ten.violations() == []
    ten.execute(change)
    assert code in {violation.code for violation in ten.violations()}


@pytest.mark.parametrize("rows", [3, 5])
def test_an_invoice_of_many_chunks_is_complete_and_an_interrupted_import_leaves_no_invoice(ten, monkeypatch, rows):
    monkeypatch.setattr(importing, "CHUNK", 2)
    content = csv_of(*(line(number) for number in range(rows)))
    written = []

    def interrupted(connection, document_id, lines):
        written.append(len(lines))
        if len(written) == 2:
            raise KeyboardInterrupt
        insert_lines(connection, document_id, lines)

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(importing, "insert_lines", interrupted)
        import_bill(ten, content)
    assert (ten.count(invoice_documents), ten.count(invoice_lines), list_invoices(ten.engine)) == (0, 0, [])
    done = import_bill(ten, content)
    assert (done.invoice.lines, ten.count(invoice_lines)) == (rows, rows)
    assert b"".join(read_document(ten.engine, done.invoice.id)) == content


def test_a_killed_import_blocks_its_document_for_ten_minutes_and_is_then_replaced(ten, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 2)
    content = csv_of(*(line(number) for number in range(5)))
    account_id = ten.rows(select(account_names.c.account_id).where(account_names.c.name == "acme"))[0][0]
    monkeypatch.setattr(importing, "delete_document", lambda *_: None)  # as a kill does
    with monkeypatch.context() as killed, pytest.raises(ZeroDivisionError):
        killed.setattr(importing, "insert_parts", lambda *_: 1 // 0)
        import_bill(ten, content)
    assert (ten.count(invoice_lines), ten.violations()) == (4, [])
    with pytest.raises(InvoiceError) as error:
        import_bill(ten, content, now=AFTER + 1)
    assert error.value.code == "import_in_progress"
    done = import_bill(ten, content, now=AFTER + 11 * 60 * 1_000_000)
    assert (done.is_new, ten.count(invoice_lines), done.invoice.account_id) == (True, 5, account_id)
