"""``metering prices import``: prices of one's own."""

from pathlib import Path

import click

from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.output import print_json, say
from metering.cli.plain_text import plain
from metering.cli.session import open_session
from metering.domain.errors import DomainError
from metering.operations.import_prices import import_prices


class UnreadableSheetError(DomainError):
    """The price sheet can not be opened."""

    code = "unreadable_file"


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--account", metavar="NAME", help="Prices of this account only.")
@json_option
@click.pass_obj
def import_(invocation: Invocation, *, file: Path, account: str | None, as_json: bool) -> None:
    """Import a price sheet (YAML): your own prices, which come before the bundled ones. All of it or nothing."""
    try:
        sheet = file.read_bytes()
    except OSError as error:
        raise UnreadableSheetError(f"{file}: {error.strerror or error}") from None
    with open_session(invocation, create=True) as service:
        ids = import_prices(service.engine, sheet, name=file.name, account=account, now=service.clock())
    if as_json:
        print_json({"file": str(file), "account": account, "tables_added": ids})
    elif ids:
        say(f"{len(ids):,} price tables from {plain(file.name)} were new; `metering rate` charges usage that waited for them")
    else:
        say(f"everything in {plain(file.name)} was known already")
