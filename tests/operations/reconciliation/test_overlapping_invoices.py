"""Two invoices about the same usage: one supersedes the other, is refused, or has another form; no usage counts twice."""

import pytest

from metering.domain.errors import DomainError
from metering.domain.reconciliation.invoices import InvoiceError
from metering.domain.reconciliation.variances import Tolerance
from metering.invoices.reading import ReadOptions
from metering.operations.accounts.manage_accounts import declare_account
from metering.operations.reconciliation.reconcile import reconcile
from metering.operations.reconciliation.resolve_variance import resolve_variance
from metering.storage.tables import adjustments
from pricing.bundled import bundled_plans
from support.bills import AFTER, END, START, csv_of, import_bill, reconciled
from support.builders import HOUR, instant, usage_event

NOON = instant("2026-11-10T12:00:00Z")
CHARGE = 120_000
MIDDLE = instant("2026-11-15T00:00:00Z")


@pytest.fixture
def ten(meter):
    meter.now = AFTER
    meter.ingest(*(usage_event(id=f"r{n}", time=NOON + n, inference_id=f"inference-{n:04d}") for n in range(10)))
    return meter


def line(number):
    return {"request_id": f"inference-{number:04d}", "amount_nano_usd": CHARGE}


def by_provider(amount):
    return csv_of({"provider": "together", "amount_nano_usd": amount})


def test_an_invoice_of_the_same_form_and_period_supersedes(ten):
    first = import_bill(ten, by_provider(1)).invoice
    second = import_bill(ten, by_provider(2)).invoice
    assert (second.supersedes_id, second.notes) == (first.id, ())


def test_an_invoice_of_the_same_form_that_overlaps_is_refused_unless_allowed(ten):
    first = import_bill(ten, by_provider(1)).invoice
    with pytest.raises(InvoiceError, match=f"overlaps invoice {first.id}"):
        import_bill(ten, by_provider(2), end=MIDDLE)
    with pytest.raises(InvoiceError, match="overlaps"):
        import_bill(ten, by_provider(2), number="another")
    assert import_bill(ten, by_provider(3), end=MIDDLE, supersedes=first.id).invoice.supersedes_id == first.id
    overlapping = import_bill(ten, by_provider(2), start=MIDDLE - HOUR, allow_overlap=True).invoice
    assert overlapping.supersedes_id is None
    assert "some of the same usage" in overlapping.notes[0]


def test_an_invoice_of_another_form_is_kept_with_a_note(ten):
    total = import_bill(ten, b"12.00").invoice
    lines = import_bill(ten, csv_of(line(1))).invoice
    one_provider = import_bill(ten, b"13.00", options=ReadOptions(start=START, end=END, provider="together")).invoice
    assert [each.supersedes_id for each in (total, lines, one_provider)] == [None, None, None]
    assert [note.split(",")[0] for note in one_provider.notes] == [f"invoice {total.id}", f"invoice {lines.id}"]
    assert total.notes == ()


def test_invoices_about_different_usage_do_not_affect_each_other(ten):
    import_bill(ten, b"12.00", routes=("routed",))
    serverless = import_bill(ten, b"13.00", routes=("serverless",)).invoice
    own_key = import_bill(ten, b"12.50", biller="together").invoice
    december = import_bill(ten, b"14.00", start=END, end=END + 24 * HOUR).invoice
    assert [(each.supersedes_id, each.notes) for each in (serverless, own_key, december)] == 3 * [(None, ())]


def test_each_account_has_its_own_invoice_from_the_same_document(ten):
    declare_account(ten.engine, "globex", now=AFTER)
    first, second = import_bill(ten, by_provider(5)), import_bill(ten, by_provider(5), account="globex")
    assert (first.is_new, second.is_new) == (True, True)
    assert first.invoice.account_id != second.invoice.account_id
    again = import_bill(ten, by_provider(5), account="globex")
    assert (again.is_new, again.invoice) == (False, second.invoice)


def test_invoices_of_two_accounts_neither_overlap_nor_supersede_each_other(ten):
    declare_account(ten.engine, "globex", now=AFTER)
    first = import_bill(ten, by_provider(1)).invoice
    second = import_bill(ten, by_provider(2), account="globex", end=MIDDLE).invoice
    assert (second.supersedes_id, second.notes) == (None, ())
    with pytest.raises(InvoiceError, match=f"the account has no invoice {first.id} to supersede"):
        import_bill(ten, by_provider(3), account="globex", supersedes=first.id)


def test_a_superseded_invoice_overlaps_nothing(ten):
    first = import_bill(ten, by_provider(1)).invoice
    second = import_bill(ten, by_provider(2), end=MIDDLE, supersedes=first.id).invoice
    rest = import_bill(ten, by_provider(3), start=MIDDLE).invoice
    assert (rest.supersedes_id, rest.notes) == (None, ())
    corrected = import_bill(ten, by_provider(4), end=MIDDLE).invoice
    assert (corrected.supersedes_id, corrected.notes) == (second.id, ())


def accept(meter, variance):
    return resolve_variance(meter.engine, variance.id, "accepted", who="ada", reason="theirs", correct=True, now=AFTER)


def test_statements_are_corrected_by_one_of_two_invoices_about_the_same_usage(ten):
    (by_lines,) = reconciled(ten, [*(line(number) for number in range(10)), line(77)]).variances
    (summed,) = reconciled(ten, by_provider(11 * CHARGE)).variances
    accept(ten, by_lines)
    with pytest.raises(DomainError, match=f"variance {by_lines.id} of invoice 1, .* twice"):
        accept(ten, summed)
    assert ten.count(adjustments) == 1


def test_a_correction_by_a_superseded_invoice_still_counts(ten):
    (by_lines,) = reconciled(ten, [*(line(number) for number in range(10)), line(77)]).variances
    (summed,) = reconciled(ten, by_provider(11 * CHARGE)).variances
    accept(ten, by_lines)
    import_bill(ten, csv_of(*(line(number) for number in range(10))))  # not reconciled yet
    with pytest.raises(DomainError, match="twice"):
        accept(ten, summed)


def test_after_a_correction_is_reversed_the_other_invoice_can_correct(ten):
    report = reconciled(ten, [*(line(number) for number in range(10)), line(77)])
    (summed,) = reconciled(ten, by_provider(11 * CHARGE + 5)).variances
    accept(ten, report.variances[0])
    ten.ingest(usage_event(id="late", time=NOON + 77, inference_id="inference-0077"))
    again = reconcile(ten.engine, report.invoice.id, bundled_plans(), tolerance=Tolerance(), now=AFTER)
    assert again.bridge.steps == ()  # the correction to reverse is a variance, but not a step
    accept(ten, again.variances[0])
    assert accept(ten, summed).variance.corrected_nano == summed.amount_nano
    assert ten.violations() == []
