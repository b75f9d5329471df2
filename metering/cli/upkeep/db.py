"""``metering db``: upgrade the database."""

from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from metering.answers.upkeep.readiness import UpgradeAnswer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.session import database_failure, settings_of
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import echo, print_json
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.storage.engine.database import open_database
from metering.storage.engine.schema_revision import head_revision


@click.group()
def db() -> None:
    """Upgrade the database."""


@db.command()
@json_option
@click.pass_obj
def upgrade(invocation: Invocation, *, as_json: bool) -> None:
    """Upgrade the database to this release: its schema, and the bundled prices.

    Creates the database if it does not exist. Does nothing if it is up to date.
    """
    settings = settings_of(invocation)
    engine = open_database(settings.database_url)
    try:
        tables = upgrade_database(engine, now=invocation.clock())
    except DBAPIError as error:
        raise database_failure(settings.database_url, error) from error
    finally:
        engine.dispose()
    if as_json:
        print_json(UpgradeAnswer(revision=head_revision(), price_tables_added=tables))
        return
    where = engine.url.database
    shown = Path(where).name if where else engine.url.render_as_string(hide_password=True)
    echo(f"{shown} is at revision {head_revision()}; added {counted(tables, 'price table')}")
