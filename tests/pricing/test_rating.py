"""Every quantity is charged exactly once; the sum is rounded up once; unknown is not zero."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import ChargeTooLargeError
from pricing.money import MAX_CHARGE_NANO
from pricing.quantities import MAX_QUANTITY, PRICED_KINDS, REQUESTS, Quantities
from pricing.rates import MAX_PRICE_PICO, TEXT_KINDS, Price, Rate
from pricing.rating import assumes_cache_price, charge, kinds_without_price, line_amount_pico
from support.presence import present

CACHE = ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")


def rate(**prices):
    listed = {kind: price if isinstance(price, Price) else Price(price) for kind, price in prices.items()}
    return Rate(provider="together", model="llama", prices=listed)


TEXT = rate(input_tokens=1_000_000, cache_read_tokens=100_000, output_tokens=2_000_000)
FLUX = rate(compute_ms=Price(120_000_000, 1_000), images=0, input_tokens=0)


def test_one_token_at_37500_pico_is_rounded_up_to_38_nano():
    assert present(charge(Quantities(input_tokens=1), rate(input_tokens=37_500))).amount_nano == 38


def test_two_parts_are_added_before_they_are_rounded():
    # 37.5 + 37.5 nano: 75 together, 76 if each were rounded by itself.
    assert (
        present(
            charge(Quantities(input_tokens=1, output_tokens=1), rate(input_tokens=37_500, output_tokens=37_500))
        ).amount_nano
        == 75
    )


def test_ten_seconds_of_compute_at_a_price_per_second():
    assert present(charge(Quantities(compute_ms=10_000, images=1), FLUX)).amount_nano == 1_200_000


def test_a_cached_token_is_charged_once_and_reasoning_is_not_charged_again():
    used = Quantities(input_tokens=400, cache_read_tokens=600, output_tokens=200, reasoning_tokens=150)
    priced = present(charge(used, TEXT))
    assert priced.amount_nano == 860_000
    assert not assumes_cache_price(used, TEXT)
    assert priced.rate is TEXT


def test_a_missing_cache_price_falls_back_to_the_input_price():
    plain = rate(input_tokens=1_000_000, output_tokens=2_000_000)
    cached = Quantities(input_tokens=400, cache_read_tokens=600, output_tokens=200)
    assert (present(charge(cached, plain)).amount_nano, assumes_cache_price(cached, plain)) == (1_400_000, True)
    assert not assumes_cache_price(Quantities(input_tokens=400, output_tokens=200), plain)


def test_a_cache_price_is_assumed_only_for_cached_tokens_that_were_used():
    assert assumes_cache_price(Quantities(cache_write_tokens=1), TEXT)
    assert not assumes_cache_price(Quantities(cache_read_tokens=1), TEXT)
    with_image = rate(input_tokens=10, cache_read_tokens=1, images=1_000)
    assert not assumes_cache_price(Quantities(cache_read_tokens=1, images=1), with_image)
    assert assumes_cache_price(Quantities(cache_write_1h_tokens=1, images=1), with_image)


@pytest.mark.parametrize("kind", [kind for kind in PRICED_KINDS if kind not in {"input_tokens", "output_tokens", *CACHE}])
def test_a_quantity_without_a_price_leaves_the_whole_request_unpriced(kind):
    used = Quantities(input_tokens=1_000, **{kind: 1})
    text = rate(input_tokens=10, output_tokens=10)
    assert charge(used, text) is None
    assert kinds_without_price(used, text) == [kind]


def test_text_output_without_a_price_is_unpriced():
    embedding = rate(input_tokens=10)
    assert present(charge(Quantities(input_tokens=100), embedding)).amount_nano == 1
    assert charge(Quantities(input_tokens=100, output_tokens=1), embedding) is None


def test_a_request_without_quantities_costs_zero():
    assert present(charge(Quantities(), TEXT)).amount_nano == 0
    assert present(charge(Quantities(), FLUX)).amount_nano == 0


def test_a_free_model_is_free_not_unknown():
    assert (
        present(charge(Quantities(input_tokens=1_000, output_tokens=9), rate(input_tokens=0, output_tokens=0))).amount_nano == 0
    )


def test_a_rate_can_have_a_price_per_request():
    assert present(charge(Quantities(), rate(requests=5_000))).amount_nano == 5
    assert present(charge(Quantities(input_tokens=3), rate(requests=5_000, input_tokens=100, output_tokens=0))).amount_nano == 6


def test_an_image_without_its_compute_time_is_unpriced_not_free():
    used = Quantities(images=1, input_tokens=20)
    assert charge(used, FLUX) is None
    assert kinds_without_price(used, FLUX) == ["input_tokens", "images"]


def test_an_image_priced_per_megapixel_is_unpriced_without_its_size():
    by_size = rate(megapixels=25_000_000_000, images=0)
    assert charge(Quantities(images=1), by_size) is None
    assert present(charge(Quantities(images=1, megapixels=2), by_size)).amount_nano == 50_000_000
    assert kinds_without_price(Quantities(images=1, megapixels=2), by_size) == []


def test_a_charge_of_two_to_the_43_is_refused_and_one_less_is_not():
    # 2^43 nano = 8,796,093,022,208 x 1,000 pico; 8,796,093,022,208 = 2^26 x 2^17.
    unit = rate(input_tokens=2**17 * 1_000)
    with pytest.raises(ChargeTooLargeError, match="8796093022208 nano-USD for one request of llama at together") as refused:
        charge(Quantities(input_tokens=2**26), unit)
    assert (refused.value.code, refused.value.amount_nano) == ("charge_too_large", 8_796_093_022_208)
    assert present(charge(Quantities(input_tokens=2**26 - 1), unit)).amount_nano == 2**43 - 2**17
    with pytest.raises(ChargeTooLargeError):
        charge(Quantities(images=2**26), rate(images=2**17 * 1_000))


def test_a_million_of_the_largest_charges_still_sum_within_64_bits():
    assert 2**20 * MAX_CHARGE_NANO < 2**63


def test_three_requests_of_one_token_are_one_exact_line():
    # Worked example 9: 3 x 37,500 pico; the rounding of the three charges does not matter.
    assert line_amount_pico("input_tokens", 3, rate(input_tokens=37_500)) == 112_500


def test_a_line_of_cached_tokens_without_a_price_is_at_the_input_price():
    assert line_amount_pico("cache_read_tokens", 4, rate(input_tokens=10)) == 40


def test_a_line_per_block_is_rounded_down_and_requests_are_a_line():
    assert line_amount_pico("compute_ms", 1_500, rate(compute_ms=Price(3, 1_000))) == 4
    assert line_amount_pico(REQUESTS, 3, rate(requests=7)) == 21


def test_the_largest_charge_is_one_below_two_to_the_43():
    # 2^43 - 1 = 431 x 9,719 x 2,099,863.
    for kind in ("input_tokens", "images"):
        at = rate(**{"input_tokens": 0, "output_tokens": 0} | {kind: 2_099_863 * 1_000})
        assert present(charge(Quantities(**{kind: 431 * 9_719}), at)).amount_nano == 8_796_093_022_207


def test_each_kind_of_text_has_its_own_price():
    at = rate(
        input_tokens=1_000, cache_read_tokens=10**5, cache_write_tokens=10**7, cache_write_1h_tokens=10**9, output_tokens=10**11
    )
    used = Quantities(input_tokens=1, cache_read_tokens=2, cache_write_tokens=3, cache_write_1h_tokens=4, output_tokens=5)
    assert present(charge(used, at)).amount_nano == 5_04_03_02_01


def test_tokens_covered_by_compute_time_are_unpriced_without_it():
    at = rate(compute_ms=Price(120_000_000, 1_000), input_tokens=0, output_tokens=0)
    assert charge(Quantities(input_tokens=20, output_tokens=5), at) is None
    assert present(charge(Quantities(input_tokens=20, output_tokens=5, compute_ms=1), at)).amount_nano == 120


counts = st.one_of(st.just(0), st.integers(min_value=0, max_value=10_000), st.integers(min_value=0, max_value=MAX_QUANTITY))
prices = st.builds(
    Price,
    st.one_of(st.just(0), st.integers(min_value=1, max_value=10**9), st.integers(min_value=1, max_value=MAX_PRICE_PICO)),
    st.sampled_from([1, 1_000, 3_600_000]),
)
priced = st.one_of(
    st.dictionaries(st.sampled_from((*PRICED_KINDS, REQUESTS)), prices, min_size=1),
    st.dictionaries(st.sampled_from((*TEXT_KINDS, REQUESTS)), prices, min_size=1),
    st.fixed_dictionaries(dict.fromkeys(TEXT_KINDS, prices), optional={REQUESTS: prices, "images": prices}),
)
used = st.one_of(
    st.dictionaries(st.sampled_from(PRICED_KINDS), counts),
    st.dictionaries(st.sampled_from(TEXT_KINDS), counts),
)


def owed(amounts: dict[str, int], listed: dict[str, Price]) -> tuple[int, bool] | None:
    """Return (nano-USD, whether a cache price was assumed) by the rules in exact fractions; None for unpriced."""
    total, assumed = Fraction(0), False
    for kind, amount in {**amounts, REQUESTS: 1}.items():
        price = listed.get(kind)
        if price is None and kind in CACHE and amount:
            price = listed.get("input_tokens")
            assumed = assumed or price is not None
        if price is not None:
            total += Fraction(amount * price.pico, price.block)
        elif amount and kind != REQUESTS:
            return None
    has_non_token_price = any(price.pico and not kind.endswith("_tokens") for kind, price in listed.items() if kind != REQUESTS)
    if not total and has_non_token_price and any(amounts.values()):
        return None
    return ceil(total / 1_000), assumed


@given(priced, used)
def test_a_charge_is_the_exact_sum_rounded_up_once(listed, amounts):
    at = Rate(provider="p", model="m", prices=listed)
    expected = owed(amounts, listed)
    if expected is not None and expected[0] > MAX_CHARGE_NANO:
        with pytest.raises(ChargeTooLargeError):
            charge(Quantities(**amounts), at)
        return
    charged = charge(Quantities(**amounts), at)
    assert (None if charged is None else (charged.amount_nano, assumes_cache_price(Quantities(**amounts), at))) == expected
    assert bool(kinds_without_price(Quantities(**amounts), at)) == (expected is None)


@given(st.lists(st.integers(min_value=1, max_value=10**6), min_size=1, max_size=20), st.integers(min_value=1, max_value=10**7))
def test_charges_exceed_their_statement_line_by_less_than_a_nano_each(tokens, pico):
    at = rate(input_tokens=pico)
    charged = sum(present(charge(Quantities(input_tokens=count), at)).amount_nano for count in tokens)
    rounding_pico = charged * 1_000 - line_amount_pico("input_tokens", sum(tokens), at)
    assert 0 <= rounding_pico < 1_000 * len(tokens)
