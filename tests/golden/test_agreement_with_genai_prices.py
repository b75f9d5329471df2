"""The same requests priced by genai-prices and by us come to the same nano-dollar; where not, the cause is written here.

The package prices in decimal fractions of a dollar and does not round; a charge here is rounded up to nano-USD once. So the
claim is: ours is theirs, rounded up. Every Hugging Face model that the package knows, with every mix of tokens below, at the
microsecond before, at and after each of its dated prices.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers

from pricing.book import PriceBook
from pricing.quantities import checked_quantities
from pricing.rating import charge
from pricing.sources.genai_prices import parse_providers

HF = [provider for provider in providers if provider.id.startswith("huggingface_")]
UNDATED_FROM = datetime(2025, 11, 24, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# Input tokens that were not cached, read from a cache, written to one; output tokens.
MIXES = [
    (1, 0, 0, 0),
    (0, 0, 0, 1),
    (3, 0, 0, 7),
    (400, 600, 0, 200),
    (0, 1, 0, 0),
    (1_000, 0, 333, 50),
    (123_457, 45_678, 1_234, 7_891),
    (1_000_000, 0, 0, 1_000_000),
]

# Where they differ, and why. Nothing else may.
LEAKED = (
    "a binary fraction in the package's price makes its exact product a hair more or less than the price that was published"
)
UNKNOWN = "the package stores no price and charges nothing; unknown is not zero, so here the request is unpriced"
DIFFERENCES = {
    ("huggingface_together", "Qwen/Qwen3-VL-8B-Instruct"): LEAKED,  # 0.18000000000000002
    ("huggingface_together", "ServiceNow-AI/Apriel-1.6-15b-Thinker"): UNKNOWN,
    ("huggingface_together", "prism-ml/Ternary-Bonsai-27B-AWQ-4bit"): UNKNOWN,
    ("huggingface_together", "prism-ml/Ternary-Bonsai-27B-gguf"): UNKNOWN,
}


def starts(model):
    conditional = model.prices if isinstance(model.prices, list) else []
    dates = [version.constraint.start_date for version in conditional if version.constraint is not None]
    return [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in dates]


def instants(model):
    around = [moment + step for moment in starts(model) for step in (-MICROSECOND, timedelta(0), MICROSECOND)]
    return [UNDATED_FROM, datetime(2026, 8, 21, 12, tzinfo=UTC), *around]


def theirs(provider, model, mix, moment):
    """What the package says, in nano-USD, exactly. Its input tokens include the cached ones."""
    fresh, read, written, out = mix
    usage = Usage(input_tokens=fresh + read + written, cache_read_tokens=read, cache_write_tokens=written, output_tokens=out)
    return calc_price(usage, model, provider_id=provider, genai_request_timestamp=moment).total_price * 10**9


@pytest.fixture(scope="module")
def book():
    return PriceBook(parse_providers(HF, undated_from=micros(UNDATED_FROM), version="test").tables)


def micros(moment):
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND


def ours(book, provider, model, mix, moment):
    """The charge in nano-USD, and None for an unpriced request."""
    fresh, read, written, out = mix
    used = checked_quantities(input_tokens=fresh, cache_read_tokens=read, cache_write_tokens=written, output_tokens=out)
    key = (provider.removeprefix("huggingface_"), model, "chat")
    rate = book.rate_for(None, "routed", key, micros(moment), used.prompt_tokens)
    priced = None if rate is None else charge(used, rate)
    return None if priced is None else priced.amount_nano


def test_every_hugging_face_model_costs_what_the_package_says_rounded_up(book):
    compared, different = 0, defaultdict(set)
    for provider in HF:
        for model in provider.models:
            for moment in instants(model):
                for mix in MIXES:
                    compared += 1
                    exact = theirs(provider.id, model.id, mix, moment)
                    amount = ours(book, provider.id, model.id, mix, moment)
                    if amount != exact.to_integral_value(ROUND_CEILING):
                        cause = UNKNOWN if amount is None and exact == 0 else LEAKED
                        assert cause == UNKNOWN or abs(amount - exact) <= Decimal("1.000001")
                        different[provider.id, model.id].add(cause)
    assert {what: causes.pop() for what, causes in different.items() if len(causes) == 1} == DIFFERENCES
    assert compared >= 229 * len(instants(HF[0].models[0])) * len(MIXES)


@pytest.mark.parametrize(
    ("model", "before", "after"),
    [("meta-llama/Llama-3.3-70B-Instruct", 880, 1_040), ("Qwen/Qwen3.5-9B", 100, 170)],
)
def test_a_dated_price_holds_from_its_midnight_in_utc_for_both(book, model, before, after):
    midnight = datetime(2026, 10, 19, tzinfo=UTC)
    one_token = (1, 0, 0, 0)
    for moment, expected in [(midnight - MICROSECOND, before), (midnight, after), (midnight + MICROSECOND, after)]:
        assert ours(book, "huggingface_together", model, one_token, moment) == expected
        assert round(theirs("huggingface_together", model, one_token, moment)) == expected


def test_the_package_is_the_one_whose_prices_were_looked_at():
    # Both dated prices above and 229 models are in it; a newer package has others, and then this list is to be looked at.
    assert sum(len(provider.models) for provider in HF) == 229
    assert sum(bool(starts(model)) for provider in HF for model in provider.models) == 2
