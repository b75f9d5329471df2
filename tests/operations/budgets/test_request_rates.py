"""The rates that a request may be charged at are those that it will be charged at, or those of every partner."""

from typing import Any

from metering.operations.budgets.request_rates import RateQuestion, request_rates
from pricing.tables import Layer
from support.builders import FROM_2020, instant, price_table, rate


def asked(meter, **fields):
    question: dict[str, Any] = {
        "account": "acme",
        "provider": "together",
        "model": "llama",
        "operation": "chat",
        "is_routed": True,
    }
    found = request_rates(meter.engine, meter.ingester.price_book(), RateQuestion(**question | fields), now=meter.now)
    return [(each.provider, each.context_from, each.prices["input_tokens"].pico) for each in found]


def test_a_provider_that_is_named_has_its_rate(meter):
    assert asked(meter) == [("together", 0, 1_000_000)]
    assert asked(meter, provider="groq") == []
    assert asked(meter, model="qwen") == []


def test_without_a_provider_it_is_that_of_every_partner_that_the_router_has(bare_meter):
    meter = bare_meter
    # nebius left the router in January 2026, and no partner is called local
    names = ("groq", "nebius", "together")
    meter.record_prices(price_table(*(rate(1_000 * at, provider=name) for at, name in enumerate(names, 1))))
    assert asked(meter, provider="unknown") == [("groq", 0, 1_000), ("together", 0, 3_000)]
    meter.now = instant("2026-01-10T00:00:00Z")
    assert asked(meter, provider="unknown") == [("groq", 0, 1_000), ("nebius", 0, 2_000), ("together", 0, 3_000)]
    assert asked(meter, provider="unknown", is_routed=False) == []


def test_all_context_tiers_are_returned(bare_meter):
    bare_meter.record_prices(price_table(rate(1_000), rate(2_000, context_from=200_000)))
    assert asked(bare_meter) == [("together", 200_000, 2_000), ("together", 0, 1_000)]


def test_an_accounts_own_prices_come_first(meter):
    acme = 2
    meter.record_prices(price_table(rate(500), layer=Layer.ACCOUNT, account_id=acme))
    assert asked(meter) == [("together", 0, 500)]
    assert asked(meter, account="someone") == [("together", 0, 1_000_000)]


def test_the_route_of_an_account_decides_where_the_request_is_not_routed(bare_meter):
    meter = bare_meter
    meter.declare("acme", "provider_key")
    meter.record_prices(price_table(rate(700), route="provider_key"))
    assert asked(meter, is_routed=False) == [("together", 0, 700)]
    assert asked(meter) == []


def test_a_new_price_is_returned_at_once(meter):
    assert asked(meter) == [("together", 0, 1_000_000)]
    meter.record_prices(price_table(rate(900), effective_from=FROM_2020 + 1))
    assert asked(meter) == [("together", 0, 900)]
