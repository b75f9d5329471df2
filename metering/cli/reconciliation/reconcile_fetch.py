"""``metering reconcile fetch``: fetch an invoice from Hugging Face."""

import time

import click
from msgspec import Struct

from metering.cli.arguments import MONTH, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.reconciliation.reconcile_import import finish_import
from metering.cli.session import open_session
from metering.domain.instants import month_of
from metering.operations.reconciliation.fetch_invoice import (
    SESSIONS,
    USAGE,
    BillRequest,
    BillSource,
    NoTokenError,
    fetch_invoice,
)
from metering.outbound.fetch import Clock, FetchLimits, open_fetch


class FetchChoices(Struct, frozen=True):
    """The options of ``fetch``."""

    account: str
    month: int | None
    what: str
    organization: str
    run: bool
    as_json: bool


@click.command()
@click.option("--account", required=True, metavar="NAME", help="Account that is billed, by its name here.")
@click.option("--month", type=MONTH, help="The month. Default: the current one.")
@click.option(
    "--what", type=click.Choice([USAGE, SESSIONS]), default=USAGE, show_default=True, help="The total, or the cost by session."
)
@click.option("--organization", default="", metavar="NAME", help="Hugging Face organization. Default: the token's user.")
@click.option("--run", is_flag=True, help="Reconcile it immediately; exits with 1 as `reconcile run` does.")
@json_option
@click.pass_obj
@collected(FetchChoices)
def fetch(invocation: Invocation, choices: FetchChoices) -> None:
    """Fetch an invoice from Hugging Face and import it.

    The token is read from the environment variable HF_TOKEN and never stored. Fetching the same answer again changes nothing;
    a different answer supersedes the one before.
    """
    token = invocation.environment.get("HF_TOKEN", "")
    if not token:
        raise NoTokenError("HF_TOKEN is not set; Hugging Face requires a token to see what it bills")
    with (
        open_session(invocation) as service,
        open_fetch(FetchLimits(), Clock(time.sleep, time.monotonic), token) as send,
    ):
        now = service.clock()
        wanted = BillRequest(choices.account, choices.month or month_of(now), choices.what, choices.organization)
        imported = fetch_invoice(service.engine, BillSource(send, service.settings.reconcile.billing_url), wanted, now=now)
        finish_import(service, imported, run=choices.run, as_json=choices.as_json)
