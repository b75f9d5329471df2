"""``metering keys``: who may use the HTTP API."""

import click

from metering.answers.accounts.api_keys import ApiKeyAnswer, ApiKeyPage, api_key_answer, created_api_key_answer
from metering.cli.arguments import json_option, separated
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.accounts.api_keys import ADMIN, INGEST, READ, SCOPES
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.accounts.manage_keys import NewKey, create_key, list_keys, revoke_key


@click.group()
def keys() -> None:
    """Create and revoke API keys."""


@keys.command()
@click.option("--name", required=True, help="A name for the key.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=(INGEST, READ),
    show_default=True,
    metavar="|".join(SCOPES),
    help=f"What the key may do; repeat, or separate by commas. {ADMIN} includes all others.",
)
@click.option("--account", metavar="NAME", help="Bind the key to this account. Default: all accounts.")
@click.option(
    "--create-accounts",
    "--creates-accounts",
    "creates_accounts",
    is_flag=True,
    help="Let usage sent with the key declare accounts that do not exist.",
)
@json_option
@click.pass_obj
def create(
    invocation: Invocation, *, name: str, scopes: tuple[str, ...], account: str | None, creates_accounts: bool, as_json: bool
) -> None:
    """Create a key and show its token, once."""
    with open_session(invocation, create=True) as service:
        new = NewKey(name, separated(scopes), account, creates_accounts)
        key, token = create_key(service.engine, new, now=service.clock())
        names = account_names(service.engine, [key.account_id])
    if as_json:
        print_json(created_api_key_answer(key, token, names))
        return
    echo(token)
    warn(f"the key {sanitize(name)} has the prefix {key.prefix}; its token will not be shown again")


@keys.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List keys, including revoked ones, without their tokens."""
    with open_session(invocation) as service:
        stored = list_keys(service.engine)
        names = account_names(service.engine, [key.account_id for key in stored])
    page = ApiKeyPage(items=[api_key_answer(key, names) for key in stored], next_cursor=None)
    if as_json:
        print_json(page)
        return
    print_table(
        [Column("prefix"), Column("name", "name"), Column("account", "name"), Column("scopes", "name"), Column("created"),
         Column("revoked")],
        [
            [key.prefix, key.name, key.account or "(all)", _scopes(key), key.created_at[:10], (key.revoked_at or "")[:10]]
            for key in page.items
        ],
    )  # fmt: skip


@keys.command()
@click.argument("prefix")
@json_option
@click.pass_obj
def revoke(invocation: Invocation, *, prefix: str, as_json: bool) -> None:
    """Revoke the key with this PREFIX from now on."""
    with open_session(invocation) as service:
        key = revoke_key(service.engine, prefix, now=service.clock())
        names = account_names(service.engine, [key.account_id])
    if as_json:
        print_json(api_key_answer(key, names))
    else:
        echo(f"revoked {sanitize(prefix)}")


def _scopes(key: ApiKeyAnswer) -> str:
    scopes = ", ".join(key.scopes)
    return f"{scopes} (creates accounts)" if key.creates_accounts else scopes
