"""``/v1/prices/syncs`` and ``/v1/alerts``: asking the router, accepting what it held, and being told."""

import json
from contextlib import ExitStack

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


@pytest.fixture
def asking(api, router):
    """A client with an admin key of a service that can ask the router, a second later each time."""
    settings = replace(api.service.settings, sync=router.settings)
    client = TestClient(create_api(replace(api.service, fetch=router.fetch, settings=settings)))
    client.headers["authorization"] = f"Bearer {api.token('admin')}"

    def sync(*script):
        if script:
            router.says(*script)
        api.meter.now += 1_000_000
        answered = client.post("/v1/prices/sync")
        assert answered.status_code == 200, answered.text
        return answered.json()

    client.sync = sync
    return client


def test_a_sync_answers_what_it_changes(asking):
    asking.sync()
    found = asking.sync(document(("model-0", "together", 1.5, 2)))
    assert (found["outcome"], found["changed"], found["reasons"], found["error_code"]) == ("recorded", 1, [], "")
    assert found["changes"] == [
        {
            "provider": "together", "model": "model-0", "operation": "", "context_from": 0, "quantity": "input_tokens",
            "change": "raised", "before": {"price_usd": "0.000001000000", "per": 1, "unit": "token"},
            "after": {"price_usd": "0.000001500000", "per": 1, "unit": "token"},
        }
    ]  # fmt: skip
    assert asking.get(f"/v1/prices/syncs/{found['id']}").json() == found
    (price,) = asking.get("/v1/prices?model=model-0").json()["items"]
    assert (price["table_id"], price["effective_from"]) == (found["table_id"], found["finished_at"])


def test_a_router_that_fails_is_an_outcome_and_its_health_says_so(asking):
    asking.sync()
    found = asking.sync(answer(b"<html>", content_type="text/html"))
    assert (found["outcome"], found["error_code"], found["table_id"]) == ("failed", "source_not_json", None)
    health = asking.get("/v1/prices/syncs").json()["health"]
    assert health == {
        "last_attempt_at": "2026-11-23T10:00:02.000000Z", "last_success_at": "2026-11-23T10:00:01.000000Z",
        "last_failure_at": "2026-11-23T10:00:02.000000Z", "consecutive_failures": 1, "last_error": found["error_message"],
        "waiting": None,
    }  # fmt: skip
    assert "HTML instead of JSON" in health["last_error"]
    assert asking.get("/readyz").status_code == 200


def test_what_is_held_waits_until_it_is_accepted(asking):
    asking.sync()
    held = asking.sync(document(DEAR))
    assert (held["outcome"], held["table_id"], held["decision"]) == ("held", None, None)
    assert [reason["code"] for reason in held["reasons"]] == ["price_jump"]
    assert asking.get("/v1/prices/syncs").json()["health"]["waiting"] == held["id"]
    accepted = asking.post(f"/v1/prices/syncs/{held['id']}/accept").json()
    assert (accepted["outcome"], accepted["decides"], accepted["changes"]) == ("accepted", held["id"], held["changes"])
    decided = asking.get(f"/v1/prices/syncs/{held['id']}").json()
    assert (decided["decision"], decided["decided_by"]) == ("accepted", accepted["id"])
    again = asking.post(f"/v1/prices/syncs/{held['id']}/accept")
    assert (again.status_code, again.json()["code"]) == (409, "not_held")
    (price,) = asking.get("/v1/prices?model=model-0").json()["items"]
    assert price["effective_from"] == held["finished_at"]


def test_a_sync_that_there_is_not_is_not_found(asking):
    for answered in (asking.get("/v1/prices/syncs/9"), asking.post("/v1/prices/syncs/9/accept")):
        assert (answered.status_code, answered.json()["code"]) == (404, "not_found")
    for number in (0, -1, 2**63, "x"):
        assert asking.get(f"/v1/prices/syncs/{number}").status_code == 422


def test_syncs_come_newest_first_in_pages(asking):
    for _ in range(5):
        asking.sync()
    found, cursor = [], ""
    while cursor is not None:
        page = asking.get(f"/v1/prices/syncs?limit=2{cursor and '&cursor=' + cursor}").json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == [5, 4, 3, 2, 1]
    assert asking.get("/v1/prices/syncs?cursor=x").json()["code"] == "invalid_cursor"


def test_a_service_without_a_client_asks_nobody(admin):
    found = admin.post("/v1/prices/sync").json()
    assert (found["outcome"], found["error_code"]) == ("failed", "source_unreachable")


def test_a_change_of_prices_is_one_alert(asking, router):
    asking.sync()
    asking.sync()
    changed = asking.sync(document(("model-0", "together", 1.5, 2)))
    first, second = asking.get("/v1/alerts?type=price.changed").json()["items"]
    assert (first["subject"], first["account"], first["threshold"]) == (f"price_table:{changed['table_id']}", None, 0)
    assert (first["occurred_at"], first["data"]["changes"]) == (changed["finished_at"], 1)
    assert second["data"]["changes"] == 20
    assert len(second["data"]["first_changes"]) == 20
    assert first["data"]["first_changes"] == changed["changes"]


@pytest.fixture
def alerted(api):
    """An alert of acme, one of globex, one of nobody, in this order."""
    for subject in ("acme", "globex", None):
        account_id = subject and show_account(api.meter.engine, subject).id
        alert = NewAlert("usage.unpriced", subject or "all", NOW, json.dumps({}), account_id=account_id)
        with exclusive_write(api.meter.engine) as connection:
            raise_alert(connection, alert, now=NOW)
    return api


def test_a_key_of_one_account_sees_its_own_alerts_and_no_others(alerted):
    def seen(path, **key):
        answered = alerted.client("read", **key).get(path).json()
        return [item["subject"] for item in answered["items"]]

    assert seen("/v1/alerts") == ["all", "globex", "acme"]
    assert seen("/v1/alerts?account=globex") == ["globex"]
    assert seen("/v1/alerts", account="acme") == ["acme"]
    assert seen("/v1/alerts?type=usage.unpriced", account="acme") == ["acme"]
    assert seen("/v1/alerts?type=price.changed", account="acme") == []
    assert alerted.client("read", account="acme").get("/v1/alerts?account=globex").status_code == 404


def test_alerts_come_newest_first_in_pages_of_one_question(alerted):
    client = alerted.client("read")
    first = client.get("/v1/alerts?limit=2").json()
    assert [item["account"] for item in first["items"]] == [None, "globex"]
    rest = client.get(f"/v1/alerts?limit=2&cursor={first['next_cursor']}").json()
    assert ([item["account"] for item in rest["items"]], rest["next_cursor"]) == (["acme"], None)
    other = client.get(f"/v1/alerts?limit=2&account=acme&cursor={first['next_cursor']}")
    assert other.json()["code"] == "invalid_cursor"
