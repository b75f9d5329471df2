"""``/v1/prices/explain`` and ``/v1/prices/history``: why and since when, and which prices a bound key sees."""

import pytest

from metering.operations.accounts.manage_accounts import show_account
from pricing.tables import Layer
from support.builders import SECOND, instant, price_table, rate


@pytest.fixture
def layered(api):
    """``llama`` has an operator's price, a router's price in other letter case, and acme's own price, recorded later."""
    api.meter.record_prices(
        price_table(rate(3, 3, model="LLAMA"), source="router", layer=Layer.ROUTE, route="routed"),
        price_table(rate(4, 4), rate(6, 6, context_from=1_000), effective_from=instant("2026-11-10T00:00:00Z")),
    )
    api.meter.now += SECOND
    own = show_account(api.meter.engine, "acme").id
    api.meter.record_prices(price_table(rate(1, 1), source="agreement", layer=Layer.ACCOUNT, account_id=own))
    return api


REQUEST = {"model": "llama:fastest", "provider": "together"}


def explained(client, **parameters):
    answer = client.get("/v1/prices/explain", params=REQUEST | parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def quotes(answer):
    return [(each["layer"], each["source"], each["known_as"], each["standing"]) for each in answer["sources"]]


def test_the_lists_are_in_order_of_precedence_with_their_prices(layered):
    answer = explained(layered.client("read"), at="2026-11-09", context_tokens=1_000)
    assert answer["asked"] == {"model": "llama:fastest", "provider": "together"}
    assert (answer["model"], answer["suffix"], answer["route"], answer["route_from"]) == (
        "llama",
        ":fastest",
        "routed",
        "assumed",
    )
    assert quotes(answer) == [("operator", "sheet", "llama", "wins"), ("route", "router", "LLAMA", "outranked")]
    assert answer["sources"][0]["next_from"] == "2026-11-10T00:00:00.000000Z"
    assert answer["sources"][1]["tiers"][0]["prices"]["input_tokens"]["price_usd"] == "0.000000000003"
    assert answer["tiers"][0]["prices"]["output_tokens"]["price_usd"] == "0.000002000000"
    assert answer["assumed_cache_prices"] == ["cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"]


def test_the_tier_for_the_size_of_the_prompt_applies(layered):
    client = layered.client("read")
    answers = [explained(client, at="2026-11-10", context_tokens=size) for size in (999, 1_000)]
    assert [each["context_from"] for each in answers[0]["tiers"]] == [0, 1_000]
    assert [answer["rate_id"] for answer in answers] == [tier["rate_id"] for tier in answers[0]["tiers"]]


def test_a_bound_key_gets_its_own_accounts_prices_only(layered):
    own = explained(layered.client("read", account="acme"), route="routed")
    assert quotes(own)[0] == ("account", "agreement", "llama", "wins")
    assert own["account"] == "acme"
    theirs = layered.client("read", account="globex")
    for answer in (explained(theirs, route="routed"), explained(layered.client("read"), route="routed")):
        assert quotes(answer)[0] == ("operator", "sheet", "llama", "wins")
    assert "agreement" not in theirs.get("/v1/prices/history?model=llama").text


def test_prices_recorded_later_can_be_left_out(layered):
    client = layered.client("read", account="acme")
    before = explained(client, route="routed", known_at="2026-11-23T10:00:00Z")
    assert quotes(before)[0] == ("operator", "sheet", "llama", "wins")
    assert before["known_at"] == "2026-11-23T10:00:00.000000Z"
    assert explained(client, route="routed", known_at="2026-11-23T10:00:01Z")["sources"][0]["source"] == "agreement"
    assert client.get("/v1/prices?known_at=2026-11-23T09:59:59Z").json()["items"] == []


def test_the_reason_for_having_no_price_is_a_code(layered):
    client = layered.client("read")
    assert explained(client, at="2019-01-01")["reason"] == "not_yet"
    assert client.get("/v1/prices/explain?model=LLama&provider=novita").json()["reason"] == "other_provider"


@pytest.mark.parametrize(
    "query",
    ["", "model=", "model=llama&route=else", "model=llama&context_tokens=-1", "model=llama&at=noon", "model=llama&known_at=x"],
)
def test_invalid_parameters_are_refused(layered, query):
    assert layered.client("read").get(f"/v1/prices/explain?{query}").status_code == 422


def test_the_pages_of_a_history_add_up_to_the_whole(layered):
    client = layered.client("read", account="acme")
    whole = client.get("/v1/prices/history?model=llama").json()
    versions = [(each["source"], each["model"], each["effective_from"][:10], each["until"]) for each in whole["items"]]
    assert versions == [
        ("router", "LLAMA", "2020-01-01", None),
        ("agreement", "llama", "2020-01-01", None),
        ("sheet", "llama", "2020-01-01", "2026-11-10T00:00:00.000000Z"),
        ("sheet", "llama", "2026-11-10", None),
    ]
    assert whole["model"] == "llama"
    assert [tier["context_from"] for tier in whole["items"][3]["tiers"]] == [0, 1_000]
    pages = [client.get("/v1/prices/history?model=llama&limit=1").json()]
    while (cursor := pages[-1]["next_cursor"]) and len(pages) < 9:
        pages.append(client.get(f"/v1/prices/history?model=llama&limit=1&cursor={cursor}").json())
    assert [page["items"][0] for page in pages] == whole["items"]
    assert client.get(f"/v1/prices/history?model=other&limit=1&cursor={pages[0]['next_cursor']}").status_code in (400, 404)


def test_a_history_can_be_limited_to_a_provider_and_a_list(layered):
    client = layered.client("read")
    assert {each["source"] for each in client.get("/v1/prices/history?model=llama&source=router").json()["items"]} == {"router"}
    missing = client.get("/v1/prices/history?model=llama&provider=novita")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_a_model_that_only_another_account_has_is_not_found(layered):
    own = show_account(layered.meter.engine, "acme").id
    layered.meter.record_prices(price_table(rate(model="secret"), source="own", layer=Layer.ACCOUNT, account_id=own))
    assert layered.client("read", account="globex").get("/v1/prices/history?model=secret").status_code == 404
    assert layered.client("read", account="acme").get("/v1/prices/history?model=secret").status_code == 200
