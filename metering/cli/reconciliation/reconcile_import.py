"""``metering reconcile import``: import an invoice, and reconcile it if requested."""

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
from msgspec.structs import replace

from metering.answers.reconciliation.invoices import imported_invoice_answer
from metering.answers.reconciliation.runs import reconciliation_answer
from metering.cli.arguments import MONTH, ZONE, collected, end_option, json_option, separated, start_option
from metering.cli.invocation import Invocation
from metering.cli.reconciliation.reconcile_run import exit_if_open, run_reconciliation
from metering.cli.reconciliation.reconciliation_table import show_readings, show_report
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import echo, print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.reconciliation.descriptions import describe_invoice
from metering.domain.reconciliation.invoices import InvoiceError, stated_period
from metering.domain.reconciliation.records import ImportedInvoice, Invoice
from metering.invoices import FORMATS
from metering.invoices.line_fields import read_column_map
from metering.invoices.reading import EXCLUDE, KEEP, ReadOptions
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.reconciliation.import_answers import import_answers
from metering.operations.reconciliation.import_invoice import InvoiceOrder, import_invoice
from metering.operations.reconciliation.read_total import read_total
from metering.operations.service.open_service import Service
from pricing.dollars import display_nano

_MAX_IN_MEMORY = 16 * 1024 * 1024
_MAX_ROWS = 20


class ImportChoices(Struct, frozen=True):
    """The options of ``import``."""

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
    total_rows: str | None
    number: str
    total: str
    routes: tuple[str, ...]
    supersedes: int | None
    allow_overlap: bool
    answers: bool
    run: bool
    as_json: bool


@click.command("import")
@click.argument("file", required=False)
@click.option("--account", required=True, metavar="NAME", help="Account that is billed.")
@click.option("--format", type=click.Choice(FORMATS), help="Format of the document. Default: detected.")
@click.option("--biller", default="", help="Who bills: huggingface, or a provider. Default: by the document, else huggingface.")
@click.option("--provider", default="", help="The only provider that the invoice covers. Default: all.")
@click.option("--month", type=MONTH, help="Month of the invoice, for a document that does not state its period.")
@start_option("Start of the period, instead of --month.")
@end_option("End of the period, exclusive.")
@click.option(
    "--map",
    "columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Map fields to CSV columns or JSON paths; repeat, or separate by commas.",
)
@click.option("--time-zone", "zone", type=ZONE, help="Time zone of times that have none.")
@click.option("--decimal-mark", type=click.Choice([".", ","]), help="Character before decimals, if the amounts leave it open.")
@click.option(
    "--total-rows",
    type=click.Choice([EXCLUDE, KEEP]),
    help="What to do with rows that are the sum of others: exclude those that may be too, or keep all. Default: exclude those"
    " that certainly are, refuse the document if in doubt.",
)
@click.option("--number", default="", help="The invoice number.")
@click.option(
    "--total", default="", metavar="USD", help="Total, if the document does not state it; without FILE, the whole invoice."
)
@click.option(
    "--route",
    "routes",
    multiple=True,
    help="Billing routes that the invoice covers; repeat, or separate by commas. Default: those of its biller.",
)
@click.option("--supersedes", type=click.IntRange(min=1), metavar="INVOICE", help="The invoice that it supersedes.")
@click.option(
    "--allow-overlap",
    "--beside",
    "allow_overlap",
    is_flag=True,
    help="Import it although its period overlaps another invoice about the same usage.",
)
@click.option("--answers", is_flag=True, help="Import the answers given to Hugging Face's Billing API, instead of FILE.")
@click.option("--run", is_flag=True, help="Reconcile it immediately; exits with 1 as `reconcile run` does.")
@json_option
@click.pass_obj
@collected(ImportChoices)
def import_(invocation: Invocation, choices: ImportChoices) -> None:
    """Import an invoice from FILE (- for stdin), or only its --total.

    The document is kept unchanged. Importing it again changes nothing; a different document about the same usage and period
    supersedes the invoice before, and both are kept. Examples:

    \b
        metering reconcile import usage.json --account acme --run
        metering reconcile import --total '$770.00' --account acme --month 2026-11
        metering reconcile import invoice.csv --account acme --month 2026-11 \\
            --map date=Day,model=Model,amount='Cost (USD)' --biller together
    """
    if [choices.file is not None, bool(choices.total) and choices.file is None, choices.answers].count(True) != 1:
        raise click.UsageError("give one of FILE, --total or --answers")
    order = _order(choices)
    with open_session(invocation) as service:
        if choices.answers:
            imported = import_answers(service.engine, order, now=service.clock())
        else:
            with _document(choices) as source:
                imported = import_invoice(service.engine, source, order, now=service.clock())
        finish_import(service, imported, run=choices.run, as_json=choices.as_json)


def finish_import(service: Service, imported: ImportedInvoice, *, run: bool, as_json: bool) -> None:
    """Show the result of an import; with ``run``, reconcile the invoice and exit as ``run`` does."""
    account_id = imported.invoice.account_id
    names = account_names(service.engine, [account_id])
    readings = read_total(service.engine, imported.invoice, service.catalog, now=service.clock())
    imported = replace(imported, readings=readings)
    if not run:
        if as_json:
            print_json(imported_invoice_answer(imported, names))
        else:
            _show_import(imported)
        return
    report = run_reconciliation(service, imported.invoice.id)
    _warn_of(imported.invoice)
    if as_json:
        print_json(reconciliation_answer(report, names))
    else:
        show_report(report, names[account_id])
    exit_if_open([report])


def _order(choices: ImportChoices) -> InvoiceOrder:
    start, end = stated_period(choices.month, choices.start, choices.end)
    return InvoiceOrder(
        account=choices.account,
        format=choices.format or "",
        file="" if choices.file in (None, "-") else Path(str(choices.file)).name,
        number=choices.number,
        total=choices.total if choices.file is not None else "",
        routes=tuple(separated(choices.routes)),
        supersedes=choices.supersedes,
        allow_overlap=choices.allow_overlap,
        options=ReadOptions(
            biller=choices.biller,
            provider=choices.provider,
            start=start,
            end=end,
            columns=read_column_map(separated(choices.columns)),
            zone=choices.zone or "",
            decimal_mark=choices.decimal_mark or "",
            total_rows=choices.total_rows or "",
        ),
    )


@contextmanager
def _document(choices: ImportChoices) -> Iterator[BinaryIO]:
    """Open the document as a file that can be read twice; stdin is copied first."""
    if choices.file is None:
        # The period and the account distinguish documents with the same total.
        yield io.BytesIO(choices.total.encode())
    elif choices.file == "-":
        with tempfile.SpooledTemporaryFile(_MAX_IN_MEMORY) as spooled:
            shutil.copyfileobj(sys.stdin.buffer, spooled)
            yield cast("BinaryIO", spooled)
    else:
        try:
            with Path(choices.file).open("rb") as source:
                yield source
        except OSError as error:
            raise InvoiceError(f"{choices.file}: {error.strerror or error}", "unreadable_file") from None


def _show_import(imported: ImportedInvoice) -> None:
    invoice = imported.invoice
    if not imported.is_new:
        echo(f"invoice {invoice.id}: this document was imported before; nothing changed")
        show_readings(imported.readings)
        return
    echo(f"invoice {invoice.id}: {sanitize(describe_invoice(invoice))}, {counted(invoice.lines, 'line')}")
    if invoice.supersedes_id is not None:
        echo(f"it supersedes invoice {invoice.supersedes_id}")
    _warn_of(invoice)
    show_readings(imported.readings)
    echo(f"reconcile it with `metering reconcile run {invoice.id}`")


def _warn_of(invoice: Invoice) -> None:
    """Show the notes of an import, and the rows that were left out."""
    for note in invoice.notes:
        warn(note)
    for row in invoice.excluded[:_MAX_ROWS]:
        amount = "" if row.amount_nano is None else f", {display_nano(row.amount_nano)} USD"
        warn(f"line {row.line}{amount} is left out: {sanitize(row.reason)}")
    if len(invoice.excluded) > _MAX_ROWS:
        warn(f"... {counted(len(invoice.excluded) - _MAX_ROWS, 'more row')} left out: --json lists all")
