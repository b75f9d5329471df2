"""``metering statements``: what a month comes to, and closing it."""

import click
from msgspec import Struct

from metering.cli.arguments import MONTH, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.statements.statement_changes import adjust, adjustments, reopen_check
from metering.cli.statements.statement_table import show_statement_table, summary_row
from metering.cli.statements.statements_export import export
from metering.cli.terminal.output import Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.charges.spend import Granularity, PeriodBasis, SpendQuery
from metering.domain.instants import EARLIEST, FUTURE_TOLERANCE, format_month, month_of, month_start, next_month
from metering.domain.statements.close_failure import CloseFailure
from metering.domain.statements.statements import CLOSED, DRAFT, Statement
from metering.exports.statement_json import statement_json, statement_summary
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.query_spend import query_spend
from metering.operations.service.open_service import Service
from metering.operations.statements.close_due import close_due_months
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.statements.show_statement import canonical_statement, list_statements, show_statement
from pricing.dollars import display_cents


class _Close(Struct, frozen=True):
    """What ``statements close`` was asked."""

    account: str
    month: int
    all_due: bool
    with_earlier: bool
    allow_unpriced: bool
    as_json: bool

    @classmethod
    def of(cls, *, account: str | None, month: int | None, all_due: bool, **how: bool) -> "_Close":
        """Check that one month is named, or all that are due."""
        if all_due == (account is not None) or (account is None) != (month is None):
            raise click.UsageError("name an ACCOUNT and a MONTH, or say --all")
        return cls(account or "", month or 0, all_due, **how)


@click.group()
def statements() -> None:
    """Show, export and close what a month comes to."""


statements.add_command(adjust)
statements.add_command(adjustments)
statements.add_command(reopen_check)


@statements.command("list")
@click.option("--account", metavar="NAME", help="Only this account's.")
@click.option("--status", type=click.Choice([DRAFT, CLOSED]), help="Only those that are open, or closed.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, account: str | None, status: str | None, as_json: bool) -> None:
    """List the months with usage, and those that are closed, and what each comes to."""
    with open_session(invocation) as service:
        found = list_statements(service.engine, account, service.catalogue)
    found = [each for each in found if status in (None, each.status)]
    if as_json:
        print_json({"statements": [statement_summary(each) for each in found]})
        return
    if not found:
        echo("no month has usage" if status is None else f"no statement is {status}")
        return
    amounts = [Column(name, "money") for name in ("usage", "credits", "fees", "total USD")]
    columns = [Column("month"), Column("account", "name"), Column("status"), *amounts, Column("flags", "name")]
    print_table(columns, [summary_row(each) for each in found])


@statements.command()
@click.argument("account")
@click.argument("month", type=MONTH, required=False)
@click.option("--canonical", is_flag=True, help="Print the very bytes that the digest of a closed statement is over.")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, account: str, month: int | None, canonical: bool, as_json: bool) -> None:
    """Show ACCOUNT's statement of MONTH (YYYY-MM; the last one with usage when nothing is said)."""
    with open_session(invocation) as service:
        asked = month or _last_month(service, account)
        if canonical:
            click.echo(canonical_statement(service.engine, account, asked), nl=False)
            return
        statement = show_statement(service.engine, account, asked, service.catalogue)
    if as_json:
        print_json(statement_json(statement))
    else:
        show_statement_table(statement)


statements.add_command(export)


@statements.command()
@click.argument("account", required=False)
@click.argument("month", type=MONTH, required=False)
@click.option("--all", "all_due", is_flag=True, help="Every month of every account that is due by now, as `serve` closes them.")
@click.option("--with-earlier", is_flag=True, help="Close the earlier months that are open first.")
@click.option("--allow-unpriced", is_flag=True, help="Close although some usage has no price; the statement says so.")
@json_option
@click.pass_obj
@collected(_Close.of)
def close(invocation: Invocation, asked: _Close) -> None:
    """Close ACCOUNT's MONTH (YYYY-MM): its statement never changes again, and what comes later stands on the next one.

    A month can be closed when it is over. Closing it again shows the same statement.
    """
    with open_session(invocation) as service:
        how, now = CloseOptions(service.catalogue, asked.allow_unpriced, asked.with_earlier), service.clock()
        if asked.all_due:
            grace = service.settings.close.grace_hours
            found = list(close_due_months(service.engine, how, grace_hours=grace, now=now))
        else:
            found = [*close_month(service.engine, asked.account, asked.month, how, now=now)]
    closed = [each for each in found if isinstance(each, Statement)]
    refused = [each for each in found if isinstance(each, CloseFailure)]
    if asked.as_json:
        print_json(
            {"closed": [statement_summary(each) for each in closed], "not_closed": [_not_closed(each) for each in refused]}
        )
    else:
        _show_closed(closed, refused)
    if refused:
        stop(1)


def _show_closed(closed: list[Statement], refused: list[CloseFailure]) -> None:
    for each in closed:
        total = display_cents(each.total_cents)
        echo(f"{sanitize(each.account)}, {format_month(each.month)}: closed, ${total} (sha256 {each.digest})")
    for left in refused:
        echo(f"{sanitize(left.account)}, {format_month(left.month)}: not closed. {sanitize(left.reason)}")
    if not closed and not refused:
        echo("no month is due")


def _not_closed(refused: CloseFailure) -> dict[str, str]:
    return {
        "account": refused.account,
        "month": format_month(refused.month),
        "code": refused.code,
        "reason": refused.reason,
    }


def _last_month(service: Service, account: str) -> int:
    """Return the last month that something is billed in, this month where nothing is."""
    account_id = show_account(service.engine, account).id
    now = service.clock()
    query = SpendQuery(
        start=month_start(month_of(EARLIEST)),
        end=month_start(next_month(month_of(now + FUTURE_TOLERANCE))),
        account_id=account_id,
        granularity=Granularity.MONTH,
        period_basis=PeriodBasis.BILLING,
    )
    rows = query_spend(service.engine, query)
    return month_of(rows[-1].period_start) if rows else month_of(now)
