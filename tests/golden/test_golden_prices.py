"""Worked examples 3, 4, 5 and 8: the cost of single requests, at bundled prices where the example has real ones."""

from datetime import UTC, datetime, timedelta

import pytest

from pricing.book import PriceBook
from pricing.bundled import bundled_tables
from pricing.dollars import format_nano
from pricing.quantities import checked_quantities
from pricing.rates import Price, Rate
from pricing.rating import assumes_cache_price, charge
from support.presence import present

CHANGE = datetime(2026, 10, 19, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def bundled_rate(route, provider, model, moment, operation="chat"):
    instant = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
    return PriceBook(bundled_tables()).rate_for(None, route, (provider, model, operation), instant)


def per_million(**micro_usd):
    """Return a rate; a price is in millionths of a dollar per million tokens, which is pico-USD per token."""
    return Rate(provider="any", model="any", prices={kind: Price(pico) for kind, pico in micro_usd.items()})


def test_example_3_ten_seconds_of_flux_on_hf_inference_cost_1_200_000_nano_dollars():
    rate = bundled_rate("serverless", "hf-inference", "black-forest-labs/FLUX.1-dev", CHANGE, "text-to-image")
    amount_nano = present(charge(checked_quantities(compute_ms=10_000, images=1), rate)).amount_nano
    assert amount_nano == 1_200_000
    assert format_nano(amount_nano) == "0.001200000"


def test_example_4_one_token_at_0_0375_per_million_costs_38_nano_dollars():
    assert present(charge(checked_quantities(input_tokens=1), per_million(input_tokens=37_500))).amount_nano == 38


def test_example_5_a_cached_token_is_charged_once_at_its_own_price():
    rate = per_million(input_tokens=1_000_000, cache_read_tokens=100_000, output_tokens=2_000_000)
    used = checked_quantities(input_tokens=400, cache_read_tokens=600, output_tokens=200, reasoning_tokens=150)
    assert present(charge(used, rate)).amount_nano == 860_000
    assert not assumes_cache_price(used, rate)


@pytest.mark.parametrize(
    ("moment", "amount_nano"),
    [
        (CHANGE - MICROSECOND, 880),
        (CHANGE, 1_040),
        (CHANGE + MICROSECOND, 1_040),
        (datetime(2025, 11, 24, 15, 39, 34, tzinfo=UTC), 880),
    ],
)
def test_example_8_a_price_change_takes_effect_at_its_microsecond(moment, amount_nano):
    rate = bundled_rate("routed", "together", "meta-llama/Llama-3.3-70B-Instruct", moment)
    assert present(charge(checked_quantities(input_tokens=1), rate)).amount_nano == amount_nano
    assert present(charge(checked_quantities(output_tokens=1), rate)).amount_nano == amount_nano
