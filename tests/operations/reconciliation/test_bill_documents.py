"""Bills as they come: days outside of the period, refunds with quantities, rows that are totals; and the recorded cases."""

import os
from pathlib import Path

import pytest

from metering.domain.reconciliation.invoices import InvoiceError
from metering.invoices.reading import ReadOptions
from metering.operations.reconciliation.show_invoices import show_invoice
from pricing.quantities import Quantities
from support.bills import AFTER, END, START, import_bill, reconciled, steps
from support.builders import instant, price_table, rate, usage_event

CENT, DOLLAR = 10_000_000, 1_000_000_000
CASES = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "cases"
COLUMNS = {"date": "Day", "model": "Model", "amount": "Cost"}
BY_COLUMN = ReadOptions(start=START, end=END, columns=COLUMNS)


def use(meter, name, day, nano, model="m/one"):
    """Meter one request at a thousand nano-dollars a token."""
    time = instant(f"{day}T12:00:00Z")
    meter.ingest(usage_event(id=name, time=time, model=model, quantities=Quantities(input_tokens=nano // 1_000)))


@pytest.fixture
def metered(meter):
    """One request a day from October 31 to November 3, of one model."""
    meter.now = AFTER
    meter.record_prices(price_table(rate(model="m/one"), source="one"))
    use(meter, "oct", "2026-10-31", 7 * DOLLAR)
    use(meter, "a1", "2026-11-01", 2_000_000)
    use(meter, "a2", "2026-11-02", 2_000_200_000)
    use(meter, "a3", "2026-11-03", 3 * DOLLAR)
    return meter


def bill(*rows):
    return ("Day,Model,Cost\n" + "".join(f"{row}\n" for row in rows)).encode()


ROWS = ("2026-11-01,m/one,0.002", "2026-11-02,m/one,2.0002", "2026-11-03,m/one,3.00")


@pytest.mark.parametrize(("day", "nano"), [("2026-10-31", 7 * DOLLAR), ("2026-12-01", 5 * CENT)])
def test_a_day_outside_of_the_period_is_a_period_edge(metered, day, nano):
    report = reconciled(metered, bill(*ROWS, f"{day},m/one,{nano / DOLLAR}"), options=BY_COLUMN)
    assert steps(report) == {"period_edge": nano}
    (variance,) = report.variances
    assert (variance.basis, variance.model, variance.items) == ("observed", "m/one", 1)
    assert report.run.ours_nano == 5_002_200_000


def test_a_day_that_the_period_touches_is_inside(metered):
    options = ReadOptions(start=START - 1, end=END, columns=COLUMNS)
    report = reconciled(metered, bill(*ROWS, "2026-10-31,m/one,7.00"), options=options)
    assert "period_edge" not in steps(report)


def test_a_refund_outside_of_the_period_is_a_refund(metered):
    report = reconciled(metered, bill(*ROWS, "2026-10-31,m/one,-1.00"), options=BY_COLUMN)
    assert steps(report) == {"refund": -DOLLAR}


@pytest.mark.parametrize("field", ["date", "request_id"])
def test_a_refund_with_negative_quantities_is_a_refund_by_day_and_by_request(metered, field):
    names = {"date": ["2026-11-01", "2026-11-02", "2026-11-03"], "request_id": ["a1", "a2", "a3"]}[field]
    rows = [
        f"{name},m/one,{row.split(',')[2]},{tokens}"
        for name, row, tokens in zip(names, ROWS, (2_000, 2_000_200, 3_000_000), strict=True)
    ]
    text = "\n".join([f"{field},model,amount,prompt_tokens", *rows, f"{names[2]},m/one,-1.00,-1000000", ""])
    report = reconciled(metered, text.encode())
    assert steps(report) == {"refund": -DOLLAR}
    assert report.run.theirs_nano == 4_002_200_000


def test_rows_that_were_left_out_stay_with_the_invoice(metered):
    imported = import_bill(metered, bill(*ROWS, ",Total,5.0022"), options=BY_COLUMN).invoice
    shown = show_invoice(metered.engine, imported.id).invoice
    assert [(row.line, row.amount_nano) for row in shown.excluded] == [(5, 5_002_200_000)]
    assert (shown.lines, shown.lines_nano) == (3, 5_002_200_000)
    assert import_bill(metered, bill(*ROWS, ",Total,5.0022"), options=BY_COLUMN).invoice.excluded == shown.excluded


def test_a_refused_document_leaves_nothing_and_is_imported_as_the_caller_decides(metered):
    doubtful = bill(*ROWS, ",Everything,5.0022")
    with pytest.raises(InvoiceError) as error:
        import_bill(metered, doubtful, options=BY_COLUMN)
    assert error.value.code == "ambiguous_total_rows"
    excluded = ReadOptions(start=START, end=END, columns=COLUMNS, total_rows="exclude")
    assert steps(reconciled(metered, doubtful, options=excluded)) == {}
    kept = ReadOptions(start=START, end=END, columns=COLUMNS, total_rows="keep")
    report = reconciled(metered, doubtful, options=kept)
    assert (report.invoice.supersedes_id, report.run.theirs_nano) == (1, 10_004_400_000)


def case(name):
    path = CASES / name
    if not path.exists():
        pytest.skip("the recorded cases are not beside the checkout")
    return path.read_bytes()


@pytest.mark.parametrize("name", ["badgroup_1_234_56", "badgroup_points", "two_amounts_in_cell"])
def test_recorded_amounts_that_are_none_are_refused(meter, name):
    with pytest.raises(InvoiceError) as error:
        import_bill(meter, case(f"amount-grouping/{name}.csv"), options=BY_COLUMN)
    assert error.value.code == "invalid_invoice"


@pytest.mark.parametrize(("name", "options"), [("edge_day", BY_COLUMN), ("edge_request", ReadOptions(start=START, end=END))])
def test_the_recorded_edge_is_a_period_edge(metered, name, options):
    assert steps(reconciled(metered, case(f"edge-day/{name}.csv"), options=options)) == {"period_edge": 7 * DOLLAR}


@pytest.mark.parametrize("name", ["leading_blank", "sep_line"])
def test_recorded_headers_are_found(meter, name):
    imported = import_bill(meter, case(f"header-troubles/{name}.csv"), options=BY_COLUMN).invoice
    assert (imported.lines, imported.lines_nano) == (1, 1_234_560_000_000)


def test_the_recorded_double_column_is_refused(meter):
    with pytest.raises(InvoiceError) as error:
        import_bill(meter, case("header-troubles/dup_header.csv"), options=BY_COLUMN)
    assert error.value.code == "duplicate_column"


def test_recorded_refunds_are_read(metered):
    columns = ReadOptions(start=START, end=END, columns={**COLUMNS, "prompt_tokens": "prompt_tokens"})
    first = reconciled(metered, case("negative-quantity/negative_quantity.csv"), options=columns)
    assert (first.run.theirs_nano, steps(first)["refund"]) == (4_002_200_000, -DOLLAR)
    second = reconciled(metered, case("negative-quantity/second.csv"), options=ReadOptions(start=START, end=END))
    assert steps(second)["refund"] == -DOLLAR


@pytest.mark.parametrize("name", ["subtotals", "total_row_bare", "total_row_in_model"])
def test_recorded_totals_are_not_billed(meter, name):
    meter.now = AFTER
    meter.record_prices(price_table(rate(model="m/one"), source="one"))
    for day, nano in (("2026-11-01", 123_456 * CENT), ("2026-11-02", 200_050 * CENT), ("2026-11-03", 50 * CENT)):
        use(meter, day, day, nano)
    report = reconciled(meter, case(f"total-rows/{name}.csv"), options=BY_COLUMN)
    assert (steps(report), report.run.theirs_nano) == ({}, 323_556 * CENT)
