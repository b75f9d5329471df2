"""``metering serve``: the HTTP API."""

import logging

import click
import uvicorn

from metering.cli.invocation import Invocation
from metering.cli.listening import try_address
from metering.cli.session import open_session
from metering.cli.upkeep.sidecar import DEFAULT_SOURCE, ROUTER_URL
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.service.sidecar_settings import SidecarStart
from metering.runtime.shared_metrics import shared_metrics
from metering.runtime.sidecar_process import sidecar_alongside
from metering.storage.engine.database import is_server

APP = "metering.asgi:create_app"
MAX_WORKERS = 64
# A worker that does not respond for this long is replaced. It does not respond while it imports, which takes seconds on a busy
# machine.
WORKER_TIMEOUT_SECONDS = 30


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0: any free.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, MAX_WORKERS),
    help="Number of processes that share the port; more than one needs PostgreSQL.",
)
@click.option("--access-log/--no-access-log", default=False, show_default=True, help="Log a line for each request.")
@click.option("--sidecar", is_flag=True, help="Also run the sidecar, which passes requests on and meters them.")
@click.option(
    "--sidecar-port", default=8787, show_default=True, type=click.IntRange(1, 65535), help="Port that the sidecar listens on."
)
@click.option("--sidecar-upstream", default=ROUTER_URL, show_default=True, help="Where the sidecar passes requests on to.")
@click.option("--sidecar-account", default="", help="Account of requests that name none.  [default: none; usage is unassigned]")
@click.pass_obj
def serve(
    invocation: Invocation,
    *,
    host: str,
    port: int,
    workers: int,
    access_log: bool,
    sidecar: bool,
    sidecar_port: int,
    sidecar_upstream: str,
    sidecar_account: str,
) -> None:
    """Serve the HTTP API until interrupted.

    Creates the database if it does not exist. A database of an earlier release is refused: run `metering db upgrade` first. A
    worker that dies is replaced. Of all processes on a database, one runs the scheduled jobs. The exit code is 1 if the
    address cannot be used.

    With --sidecar, `metering sidecar` runs in a separate process on the same database. It is started again if it ends, and
    ends with this command.
    """
    try_address(host, port)
    if sidecar:
        try_address(host, sidecar_port, option="--sidecar-port")
    with open_session(invocation, create=True, log_level=logging.INFO) as service:
        if workers > 1 and not is_server(service.engine):
            raise click.UsageError(
                "--workers needs PostgreSQL: a SQLite file has one writer, and a second process would only wait for it;"
                " use one worker, or set METERING_DATABASE_URL to a PostgreSQL database"
            )
        if sidecar and sidecar_account:
            show_account(service.engine, sidecar_account)
        settings = service.settings
    start = None
    if sidecar:
        start = SidecarStart(
            host=host,
            port=sidecar_port,
            upstream=sidecar_upstream,
            account=sidecar_account,
            service="",
            source=DEFAULT_SOURCE,
            settings=settings.sidecar,
            log_level=settings.logs.level,
            log_as_json=settings.logs.as_json,
        )
    with sidecar_alongside(start), shared_metrics(workers):
        uvicorn.run(
            APP,
            factory=True,
            host=host,
            port=port,
            workers=workers,
            access_log=access_log,
            log_config=None,  # logging is configured already, here and by the application in each worker
            timeout_worker_healthcheck=WORKER_TIMEOUT_SECONDS,
        )
