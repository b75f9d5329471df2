"""Requests priced by genai-prices and by us cost the same to the nano-dollar, with the exceptions that are listed here.

The package prices in decimal fractions of a dollar and does not round; a charge here is rounded up to nano-USD once. So our
charge must equal the package's price, rounded up. This is checked for every model that the package has at Hugging Face and at
the partners that Hugging Face routes to, with every mix of tokens below, a microsecond before, at and after each dated price.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from itertools import product

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers

from pricing.book import PriceBook
from pricing.quantities import checked_quantities
from pricing.rating import charge
from pricing.sources.genai_prices import PARTNERS, parse_providers

HF = [provider for provider in providers if provider.id.startswith("huggingface_")]
OWN = [provider for provider in providers if provider.id in PARTNERS]
UNDATED_FROM = datetime(2025, 11, 24, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# Tokens: uncached input, cache read, cache write, output.
MIXES = [
    (1, 0, 0, 0),
    (0, 0, 0, 1),
    (3, 0, 0, 7),
    (400, 600, 0, 200),
    (0, 1, 0, 0),
    (1_000, 0, 333, 50),
    (123_457, 45_678, 1_234, 7_891),
    (1_000_000, 0, 0, 1_000_000),
    (272_000, 0, 0, 1),  # where tiers of the package end
    (272_001, 0, 0, 1),
    (300_000, 224_288, 0, 1),
    (300_000, 224_289, 0, 1),
]

# The only differences, and their causes.
LEAKED = "the error of a binary fraction in the package's price makes its exact product slightly more than the published price"
UNKNOWN = "the package charges nothing for a quantity without a price; unknown is not zero, so the request is unpriced here"
LEFT_OUT = "a part of the model's price cannot be expressed, so the model has no price here"
DIFFERENCES = {
    ("huggingface_together", "Qwen/Qwen3-VL-8B-Instruct"): LEAKED,  # 0.18000000000000002
    ("huggingface_together", "ServiceNow-AI/Apriel-1.6-15b-Thinker"): UNKNOWN,
    ("huggingface_together", "prism-ml/Ternary-Bonsai-27B-AWQ-4bit"): UNKNOWN,
    ("huggingface_together", "prism-ml/Ternary-Bonsai-27B-gguf"): UNKNOWN,
}
DIFFERENCES_OF_PARTNERS = {
    # No price at all.
    ("cerebras", "qwen-3-coder-480b"): UNKNOWN,
    ("openai", "moderation"): UNKNOWN,
    # Embeddings, and a model without a price of output tokens, in a request that has output tokens.
    ("cohere", "embed-v4.0"): UNKNOWN,
    ("openai", "text-embedding-3-large"): UNKNOWN,
    ("openai", "text-embedding-3-small"): UNKNOWN,
    ("openai", "text-embedding-ada-002"): UNKNOWN,
    ("ovhcloud", "Qwen3-Embedding-8B"): UNKNOWN,
    ("ovhcloud", "bge-base-en-v1.5"): UNKNOWN,
    ("ovhcloud", "bge-m3"): UNKNOWN,
    ("ovhcloud", "bge-multilingual-gemma2"): UNKNOWN,
    ("together", "together/Tev1-4B-experimental"): UNKNOWN,
    # Priced by characters or by the hour, not by tokens.
    ("groq", "canopylabs/orpheus-arabic-saudi"): UNKNOWN,
    ("groq", "canopylabs/orpheus-v1-english"): UNKNOWN,
    ("openai", "gpt-live-1"): UNKNOWN,
    ("openai", "gpt-live-transcribe"): UNKNOWN,
    ("openai", "gpt-realtime-translate"): UNKNOWN,
    ("openai", "gpt-realtime-whisper"): UNKNOWN,
    ("openai", "gpt-transcribe"): UNKNOWN,
    ("openai", "tts-1"): UNKNOWN,
    ("openai", "tts-1-hd"): UNKNOWN,
    ("openai", "whisper-1"): UNKNOWN,
    # Billed for at least ten seconds.
    ("groq", "whisper-large-v3"): LEFT_OUT,
    ("groq", "whisper-large-v3-turbo"): LEFT_OUT,
    # Cached audio and cached images have separate prices there, and are not metered separately here.
    ("openai", "chatgpt-image-latest"): LEFT_OUT,
    ("openai", "gpt-4o-mini-realtime-preview"): LEFT_OUT,
    ("openai", "gpt-4o-realtime-preview"): LEFT_OUT,
    ("openai", "gpt-image-1"): LEFT_OUT,
    ("openai", "gpt-image-1-mini"): LEFT_OUT,
    ("openai", "gpt-image-1.5"): LEFT_OUT,
    ("openai", "gpt-image-2"): LEFT_OUT,
    ("openai", "gpt-image-2.5-flare"): LEFT_OUT,
    ("openai", "gpt-image-2.5-sunburst"): LEFT_OUT,
    ("openai", "gpt-realtime"): LEFT_OUT,
    ("openai", "gpt-realtime-2"): LEFT_OUT,
    ("openai", "gpt-realtime-mini"): LEFT_OUT,
}


def starts(model):
    conditional = model.prices if isinstance(model.prices, list) else []
    dates = [version.constraint.start_date for version in conditional if version.constraint is not None]
    return [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in dates]


def instants(model):
    around = [moment + step for moment in starts(model) for step in (-MICROSECOND, timedelta(0), MICROSECOND)]
    return [UNDATED_FROM, datetime(2026, 8, 21, 12, tzinfo=UTC), *(moment for moment in around if moment >= UNDATED_FROM)]


def names(model):
    """Return the names of the model in requests: its id, or other exact names if the id does not match."""
    if model.is_match(model.id):
        return [model.id]
    return [clause.equals for clause in getattr(model.match, "or_", [model.match]) if hasattr(clause, "equals")]


def theirs(provider, model, mix, moment):
    """Return the package's price in nano-USD, exact. Its input tokens include the cached ones."""
    fresh, read, written, out = mix
    usage = Usage(input_tokens=fresh + read + written, cache_read_tokens=read, cache_write_tokens=written, output_tokens=out)
    return calc_price(usage, model, provider_id=provider, genai_request_timestamp=moment).total_price * 10**9


@pytest.fixture(scope="module")
def report():
    return parse_providers([*HF, *OWN], undated_from=micros(UNDATED_FROM), version="test")


@pytest.fixture(scope="module")
def book(report):
    return PriceBook(report.tables)


def micros(moment):
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND


def ours(book, provider, model, mix, moment):
    """Return our charge in nano-USD; None for an unpriced request."""
    fresh, read, written, out = mix
    used = checked_quantities(input_tokens=fresh, cache_read_tokens=read, cache_write_tokens=written, output_tokens=out)
    partner, routed = PARTNERS.get(provider, provider.removeprefix("huggingface_")), provider.startswith("huggingface_")
    route = "routed" if routed else "provider_key"
    rate = book.rate_for(None, route, (partner, model, "chat"), micros(moment), used.prompt_tokens)
    priced = None if rate is None else charge(used, rate)
    return None if priced is None else priced.amount_nano


def compare(book, report, listed):
    """Return the numbers of compared and of rounded requests, and the models that differ with their causes."""
    left_out = {left.entry for left in report.left_out if left.whole and left.reason != "no_price"}
    compared, rounded, different = 0, 0, defaultdict(set)
    requests = (
        (provider.id, model, name, moment, mix)
        for provider in listed
        for model in provider.models
        for name, moment, mix in product(names(model), instants(model), MIXES)
    )
    for provider, model, name, moment, mix in requests:
        exact = theirs(provider, name, mix, moment)
        amount = ours(book, provider, name, mix, moment)
        compared += 1
        rounded += exact != int(exact)
        if amount is None:
            different[provider, model.id].add(LEFT_OUT if f"{provider} {model.id}" in left_out else UNKNOWN)
        elif amount != exact.to_integral_value(ROUND_CEILING):
            assert abs(amount - exact) < Decimal("0.001"), (provider, name, mix, moment)
            different[provider, model.id].add(LEAKED)
    return compared, rounded, {model: ", ".join(sorted(causes)) for model, causes in different.items()}


def test_every_hugging_face_model_has_the_packages_price_rounded_up(book, report):
    compared, _, different = compare(book, report, HF)
    assert different == DIFFERENCES
    assert compared == (229 * 2 + 2 * 3) * len(MIXES)


def test_every_model_of_a_partner_has_the_packages_price_rounded_up(book, report):
    compared, rounded, different = compare(book, report, OWN)
    assert different == DIFFERENCES_OF_PARTNERS
    assert compared > 480 * 2 * len(MIXES)
    assert rounded > 40


@pytest.mark.parametrize(
    ("model", "before", "after"),
    [("meta-llama/Llama-3.3-70B-Instruct", 880, 1_040), ("Qwen/Qwen3.5-9B", 100, 170)],
)
def test_a_dated_price_takes_effect_at_its_midnight_utc_in_both(book, model, before, after):
    midnight = datetime(2026, 10, 19, tzinfo=UTC)
    one_token = (1, 0, 0, 0)
    for moment, expected in [(midnight - MICROSECOND, before), (midnight, after), (midnight + MICROSECOND, after)]:
        assert ours(book, "huggingface_together", model, one_token, moment) == expected
        assert round(theirs("huggingface_together", model, one_token, moment)) == expected


def test_the_installed_package_is_the_version_that_these_tests_describe():
    # It has 229 models and the two dated prices above. With a newer package, review the differences above.
    assert sum(len(provider.models) for provider in HF) == 229
    assert sum(bool(starts(model)) for provider in HF for model in provider.models) == 2
