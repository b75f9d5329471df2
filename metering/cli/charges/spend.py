"""``metering spend``: what was spent, by whom, on what."""

from typing import Any

import click
from msgspec import Struct
from msgspec.structs import asdict

from metering.cli.arguments import INSTANT, MONTH, collected, json_option, separated
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.amounts import money
from metering.domain.charges.spend import (
    DIMENSIONS,
    TAG_PREFIX,
    Granularity,
    PeriodBasis,
    SpendQuery,
    SpendQueryError,
    SpendRow,
)
from metering.domain.instants import EARLIEST, FUTURE_TOLERANCE, format_instant, month_of, month_start, next_month
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.query_spend import query_spend
from pricing.dollars import display_nano
from pricing.quantities import ALL_KINDS, TOKEN_KINDS, Quantities

_SHOWN_DIGITS = {Granularity.HOUR: 16, Granularity.DAY: 10, Granularity.MONTH: 7}


class SpendChoices(Struct, frozen=True, kw_only=True):
    """What the command line says, as it says it."""

    account: str | None
    start: int | None
    end: int | None
    month: int | None
    by: tuple[str, ...]
    filters: tuple[str, ...]
    granularity: str
    period_basis: str
    as_json: bool


@click.command()
@click.option("--account", metavar="NAME", help="Only this account's.")
@click.option("--start", type=INSTANT, help="From this time, or the start of this UTC day, on.")
@click.option("--end", type=INSTANT, help="Until before this time, or the start of this UTC day.")
@click.option("--month", type=MONTH, help="A calendar month, instead of --start and --end.")
@click.option(
    "--by",
    multiple=True,
    default=("provider,model",),
    show_default=True,
    metavar="DIMENSION",
    help=f"What to tell apart; repeat, or separate by commas: {', '.join(DIMENSIONS)}, tag:NAME of a declared tag, or none.",
)
@click.option(
    "--filter", "filters", multiple=True, metavar="DIMENSION=VALUE", help="Only what has this value; repeat for more."
)
@click.option(
    "--granularity", type=click.Choice([str(each) for each in Granularity]), default="total", show_default=True, help="Periods."
)
@click.option(
    "--period-basis",
    type=click.Choice([str(each) for each in PeriodBasis]),
    default="event",
    show_default=True,
    help="What puts a charge into a period: when the request was made, or the month it is billed in.",
)
@json_option
@click.pass_obj
@collected(SpendChoices)
def spend(invocation: Invocation, choices: SpendChoices) -> None:
    """Show what was spent, by whom and on what: charges before credits, on every route.

    Without a period: everything on record. Unpriced requests are counted beside the amounts, which do not contain them.

    \b
    metering spend --account acme --month 2026-11 --by model --granularity day
    metering spend --by account --filter route=routed --filter provider=together
    """
    with open_session(invocation) as service:
        account_id = None if choices.account is None else show_account(service.engine, choices.account).id
        query = _query(choices, account_id, service.clock())
        _require_declared(query, service.settings.ingest.declared_tags)
        rows = query_spend(service.engine, query)
    total = total_of(rows, query)
    if choices.as_json:
        print_json(_json(choices, query, rows, total))
        return
    _show(query, rows, total, _title(choices, query))


def _query(choices: SpendChoices, account_id: int | None, now: int) -> SpendQuery:
    start, end = _period(choices, now)
    group = separated(choices.by)
    return SpendQuery(
        start=start,
        end=end,
        account_id=account_id,
        group_by=() if group == ["none"] else tuple(group),
        filters=_filters(choices.filters),
        granularity=Granularity(choices.granularity),
        period_basis=PeriodBasis(choices.period_basis),
    )


def _require_declared(query: SpendQuery, declared: frozenset[str]) -> None:
    """Refuse tags by which spend is not summed: asking for one would look as if nobody had used it."""
    for name in (*query.group_by, *query.filters):
        if name.startswith(TAG_PREFIX) and name.removeprefix(TAG_PREFIX) not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise SpendQueryError(f"{name[:60]!r} is not a declared tag (METERING_DECLARED_TAGS); declared: {known}")


def _period(choices: SpendChoices, now: int) -> tuple[int, int]:
    """Return the half-open period that was asked for; what is open reaches as far as there can be events."""
    if choices.month is not None:
        if choices.start is not None or choices.end is not None:
            raise click.UsageError("--month stands for --start and --end: say one or the other")
        return month_start(choices.month), month_start(next_month(choices.month))
    last = now + FUTURE_TOLERANCE + 1
    if choices.period_basis == PeriodBasis.BILLING:
        last = month_start(next_month(month_of(last)))
    return EARLIEST if choices.start is None else choices.start, last if choices.end is None else choices.end


def _filters(given: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    filters: dict[str, tuple[str, ...]] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise click.UsageError(f"--filter takes DIMENSION=VALUE, got {each[:60]!r}")
        filters[name.strip()] = (*filters.get(name.strip(), ()), value.strip())
    return filters


def total_of(rows: list[SpendRow], query: SpendQuery) -> SpendRow:
    """Return the sum of all rows, without a group."""
    kinds = {kind: sum(getattr(row.quantities, kind) for row in rows) for kind in ALL_KINDS}
    names = ("events", "failed_events", "unpriced_events", "unpriced_tokens", "amount_nano")
    sums: dict[str, Any] = {name: sum(getattr(row, name) for row in rows) for name in names}
    return SpendRow(group=(), period_start=query.start, quantities=Quantities(**kinds), **sums)


def _title(choices: SpendChoices, query: SpendQuery) -> str:
    who = "all accounts" if choices.account is None else sanitize(choices.account)
    if choices.month is not None:
        return f"{who}, {choices.month // 100}-{choices.month % 100:02d}"
    if choices.start is None and choices.end is None:
        return who
    return f"{who}, from {_short(query.start)} until before {_short(query.end)}"


def _short(instant: int) -> str:
    text = format_instant(instant)
    return text[:10] if text.endswith("T00:00:00.000000Z") else text.replace(".000000", "")


def _show(query: SpendQuery, rows: list[SpendRow], total: SpendRow, title: str) -> None:
    if not rows:
        echo(f"{title}: nothing on record")
        return
    digits = _SHOWN_DIGITS.get(query.granularity)
    columns = [*([Column(str(query.granularity))] if digits else []), *(Column(name, "name") for name in query.group_by)]
    labels: list[list[Cell]] = [[*_when(row, digits), *row.group] for row in rows]
    if not columns:
        columns, labels = [Column("")], [[""]]
    counted = [
        ("requests", [row.events for row in rows], total.events),
        ("unpriced", [row.unpriced_events for row in rows], total.unpriced_events),
        ("tokens", [_tokens(row) for row in rows], sum(_tokens(row) for row in rows)),
    ]
    shown = [each for each in counted if each[0] == "requests" or each[2]]
    table = [
        [*label, *(values[at] for _, values, _ in shown), display_nano(row.amount_nano)]
        for at, (label, row) in enumerate(zip(labels, rows, strict=True))
    ]
    totals: list[Cell] = ["total", *[""] * (len(columns) - 1), *(each[2] for each in shown), display_nano(total.amount_nano)]
    counts = [Column(name, "count") for name, _, _ in shown]
    print_table([*columns, *counts, Column("USD", "money")], table, title=title, totals=totals)
    if total.failed_events or total.unpriced_events:
        echo()
    if total.failed_events:
        echo(f"{total.failed_events:,} of the requests failed and cost nothing")
    if total.unpriced_events:
        echo(f"{total.unpriced_events:,} unpriced requests are not in the amounts: `metering prices unpriced` says why")


def _when(row: SpendRow, digits: int | None) -> list[Cell]:
    return [format_instant(row.period_start)[:digits].replace("T", " ")] if digits else []


def _tokens(row: SpendRow) -> int:
    return sum(getattr(row.quantities, kind) for kind in TOKEN_KINDS)


def _json(choices: SpendChoices, query: SpendQuery, rows: list[SpendRow], total: SpendRow) -> dict[str, Any]:
    return {
        "account": choices.account,
        "start": format_instant(query.start),
        "end": format_instant(query.end),
        "granularity": str(query.granularity),
        "period_basis": str(query.period_basis),
        "group_by": list(query.group_by),
        "rows": [
            {
                "period_start": format_instant(row.period_start),
                "group": dict(zip(query.group_by, row.group, strict=True)),
                **_amounts(row),
            }
            for row in rows
        ],
        "total": _amounts(total),
    }


def _amounts(row: SpendRow) -> dict[str, Any]:
    return {
        **money("amount", row.amount_nano),
        "events": row.events,
        "failed_events": row.failed_events,
        "unpriced_events": row.unpriced_events,
        "unpriced_tokens": row.unpriced_tokens,
        "quantities": {kind: count for kind, count in asdict(row.quantities).items() if count},
    }
