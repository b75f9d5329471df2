"""``metering serve``: the HTTP API."""

import click
import uvicorn

from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.runtime.shared_metrics import shared_metrics
from metering.storage.database import is_server

APP = "metering.asgi:create_app"
MAX_WORKERS = 64
# A worker that says nothing for so long is replaced. While it imports it says nothing, which takes seconds on a busy machine.
WORKER_SILENCE_SECONDS = 30


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0: any free.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, MAX_WORKERS),
    help="Processes that share the port; more than one needs PostgreSQL.",
)
@click.option("--access-log/--no-access-log", default=False, show_default=True, help="Log a line for each request.")
@click.pass_obj
def serve(invocation: Invocation, *, host: str, port: int, workers: int, access_log: bool) -> None:
    """Serve the HTTP API, until it is interrupted.

    The database is made where there is none. One that is behind this release is refused: `metering db upgrade` first. A
    worker that dies is replaced; one of all processes on a database runs what is scheduled.
    """
    with open_session(invocation, create=True) as service:
        if workers > 1 and not is_server(service.engine):
            raise click.UsageError(
                "--workers needs PostgreSQL: a SQLite file has one writer, and a second process would only wait for it;"
                " serve with one worker, or name a PostgreSQL in METERING_DATABASE_URL"
            )
    with shared_metrics(workers):
        uvicorn.run(
            APP,
            factory=True,
            host=host,
            port=port,
            workers=workers,
            access_log=access_log,
            timeout_worker_healthcheck=WORKER_SILENCE_SECONDS,
        )
