"""The API over a real database: clients for each kind of key, and a real server on loopback."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from anyio.from_thread import BlockingPortal, start_blocking_portal
from msgspec.structs import replace
from sqlalchemy import func, select
from starlette.testclient import TestClient

from metering.api.app import create_api
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.operations.service.open_service import Service
from metering.operations.service.settings import read_settings
from metering.storage.tables import metadata
from pricing.bundled import bundled_plans
from pricing.tables import Layer
from support.api_limits import BATCH_EVENTS, BODY_BYTES
from support.builders import price_table, rate
from support.meter import Meter, metered
from support.webhook_builders import webhook_settings


class Api:
    """The API of one database. ``acme`` and ``globex`` are declared, ``llama`` has the price that the builders say."""

    def __init__(self, meter: Meter, portal: BlockingPortal, **ingest_settings) -> None:
        self.meter = meter
        self.portal = portal
        meter.configure(declared_tags=["team"], **ingest_settings)
        settings = replace(
            read_settings({}),
            database_url=meter.url,
            ingest=meter.settings,
            max_body_bytes=BODY_BYTES,
            max_batch_events=BATCH_EVENTS,
            webhooks=webhook_settings(inner_example="127.0.0.1"),
        )
        self.service = Service(meter.engine, meter.ingester, bundled_plans(), settings, lambda: meter.now)
        self.app = create_api(self.service)

    def token(self, *scopes: str, account: str | None = None, creates_accounts: bool = False) -> str:
        """Return the token of a new key."""
        wanted = NewKey("test", list(scopes), account, creates_accounts)
        return create_key(self.meter.engine, wanted, now=self.meter.now)[1]

    def client(self, *scopes: str, account: str | None = None, creates_accounts: bool = False) -> TestClient:
        """Return a client with a new key; without scopes, one that sends none."""
        headers = {}
        if scopes:
            token = self.token(*scopes, account=account, creates_accounts=creates_accounts)
            headers["authorization"] = f"Bearer {token}"
        client = TestClient(self.app, headers=headers)
        client.portal = self.portal  # else each request would start a thread with an event loop
        return client

    def close(self) -> None:
        """End what began with the first events: a thread that waits for more."""
        self.app.state.intake.close()


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """The event loop of all requests that are not made over a socket."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def api(meter, portal) -> Iterator[Api]:
    """The API with two accounts and nothing ingested."""
    meter.declare("globex")
    made = Api(meter, portal)
    yield made
    made.close()


@pytest.fixture(scope="module")
def refusing(databases, portal):
    """The same, shared by tests that have it refuse things or only look: that nothing was kept is looked at in the end."""
    with metered(databases) as meter:
        meter.declare("acme")
        meter.record_prices()
        meter.declare("globex")
        shared = Api(meter, portal)
        before = _kept(meter)
        yield shared
        shared.close()
        assert _kept(meter) == before


def _kept(meter: Meter) -> dict[str, int]:
    """Return how many rows each table has; keys are made by the tests themselves."""
    tables = [table for name, table in metadata.tables.items() if name != "api_keys"]
    return {table.name: meter.rows(select(func.count()).select_from(table))[0][0] for table in tables}


@pytest.fixture(scope="module")
def refused(refusing: Api) -> TestClient:
    """A client whose key may do everything, but what it sends is refused."""
    return refusing.client("admin")


@pytest.fixture(scope="module")
def refused_acme(refusing: Api) -> TestClient:
    """The same with a key that is bound to acme."""
    return refusing.client("admin", account="acme")


@pytest.fixture
def admin(api: Api) -> TestClient:
    """A client whose key may do everything."""
    return api.client("admin")


@pytest.fixture
def acme(api: Api) -> TestClient:
    """A client whose key is bound to acme and may do everything there."""
    return api.client("admin", account="acme")


@pytest.fixture
def serve() -> Callable[..., AbstractContextManager[str]]:
    """A context manager that serves an application on loopback and gives its address."""
    return serving


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[str]:
    """Serve ``app`` with uvicorn in a thread; give the address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        assert thread.is_alive(), "the server stopped"
        time.sleep(0.02)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def live(api, serve):
    """A real HTTP client (with an admin key) of a real server."""
    headers = {"authorization": f"Bearer {api.token('admin')}"}
    with serve(api.app) as address, httpx.Client(base_url=address, headers=headers, timeout=20, verify=False) as client:
        yield client


@pytest.fixture
def own_prices(api):
    """A function that records a price of an account's own."""

    def record(account: str, source: str) -> None:
        account_id = show_account(api.meter.engine, account).id
        api.meter.record_prices(price_table(rate(5), source=source, layer=Layer.ACCOUNT, account_id=account_id))

    return record
