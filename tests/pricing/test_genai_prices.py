"""The package genai-prices: prices are read exactly, and what cannot be expressed is left out by name."""

from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data import providers as published
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from pricing.book import PriceBook
from pricing.errors import InvalidPriceError
from pricing.rates import Price
from pricing.sources.genai_prices import PARTNERS, parse_providers
from pricing.tables import Layer, TableKind
from support.presence import present

NOVEMBER = 1_763_942_400_000_000  # 2025-11-24T00:00:00Z: date -ud 2025-11-24 +%s
OCTOBER = 1_792_368_000_000_000  # 2026-10-19T00:00:00Z


def usd(**prices):
    return ModelPrice(**{name: Decimal(value) if isinstance(value, str) else value for name, value in prices.items()})


def tiered(base, *tiers):
    return TieredPrices(base=Decimal(base), tiers=[Tier(start=start, price=Decimal(price)) for start, price in tiers])


def model(prices, name="llama", **fields):
    return ModelInfo(id=name, match=ClauseEquals(equals=name), prices=prices, **fields)


def provider(*models, of="huggingface_together"):
    return Provider(id=of, name=of, api_pattern="x", models=list(models))


def since(start, **prices):
    constraint = StartDateConstraint(start_date=date.fromisoformat(start)) if start else None
    return ConditionalPrice(constraint, prices=usd(**prices))


def read(*providers, **options):
    given: dict[str, Any] = {"undated_from": NOVEMBER, "version": "0.2.3"}
    return parse_providers(providers, **given | options)


def refusal(*providers):
    with pytest.raises(InvalidPriceError) as refused:
        read(*providers)
    return refused.value


def left_out(report):
    return [(left.entry, left.reason, left.detail, left.whole) for left in report.left_out]


def prices(table):
    return {
        (rate.provider, rate.model, rate.context_from): {kind: (price.pico, price.block) for kind, price in rate.prices.items()}
        for rate in table.rates
    }


def test_hugging_face_providers_become_the_routers_list_and_partners_their_own():
    cheap = model(usd(input_mtok="0.88", output_mtok="0.9"))
    routed, own = read(provider(cheap), provider(cheap, of="fireworks"), layer=Layer.ROUTE, recorded_at=3).tables
    assert (routed.source, routed.route, own.source, own.route) == ("hf_router", "routed", "genai_prices", "provider_key")
    assert {(each.kind, each.layer, each.effective_from, each.recorded_at) for each in (routed, own)} == {
        (TableKind.PATCH, Layer.ROUTE, NOVEMBER, 3)
    }
    assert prices(routed) == {("together", "llama", 0): {"input_tokens": (880_000, 1), "output_tokens": (900_000, 1)}}
    assert list(prices(own)) == [("fireworks-ai", "llama", 0)]
    assert routed.rates[0].source == "genai-prices 0.2.3, provider huggingface_together"


def test_a_provider_that_hugging_face_does_not_route_to_is_reported():
    report = read(provider(model(usd(input_mtok="1")), of="openrouter"))
    assert report.tables == ()
    assert left_out(report) == [("openrouter", "not_a_partner", "Hugging Face does not route to it", True)]


@pytest.mark.parametrize(
    ("name", "amount", "expected"),
    [
        ("input_mtok", "1.0399999999999998", {"input_tokens": (1_040_000, 1)}),
        ("output_mtok", "0.27999999999999997", {"output_tokens": (280_000, 1)}),
        ("cache_read_mtok", "0.0375", {"cache_read_tokens": (37_500, 1)}),
        ("cache_write_mtok", "6.25", {"cache_write_tokens": (6_250_000, 1)}),
        ("cache_write_1h_mtok", "10", {"cache_write_1h_tokens": (10_000_000, 1)}),
        ("input_audio_mtok", "40", {"input_audio_tokens": (40_000_000, 1)}),
        ("output_audio_mtok", "80", {"output_audio_tokens": (80_000_000, 1)}),
        ("input_image_mtok", "10", {"input_image_tokens": (10_000_000, 1)}),
        ("output_image_mtok", "40", {"output_image_tokens": (40_000_000, 1)}),
        ("input_mchars", "22", {"characters": (22_000_000, 1)}),
        ("audio_hours", "0.111", {"audio_ms": (111_000_000_000, 3_600_000)}),
        ("requests_kcount", "5", {"requests": (5_000_000_000, 1)}),
        ("input_mtok", "0", {"input_tokens": (0, 1)}),
    ],
)
def test_prices_in_each_unit_are_exact(name, amount, expected):
    (table,) = read(provider(model(usd(**{name: amount})))).tables
    assert prices(table) == {("together", "llama", 0): expected}


def test_equal_prices_of_one_kind_are_one_price_and_conflicting_ones_none():
    (table,) = read(provider(model(usd(audio_hours="0.1", input_audio_hours="0.1")))).tables
    assert table.rates[0].prices == {"audio_ms": Price(100_000_000_000, 3_600_000)}
    report = read(provider(model(usd(audio_hours="0.1", output_audio_hours="0.2"))))
    assert left_out(report) == [
        ("huggingface_together llama", "contradiction", "output_audio_hours conflicts with another price of audio_ms", True)
    ]


def test_a_dated_price_is_a_version_and_the_first_one_starts_at_the_import():
    dated = [since(None, input_mtok="1"), since("2024-01-01", input_mtok="2"), since("2026-10-19", input_mtok="3")]
    first, second = read(provider(model(dated))).tables
    assert [(each.effective_from, each.rates[0].prices["input_tokens"].pico) for each in (first, second)] == [
        (NOVEMBER, 2_000_000),
        (OCTOBER, 3_000_000),
    ]


def test_a_price_is_unknown_before_its_first_date():
    (table,) = read(provider(model([since("2026-10-19", input_mtok="3")]))).tables
    assert table.effective_from == OCTOBER
    assert PriceBook([table]).rate_for(None, "routed", ("together", "llama", "chat"), OCTOBER - 1) is None


def test_a_tier_applies_above_its_start_to_the_whole_request_and_every_kind():
    priced = ModelPrice(input_mtok=tiered("0.3", (200, "0.6"), (500, "0.9")), output_mtok=tiered("1.2", (500, "2.4")))
    (table,) = read(provider(model(priced))).tables
    assert prices(table) == {
        ("together", "llama", 0): {"input_tokens": (300_000, 1), "output_tokens": (1_200_000, 1)},
        ("together", "llama", 201): {"input_tokens": (600_000, 1), "output_tokens": (1_200_000, 1)},
        ("together", "llama", 501): {"input_tokens": (900_000, 1), "output_tokens": (2_400_000, 1)},
    }
    contexts = {
        context: present(PriceBook([table]).rate_for(None, "routed", ("together", "llama", ""), NOVEMBER, context)).context_from
        for context in (0, 200, 201, 500, 501)
    }
    assert contexts == {0: 0, 200: 0, 201: 201, 500: 201, 501: 501}


def test_a_missing_price_is_unknown_and_withdraws_an_older_one():
    report = read(provider(model(usd())))
    assert report.tables[0].withdrawn == {("together", "llama", "")}
    assert left_out(report) == [("huggingface_together llama", "no_price", "listed without a price", True)]
    ends = read(provider(model([since(None, input_mtok="1"), since("2026-10-19")])))
    assert ends.tables[1].withdrawn == {("together", "llama", "")}
    assert left_out(ends) == [("huggingface_together llama", "no_price", "listed without a price", False)]


@pytest.mark.parametrize(
    ("given", "of", "expected"),
    [
        (
            model([since(None, input_mtok="1"), ConditionalPrice(TimeOfDateConstraint(time(16), time(0)), prices=usd())]),
            "together",
            [("together llama", "condition", "the price depends on TimeOfDateConstraint", True)],
        ),
        (
            model(usd(input_mtok="1", cache_audio_read_mtok="1", cache_image_read_mtok="1")),
            "openai",
            [("openai llama", "unknown_key", "cache_audio_read_mtok, cache_image_read_mtok", True)],
        ),
        (
            model(usd(input_mtok="0.1234567")),
            "together",
            [
                (
                    "together llama",
                    "too_precise",
                    "genai_prices: together llama: input_mtok: 0.1234567 has more decimals than a price can have,"
                    " beyond the error of a binary fraction",
                    True,
                )
            ],
        ),
        (
            model(usd(audio_hours="0.111"), "whisper-large-v3"),
            "groq",
            [("groq whisper-large-v3", "condition", "billed for at least ten seconds", True)],
        ),
    ],
)
def test_a_model_with_a_price_that_cannot_be_expressed_is_left_out(given, of, expected):
    report = read(provider(given, of=of))
    assert left_out(report) == expected
    assert report.tables == ()


def test_prices_of_other_service_tiers_are_reported_and_the_standard_price_applies():
    batch = PriceVariant(when={"processing": "batch"}, prices=usd(input_mtok="0.5"))
    given = model(usd(input_mtok="1", web_searches_kcount="10"), price_variants=[batch])
    report = read(provider(given))
    assert prices(report.tables[0]) == {("together", "llama", 0): {"input_tokens": (1_000_000, 1)}}
    assert left_out(report) == [
        ("huggingface_together llama", "variant", "processing=batch", False),
        ("huggingface_together llama", "unmetered", "web_searches_kcount", False),
    ]


@pytest.mark.parametrize(
    ("given", "fault", "message"),
    [
        (model(usd(input_mtok="-1")), "negative", "llama: input_mtok: a price must be between 0"),
        (model(usd(input_mtok="1880")), "implausible", "llama: input_mtok: 1880 dollars per million exceeds the plausible"),
        (
            model(ModelPrice(input_mtok="1 EUR")),  # type: ignore[arg-type]  # the package does not check its prices
            "malformed",
            "llama: input_mtok must be a number of dollars, got '1 EUR'",
        ),
        (model(ModelPrice(input_mtok=Decimal("NaN"))), "malformed", "llama: input_mtok: NaN is not a finite number"),
        (model(ModelPrice(input_mtok=tiered("1", (5, "2"), (5, "3")))), "duplicate", "llama: input_mtok: two tiers start"),
        (model(ModelPrice(input_mtok=tiered("1", (-5, "2")))), "malformed", "llama: a tier must start at a whole number"),
        (
            model([since("2026-10-19", input_mtok="1"), since("2026-10-19", input_mtok="2")]),
            "duplicate",
            "llama has two prices for the same date",
        ),
        (
            model([since("2026-10-19", input_mtok="1"), since("2026-10-18", input_mtok="2")]),
            "out_of_order",
            "llama has prices that are not ordered by date",
        ),
        (
            model([since("2026-10-19", input_mtok="1"), since(None, input_mtok="2")]),
            "out_of_order",
            "llama has prices that are not ordered by date",
        ),
        (
            model([since(None, input_mtok="1"), since(None, input_mtok="2")]),
            "duplicate",
            "llama has two prices for the same date",
        ),
    ],
)
def test_an_impossible_entry_refuses_the_package_and_is_named(given, fault, message):
    refused = refusal(provider(model(usd(input_mtok="1"), "fine"), given))
    assert str(refused).startswith(f"genai_prices: huggingface_together {message}")
    assert refused.fault == fault


def test_a_model_is_priced_under_the_names_that_requests_use():
    def named(match, name="llama"):
        return ModelInfo(id=name, match=match, prices=usd(input_mtok="1"))

    either = ClauseOr(or_=[ClauseEquals(equals="accounts/b"), ClauseEquals(equals="accounts/a")])
    report = read(
        provider(
            named(ClauseOr(or_=[ClauseEquals(equals="llama"), ClauseEquals(equals="llama-fast")])),
            named(either, "short"),
            named(ClauseStartsWith(starts_with="ft:llama-"), "ft:llama"),
            of="fireworks",
        )
    )
    assert [key[1] for key in prices(report.tables[0])] == ["llama", "accounts/a", "accounts/b"]
    assert left_out(report) == [("fireworks ft:llama", "not_a_model", "matched by a pattern of names", True)]


def test_a_model_listed_twice_is_refused():
    refused = refusal(provider(model(usd(input_mtok="1")), model(usd(input_mtok="2"))))
    assert str(refused) == "genai_prices: huggingface_together llama: listed twice for the same instant"
    assert refused.fault == "duplicate"


def test_all_providers_of_the_published_package_are_read_or_reported():
    report = read(*published)
    read_from = {rate.source.rpartition(" ")[2] for table in report.tables for rate in table.rates}
    not_read = {left.entry for left in report.left_out if left.reason == "not_a_partner"}
    assert read_from | not_read == {each.id for each in published}
    assert {name for name in read_from if not name.startswith("huggingface_")} == set(PARTNERS)
    routed = [rate for table in report.tables if table.route == "routed" for rate in table.rates]
    assert len(routed) == 229 - 3 + 2  # every model of eleven partners but three unknown, and two dated prices


def test_every_model_of_the_package_is_priced_or_left_out_with_a_reason():
    report = read(*published)
    names = {**PARTNERS, **{p.id: p.id.removeprefix("huggingface_") for p in published if p.id.startswith("huggingface_")}}
    priced = {(rate.source.rpartition(" ")[2], rate.model) for table in report.tables for rate in table.rates}
    gone = {left.entry for left in report.left_out if left.whole}
    for each in published:
        for listed in each.models if each.id in names else []:
            known = [name for of, name in priced if of == each.id and listed.is_match(name)]
            assert bool(known) != (f"{each.id} {listed.id}" in gone), (each.id, listed.id)
