"""The breakdown of a charge adds up to the charge: exact parts, rounded up once."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.breakdown import ChargePart, break_down
from pricing.errors import ChargeTooLargeError
from pricing.quantities import PRICED_KINDS, REQUESTS, Quantities
from pricing.rates import CACHE_KINDS, Price
from pricing.rating import assumes_cache_price, charge
from support.builders import rate
from support.presence import present


def test_each_quantity_is_multiplied_and_the_sum_rounded_up_once():
    prices = {"input_tokens": Price(1_000_000), "cache_read_tokens": Price(100_000), "output_tokens": Price(2_000_000)}
    used = Quantities(input_tokens=400, cache_read_tokens=600, output_tokens=200, reasoning_tokens=150)
    found = present(break_down(used, rate(prices=prices)))
    assert found.parts == (
        ChargePart("input_tokens", 400, Price(1_000_000)),
        ChargePart("cache_read_tokens", 600, Price(100_000)),
        ChargePart("output_tokens", 200, Price(2_000_000)),
    )
    assert [part.amount_pico for part in found.parts] == [400_000_000, 60_000_000, 400_000_000]
    assert (found.sum_pico, found.amount_nano, found.rounding_pico) == (Fraction(860_000_000), 860_000, Fraction(0))


def test_a_breakdown_has_the_amount_that_rounding_added():
    found = present(break_down(Quantities(input_tokens=1), rate(37_500, 0)))
    assert (found.sum_pico, found.amount_nano, found.rounding_pico) == (Fraction(37_500), 38, Fraction(500))


def test_a_block_that_does_not_divide_leaves_a_fraction():
    found = present(break_down(Quantities(compute_ms=1), rate(prices={"compute_ms": Price(7, 3)})))
    assert (found.sum_pico, found.amount_nano, found.rounding_pico) == (Fraction(7, 3), 1, 1_000 - Fraction(7, 3))


def test_an_assumed_cache_price_is_marked():
    found = present(break_down(Quantities(input_tokens=1, cache_read_tokens=2), rate(5, 0)))
    assert [(part.kind, part.price.pico, part.assumed) for part in found.parts] == [
        ("input_tokens", 5, False),
        ("cache_read_tokens", 5, True),
    ]


def test_the_price_per_request_is_a_part():
    found = present(break_down(Quantities(), rate(prices={REQUESTS: Price(9_000)})))
    assert (found.parts, found.amount_nano) == ((ChargePart(REQUESTS, 1, Price(9_000)),), 9)


def test_an_unpriced_quantity_has_no_breakdown():
    assert break_down(Quantities(images=1), rate()) is None


prices = st.builds(Price, st.integers(0, 10**10), st.sampled_from([1, 3, 1_000, 3_600_000]))
rates = st.builds(
    lambda listed: rate(prices=listed),
    st.dictionaries(st.sampled_from([*PRICED_KINDS, REQUESTS]), prices, min_size=1),
)
used = st.dictionaries(st.sampled_from(PRICED_KINDS), st.integers(1, 10**6), max_size=4).map(lambda kinds: Quantities(**kinds))


@given(quantities=used, priced=rates)
def test_the_parts_rounded_up_equal_the_charge(quantities, priced):
    try:
        charged = charge(quantities, priced)
    except ChargeTooLargeError:
        return
    found = break_down(quantities, priced)
    assert (found is None) == (charged is None)
    if found is not None:
        assert found.amount_nano == present(charged).amount_nano
        assert 0 <= found.rounding_pico < 1_000
        assert any(part.assumed for part in found.parts) == assumes_cache_price(quantities, priced)
        assert {part.kind for part in found.parts if part.assumed} <= set(CACHE_KINDS)


@pytest.mark.parametrize("kind", PRICED_KINDS)
def test_every_kind_can_be_a_part(kind):
    found = present(break_down(Quantities(**{kind: 3}), rate(prices={kind: Price(4)})))
    assert [(part.kind, part.amount_pico) for part in found.parts] == [(kind, Fraction(12))]
