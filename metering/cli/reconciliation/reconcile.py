"""``metering reconcile``: does the bill agree, and if not, exactly why not."""

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import click
from msgspec import Struct

from metering.cli.arguments import INSTANT, MONTH, USD, ZONE, collected, json_option, separated
from metering.cli.invocation import Invocation
from metering.cli.lazy_group import LazyCommand, LazyGroup
from metering.cli.reconciliation.reconciliation_table import biller_words, show_invoices, show_report
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import echo, print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.instants import month_start, next_month
from metering.domain.reconciliation.invoices import InvoiceError
from metering.domain.reconciliation.records import ReconciliationReport
from metering.domain.reconciliation.variances import Tolerance
from metering.exports.reconciliation_json import invoice_json, report_json, run_json
from metering.invoices import FORMATS
from metering.invoices.reading import ReadOptions
from metering.operations.accounts.manage_accounts import account_names, show_account
from metering.operations.reconciliation.import_answers import import_answers
from metering.operations.reconciliation.import_invoice import ImportedInvoice, InvoiceOrder, import_invoice
from metering.operations.reconciliation.reconcile import list_runs, show_reconciliation
from metering.operations.reconciliation.reconcile import reconcile as run_reconciliation
from metering.operations.reconciliation.show_invoices import list_invoices, show_invoice
from metering.operations.service.open_service import Service

_SPOOLED = 16 * 1024 * 1024

_LAZY = {
    "fetch": LazyCommand(
        "metering.cli.reconciliation.reconcile_fetch:fetch", "Ask Hugging Face what it bills, and import the answer."
    ),
    "explain": LazyCommand(
        "metering.cli.reconciliation.reconcile_variances:explain", "Show what a variance is about, and its evidence."
    ),
    "resolve": LazyCommand("metering.cli.reconciliation.reconcile_variances:resolve", "Decide on a variance."),
    "export": LazyCommand(
        "metering.cli.reconciliation.reconcile_variances:export", "Write a report (HTML, CSV), or the evidence of a variance."
    ),
}


@click.group(cls=LazyGroup, lazy=_LAZY)
def reconcile() -> None:
    """Hold a bill against what was metered, and work through what differs."""


class ImportChoices(Struct, frozen=True):
    """What was asked for on the command line."""

    file: str | None
    account: str
    format: str | None
    biller: str
    provider: str
    month: int | None
    start: int | None
    end: int | None
    columns: tuple[str, ...]
    zone: str | None
    decimal_mark: str | None
    number: str
    total: str
    routes: tuple[str, ...]
    supersedes: int | None
    beside: bool
    answers: bool
    run: bool
    as_json: bool


@reconcile.command("import")
@click.argument("file", required=False)
@click.option("--account", required=True, metavar="NAME", help="Whose bill it is.")
@click.option("--format", type=click.Choice(FORMATS), help="What kind of document; told from it if left out.")
@click.option("--biller", default="", help="Who bills: huggingface (if left out and the document does not say), or a provider.")
@click.option("--provider", default="", help="The bill is about this provider's usage alone.")
@click.option("--month", type=MONTH, help="Its period, where the document does not state one.")
@click.option("--from", "start", type=INSTANT, help="Or from when ...")
@click.option("--to", "end", type=INSTANT, help="... until when, exclusively.")
@click.option("--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="Columns of a CSV, or paths in JSON.")
@click.option("--time-zone", "zone", type=ZONE, help="The zone of times that carry none.")
@click.option("--decimal-mark", type=click.Choice([".", ","]), help="What stands before decimals, if unclear.")
@click.option("--number", default="", help="The bill's own number.")
@click.option("--total", default="", metavar="USD", help="The total it states; without FILE, all that is known of it.")
@click.option("--route", "routes", multiple=True, help="Routes that it bills, if others than its biller usually does.")
@click.option("--supersedes", type=click.IntRange(min=1), metavar="INVOICE", help="It corrects this one.")
@click.option("--beside", is_flag=True, help="It stands beside an invoice whose period it overlaps.")
@click.option("--answers", is_flag=True, help="In place of FILE: what Hugging Face was told that requests cost.")
@click.option("--run", is_flag=True, help="Reconcile it at once; exit 1 as `reconcile run` does.")
@json_option
@click.pass_obj
@collected(ImportChoices)
def import_(invocation: Invocation, choices: ImportChoices) -> None:
    """Import a bill from FILE (- for stdin), or only its --total.

    The document is kept as it came. The same document again changes nothing; another one about the same period supersedes the
    one before, and both stay. For example:

    \b
        metering reconcile import usage.json --account acme --run
        metering reconcile import --total '$770.00' --account acme --month 2026-11
        metering reconcile import bill.csv --account acme --month 2026-11 \\
            --map date=Day,model=Model,amount='Cost (USD)' --biller together
    """
    if [choices.file is not None, bool(choices.total) and choices.file is None, choices.answers].count(True) != 1:
        raise click.UsageError("name a FILE, or the --total of the bill, or --answers")
    order = _order(choices)
    with open_session(invocation) as service:
        if choices.answers:
            done = import_answers(service.engine, order, now=service.clock())
        else:
            with _document(choices) as source:
                done = import_invoice(service.engine, source, order, now=service.clock())
        finish_import(service, done, choices.account, run=choices.run, as_json=choices.as_json)


@reconcile.command()
@click.argument("invoice", type=click.IntRange(min=1), required=False)
@click.option("--account", metavar="NAME", help="Every invoice of this account that nothing supersedes.")
@click.option("--tolerance", type=USD, help="What may differ in all, in dollars; by the settings if left out.")
@json_option
@click.pass_obj
def run(invocation: Invocation, *, invoice: int | None, account: str | None, tolerance: int | None, as_json: bool) -> None:
    """Hold INVOICE (all that nothing supersedes, when nothing is said) against what is metered now.

    Exit 1 when a variance is open and more than is tolerated: for cron and CI.
    """
    if invoice is not None and account is not None:
        raise click.UsageError("name an invoice or an account")
    if tolerance is not None and tolerance < 0:
        raise click.UsageError("--tolerance is how much may differ in either direction: 0 or more")
    with open_session(invocation) as service:
        allowed = None if tolerance is None else Tolerance(tolerance)
        reports = [_run(service, each, allowed) for each in _invoices(service, invoice, account)]
        names = _names(service)
    if as_json:
        print_json({"reconciliations": [report_json(each, names[each.run.account_id]) for each in reports]})
    elif not reports:
        echo("no invoice was imported yet: `metering reconcile import FILE --account NAME`")
    else:
        for at, each in enumerate(reports):
            if at:
                echo()
            show_report(each, names[each.run.account_id])
    _exit(reports)


@reconcile.command()
@click.argument("number", metavar="RUN", type=click.IntRange(min=1), required=False)
@click.option("--account", metavar="NAME", help="Only this account's invoices.")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, number: int | None, account: str | None, as_json: bool) -> None:
    """Show what RUN found as it stands now; without RUN, the invoices and the newest run of each."""
    with open_session(invocation) as service:
        names = _names(service)
        if number is not None:
            report = show_reconciliation(service.engine, number)
            if as_json:
                print_json(report_json(report, names[report.run.account_id]))
            else:
                show_report(report, names[report.run.account_id])
            return
        account_id = None if account is None else show_account(service.engine, account).id
        found = list_invoices(service.engine, account_id=account_id)
        newest = {each.invoice_id: each for each in reversed(list_runs(service.engine, account_id=account_id))}
    if as_json:
        listed = [
            {
                **invoice_json(each, names[each.account_id]),
                "reconciliation": run_json(newest[each.id]) if each.id in newest else None,
            }
            for each in found
        ]
        print_json({"invoices": listed})
    else:
        show_invoices([(each, names[each.account_id], newest.get(each.id)) for each in found])


def finish_import(service: Service, done: ImportedInvoice, account: str, *, run: bool, as_json: bool) -> None:
    """Say what an import came to; with ``run``, reconcile it and exit as ``run`` does."""
    if not run:
        _tell(done, account, as_json=as_json)
        return
    report = _run(service, done.invoice.id, None)
    if as_json:
        print_json(report_json(report, account))
    else:
        for note in done.invoice.notes:
            warn(note)
        show_report(report, account)
    _exit([report])


def _order(choices: ImportChoices) -> InvoiceOrder:
    start, end = choices.start, choices.end
    if choices.month is not None:
        if start is not None or end is not None:
            raise click.UsageError("--month, or --from and --to")
        start, end = month_start(choices.month), month_start(next_month(choices.month))
    if (start is None) != (end is None):
        raise click.UsageError("--from goes with --to")
    columns = {}
    for pair in separated(choices.columns):
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not (equals and field and column):
            raise click.UsageError(f"--map takes FIELD=COLUMN, got {pair[:60]!r}")
        columns[field] = column
    return InvoiceOrder(
        account=choices.account,
        format=choices.format or "",
        file="" if choices.file in (None, "-") else Path(str(choices.file)).name,
        number=choices.number,
        total=choices.total if choices.file is not None else "",
        routes=tuple(separated(choices.routes)),
        supersedes=choices.supersedes,
        beside=choices.beside,
        options=ReadOptions(
            biller=choices.biller,
            provider=choices.provider,
            start=start,
            end=end,
            columns=columns,
            zone=choices.zone or "",
            decimal_mark=choices.decimal_mark or "",
        ),
    )


@contextmanager
def _document(choices: ImportChoices) -> Iterator[BinaryIO]:
    """Give the document as a file that can be read twice: stdin is put aside first."""
    if choices.file is None:
        # The period and the account make another document of the same total.
        yield io.BytesIO(choices.total.encode())
    elif choices.file == "-":
        with tempfile.SpooledTemporaryFile(_SPOOLED) as spooled:
            shutil.copyfileobj(sys.stdin.buffer, spooled)
            yield cast("BinaryIO", spooled)
    else:
        try:
            with Path(choices.file).open("rb") as source:
                yield source
        except OSError as error:
            raise InvoiceError(f"{choices.file}: {error.strerror or error}", "unreadable_file") from None


def _tell(done: ImportedInvoice, account: str, *, as_json: bool) -> None:
    invoice = done.invoice
    if as_json:
        print_json({"is_new": done.is_new, "invoice": invoice_json(invoice, account)})
        return
    if not done.is_new:
        echo(f"invoice {invoice.id}: the same document was imported before; nothing changed")
        return
    echo(f"invoice {invoice.id}: {sanitize(biller_words(invoice))}, {counted(invoice.lines, 'line')}")
    if invoice.supersedes_id is not None:
        echo(f"it supersedes invoice {invoice.supersedes_id}")
    for note in invoice.notes:
        warn(note)
    echo(f"`metering reconcile run {invoice.id}` holds it against what was metered")


def _run(service: Service, invoice_id: int, tolerance: Tolerance | None) -> ReconciliationReport:
    allowed = tolerance or service.settings.reconcile.tolerance_of(show_invoice(service.engine, invoice_id).format)
    return run_reconciliation(service.engine, invoice_id, service.catalogue, tolerance=allowed, now=service.clock())


def _invoices(service: Service, invoice: int | None, account: str | None) -> list[int]:
    if invoice is not None:
        return [invoice]
    account_id = None if account is None else show_account(service.engine, account).id
    found = list_invoices(service.engine, account_id=account_id)
    return sorted(each.id for each in found if each.superseded_by is None)


def _names(service: Service) -> dict[int, str]:
    return account_names(service.engine)


def _exit(reports: list[ReconciliationReport]) -> None:
    if any(report.needs_attention for report in reports):
        raise click.exceptions.Exit(1)
