"""Closing over HTTP: idempotent, refused with a code where it is too early, and what comes afterwards is told."""

import pytest

from support.builders import instant
from support.native_events import native

MILLION = {"input_tokens": 1_000_000, "output_tokens": 0}


@pytest.fixture
def october(api, admin):
    """October with a dollar of usage on PRO; it is 4 November."""
    api.meter.now = instant("2026-11-04T00:00:00Z")
    admin.post("/v1/accounts/acme/plan", json={"plan": "pro", "effective": "2026-10-01"})
    admin.post("/v1/events", json=native(id="o1", time="2026-10-10T12:00:00Z", usage=MILLION))
    return api


CLOSE = "/v1/statements/acme/2026-10/close"


def test_two_clicks_are_answered_with_one_statement(october, admin):
    first, second = admin.post(CLOSE), admin.post(CLOSE)
    assert first.status_code == 200
    assert first.json() == second.json() == admin.get("/v1/statements/acme/2026-10").json()
    # $1.00, paid by the plan's credit, and the fee of $9.00
    assert [first.json()[name] for name in ("status", "total_usd", "closed_at")] == [
        "closed",
        "9.00",
        "2026-11-04T00:00:00.000000Z",
    ]
    assert len(first.json()["digest"]) == 64
    assert [(item["month"], item["status"]) for item in admin.get("/v1/statements?status=closed").json()["items"]] == [
        ("2026-10", "closed")
    ]


@pytest.mark.parametrize(
    ("month", "code"), [("2026-11", "month_not_over"), ("2027-02", "month_not_over"), ("2026-09", "nothing_to_close")]
)
def test_a_month_that_can_not_be_closed_is_refused_with_a_code(october, admin, month, code):
    answer = admin.post(f"/v1/statements/acme/{month}/close")
    assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_usage_without_a_price_is_refused_unless_it_is_allowed(october, admin):
    admin.post("/v1/events", json=native(id="o2", time="2026-10-11T12:00:00Z", model="new"))
    assert admin.post(CLOSE).json()["code"] == "unpriced_usage"
    assert "unpriced_usage" in admin.post(f"{CLOSE}?allow_unpriced=true").json()["flags"]


def test_what_came_after_the_close_is_told_and_stands_on_the_open_statement(october, admin):
    admin.post(CLOSE)
    changes = "/v1/statements/acme/2026-10/changes"
    assert admin.get(changes).json()["unchanged"] is True
    admin.post("/v1/events", json=native(id="o3", time="2026-10-12T12:00:00Z", usage=MILLION))
    told = admin.get(changes).json()
    assert [told[when][amount] for when in ("closed", "now") for amount in ("usage_usd", "credits_usd")] == [
        "1.000000000",
        "1.000000000",
        "2.000000000",
        "2.000000000",
    ]
    assert [(each["month"], each["status"], each["usage_usd"]) for each in told["corrections"]] == [
        ("2026-11", "draft", "1.000000000")
    ]
    open_lines = admin.get("/v1/statements/acme/2026-11").json()["lines"]
    assert {line["kind"]: line["amount_usd"] for line in open_lines if line["origin_month"] == "2026-10"} == {
        "usage": "1.000000000000",
        "credit": "-1.000000000000",
    }


def test_an_adjustment_is_made_once_by_its_reference(october, admin):
    wanted = {"account": "acme", "month": "2026-10", "amount_usd": "-0.25", "reference": "r1", "reason": "agreed"}
    first, again = (admin.post("/v1/adjustments", json=wanted) for _ in range(2))
    assert (first.status_code, first.json()) == (201, again.json())
    other = admin.post("/v1/adjustments", json=wanted | {"amount_usd": "1"})
    assert other.json()["code"] == "already_exists"
    assert [each["amount_nano_usd"] for each in admin.get("/v1/adjustments?account=acme").json()["items"]] == [-250_000_000]


def test_the_ledger_is_paged_and_credits_are_taken_back_as_far_as_they_are_left(october, admin):
    admin.post("/v1/credits", json={"account": "acme", "amount_usd": "5", "reference": "inv-1"})
    admin.post(CLOSE)
    first = admin.get("/v1/credits/ledger?account=acme&limit=2").json()
    rest = admin.get(f"/v1/credits/ledger?account=acme&limit=2&cursor={first['next_cursor']}").json()
    kinds = [(each["kind"], each["amount_usd"]) for each in first["items"] + rest["items"]]
    assert kinds == [
        ("grant", "5.000000000"),
        ("grant", "2.000000000"),
        ("apply", "-1.000000000"),
        ("expire", "-1.000000000"),
    ]
    assert rest["next_cursor"] is None
    # $5.00 that were bought, and the $2.00 of November's plan
    assert admin.get("/v1/credits/balance?account=acme").json()["left_usd"] == "7.000000000"
    voiding = {"account": "acme", "reference": "inv-1", "reason": "refunded"}
    refused = admin.post("/v1/credits/void", json=voiding | {"amount_usd": "5.000000001"})
    assert (refused.status_code, refused.json()["code"]) == (409, "credits_overdrawn")
    assert admin.post("/v1/credits/void", json=voiding).json()["voided_usd"] == "5.000000000"
    assert admin.get("/v1/credits/balance?account=acme").json()["left_usd"] == "2.000000000"


def test_a_plan_of_a_closed_day_is_refused(october, admin):
    admin.post(CLOSE)
    answer = admin.post("/v1/accounts/acme/plan", json={"plan": "free", "effective": "2026-10-20"})
    assert (answer.status_code, answer.json()["code"]) == (409, "month_closed")
