"""The answers given to Hugging Face are an invoice: later re-rating and requests never asked about are variances."""

import pytest

from metering.domain.reconciliation.invoices import InvoiceError
from metering.domain.reconciliation.variances import Tolerance
from metering.invoices.reading import ReadOptions
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.reconciliation.answer_billing import answer_billing
from metering.operations.reconciliation.import_answers import import_answers
from metering.operations.reconciliation.import_invoice import InvoiceOrder
from metering.operations.reconciliation.reconcile import reconcile
from pricing.bundled import bundled_plans
from support.bills import AFTER, END, START, steps
from support.builders import price_table, rate, usage_event

CHARGE = 120_000
ORDER = InvoiceOrder(account="acme", options=ReadOptions(start=START, end=END))


def test_a_re_rating_after_the_answer_is_a_variance(meter):
    meter.ingest(*(usage_event(id=f"r{number}") for number in range(5)))
    account_id = show_account(meter.engine, "acme").id
    assert answer_billing(meter.engine, account_id, ["r0", "r1", "r2", "r3"], now=meter.now) == {
        f"r{number}": CHARGE for number in range(4)
    }
    meter.record_prices(price_table(rate(2_000_000, 4_000_000), source="sheet"))
    meter.rerate()
    invoice = import_answers(meter.engine, ORDER, now=AFTER).invoice
    report = reconcile(meter.engine, invoice.id, bundled_plans(), tolerance=Tolerance(nano=0), now=AFTER)
    assert steps(report) == {"missing_there": -2 * CHARGE, "price": -4 * CHARGE}


def test_without_answers_there_is_no_invoice(meter):
    with pytest.raises(InvoiceError) as error:
        import_answers(meter.engine, ORDER, now=AFTER)
    assert error.value.code == "empty_file"
    with pytest.raises(InvoiceError) as error:
        import_answers(meter.engine, InvoiceOrder(account="acme"), now=AFTER)
    assert error.value.code == "period_required"


def test_two_processes_asked_at_the_same_moment_give_one_answer(meter, monkeypatch):
    """The other process answers between this one's read and write, at another price."""
    from metering.operations.reconciliation import answer_billing as module  # noqa: PLC0415 - the seam between read and write

    meter.ingest(usage_event(id="r0"))
    account_id = show_account(meter.engine, "acme").id
    read_costs = module._costs

    def costs(connection, *arguments):
        found = read_costs(connection, *arguments)
        monkeypatch.setattr(module, "_costs", read_costs)
        if meter.on_sqlite:
            connection.rollback()
        meter.record_prices(price_table(rate(2_000_000, 4_000_000), source="sheet"))
        meter.rerate()
        assert answer_billing(meter.engine, account_id, ["r0"], now=meter.now) == {"r0": 2 * CHARGE}
        return found

    monkeypatch.setattr(module, "_costs", costs)
    assert answer_billing(meter.engine, account_id, ["r0"], now=meter.now) == {"r0": 2 * CHARGE}
