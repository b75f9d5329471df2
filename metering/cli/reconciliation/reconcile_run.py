"""``metering reconcile run`` and ``show``: reconcile invoices, and show the results."""

from collections.abc import Mapping, Sequence

import click

from metering.answers.reconciliation.invoices import InvoicePage, invoice_answer
from metering.answers.reconciliation.runs import ReconciliationPage, reconciliation_answer
from metering.cli.arguments import USD, json_option
from metering.cli.invocation import Invocation
from metering.cli.reconciliation.reads_option import reads_option
from metering.cli.reconciliation.reconciliation_table import NO_INVOICES, show_invoices, show_report
from metering.cli.session import open_session
from metering.cli.terminal.output import echo, print_json
from metering.domain.reconciliation.readings import TotalReading
from metering.domain.reconciliation.records import ReconciliationReport
from metering.domain.reconciliation.variances import Tolerance
from metering.operations.accounts.manage_accounts import account_names, show_account
from metering.operations.reconciliation.reconcile import reconcile, show_reconciliation
from metering.operations.reconciliation.show_invoices import current_invoices, list_invoices
from metering.operations.service.open_service import Service


@click.command()
@click.argument("invoice", type=click.IntRange(min=1), required=False)
@click.option("--account", metavar="NAME", help="Reconcile every current invoice of this account.")
@click.option("--tolerance", type=USD, help="Tolerated difference in all, in dollars. Default: METERING_RECONCILE_TOLERANCE.")
@reads_option("It is kept for later runs.")
@json_option
@click.pass_obj
def run(
    invocation: Invocation,
    *,
    invoice: int | None,
    account: str | None,
    tolerance: int | None,
    reads: str | None,
    as_json: bool,
) -> None:
    """Reconcile INVOICE, or every current invoice if omitted, with usage as it is metered now.

    Exits with 1 if a variance is open and not tolerated, for cron and CI.
    """
    if invoice is None and reads is not None:
        raise click.UsageError("--reads is about one invoice; name it")
    if invoice is not None and account is not None:
        raise click.UsageError("give an invoice or an account, not both")
    allowed = None if tolerance is None else Tolerance(tolerance)
    reading = None if reads is None else TotalReading(reads)
    with open_session(invocation) as service:
        account_id = _account_id(service, account)
        invoices = current_invoices(service.engine, account_id=account_id) if invoice is None else [invoice]
        reports = [run_reconciliation(service, each, allowed, reading) for each in invoices]
        names = account_names(service.engine, [each.run.account_id for each in reports])
    if as_json:
        answers = [reconciliation_answer(each, names) for each in reports]
        print_json(ReconciliationPage(items=answers, next_cursor=None) if invoice is None else answers[0])
    else:
        _show_reports(reports, names)
    exit_if_open(reports)


@click.command()
@click.argument("number", metavar="[RUN]", type=click.IntRange(min=1), required=False)
@click.option("--account", metavar="NAME", help="Only invoices of this account.")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, number: int | None, account: str | None, as_json: bool) -> None:
    """Show RUN with the latest decisions, or all invoices with their newest runs if omitted."""
    if number is not None and account is not None:
        raise click.UsageError("give a run or an account, not both")
    with open_session(invocation) as service:
        if number is not None:
            report = show_reconciliation(service.engine, number)
            names = account_names(service.engine, [report.run.account_id])
        else:
            found = list_invoices(service.engine, account_id=_account_id(service, account))
            names = account_names(service.engine, [each.invoice.account_id for each in found])
    if number is None:
        if as_json:
            print_json(InvoicePage(items=[invoice_answer(each, names) for each in found], next_cursor=None))
        else:
            show_invoices(found, names)
    elif as_json:
        print_json(reconciliation_answer(report, names))
    else:
        show_report(report, names[report.run.account_id])


def run_reconciliation(
    service: Service, invoice_id: int, tolerance: Tolerance | None = None, reading: TotalReading | None = None
) -> ReconciliationReport:
    """Reconcile an invoice with the tolerance of the settings unless one is given."""
    return reconcile(
        service.engine,
        invoice_id,
        service.catalog,
        tolerance=tolerance,
        settings=service.settings.reconcile,
        reading=reading,
        now=service.clock(),
    )


def exit_if_open(reports: Sequence[ReconciliationReport]) -> None:
    """Exit with 1 if a variance is open and not tolerated."""
    if any(report.needs_attention for report in reports):
        raise click.exceptions.Exit(1)


def _show_reports(reports: Sequence[ReconciliationReport], names: Mapping[int, str]) -> None:
    if not reports:
        echo(NO_INVOICES)
    for at, each in enumerate(reports):
        if at:
            echo()
        show_report(each, names[each.run.account_id])


def _account_id(service: Service, account: str | None) -> int | None:
    return None if account is None else show_account(service.engine, account).id
