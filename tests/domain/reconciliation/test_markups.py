"""A constant factor is proposed where a short one fits most of what is left and would hardly do so by accident."""

from random import Random

import pytest

from metering.domain.reconciliation.markups import AmountPair, Factor, read_factor, shared_factor

DOLLAR, CENT = 10**9, 10**7


def pairs(digits, decimals, amounts, slack=2):
    scale = 10**decimals
    return [AmountPair(amount, -(-amount * digits // scale), slack) for amount in amounts]


AMOUNTS = [120_003, 4_000_017, 78_301, 990_001, 31_999]


@pytest.mark.parametrize(
    ("digits", "decimals", "detail"),
    [(105, 2, "x 1.05"), (1055, 3, "x 1.055"), (9, 1, "x 0.9"), (10837, 4, "x 1.0837"), (100, 0, "x 100"), (1, 2, "x 0.01")],
)
def test_the_shortest_factor_that_fits_is_found(digits, decimals, detail):
    found = shared_factor(pairs(digits, decimals, AMOUNTS))
    assert found is not None
    assert found.part.detail == detail
    assert read_factor(detail) == found


def test_equal_amounts_have_no_factor():
    assert shared_factor([AmountPair(amount, amount, 2) for amount in AMOUNTS]) is None


def test_amounts_that_share_nothing_have_no_factor():
    chance = Random(1)
    for _ in range(2_000):
        other = [AmountPair(amount, chance.randint(amount // 2, 2 * amount), 2) for amount in AMOUNTS]
        assert shared_factor(other, min_pairs=3) is None


def test_a_factor_that_fewer_than_half_share_is_not_proposed():
    assert (
        shared_factor([*pairs(105, 2, AMOUNTS), *(AmountPair(each, each + 7_777, 2) for each in range(10**6, 10**6 + 6))])
        is None
    )


def test_a_factor_that_the_unit_of_the_amounts_cannot_distinguish_is_not_proposed():
    # Stated in cents, an invoice of a dollar is some percent more than nearly any other amount.
    assert shared_factor([AmountPair(DOLLAR, DOLLAR + 5 * CENT, CENT)]) is None
    # One of seven hundred dollars fits by accident once in a hundred times: an alternative, not a fact.
    large = [AmountPair(733_330_000_123, 770 * DOLLAR, CENT)]
    assert shared_factor(large) is None
    assert shared_factor(large, chance_ppm=50_000, max_decimals=2) == Factor(105, 2)


def test_the_amount_a_factor_adds_is_rounded_up_as_charges_are():
    assert Factor(105, 2).of(38) == 2  # 39.9
    assert read_factor("rate 12") is None
