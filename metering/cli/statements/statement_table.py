"""A statement as a table that a person reads from top to bottom: what was used, what it cost, what is owed."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from metering.cli.terminal.amounts import UNKNOWN_AMOUNT
from metering.cli.terminal.output import Cell, Column, echo, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.charges.quoted_prices import format_price, format_quantity
from metering.domain.instants import format_instant, format_month
from metering.domain.statements.statements import Flag, OutsideUsage, Statement, StatementLine, StatementLineKind, described
from pricing.dollars import display_cents, display_nano, display_pico

_COLUMNS = (Column("", "name"), Column("quantity", "count"), Column("price", "count"), Column("USD", "money"))
_OF_A_MODEL = (StatementLineKind.USAGE, StatementLineKind.ROUNDING, StatementLineKind.REPORTED)

FLAG_WORDS = {
    Flag.BEYOND_PLAN: "Usage went beyond what the plan allows: Hugging Face would have refused it (402) without more credits.",
    Flag.UNPRICED_USAGE: "Some usage has no price yet and is not in the total: `metering prices unpriced` says why.",
    Flag.ROUTE_UNKNOWN: "Of some usage it is not known who bills it; it is not in the total.",
    Flag.FEE_UNKNOWN: "The fee of a plan is not known; the total is without it.",
    Flag.INCLUDED_CREDIT_UNKNOWN: "What credit the plan includes is not known; none was applied.",
    Flag.CREDIT_IS_UPPER_BOUND: (
        "The plan's credit can also be spent on other Hugging Face compute, so less of it may be left for this usage:"
        " `metering credits used-elsewhere` tells how much was."
    ),
    Flag.CACHE_PRICE_ASSUMED: "Cached tokens without a published price were charged at the input price.",
    Flag.QUANTITIES_ESTIMATED: "Some quantities are estimates.",
}


def show_statement_table(statement: Statement) -> None:
    """Write the statement, what stands beside its total, and what its reader must know."""
    plan = statement.plan
    seats = f", {plan.seats} seats" if plan.seats > 1 else ""
    title = f"{sanitize(statement.account)}, {format_month(statement.month)} ({statement.status}), plan {plan.plan}{seats}"
    *lines, total = statement.lines
    rows = [*_usage_rows(lines), *_other_rows(statement, lines)]
    print_table(_COLUMNS, rows, title=title, totals=[total.description, "", "", _amount(total)])
    if statement.owed_to_partners:
        echo()
        print_table(
            _COLUMNS,
            _usage_rows(statement.owed_to_partners),
            title="Owed to partners, on your own keys with them (not in the total)",
            totals=["Owed to partners", "", "", display_nano(statement.owed_to_partners_nano)],
        )
    _show_outside("Unpriced (not in the total)", statement.unpriced)
    _show_outside("Nobody knows who bills it (not in the total)", statement.route_unknown)
    failed = f", {statement.failed_events:,} failed and cost nothing" if statement.failed_events else ""
    echo(f"\n{statement.events:,} requests{failed}.")
    for flag in Flag:
        if flag in statement.flags:
            echo(f"- {FLAG_WORDS[flag]}")
    if statement.closed_at is not None:
        echo(f"Closed at {format_instant(statement.closed_at)}, SHA-256 {statement.digest}.")


def _usage_rows(lines: Iterable[StatementLine]) -> list[list[Cell]]:
    """Return the lines of each model under its name."""
    rows: list[list[Cell]] = []
    usage = [line for line in lines if line.kind in _OF_A_MODEL]
    for (origin, provider, model), of_model in groupby(usage, key=lambda line: (line.origin_month, line.provider, line.model)):
        correction = "" if origin is None else f", of {format_month(origin)}"
        rows.append([f"{model} at {provider}{correction}", "", "", ""])
        rows += [_usage_row(line) for line in of_model]
    return rows


def _usage_row(line: StatementLine) -> list[Cell]:
    if line.kind is StatementLineKind.ROUNDING:
        return ["  each request rounded up to nano-dollars", "", "", _amount(line)]
    if line.kind is StatementLineKind.REPORTED:
        return ["  requests, cost as the provider reported it", line.quantity, "", _amount(line)]
    kind = line.quantity_kind
    what = f"  {described(kind)}{', at the input price' if line.price_assumed else ''}"
    quantity = format_quantity(kind, line.quantity or 0)
    price = "" if line.price_pico is None else format_price(kind, line.price_pico, line.price_block)
    return [what, quantity, price, _amount(line)]


def _other_rows(statement: Statement, lines: Iterable[StatementLine]) -> list[list[Cell]]:
    """Return what comes after the usage: its sum, the fee, credits, and the rounding to cents."""
    rows: list[list[Cell]] = [["Usage", "", "", display_nano(statement.usage_nano)]]
    others = [line for line in lines if line.kind not in _OF_A_MODEL]
    rows += [
        [line.description, "", "", _amount(line)]
        for line in others
        if line.amount_pico or line.kind is not StatementLineKind.RESIDUAL
    ]
    return rows


def _show_outside(title: str, usage: Sequence[OutsideUsage]) -> None:
    if not usage:
        return
    echo()
    columns = (Column("provider", "name"), Column("model", "name"), Column("route"), Column("requests", "count"))
    rows: list[list[Cell]] = [
        [
            each.provider,
            each.model,
            each.route,
            each.events,
            each.tokens,
            "" if each.amount_nano is None else display_nano(each.amount_nano),
        ]
        for each in usage
    ]
    if all(each.amount_nano is None for each in usage):
        print_table((*columns, Column("tokens", "count")), [row[:-1] for row in rows], title=title)
    else:
        print_table((*columns, Column("tokens", "count"), Column("USD", "money")), rows, title=title)


def _amount(line: StatementLine) -> str:
    return UNKNOWN_AMOUNT if line.amount_pico is None else display_pico(line.amount_pico)


def summary_row(statement: Statement) -> list[Cell]:
    """Return a statement as one row: month, account, usage, credits, fees and total in dollars, and its flags."""
    return [
        format_month(statement.month),
        statement.account,
        statement.status,
        display_nano(statement.usage_nano),
        display_nano(-statement.credits_nano),
        display_cents(statement.subscription_cents),
        display_cents(statement.total_cents),
        ", ".join(flag.replace("_", " ") for flag in Flag if flag in statement.flags),
    ]
