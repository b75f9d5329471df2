"""``metering statements export``: a month as a file for people or for other programs."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from metering.cli.arguments import MONTH
from metering.cli.invocation import Invocation
from metering.cli.output import remark
from metering.cli.plain_text import plain
from metering.cli.session import open_session
from metering.domain.errors import DomainError
from metering.domain.instants import format_month
from metering.exports.focus_columns import FocusVersion
from metering.exports.formats import FORMATS, export_format
from metering.operations.export_statement import Unchanged, export_statement

_FORMATS_SAID = "; ".join(f"{each.name}: {each.what}" for each in FORMATS.values())


class ExportFailedError(DomainError):
    """The file could not be written."""

    code = "export_failed"


@click.command()
@click.argument("account")
@click.argument("month", type=MONTH)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="csv",
    show_default=True,
    help=f"What to write. {_FORMATS_SAID}.",
)
@click.option(
    "--focus-version",
    type=click.Choice([version.value for version in FocusVersion]),
    help="Whose names the columns of a focus export have; 1.2 when nothing is said.",
)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to a file instead of stdout.")
@click.pass_obj
def export(
    invocation: Invocation, *, account: str, month: int, form: str, focus_version: str | None, output: Path | None
) -> None:
    """Export ACCOUNT's statement of MONTH (YYYY-MM) as a file. All amounts are exact."""
    wanted = export_format(form, focus_version)
    with open_session(invocation) as service:
        exported = export_statement(service.engine, account, month, service.catalogue, wanted)
    if isinstance(exported, Unchanged):
        return
    with closing(exported):
        if output is None:
            for chunk in exported.chunks():
                click.echo(chunk, nl=False)
            return
        write_file(output, exported.chunks())
    remark(f"wrote {plain(account)}'s statement of {format_month(month)} to {plain(str(output))}")


def write_file(output: Path, chunks: Iterator[bytes]) -> None:
    """Write a file. Raises ExportFailedError."""
    try:
        with output.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise ExportFailedError(f"{output}: {error.strerror or error}") from None
