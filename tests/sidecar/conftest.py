"""An upstream, and a sidecar in front of it, per module. The project of an event says which test it belongs to."""

from itertools import count

import pytest

from metering.operations.accounts.manage_accounts import declare_account
from metering.storage.engine.database import open_database
from support.builders import NOW
from support.canned_answers import canned
from support.raw_client import RawClient
from support.running_sidecar import RunningSidecar
from support.upstream_server import UpstreamServer

_projects = count(1)


@pytest.fixture(scope="module")
def module_upstream():
    """The scripted upstream of a module."""
    with UpstreamServer(canned) as server:
        yield server


@pytest.fixture
def upstream(module_upstream):
    """The scripted upstream, with nothing scripted and nothing received."""
    module_upstream.clear()
    module_upstream.respond = canned
    return module_upstream


@pytest.fixture(scope="module")
def new_database(sqlite_databases):
    """A function that returns the URL of another database with the account ``acme``."""

    def make():
        url = sqlite_databases.new()
        engine = open_database(url)
        declare_account(engine, "acme", now=NOW)
        engine.dispose()
        return url

    return make


@pytest.fixture(scope="module")
def start_sidecar(new_database, tmp_path_factory):
    """A function that starts a sidecar with its own folder and database; by its command if options are given.

    All end with the module.
    """
    started = []

    def start(upstream, *options, url=None, folder=None, **settings):
        folder = folder or tmp_path_factory.mktemp("sidecar")
        url = new_database() if url is None else url
        if options and "--service" not in options:
            options = ("--account", "acme", *options)
        sidecar = RunningSidecar(folder, upstream, url, *options, **{"is_router": "yes", **settings})
        started.append(sidecar)
        return sidecar.wait_until_it_listens()

    yield start
    for sidecar in started:
        sidecar.clear_away()


@pytest.fixture(scope="module")
def sidecar(module_upstream, start_sidecar):
    """The sidecar of a module, which stands for the router's and accounts to ``acme``."""
    return start_sidecar(module_upstream.url, drain_seconds="1")


@pytest.fixture
def project():
    """A name that no other test uses."""
    return f"project-{next(_projects)}"


@pytest.fixture
def raw(sidecar):
    """A new connection to the sidecar."""
    with RawClient(sidecar.port) as client:
        yield client
