"""A statement as tables in the terminal, drawn from the same description as the HTML page and the PDF."""

from collections.abc import Iterable

from metering.cli.terminal.output import Cell, Column, echo, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.instants import format_month
from metering.domain.statements.statements import Flag, Statement
from metering.exports.printed_statement import (
    UNKNOWN_AMOUNT,
    ExcludedSection,
    ModelLines,
    PrintedLine,
    printed_statement,
)
from pricing.dollars import display_cents, display_nano

_COLUMNS = (Column("", "name"), Column("quantity", "count"), Column("price", "count"), Column("USD", "money"))


def show_statement_table(statement: Statement) -> None:
    """Write the statement, the usage excluded from its total, and its notes."""
    printed = printed_statement(statement)
    print_table(
        _COLUMNS,
        [
            *_usage_rows(printed.usage),
            ["Usage", "", "", printed.usage_amount],
            *([_item(line), "", "", line.amount] for _, line in printed.others),
        ],
        title=f"{sanitize(printed.account)}, {printed.billing_month} ({printed.status}), plan {printed.plan}",
        totals=["Total payable", "", "", printed.total.removeprefix("$")],
    )
    if printed.owed is not None:
        echo()
        print_table(
            _COLUMNS,
            _usage_rows(printed.owed.models),
            title=f"{printed.owed.title} ({printed.owed.subtitle})",
            totals=[printed.owed.title, "", "", printed.owed.amount],
        )
    for section in printed.excluded:
        _show_excluded(section)
    echo(f"\n{printed.requests}")
    for note in printed.notes:
        echo(f"- {note.text} {note.hint}".rstrip())
    if printed.digest:
        echo(f"{printed.state}, SHA-256 {printed.digest}.")


def summary_row(statement: Statement) -> list[Cell]:
    """Return a statement as one row: month, account, status, usage, credits, fees and total in dollars, and its flags."""
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


def _usage_rows(models: Iterable[ModelLines]) -> list[list[Cell]]:
    """Return the lines of each model under its name."""
    rows: list[list[Cell]] = []
    for model in models:
        rows.append([f"{model.model} at {model.provider}", "", "", ""])
        rows += [[f"  {_item(line)}", line.quantity, line.price, line.amount] for line in model.lines]
    return rows


def _item(line: PrintedLine) -> str:
    return f"{line.item} ({line.correction})" if line.correction else line.item


def _show_excluded(section: ExcludedSection) -> None:
    echo()
    columns = [Column("provider", "name"), Column("model", "name"), Column("route"), Column("requests", "count")]
    columns.append(Column("tokens", "count"))
    rows: list[list[Cell]] = [[each.provider, each.model, each.route, each.requests, each.tokens] for each in section.rows]
    if any(each.amount != UNKNOWN_AMOUNT for each in section.rows):
        columns.append(Column("USD", "money"))
        rows = [[*row, each.amount] for row, each in zip(rows, section.rows, strict=True)]
    print_table(columns, rows, title=f"{section.title} ({section.subtitle})")
