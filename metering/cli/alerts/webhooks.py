"""``metering webhooks``: where alerts are sent, and the outcome of sending them."""

from collections.abc import Mapping, Sequence

import click

from metering.answers.alerts.webhooks import (
    DeletedWebhookAnswer,
    WebhookAnswer,
    WebhookPage,
    WebhookSecretAnswer,
    webhook_answer,
    webhook_with_secret_answer,
)
from metering.cli.alerts.webhook_deliveries import deliveries, redeliver, test
from metering.cli.arguments import collected, json_option, separated
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.alerts.alert_types import ALERT_TYPES
from metering.domain.alerts.webhook_deliveries import DELIVERED, FAILED, HELD, PENDING
from metering.domain.alerts.webhook_messages import FORMATS, STANDARD
from metering.domain.alerts.webhooks import ASKED, FAILING, GONE, EndpointDetails
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
_TYPES = f"An alert type to send; repeat, or separate by commas. Types: {', '.join(ALERT_TYPES)}."
_ACCOUNTS = "Send only alerts about this account, for an operator's endpoint; repeat, or separate by commas."
_REASONS = {ASKED: "on request", GONE: "the receiver answered 410", FAILING: "it failed for five days"}


@click.group()
def webhooks() -> None:
    """Manage webhook endpoints for alerts."""


webhooks.add_command(deliveries)
webhooks.add_command(redeliver)
webhooks.add_command(test)


@webhooks.command()
@click.argument("url")
@click.option(
    "--account",
    metavar="NAME",
    help="Account that owns the endpoint; it receives only that account's alerts. Default: the operator, all accounts.",
)
@click.option("--type", "types", multiple=True, metavar="TYPE", help=f"{_TYPES} Default: all.")
@click.option("--only-account", "accounts", multiple=True, metavar="NAME", help=f"{_ACCOUNTS} Default: all.")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default=STANDARD, show_default=True, help="Format of the messages."
)
@click.option("--description", default="", help="What the endpoint is for.")
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
    """Send alerts to URL from now on. Prints the signing secret, which is shown only once."""
    new = NewEndpoint(url, account, separated(types), separated(accounts), format_, description)
    with open_session(invocation, create=True) as service:
        details, secret = create_webhook(service.engine, new, service.settings.webhooks, now=service.clock())
    _print_secret(details, secret, f"created endpoint {details.endpoint.id}", as_json=as_json)


@webhooks.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List webhook endpoints with their status."""
    with open_session(invocation) as service:
        endpoints = list_webhooks(service.engine, now=service.clock())
    page = WebhookPage(items=[webhook_answer(each) for each in endpoints], next_cursor=None)
    if as_json:
        print_json(page)
        return
    if not page.items:
        echo("no webhook endpoints; create one with `metering webhooks create URL`")
        return
    print_table(
        [Column("id", "count"), Column("url", "name"), Column("alerts", "name"), Column("accounts", "name"),
         Column("status", "name"), Column("delivered", "count"), Column("pending", "count"), Column("undelivered", "count")],
        [
            [
                each.id,
                each.url,
                ", ".join(each.types) or "all",
                _accounts(each),
                _short_status(each),
                each.deliveries.get(DELIVERED, 0),
                each.deliveries.get(PENDING, 0),
                each.deliveries.get(FAILED, 0) + each.deliveries.get(HELD, 0),
            ]
            for each in page.items
        ],
    )  # fmt: skip


@webhooks.command()
@click.argument("webhook", type=_ID)
@json_option
@click.pass_obj
def show(invocation: Invocation, *, webhook: int, as_json: bool) -> None:
    """Show an endpoint, by its id, without its secrets."""
    with open_session(invocation) as service:
        details = show_webhook(service.engine, webhook, now=service.clock())
    _show(details, as_json=as_json)


def _change_options(
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
    if types and all_types:
        raise click.UsageError("give either --type or --all-types, not both")
    if accounts and all_accounts:
        raise click.UsageError("give either --only-account or --all-accounts, not both")
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
@click.option("--url", metavar="URL", help="A new URL.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help=f"{_TYPES} Replaces the previous types.")
@click.option("--all-types", is_flag=True, help="Send alerts of every type.")
@click.option("--only-account", "accounts", multiple=True, metavar="NAME", help=f"{_ACCOUNTS} Replaces the previous accounts.")
@click.option("--all-accounts", is_flag=True, help="Send alerts about every account.")
@click.option("--description", help="What the endpoint is for.")
@click.option("--enable/--disable", "enabled", default=None, help="Resume sending, or stop it and hold deliveries.")
@json_option
@click.pass_obj
@collected(_change_options)
def change(invocation: Invocation, options: tuple[int, EndpointChange, bool]) -> None:
    """Change an endpoint, by its id.

    Options that are left out keep their value. Deliveries that were held while it was disabled are sent with `metering
    webhooks redeliver`.
    """
    webhook, changes, as_json = options
    with open_session(invocation) as service:
        settings, now = service.settings.webhooks, service.clock()
        details = change_webhook(service.engine, webhook, changes, settings, now=now)
    _show(details, as_json=as_json)


@webhooks.command()
@click.argument("webhook", type=_ID)
@json_option
@click.pass_obj
def delete(invocation: Invocation, *, webhook: int, as_json: bool) -> None:
    """Delete an endpoint, by its id, with its secrets. Its pending deliveries are canceled."""
    with open_session(invocation) as service:
        delete_webhook(service.engine, webhook, now=service.clock())
    if as_json:
        print_json(DeletedWebhookAnswer(id=webhook, deleted=True))
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
    help="Hours for which previous secrets also sign, at most. Use 0 if one has leaked: it ends them now.",
)
@json_option
@click.pass_obj
def rotate(invocation: Invocation, *, webhook: int, overlap: int, as_json: bool) -> None:
    """Replace the secret of an endpoint, by its id. The new secret is shown only once."""
    with open_session(invocation) as service:
        details, secret = rotate_webhook(
            service.engine, webhook, service.settings.webhooks, overlap_hours=overlap, now=service.clock()
        )
    previous = f"previous secrets also sign for up to {overlap} h" if overlap else "previous secrets no longer sign"
    _print_secret(details, secret, f"endpoint {webhook} has a new secret; {previous}", as_json=as_json)


def _print_secret(details: EndpointDetails, secret: str, outcome: str, *, as_json: bool) -> None:
    if as_json:
        print_json(webhook_with_secret_answer(details, secret))
        return
    echo(secret)
    warn(f"{outcome}; the secret will not be shown again")


def _show(details: EndpointDetails, *, as_json: bool) -> None:
    endpoint = webhook_answer(details)
    if as_json:
        print_json(endpoint)
        return
    echo(f"endpoint    {endpoint.id}{f', {sanitize(endpoint.description)}' if endpoint.description else ''}")
    echo(f"url         {sanitize(endpoint.url)} ({endpoint.format})")
    echo(f"alerts      {', '.join(endpoint.types) or 'all'}")
    echo(f"accounts    {sanitize(_accounts(endpoint))}")
    echo(f"status      {_status(endpoint)}")
    echo(f"secrets     {'; '.join(_secret(each) for each in endpoint.secrets)}")
    echo(f"deliveries  {_counts(endpoint.deliveries) or 'none yet'}")
    echo(f"created     {endpoint.created_at[:10]}")


def _accounts(endpoint: WebhookAnswer) -> str:
    names: Sequence[str] = [endpoint.account] if endpoint.account is not None else endpoint.accounts
    return ", ".join(names) or "(all)"


def _short_status(endpoint: WebhookAnswer) -> str:
    if not endpoint.enabled:
        return f"disabled ({endpoint.disabled_reason})"
    return "enabled" if endpoint.failing_since is None else "failing"


def _status(endpoint: WebhookAnswer) -> str:
    if endpoint.disabled_at is not None:
        return f"disabled on {endpoint.disabled_at[:10]}: {_REASONS[endpoint.disabled_reason]}"
    return "enabled" if endpoint.failing_since is None else f"failing since {_to_minutes(endpoint.failing_since)}"


def _secret(secret: WebhookSecretAnswer) -> str:
    kind = "current" if secret.expires_at is None else f"previous, until {_to_minutes(secret.expires_at)}"
    return f"{kind} (created {secret.created_at[:10]})"


def _to_minutes(instant: str) -> str:
    return f"{instant[:16]}Z"


def _counts(by_status: Mapping[str, int]) -> str:
    return ", ".join(f"{by_status[status]} {status}" for status in sorted(by_status))
