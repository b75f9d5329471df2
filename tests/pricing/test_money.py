"""Money is integers: two roundings, exact reading, exact writing."""

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.dollars import format_cents, format_nano, format_pico
from pricing.errors import InvalidAmountError
from pricing.money import NANO_PER_USD, PICO_PER_CENT, PICO_PER_USD, divide_half_away, divide_up, parse_usd, round_to_cents

amounts = st.integers(min_value=-(10**24), max_value=10**24)
divisors = st.integers(min_value=1, max_value=10**18)


@pytest.mark.parametrize(
    ("numerator", "rounded"), [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (-1, 0), (-1000, -1), (-1001, -1)]
)
def test_a_fraction_of_a_nano_dollar_is_rounded_up(numerator, rounded):
    assert divide_up(numerator, 1000) == rounded


@pytest.mark.parametrize(
    ("numerator", "rounded"), [(4, 0), (5, 1), (14, 1), (15, 2), (25, 3), (-4, 0), (-5, -1), (-15, -2), (-25, -3)]
)
def test_halves_are_rounded_away_from_zero(numerator, rounded):
    assert divide_half_away(numerator, 10) == rounded


@given(amounts, divisors)
def test_rounding_up_is_the_ceiling_of_the_exact_quotient(numerator, denominator):
    assert divide_up(numerator, denominator) == ceil(Fraction(numerator, denominator))


@given(amounts)
def test_cents_agree_with_decimal_half_up_which_is_away_from_zero(amount_pico):
    exact = Decimal(amount_pico).scaleb(-12).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    rounded = round_to_cents(amount_pico)
    assert rounded % PICO_PER_CENT == 0
    assert Decimal(format_cents(rounded)) == exact


@given(amounts)
def test_a_written_amount_reads_back_as_itself(amount):
    assert parse_usd(format_nano(amount), unit_per_usd=NANO_PER_USD) == amount
    assert parse_usd(format_pico(amount), unit_per_usd=PICO_PER_USD) == amount


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9), max_value=10**9))
def test_parsing_is_exact(amount):
    expected = int((amount * NANO_PER_USD).to_integral_value(rounding=ROUND_CEILING))
    assert parse_usd(f"{amount:f}", unit_per_usd=NANO_PER_USD) == expected


@pytest.mark.parametrize(
    ("text", "pico"),
    [
        ("0.88", 880_000_000_000),
        (" 9.00 ", 9_000_000_000_000),
        ("0.0375e-6", 37_500),
        ("-2", -2_000_000_000_000),
        ("1E2", 100_000_000_000_000),
        ("0.8800000000000000", 880_000_000_000),
        ("-0", 0),
    ],
)
def test_decimal_texts_are_parsed_exactly(text, pico):
    assert parse_usd(text, unit_per_usd=PICO_PER_USD) == pico


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a decimal number"),
        ("free", "not a decimal number"),
        ("1,50", "not a decimal number"),
        ("$1", "not a decimal number"),
        ("1_000", "not a decimal number"),
        ("１", "not a decimal number"),
        ("0x10", "not a decimal number"),
        ("nan", "not a finite number"),
        ("-Infinity", "not a finite number"),
        ("1e31", "not a plausible number"),
        ("1e-31", "not a plausible number"),
        ("0." + "1" * 31, "not a plausible number"),
        ("0.0000000001", "more than 9 decimals"),
    ],
)
def test_an_inexact_or_invalid_amount_is_refused(text, reason):
    with pytest.raises(InvalidAmountError, match=reason) as refused:
        parse_usd(text, unit_per_usd=NANO_PER_USD)
    assert refused.value.code == "invalid_amount"


def test_amounts_are_written_with_all_their_decimals_and_the_sign_of_the_whole():
    assert format_nano(27_000_000_000) == "27.000000000"
    assert format_nano(-38) == "-0.000000038"
    assert format_pico(112_500) == "0.000000112500"
    assert format_cents(34 * PICO_PER_USD) == "34.00"
    assert format_cents(-5 * PICO_PER_CENT) == "-0.05"


def test_an_amount_that_is_not_whole_cents_is_not_written_as_cents():
    with pytest.raises(InvalidAmountError, match="not a whole number of cents"):
        format_cents(1)
