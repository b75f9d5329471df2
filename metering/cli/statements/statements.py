"""``metering statements``: show, list and close an account's months."""

import click
from msgspec import Struct

from metering.answers.statements.closing import closed_statement_answer, due_months_answer
from metering.answers.statements.statements import StatementPage, statement_answer, statement_summary_answer
from metering.cli.arguments import MONTH, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.statements.statement_changes import adjust, adjustments, reopen_check
from metering.cli.statements.statement_table import show_statement_table, summary_row
from metering.cli.statements.statements_export import export
from metering.cli.terminal.output import Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.instants import format_month
from metering.domain.statements.billing_months import check_month_in_range
from metering.domain.statements.close_failure import CloseFailure
from metering.domain.statements.statements import CLOSED, DRAFT, Statement
from metering.operations.statements.close_due import close_due_months
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.statements.show_statement import (
    StatementFilter,
    canonical_statement,
    last_billed_month,
    list_statements,
    show_statement,
)
from pricing.dollars import display_cents


class _CloseChoices(Struct, frozen=True):
    """What ``statements close`` was called with: one month of an account, or all that are due."""

    account: str
    month: int
    all_due: bool
    with_earlier: bool
    allow_unpriced: bool
    as_json: bool

    @classmethod
    def of(cls, *, account: str | None, month: int | None, all_due: bool, **flags: bool) -> "_CloseChoices":
        """Check that either one month is named or --all is given."""
        if all_due == (account is not None) or (account is None) != (month is None):
            raise click.UsageError("name an ACCOUNT and a MONTH, or pass --all")
        return cls(account or "", month or 0, all_due, **flags)


@click.group()
def statements() -> None:
    """Show, export and close monthly statements."""


statements.add_command(adjust)
statements.add_command(adjustments)
statements.add_command(reopen_check)
statements.add_command(export)


@statements.command("list")
@click.option("--account", metavar="NAME", help="Only this account.")
@click.option("--status", type=click.Choice([DRAFT, CLOSED]), help="Only statements with this status.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, account: str | None, status: str | None, as_json: bool) -> None:
    """List the statements of all months with usage, an adjustment or a fee, and of all closed months."""
    with open_session(invocation) as service:
        listed = list_statements(service.engine, StatementFilter(account, status), service.catalog, now=service.clock())
    found = [each.statement for each in listed]
    if as_json:
        print_json(StatementPage(items=[statement_summary_answer(each) for each in found], next_cursor=None))
        return
    if not found:
        echo("no statements" if status is None else f"no {status} statements")
        return
    amounts = [Column(name, "money") for name in ("usage", "credits", "fees", "total USD")]
    columns = [Column("month"), Column("account", "name"), Column("status"), *amounts, Column("flags", "name")]
    print_table(columns, [summary_row(each) for each in found])


@statements.command()
@click.argument("account")
@click.argument("month", type=MONTH, required=False)
@click.option("--canonical", is_flag=True, help="Print exactly the bytes that a closed statement's digest covers.")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, account: str, month: int | None, canonical: bool, as_json: bool) -> None:
    """Show ACCOUNT's statement of MONTH (YYYY-MM). Default: the last month with usage."""
    with open_session(invocation) as service:
        shown = month or last_billed_month(service.engine, account, now=service.clock())
        if canonical:
            click.echo(canonical_statement(service.engine, account, shown), nl=False)
            return
        check_month_in_range(shown, service.clock())
        statement = show_statement(service.engine, account, shown, service.catalog, now=service.clock())
    if as_json:
        print_json(statement_answer(statement))
    else:
        show_statement_table(statement)


@statements.command()
@click.argument("account", required=False)
@click.argument("month", type=MONTH, required=False)
@click.option("--all", "all_due", is_flag=True, help="Close every month that is due, of every account, as `serve` does.")
@click.option("--with-earlier", is_flag=True, help="Close earlier open months first.")
@click.option("--allow-unpriced", is_flag=True, help="Close although some usage is not priced yet; the statement is flagged.")
@json_option
@click.pass_obj
@collected(_CloseChoices.of)
def close(invocation: Invocation, choices: _CloseChoices) -> None:
    """Close ACCOUNT's MONTH (YYYY-MM). Its statement never changes again; later usage is billed on the next open one.

    A month can be closed once it is over. Closing it again shows the same statement.
    """
    with open_session(invocation) as service:
        how, now = CloseOptions(service.catalog, choices.allow_unpriced, choices.with_earlier), service.clock()
        if choices.all_due:
            grace_hours = service.settings.close.grace_hours
            found = list(close_due_months(service.engine, how, grace_hours=grace_hours, now=now))
        else:
            found = [*close_month(service.engine, choices.account, choices.month, how, now=now)]
    closed = [each for each in found if isinstance(each, Statement)]
    failures = [each for each in found if isinstance(each, CloseFailure)]
    if choices.as_json:
        print_json(due_months_answer(closed, failures) if choices.all_due else closed_statement_answer(closed))
    else:
        _show_closed(closed, failures)
    if failures:
        stop(1)


def _show_closed(closed: list[Statement], failures: list[CloseFailure]) -> None:
    for each in closed:
        total = display_cents(each.total_cents)
        echo(f"{sanitize(each.account)}, {format_month(each.month)}: closed, ${total} (sha256 {each.digest})")
    for failure in failures:
        echo(f"{sanitize(failure.account)}, {format_month(failure.month)}: not closed: {sanitize(failure.reason)}")
    if not closed and not failures:
        echo("no months are due")
