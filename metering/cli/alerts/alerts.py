"""``metering alerts``: what has been alerted on."""

import click

from metering.answers.alerts.alerts import AlertAnswer, AlertPage, alert_answer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.alerts.alert_types import ALERT_TYPES, headline_of
from metering.domain.alerts.webhook_messages import labeled_fields
from metering.operations.accounts.manage_accounts import account_names, show_account
from metering.operations.alerts.list_alerts import list_alerts, show_alert

_MAX_LISTED = 10_000


@click.group()
def alerts() -> None:
    """List and show alerts."""


@alerts.command("list")
@click.option("--account", metavar="NAME", help="Only alerts about this account.")
@click.option(
    "--type", "type_", type=click.Choice(ALERT_TYPES), metavar="TYPE", help=f"Only one type: {', '.join(ALERT_TYPES)}."
)
@click.option("--limit", type=click.IntRange(1, _MAX_LISTED), default=100, show_default=True, help="At most so many.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, account: str | None, type_: str | None, limit: int, as_json: bool) -> None:
    """List alerts, newest first."""
    with open_session(invocation) as service:
        account_id = None if account is None else show_account(service.engine, account).id
        found = list_alerts(service.engine, type_=type_, account_id=account_id, limit=limit)
        names = account_names(service.engine, [each.account_id for each in found])
    page = AlertPage(items=[alert_answer(each, names) for each in found], next_cursor=None)
    if as_json:
        print_json(page)
        return
    if not page.items:
        echo("no alerts")
        return
    print_table(
        [Column("id", "count"), Column("occurred at", "time"), Column("alert", "code"), Column("account", "name"),
         Column("about", "name"), Column("period", "code"), Column("threshold", "count")],
        [
            [each.id, f"{each.occurred_at[:16].replace('T', ' ')}Z", each.type, each.account or "", each.subject, each.period,
             each.threshold or ""]
            for each in page.items
        ],
    )  # fmt: skip


@alerts.command()
@click.argument("alert", type=click.IntRange(1, 2**63 - 1))
@json_option
@click.pass_obj
def show(invocation: Invocation, *, alert: int, as_json: bool) -> None:
    """Show an alert with its details, by its id."""
    with open_session(invocation) as service:
        found = show_alert(service.engine, alert)
        answer = alert_answer(found, account_names(service.engine, [found.account_id]))
    if as_json:
        print_json(answer)
    else:
        _print_alert(answer)


def _print_alert(alert: AlertAnswer) -> None:
    account = f", {sanitize(alert.account)}" if alert.account else ""
    echo(f"alert {alert.id}: {headline_of(alert.type)}{account}", style="bold")
    content = {"subject": alert.subject, "period": alert.period, "threshold": alert.threshold, "details": alert.data}
    fields = [("type", alert.type), *labeled_fields(content)]
    if alert.occurrence > 1:
        fields.append(("occurrence", f"{alert.occurrence} in this period"))
    fields += [("occurred at", alert.occurred_at), ("recorded at", alert.recorded_at)]
    width = max(len(label) for label, _ in fields)
    for label, text in fields:
        echo(f"{label:<{width}}  {sanitize(text)}")
