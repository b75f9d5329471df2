"""Bringing a database to a revision of the schema. Alembic's scripts are the only way a schema comes to be."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from metering.storage.database import migrating, reading
from metering.storage.errors import SchemaOutOfDateError

__all__ = [
    "SchemaOutOfDateError",
    "current_revision",
    "downgrade",
    "head_revision",
    "is_empty",
    "migrations_folder",
    "require_current_schema",
    "upgrade",
]

_PACKAGE = Path(__file__).resolve().parent.parent


def migrations_folder() -> Path:
    """Return where the scripts are: inside an installed package, or beside it in a checkout."""
    installed = _PACKAGE / "migrations"
    return installed if installed.is_dir() else _PACKAGE.parent / "migrations"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database up to ``revision``; all of it or nothing."""
    with migrating(engine) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Bring the database down to ``revision`` (``base`` is empty)."""
    with migrating(engine) as connection:
        command.downgrade(_config(connection), revision)


def current_revision(engine: Engine) -> str | None:
    """Return the revision the database is at; None for an empty one."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_empty(engine: Engine) -> bool:
    """Whether the database has no table at all: nobody has made it yet."""
    with reading(engine) as connection:
        return not inspect(connection).get_table_names()


def head_revision() -> str:
    """Return the newest revision this release knows."""
    head = ScriptDirectory.from_config(_config(None)).get_current_head()
    if head is None:
        raise SchemaOutOfDateError(f"no migrations were found in {migrations_folder()}")
    return head


def require_current_schema(engine: Engine) -> None:
    """Raise SchemaOutOfDateError unless the database is at this release's schema."""
    current, head = current_revision(engine), head_revision()
    if current != head:
        raise SchemaOutOfDateError(
            f"the database is at revision {current or 'none'}, this release needs {head}: run `metering db upgrade`"
        )


def _config(connection: object) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
