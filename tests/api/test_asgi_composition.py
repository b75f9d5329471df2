"""``metering.asgi`` reads the environment, ``.env`` and the clock."""

import logging
import time

import pytest
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from metering.asgi import create_app
from metering.domain.instants import parse_instant
from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.operations.service.setting_row import SettingsError
from support.loopback_source import answer, models, source
from support.receiver import receiver


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("METERING_DATABASE_URL", "METERING_MAX_BODY_BYTES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("METERING_SYNC_INTERVAL_MINUTES", "0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_missing_database_is_created_at_the_configured_url(folder, monkeypatch):
    monkeypatch.setenv("METERING_DATABASE_URL", f"sqlite:///{folder}/elsewhere.db")
    with TestClient(create_app()) as client:
        assert client.get("/readyz").status_code == 200
    assert (folder / "elsewhere.db").exists()


def test_the_env_file_adds_what_the_environment_does_not_set(folder, monkeypatch):
    (folder / ".env").write_text("METERING_DATABASE_URL=sqlite:///here.db\nMETERING_MAX_BODY_BYTES=17\nOTHER=x\nEMPTY\n")
    monkeypatch.setenv("METERING_MAX_BODY_BYTES", "18")
    app = create_app()
    assert app.state.service.settings.max_body_bytes == 18
    assert (folder / "here.db").exists()
    app.state.service.engine.dispose()


def test_an_unknown_variable_prevents_the_start(folder, monkeypatch):
    monkeypatch.setenv("METERING_DATABASE", "x")
    with pytest.raises(SettingsError, match="METERING_DATABASE is not a setting"):
        create_app()


def test_the_clock_is_the_time_in_microseconds(folder):
    app = create_app()
    assert abs(app.state.service.clock() - time.time() * 1e6) < 60e6
    assert app.state.service.clock() > parse_instant("2024-01-01T00:00:00Z")
    app.state.service.engine.dispose()


def test_after_shutdown_only_the_database_file_remains(folder, monkeypatch):
    monkeypatch.setenv("METERING_DATABASE_URL", f"sqlite:///{folder}/m.db")
    with TestClient(create_app()) as client:
        client.get("/readyz")
    assert sorted(path.name for path in folder.iterdir()) == ["m.db"]


def wait_for(client, headers, condition):
    end = time.monotonic() + 20
    while not condition(page := client.get("/v1/prices/syncs", headers=headers).json()):
        assert time.monotonic() < end, page
        time.sleep(0.02)
    return page


def test_the_server_fetches_prices_and_leaves_no_lock_file(folder, monkeypatch):
    monkeypatch.setenv("METERING_DATABASE_URL", f"sqlite:///{folder}/m.db")
    monkeypatch.setenv("METERING_SYNC_INTERVAL_MINUTES", "60")
    monkeypatch.setenv("METERING_SYNC_MAX_CHANGED_PERCENT", "100")
    monkeypatch.setenv("METERING_SYNC_MAX_VANISHED_PERCENT", "100")
    with source(models(("new-model", "together", 1, 2))) as router:
        monkeypatch.setenv("METERING_ROUTER_URL", router.url)
        app = create_app()
        _, token = create_key(app.state.service.engine, NewKey("k", ["read"]), now=app.state.service.clock())
        headers = {"authorization": f"Bearer {token}"}
        with TestClient(app) as client:
            page = wait_for(client, headers, lambda page: page["items"])
            assert (folder / "m.db.leader").exists()
            prices = client.get("/v1/prices?model=new-model", headers=headers).json()["items"]
        assert [item["outcome"] for item in page["items"]] == ["recorded"]
        assert [price["layer"] for price in prices] == ["route"]
        assert len(router.requests) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["m.db"]


def test_the_server_stops_at_once_while_a_retry_is_waiting(folder, monkeypatch, caplog):
    monkeypatch.setenv("METERING_SYNC_INTERVAL_MINUTES", "60")
    with source(answer(status="429 Too Many Requests", retry_after="9")) as router:
        monkeypatch.setenv("METERING_ROUTER_URL", router.url)
        with TestClient(create_app()):
            end = time.monotonic() + 20
            while not router.requests:
                assert time.monotonic() < end
                time.sleep(0.02)
            began = time.monotonic()
        assert time.monotonic() - began < 5
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_server_sends_webhooks_and_keeps_their_key_next_to_the_database(folder, monkeypatch):
    monkeypatch.setenv("METERING_DATABASE_URL", f"sqlite:///{folder}/m.db")
    for name in ("METERING_WEBHOOK_HTTP_HOSTS", "METERING_WEBHOOK_PRIVATE_HOSTS"):
        monkeypatch.setenv(name, "127.0.0.1")
    with receiver() as there:
        app = create_app()
        _, token = create_key(app.state.service.engine, NewKey("k", ["admin"]), now=app.state.service.clock())
        with TestClient(app, headers={"authorization": f"Bearer {token}"}) as client:
            made = client.post("/v1/webhooks", json={"url": there.url}).json()
            sent = client.post("/v1/webhooks/1/test").json()
            (request,) = there.wait_for(1)
        assert request.id == sent["webhook_id"]
        assert Webhook(made["secret"]).verify(request.body, request.headers)["type"] == "webhook.test"
    assert sorted(path.name for path in folder.iterdir()) == ["m.db", "m.db.key"]
