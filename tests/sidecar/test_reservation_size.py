"""A request reserves the most that it is expected to cost, at the dearest rate that may apply."""

import pytest

from metering.sidecar.reservation_size import reserved_nano
from pricing.money import MAX_CHARGE_NANO
from pricing.rates import Price
from support.blocking_budgets import entering
from support.builders import rate

LLAMA = (rate(),)  # 1,000 nano-USD for a token in, 2,000 for one out


@pytest.mark.parametrize(
    ("request_", "operation", "nano"),
    [
        (entering(), "chat", 120_000),  # 100 x 1,000 + 10 x 2,000
        (entering(facts={"choices": 3}), "chat", 160_000),  # 100 x 1,000 + 3 x 10 x 2,000
        (entering(facts={"max_output_tokens": None}), "chat", 8_292_000),  # 100 x 1,000 + 4,096 x 2,000
        (entering(facts={"max_output_tokens": 0}), "chat", 100_000),
        (entering(facts={"max_output_tokens": None}), "embeddings", 100_000),
        # Of a body that is not read whole, four bytes are a token, of at most 262,144.
        (entering(input_tokens=0, unread_bytes=4_001), "chat", 1_021_000),
        (entering(input_tokens=0, unread_bytes=10**9), "chat", 262_164_000),
        (entering(facts={"max_output_tokens": 10**9}), "chat", 100_000 + 2_000 * 10**9),
        (entering(facts={"max_output_tokens": 10**12, "choices": 128}), "chat", 100_000 + 2_000 * 10**9),
    ],
)
def test_tokens_in_and_the_most_tokens_out_at_their_prices(request_, operation, nano):
    assert reserved_nano(request_, operation, [LLAMA]) == nano


def test_the_dearest_of_several_providers_counts():
    cheap, dear = (rate(1_000, 1_000),), (rate(500, 90_000),)
    assert reserved_nano(entering(), "chat", [cheap, dear, LLAMA]) == 120_000
    # 100 x 1,000 x 1/1000 + ... : with few tokens in and many out, the dear output decides
    many = entering(input_tokens=0, facts={"max_output_tokens": 1_000})
    assert reserved_nano(many, "chat", [cheap, dear]) == 90_000


def test_the_context_tier_is_that_of_the_estimated_prompt():
    tiers = (rate(2_000_000, 0, context_from=101), rate(1_000_000, 0))
    assert reserved_nano(entering(input_tokens=100), "chat", [tiers]) == 100_000
    assert reserved_nano(entering(input_tokens=101), "chat", [tiers]) == 202_000


def test_without_a_rate_nothing_is_reserved():
    assert reserved_nano(entering(), "chat", []) == 0
    assert reserved_nano(entering(), "chat", [(rate(context_from=200),)]) == 0


def test_a_charge_that_is_too_large_reserves_the_largest():
    dear = rate(10**12, 10**12)
    assert reserved_nano(entering(facts={"max_output_tokens": 10**9}), "chat", [(dear,)]) == MAX_CHARGE_NANO
    measured = rate(prices={"compute_ms": Price(10**15)})
    assert reserved_nano(entering(), "chat", [(measured,)]) == MAX_CHARGE_NANO


@pytest.mark.parametrize(
    ("prices", "request_", "operation", "nano"),
    [
        ({"images": Price(40_000_000_000)}, entering(facts={"choices": 2}), "image_generation", 80_000_000),
        ({"megapixels": Price(1_000_000)}, entering(facts={"choices": 2}), "image_generation", 4_000),
        ({"compute_ms": Price(120_000)}, entering(), "chat", 3_600_000),  # 30,000 x 120
        ({"characters": Price(15_000_000)}, entering(facts={"text": "Good morning."}), "speech", 195_000),
        # a second for each 2,000 bytes: 500,000 bytes are 250 seconds
        ({"audio_ms": Price(100_000)}, entering(body_bytes=500_000), "transcription", 25_000_000),
        ({"audio_ms": Price(100_000)}, entering(body_bytes=500_000), "chat", 0),
        ({"search_units": Price(2_000_000_000)}, entering(), "rerank", 2_000_000),
        ({"requests": Price(5_000_000)}, entering(), "chat", 5_000),
    ],
)
def test_what_is_not_charged_by_the_token_has_written_bounds(prices, request_, operation, nano):
    assert reserved_nano(request_, operation, [(rate(prices=prices),)]) == nano
