"""``metering prices import``: your own prices, and published price lists."""

from collections import Counter
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import click
from msgspec import Struct

from metering.answers.prices.price_imports import price_import_answer
from metering.cli.arguments import INSTANT, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted, were
from metering.cli.terminal.output import echo, print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.errors import DomainError
from metering.domain.prices.price_imports import PriceImport
from metering.operations.prices.import_price_list import import_price_list
from metering.operations.prices.import_prices import SHEET_FORMATS, PriceSheet, import_prices
from metering.operations.service.open_service import Service
from pricing.dollars import display_nano
from pricing.sources.genai_prices import parse_providers
from pricing.sources.litellm import parse_price_map
from pricing.sources.source_report import SkippedEntry, SourceReport

LITELLM = "litellm"
GENAI_PRICES = "genai-prices"
SHOWN_LEFT_OUT = 5


class UnreadableSheetError(DomainError):
    """The price sheet cannot be read, or a package that is needed to read a price list is not installed."""

    code = "unreadable_file"


class _Options(Struct, frozen=True):
    file: Path | None
    format: str | None
    account: str | None
    source: str | None
    effective_from: int | None
    rate: bool
    as_json: bool

    @property
    def chosen_format(self) -> str:
        """The given format, or the one that the file's name implies."""
        if self.format is not None:
            return self.format
        return "csv" if self.file is not None and self.file.suffix.lower() == ".csv" else "yaml"


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    type=click.Choice([*SHEET_FORMATS, LITELLM, GENAI_PRICES]),
    help="yaml or csv: your own price sheet. litellm: LiteLLM's price map (JSON). genai-prices: the lists in the installed"
    " package, without FILE. Default: csv for a file name ending in .csv, otherwise yaml.",
)
@click.option("--account", metavar="NAME", help="Prices for this account only.")
@click.option("--source", metavar="TEXT", help="The name of a CSV sheet's price list. Default: its file name.")
@click.option("--effective-from", type=INSTANT, help="When prices without a date take effect. Default: now.")
@click.option("--rate/--no-rate", default=True, show_default=True, help="Charge usage that was unpriced.")
@json_option
@click.pass_obj
@collected(_Options)
def import_(invocation: Invocation, options: _Options) -> None:
    """Import your own price sheet or a published price list, all or nothing.

    Your own prices take precedence over all other lists; a published list ranks below the router's. Usage that was unpriced is
    charged at the price that was in force when it happened. Existing charges never change.
    """
    if options.chosen_format in SHEET_FORMATS:
        _import_sheet(invocation, options)
    else:
        _import_list(invocation, options)


def _import_sheet(invocation: Invocation, options: _Options) -> None:
    if options.effective_from is not None:
        raise click.UsageError("--effective-from is for lists without dates; a price sheet dates each price")
    if options.source is not None and options.chosen_format != "csv":
        raise click.UsageError("--source is for CSV sheets; a YAML sheet names its source itself")
    file = _file(options)
    sheet = PriceSheet(_content(file), file.name, options.chosen_format, options.source or "")
    with open_session(invocation, create=True) as service:
        imported = import_prices(service.engine, sheet, account=options.account, rate=options.rate, now=service.clock())
    _report(options, file.name, imported)


def _import_list(invocation: Invocation, options: _Options) -> None:
    if options.account is not None or options.source is not None:
        raise click.UsageError(f"--account and --source are for your own price sheets, not for {options.chosen_format}")
    if options.chosen_format == GENAI_PRICES and options.file is not None:
        raise click.UsageError("genai-prices is read from the installed package: omit FILE")
    document = b"" if options.chosen_format == GENAI_PRICES else _content(_file(options))
    with open_session(invocation, create=True) as service:
        report = _read(options, document, service)
        imported = import_price_list(service.engine, report, rate=options.rate, now=service.clock())
    _report(options, options.chosen_format if options.file is None else options.file.name, imported)


def _read(options: _Options, document: bytes, service: Service) -> SourceReport:
    instant = service.clock() if options.effective_from is None else options.effective_from
    if options.chosen_format == LITELLM:
        return parse_price_map(document, effective_from=instant, name=_file(options).name)
    try:
        providers = import_module("genai_prices.data").providers  # an extra of this distribution, and slow to import
    except ImportError:
        raise UnreadableSheetError("genai-prices is not installed: pip install 'hf-metering[genai-prices]'") from None
    return parse_providers(providers, undated_from=instant, version=version("genai-prices"))


def _file(options: _Options) -> Path:
    if options.file is None:
        raise click.UsageError("FILE is missing: name the price sheet or list to import")
    return options.file


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnreadableSheetError(f"{file}: {error.strerror or error}") from None


def _report(options: _Options, name: str, imported: PriceImport) -> None:
    if options.as_json:
        file = None if options.file is None else str(options.file)
        print_json(price_import_answer(imported, file=file, account=options.account))
        return
    added, discounts = len(imported.table_ids), len(imported.discount_ids)
    if added:
        echo(f"{counted(added, 'price table')} from {sanitize(name)} {were(added)} added")
    elif not imported.usable:
        echo(f"nothing in {sanitize(name)} can be used")
    else:
        echo(f"all prices in {sanitize(name)} were recorded already")
    if discounts:
        echo(f"{counted(discounts, 'discount table')} {were(discounts)} added to follow the new prices")
    if imported.left_out:
        _print_left_out(imported.left_out)
    if imported.charged_events is None:
        echo("run `metering rate` to charge usage that was unpriced")
    elif imported.charged_events:
        events = counted(imported.charged_events, "unpriced request")
        echo(f"{events} {were(imported.charged_events)} charged: ${display_nano(imported.charged_nano or 0)}")


def _print_left_out(left_out: tuple[SkippedEntry, ...]) -> None:
    whole = [each for each in left_out if each.whole]
    counts = Counter(each.reason.value for each in whole)
    if whole:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
        echo(f"{counted(len(whole), 'entry', 'entries')} {were(len(whole))} left out as unusable: {reasons}")
        for each in whole[:SHOWN_LEFT_OUT]:
            echo(f"  {sanitize(each.entry)}: {sanitize(each.detail)}")
    warn("`--json` lists all entries that were left out")
