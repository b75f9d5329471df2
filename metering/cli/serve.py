"""``metering serve``: the HTTP API."""

import click
import uvicorn

from metering.cli.invocation import Invocation
from metering.cli.session import open_session

APP = "metering.asgi:create_app"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0: any free.")
@click.pass_obj
def serve(invocation: Invocation, *, host: str, port: int) -> None:
    """Serve the HTTP API, until it is interrupted.

    The database is made where there is none. One that is behind this release is refused: `metering db upgrade` first.
    """
    with open_session(invocation, create=True):
        pass
    uvicorn.run(APP, factory=True, host=host, port=port)
