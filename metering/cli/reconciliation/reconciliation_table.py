"""Reconciliations for people: the bridge, the variances below it, and what is to be done."""

from collections.abc import Sequence

from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.instants import MICROS_PER_DAY, format_instant
from metering.domain.reconciliation.causes import Cause, CauseBasis
from metering.domain.reconciliation.descriptions import describe_cause, describe_detail, describe_explanation, describe_location
from metering.domain.reconciliation.records import Invoice, Reconciliation, ReconciliationReport, Variance
from pricing.dollars import display_nano

_MOST_SHOWN = 100


def period_words(start: int, end: int) -> str:
    """Say a period: ``2026-11-01 until 2026-12-01``."""
    return f"{_instant(start)} until {_instant(end)}"


def biller_words(invoice: Invoice) -> str:
    """Say whose bill it is and what it is about."""
    return f"{_about(invoice)}, {period_words(invoice.start, invoice.end)}, by {invoice.grain}"


def _bill_words(invoice: Invoice) -> str:
    return f"{_about(invoice)}, by {invoice.grain}"


def _about(invoice: Invoice) -> str:
    only = f", {invoice.provider} only" if invoice.provider and invoice.provider != invoice.biller else ""
    return f"{invoice.biller}{only}"


def show_report(report: ReconciliationReport, account: str) -> None:
    """Show a run."""
    run, invoice = report.run, report.invoice
    echo(f"{sanitize(account)}, invoice {invoice.id} of {sanitize(biller_words(invoice))}", style="bold")
    rows: list[list[Cell]] = [["metered here", run.requests, display_nano(run.ours_nano)]]
    rows += [[describe_cause(step.cause), step.items, display_nano(step.amount_nano)] for step in report.bridge.steps]
    last = "their quantities at our prices" if run.valued else "billed there"
    count = invoice.lines
    print_table(
        [Column("", "name"), Column("requests or lines", "count"), Column("USD", "money")],
        rows,
        totals=[last, count, display_nano(run.theirs_nano)],
    )
    echo(coverage_words(run, invoice))
    if report.variances:
        echo()
        largest = sorted(report.variances, key=lambda each: -abs(each.amount_nano))[:_MOST_SHOWN]
        print_table(_VARIANCES, [_variance_row(each) for each in report.variances if each in largest])
        if len(report.variances) > _MOST_SHOWN:
            left = counted(len(report.variances) - _MOST_SHOWN, "smaller variance")
            echo(f"... and {left}: `metering reconcile export {run.id}` has all")
    _say_what_is_left(report)


def coverage_words(run: Reconciliation, invoice: Invoice) -> str:
    """Say how much of the bill was found in our usage, and at which grain."""
    if not run.usage_nano:
        return f"nothing is billed for usage; compared by {invoice.grain}"
    share = 10_000 * run.matched_nano // run.usage_nano
    return f"{share // 100}.{share % 100:02d} % of the billed usage was found here, compared by {invoice.grain}"


def show_invoices(found: Sequence[tuple[Invoice, str, Reconciliation | None]]) -> None:
    """Show invoices with their accounts, and the newest run of each."""
    if not found:
        echo("no invoice was imported yet: `metering reconcile import FILE --account NAME`")
        return
    columns = [Column("invoice", "count"), Column("account", "name"), Column("bill", "name"), Column("period", "time")]
    columns.append(Column("lines", "count"))
    amounts = [Column("theirs USD", "money"), Column("ours USD", "money")]
    print_table([*columns, *amounts, Column("run", "count"), Column("", "name")], [_invoice_row(*each) for each in found])


def show_variance_words(variance: Variance) -> None:
    """Say what is known of a variance."""
    where = sanitize(describe_location(variance.model, variance.provider, variance.session))
    detail = f": {describe_detail(variance.detail)}" if variance.detail else ""
    echo(f"variance {variance.id}: {describe_cause(variance.cause)}{detail}", style="bold")
    said = f"{display_nano(variance.amount_nano)} USD in {counted(variance.items, 'difference')}"
    echo(f"{said}, {where}" if where else said)
    if variance.basis == CauseBasis.INFERRED and variance.items:
        echo("It is inferred: of all that was tried, this alone fits the amounts.")
    if variance.alternatives:
        echo("What fits as well:")
        for each in variance.alternatives:
            echo(f"  {describe_explanation(each)}")
    if variance.tolerated:
        echo("It needs nobody: it is expected on a bill, or within the tolerance together with all that is smaller.")


_VARIANCES = (
    Column("variance", "count"),
    Column("cause", "name"),
    Column("about", "name"),
    Column("items", "count"),
    Column("USD", "money"),
    Column("state", "name"),
)


def _variance_row(each: Variance) -> list[Cell]:
    fits = f": {counted(len(each.alternatives), 'explanation')} would fit" if each.alternatives else ""
    detail = fits if each.cause == Cause.UNEXPLAINED else f": {describe_detail(each.detail)}" if each.detail else ""
    inferred = " (inferred)" if each.basis == CauseBasis.INFERRED else ""
    state = each.state + (" (tolerated)" if each.tolerated and each.state == "open" else "")
    return [
        each.id,
        f"{describe_cause(each.cause)}{detail}{inferred}",
        describe_location(each.model, each.provider, each.session),
        each.items,
        display_nano(each.amount_nano),
        state,
    ]


def _invoice_row(invoice: Invoice, account: str, run: Reconciliation | None) -> list[Cell]:
    theirs = invoice.owed_nano
    return [
        invoice.id,
        account,
        _bill_words(invoice) + (f", number {invoice.number}" if invoice.number else ""),
        period_words(invoice.start, invoice.end),
        invoice.lines,
        "" if theirs is None else display_nano(theirs),
        "" if run is None else display_nano(run.ours_nano),
        "" if run is None else run.id,
        "" if invoice.superseded_by is None else f"superseded by {invoice.superseded_by}",
    ]


def _say_what_is_left(report: ReconciliationReport) -> None:
    waiting = report.needs_attention
    if waiting:
        echo(f"{len(waiting)} open: `metering reconcile explain {waiting[0].id}` shows what one is about")
    elif report.variances:
        echo("nothing is open beyond what is tolerated")
    else:
        echo("the bill agrees, to the nano-dollar")


def _instant(micros: int) -> str:
    text = format_instant(micros)
    return text[:10] if micros % MICROS_PER_DAY == 0 else text
