"""``/v1/prices/syncs`` and ``/v1/alerts``: fetch prices, accept a pending sync, and list the alerts."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from metering.api.app import create_api
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.alerts.alerts import NewAlert
from metering.storage.engine.database import exclusive_write
from support.builders import NOW
from support.loopback_source import answer
from support.router import Router, document

DEAR = ("model-0", "together", 20, 2)


@pytest.fixture
def router(api):
    with ExitStack() as stack:
        yield Router(api.meter, stack)


class SyncingClient(TestClient):
    """A client whose ``sync`` fetches from the loopback router a second later."""

    sync: Callable[..., Any]


@pytest.fixture
def client(api, router):
    """A client with an admin key; each ``sync`` fetches from the loopback router a second later."""
    settings = replace(api.service.settings, sync=router.settings)
    client = SyncingClient(create_api(replace(api.service, fetch=router.fetch, settings=settings)))
    client.headers["authorization"] = f"Bearer {api.token('admin')}"

    def sync(*script):
        if script:
            router.respond(*script)
        api.meter.now += 1_000_000
        response = client.post("/v1/prices/sync")
        assert response.status_code == 200, response.text
        return response.json()

    client.sync = sync
    return client


def test_a_sync_returns_its_changes(client):
    client.sync()
    found = client.sync(document(("model-0", "together", 1.5, 2)))
    assert (found["outcome"], found["changed"], found["reasons"], found["error_code"]) == ("recorded", 1, [], "")
    assert found["changes"] == [
        {
            "provider": "together", "model": "model-0", "operation": "", "context_from": 0, "quantity": "input_tokens",
            "change": "raised", "before": {"price_usd": "0.000001000000", "per": 1, "unit": "token"},
            "after": {"price_usd": "0.000001500000", "per": 1, "unit": "token"},
        }
    ]  # fmt: skip
    assert found.pop("health")["last_success_at"] == found["finished_at"]
    assert client.get(f"/v1/prices/syncs/{found['id']}").json() == found
    (price,) = client.get("/v1/prices?model=model-0").json()["items"]
    assert (price["table_id"], price["effective_from"]) == (found["table_id"], found["finished_at"])


def test_a_failed_fetch_is_an_outcome_and_shows_in_the_health(client):
    client.sync()
    found = client.sync(answer(b"<html>", content_type="text/html"))
    assert (found["outcome"], found["error_code"], found["table_id"]) == ("failed", "source_not_json", None)
    health = client.get("/v1/prices/syncs").json()["health"]
    assert health == found["health"]
    assert health == {
        "last_attempt_at": "2026-11-23T10:00:02.000000Z", "last_success_at": "2026-11-23T10:00:01.000000Z",
        "last_failure_at": "2026-11-23T10:00:02.000000Z", "consecutive_failures": 1, "last_error": found["error_message"],
        "waiting": None,
    }  # fmt: skip
    assert "HTML instead of JSON" in health["last_error"]
    assert client.get("/readyz").status_code == 200


def test_a_held_sync_is_pending_until_it_is_accepted(client):
    client.sync()
    pending = client.sync(document(DEAR))
    assert (pending["outcome"], pending["table_id"], pending["decision"]) == ("held", None, None)
    assert [reason["code"] for reason in pending["reasons"]] == ["price_jump"]
    assert client.get("/v1/prices/syncs").json()["health"]["waiting"] == pending["id"]
    accepted = client.post(f"/v1/prices/syncs/{pending['id']}/accept").json()
    assert (accepted["outcome"], accepted["decides"], accepted["changes"]) == ("accepted", pending["id"], pending["changes"])
    decided = client.get(f"/v1/prices/syncs/{pending['id']}").json()
    assert (decided["decision"], decided["decided_by"]) == ("accepted", accepted["id"])
    again = client.post(f"/v1/prices/syncs/{pending['id']}/accept")
    assert (again.status_code, again.json()["code"]) == (409, "not_held")
    (price,) = client.get("/v1/prices?model=model-0").json()["items"]
    assert price["effective_from"] == pending["finished_at"]


def test_a_missing_sync_is_not_found(client):
    for response in (client.get("/v1/prices/syncs/9"), client.post("/v1/prices/syncs/9/accept")):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    for number in (0, -1, 2**63, "x"):
        assert client.get(f"/v1/prices/syncs/{number}").status_code == 422


def test_syncs_are_listed_newest_first_in_pages(client):
    for _ in range(5):
        client.sync()
    found = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(f"/v1/prices/syncs?limit=2{cursor and '&cursor=' + cursor}").json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == [5, 4, 3, 2, 1]
    assert client.get("/v1/prices/syncs?cursor=x").json()["code"] == "invalid_cursor"


def test_a_service_without_an_http_client_fetches_nothing(admin):
    found = admin.post("/v1/prices/sync").json()
    assert (found["outcome"], found["error_code"]) == ("failed", "source_unreachable")


def test_a_recorded_sync_raises_one_alert(client, router):
    client.sync()
    client.sync()
    changed = client.sync(document(("model-0", "together", 1.5, 2)))
    first, second = client.get("/v1/alerts?type=price.changed").json()["items"]
    assert (first["subject"], first["account"], first["threshold"]) == (f"price_table:{changed['table_id']}", None, 0)
    assert (first["occurred_at"], first["data"]["changes"]) == (changed["finished_at"], 1)
    assert second["data"]["changes"] == 20
    assert len(second["data"]["first_changes"]) == 20
    assert first["data"]["first_changes"] == changed["changes"]


@pytest.fixture
def alerted(api):
    """An alert of acme, one of globex, one without an account, in this order."""
    for subject in ("acme", "globex", None):
        account_id = show_account(api.meter.engine, subject).id if subject else None
        alert = NewAlert("usage.unpriced", subject or "all", NOW, json.dumps({}), account_id=account_id)
        with exclusive_write(api.meter.engine) as connection:
            raise_alert(connection, alert, now=NOW)
    return api


def test_a_bound_key_sees_alerts_of_its_own_account_only(alerted):
    def seen(path, **key):
        page = alerted.client("read", **key).get(path).json()
        return [item["subject"] for item in page["items"]]

    assert seen("/v1/alerts") == ["all", "globex", "acme"]
    assert seen("/v1/alerts?account=globex") == ["globex"]
    assert seen("/v1/alerts", account="acme") == ["acme"]
    assert seen("/v1/alerts?type=usage.unpriced", account="acme") == ["acme"]
    assert seen("/v1/alerts?type=price.changed", account="acme") == []
    assert alerted.client("read", account="acme").get("/v1/alerts?account=globex").status_code == 404


def test_alerts_are_listed_newest_first_in_pages(alerted):
    client = alerted.client("read")
    first = client.get("/v1/alerts?limit=2").json()
    assert [item["account"] for item in first["items"]] == [None, "globex"]
    rest = client.get(f"/v1/alerts?limit=2&cursor={first['next_cursor']}").json()
    assert ([item["account"] for item in rest["items"]], rest["next_cursor"]) == (["acme"], None)
    other = client.get(f"/v1/alerts?limit=2&account=acme&cursor={first['next_cursor']}")
    assert other.json()["code"] == "invalid_cursor"
