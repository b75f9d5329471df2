"""``/v1/budgets``: create, show, change and delete budgets, and their alerts."""

import time

import pytest

from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from support.native_events import native


def create(client, **fields):
    answer = client.post("/v1/budgets", json={"account": "acme", "amount_usd": "10"} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def spend_dollars(client, dollars, event_id, **fields):
    """Ingest one request of this cost: a thousand input tokens cost a millidollar."""
    event = native(event_id, usage={"input_tokens": dollars * 1_000_000}, **fields)
    assert client.post("/v1/events", json=event).json()["accepted"] == 1


def evaluate(api):
    """Evaluate budgets like the server's thread."""
    return BudgetEvaluator(api.service.engine, api.service.catalog, api.service.clock).evaluate()


def alerts(client, **parameters):
    """The alerts, oldest first, as (type, subject, period, threshold)."""
    items = client.get("/v1/alerts", params=parameters).json()["items"]
    return [(item["type"], item["subject"], item["period"], item["threshold"]) for item in reversed(items)]


def test_a_jump_past_several_thresholds_raises_each_alert_once_in_order(api, admin):
    budget = create(admin)
    spend_dollars(admin, 8, "r1")
    assert evaluate(api) == 2
    spend_dollars(admin, 1, "r2")
    assert evaluate(api) == 0
    subject = f"budget:{budget['id']}"
    expected = [("budget.threshold_reached", subject, "2026-11", percent) for percent in (50, 80)]
    assert alerts(admin, account="acme") == expected
    state = admin.get(f"/v1/budgets/{budget['id']}").json()["state"]
    shown = {name: state[name] for name in ("spent_usd", "remaining_usd", "percent", "reached", "fired", "blocked")}
    assert shown == {
        "spent_usd": "9.000000000", "remaining_usd": "1.000000000", "percent": "90.0", "reached": [50, 80], "fired": [50, 80],
        "blocked": False,
    }  # fmt: skip


def test_a_budget_is_created_with_defaults_and_shown_with_its_state(admin):
    budget = create(admin)
    assert {name: budget[name] for name in budget if name not in ("id", "created_at", "state")} == {
        "account": "acme", "revision": 1, "name": "", "amount_nano_usd": 10_000_000_000, "amount_usd": "10.000000000",
        "window": "month", "start": None, "end": None, "scope": {}, "thresholds": [50, 80, 100], "forecast_percent": None,
        "action": "notify", "block_percent": None, "basis": "gross", "warnings": [],
    }  # fmt: skip
    assert budget["state"] == {
        "period": "2026-11", "period_start": "2026-11-01T00:00:00.000000Z", "period_end": "2026-12-01T00:00:00.000000Z",
        "spent_nano_usd": 0, "spent_usd": "0.000000000", "remaining_nano_usd": 10_000_000_000,
        "remaining_usd": "10.000000000", "percent": "0.0", "reached": [], "fired": [], "blocked": False, "unpriced_events": 0,
        "forecast_method": "period_rate", "forecast_nano_usd": 0, "forecast_usd": "0.000000000", "forecast_exceeded": False,
        "exhausted_at": None,
    }  # fmt: skip
    shown = admin.get(f"/v1/budgets/{budget['id']}").json()
    assert shown.pop("revisions")[0]["recorded_by"].startswith("key ")
    assert shown == budget


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount_usd": "0"}, "invalid_amount"),
        ({"amount_usd": "-5"}, "invalid_amount"),
        ({"amount_usd": "ten"}, "invalid_request"),
        ({"thresholds": [1001]}, "invalid_threshold"),
        ({"thresholds": [0]}, "invalid_threshold"),
        ({"thresholds": [50, 50]}, "invalid_threshold"),
        ({"thresholds": []}, "invalid_threshold"),
        ({"thresholds": [50.5]}, "invalid_request"),
        ({"thresholds": ["50"]}, "invalid_request"),
        ({"block_percent": 90}, "invalid_threshold"),
        ({"scope": {"colour": ["red"]}}, "invalid_scope"),
        ({"scope": {"provider": []}}, "invalid_scope"),
        ({"window": "year"}, "invalid_request"),
        ({"window": "fixed"}, "invalid_window"),
        ({"window": "fixed", "start": "2026-11-05", "end": "2026-11-01"}, "invalid_window"),
        ({"window": "fixed", "start": "2026-11-05T10:00:00Z", "end": "2026-11-11"}, "invalid_time"),
        ({"window": "month", "start": "2026-11-05", "end": "2026-11-11"}, "invalid_window"),
        ({"basis": "after_credits", "window": "day"}, "invalid_basis"),
        ({"account": "nobody"}, "not_found"),
        ({"surprise": 1}, "invalid_request"),
    ],
)
def test_an_invalid_budget_is_refused_with_a_code_and_not_stored(admin, fields, code):
    answer = admin.post("/v1/budgets", json={"account": "acme", "amount_usd": "10"} | fields)
    assert (answer.status_code, answer.json()["code"]) == (404 if code == "not_found" else 422, code)
    assert admin.get("/v1/budgets").json()["items"] == []


def test_a_scope_that_matches_no_usage_is_allowed_with_a_warning(admin):
    budget = create(admin, scope={"model": ["lama", "llama"], "tag:team": ["core"], "tag:colour": ["red"]})
    assert budget["warnings"] == [
        "no usage has the model 'lama' yet; check its spelling",
        "the tag 'colour' is not declared in METERING_DECLARED_TAGS: usage is not summed by it, so this budget stays at zero",
    ]


def test_a_change_keeps_other_fields_and_every_revision(admin):
    budget = create(admin, forecast_percent=120, action="block")
    path = f"/v1/budgets/{budget['id']}"
    changed = admin.patch(path, json={"amount_usd": "20", "thresholds": [90], "forecast_percent": None}).json()
    assert (changed["amount_usd"], changed["thresholds"], changed["forecast_percent"]) == ("20.000000000", [90], None)
    assert (changed["action"], changed["block_percent"], changed["revision"]) == ("block", 100, 2)
    assert admin.patch(path, json={}).json()["revision"] == 2  # no change, no revision
    assert admin.patch(path, json={"thresholds": [90, 90]}).json()["code"] == "invalid_threshold"
    revisions = admin.get(path).json()["revisions"]
    assert [(each["revision"], each["amount_usd"]) for each in revisions] == [(1, "10.000000000"), (2, "20.000000000")]


def test_a_fixed_window_can_become_a_recurring_one(admin):
    budget = create(admin, window="fixed", start="2026-11-03", end="2026-11-20")
    assert budget["state"]["period"] == "2026-11-03/2026-11-20"
    changed = admin.patch(f"/v1/budgets/{budget['id']}", json={"window": "week"}).json()
    assert (changed["start"], changed["end"], changed["state"]["period"]) == (None, None, "2026-W48")


def test_a_deleted_budget_is_gone_and_its_alerts_are_kept(api, admin):
    path = f"/v1/budgets/{create(admin)['id']}"
    spend_dollars(admin, 6, "r1")
    evaluate(api)
    assert admin.delete(path).status_code == 204
    for answer in (admin.get(path), admin.patch(path, json={"amount_usd": "1"}), admin.delete(path)):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert admin.get("/v1/budgets").json()["items"] == []
    assert len(alerts(admin)) == 1


def test_another_account_s_budget_answers_like_one_that_does_not_exist(admin, acme):
    theirs = create(admin, account="globex")["id"]
    for method, body in (("GET", None), ("PATCH", {"amount_usd": "1"}), ("DELETE", None)):
        answer = acme.request(method, f"/v1/budgets/{theirs}", json=body)
        missing = acme.request(method, "/v1/budgets/999", json=body)
        assert answer.status_code == missing.status_code == 404
        assert answer.text.replace(f"budget {theirs}", "budget 999").replace(f"budgets/{theirs}", "budgets/999") == missing.text
    own = create(acme, account=None)
    assert [item["id"] for item in acme.get("/v1/budgets").json()["items"]] == [own["id"]]


def test_budgets_are_listed_in_pages(admin):
    ids = [create(admin)["id"] for _ in range(5)]
    first = admin.get("/v1/budgets?limit=2").json()
    second = admin.get("/v1/budgets", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = admin.get("/v1/budgets", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    assert [item["id"] for page in (first, second, third) for item in page["items"]] == ids
    assert third["next_cursor"] is None


def test_an_earlier_period_is_selected_by_a_day_in_it(admin):
    path = f"/v1/budgets/{create(admin)['id']}"
    spend_dollars(admin, 7, "r1", time="2026-10-31T23:59:59.999999Z")
    state = admin.get(f"{path}?on=2026-10-01").json()["state"]
    assert (state["period"], state["spent_usd"], state["forecast_method"]) == ("2026-10", "7.000000000", "final")
    assert admin.get(f"{path}?on=2026-10").json()["code"] == "invalid_time"


def test_a_live_server_raises_alerts_for_stored_usage(live):
    budget = live.post("/v1/budgets", json={"account": "acme", "amount_usd": "10", "action": "block"}).json()
    spend_dollars(live, 11, "r1")
    expected = [
        *(("budget.threshold_reached", f"budget:{budget['id']}", "2026-11", percent) for percent in (50, 80, 100)),
        ("budget.blocked", f"budget:{budget['id']}", "2026-11", 100),
    ]
    for _ in range(400):
        if alerts(live) == expected:
            break
        time.sleep(0.05)
    assert alerts(live) == expected
    assert live.get(f"/v1/budgets/{budget['id']}").json()["state"]["blocked"] is True
