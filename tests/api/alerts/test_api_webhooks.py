"""``/v1/webhooks``: endpoints are managed by their owners; deliveries are listed in pages."""

import pytest

from support.builders import NOW
from support.webhook_builders import ACCEPTED, REFUSED, Sender, raise_one

URL = "https://hooks.example/metering"


@pytest.fixture
def created(admin):
    return admin.post("/v1/webhooks", json={"url": URL}).json()


def test_only_creation_and_rotation_answer_with_the_secret(admin, created):
    rotated = admin.post("/v1/webhooks/1/rotate", json={"overlap_hours": 3}).json()
    assert created["secret"].startswith("whsec_")
    assert rotated["secret"] != created["secret"]
    assert [each["expires_at"] for each in rotated["secrets"]] == [None, "2026-11-23T13:00:00.000000Z"]
    for path in ("/v1/webhooks", "/v1/webhooks/1", "/v1/webhooks/1/deliveries"):
        answer = admin.get(path)
        assert answer.status_code == 200
        assert "whsec_" not in answer.text


def test_a_bound_key_creates_and_sees_only_endpoints_of_its_account(acme, admin, created):
    own = acme.post("/v1/webhooks", json={"url": URL, "types": ["price.changed"]}).json()
    assert own["account"] == "acme"
    assert [each["id"] for each in acme.get("/v1/webhooks").json()["items"]] == [own["id"]]
    assert [each["id"] for each in admin.get("/v1/webhooks").json()["items"]] == [created["id"], own["id"]]
    assert acme.post("/v1/webhooks", json={"url": URL, "account": "globex"}).status_code == 404
    assert acme.post("/v1/webhooks", json={"url": URL, "accounts": ["globex"]}).json()["code"] == "invalid_webhook"


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("GET", None),
        ("PATCH", {"enabled": False}),
        ("DELETE", None),
        ("POST /rotate", {}),
        ("GET /deliveries", None),
        ("POST /redeliver", {}),
        ("POST /redeliver", {"delivery": 1}),
        ("POST /test", None),
    ],
)
def test_another_account_s_endpoint_answers_exactly_like_one_that_does_not_exist(api, acme, call, body):
    admin = api.client("admin")
    admin.post("/v1/webhooks", json={"url": URL})
    raise_one(api.meter)
    before = admin.get("/v1/webhooks/1").json()
    method, _, path = call.partition(" ")
    theirs = acme.request(method, f"/v1/webhooks/1{path}", json=body)
    missing = acme.request(method, f"/v1/webhooks/999{path}", json=body)
    assert theirs.status_code == missing.status_code == 404
    assert theirs.text.replace("/1", "/999").replace("endpoint 1", "endpoint 999") == missing.text
    assert admin.get("/v1/webhooks/1").json() == before


def test_deliveries_are_listed_in_pages_with_every_attempt(api, admin, created):
    for number in range(3):
        raise_one(api.meter, subject=f"budget:{number}")
    Sender(api.meter).send(ACCEPTED, REFUSED)
    first = admin.get("/v1/webhooks/1/deliveries?limit=2").json()
    rest = admin.get(f"/v1/webhooks/1/deliveries?limit=2&cursor={first['next_cursor']}").json()
    assert [each["id"] for each in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    (delivered,) = admin.get("/v1/webhooks/1/deliveries?status=delivered").json()["items"]
    assert (delivered["status"], delivered["attempts"][0]["status_code"]) == ("delivered", 204)
    assert first["items"][0]["attempts"] == [
        {
            "started_at": "2026-11-23T10:00:00.000000Z",
            "latency_ms": 34,
            "status_code": 500,
            "error_code": "refused",
            "error_message": "the receiver returned 500",
            "answer": "oh no",
        }
    ]
    assert admin.get("/v1/webhooks/1").json()["deliveries"] == {"delivered": 1, "pending": 2}
    assert admin.get("/v1/webhooks/1/deliveries?start=2026-11-24").json()["items"] == []
    answer = admin.get(f"/v1/webhooks/1/deliveries?status=held&cursor={first['next_cursor']}")
    assert answer.json()["code"] == "invalid_cursor"


def test_deliveries_are_sent_again_one_or_many(api, admin, created):
    for number in range(3):
        raise_one(api.meter, subject=f"budget:{number}")
    Sender(api.meter).send(ACCEPTED)
    assert admin.post("/v1/webhooks/1/redeliver", json={"delivery": 2}).json() == {"deliveries": 1, "more": False}
    body = {"status": ["delivered"], "start": "2026-11-23T00:00:00Z", "end": "2026-11-24"}
    assert admin.post("/v1/webhooks/1/redeliver", json=body).json()["deliveries"] == 2
    assert admin.get("/v1/webhooks/1").json()["deliveries"] == {"pending": 3}
    both = admin.post("/v1/webhooks/1/redeliver", json={"delivery": 2, "start": "2026-11-24"})
    assert (both.status_code, both.json()["code"]) == (422, "invalid_request")
    assert admin.post("/v1/webhooks/1/redeliver", json={"start": "yesterday"}).json()["code"] == "invalid_time"
    assert admin.post("/v1/webhooks/1/redeliver", json={"delivery": 99}).status_code == 404


def test_a_test_is_queued(admin, created):
    answer = admin.post("/v1/webhooks/1/test")
    assert (answer.status_code, answer.json()["type"], answer.json()["status"]) == (202, "webhook.test", "pending")
    admin.patch("/v1/webhooks/1", json={"enabled": False})
    assert (admin.post("/v1/webhooks/1/test").status_code) == 409
    assert admin.get("/v1/webhooks/1").json()["disabled_reason"] == "asked"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "file:///etc/passwd"}, "forbidden_address"),
        ({"url": "http://169.254.169.254"}, "forbidden_address"),
        ({"url": "http://[::1]"}, "forbidden_address"),
        ({"url": URL, "types": ["nonsense"]}, "invalid_webhook"),
        ({"url": URL, "format": "xml"}, "invalid_request"),
        ({"url": URL, "colour": "red"}, "invalid_request"),
        ({"url": "https://x.example/" + "x" * 3_000}, "invalid_request"),
        ({}, "invalid_request"),
    ],
)
def test_an_invalid_endpoint_is_a_problem_with_a_code(admin, body, code):
    answer = admin.post("/v1/webhooks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert admin.get("/v1/webhooks").json()["items"] == []


def test_a_host_that_resolves_internally_is_refused_without_revealing_its_address(admin):
    answer = admin.post("/v1/webhooks", json={"url": "https://inner.example/"})
    assert (answer.status_code, answer.json()["code"]) == (422, "forbidden_address")
    assert "127.0.0.1" not in answer.text


def test_an_account_receives_no_alert_that_is_not_about_it(api, acme, created):
    own = acme.post("/v1/webhooks", json={"url": URL, "types": ["price.changed"]}).json()
    raise_one(api.meter, type="price.changed", subject="price_table:1")
    assert acme.get(f"/v1/webhooks/{own['id']}/deliveries").json()["items"] == []
    assert (
        api.client("admin").get("/v1/webhooks/1/deliveries").json()["items"][0]["created_at"] == "2026-11-23T10:00:00.000000Z"
    )
    assert api.meter.now == NOW
