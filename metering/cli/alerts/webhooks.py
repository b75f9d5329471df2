"""``metering webhooks``: to where alerts are sent, and what became of sending them."""

from collections.abc import Sequence

import click

from metering.cli.alerts.webhook_deliveries import deliveries, redeliver, test
from metering.cli.alerts.webhook_json import endpoint_json
from metering.cli.arguments import collected, json_option, separated
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.alerts.alert_types import ALERT_TYPES
from metering.domain.alerts.webhook_messages import FORMATS, STANDARD
from metering.domain.alerts.webhooks import EndpointDetails
from metering.domain.instants import format_instant
from metering.operations.alerts.manage_webhooks import (
    DEFAULT_OVERLAP_HOURS,
    MAX_OVERLAP_HOURS,
    EndpointChange,
    NewEndpoint,
    change_webhook,
    create_webhook,
    delete_webhook,
    list_webhooks,
    rotate_webhook,
    show_webhook,
)

_ID = click.IntRange(1, 2**63 - 1)
_TYPES = f"A type of alerts to send; repeat, or separate by commas. There are {', '.join(ALERT_TYPES)}."
_ACCOUNTS = "Only alerts about this account, for the operator's endpoint; repeat, or separate by commas."


@click.group()
def webhooks() -> None:
    """Send alerts to where somebody sees them."""


webhooks.add_command(deliveries)
webhooks.add_command(redeliver)
webhooks.add_command(test)


@webhooks.command()
@click.argument("url")
@click.option("--account", metavar="NAME", help="Whose endpoint it is, and whose alerts it is sent; the operator's, and all.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help=f"{_TYPES} All when nothing is said.")
@click.option("--only-account", "accounts", multiple=True, metavar="NAME", help=_ACCOUNTS)
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default=STANDARD, show_default=True, help="What the receiver reads."
)
@click.option("--description", default="", help="What it is for.")
@json_option
@click.pass_obj
def create(
    invocation: Invocation,
    *,
    url: str,
    account: str | None,
    types: tuple[str, ...],
    accounts: tuple[str, ...],
    format_: str,
    description: str,
    as_json: bool,
) -> None:
    """Send alerts to URL from now on; show the secret that signs them this once."""
    wanted = NewEndpoint(url, account, separated(types), separated(accounts), format_, description)
    with open_session(invocation, create=True) as service:
        endpoint, secret = create_webhook(service.engine, wanted, service.settings.webhooks, now=service.clock())
    _print_secret(endpoint, secret, f"alerts go to endpoint {endpoint.row.id}", as_json=as_json)


@webhooks.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List the endpoints, and how they do."""
    with open_session(invocation) as service:
        found = list_webhooks(service.engine, now=service.clock())
    if as_json:
        print_json({"webhooks": [endpoint_json(each) for each in found]})
        return
    if not found:
        echo("there is no endpoint; `metering webhooks create URL` makes one")
        return
    print_table(
        [Column("id", "count"), Column("sends to", "name"), Column("alerts", "name"), Column("about", "name"),
         Column("state", "name"), Column("sent", "count"), Column("to send", "count"), Column("not sent", "count")],
        [
            [
                each.row.id,
                each.row.shown_url,
                ", ".join(sorted(each.row.filter.types)) or "all",
                _about(each),
                _state_in_short(each),
                each.deliveries.get("delivered", 0),
                each.deliveries.get("pending", 0),
                each.deliveries.get("failed", 0) + each.deliveries.get("held", 0),
            ]
            for each in found
        ],
    )  # fmt: skip


@webhooks.command()
@click.argument("webhook", type=_ID)
@json_option
@click.pass_obj
def show(invocation: Invocation, *, webhook: int, as_json: bool) -> None:
    """Show the endpoint WEBHOOK; never its secrets."""
    with open_session(invocation) as service:
        endpoint = show_webhook(service.engine, webhook, now=service.clock())
    _show(endpoint, as_json=as_json)


def _change_of(
    *,
    url: str | None,
    types: tuple[str, ...],
    all_types: bool,
    accounts: tuple[str, ...],
    all_accounts: bool,
    description: str | None,
    enabled: bool | None,
    webhook: int,
    as_json: bool,
) -> tuple[int, EndpointChange, bool]:
    if (types and all_types) or (accounts and all_accounts):
        raise click.UsageError("say which, or all of them, not both")
    change = EndpointChange(
        url=url,
        types=separated(types) if types or all_types else None,
        accounts=separated(accounts) if accounts or all_accounts else None,
        description=description,
        enabled=enabled,
    )
    return webhook, change, as_json


@webhooks.command()
@click.argument("webhook", type=_ID)
@click.option("--url", metavar="URL", help="Another address.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help=f"{_TYPES} Takes the place of those before.")
@click.option("--all-types", is_flag=True, help="Send alerts of every type.")
@click.option("--only-account", "accounts", multiple=True, metavar="NAME", help=_ACCOUNTS)
@click.option("--all-accounts", is_flag=True, help="Send alerts about every account.")
@click.option("--description", help="What it is for.")
@click.option("--enable/--disable", "enabled", default=None, help="Send again, or send nothing for now and keep it.")
@json_option
@click.pass_obj
@collected(_change_of)
def change(invocation: Invocation, asked: tuple[int, EndpointChange, bool]) -> None:
    """Change the endpoint WEBHOOK; what is not said stays.

    What was held while it was disabled is sent by `metering webhooks redeliver`.
    """
    webhook, wanted, as_json = asked
    with open_session(invocation) as service:
        settings, now = service.settings.webhooks, service.clock()
        endpoint = change_webhook(service.engine, webhook, wanted, settings, now=now)
    _show(endpoint, as_json=as_json)


@webhooks.command()
@click.argument("webhook", type=_ID)
@json_option
@click.pass_obj
def delete(invocation: Invocation, *, webhook: int, as_json: bool) -> None:
    """Delete the endpoint WEBHOOK with its secrets and what was to be sent to it."""
    with open_session(invocation) as service:
        delete_webhook(service.engine, webhook, now=service.clock())
    if as_json:
        print_json({"id": webhook, "deleted": True})
    else:
        echo(f"deleted endpoint {webhook}")


@webhooks.command()
@click.argument("webhook", type=_ID)
@click.option(
    "--overlap",
    type=click.IntRange(0, MAX_OVERLAP_HOURS),
    default=DEFAULT_OVERLAP_HOURS,
    show_default=True,
    metavar="HOURS",
    help="For how long former secrets sign too, at most; 0: no longer, one is known to somebody.",
)
@json_option
@click.pass_obj
def rotate(invocation: Invocation, *, webhook: int, overlap: int, as_json: bool) -> None:
    """Give the endpoint WEBHOOK a new secret, and show it this once."""
    with open_session(invocation) as service:
        endpoint, secret = rotate_webhook(
            service.engine, webhook, service.settings.webhooks, overlap_hours=overlap, now=service.clock()
        )
    until = f"the former one signs too for {overlap} h" if overlap else "no former one signs any longer"
    _print_secret(endpoint, secret, f"endpoint {webhook} has a new secret; {until}", as_json=as_json)


def _print_secret(endpoint: EndpointDetails, secret: str, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**endpoint_json(endpoint), "secret": secret})
        return
    echo(secret)
    warn(f"{what}; its secret is not shown again")


def _show(endpoint: EndpointDetails, *, as_json: bool) -> None:
    if as_json:
        print_json(endpoint_json(endpoint))
        return
    row = endpoint.row
    echo(f"endpoint   {row.id}{f', {sanitize(row.description)}' if row.description else ''}")
    echo(f"sends to   {sanitize(row.shown_url)} ({row.format})")
    echo(f"alerts     {', '.join(sorted(row.filter.types)) or 'all'}")
    echo(f"about      {sanitize(_about(endpoint))}")
    echo(f"state      {_state(endpoint)}")
    echo(f"secrets    {'; '.join(_secret_words(endpoint))}")
    echo(f"sent       {_counted(endpoint.deliveries) or 'nothing yet'}")
    echo(f"created    {format_instant(row.created_at)[:10]}")


def _about(endpoint: EndpointDetails) -> str:
    if endpoint.account is not None:
        return endpoint.account
    return ", ".join(endpoint.accounts) or "(all)"


def _state_in_short(endpoint: EndpointDetails) -> str:
    if endpoint.row.disabled_at is not None:
        return f"disabled ({endpoint.row.disabled_reason})"
    return "enabled" if endpoint.row.failing_since is None else "failing"


def _state(endpoint: EndpointDetails) -> str:
    row = endpoint.row
    if row.disabled_at is not None:
        why = {"asked": "as asked", "gone": "the receiver answered 410", "failing": "it failed for five days"}
        return f"disabled {format_instant(row.disabled_at)[:10]}, {why[row.disabled_reason]}"
    return "enabled" if row.failing_since is None else f"failing since {format_instant(row.failing_since)[:16]}Z"


def _secret_words(endpoint: EndpointDetails) -> Sequence[str]:
    return [
        f"{'current' if each.expires_at is None else f'former, until {format_instant(each.expires_at)[:16]}Z'}"
        f" (of {format_instant(each.created_at)[:10]})"
        for each in endpoint.secrets
    ]


def _counted(by_status: dict[str, int]) -> str:
    return ", ".join(f"{by_status[status]} {status}" for status in sorted(by_status))
