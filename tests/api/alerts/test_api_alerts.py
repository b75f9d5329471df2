"""``/v1/alerts``: one alert by its id, only for its account; an alert that occurred again says so."""

from support.native_events import native


def budget(client, amount, account="acme"):
    answer = client.post("/v1/budgets", json={"account": account, "amount_usd": amount, "thresholds": [100]})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_an_alert_is_shown_by_its_id(api, admin):
    assert admin.get("/v1/alerts/1").status_code == 404
    admin.post("/v1/events", json=native("r1", usage={"input_tokens": 10_000_000}))
    number = budget(admin, "5")
    api.meter.now += 1
    assert admin.patch(f"/v1/budgets/{number}", json={"amount_usd": "6"}).status_code == 200
    newest, first = admin.get("/v1/alerts?type=budget.threshold_reached").json()["items"]
    assert (first["period"], first["occurrence"], first["data"]["amount_usd"]) == ("2026-11", 1, "5.000000000")
    assert (newest["period"], newest["occurrence"], newest["data"]["amount_usd"]) == ("2026-11", 2, "6.000000000")
    assert admin.get(f"/v1/alerts/{newest['id']}").json() == newest


def test_for_a_bound_key_other_alerts_do_not_exist(api, admin):
    for account in ("acme", "globex"):
        admin.post("/v1/events", json=native(f"r-{account}", account=account, usage={"input_tokens": 10_000_000}))
        budget(admin, "5", account)
    listed = (admin.get(f"/v1/alerts?account={name}&type=budget.threshold_reached").json() for name in ("acme", "globex"))
    own, other = (page["items"][0] for page in listed)
    bound = api.client("read", account="acme")
    assert bound.get(f"/v1/alerts/{own['id']}").json() == own
    for number in (other["id"], 10**6):
        answer = bound.get(f"/v1/alerts/{number}")
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            f"there is no alert {number}; `metering alerts list` shows all",
        )
    assert admin.get("/v1/alerts/0").status_code == 422
