"""Migrating a database to a revision of the schema. Alembic's scripts are the only way to create or change a schema."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from metering.storage.engine.database import migration_transaction
from metering.storage.engine.schema_revision import migrations_folder


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Upgrade the database to ``revision``, completely or not at all."""
    with migration_transaction(engine) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Downgrade the database to ``revision`` (``base`` is empty)."""
    with migration_transaction(engine) as connection:
        command.downgrade(_config(connection), revision)


def _config(connection: object) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
