"""``metering prices import``: prices of one's own."""

from pathlib import Path

import click

from metering.cli.amounts import money, shown_nano
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
@click.option("--rate/--no-rate", default=True, show_default=True, help="Charge usage that waited for a price.")
@json_option
@click.pass_obj
def import_(invocation: Invocation, *, file: Path, account: str | None, rate: bool, as_json: bool) -> None:
    """Import a price sheet (YAML): your own prices, which come before the bundled ones. All of it or nothing.

    Usage that waited for a price is charged at the one that was valid when it happened. What is charged already never changes.
    """
    try:
        sheet = file.read_bytes()
    except OSError as error:
        raise UnreadableSheetError(f"{file}: {error.strerror or error}") from None
    with open_session(invocation, create=True) as service:
        imported = import_prices(service.engine, sheet, name=file.name, account=account, rate=rate, now=service.clock())
    ids, rated = imported.table_ids, imported.rated
    if as_json:
        charged = {} if rated is None else {"charged": rated.rated, **money("amount", rated.amount_nano)}
        print_json({"file": str(file), "account": account, "tables_added": ids, **charged})
        return
    if ids:
        say(f"{len(ids):,} price tables from {plain(file.name)} were new")
    else:
        say(f"everything in {plain(file.name)} was known already")
    if rated is None:
        say("`metering rate` charges usage that waited for them")
    elif rated.rated:
        say(f"{rated.rated:,} requests that waited for a price were charged: ${shown_nano(rated.amount_nano)}")
