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
CAN_NOT_LISTEN = 1
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
    worker that dies is replaced; one of all processes on a database runs what is scheduled. The exit code is 1 where the
    address can not be listened on.
    """
    _try_address(host, port)
    with open_session(invocation, create=True, log_level=logging.INFO) as service:
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
            log_config=None,  # logging is configured already, here and by the application in each worker
            timeout_worker_healthcheck=WORKER_SILENCE_SECONDS,
        )


def _try_address(host: str, port: int) -> None:
    """End the command in one line where nobody can listen there: a server says it in many, after it has begun to work."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as tried:
                # As the server will: what a former one left waiting to end does not count as taken.
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tried.bind(address)
    except OSError as error:
        told = f"error[address_unusable]: {shown} can not be listened on ({error.strerror}); name another --host or --port"
        if error.errno == errno.EADDRINUSE:
            told = f"error[address_in_use]: {shown} is taken by another process; end that one, or name another with --port"
        click.echo(told, err=True)
        stop(CAN_NOT_LISTEN)
