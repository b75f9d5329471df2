"""The API over a real database file, with two accounts and keys of every kind."""

import shutil

import pytest
from starlette.testclient import TestClient

from metering.api.app import create_api
from metering.domain.instants import parse_instant
from metering.operations.accounts.manage_accounts import declare_account
from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.operations.service.open_service import open_service
from metering.operations.service.settings import read_settings

NOW = parse_instant("2026-11-23T10:00:00Z")


class Api:
    """A client for every kind of key; ``as_`` selects one."""

    def __init__(self, client, service):
        self.client = client
        self.service = service
        self.tokens = {}

    def key(self, name, scopes, account=None):
        self.tokens[name] = create_key(self.service.engine, NewKey(name, scopes, account), now=NOW)[1]

    def as_(self, name):
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    def get(self, path, key="reader", **options):
        return self.client.get(path, headers=self.as_(key) | options.pop("headers", {}), **options)

    def post(self, path, key="admin", **options):
        return self.client.post(path, headers=self.as_(key) | options.pop("headers", {}), **options)


@pytest.fixture(scope="session")
def priced_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("priced") / "metering.db"
    service = open_service(read_settings({"METERING_DATABASE_URL": f"sqlite:///{path}"}), lambda: NOW, create=True)
    service.engine.dispose()
    return path


@pytest.fixture
def api(priced_file, tmp_path):
    shutil.copy(priced_file, tmp_path / "metering.db")
    environment = {
        "METERING_DATABASE_URL": f"sqlite:///{tmp_path / 'metering.db'}",
        "METERING_MAX_BODY_BYTES": "100000",
        "METERING_MAX_BATCH_EVENTS": "50",
    }
    service = open_service(read_settings(environment), lambda: NOW, create=False)
    for name in ("acme", "other"):
        declare_account(service.engine, name, now=NOW)
    with TestClient(create_api(service), raise_server_exceptions=False) as client:
        made = Api(client, service)
        made.key("admin", ["admin"])
        made.key("reader", ["read"])
        made.key("writer", ["ingest"])
        made.key("acme", ["ingest", "read"], "acme")
        made.key("other", ["ingest", "read"], "other")
        yield made
