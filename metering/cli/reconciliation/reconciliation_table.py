"""Reconciliations as tables for people: the bridge, the variances, and what to do next."""

from collections.abc import Mapping, Sequence

from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.reconciliation.causes import EXPECTED_CAUSES, Cause, CauseBasis
from metering.domain.reconciliation.descriptions import (
    describe_biller,
    describe_cause,
    describe_detail,
    describe_explanation,
    describe_grain,
    describe_invoice,
    describe_location,
    describe_period,
    matched_percent,
)
from metering.domain.reconciliation.readings import ReadTotal, describe_reading
from metering.domain.reconciliation.records import InvoiceOverview, ReconciliationReport, Variance
from metering.domain.reconciliation.variances import VarianceState
from pricing.dollars import display_nano

NO_INVOICES = "no invoices yet: import one with `metering reconcile import FILE --account NAME`"
_MAX_ROWS = 100


def show_report(report: ReconciliationReport, account: str) -> None:
    """Show a run."""
    run, invoice = report.run, report.invoice
    echo(f"{sanitize(account)}, invoice {invoice.id} of {sanitize(describe_invoice(invoice))}", style="bold")
    rows: list[list[Cell]] = [["metered", run.requests, display_nano(run.ours_nano)]]
    rows += [[describe_cause(step.cause), step.items, display_nano(step.amount_nano)] for step in report.bridge.steps]
    billed = "billed quantities at our prices" if run.valued else "billed"
    print_table(
        [Column("", "name"), Column("requests or lines", "count"), Column("USD", "money")],
        rows,
        totals=[billed, invoice.lines, display_nano(run.theirs_nano)],
    )
    percent = matched_percent(run)
    matched = f"{percent} of the billed usage was metered" if percent else "no usage is billed"
    echo(f"{matched}; compared {describe_grain(invoice.grain)}")
    show_readings(run.readings)
    if report.variances:
        echo()
        largest = sorted(report.variances, key=lambda each: -abs(each.amount_nano))[:_MAX_ROWS]
        print_table(_VARIANCES, [_variance_row(each) for each in report.variances if each in largest])
        if len(report.variances) > _MAX_ROWS:
            left = counted(len(report.variances) - _MAX_ROWS, "smaller variance")
            echo(f"... and {left}: `metering reconcile export {run.id}` exports all")
    _show_open(report)


def show_readings(readings: Sequence[ReadTotal]) -> None:
    """Show a pasted total compared with our statement and with our usage."""
    for each in readings:
        echo(f"read as {describe_reading(each)}")


def show_invoices(found: Sequence[InvoiceOverview], names: Mapping[int, str]) -> None:
    """Show invoices with their newest runs; ``names`` are account names by id."""
    if not found:
        echo(NO_INVOICES)
        return
    columns = [Column("id", "count"), Column("account", "name"), Column("invoice", "name"), Column("period", "time")]
    columns += [Column("lines", "count"), Column("billed USD", "money"), Column("metered USD", "money")]
    rows = [_invoice_row(each, names[each.invoice.account_id]) for each in found]
    print_table([*columns, Column("run", "count"), Column("", "name")], rows)


def show_variance(variance: Variance) -> None:
    """Show the cause of a variance, its amount and location, and other explanations."""
    location = sanitize(describe_location(variance.model, variance.provider, variance.session))
    detail = f": {describe_detail(variance.detail)}" if variance.detail else ""
    echo(f"variance {variance.id}: {describe_cause(variance.cause)}{detail}", style="bold")
    amount = f"{display_nano(variance.amount_nano)} USD in {counted(variance.items, 'difference')}"
    echo(f"{amount}, {location}" if location else amount)
    if variance.basis == CauseBasis.INFERRED and variance.items:
        echo("The cause is inferred: of all hypotheses, only this one fits the amounts.")
    if variance.alternatives:
        echo("Explanations that also fit:")
        for each in variance.alternatives:
            echo(f"  {describe_explanation(each)}")
    if variance.tolerated:
        is_expected = variance.cause in EXPECTED_CAUSES
        why = "expected on an invoice" if is_expected else "within the tolerance, together with all smaller ones"
        echo(f"It needs no attention: it is {why}.")


_VARIANCES = (
    Column("variance", "count"),
    Column("cause", "name"),
    Column("about", "name"),
    Column("items", "count"),
    Column("USD", "money"),
    Column("state", "name"),
)


def _variance_row(each: Variance) -> list[Cell]:
    fits = f": {counted(len(each.alternatives), 'possible explanation')}" if each.alternatives else ""
    detail = fits if each.cause == Cause.UNEXPLAINED else f": {describe_detail(each.detail)}" if each.detail else ""
    inferred = " (inferred)" if each.basis == CauseBasis.INFERRED else ""
    tolerated = " (tolerated)" if each.tolerated and each.state == VarianceState.OPEN else ""
    return [
        each.id,
        f"{describe_cause(each.cause)}{detail}{inferred}",
        describe_location(each.model, each.provider, each.session),
        each.items,
        display_nano(each.amount_nano),
        f"{each.state}{tolerated}",
    ]


def _invoice_row(overview: InvoiceOverview, account: str) -> list[Cell]:
    invoice, run = overview.invoice, overview.newest_run
    number = f", number {invoice.number}" if invoice.number else ""
    return [
        invoice.id,
        account,
        f"{describe_biller(invoice)}, {describe_grain(invoice.grain)}{number}",
        describe_period(invoice.start, invoice.end),
        invoice.lines,
        "" if invoice.owed_nano is None else display_nano(invoice.owed_nano),
        "" if run is None else display_nano(run.ours_nano),
        "" if run is None else run.id,
        "" if invoice.superseded_by is None else f"superseded by {invoice.superseded_by}",
    ]


def _show_open(report: ReconciliationReport) -> None:
    waiting = report.needs_attention
    if waiting:
        echo(f"{len(waiting)} open: `metering reconcile explain {waiting[0].id}` explains the first one")
        if report.run.readings and not report.run.reading:
            echo(
                "what the total adds up is open: --reads statement or --reads usage chooses, with `reconcile run` or `resolve`"
            )
    elif report.variances:
        echo("no variance is open beyond the tolerance")
    else:
        echo("the invoice matches metered usage to the nano-dollar")
