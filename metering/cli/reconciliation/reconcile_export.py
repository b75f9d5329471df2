"""``metering reconcile export``: a report with the bridge, or the evidence of a variance, as a file."""

from collections.abc import Iterable
from pathlib import Path

import click

from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.errors import DomainError
from metering.exports.reconciliation_csv import evidence_csv, reconciliation_csv
from metering.exports.reconciliation_html import reconciliation_html
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.reconciliation.explain_variance import show_variance
from metering.operations.reconciliation.export_evidence import export_all_evidence
from metering.operations.reconciliation.reconcile import show_reconciliation
from metering.operations.service.open_service import Service

_FORMATS = {"": "csv", ".csv": "csv", ".html": "html", ".htm": "html"}


class ReportNotWrittenError(DomainError):
    """The file could not be written."""

    code = "export_failed"


@click.command()
@click.argument("number", metavar="RUN", type=click.IntRange(min=1))
@click.option(
    "--format",
    "--as",
    "format_",
    type=click.Choice(["html", "csv"]),
    help="Format of the report. Default: by --output, else CSV.",
)
@click.option("--variance", type=click.IntRange(min=1), help="Export the evidence of this variance, as CSV.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to this file. Default: standard output.")
@click.pass_obj
def export(invocation: Invocation, *, number: int, format_: str | None, variance: int | None, output: Path | None) -> None:
    """Export RUN: a report with the bridge (HTML, CSV), or the evidence of one variance (CSV)."""
    format_ = format_ or _format_of(output)
    if variance is not None and format_ == "html":
        raise click.UsageError("evidence can only be exported as CSV")
    with open_session(invocation) as service:
        if variance is not None:
            show_variance(service.engine, variance, run_id=number)
            _write(evidence_csv(export_all_evidence(service.engine, variance)), output)
        else:
            _write(_report(service, number, format_), output)
    if output is not None:
        warn(f"wrote {sanitize(str(output))}")


def _report(service: Service, number: int, format_: str) -> Iterable[bytes]:
    report = show_reconciliation(service.engine, number)
    if format_ == "csv":
        return reconciliation_csv(report)
    account_id = report.run.account_id
    return reconciliation_html(report, account_names(service.engine, [account_id])[account_id], made_at=service.clock())


def _format_of(output: Path | None) -> str:
    """Return the format that the name of a file implies; CSV without a file or a suffix."""
    suffix = "" if output is None else output.suffix.lower()
    if suffix not in _FORMATS:
        raise click.UsageError(f"{suffix} is not a report format; use .html or .csv, or set the format with --format")
    return _FORMATS[suffix]


def _write(chunks: Iterable[bytes], output: Path | None) -> None:
    if output is None:
        for chunk in chunks:
            click.echo(chunk, nl=False)
        return
    try:
        with output.open("wb") as file:
            file.writelines(chunks)
    except OSError as error:
        raise ReportNotWrittenError(f"{output}: {error.strerror or error}") from None
