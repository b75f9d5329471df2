"""``metering statements``: what a month comes to."""

import click

from metering.cli.arguments import MONTH, json_option
from metering.cli.invocation import Invocation
from metering.cli.output import Column, print_json, print_table, say
from metering.cli.session import open_session
from metering.cli.statement_table import show_statement_table, summary_row
from metering.cli.statements_export import export
from metering.domain.instants import EARLIEST, FUTURE_TOLERANCE, month_of, month_start, next_month
from metering.domain.spend import Granularity, PeriodBasis, SpendQuery
from metering.exports.statement_json import statement_json, statement_summary
from metering.operations.manage_accounts import show_account
from metering.operations.open_service import Service
from metering.operations.query_spend import query_spend
from metering.operations.show_statement import list_statements, show_statement


@click.group()
def statements() -> None:
    """Show and export what a month comes to."""


@statements.command("list")
@click.option("--account", metavar="NAME", help="Only this account's.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, account: str | None, as_json: bool) -> None:
    """List the months with usage, and what each comes to."""
    with open_session(invocation) as service:
        found = list_statements(service.engine, account, service.catalogue)
    if as_json:
        print_json({"statements": [statement_summary(each) for each in found]})
        return
    if not found:
        say("no month has usage")
        return
    amounts = [Column(name, "money") for name in ("usage", "credits", "fees", "total USD")]
    columns = [Column("month"), Column("account", "name"), Column("status"), *amounts, Column("flags", "name")]
    print_table(columns, [summary_row(each) for each in found])


@statements.command()
@click.argument("account")
@click.argument("month", type=MONTH, required=False)
@json_option
@click.pass_obj
def show(invocation: Invocation, *, account: str, month: int | None, as_json: bool) -> None:
    """Show ACCOUNT's statement of MONTH (YYYY-MM; the last one with usage when nothing is said)."""
    with open_session(invocation) as service:
        asked = month or _last_month(service, account)
        statement = show_statement(service.engine, account, asked, service.catalogue)
    if as_json:
        print_json(statement_json(statement))
    else:
        show_statement_table(statement)


statements.add_command(export)


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
