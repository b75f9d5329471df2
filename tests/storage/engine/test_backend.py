"""An engine and all its connections have one backend, the only place that knows which database it is."""

import re

from metering.storage.engine.backend import PerBackend, backend_of
from metering.storage.engine.database import autocommit, concurrent_write, exclusive_write, open_database, read_snapshot
from metering.storage.engine.postgres_backend import PostgresBackend
from metering.storage.engine.sqlite_backend import SqliteBackend
from support.places import ROOT

ASKS_THE_DIALECT = re.compile(r"dialect\.name|get_dialect\(\)|drivername ==")


def test_every_connection_has_the_backend_of_its_engine(bare_meter):
    expected = backend_of(bare_meter.engine)
    for way in (read_snapshot, autocommit, exclusive_write, concurrent_write):
        with way(bare_meter.engine) as connection:
            assert backend_of(connection) is expected


def test_each_opened_database_has_its_own_backend(bare_meter):
    another = open_database(bare_meter.url)
    assert backend_of(another) is not backend_of(bare_meter.engine)
    assert type(backend_of(another)) is type(backend_of(bare_meter.engine))
    another.dispose()


def test_the_backend_is_that_of_the_url(bare_meter):
    expected = SqliteBackend if bare_meter.on_sqlite else PostgresBackend
    assert type(backend_of(bare_meter.engine)) is expected
    assert PerBackend(sqlite=SqliteBackend, postgres=PostgresBackend).of(bare_meter.engine) is expected


def test_no_module_tests_the_dialect():
    asking = [path for path in (ROOT / "metering").rglob("*.py") if ASKS_THE_DIALECT.search(path.read_text())]
    assert asking == []
