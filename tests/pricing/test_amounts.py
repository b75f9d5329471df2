"""Published amounts are converted to prices exactly, or not at all."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import InvalidPriceError
from pricing.rates import Price
from pricing.sources.amounts import exact_price, price_from_text


def refusal(amount, kind="input_tokens", per=1_000_000, block=1):
    with pytest.raises(InvalidPriceError) as refused:
        exact_price(amount, kind, per=per, block=block, where="list: llama")
    assert str(refused.value).startswith("list: llama")
    return refused.value


@pytest.mark.parametrize(
    ("amount", "kind", "per", "block", "price"),
    [
        ("0.88", "input_tokens", 1_000_000, 1, Price(880_000)),
        ("1.0399999999999998", "input_tokens", 1_000_000, 1, Price(1_040_000)),
        ("0.18000000000000002", "output_tokens", 1_000_000, 1, Price(180_000)),
        ("0.000001", "input_tokens", 1_000_000, 1, Price(1)),
        ("1.345E-7", "cache_read_tokens", 1, 1, Price(134_500)),
        ("9.499999999999999E-7", "input_tokens", 1, 1, Price(950_000)),
        ("0.00003083", "audio_ms", 1_000, 1_000, Price(30_830_000, 1_000)),
        ("0.111", "audio_ms", 3_600_000, 3_600_000, Price(111_000_000_000, 3_600_000)),
        ("0.0398", "images", 1, 1, Price(39_800_000_000)),
        ("1000", "input_tokens", 1_000_000, 1, Price(10**9)),
        ("0", "input_tokens", 1_000_000, 1, Price(0)),
    ],
)
def test_an_amount_becomes_an_exact_integer(amount, kind, per, block, price):
    assert exact_price(Decimal(amount), kind, per=per, block=block, where="x") == price


@given(st.integers(min_value=0, max_value=10**9))
def test_the_error_of_a_binary_fraction_is_removed(pico):
    leaked = Decimal(repr(pico / 1_000_000))
    assert exact_price(leaked, "input_tokens", per=1_000_000, where="x") == Price(pico)
    per_token = Decimal(repr(pico / 10**12 * 1.0000000000000002))
    assert exact_price(per_token, "input_tokens", per=1, where="x") == Price(pico)


@pytest.mark.parametrize("amount", ["0.1234567", "0.88000001", "0.880000002", "0.0000001"])
def test_a_number_with_really_more_decimals_is_refused(amount):
    assert refusal(Decimal(amount)).fault == "too_precise"


@given(st.fractions(min_value=0, max_value=1_000, max_denominator=10**9))
def test_no_price_differs_from_its_amount_by_more_than_the_tolerance(amount):
    written = Decimal(amount.numerator) / Decimal(amount.denominator)
    try:
        price = exact_price(written, "input_tokens", per=1_000_000, where="x")
    except InvalidPriceError as error:
        assert error.fault == "too_precise"
    else:
        assert abs(Fraction(price.pico, 1_000_000) - amount) <= Fraction(2, 10**9)


@pytest.mark.parametrize(
    ("amount", "fault"),
    [(-1, "negative"), (Decimal("-0.0375"), "negative"), (1001, "implausible"), (Decimal("1E+50"), "implausible"),
     (True, "malformed"), ("0.88", "malformed"), (None, "malformed"), ([1], "malformed"), (Decimal("NaN"), "malformed"),
     (Decimal("Infinity"), "malformed"), (Decimal("1E+999999"), "implausible"), (Decimal("1E-999999"), "implausible"),
     (10**100, "implausible")],
)  # fmt: skip
def test_an_impossible_price_is_refused_with_a_stable_fault(amount, fault):
    assert refusal(amount).fault == fault


@pytest.mark.parametrize(
    ("amount", "kind", "per", "block", "message"),
    [
        (1001, "input_tokens", 1_000_000, 1, "1001 dollars per million exceeds the plausible limit of 1000; check the unit"),
        (Decimal("0.88"), "input_tokens", 1, 1, "880000 dollars per million exceeds the plausible limit of 1000"),
        (101, "images", 1, 1, "101 dollars each exceeds the plausible limit of 100"),
        (101, "requests", 1, 1, "101 dollars each exceeds the plausible limit of 100"),
        (11, "video_ms", 1_000, 1_000, "11 dollars per second exceeds the plausible limit of 10"),
    ],
)
def test_a_price_in_the_wrong_unit_is_implausible(amount, kind, per, block, message):
    assert message in str(refusal(amount, kind, per, block))


def test_a_price_from_text_is_never_rounded():
    assert price_from_text("0.88", "input_tokens", per_usd=1_000_000, where="x") == Price(880_000)
    with pytest.raises(InvalidPriceError, match="has more than 6 decimals"):
        price_from_text("1.0399999999999998", "input_tokens", per_usd=1_000_000, where="x")
