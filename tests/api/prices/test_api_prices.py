"""``/v1/prices``: the prices in force at an instant, and where they were read."""

import pytest

from pricing.tables import Layer, TableKind
from support.builders import instant, price_table, rate


@pytest.fixture
def changed(api):
    """The price of ``llama`` doubles in November; another source prices ``mistral`` by route and context."""
    api.meter.record_prices(
        price_table(rate(2_000_000, 4_000_000), effective_from=instant("2026-11-10T00:00:00Z")),
        price_table(
            rate(model="mistral", provider="novita", source="page 3"),
            rate(5, model="mistral", provider="novita", context_from=128_000),
            source="router",
            layer=Layer.ROUTE,
            route="routed",
            kind=TableKind.SNAPSHOT,
        ),
    )
    return api.client("read")


def test_a_price_is_in_force_from_its_instant_on(changed):
    def price_at(at):
        (found,) = changed.get(f"/v1/prices?model=LLAMA&at={at}").json()["items"]
        return found["prices"]["input_tokens"]

    assert price_at("2026-11-09T23:59:59.999999Z") == {"price_usd": "0.000001000000", "per": 1, "unit": "token"}
    assert price_at("2026-11-10")["price_usd"] == "0.000002000000"
    assert changed.get("/v1/prices?at=2019-12-31").json()["items"] == []


def test_a_price_has_its_provenance(changed):
    (first, second) = changed.get("/v1/prices?provider=novita").json()["items"]
    assert first.pop("rate_id") != second["rate_id"]
    assert first.pop("table_id") == second["table_id"]
    assert first == {
        "provider": "novita", "model": "mistral", "operation": "", "context_from": 0, "route": "routed", "layer": "route",
        "account": None, "source": "router", "provenance": "page 3", "effective_from": "2020-01-01T00:00:00.000000Z",
        "prices": {
            "input_tokens": {"price_usd": "0.000001000000", "per": 1, "unit": "token"},
            "output_tokens": {"price_usd": "0.000002000000", "per": 1, "unit": "token"},
        },
    }  # fmt: skip
    assert second["context_from"] == 128_000


def test_prices_are_found_by_provider_model_and_source(changed):
    def models(query):
        return [item["model"] for item in changed.get(f"/v1/prices?{query}").json()["items"]]

    assert models("") == ["mistral", "mistral", "llama"]
    assert models("provider=together") == models("provider=Together_AI") == ["llama"]
    assert models("model=stra") == ["mistral", "mistral"]
    assert models("source=router") == ["mistral", "mistral"]
    assert models("source=none") == []


def test_pages_keep_the_instant_of_the_first_while_prices_change(api, changed):
    first = changed.get("/v1/prices?limit=1").json()
    api.meter.now += 10**9
    api.meter.record_prices(price_table(rate(9, 9), rate(model="new"), source="new", effective_from=api.meter.now))
    found = [first]
    while cursor := found[-1]["next_cursor"]:
        found.append(changed.get(f"/v1/prices?limit=1&cursor={cursor}").json())
    assert {page["at"] for page in found} == {"2026-11-23T10:00:00.000000Z"}
    assert [page["items"][0]["model"] for page in found] == ["mistral", "mistral", "llama"]


def test_each_version_of_a_list_is_a_table(changed):
    tables = changed.get("/v1/prices/tables").json()["items"]
    versions = [(each["source"], each["layer"], each["route"], each["kind"], each["rates"]) for each in tables]
    assert versions == [
        ("sheet", "operator", "", "patch", 1),
        ("sheet", "operator", "", "patch", 1),
        ("router", "route", "routed", "snapshot", 2),
    ]
    assert [each["effective_from"][:10] for each in tables] == ["2020-01-01", "2026-11-10", "2020-01-01"]
    assert len({each["digest"] for each in tables}) == 3
    page = changed.get("/v1/prices/tables?limit=2").json()
    rest = changed.get(f"/v1/prices/tables?limit=2&cursor={page['next_cursor']}").json()
    assert (page["items"] + rest["items"], rest["next_cursor"]) == (tables, None)


@pytest.mark.parametrize("at", ["yesterday", "2026-11-01T00:00:00", "9999-12-31"])
def test_an_invalid_instant_is_refused(changed, at):
    assert changed.get(f"/v1/prices?at={at}").status_code == 422
