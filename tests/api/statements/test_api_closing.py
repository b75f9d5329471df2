"""Closing over HTTP: idempotent, refused with a code if it is too early; later changes are shown."""

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


def test_closing_twice_returns_the_same_statement(october, admin):
    first, second = admin.post(CLOSE), admin.post(CLOSE)
    assert first.status_code == 200
    shown = admin.get("/v1/statements/acme/2026-10").json()
    assert first.json() == second.json() == {**shown, "closed_earlier": []}
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
def test_a_month_that_cannot_be_closed_is_refused_with_a_code(october, admin, month, code):
    answer = admin.post(f"/v1/statements/acme/{month}/close")
    assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_a_month_with_unpriced_usage_is_refused_unless_allowed(october, admin):
    admin.post("/v1/events", json=native(id="o2", time="2026-10-11T12:00:00Z", model="new"))
    assert admin.post(CLOSE).json()["code"] == "unpriced_usage"
    assert "unpriced_usage" in admin.post(f"{CLOSE}?allow_unpriced=true").json()["flags"]


def test_late_usage_is_a_change_of_the_closed_month_and_a_correction_on_the_open_statement(october, admin):
    admin.post(CLOSE)
    changes = "/v1/statements/acme/2026-10/changes"
    assert admin.get(changes).json()["unchanged"] is True
    admin.post("/v1/events", json=native(id="o3", time="2026-10-12T12:00:00Z", usage=MILLION))
    found = admin.get(changes).json()
    assert [found[when][amount] for when in ("closed", "now") for amount in ("usage_usd", "credits_usd")] == [
        "1.000000000",
        "1.000000000",
        "2.000000000",
        "2.000000000",
    ]
    assert [(each["month"], each["status"], each["usage_usd"]) for each in found["corrections"]] == [
        ("2026-11", "draft", "1.000000000")
    ]
    open_lines = admin.get("/v1/statements/acme/2026-11").json()["lines"]
    assert {line["kind"]: line["amount_usd"] for line in open_lines if line["origin_month"] == "2026-10"} == {
        "usage": "1.000000000000",
        "credit": "-1.000000000000",
    }


def test_an_adjustment_is_recorded_once_per_reference(october, admin):
    wanted = {"account": "acme", "month": "2026-10", "amount_usd": "-0.25", "reference": "r1", "reason": "agreed"}
    first, again = (admin.post("/v1/adjustments", json=wanted) for _ in range(2))
    assert (first.status_code, first.json()) == (201, again.json())
    other = admin.post("/v1/adjustments", json=wanted | {"amount_usd": "1"})
    assert other.json()["code"] == "already_exists"
    assert [each["amount_nano_usd"] for each in admin.get("/v1/adjustments?account=acme").json()["items"]] == [-250_000_000]


def test_adjustments_are_paged_in_the_order_they_were_recorded(october, admin):
    for number in range(3):
        adjustment = {"account": "acme", "month": "2026-10", "amount_usd": "1", "reference": f"r{number}", "reason": "agreed"}
        assert admin.post("/v1/adjustments", json=adjustment).json()["account"] == "acme"
    first = admin.get("/v1/adjustments?account=acme&limit=2").json()
    rest = admin.get(f"/v1/adjustments?account=acme&limit=2&cursor={first['next_cursor']}").json()
    assert [each["reference"] for each in first["items"] + rest["items"]] == ["r0", "r1", "r2"]
    assert (first["account"], rest["next_cursor"]) == ("acme", None)


def test_earlier_months_closed_with_a_month_are_in_the_answer(october, admin):
    october.meter.now = instant("2026-12-04T00:00:00Z")
    assert admin.post("/v1/statements/acme/2026-11/close").json()["code"] == "earlier_months_open"
    closed = admin.post("/v1/statements/acme/2026-11/close?with_earlier=true").json()
    assert (closed["month"], [each["month"] for each in closed["closed_earlier"]]) == ("2026-11", ["2026-10"])


def test_the_ledger_is_paged_and_only_credits_that_are_left_can_be_voided(october, admin):
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
    # $5.00 purchased, and the $2.00 included in November's plan
    assert admin.get("/v1/credits/balance?account=acme").json()["left_usd"] == "7.000000000"
    voiding = {"account": "acme", "reference": "inv-1", "reason": "refunded"}
    refused = admin.post("/v1/credits/void", json=voiding | {"amount_usd": "5.000000001"})
    assert (refused.status_code, refused.json()["code"]) == (409, "credits_overdrawn")
    assert admin.post("/v1/credits/void", json=voiding).json()["voided_usd"] == "5.000000000"
    assert admin.get("/v1/credits/balance?account=acme").json()["left_usd"] == "2.000000000"


def test_a_plan_change_in_a_closed_month_is_refused(october, admin):
    admin.post(CLOSE)
    answer = admin.post("/v1/accounts/acme/plan", json={"plan": "free", "effective": "2026-10-20"})
    assert (answer.status_code, answer.json()["code"]) == (409, "month_closed")
