"""The schema revision of a database, and the one that this release needs; without Alembic, which is slow to import."""

from pathlib import Path

from sqlalchemy import Engine, column, inspect, select, table

from metering.storage.engine.database import read_snapshot
from metering.storage.engine.errors import SchemaOutOfDateError

_PACKAGE = Path(__file__).resolve().parents[2]
# Where Alembic records the revision of a database.
_VERSIONS = table("alembic_version", column("version_num"))


def migrations_folder() -> Path:
    """Return the folder of the scripts: inside an installed package, or next to it in a checkout."""
    installed = _PACKAGE / "migrations"
    return installed if installed.is_dir() else _PACKAGE.parent / "migrations"


def current_revision(engine: Engine) -> str | None:
    """Return the database's revision; None for an empty database."""
    with read_snapshot(engine) as connection:
        if not inspect(connection).has_table(_VERSIONS.name):
            return None
        revision: str | None = connection.execute(select(_VERSIONS.c.version_num)).scalar_one_or_none()
        return revision


def is_empty(engine: Engine) -> bool:
    """Whether the database has no table: it was not created yet."""
    with read_snapshot(engine) as connection:
        return not inspect(connection).get_table_names()


def head_revision() -> str:
    """Return the newest revision of this release, from the number that each script's name begins with."""
    numbers = sorted(script.name.partition("_")[0] for script in (migrations_folder() / "versions").glob("[0-9]*_*.py"))
    if not numbers:
        raise SchemaOutOfDateError(f"no migrations found in {migrations_folder()}")
    return numbers[-1]


def check_revision(current: str | None, head: str) -> None:
    """Raise SchemaOutOfDateError unless a database's revision is that of this release, ``head``."""
    refuse_newer(current, head)
    if current != head:
        raise SchemaOutOfDateError(
            f"the database is at revision {current or 'none'}, this release needs {head}: run `metering db upgrade`"
        )


def refuse_newer(current: str | None, head: str) -> None:
    """Raise SchemaOutOfDateError for a database that a newer release upgraded: this one cannot read or upgrade it."""
    if current is not None and current > head:
        raise SchemaOutOfDateError(
            f"the database is at revision {current}, newer than this release, which knows {head}: install the release that"
            " upgraded it, or a later one, or restore a backup from before the upgrade"
        )


def require_current_schema(engine: Engine) -> None:
    """Raise SchemaOutOfDateError unless the database has this release's schema."""
    check_revision(current_revision(engine), head_revision())
