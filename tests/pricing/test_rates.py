"""A rate: prices per block, unknown prices, and assumed cache prices."""

import pytest

from pricing.errors import InvalidPriceError
from pricing.quantities import Quantities
from pricing.rates import MAX_BLOCK, MAX_PRICE_PICO, Price, Rate, assumed_cache_prices
from pricing.rating import charge
from support.presence import present


def rate(prices, **overrides):
    return Rate(**{"provider": "together", "model": "llama", "prices": prices} | overrides)


def test_prices_per_token_second_and_hour_share_a_common_block():
    # 7 tokens x 10 pico + 1,500 ms of 3,000 pico a second + 1,800,000 ms of 8,000 pico an hour = 70 + 4,500 + 4,000 pico.
    mixed = rate({"input_tokens": Price(10), "audio_ms": Price(3_000, 1_000), "compute_ms": Price(8_000, 3_600_000)})
    assert present(charge(Quantities(input_tokens=7, audio_ms=1_500, compute_ms=1_800_000), mixed)).amount_nano == 9


def test_a_block_that_does_not_divide_another_loses_nothing():
    # 1/3 pico a second and 1/7 pico a second: 21 units of each are 7 + 3 = 10 pico, times 100 is exactly one nano.
    odd = rate({"audio_ms": Price(1, 3), "video_ms": Price(1, 7)})
    assert present(charge(Quantities(audio_ms=2_100, video_ms=2_100), odd)).amount_nano == 1
    assert present(charge(Quantities(audio_ms=2_101, video_ms=2_100), odd)).amount_nano == 2


def test_an_unpublished_cache_price_is_the_input_price():
    prices = {"input_tokens": Price(5), "output_tokens": Price(9), "cache_read_tokens": Price(1)}
    assert assumed_cache_prices(prices) == {"cache_write_tokens": Price(5), "cache_write_1h_tokens": Price(5)}


def test_no_cache_price_is_assumed_without_an_input_price():
    assert assumed_cache_prices({"output_tokens": Price(9)}) == {}


@pytest.mark.parametrize("pico", [-1, MAX_PRICE_PICO + 1])
def test_a_price_out_of_bounds_is_refused(pico):
    with pytest.raises(InvalidPriceError, match=f"got {pico}"):
        Price(pico)


@pytest.mark.parametrize("block", [0, -1, MAX_BLOCK + 1])
def test_a_block_out_of_bounds_is_refused(block):
    with pytest.raises(InvalidPriceError, match=f"got {block}"):
        Price(1, block)


def test_prices_are_equal_by_amount_and_block():
    assert Price(1, 1000) == Price(1, 1000)
    assert len({Price(1, 1000), Price(1, 1000), Price(1)}) == 2
    assert Price(1) != 1


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"provider": ""}, "needs a provider and a model"),
        ({"model": ""}, "needs a provider and a model"),
        ({"context_from": -1}, "together llama: context_from must not be negative, got -1"),
        ({"prices": {}}, "together llama: a rate needs at least one price"),
        ({"prices": {"reasoning_tokens": Price(1)}}, "'reasoning_tokens' is not a kind of quantity that can have a price"),
        ({"prices": {"tokens": Price(1)}}, "'tokens' is not a kind of quantity that can have a price"),
    ],
)
def test_an_invalid_rate_is_refused(overrides, reason):
    with pytest.raises(InvalidPriceError, match=reason) as refused:
        rate(**{"prices": {"input_tokens": Price(1)}} | overrides)
    assert refused.value.code == "invalid_price"


def test_the_prices_of_a_rate_are_immutable():
    listed = {"input_tokens": Price(1)}
    fixed = rate(listed)
    listed["input_tokens"] = Price(2)
    assert fixed.prices["input_tokens"] == Price(1)
    with pytest.raises(TypeError):
        fixed.prices["input_tokens"] = Price(3)
