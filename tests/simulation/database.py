"""An empty database for each scenario: the same SQLite file, reset to the migrated schema each time."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from metering.storage.engine.database import open_database
from support.databases import SqliteDatabases


@contextmanager
def one_database() -> Iterator[Callable[[], Engine]]:
    """Yield a function that empties the database and returns its engine, with its cache of compiled statements."""
    folder = Path(tempfile.mkdtemp(prefix="metering-simulation-"))
    databases = SqliteDatabases(folder)
    engine = open_database(databases.bare())
    file, migrated = Path(str(engine.url.database)), Path(str(open_database(databases.new()).url.database))

    def emptied() -> Engine:
        engine.dispose()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        shutil.copy(migrated, file)
        return engine

    try:
        yield emptied
    finally:
        engine.dispose()
        shutil.rmtree(folder)
