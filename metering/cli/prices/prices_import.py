"""``metering prices import``: prices of one's own, and the lists that other people keep."""

from collections import Counter
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from metering.cli.arguments import INSTANT, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted, were
from metering.cli.terminal.output import echo, print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.amounts import money
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
    """The price sheet can not be opened, or what a list is read with is not installed."""

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
    def chosen(self) -> str:
        """The format that was named, or that the file's name says."""
        if self.format is not None:
            return self.format
        return "csv" if self.file is not None and self.file.suffix.lower() == ".csv" else "yaml"


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    type=click.Choice([*SHEET_FORMATS, LITELLM, GENAI_PRICES]),
    help="yaml or csv: a sheet of your own. litellm: LiteLLM's price map (JSON). genai-prices: the lists of the installed"
    " package, without FILE. Told from the file's name when nothing is said.",
)
@click.option("--account", metavar="NAME", help="Prices of this account only.")
@click.option("--source", metavar="TEXT", help="What to call the list of a CSV sheet; its file name when nothing is said.")
@click.option(
    "--effective-from", type=INSTANT, help="From when on prices without a date hold; from now on when nothing is said."
)
@click.option("--rate/--no-rate", default=True, show_default=True, help="Charge usage that waited for a price.")
@json_option
@click.pass_obj
@collected(_Options)
def import_(invocation: Invocation, options: _Options) -> None:
    """Import prices: a sheet of your own, which comes before all others, or a list that other people keep, which comes below
    the router's. All of it or nothing.

    Usage that waited for a price is charged at the one that was valid when it happened. What is charged already never changes.
    """
    if options.chosen in SHEET_FORMATS:
        _import_sheet(invocation, options)
    else:
        _import_list(invocation, options)


def _import_sheet(invocation: Invocation, options: _Options) -> None:
    if options.effective_from is not None:
        raise click.UsageError("--effective-from is for lists without dates; a sheet says from when on each price holds")
    if options.source is not None and options.chosen != "csv":
        raise click.UsageError("--source is for CSV sheets; a YAML sheet names its source itself")
    file = _file(options)
    sheet = PriceSheet(_content(file), file.name, options.chosen, options.source or "")
    with open_session(invocation, create=True) as service:
        imported = import_prices(service.engine, sheet, account=options.account, rate=options.rate, now=service.clock())
    _report(options, file.name, imported)


def _import_list(invocation: Invocation, options: _Options) -> None:
    if options.account is not None or options.source is not None:
        raise click.UsageError(f"--account and --source are for sheets of your own, not for {options.chosen}")
    if options.chosen == GENAI_PRICES and options.file is not None:
        raise click.UsageError("genai-prices is read from the installed package: leave FILE out")
    document = b"" if options.chosen == GENAI_PRICES else _content(_file(options))
    with open_session(invocation, create=True) as service:
        report = _read(options, document, service)
        imported = import_price_list(service.engine, report, rate=options.rate, now=service.clock())
    name = options.chosen if options.file is None else options.file.name
    _report(options, name, imported)


def _read(options: _Options, document: bytes, service: Service) -> SourceReport:
    instant = service.clock() if options.effective_from is None else options.effective_from
    if options.chosen == LITELLM:
        return parse_price_map(document, effective_from=instant, name=_file(options).name)
    try:
        providers = import_module("genai_prices.data").providers  # an extra of this distribution, and slow to import
    except ImportError:
        raise UnreadableSheetError("genai-prices is not installed: pip install 'hf-metering[genai-prices]'") from None
    return parse_providers(providers, undated_from=instant, version=version("genai-prices"))


def _file(options: _Options) -> Path:
    if options.file is None:
        raise click.UsageError("name the FILE to import")
    return options.file


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnreadableSheetError(f"{file}: {error.strerror or error}") from None


def _report(options: _Options, name: str, report: PriceImport) -> None:
    ids, rated, left_out = report.table_ids, report.charged_events, report.left_out
    if options.as_json:
        charged = {} if rated is None else {"charged": rated, **money("amount", report.charged_nano)}
        told: dict[str, Any] = {"file": None if options.file is None else str(options.file), "account": options.account}
        skipped = [
            {"entry": each.entry, "reason": str(each.reason), "detail": each.detail, "whole": each.whole} for each in left_out
        ]
        print_json(
            {
                **told,
                "tables_added": ids,
                "discounts_added": report.discount_ids,
                **charged,
                **({"left_out": skipped} if skipped else {}),
            }
        )
        return
    if ids:
        echo(f"{counted(len(ids), 'price table')} from {sanitize(name)} {were(len(ids))} new")
    elif not report.usable:
        echo(f"nothing in {sanitize(name)} could be taken")
    else:
        echo(f"everything in {sanitize(name)} was known already")
    if report.discount_ids:
        echo(
            f"discounts follow: {counted(len(report.discount_ids), 'price table')} of them {were(len(report.discount_ids))} new"
        )
    if left_out:
        _say_left_out(left_out)
    if rated is None:
        echo("`metering rate` charges usage that waited for them")
    elif rated:
        waited = f"{counted(rated, 'request')} that waited for a price {were(rated)} charged"
        echo(f"{waited}: ${display_nano(report.charged_nano or 0)}")


def _say_left_out(left_out: tuple[SkippedEntry, ...]) -> None:
    whole = [each for each in left_out if each.whole]
    counts = Counter(str(each.reason) for each in whole)
    if whole:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
        entries = f"{counted(len(whole), 'entry', 'entries')} {were(len(whole))} left out"
        echo(f"{entries}, because what is said there can not be expressed or is not known: {reasons}")
        for each in whole[:SHOWN_LEFT_OUT]:
            echo(f"  {sanitize(each.entry)}: {sanitize(each.detail)}")
    warn("`--json` lists everything that was left out")
