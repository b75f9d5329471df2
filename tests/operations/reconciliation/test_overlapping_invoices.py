"""Two bills about the same usage: one supersedes the other, is refused, or tells the same in another way; none counts twice."""

import pytest

from metering.domain.errors import DomainError
from metering.domain.reconciliation.invoices import InvoiceError
from metering.domain.reconciliation.variances import Tolerance
from metering.invoices.reading import ReadOptions
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


def test_the_same_bill_told_again_in_the_same_way_supersedes(ten):
    first = import_bill(ten, by_provider(1)).invoice
    second = import_bill(ten, by_provider(2)).invoice
    assert (second.supersedes_id, second.notes) == (first.id, ())


def test_a_part_of_the_period_told_in_the_same_way_is_refused_unless_it_is_meant(ten):
    first = import_bill(ten, by_provider(1)).invoice
    with pytest.raises(InvoiceError, match=f"invoice {first.id} .* overlaps"):
        import_bill(ten, by_provider(2), end=MIDDLE)
    with pytest.raises(InvoiceError, match="overlaps"):
        import_bill(ten, by_provider(2), number="another")
    assert import_bill(ten, by_provider(3), end=MIDDLE, supersedes=first.id).invoice.supersedes_id == first.id
    beside = import_bill(ten, by_provider(2), start=MIDDLE - HOUR, beside=True).invoice
    assert beside.supersedes_id is None
    assert "some of the same usage" in beside.notes[0]


def test_the_same_bill_told_in_another_way_stands_beside_it_and_says_so(ten):
    total = import_bill(ten, b"12.00").invoice
    lines = import_bill(ten, csv_of(line(1))).invoice
    alone = import_bill(ten, b"13.00", options=ReadOptions(start=START, end=END, provider="together")).invoice
    assert [each.supersedes_id for each in (total, lines, alone)] == [None, None, None]
    assert [note.split(",")[0] for note in alone.notes] == [f"invoice {total.id}", f"invoice {lines.id}"]
    assert total.notes == ()


def test_bills_about_other_usage_are_none_of_each_others_business(ten):
    import_bill(ten, b"12.00", routes=("routed",))
    serverless = import_bill(ten, b"13.00", routes=("serverless",)).invoice
    own_key = import_bill(ten, b"12.50", biller="together").invoice
    december = import_bill(ten, b"14.00", start=END, end=END + 24 * HOUR).invoice
    assert [(each.supersedes_id, each.notes) for each in (serverless, own_key, december)] == 3 * [(None, ())]


def accept(meter, variance):
    return resolve_variance(meter.engine, variance.id, "accepted", who="ada", reason="theirs", correct=True, now=AFTER)


def test_statements_are_corrected_once_for_a_bill_that_is_told_twice(ten):
    (by_lines,) = reconciled(ten, [*(line(number) for number in range(10)), line(77)]).variances
    (summed,) = reconciled(ten, by_provider(11 * CHARGE)).variances
    accept(ten, by_lines)
    with pytest.raises(DomainError, match=f"variance {by_lines.id} of invoice 1 .* twice"):
        accept(ten, summed)
    assert ten.count(adjustments) == 1


def test_a_correction_that_a_superseded_bill_wrote_still_counts(ten):
    (by_lines,) = reconciled(ten, [*(line(number) for number in range(10)), line(77)]).variances
    (summed,) = reconciled(ten, by_provider(11 * CHARGE)).variances
    accept(ten, by_lines)
    import_bill(ten, csv_of(*(line(number) for number in range(10))))  # not reconciled yet
    with pytest.raises(DomainError, match="twice"):
        accept(ten, summed)


def test_a_correction_that_was_taken_back_leaves_the_other_bill_free(ten):
    report = reconciled(ten, [*(line(number) for number in range(10)), line(77)])
    (summed,) = reconciled(ten, by_provider(11 * CHARGE + 5)).variances
    accept(ten, report.variances[0])
    ten.ingest(usage_event(id="late", time=NOON + 77, inference_id="inference-0077"))
    again = reconcile(ten.engine, report.invoice.id, bundled_plans(), tolerance=Tolerance(), now=AFTER)
    assert again.bridge.steps == ()  # what is left to take back is a variance, and no step
    accept(ten, again.variances[0])
    assert accept(ten, summed).variance.corrected_nano == summed.amount_nano
    assert ten.violations() == []
