"""``/v1/budgets``: make, see, change, end; and what is alerted on."""

from native_events import native

from metering.operations.judge_budgets import BudgetJudge


def make(client, **fields):
    answer = client.post("/v1/budgets", json={"account": "acme", "amount_usd": "10"} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def spend_dollars(client, dollars, event_id, **fields):
    """Ingest one request that costs a number of dollars: a thousand input tokens are a millidollar."""
    event = native(event_id, usage={"input_tokens": dollars * 1_000_000}, **fields)
    assert client.post("/v1/events", json=event).json()["accepted"] == 1


def judge(api):
    """Judge as the server's thread does."""
    return BudgetJudge(api.service.engine, api.service.catalogue, api.service.clock).judge()


def alerts(client, **parameters):
    """The alerts, oldest first, as (type, subject, period, threshold)."""
    items = client.get("/v1/alerts", params=parameters).json()["items"]
    return [(item["type"], item["subject"], item["period"], item["threshold"]) for item in reversed(items)]


def test_a_jump_past_several_thresholds_alerts_on_each_in_order_once(api, admin):
    budget = make(admin)
    spend_dollars(admin, 8, "r1")
    assert judge(api) == 2
    spend_dollars(admin, 1, "r2")
    assert judge(api) == 0
    subject = f"budget:{budget['id']}"
    told = [("budget.threshold_reached", subject, "2026-11", percent) for percent in (50, 80)]
    assert alerts(admin, account="acme") == told
    state = admin.get(f"/v1/budgets/{budget['id']}").json()["state"]
    shown = {name: state[name] for name in ("spent_usd", "remaining_usd", "percent", "reached", "fired", "blocked")}
    assert shown == {
        "spent_usd": "9.000000000", "remaining_usd": "1.000000000", "percent": "90.0", "reached": [50, 80], "fired": [50, 80],
        "blocked": False,
    }  # fmt: skip
