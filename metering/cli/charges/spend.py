"""``metering spend``: charges by period and group, before credits."""

from collections.abc import Callable, Sequence
from operator import attrgetter

import click
from msgspec import Struct

from metering.answers.charges.spend import SpendAnswer, SpendSumsAnswer, spend_answer
from metering.cli.arguments import DURATION, INSTANT, MONTH, collected, end_option, json_option, separated, start_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.cli.unknown_names import warn_unknown_name
from metering.domain.charges.spend import DIMENSIONS, MAX_ROWS, Granularity, PeriodBasis, SpendQuery, SpendSort
from metering.domain.instants import (
    EARLIEST,
    FUTURE_TOLERANCE,
    MICROS_PER_DAY,
    format_instant,
    format_month,
    month_of,
    month_start,
    next_month,
)
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.query_spend import query_spend
from metering.operations.prices.list_names import used_names
from metering.operations.service.open_service import Service
from pricing.dollars import display_nano
from pricing.possible import PossibleCost
from pricing.quantities import TOKEN_KINDS

# How much of a row's instant names its period.
_PERIOD_LENGTHS = {
    Granularity.HOUR: len("2026-11-03T10:15"),
    Granularity.DAY: len("2026-11-03"),
    Granularity.MONTH: len("2026-11"),
}


class SpendOptions(Struct, frozen=True, kw_only=True):
    """The options of the command."""

    account: str | None
    start: int | None
    end: int | None
    month: int | None
    today: bool
    last: int | None
    sort: str | None
    top: int | None
    by: tuple[str, ...]
    filters: tuple[str, ...]
    granularity: str
    period_basis: str
    as_json: bool


@click.command()
@click.option("--account", metavar="NAME", help="Only this account. Default: all.")
@start_option("Start of the period. Default: the oldest usage.", INSTANT)
@end_option("End of the period, exclusive. Default: the newest usage.", INSTANT)
@click.option("--month", type=MONTH, help="A calendar month, instead of --start and --end.")
@click.option("--today", is_flag=True, help="The current UTC day, instead of --start and --end.")
@click.option("--last", type=DURATION, help="From this long ago until now (24h, 7d, 2w), instead of --start and --end.")
@click.option(
    "--by",
    multiple=True,
    default=("provider,model",),
    show_default=True,
    metavar="DIMENSION",
    help=f"Dimensions to group by; repeat, or separate by commas: {', '.join(DIMENSIONS)}, tag:NAME (declared tags), or none.",
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="DIMENSION=VALUE",
    help="Include only this value of a dimension; repeat for several.",
)
@click.option(
    "--granularity",
    type=click.Choice([str(each) for each in Granularity]),
    default="total",
    show_default=True,
    help="Length of the rows' periods.",
)
@click.option(
    "--period-basis",
    type=click.Choice([str(each) for each in PeriodBasis]),
    default="event",
    show_default=True,
    help="What assigns a charge to a period: the time of its event, or its billing month.",
)
@click.option(
    "--sort",
    type=click.Choice([str(each) for each in SpendSort]),
    help="Order of the rows: by period and group, or the largest first. Default: period, with --top usd.",
)
@click.option(
    "--top", type=click.IntRange(1, MAX_ROWS), metavar="N", help="Show only N rows, after sorting; the total still covers all."
)
@json_option
@click.pass_obj
@collected(SpendOptions)
def spend(invocation: Invocation, options: SpendOptions) -> None:
    """Show spend by period and group: charges on all routes, before credits.

    Unpriced requests are not in the amounts; they are counted separately.

    \b
    metering spend --account acme --month 2026-11 --by model --granularity day
    metering spend --by account --filter route=routed --filter provider=together
    metering spend --last 7d --by project --top 10
    """
    with open_session(invocation) as service:
        account_id = None if options.account is None else show_account(service.engine, options.account).id
        query = _query(options, account_id, service.clock())
        rows = query_spend(service.engine, query, declared_tags=service.settings.ingest.declared_tags)
        if not rows:
            _warn_unused_names(service, query)
    sort = None if options.sort is None else SpendSort(options.sort)
    found = spend_answer(query, rows, options.account, sort=sort, top=options.top)
    if options.as_json:
        print_json(found)
    elif not found.rows:
        echo(f"{_title(options, query)}: no usage")
    else:
        _print_spend(found, _title(options, query), omitted=len(rows) - len(found.rows))


def _warn_unused_names(service: Service, query: SpendQuery) -> None:
    used = used_names(service.engine)
    for provider in query.filters.get("provider", ()):
        warn_unknown_name(provider, used.providers, "no usage of provider {} on record")
    for model in query.filters.get("model", ()):
        warn_unknown_name(model, used.models, "no usage of model {} on record")


def _query(options: SpendOptions, account_id: int | None, now: int) -> SpendQuery:
    start, end = _period(options, now)
    group = separated(options.by)
    return SpendQuery(
        start=start,
        end=end,
        account_id=account_id,
        group_by=() if group == ["none"] else tuple(group),
        filters=_filters(options.filters),
        granularity=Granularity(options.granularity),
        period_basis=PeriodBasis(options.period_basis),
    )


def _period(options: SpendOptions, now: int) -> tuple[int, int]:
    """Return the half-open period; an open end includes the latest time that an event can have."""
    given = [name for name in ("--month", "--today", "--last") if getattr(options, name[2:])]
    given += [f"--{name}" for name in ("start", "end") if getattr(options, name) is not None]
    if len(given) > 1 and given != ["--start", "--end"]:
        raise click.UsageError(f"{given[0]} cannot be combined with {' or '.join(given[1:])}")
    if options.month is not None:
        return month_start(options.month), month_start(next_month(options.month))
    if options.today:
        return now - now % MICROS_PER_DAY, now - now % MICROS_PER_DAY + MICROS_PER_DAY
    last = now + FUTURE_TOLERANCE + 1
    if options.last is not None:
        return max(EARLIEST, now - options.last), last
    if options.period_basis == PeriodBasis.BILLING:
        last = month_start(next_month(month_of(last)))
    return EARLIEST if options.start is None else options.start, last if options.end is None else options.end


def _filters(given: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    filters: dict[str, tuple[str, ...]] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise click.UsageError(f"--filter takes DIMENSION=VALUE, got {each[:60]!r}")
        filters[name.strip()] = (*filters.get(name.strip(), ()), value.strip())
    return filters


def _title(options: SpendOptions, query: SpendQuery) -> str:
    account = "all accounts" if options.account is None else sanitize(options.account)
    if options.month is not None:
        return f"{account}, {format_month(options.month)}"
    if options.today:
        return f"{account}, {_shortened(query.start)} (today)"
    if options.last is not None:
        return f"{account}, since {_shortened(query.start)}"
    if options.start is None and options.end is None:
        return account
    return f"{account}, {_shortened(query.start)} to {_shortened(query.end)} (exclusive)"


def _shortened(instant: int) -> str:
    text = format_instant(instant)
    return text.removesuffix("T00:00:00.000000Z").replace(".000000Z", "Z")


def _print_spend(found: SpendAnswer, title: str, *, omitted: int) -> None:
    labels = [Column(name, "name") for name in found.group_by]
    length = _PERIOD_LENGTHS.get(found.granularity)
    if length is not None:
        labels.insert(0, Column(str(found.granularity)))
    if not labels:
        labels = [Column("")]
    shown = [name for name in _COUNTS if name == "requests" or _COUNTS[name](found.total)]
    rows: list[list[Cell]] = []
    for row in found.rows:
        when = [] if length is None else [row.period_start[:length].replace("T", " ")]
        names: list[Cell] = [*when, *row.group.values()]
        rows.append([*(names or [""]), *_figures(row, shown)])
    columns = [*labels, *(Column(name, "count") for name in shown), Column("USD", "money")]
    blanks = [""] * (len(labels) - 1)
    print_table(columns, rows, title=title, totals=["total", *blanks, *_figures(found.total, shown)])
    if omitted:
        echo(f"{counted(omitted, 'more row')}, included in the total")
    _print_notes(found.total)


def _tokens(sums: SpendSumsAnswer) -> int:
    return sum(sums.quantities.get(kind, 0) for kind in TOKEN_KINDS)


_COUNTS: dict[str, Callable[[SpendSumsAnswer], int]] = {
    "requests": attrgetter("events"),
    "unpriced": attrgetter("unpriced_events"),
    "tokens": _tokens,
}


def _figures(sums: SpendSumsAnswer, shown: Sequence[str]) -> list[Cell]:
    return [*(_COUNTS[name](sums) for name in shown), display_nano(sums.amount_nano_usd)]


def _print_notes(total: SpendSumsAnswer) -> None:
    if total.failed_events or total.unpriced_events:
        echo()
    if total.failed_events:
        echo(f"{counted(total.failed_events, 'request')} failed and cost nothing")
    if total.unpriced_events:
        echo(f"not priced yet: {counted(total.unpriced_events, 'request')}, not in the amounts; see `metering prices unpriced`")
    if total.possible_least_nano_usd is not None and total.possible_most_nano_usd is not None:
        possible = PossibleCost(total.possible_events, total.possible_least_nano_usd, total.possible_most_nano_usd)
        which = "they" if possible.events == total.unpriced_events else f"{possible.events:,} of them"
        echo(f"{which} may have cost {possible}, at the prices of their models' providers then")
