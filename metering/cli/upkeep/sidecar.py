"""``metering sidecar``: a pass-through in front of the router that meters every request."""

import logging
import os
import sys

import click
import msgspec

from metering.cli.invocation import Invocation
from metering.cli.listening import try_address
from metering.cli.session import DatabaseFailureError, open_session, settings_of
from metering.cli.terminal.output import warn
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.service.settings import Settings
from metering.operations.service.sidecar_settings import SidecarStart

ROUTER_URL = "https://router.huggingface.co"
DEFAULT_SOURCE = "sidecar"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0: any free.")
@click.option("--upstream", default=ROUTER_URL, show_default=True, help="Where requests are passed on to: scheme and host.")
@click.option("--account", default="", help="Account of requests that name none.  [default: none; usage is unassigned]")
@click.option("--source", default=DEFAULT_SOURCE, show_default=True, help="Name of this sidecar in the identity of events.")
@click.option("--service", default="", help="Send events to the API at this URL instead of METERING_DATABASE_URL.")
@click.option("--session-per", type=click.Choice(["project", "key", "user"]), help="Overrides METERING_SIDECAR_SESSION_PER.")
@click.option("--journal", default="", help="Overrides METERING_SIDECAR_JOURNAL.")
@click.pass_obj
def sidecar(
    invocation: Invocation,
    *,
    host: str,
    port: int,
    upstream: str,
    account: str,
    source: str,
    service: str,
    session_per: str | None,
    journal: str,
) -> None:
    """Pass requests on to the Hugging Face router, and meter each of them, until interrupted.

    Applications only change their base URL: http://127.0.0.1:8787/v1 for OpenAI clients, http://127.0.0.1:8787 for Anthropic
    clients. Bodies are passed on unchanged; prompts, answers and tokens are never stored. X-Metering-Project,
    X-Metering-User and X-Metering-Tags (`team=search,env=prod`) label a request and are not passed on.

    Requests that a budget with the action `block` has no room for are refused with 402. With --service, budgets do not block.

    Events are written to a journal before the end of the answer is sent, so nothing is lost while the database is away. Exit
    code 1: the address cannot be used.
    """
    settings = settings_of(invocation, log_level=logging.INFO)
    own = settings.sidecar
    if session_per is not None:
        own = msgspec.structs.replace(own, session_per=session_per)
    if journal:
        own = msgspec.structs.replace(own, journal=journal)
    if service:
        _check_service(settings)
    if port:
        try_address(host, port)
    if not service:
        _prepare_database(invocation, account)
    start = SidecarStart(
        host=host,
        port=port,
        upstream=upstream,
        account=account,
        service=service.rstrip("/"),
        source=source,
        settings=own,
        log_level=settings.logs.level,
        log_as_json=settings.logs.as_json,
    )
    sys.stderr.flush()
    os.execve(  # noqa: S606 - in place of this process, which has more in memory than the sidecar needs
        sys.executable,
        [sys.executable, "-m", "metering.sidecar", msgspec.json.encode(start).decode()],
        dict(invocation.environment),
    )


def _prepare_database(invocation: Invocation, account: str) -> None:
    """Create the database if there is none, and check the account. A server that is away is no reason to stop applications."""
    try:
        with open_session(invocation, create=True, log_level=logging.INFO) as opened:
            if account:
                show_account(opened.engine, account)
    except DatabaseFailureError as error:
        click.echo(f"warning: {error}; requests are passed on, and events wait in the journal", err=True)


def _check_service(settings: Settings) -> None:
    """Raise UsageError for settings that a sidecar with --service cannot fulfill; say what it does not do."""
    if not settings.sidecar_service_key:
        raise click.UsageError("--service needs METERING_SIDECAR_SERVICE_KEY: an API key with the scope ingest")
    if settings.sidecar.when_unknown == "closed":
        raise click.UsageError(
            "METERING_SIDECAR_WHEN_UNKNOWN is closed, but budgets cannot be read with --service, so every request would be"
            " refused; set it to open, or set METERING_DATABASE_URL and leave out --service"
        )
    warn("budgets do not block requests with --service; leave it out and set METERING_DATABASE_URL if they should")
