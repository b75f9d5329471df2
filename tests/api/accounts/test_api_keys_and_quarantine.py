"""``/v1/keys``, ``/v1/quarantine``, ``/healthz`` and ``/readyz``."""

import pytest
from sqlalchemy import text

from metering.storage.engine.database import exclusive_write
from support.native_events import native


def test_a_key_is_shown_once_and_works(admin, api):
    made = admin.post("/v1/keys", json={"name": "gateway-1", "scopes": ["ingest", "read"], "account": "acme"})
    assert made.status_code == 201
    key = made.json()
    token = key.pop("token")
    assert key | {"prefix": ""} == {
        "prefix": "", "name": "gateway-1", "account": "acme", "scopes": ["ingest", "read"], "creates_accounts": False,
        "created_at": "2026-11-23T10:00:00.000000Z", "revoked_at": None,
    }  # fmt: skip
    listed = admin.get("/v1/keys")
    assert key in listed.json()["items"]
    assert token not in listed.text
    client = api.client()
    client.headers["authorization"] = f"bearer {token}"
    assert client.post("/v1/events", json=native()).json()["accepted"] == 1


def test_a_revoked_key_is_listed_with_its_end_and_revoked_once(admin):
    prefix = admin.post("/v1/keys", json={"name": "k", "scopes": ["read"]}).json()["prefix"]
    assert admin.delete(f"/v1/keys/{prefix}").status_code == 204
    again = admin.delete(f"/v1/keys/{prefix}")
    assert (again.status_code, again.json()["code"]) == (404, "not_found")
    (key,) = [item for item in admin.get("/v1/keys").json()["items"] if item["prefix"] == prefix]
    assert key["revoked_at"] == "2026-11-23T10:00:00.000000Z"


def test_keys_come_in_pages(admin, api):
    for _ in range(4):
        api.token("read")
    first = admin.get("/v1/keys?limit=3").json()
    second = admin.get(f"/v1/keys?limit=3&cursor={first['next_cursor']}").json()
    assert (len(first["items"]), len(second["items"]), second["next_cursor"]) == (3, 2, None)
    assert len({item["prefix"] for item in first["items"] + second["items"]}) == 5


@pytest.mark.parametrize(
    "body",
    [
        {"name": "k", "scopes": []},
        {"name": "k", "scopes": ["root"]},
        {"name": "k", "scopes": "read"},
        {"name": "", "scopes": ["read"]},
        {"scopes": ["read"]},
        {"name": "k", "scopes": ["read"], "creates_accounts": 1},
        {"name": "k", "scopes": ["ingest"], "account": "acme", "creates_accounts": True},
    ],
)
def test_an_invalid_key_is_refused(admin, body):
    answer = admin.post("/v1/keys", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_key_for_an_undeclared_account_is_refused(admin):
    assert admin.post("/v1/keys", json={"name": "k", "scopes": ["read"], "account": "nobody"}).status_code == 404


def test_a_rejected_record_is_in_quarantine_with_its_reason(admin):
    admin.post("/v1/events", json=[native("good"), native("bad", time="2026-11-03T12:00:00", prompt="secret")])
    (record,) = admin.get("/v1/quarantine").json()["items"]
    shown = {name: record[name] for name in ("source", "file", "line", "code", "field", "recorded_at")}
    assert shown == {
        "source": "api", "file": "", "line": 1, "code": "naive_time", "field": "time",
        "recorded_at": "2026-11-23T10:00:00.000000Z",
    }  # fmt: skip
    assert record["kept"]["id"] == "bad"
    assert "secret" not in str(record)


def test_quarantine_comes_in_pages_while_records_arrive(admin):
    admin.post("/v1/events", json=[native("good"), *range(5)])
    found, cursor = [], ""
    while True:
        page = admin.get(f"/v1/quarantine?limit=2{cursor}").json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        if len(found) < 7:
            admin.post("/v1/events", json=[native("good"), 100 + len(found)])
    assert found == sorted(set(found))
    assert len(found) >= 7


def test_the_service_is_ready_while_its_schema_is_current(api):
    client = api.client()
    assert client.get("/readyz").json() == {"status": "ready", "revision": client.get("/readyz").json()["revision"]}
    with exclusive_write(api.meter.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of_tomorrow'"))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "schema_out_of_date")
    assert client.get("/healthz").json() == {"status": "ok"}
