"""Connect Alembic to the database: through the connection passed in, else to METERING_DATABASE_URL."""

import os

from alembic import context
from sqlalchemy import Connection

from metering.storage.engine.database import migration_transaction, open_database
from metering.storage.tables import metadata


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with migration_transaction(open_database(os.environ.get("METERING_DATABASE_URL", "sqlite:///metering.db"))) as opened:
        migrate(opened)
