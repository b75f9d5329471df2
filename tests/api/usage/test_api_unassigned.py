"""``/v1/unassigned``: usage of undeclared accounts, and assigning it. No bound key sees or assigns any of it."""

import pytest

from metering.storage.tables import assigned_events, charges
from support.assigning import spent
from support.native_events import native

URL = "/v1/unassigned"
EACH = 120_000


@pytest.fixture
def arrived(api, admin):
    """Two requests of ``acme-prod``, one without an account, one of acme itself."""
    admin.post("/v1/events", json=[native("a", account="acme-prod"), native("b", account="acme-prod"), native("c")])
    admin.post("/v1/events", json=[native("d", account=None, source="edge")])
    return api.meter


def test_unassigned_usage_is_listed_by_name_and_source_in_pages(arrived, admin):
    usage = {"first_time": "2026-11-03T12:00:00.000000Z", "last_time": "2026-11-03T12:00:00.000000Z", "unpriced_events": 0}
    nameless = {"name": "", "source": "edge", "events": 1, "amount_nano_usd": EACH, "amount_usd": "0.000120000", **usage}
    named = {"name": "acme-prod", "source": "api", "events": 2, "amount_nano_usd": 2 * EACH, "amount_usd": "0.000240000"}
    assert admin.get(URL).json() == {"items": [nameless, {**named, **usage}], "next_cursor": None}
    first = admin.get(URL, params={"limit": 1}).json()
    assert first["items"] == [nameless]
    second = admin.get(URL, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert (second["items"], second["next_cursor"]) == ([{**named, **usage}], None)


def test_the_preview_shows_what_would_change_and_writes_nothing(arrived, admin):
    answer = admin.post(f"{URL}/assign", json={"account": "acme", "name": "acme-prod"}).json()
    moved = {
        "events": 2, "unpriced_events": 0, "before_nano_usd": 2 * EACH, "before_usd": "0.000240000",
        "after_nano_usd": 2 * EACH, "after_usd": "0.000240000",
    }  # fmt: skip
    assert answer == {
        "account": "acme",
        "applied": False,
        "moved": [{**moved, "provider": "together", "model": "llama", "month": "2026-11", "billed_in": "2026-11"}],
        "total": moved,
        "repeats": {"events": 0, "amount_nano_usd": 0, "amount_usd": "0.000000000"},
        "conflicts": 0,
    }
    assert (arrived.count(charges), arrived.count(assigned_events)) == (0, 0)


def test_apply_writes_what_the_preview_showed_once(arrived, admin):
    order = {"account": "acme", "name": "acme-prod"}
    previewed = admin.post(f"{URL}/assign", json=order).json()
    assert admin.post(f"{URL}/assign", json={**order, "apply": True}).json() == {**previewed, "applied": True}
    assert spent(arrived) == {"acme": (3, 3 * EACH), "unassigned": (1, EACH)}
    assert admin.post(f"{URL}/assign", json={**order, "apply": True}).json()["moved"] == []
    assert [event["id"] for event in admin.get("/v1/events", params={"account": "acme"}).json()["items"]] == ["a", "b", "c"]
    assert admin.get("/v1/events/a", params={"account": "acme"}).json()["history"][-1]["reason"] == "assigned"
    assert not arrived.violations()


def test_only_usage_in_the_scope_is_assigned(arrived, admin):
    order = {
        "account": "acme",
        "name": "",
        "source": "edge",
        "start": "2026-11-03T12:00:00Z",
        "end": "2026-11-04",
        "apply": True,
    }
    assert admin.post(f"{URL}/assign", json={**order, "key": "k"}).json()["total"]["events"] == 0
    assert admin.post(f"{URL}/assign", json={**order, "project": "p"}).json()["total"]["events"] == 0
    assert admin.post(f"{URL}/assign", json=order).json()["total"]["events"] == 1


def test_a_bound_key_neither_sees_nor_assigns_unassigned_usage(arrived, acme, api):
    for answer in (acme.get(URL), acme.post(f"{URL}/assign", json={"account": "acme", "name": "acme-prod", "apply": True})):
        assert (answer.status_code, answer.json()["code"]) == (403, "bound_key")
    for scope in ("read", "ingest", "metrics", "billing"):
        assert api.client(scope).get(URL).json()["code"] == "insufficient_scope"
    assert arrived.count(assigned_events) == 0


def test_an_assigned_event_is_visible_to_its_account_only(arrived, admin, acme, api):
    globex = api.client("read", account="globex")
    assert acme.get("/v1/events/a").status_code == 404
    admin.post(f"{URL}/assign", json={"account": "acme", "name": "acme-prod", "apply": True})
    assert acme.get("/v1/events/a").status_code == 200
    assert globex.get("/v1/events/a").status_code == 404
    assert globex.get("/v1/events").json()["items"] == []
    # The same record sent by the account itself is a duplicate.
    assert acme.post("/v1/events", json=[native("a", account=None)]).json()["duplicate"] == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"account": "nobody"}, 404, "not_found"),
        ({"account": "unassigned"}, 422, "invalid_request"),
        ({"start": "yesterday"}, 422, "invalid_time"),
        ({"start": "2026-11-03T10:00:00"}, 422, "naive_time"),
        ({"start": "2026-11-03", "end": "2026-11-03"}, 422, "invalid_request"),
        ({"name": "be\u0007ll"}, 422, "invalid_request"),
        ({"name": None}, 422, "invalid_request"),
        ({"names": "x"}, 422, "invalid_request"),
    ],
)
def test_an_invalid_request_is_refused(arrived, admin, change, status, code):
    answer = admin.post(f"{URL}/assign", json={"account": "acme", "name": "acme-prod", **change})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
