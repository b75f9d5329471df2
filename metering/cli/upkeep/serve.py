"""``metering serve``: the HTTP API."""

import errno
import logging
import socket

import click
import uvicorn

from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.runtime.shared_metrics import shared_metrics
from metering.storage.engine.database import is_server

APP = "metering.asgi:create_app"
MAX_WORKERS = 64
CANNOT_LISTEN = 1
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
@click.pass_obj
def serve(invocation: Invocation, *, host: str, port: int, workers: int, access_log: bool) -> None:
    """Serve the HTTP API until interrupted.

    Creates the database if it does not exist. A database of an earlier release is refused: run `metering db upgrade` first. A
    worker that dies is replaced. Of all processes on a database, one runs the scheduled jobs. The exit code is 1 if the
    address cannot be used.
    """
    _try_address(host, port)
    with open_session(invocation, create=True, log_level=logging.INFO) as service:
        if workers > 1 and not is_server(service.engine):
            raise click.UsageError(
                "--workers needs PostgreSQL: a SQLite file has one writer, and a second process would only wait for it;"
                " use one worker, or set METERING_DATABASE_URL to a PostgreSQL database"
            )
    with shared_metrics(workers):
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


def _try_address(host: str, port: int) -> None:
    """End the command with one line if the address cannot be used: the server would report it in many, after it has started."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                # As the server does: connections of a previous one that are still closing do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        message = f"error[address_unusable]: cannot listen on {shown} ({error.strerror}); choose another --host or --port"
        if error.errno == errno.EADDRINUSE:
            message = f"error[address_in_use]: {shown} is used by another process; stop it, or choose another --port"
        click.echo(message, err=True)
        stop(CANNOT_LISTEN)
