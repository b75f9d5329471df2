"""Fixtures for all tests. A database is a real one, and its schema came to be through the real migrations, once a run.

Tests of folders in ON_BOTH run on SQLite and on PostgreSQL, unless they say that they are about one of them
(``@pytest.mark.only_on("sqlite")``); all others use SQLite.
"""

import logging
import shutil
import socket
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.command_line import CommandLine
from support.compiled_statements import share_compiled_statements
from support.databases import PostgresDatabases, SqliteDatabases, postgres_server
from support.meter import metered

# Drawing examples takes longer on a busy machine, and that is no failure.
settings.register_profile("metering", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("metering")
share_compiled_statements()

ON_BOTH = {"api", "golden", "operations", "properties", "storage"}
LONG = {"simulation", "properties", "e2e"}


def pytest_generate_tests(metafunc):
    """Run a test that uses a database on each kind of it that it is for."""
    if "databases" in metafunc.fixturenames:
        folder = metafunc.definition.path.relative_to(Path(__file__).parent).parts[0]
        only = metafunc.definition.get_closest_marker("only_on")
        kinds = only.args if only else ("sqlite", "postgresql") if folder in ON_BOTH else ("sqlite",)
        metafunc.parametrize("databases", kinds, indirect=True, scope="session")


def pytest_collection_modifyitems(items):
    """Begin with the files of few and long tests: at the end of a run no worker has half of it before itself."""
    items.sort(key=lambda item: not _is_long(item.path.relative_to(Path(__file__).parent)))


def _is_long(path: Path) -> bool:
    return path.parts[0] in LONG or path.stem.endswith(("survive_kill", "survives_kill"))


@pytest.fixture(autouse=True, scope="session")
def names_are_not_resolved():
    """Resolve no name but that of this machine, as without a network: packages that tests use look some up by themselves."""
    resolve = socket.getaddrinfo

    def resolve_here(host, *rest, **options):
        try:
            ip_address(host or "127.0.0.1")
        except ValueError:
            if host not in ("localhost", b"localhost"):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        return resolve(host, *rest, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolve_here)
        yield


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """Undo what a command or a server configured: another test would see records that it does not expect."""
    loggers = [logging.getLogger(name) for name in (None, "metering")]
    levels, handlers = [each.level for each in loggers], list(loggers[0].handlers)
    yield
    for each, level in zip(loggers, levels, strict=True):
        each.setLevel(level)
    for handler in set(loggers[0].handlers) - set(handlers):
        loggers[0].removeHandler(handler)


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory):
    """Database files."""
    return SqliteDatabases(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres_databases():
    """Databases of a PostgreSQL server that lives as long as the run."""
    with postgres_server() as url:
        databases = PostgresDatabases(url)
        yield databases
        databases.close()


@pytest.fixture(scope="session")
def databases(request):
    """Where databases of the kind come from that the test is run on."""
    return request.getfixturevalue({"sqlite": "sqlite_databases", "postgresql": "postgres_databases"}[request.param])


@pytest.fixture
def new_meter(databases):
    """A function that returns another empty, migrated database at each call."""
    with ExitStack() as made:
        yield lambda: made.enter_context(metered(databases))


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


@pytest.fixture(scope="session")
def created_database(tmp_path_factory):
    """The database file that the first command on 2026-12-05 creates."""
    line = CommandLine(tmp_path_factory.mktemp("created"))
    line.done("db", "upgrade")
    return line.database


@pytest.fixture
def new_command_line(created_database):
    """A function that returns the command line on a folder with nothing but a database with bundled prices, on 2026-12-05."""

    def make(folder: Path) -> CommandLine:
        folder.mkdir(exist_ok=True)
        line = CommandLine(folder)
        shutil.copy(created_database, line.database)
        return line

    return make


@pytest.fixture
def command_line(new_command_line, tmp_path):
    """The command line on 2026-12-05."""
    return new_command_line(tmp_path)


@pytest.fixture
def first_command_line(tmp_path):
    """The command line on an empty folder, on 2026-12-05: the first command creates the database."""
    return CommandLine(tmp_path)
