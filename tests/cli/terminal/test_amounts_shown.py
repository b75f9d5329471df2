"""Amounts as people read them: exact, and aligned at their decimal points."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.answers.fields import amount
from metering.cli.terminal.amounts import aligned
from metering.cli.terminal.sanitize import sanitize
from metering.domain.charges.quoted_prices import format_price
from pricing.dollars import display_cents, display_nano, display_pico


@pytest.mark.parametrize(
    ("amount_nano", "shown"),
    [
        (0, "0.00"),
        (27_000_000_000, "27.00"),
        (27_500_000_000, "27.50"),
        (1_200_000, "0.0012"),
        (25_000_000, "0.0250"),
        (38, "0.000000038"),
        (-2_000_000_000, "-2.00"),
        (-1_895_200, "-0.0018952"),
        (1_234_567_890_000_000, "1,234,567.89"),
        (19_038_104_800, "19.0381048"),
    ],
)
def test_rounding_to_cents_hides_nothing(amount_nano, shown):
    assert display_nano(amount_nano) == shown


def test_cents_and_pico_dollars_are_exact():
    assert (display_cents(450), display_cents(-5)) == ("4.50", "-0.05")
    assert (display_pico(112_500), display_pico(1)) == ("0.0000001125", "0.000000000001")


@given(st.integers(-(10**24), 10**24))
def test_the_amount_shown_is_exact(amount_pico):
    shown = display_pico(amount_pico).replace(",", "")
    assert Decimal(shown) == Decimal(amount_pico).scaleb(-12)
    decimals = len(shown.partition(".")[2])
    assert decimals == 2 or decimals >= 4


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1))
def test_decimal_points_are_aligned(amounts):
    shown = aligned([display_nano(amount) for amount in amounts])
    assert len({text.index(".") for text in shown}) == 1
    assert len({len(text) for text in shown}) == 1


def test_an_unknown_amount_is_null_not_zero():
    assert amount("amount", None) == {"amount_nano_usd": None, "amount_usd": None}
    assert amount("amount", 0) == {"amount_nano_usd": 0, "amount_usd": "0.000000000"}


@pytest.mark.parametrize(
    ("kind", "price_pico", "block", "words"),
    [
        ("input_tokens", 1_040_000, 1, "$1.04 / 1M"),
        ("input_tokens", 37_500, 1, "$0.0375 / 1M"),
        ("characters", 15_000_000, 1, "$15.00 / 1M"),
        ("compute_ms", 120_000_000, 1_000, "$0.00012 / s"),
        ("audio_ms", 111_000_000_000, 3_600_000, "$0.1110 / h"),
        ("images", 3_000_000_000, 1, "$0.0030 / image"),
        ("requests", 5_000_000_000, 1, "$0.0050 / request"),
        ("images", 0, 1, "included"),
    ],
)
def test_a_price_names_its_unit(kind, price_pico, block, words):
    assert format_price(kind, price_pico, block) == words


def test_control_characters_never_reach_a_terminal():
    assert sanitize("a\x1b[31mb\r\nc\u202e") == "a\ufffd[31mb\ufffd\ufffdc\ufffd"
    assert sanitize("Qwen/Qwen3 — größer 模型") == "Qwen/Qwen3 — größer 模型"
