"""Bringing a database to a revision of the schema. Alembic's scripts are the only way a schema comes to be."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError
from metering.storage.database import reading

_PACKAGE = Path(__file__).resolve().parent.parent


class SchemaOutOfDateError(DomainError):
    """The database has not been brought to this release's schema."""

    code = "schema_out_of_date"


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


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """Give a write transaction in which a table may be replaced by another one of its name.

    SQLite takes the rows of a dropped table for deleted and looks for what refers to them, unless foreign keys are off; they
    can be switched between transactions only. That every reference leads somewhere is checked before the commit instead.
    """
    with engine.connect().execution_options(metering_writes=True) as connection:
        driver = connection.connection.driver_connection
        if driver is None:
            raise SchemaOutOfDateError("the database connection was lost before the migration began")
        driver.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                yield connection
                dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if dangling is not None:
                    raise SchemaOutOfDateError(
                        f"after the migration a row of {dangling[0]} would refer to nothing; nothing changed"
                    )
        finally:
            driver.execute("PRAGMA foreign_keys = ON")


def current_revision(engine: Engine) -> str | None:
    """Return the revision the database is at; None for an empty one."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


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
