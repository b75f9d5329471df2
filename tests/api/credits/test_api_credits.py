"""``/v1/credits``: granting, burning, spending elsewhere."""

import pytest

from support.native_events import native

URL = "/v1/credits?account=acme"


def spend_dollars(client, dollars, event_id="r1"):
    """Ingest one request of a number of dollars: a million input tokens cost one."""
    event = native(event_id, usage={"input_tokens": dollars * 1_000_000})
    assert client.post("/v1/events", json=event).json()["accepted"] == 1


def test_included_credits_burn_first_and_purchased_credits_carry_over(admin):
    admin.post("/v1/accounts/acme/plan", json={"plan": "pro", "effective": "2026-11-01"})
    purchased = admin.post("/v1/credits", json={"account": "acme", "amount_usd": "25.00", "reference": "invoice-7"})
    assert (purchased.status_code, purchased.json()) == (
        200,
        {
            "account": "acme", "reference": "invoice-7", "kind": "purchased", "scope": "inference",
            "amount_nano_usd": 25_000_000_000, "amount_usd": "25.000000000", "voided_nano_usd": 0, "voided_usd": "0.000000000",
            "granted_at": "2026-11-23T10:00:00.000000Z", "expires_at": None,
        },
    )  # fmt: skip
    spend_dollars(admin, 7)
    answer = admin.get(URL).json()
    # $7 of usage: $2 included, $5 purchased, $20 left
    paid = [(item["grant"]["kind"], item["amount_usd"], item["left_usd"]) for item in answer["applied"]]
    assert paid == [("included", "2.000000000", "0.000000000"), ("purchased", "5.000000000", "20.000000000")]
    assert (answer["month"], answer["plan"]) == ("2026-11", "pro")
    amounts = {name: value for name, value in answer.items() if name.endswith("_nano_usd")}
    assert amounts == {
        "included_nano_usd": 2_000_000_000, "used_elsewhere_nano_usd": 0, "applied_nano_usd": 7_000_000_000,
        "included_left_nano_usd": 0, "purchased_left_nano_usd": 20_000_000_000, "uncovered_nano_usd": 0,
        "used_elsewhere_of_included_nano_usd": 0, "carried_in_nano_usd": 0, "granted_nano_usd": 25_000_000_000,
        "voided_nano_usd": 0, "expiring_nano_usd": 0, "daily_nano_usd": 0, "daily_applied_nano_usd": 0, "topped_up_nano_usd": 0,
    }  # fmt: skip
    assert (answer["included_left_is_upper_bound"], answer["purchased_left_is_upper_bound"]) == (True, False)
    assert [{"account": "acme", **grant} for grant in answer["grants"]] == [purchased.json()]


def test_the_sums_include_voided_credits_and_more_spent_elsewhere_than_is_included(admin):
    admin.post("/v1/accounts/acme/plan", json={"plan": "pro", "effective": "2026-11-01"})
    grant = {"account": "acme", "amount_usd": "25.00", "reference": "invoice-7", "scope": "any_compute"}
    admin.post("/v1/credits", json=grant)
    void = {"account": "acme", "reference": "invoice-7", "amount_usd": "3.00", "reason": "refund"}
    assert admin.post("/v1/credits/void", json=void).status_code == 200
    answer = admin.post("/v1/credits/used-elsewhere", json={"account": "acme", "month": "2026-11", "amount_usd": "5.00"}).json()
    assert (answer["used_elsewhere_usd"], answer["used_elsewhere_of_included_usd"]) == ("5.000000000", "2.000000000")
    assert answer["included_left_usd"] == "0.000000000"
    assert (answer["granted_usd"], answer["voided_usd"]) == ("25.000000000", "3.000000000")
    assert (answer["purchased_left_usd"], answer["purchased_left_is_upper_bound"]) == ("22.000000000", True)
    december = admin.get(f"{URL}&month=2026-12").json()
    assert (december["carried_in_usd"], december["voided_usd"]) == ("22.000000000", "0.000000000")


def test_usage_beyond_all_credits_is_uncovered(admin):
    admin.post("/v1/accounts/acme/plan", json={"plan": "pro", "effective": "2026-11-01"})
    spend_dollars(admin, 3)
    answer = admin.get(URL).json()
    assert (answer["applied_usd"], answer["uncovered_usd"]) == ("2.000000000", "1.000000000")


def test_the_same_reference_is_the_same_grant_and_a_different_amount_is_refused(admin):
    body = {"account": "acme", "amount_usd": "5", "reference": "once"}
    first, again = admin.post("/v1/credits", json=body), admin.post("/v1/credits", json=body)
    assert first.json() == again.json()
    assert len(admin.get(URL).json()["grants"]) == 1
    other = admin.post("/v1/credits", json=body | {"amount_usd": "6"})
    assert (other.status_code, other.json()["code"]) == (409, "already_exists")


def test_the_smallest_amount_is_exact(admin):
    assert admin.post("/v1/credits", json={"account": "acme", "amount_usd": "0.000000001"}).json()["amount_nano_usd"] == 1


def test_a_grant_has_a_period(admin):
    body = {"account": "acme", "amount_usd": "5", "kind": "promotional", "granted_at": "2026-12-01", "expires_at": "2027-01-01"}
    grant = admin.post("/v1/credits", json=body).json()
    assert (grant["granted_at"], grant["expires_at"]) == ("2026-12-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z")
    spend_dollars(admin, 1)
    # The grant starts in December, and the free plan includes nothing in November.
    assert admin.get(URL).json()["uncovered_usd"] == "1.000000000"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount_usd": "0"}, "invalid_request"),
        ({"amount_usd": "-1"}, "invalid_request"),
        ({"amount_usd": 1}, "invalid_request"),
        ({"amount_usd": 1.5}, "invalid_request"),
        ({"amount_usd": "1.0000000001"}, "invalid_request"),
        ({"amount_usd": "NaN"}, "invalid_request"),
        ({"amount_usd": "1e3"}, "invalid_request"),
        ({"amount_usd": "９"}, "invalid_request"),
        ({"amount_usd": "1\n"}, "invalid_request"),
        ({"amount_usd": "99999999"}, "invalid_request"),
        ({"amount_usd": "9999999"}, "invalid_request"),  # more than 2^53 nano-USD
        ({"kind": "included"}, "invalid_request"),
        ({"expires_at": "2026-11-01"}, "invalid_request"),
        ({"expires_at": "soon"}, "invalid_time"),
        ({"granted_at": "2026-11-01T00:00:00"}, "naive_time"),
        ({"note": "x"}, "invalid_request"),
    ],
)
def test_an_invalid_grant_is_refused(admin, change, code):
    answer = admin.post("/v1/credits", json={"account": "acme", "amount_usd": "5"} | change)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert admin.get(URL).json()["grants"] == []


def test_credits_spent_elsewhere_are_not_left_and_can_be_corrected(admin):
    admin.post("/v1/accounts/acme/plan", json={"plan": "pro", "effective": "2026-11-01"})

    def note(amount):
        body = {"account": "acme", "month": "2026-11", "amount_usd": amount, "reason": "Spaces"}
        return admin.post("/v1/credits/used-elsewhere", json=body)

    assert note("0.75").json()["included_left_usd"] == "1.250000000"
    assert note("-0.25").json()["used_elsewhere_nano_usd"] == 500_000_000
    assert note("-0.51").json()["code"] == "invalid_request"
    assert admin.get(f"{URL}&month=2026-12").json()["used_elsewhere_usd"] == "0.000000000"


@pytest.mark.parametrize("body", [{"month": "2026-13", "amount_usd": "1"}, {"amount_usd": "1"}, {"month": "2026-11"}])
def test_credits_spent_elsewhere_need_a_month_and_an_amount(admin, body):
    assert admin.post("/v1/credits/used-elsewhere", json={"account": "acme"} | body).status_code == 422
