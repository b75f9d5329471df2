"""``metering statements export``: months as files for people or for other programs."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import click

from metering.cli.arguments import MONTH
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.errors import DomainError
from metering.domain.instants import format_month
from metering.exports.focus_columns import FocusVersion
from metering.exports.formats import FORMATS, ExportFormat, several_formats
from metering.operations.service.open_service import Service
from metering.operations.statements.export_archive import ArchiveScope, export_archive
from metering.operations.statements.export_statement import ExportedFile, UnchangedFile, export_statement

_FORMATS_SAID = "; ".join(f"{each.name}: {each.what}" for each in FORMATS.values())


class ExportFailedError(DomainError):
    """The file could not be written."""

    code = "export_failed"


@click.command()
@click.argument("account", required=False)
@click.argument("month", type=MONTH, required=False)
@click.option(
    "--format",
    "names",
    type=click.Choice(list(FORMATS)),
    multiple=True,
    help=f"What to write; csv when nothing is said, several into an archive. {_FORMATS_SAID}.",
)
@click.option(
    "--focus-version",
    type=click.Choice([version.value for version in FocusVersion]),
    help="Whose names the columns of a focus export have; 1.2 when nothing is said.",
)
@click.option("--all", "every", is_flag=True, help="A ZIP archive: all months of ACCOUNT, or all accounts of --month.")
@click.option("--month", "archive_month", type=MONTH, help="With --all: only this month.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to a file instead of stdout.")
@click.pass_obj
def export(
    invocation: Invocation,
    *,
    account: str | None,
    month: int | None,
    names: tuple[str, ...],
    focus_version: str | None,
    every: bool,
    archive_month: int | None,
    output: Path | None,
) -> None:
    """Export ACCOUNT's statement of MONTH (YYYY-MM) as a file, or many as an archive. All amounts are exact."""
    formats = several_formats(names or ("csv",), focus_version)
    _check_usage(account, month if archive_month is None else archive_month, every=every, formats=formats)
    if archive_month is not None and not every:
        raise click.UsageError("--month is for --all; a single statement is ACCOUNT MONTH")
    is_text = not every and formats[0].suffix in ("csv", "json", "html")
    if output is None and not is_text and sys.stdout.isatty():
        raise click.UsageError("this is not for a terminal: name a file with --output")
    with open_session(invocation) as service:
        exported = _export(service, account, month or archive_month, formats, every=every)
    with closing(exported):
        if output is None:
            for chunk in exported.chunks():
                click.echo(chunk, nl=False)
            return
        write_file(output, exported.chunks())
    whose = "statements of all accounts" if account is None else f"{sanitize(account)}'s statement{'s' if every else ''}"
    when = "" if (month or archive_month) is None else f" of {format_month(month or archive_month or 0)}"
    warn(f"wrote {whose}{when} to {sanitize(str(output))}")


def write_file(output: Path, chunks: Iterator[bytes]) -> None:
    """Write a file. Raises ExportFailedError."""
    try:
        with output.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise ExportFailedError(f"{output}: {error.strerror or error}") from None


def _check_usage(account: str | None, month: int | None, *, every: bool, formats: Sequence[ExportFormat]) -> None:
    if every and account is None and month is None:
        raise click.UsageError("--all needs an ACCOUNT for all its months, or --month for all accounts")
    if not every and (account is None or month is None):
        raise click.UsageError("name ACCOUNT and MONTH, or say --all")
    if not every and len(formats) > 1:
        raise click.UsageError("several formats go into an archive: --all")


def _export(
    service: Service, account: str | None, month: int | None, formats: Sequence[ExportFormat], *, every: bool
) -> ExportedFile:
    if every or account is None or month is None:
        found = export_archive(service.engine, ArchiveScope(account, month, formats), service.catalogue)
    else:
        found = export_statement(service.engine, account, month, service.catalogue, formats[0])
    if isinstance(found, UnchangedFile):  # nothing was said to be known
        raise ExportFailedError("the export was taken for one that is there already")
    return found
