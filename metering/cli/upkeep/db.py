"""``metering db``: the database itself."""

from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from metering.answers.upkeep.readiness import UpgradeAnswer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.session import DatabaseFailureError, settings_of
from metering.cli.terminal.output import echo, print_json
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.storage.engine.database import open_database, without_password
from metering.storage.engine.schema_revision import head_revision


@click.group()
def db() -> None:
    """Bring the database to this release."""


@db.command()
@json_option
@click.pass_obj
def upgrade(invocation: Invocation, *, as_json: bool) -> None:
    """Bring the database to this release: its schema, and the prices that the release carries.

    Makes the database where there is none. What is up to date stays as it is.
    """
    settings = settings_of(invocation)
    engine = open_database(settings.database_url)
    try:
        tables = upgrade_database(engine, now=invocation.clock())
    except DBAPIError as error:
        raise DatabaseFailureError(f"{without_password(settings.database_url)}: {error.orig}") from error
    finally:
        engine.dispose()
    if as_json:
        print_json(UpgradeAnswer(revision=head_revision(), price_tables_added=tables))
        return
    where = engine.url.database
    shown = Path(where).name if where else engine.url.render_as_string(hide_password=True)
    echo(f"{shown} is at revision {head_revision()}; {tables:,} price tables were new")
