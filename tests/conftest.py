"""Fixtures for all tests. The database is a real file, and its schema came to be through the real migrations, once a run."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from command_line import CommandLine
from meter import Meter

from metering.storage.database import open_database
from metering.storage.migrate import upgrade


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    """A migrated, empty database file, to be copied and never written to."""
    path = tmp_path_factory.mktemp("migrated") / "metering.db"
    engine = open_database(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def new_meter(migrated_file, tmp_path):
    """A function that returns another empty, migrated database at each call."""
    made = []

    def make() -> Meter:
        path = tmp_path / f"metering-{len(made)}.db"
        shutil.copy(migrated_file, path)
        made.append(Meter(path))
        return made[-1]

    yield make
    for meter in made:
        meter.engine.dispose()


@pytest.fixture
def bare_meter(new_meter):
    """A migrated database with no account declared and no price recorded."""
    return new_meter()


@pytest.fixture
def meter(bare_meter):
    """A migrated database with the account ``acme`` and the price of ``llama``."""
    bare_meter.declare("acme")
    bare_meter.record_prices()
    return bare_meter


@pytest.fixture
def command_line(tmp_path):
    """The command line on an empty folder, on 2026-12-05."""
    return CommandLine(tmp_path)
