"""``/v1/prices/diff``: the prices that differ between two instants, and which of them a bound key sees."""

import pytest

from metering.operations.accounts.manage_accounts import show_account
from pricing.tables import Layer
from support.builders import instant, price_table, rate

NOVEMBER = "/v1/prices/diff?start=2026-11-01&end=2026-11-10"


@pytest.fixture
def changed(api):
    """On November 10, the price of ``llama`` doubles on any route; acme's own price and a routed price of ``qwen`` begin."""
    begins = {"effective_from": instant("2026-11-10T00:00:00Z")}
    own = show_account(api.meter.engine, "acme").id
    api.meter.record_prices(
        price_table(rate(2_000_000, 4_000_000), **begins),
        price_table(rate(5, 5, model="qwen"), route="routed", **begins),
        price_table(rate(1, 1), source="agreement", layer=Layer.ACCOUNT, account_id=own, **begins),
    )
    return api


def summary(answer):
    return [(each["source"], each["route"], each["model"], each["quantity"], each["kind"]) for each in answer["items"]]


def test_each_change_is_listed_once_with_both_prices(changed):
    answer = changed.client("read").get(NOVEMBER).json()
    assert summary(answer) == [
        ("sheet", "", "llama", "input_tokens", "raised"),
        ("sheet", "", "llama", "output_tokens", "raised"),
        ("sheet", "routed", "qwen", "input_tokens", "added"),
        ("sheet", "routed", "qwen", "output_tokens", "added"),
    ]
    assert answer["items"][0]["before"] == {"price_usd": "0.000001000000", "per": 1, "unit": "token"}
    assert answer["items"][0]["after"]["price_usd"] == "0.000002000000"
    assert answer["items"][2]["before"] is None


def test_the_pages_add_up_to_the_whole(changed):
    client = changed.client("read")
    pages = [client.get(f"{NOVEMBER}&limit=1").json()]
    while (cursor := pages[-1]["next_cursor"]) and len(pages) < 9:
        pages.append(client.get(f"{NOVEMBER}&limit=1&cursor={cursor}").json())
    assert [item for page in pages for item in page["items"]] == client.get(NOVEMBER).json()["items"]


def test_a_bound_key_sees_changes_of_its_own_accounts_prices_only(changed):
    own = changed.client("read", account="acme").get(NOVEMBER).json()
    assert {each["source"] for each in own["items"]} == {"agreement", "sheet"}
    theirs = changed.client("read", account="globex").get(NOVEMBER).json()
    assert {each["source"] for each in theirs["items"]} == {"sheet"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("start=2026-11-02&end=2026-11-01", "invalid_request"),
        ("start=x&end=2026-11-01", "invalid_time"),
        ("", "invalid_request"),
    ],
)
def test_an_invalid_comparison_is_refused(changed, query, code):
    answer = changed.client("read").get(f"/v1/prices/diff?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
