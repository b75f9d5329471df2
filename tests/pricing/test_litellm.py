"""LiteLLM's price map: every cost of an entry is understood, or the entry is left out by name."""

import json
from collections import Counter
from decimal import Decimal

import pytest

from pricing.book import PriceBook
from pricing.errors import InvalidPriceError
from pricing.quantities import Quantities
from pricing.rates import Price
from pricing.rating import charge
from pricing.sources.litellm import parse_price_map
from pricing.tables import Layer, TableKind
from support.places import DATA
from support.presence import present

SUBSET = DATA / "prices" / "litellm_partner_subset.json"
NOON = 1_792_368_000_000_000


def entry(provider="together_ai", mode="chat", **fields):
    return {"litellm_provider": provider, "mode": mode, "max_tokens": 8192, **fields}


def read(content, **options):
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    return parse_price_map(text, **{"effective_from": NOON} | options)


def one(**fields):
    return read({"together_ai/org/llama": entry(**fields)})


def prices(report):
    return {
        (rate.provider, rate.model, rate.context_from): {kind: (price.pico, price.block) for kind, price in rate.prices.items()}
        for rate in report.tables[0].rates
    }


def left_out(report):
    return [(left.entry, left.reason, left.detail, left.whole) for left in report.left_out]


LLAMA = ("together", "org/llama", 0)


def test_the_map_is_one_snapshot_of_the_partners_own_prices():
    report = read({"together_ai/org/llama": entry(input_cost_per_token=8.8e-07)}, layer=Layer.ROUTE, recorded_at=4)
    (table,) = report.tables
    assert (table.source, table.layer, table.kind, table.route) == ("litellm", Layer.ROUTE, TableKind.SNAPSHOT, "provider_key")
    assert (table.effective_from, table.recorded_at) == (NOON, 4)
    assert table.rates[0].source == "LiteLLM price map, together_ai/org/llama"
    assert prices(report) == {LLAMA: {"input_tokens": (880_000, 1)}}


@pytest.mark.parametrize(
    ("label", "provider", "expected"),
    [
        (
            "fireworks_ai/accounts/fireworks/models/glm-5p2",
            "fireworks_ai",
            ("fireworks-ai", "accounts/fireworks/models/glm-5p2"),
        ),
        ("zai/glm-5", "zai", ("zai-org", "glm-5")),
        ("command-r-08-2024", "cohere_chat", ("cohere", "command-r-08-2024")),
        ("replicate/openai/gpt-5", "replicate", ("replicate", "openai/gpt-5")),
    ],
)
def test_partners_have_hugging_faces_spelling_and_models_the_partners(label, provider, expected):
    report = read({label: entry(provider, input_cost_per_token=1e-06)})
    assert [key[:2] for key in prices(report)] == [expected]


@pytest.mark.parametrize(
    ("field", "amount", "mode", "expected"),
    [
        ("input_cost_per_token", 9.499999999999999e-07, "chat", {"input_tokens": (950_000, 1)}),
        ("output_cost_per_token", 1.2e-06, "chat", {"output_tokens": (1_200_000, 1)}),
        ("cache_read_input_token_cost", 1.345e-07, "chat", {"cache_read_tokens": (134_500, 1)}),
        ("input_cost_per_token_cache_hit", 1.345e-07, "chat", {"cache_read_tokens": (134_500, 1)}),
        ("cache_creation_input_token_cost", 3.75e-06, "chat", {"cache_write_tokens": (3_750_000, 1)}),
        ("cache_creation_input_token_cost_above_1hr", 6e-06, "chat", {"cache_write_1h_tokens": (6_000_000, 1)}),
        ("input_cost_per_audio_token", 4e-05, "chat", {"input_audio_tokens": (40_000_000, 1)}),
        ("output_cost_per_audio_token", 8e-05, "chat", {"output_audio_tokens": (80_000_000, 1)}),
        ("input_cost_per_image_token", 4.7e-07, "embedding", {"input_image_tokens": (470_000, 1)}),
        ("input_cost_per_character", 2.2e-05, "audio_speech", {"characters": (22_000_000, 1)}),
        ("output_cost_per_image", 0.0398, "image_generation", {"images": (39_800_000_000, 1), "megapixels": (0, 1)}),
        ("output_cost_per_second", 0.13, "video_generation", {"video_ms": (130_000_000_000, 1_000)}),
        ("input_cost_per_second", 3.083e-05, "audio_transcription", {"audio_ms": (30_830_000, 1_000)}),
        ("output_cost_per_second", 0.0001, "audio_speech", {"audio_ms": (100_000_000, 1_000)}),
    ],
)
def test_prices_in_each_unit_are_exact(field, amount, mode, expected):
    report = one(mode=mode, **{field: amount})
    assert prices(report) == {LLAMA: expected}
    assert report.left_out == ()


def test_a_flat_price_per_image_does_not_depend_on_its_size():
    rate = one(mode="image_generation", output_cost_per_image=0.04).tables[0].rates[0]
    assert present(charge(Quantities(images=2, megapixels=8), rate)).amount_nano == 80_000_000
    assert charge(Quantities(megapixels=8), rate) is None


def test_the_same_price_under_two_names_is_one_price():
    report = one(output_cost_per_token=4e-06, output_cost_per_reasoning_token=4e-06)
    assert prices(report) == {LLAMA: {"output_tokens": (4_000_000, 1)}}


def test_a_tier_applies_above_its_thousands_of_tokens_to_the_whole_request():
    report = one(
        input_cost_per_token=2e-06,
        output_cost_per_token=1.2e-05,
        input_cost_per_token_above_128k_tokens=4e-06,
        output_cost_per_token_above_128k_tokens=1.8e-05,
    )
    assert prices(report) == {
        LLAMA: {"input_tokens": (2_000_000, 1), "output_tokens": (12_000_000, 1)},
        ("together", "org/llama", 128_001): {"input_tokens": (4_000_000, 1), "output_tokens": (18_000_000, 1)},
    }
    book = PriceBook(report.tables)
    found = [
        book.rate_for(None, "provider_key", ("together", "org/llama", "chat"), NOON, context) for context in (128_000, 128_001)
    ]
    assert [present(rate).prices["input_tokens"].pico for rate in found] == [2_000_000, 4_000_000]


def test_a_quantity_that_a_tier_does_not_price_is_unknown_there():
    report = one(input_cost_per_token=2e-06, output_cost_per_token=1e-05, input_cost_per_token_above_128k_tokens=4e-06)
    above = report.tables[0].rates[1]
    assert charge(Quantities(input_tokens=200_000, output_tokens=1), above) is None


def test_a_price_of_zero_is_unknown():
    report = one(input_cost_per_token=1e-07, output_cost_per_token=0.0, cache_creation_input_token_cost=0)
    assert prices(report) == {LLAMA: {"input_tokens": (100_000, 1)}}
    assert left_out(report) == [
        ("together_ai/org/llama", "zero_price", "cache_creation_input_token_cost", False),
        ("together_ai/org/llama", "zero_price", "output_cost_per_token", False),
    ]


@pytest.mark.parametrize(
    ("label", "fields", "reason", "detail"),
    [
        ("together_ai/org/llama", {"input_cost_per_token": 0.0, "output_cost_per_token": 0}, "zero_price", "all prices are 0"),
        ("together_ai/org/llama", {}, "no_price", "listed without a price"),
        ("together_ai/org/llama", {"input_cost_per_token": None}, "no_price", "listed without a price"),
        (
            "together_ai/org/llama",
            {"input_cost_per_token_above_128k_tokens": 1e-6},
            "no_price",
            "no price below the first tier",
        ),
        ("together_ai/org/llama", {"provider": "bedrock"}, "not_a_partner", "Hugging Face does not route to 'bedrock'"),
        ("together_ai/org/llama", {"provider": None}, "not_a_partner", "Hugging Face does not route to null"),
        ("together-ai-4.1b-8b", {"input_cost_per_token": 2e-7}, "not_a_model", "a size class, not a model"),
        ("together_ai/x", {"ocr_cost_per_page": 0.0015, "mode": "ocr"}, "unmetered", "ocr_cost_per_page in mode ocr"),
        (
            "together_ai/x",
            {"input_cost_per_query": 0.002, "mode": "rerank"},
            "unmetered",
            "input_cost_per_query in mode rerank",
        ),
        ("together_ai/x", {"output_cost_per_image": 1, "mode": None}, "unmetered", "output_cost_per_image in mode None"),
        ("together_ai/x", {"tiered_pricing": [{}]}, "unmetered", "tiered_pricing in mode chat"),
        (
            "together_ai/x",
            {"output_cost_per_second": 0.1, "output_cost_per_second_480p": 0.05, "mode": "video_generation"},
            "unmetered",
            "output_cost_per_second_480p in mode video_generation",
        ),
        (
            "together_ai/x",
            {"output_cost_per_image": 0.025, "output_cost_per_pixel": 2.4e-8, "mode": "image_generation"},
            "unmetered",
            "output_cost_per_pixel in mode image_generation",
        ),
        (
            "together_ai/x",
            {"cache_read_input_token_cost": 1e-7, "input_cost_per_token_cache_hit": 2e-7},
            "contradiction",
            "input_cost_per_token_cache_hit conflicts with another price of cache_read_tokens",
        ),
        (
            "together_ai/x",
            {"input_cost_per_token": 1e-7, "metadata": {"notes": "Listed in total. Assumed 50/50 split."}},
            "guessed_by_source",
            "the map notes that a part of the price is assumed",
        ),
    ],
)
def test_an_entry_that_cannot_be_expressed_is_left_out_with_its_reason(label, fields, reason, detail):
    report = read({label: entry(**fields)})
    assert report.tables[0].rates == ()
    assert left_out(report) == [(label, reason, detail, True)]


def test_a_price_with_too_many_decimals_is_left_out_not_rounded():
    report = one(input_cost_per_token=1.234567891e-07)
    assert [(left.reason, left.whole) for left in report.left_out] == [("too_precise", True)]


def test_a_model_also_priced_by_size_and_quality_is_left_out():
    image = {"provider": "fal_ai", "mode": "image_generation"}
    report = read(
        {
            "fal_ai/openai/gpt-image-2": entry(**image, output_cost_per_image=0.145),
            "fal_ai/low/1024-x-768/openai/gpt-image-2": entry(**image, output_cost_per_image=0.005),
            "fal_ai/fal-ai/flux/schnell": entry(**image, output_cost_per_image=0.003),
        }
    )
    assert [key[1] for key in prices(report)] == ["fal-ai/flux/schnell"]
    assert {left.detail for left in report.left_out} == {"the price depends on the size and quality of an image"}


def test_prices_of_other_service_tiers_are_reported_and_the_standard_price_applies():
    report = one(input_cost_per_token=1e-06, input_cost_per_token_priority=2e-06, search_context_cost_per_query={"low": 0.005})
    assert prices(report) == {LLAMA: {"input_tokens": (1_000_000, 1)}}
    assert [left.detail for left in report.left_out] == ["input_cost_per_token_priority", "search_context_cost_per_query"]
    assert {(left.reason, left.whole) for left in report.left_out} == {("variant", False)}


@pytest.mark.parametrize(
    ("content", "fault", "message"),
    [
        ("<html>", "unreadable", "litellm: looks like HTML"),
        ([], "unreadable", "litellm: must be a JSON object, got a list"),
        ('{"a": {}, "a": {}}', "unreadable", "litellm: the key 'a' occurs twice"),
        ('{"a": {"input_cost_per_token": NaN}}', "unreadable", "litellm: NaN is not a number"),
        ({"together_ai/x": "cheap"}, "malformed", "litellm: together_ai/x must be an object"),
        ({"": entry()}, "malformed", "litellm: a name must be text"),
        (
            {"together_ai/x": entry(input_cost_per_token="free")},
            "malformed",
            "litellm: together_ai/x: input_cost_per_token must be a number of dollars, got 'free'",
        ),
        (
            {"together_ai/x": entry(input_cost_per_token=-1e-6)},
            "negative",
            "litellm: together_ai/x: input_cost_per_token: a price",
        ),
        (
            {"together_ai/x": entry(input_cost_per_token=0.88)},
            "implausible",
            "litellm: together_ai/x: input_cost_per_token: 880000 dollars per million exceeds the plausible limit of 1000",
        ),
        (
            {"x": entry("cohere", input_cost_per_token=1e-6), "cohere/x": entry("cohere", input_cost_per_token=2e-6)},
            "duplicate",
            "litellm: cohere/x: cohere x has a different price in x",
        ),
    ],
)
def test_an_impossible_entry_refuses_the_map_and_is_named(content, fault, message):
    good = {"together_ai/fine": entry(input_cost_per_token=1e-6)}
    with pytest.raises(InvalidPriceError) as refused:
        read(good | content if isinstance(content, dict) else content)
    assert message in str(refused.value)
    assert refused.value.fault == fault


def test_a_model_listed_twice_at_the_same_price_is_one():
    report = read(
        {"x": entry("cohere", input_cost_per_token=1e-6), "cohere/x": entry("cohere_chat", input_cost_per_token=1e-6)}
    )
    assert len(report.tables[0].rates) == 1


def test_a_hundred_thousand_models_are_read():
    entries = {f"together_ai/m-{i}": entry(input_cost_per_token=1e-6, output_cost_per_token=2e-6) for i in range(100_000)}
    assert len(read(entries).tables[0].rates) == 100_000


@pytest.fixture(scope="module")
def subset():
    if not SUBSET.exists():
        pytest.skip("the subset of LiteLLM's price map (../shared) is not here")
    return SUBSET.read_text("utf-8")


def test_every_entry_of_the_real_map_is_priced_or_left_out_with_a_reason(subset):
    report = read(subset)
    priced = {rate.source.removeprefix("LiteLLM price map, ") for rate in report.tables[0].rates}
    gone = {left.entry for left in report.left_out if left.whole}
    assert priced.isdisjoint(gone)
    assert priced | gone == json.loads(subset).keys()
    # Counted in the map: 14 size classes, 9 notes with "Assumed", 7 entries without a standard price, 20 with zeros only.
    assert Counter(left.reason.value for left in report.left_out if left.whole) == {
        "unmetered": 203, "zero_price": 20, "not_a_model": 14, "guessed_by_source": 9, "no_price": 7,
    }  # fmt: skip


def test_the_token_prices_agree_with_the_map(subset):
    entries = json.loads(subset, parse_float=Decimal)
    fields = {
        "input_tokens": "input_cost_per_token",
        "output_tokens": "output_cost_per_token",
        "cache_read_tokens": "cache_read_input_token_cost",
    }
    compared = 0
    for rate in read(subset).tables[0].rates:
        listed = entries[rate.source.removeprefix("LiteLLM price map, ")]
        for kind, field in fields.items():
            if rate.context_from == 0 and listed.get(field):
                assert rate.prices[kind] == Price(round(listed[field] * 10**12)), (rate, kind)
                compared += 1
    assert compared > 2_000
