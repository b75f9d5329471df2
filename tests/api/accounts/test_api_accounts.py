"""``/v1/accounts`` and their plans."""

import pytest

NOW = "2026-11-23T10:00:00.000000Z"
NO_PLAN = {"plan": "free", "seats": 1, "plan_changes": []}


def names(answer):
    return [item["name"] for item in answer.json()["items"]]


def test_an_account_is_declared_shown_and_listed(admin):
    declared = admin.post("/v1/accounts", json={"name": "initech", "default_route": "routed"})
    assert declared.status_code == 201
    assert declared.json() == {"name": "initech", "default_route": "routed", "created_at": NOW, **NO_PLAN}
    assert admin.get("/v1/accounts/initech").json() == declared.json()
    assert names(admin.get("/v1/accounts")) == ["acme", "globex", "initech", "unassigned"]


def test_lists_come_in_pages_while_accounts_are_declared(admin):
    found, cursor = [], ""
    while True:
        page = admin.get(f"/v1/accounts?limit=2{cursor}").json()
        found += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        admin.post("/v1/accounts", json={"name": f"aa-{len(found)}"})
        admin.post("/v1/accounts", json={"name": f"zz-{len(found)}"})
    assert found[:2] == ["acme", "globex"]
    assert found == sorted(set(found))


@pytest.mark.parametrize("name", ["Ünïcøde & Söhne", "a b", "a.b", "a?b#c", "..."])
def test_an_account_with_any_printable_name_can_be_shown(admin, name):
    assert admin.post("/v1/accounts", json={"name": name}).status_code == 201
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    assert admin.get(f"/v1/accounts/{quoted}").json()["name"] == name
    assert admin.get(f"/v1/statements/{quoted}/2026-11").json()["account"] == name


@pytest.mark.parametrize("name", ["", " x", "a/b", "a\nb", "a\0b", "x" * 256])
def test_an_invalid_name_is_refused(admin, name):
    answer = admin.post("/v1/accounts", json={"name": name})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    "body", [{}, {"name": None}, {"name": 7}, {"name": ["x"]}, {"name": "x", "default_route": "road"}, [], "x"]
)
def test_a_body_with_wrong_types_is_refused(admin, body):
    answer = admin.post("/v1/accounts", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"]


def test_a_name_is_declared_once(admin):
    answer = admin.post("/v1/accounts", json={"name": "acme"})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")


def test_only_fields_in_the_body_are_changed(admin):
    assert admin.patch("/v1/accounts/acme", json={"default_route": "provider_key"}).json()["default_route"] == "provider_key"
    assert admin.patch("/v1/accounts/acme", json={"name": "acme-labs"}).json() == {
        "name": "acme-labs", "default_route": "provider_key", "created_at": NOW, **NO_PLAN,
    }  # fmt: skip
    assert admin.get("/v1/accounts/acme").status_code == 404
    assert admin.patch("/v1/accounts/acme-labs", json={"default_route": ""}).json()["default_route"] == ""


def test_an_empty_change_and_a_taken_name_are_refused(admin):
    assert admin.patch("/v1/accounts/acme", json={}).json()["code"] == "invalid_request"
    assert admin.patch("/v1/accounts/acme", json={"name": "globex"}).json()["code"] == "already_exists"
    assert admin.patch("/v1/accounts/unassigned", json={"name": "mine"}).json()["code"] == "invalid_request"
    assert admin.patch("/v1/accounts/nobody", json={"name": "mine"}).status_code == 404


def test_an_account_without_a_plan_is_on_the_free_plan(admin):
    answer = admin.get("/v1/accounts/acme/plan").json()
    assert answer == {
        "account": "acme",
        "current": {
            "month": "2026-11", "plan": "free", "seats": 1, "fees": [], "included_credit_nano_usd": 0,
            "included_credit_usd": "0.000000000", "credits_pay_elsewhere": False, "daily_credits": [], "invoiced": False,
        },
        "changes": [],
        "warnings": [],
    }  # fmt: skip


def test_a_plan_that_starts_mid_month_is_prorated(admin):
    answer = admin.post("/v1/accounts/acme/plan", json={"plan": "pro", "effective": "2026-11-16"})
    assert answer.status_code == 201
    # 15 of 30 days of $9.00; the credit is not prorated
    assert answer.json()["current"]["fees"] == [
        {"plan": "pro", "seats": 1, "first_day": "2026-11-16", "days": 15, "days_in_month": 30, "amount_usd": "4.50"}
    ]
    assert answer.json()["current"]["included_credit_usd"] == "2.000000000"
    assert answer.json()["changes"] == [{"effective": "2026-11-16", "plan": "pro", "seats": 1}]
    december = admin.get("/v1/accounts/acme/plan?month=2026-12").json()["current"]
    assert (december["month"], december["fees"][0]["amount_usd"]) == ("2026-12", "9.00")


def test_a_plan_starts_today_by_default(admin):
    answer = admin.post("/v1/accounts/acme/plan", json={"plan": "team", "seats": 5}).json()
    assert answer["changes"] == [{"effective": "2026-11-23", "plan": "team", "seats": 5}]
    assert answer["current"]["included_credit_usd"] == "10.000000000"


def test_a_plan_with_an_unknown_fee_is_set_with_a_warning(admin):
    plan = {"plan": "team", "seats": 5, "effective": "2026-09-01"}
    answer = admin.post("/v1/accounts/acme/plan", json=plan).json()
    assert answer["warnings"] == ["the fee of team is unknown; statements show it as unknown and exclude it from the total"]
    assert admin.post("/v1/accounts/acme/plan", json={"plan": "pro"}).json()["warnings"] == []
    (credit,) = admin.post("/v1/accounts/acme/plan", json={"plan": "free", "effective": "2025-03-01"}).json()["warnings"]
    assert credit == "the included credits of free on 2025-03-01 are unknown; none are applied until they are known"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"plan": "gold"}, "invalid_plan"),
        ({"plan": "free", "seats": 2}, "invalid_plan"),
        ({"plan": "pro", "seats": 5}, "invalid_plan"),
        ({"plan": "pro", "seats": 0}, "invalid_request"),
        ({"plan": "pro", "seats": 1.0}, "invalid_request"),
        ({"plan": "pro", "seats": "1"}, "invalid_request"),
        ({"plan": "pro", "seats": True}, "invalid_request"),
        ({"plan": "pro", "seats": 10**30}, "invalid_request"),
        ({"plan": "pro", "effective": "2026-11-31"}, "invalid_time"),
        ({"plan": "pro", "effective": "tomorrow"}, "invalid_time"),
        ({"plan": "pro", "effective": "9999-12-31"}, "invalid_time"),
        ({"plan": "pro", "since": "2026-11-01"}, "invalid_request"),
        ({}, "invalid_request"),
    ],
)
def test_an_invalid_plan_is_refused(admin, body, code):
    answer = admin.post("/v1/accounts/acme/plan", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert admin.get("/v1/accounts/acme/plan").json()["changes"] == []


@pytest.mark.parametrize("month", ["2026", "2026-1", "2026-13", "2019-12", "2027-12", "9999-12", "２０２６-11", "now"])
def test_an_invalid_month_is_refused(admin, month):
    for url in ("/v1/accounts/acme/plan?month=", "/v1/credits?account=acme&month=", "/v1/statements/acme/"):
        answer = admin.get(url + month)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_time"), url


def test_with_the_latest_possible_plan_every_month_can_be_shown(admin):
    for day in ("1970-01-01", "9998-12-31"):
        assert admin.post("/v1/accounts/acme/plan", json={"plan": "pro", "effective": day}).status_code == 201
    for month in ("2020-01", "2027-11"):
        assert admin.get(f"/v1/accounts/acme/plan?month={month}").status_code == 200
        assert admin.get(f"/v1/statements/acme/{month}").status_code == 200
