"""``GET /v1/spend``: sums computed by hand, periods, groups, filters."""

import pytest

from support.builders import price_table, rate
from support.native_events import native

NOVEMBER = "start=2026-11-01&end=2026-12-01"
COST = 120_000


@pytest.fixture
def november(admin):
    """Five requests of acme and one of globex."""
    sent = [
        native("a", project="search", tags={"team": "core"}),
        native("b", time="2026-11-03T23:59:59.999999Z", tags={"team": "web"}),
        native("c", time="2026-11-04T00:00:00Z", key="prod-1"),
        native("failed", status=500, time="2026-11-04T00:00:01Z"),
        native("unpriced", model="nobody/knows", time="2026-11-04T00:00:02Z"),
        native("october", time="2026-10-31T23:59:59.999999Z"),
        native("theirs", account="globex"),
    ]
    assert admin.post("/v1/events", json=sent).json()["accepted"] == 7
    return admin


def ask(client, query):
    answer = client.get(f"/v1/spend?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_total_shows_failed_and_unpriced_requests_separately(november):
    answer = ask(november, f"account=acme&{NOVEMBER}")
    total = {
        "events": 5, "failed_events": 1, "unpriced_events": 1, "unpriced_tokens": 110,
        "quantities": {"input_tokens": 500, "output_tokens": 50}, "amount_nano_usd": 360_000, "amount_usd": "0.000360000",
        "possible_events": 0, "possible_least_nano_usd": None, "possible_least_usd": None, "possible_most_nano_usd": None,
        "possible_most_usd": None,
    }  # fmt: skip
    assert answer == {
        "account": "acme",
        "start": "2026-11-01T00:00:00.000000Z",
        "end": "2026-12-01T00:00:00.000000Z",
        "period_basis": "event",
        "granularity": "total",
        "group_by": [],
        "rows": [{"group": {}, "period_start": "2026-11-01T00:00:00.000000Z", **total}],
        "total": total,
    }


def test_the_default_period_is_the_current_month(november):
    assert ask(november, "account=acme") == ask(november, f"account=acme&{NOVEMBER}")


def test_a_key_for_all_accounts_sums_all_of_them(november):
    answer = ask(november, f"{NOVEMBER}&group_by=account")
    assert answer["account"] is None
    assert {row["group"]["account"]: row["amount_nano_usd"] for row in answer["rows"]} == {"acme": 360_000, "globex": COST}
    assert answer["total"]["amount_nano_usd"] == 480_000


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("group_by=model", {("llama",): 3 * COST, ("nobody/knows",): 0}),
        ("group_by=provider,project", {("together", ""): 2 * COST, ("together", "search"): COST}),
        ("group_by=provider&group_by=project", {("together", ""): 2 * COST, ("together", "search"): COST}),
        ("group_by=tag:team", {("",): COST, ("core",): COST, ("web",): COST}),
        ("group_by=price_grade", {("rated",): 3 * COST, ("unpriced",): 0, ("exempt",): 0}),
        ("group_by=project&project=search", {("search",): COST}),
        ("group_by=project&project=", {("",): 2 * COST}),
        ("group_by=key&key=prod-1&key=", {("",): 2 * COST, ("prod-1",): COST}),
        ("group_by=tag:team&tag:team=core&tag:team=web", {("core",): COST, ("web",): COST}),
        ("group_by=billable&billable=true", {("true",): 3 * COST}),
    ],
)
def test_groups_and_filters(november, query, expected):
    answer = ask(november, f"account=acme&{NOVEMBER}&{query}")
    assert {tuple(row["group"].values()): row["amount_nano_usd"] for row in answer["rows"]} == expected
    assert answer["total"]["amount_nano_usd"] == sum(expected.values())
    assert all(list(row["group"]) == answer["group_by"] for row in answer["rows"])


@pytest.mark.parametrize(
    ("granularity", "expected"),
    [
        ("hour", {"2026-11-03T12:00": 1, "2026-11-03T23:00": 1, "2026-11-04T00:00": 3}),
        ("day", {"2026-11-03T00:00": 2, "2026-11-04T00:00": 3}),
        ("month", {"2026-11-01T00:00": 5}),
    ],
)
def test_periods(november, granularity, expected):
    rows = ask(november, f"account=acme&{NOVEMBER}&granularity={granularity}")["rows"]
    assert {row["period_start"][:16]: row["events"] for row in rows} == expected


def test_queries_by_billing_month_need_whole_months(november):
    assert ask(november, f"account=acme&{NOVEMBER}&period_basis=billing")["period_basis"] == "billing"
    for query in ("start=2026-11-02&end=2026-12-01", f"{NOVEMBER}&granularity=day"):
        answer = november.get(f"/v1/spend?account=acme&period_basis=billing&{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_spend_query")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("group_by=color", "invalid_spend_query"),
        ("group_by=model,model", "invalid_spend_query"),
        ("group_by=tag:", "invalid_spend_query"),
        ("group_by=tag:user", "invalid_spend_query"),
        ("tag:user=x", "invalid_spend_query"),
        ("route=sideways", "invalid_spend_query"),
        ("billable=perhaps", "invalid_spend_query"),
        ("rate=99999999999999999999", "invalid_spend_query"),
        ("granularity=week", "invalid_request"),
        ("period_basis=moon", "invalid_request"),
        ("start=1970-01-01&end=2101-01-01", "invalid_spend_query"),
    ],
)
def test_an_invalid_query_is_refused(november, query, code):
    answer = november.get(f"/v1/spend?account=acme&{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_month_is_a_period(november):
    assert ask(november, "account=acme&month=2026-11") == ask(november, "account=acme&start=2026-11-01&end=2026-12-01")
    assert ask(november, "account=acme&month=2026-10") == ask(november, "account=acme&start=2026-10-01&end=2026-11-01")
    for query, code in (
        ("month=2026-13", "invalid_time"),
        ("month=November", "invalid_time"),
        ("month=2026-11&start=2026-11-01", "invalid_request"),
        ("month=2026-11&end=2026-12-01", "invalid_request"),
        ("top=0", "invalid_request"),
        ("sort=name", "invalid_request"),
    ):
        answer = november.get(f"/v1/spend?account=acme&{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_hours_of_years_are_answered_where_few_of_them_have_usage(november):
    answer = ask(november, "account=acme&start=1970-01-01&end=2099-12-31&granularity=hour")
    assert answer["total"]["events"] == sum(row["events"] for row in answer["rows"]) == 6


def test_the_longest_period_is_allowed(november):
    assert ask(november, "account=acme&start=1970-01-01&end=2099-12-31&group_by=model")["total"]["events"] == 6


def test_amounts_too_large_for_doubles_are_exact_in_both_fields(admin, api):
    # 10^15 pico-USD a token is the highest price there is: 8 tokens cost 8,000 dollars, 1,126 such requests 9,008,000.
    api.meter.record_prices(price_table(rate(10**15, 10**15, model="dear"), source="dear"))
    per_request = 8 * 10**12
    for batch in range(23):
        size = 50 if batch < 22 else 26
        events = [native(f"{batch}-{n}", model="dear", usage={"input_tokens": 8}) for n in range(size)]
        assert admin.post("/v1/events", json=events).json()["accepted"] == size
    total = ask(admin, "account=acme")["total"]
    assert total["amount_nano_usd"] == 1_126 * per_request > 2**53
    assert total["amount_usd"] == "9008000.000000000"
