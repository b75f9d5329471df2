"""``metering statements export``: statements as files."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
from msgspec import Struct

from metering.cli.arguments import MONTH, collected
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.errors import DomainError
from metering.domain.instants import format_month, month_of
from metering.domain.statements.billing_months import check_month_in_range
from metering.exports.focus_columns import FocusVersion
from metering.exports.formats import FORMATS, ExportFormat, several_formats
from metering.operations.service.open_service import Service
from metering.operations.statements.export_archive import ArchiveScope, export_archive
from metering.operations.statements.export_statement import ExportedFile, UnchangedFile, export_statement

_FORMATS_HELP = "; ".join(f"{each.name}: {each.summary}" for each in FORMATS.values())
_TEXT_SUFFIXES = ("csv", "json", "html")


class ExportFailedError(DomainError):
    """The file could not be written."""

    code = "export_failed"


class _ExportChoices(Struct, frozen=True):
    """What ``statements export`` was called with: one statement, or an archive of many."""

    account: str | None
    month: int | None
    formats: list[ExportFormat]
    is_archive: bool
    output: Path | None

    @classmethod
    def of(
        cls,
        *,
        account: str | None,
        month: int | None,
        names: tuple[str, ...],
        focus_version: str | None,
        is_archive: bool,
        archive_month: int | None,
        output: Path | None,
    ) -> "_ExportChoices":
        """Check that the options fit together."""
        formats = several_formats(names or ("csv",), focus_version)
        if archive_month is not None and not is_archive:
            raise click.UsageError("--month goes with --all; name a single statement as ACCOUNT MONTH")
        if is_archive and account is None and month is None and archive_month is None:
            raise click.UsageError("--all needs an ACCOUNT (all its months) or --month (all accounts)")
        if not is_archive and (account is None or month is None):
            raise click.UsageError("name an ACCOUNT and a MONTH, or pass --all")
        if not is_archive and len(formats) > 1:
            raise click.UsageError("several formats need an archive: pass --all")
        return cls(account, month or archive_month, formats, is_archive, output)

    @property
    def is_text(self) -> bool:
        """Whether the file can be shown in a terminal."""
        return not self.is_archive and self.formats[0].suffix in _TEXT_SUFFIXES

    @property
    def summary(self) -> str:
        """What is exported, in words."""
        month = "" if self.month is None else f" of {format_month(self.month)}"
        if self.account is None:
            return f"statements of all accounts{month}"
        return f"{sanitize(self.account)}'s statement{'s' if self.is_archive else ''}{month}"


@click.command()
@click.argument("account", required=False)
@click.argument("month", type=MONTH, required=False)
@click.option(
    "--format",
    "names",
    type=click.Choice(list(FORMATS)),
    multiple=True,
    help=f"File format; repeat it for an archive with several. Default: csv. {_FORMATS_HELP}.",
)
@click.option(
    "--focus-version",
    type=click.Choice([version.value for version in FocusVersion]),
    help="Version of the column names in a focus export. Default: 1.2.",
)
@click.option("--all", "is_archive", is_flag=True, help="A ZIP archive: all months of ACCOUNT, or all accounts of --month.")
@click.option("--month", "archive_month", type=MONTH, help="With --all: only this month.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of stdout.")
@click.pass_obj
@collected(_ExportChoices.of)
def export(invocation: Invocation, choices: _ExportChoices) -> None:
    """Export ACCOUNT's statement of MONTH (YYYY-MM) as a file, or many statements as an archive. All amounts are exact."""
    if choices.output is None and not choices.is_text and sys.stdout.isatty():
        raise click.UsageError("this format is not text: write it to a file with --output")
    with open_session(invocation) as service:
        file = _export(service, choices)
    with closing(file):
        if choices.output is None:
            for chunk in file.chunks():
                click.echo(chunk, nl=False)
            return
        write_file(choices.output, file.chunks())
    warn(f"wrote {choices.summary} to {sanitize(str(choices.output))}")


def write_file(output: Path, chunks: Iterator[bytes]) -> None:
    """Write a file. Raises ExportFailedError."""
    try:
        with output.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise ExportFailedError(f"{output}: {error.strerror or error}") from None


def _export(service: Service, choices: _ExportChoices) -> ExportedFile:
    if choices.month is not None:
        check_month_in_range(choices.month, service.clock())
    if choices.is_archive or choices.account is None or choices.month is None:
        scope = ArchiveScope(choices.account, choices.month, choices.formats, month_of(service.clock()))
        found = export_archive(service.engine, scope, service.catalog)
    else:
        wanted, now = choices.formats[0], service.clock()
        found = export_statement(service.engine, choices.account, choices.month, service.catalog, wanted, now=now)
    if isinstance(found, UnchangedFile):  # impossible: no tags were passed
        raise ExportFailedError("the export returned no file")
    return found
