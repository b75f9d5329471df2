"""``metering keys``: who may use the HTTP API."""

import click

from metering.cli.arguments import json_option, separated
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.accounts.api_keys import ADMIN, INGEST, READ, SCOPES, ApiKey
from metering.domain.instants import format_instant
from metering.operations.accounts.manage_accounts import show_account_by_id
from metering.operations.accounts.manage_keys import NewKey, create_key, list_keys, revoke_key
from metering.operations.service.open_service import Service


@click.group()
def keys() -> None:
    """Create and revoke API keys."""


@keys.command()
@click.option("--name", required=True, help="What to call it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=(INGEST, READ),
    show_default=True,
    metavar="|".join(SCOPES),
    help=f"What the key may do; repeat, or separate by commas. {ADMIN} contains the others.",
)
@click.option("--account", metavar="NAME", help="The one account the key is for; all when nothing is said.")
@click.option("--creates-accounts", is_flag=True, help="Usage it sends may declare accounts that nobody has.")
@json_option
@click.pass_obj
def create(
    invocation: Invocation, *, name: str, scopes: tuple[str, ...], account: str | None, creates_accounts: bool, as_json: bool
) -> None:
    """Create a key, and show its token this once."""
    with open_session(invocation, create=True) as service:
        wanted = NewKey(name, separated(scopes), account, creates_accounts)
        key, token = create_key(service.engine, wanted, now=service.clock())
    if as_json:
        print_json({**_json(key, account), "token": token})
        return
    echo(token)
    warn(f"the key {sanitize(name)} has the prefix {key.prefix}; its token is not shown again")


@keys.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List the keys, revoked ones too; never their tokens."""
    with open_session(invocation) as service:
        found = [(key, _account_name(service, key)) for key in list_keys(service.engine)]
    if as_json:
        print_json({"keys": [_json(key, account) for key, account in found]})
        return
    print_table(
        [Column("prefix"), Column("name", "name"), Column("account", "name"), Column("scopes", "name"), Column("created"),
         Column("revoked")],
        [
            [
                key.prefix,
                key.name,
                account or "(all)",
                _scopes(key),
                format_instant(key.created_at)[:10],
                "" if key.revoked_at is None else format_instant(key.revoked_at)[:10],
            ]
            for key, account in found
        ],
    )  # fmt: skip


@keys.command()
@click.argument("prefix")
@json_option
@click.pass_obj
def revoke(invocation: Invocation, *, prefix: str, as_json: bool) -> None:
    """Revoke the key with this PREFIX, from now on."""
    with open_session(invocation) as service:
        now = service.clock()
        revoke_key(service.engine, prefix, now=now)
    if as_json:
        print_json({"prefix": prefix, "revoked_at": format_instant(now)})
    else:
        echo(f"revoked {sanitize(prefix)}")


def _account_name(service: Service, key: ApiKey) -> str | None:
    if key.account_id is None:
        return None
    account = show_account_by_id(service.engine, key.account_id)
    return None if account is None else account.name


def _scopes(key: ApiKey) -> str:
    scopes = ", ".join(scope for scope in SCOPES if scope in key.scopes)
    return f"{scopes} (creates accounts)" if key.creates_accounts else scopes


def _json(key: ApiKey, account: str | None) -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "account": account,
        "scopes": [scope for scope in SCOPES if scope in key.scopes],
        "creates_accounts": key.creates_accounts,
        "created_at": format_instant(key.created_at),
        "revoked_at": None if key.revoked_at is None else format_instant(key.revoked_at),
    }
