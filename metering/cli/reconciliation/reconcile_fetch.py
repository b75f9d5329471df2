"""``metering reconcile fetch``: ask Hugging Face what it says was used."""

import time

import click
from msgspec import Struct

from metering.cli.arguments import MONTH, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.reconciliation.reconcile import finish_import
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
    """What was asked for on the command line."""

    account: str
    month: int | None
    what: str
    organization: str
    run: bool
    as_json: bool


@click.command()
@click.option("--account", required=True, metavar="NAME", help="Whose bill it is here.")
@click.option("--month", type=MONTH, help="Which month; the current one when nothing is said.")
@click.option(
    "--what", type=click.Choice([USAGE, SESSIONS]), default=USAGE, show_default=True, help="The total, or by session."
)
@click.option("--organization", default="", metavar="NAME", help="The organisation's bill, by its name there.")
@click.option("--run", is_flag=True, help="Reconcile it at once; exit 1 as `reconcile run` does.")
@json_option
@click.pass_obj
@collected(FetchChoices)
def fetch(invocation: Invocation, choices: FetchChoices) -> None:
    """Ask Hugging Face what it bills, and import the answer.

    The token is taken from the environment, HF_TOKEN, and kept nowhere. Asked again, the same answer changes nothing; another
    one supersedes the one before.
    """
    token = invocation.environment.get("HF_TOKEN", "")
    if not token:
        raise NoTokenError("HF_TOKEN is not set: Hugging Face tells nobody without a token what it bills")
    with (
        open_session(invocation) as service,
        open_fetch(FetchLimits(), Clock(time.sleep, time.monotonic), token) as ask,
    ):
        now = service.clock()
        wanted = BillRequest(choices.account, choices.month or month_of(now), choices.what, choices.organization)
        done = fetch_invoice(service.engine, BillSource(ask, service.settings.reconcile.billing_url), wanted, now=now)
        finish_import(service, done, choices.account, run=choices.run, as_json=choices.as_json)
