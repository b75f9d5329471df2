"""The router's list of models: a missing price is unknown, only is_free is free, and a document is used completely or not."""

import json
from decimal import Decimal

import pytest

from pricing.book import PriceBook
from pricing.errors import InvalidPriceError
from pricing.quantities import Quantities
from pricing.rates import Price, Rate
from pricing.rating import charge
from pricing.sources.hf_router import parse_models
from pricing.tables import Layer, PriceTable, TableKind
from support.places import DATA
from support.presence import present

PRICES = DATA / "prices"
NOON = 1_792_368_000_000_000


def offer(provider="together", price_in=None, price_out=None, **more):
    pricing = {label: price for label, price in (("input", price_in), ("output", price_out)) if price is not None}
    return {"provider": provider, "status": "live", **({"pricing": pricing} if pricing else {}), **more}


def document(*offers, model="llama"):
    return {"object": "list", "data": [{"id": model, "object": "model", "providers": list(offers)}]}


def read(content, **options):
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    return parse_models(text, **{"effective_from": NOON} | options)


def refusal(content):
    with pytest.raises(InvalidPriceError) as refused:
        read(content)
    return refused.value


def prices(report):
    return {
        (rate.provider, rate.model): {kind: price.pico for kind, price in rate.prices.items()}
        for rate in report.tables[0].rates
    }


def test_a_document_is_one_snapshot_of_the_routed_prices():
    (table,) = read(document(offer(price_in=0.88, price_out=0.9), offer("novita", 0.1, 0.2)), recorded_at=5).tables
    assert (table.source, table.layer, table.kind, table.route) == ("hf_router", Layer.ROUTE, TableKind.SNAPSHOT, "routed")
    assert (table.effective_from, table.recorded_at, table.withdrawn) == (NOON, 5, frozenset())
    assert [(rate.provider, rate.model, rate.operation, rate.source) for rate in table.rates] == [
        ("together", "llama", "", "Hugging Face router /v1/models"),
        ("novita", "llama", "", "Hugging Face router /v1/models"),
    ]
    assert table.rates[0].prices == {"input_tokens": Price(880_000), "output_tokens": Price(900_000)}


def test_the_error_of_a_binary_fraction_is_removed():
    report = read(document(offer(price_in=1.0399999999999998, price_out=0.18000000000000002)))
    assert prices(report)["together", "llama"] == {"input_tokens": 1_040_000, "output_tokens": 180_000}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (offer(), "no_price"),
        (offer(pricing=None), "no_price"),
        (offer(pricing={}), "no_price"),
        (offer(pricing={"input": None, "output": None}), "no_price"),
        (offer(is_free=False), "no_price"),
        (offer(price_in=0.0, price_out=0.0), "zero_price"),
        (offer(price_in=0, price_out=0, is_free=False), "zero_price"),
        (offer(price_in=0.1, price_out=0.2, is_free=True), "contradiction"),
    ],
)
def test_a_model_without_a_price_is_unknown_and_never_free(entry, reason):
    report = read(document(entry, offer("novita", 0.1, 0.2)))
    assert list(prices(report)) == [("novita", "llama")]
    assert report.tables[0].withdrawn == {("together", "llama", "")}
    assert [(left.entry, left.reason, left.whole) for left in report.left_out] == [("together llama", reason, True)]


@pytest.mark.parametrize("entry", [offer(is_free=True), offer(price_in=0.0, price_out=0.0, is_free=True)])
def test_a_model_marked_as_free_costs_nothing(entry):
    report = read(document(entry))
    assert prices(report) == {("together", "llama"): {"input_tokens": 0, "output_tokens": 0}}
    assert present(charge(Quantities(input_tokens=5, output_tokens=7), report.tables[0].rates[0])).amount_nano == 0
    assert report.left_out == ()


def test_one_of_two_prices_is_used_alone():
    report = read(document(offer(price_in=0.5), offer("novita", 0.1, 0.0)))
    assert prices(report) == {("together", "llama"): {"input_tokens": 500_000}, ("novita", "llama"): {"input_tokens": 100_000}}
    assert [(left.entry, left.reason, left.detail, left.whole) for left in report.left_out] == [
        ("novita llama", "zero_price", "output_tokens", False),
        ("together llama", "no_price", "output_tokens", False),
    ]
    assert charge(Quantities(input_tokens=1, output_tokens=1), report.tables[0].rates[0]) is None


def test_an_unknown_kind_of_price_is_reported_by_its_key():
    report = read(document(offer(pricing={"input": 1, "output": 2, "cached_input": 0.1})))
    assert [(left.detail, left.reason, left.whole) for left in report.left_out] == [
        ("pricing.cached_input", "unknown_key", False)
    ]


@pytest.mark.parametrize(
    ("content", "fault", "message"),
    [
        ("<html>", "unreadable", "hf_router: looks like HTML"),
        ("[]", "unreadable", "hf_router: must be a JSON object"),
        ({"error": "unavailable"}, "malformed", "hf_router: data must be a non-empty list of models"),
        ({"data": []}, "malformed", "hf_router: data must be a non-empty list of models"),
        ({"data": {"id": "llama"}}, "malformed", "hf_router: data must be a non-empty list"),
        ({"data": ["llama"]}, "malformed", "hf_router: model 1 must be an object"),
        ({"data": [{"providers": []}]}, "malformed", "hf_router: model 1: id must be text"),
        ({"data": [{"id": "llama"}]}, "malformed", "hf_router: llama: providers must be a list"),
        (document("together"), "malformed", "hf_router: llama: provider 1 must be an object"),
        (document({"pricing": {}}), "malformed", "hf_router: llama: provider 1: provider must be text"),
        (document(offer("Together", 1, 1)), "malformed", "hf_router: llama: provider 1: provider must be in lower case"),
        (document(offer(pricing=[1, 2])), "malformed", "hf_router: together llama: pricing must be an object"),
        (document(offer(is_free="yes")), "malformed", "hf_router: together llama: is_free must be true or false"),
        (document(offer(price_in="0.88")), "malformed", "hf_router: together llama: pricing.input must be a number"),
        (document(offer(price_in=True)), "malformed", "hf_router: together llama: pricing.input must be a number"),
        (document(offer(price_in=-0.1)), "negative", "hf_router: together llama: pricing.input: a price must be between 0"),
        (document(offer(price_out=1880)), "implausible", "hf_router: together llama: pricing.output: 1880 dollars per million"),
        (document(offer(price_in=0.1234567)), "too_precise", "hf_router: together llama: pricing.input: 0.1234567 has more"),
        (document(offer(price_in=float("nan"))), "unreadable", "hf_router: NaN is not a number"),
        (
            document(offer(pricing={"input": 1, "currency": "EUR"})),
            "currency",
            "together llama: currency must be USD, got 'EUR'",
        ),
        (document(offer(price_in=1), offer(price_in=1)), "duplicate", "hf_router: together llama: listed twice"),
    ],
)
def test_a_bad_entry_refuses_the_document_and_is_named(content, fault, message):
    refused = refusal(content)
    assert message in str(refused)
    assert (refused.fault, refused.code) == (fault, "invalid_price")


def recorded(pico, layer=Layer.BUNDLED, source="hf_router", model="llama"):
    rate = Rate(provider="together", model=model, prices={"input_tokens": Price(pico)})
    return PriceTable(source=source, layer=layer, kind=TableKind.PATCH, effective_from=0, rates=(rate,), route="routed")


def price_of(book, model="llama", instant=NOON):
    rate = book.rate_for(None, "routed", ("together", model, "chat"), instant)
    return None if rate is None else rate.prices["input_tokens"].pico


def test_the_live_list_takes_precedence_over_its_bundled_record():
    (live,) = read(document(offer(price_in=0.2))).tables
    assert (price_of(PriceBook([recorded(7), live]), instant=NOON - 1), price_of(PriceBook([recorded(7), live]))) == (
        7,
        200_000,
    )


def test_a_model_listed_without_a_price_does_not_get_its_bundled_price_back():
    (live,) = read(document(offer())).tables
    assert price_of(PriceBook([recorded(7), live])) is None


def test_a_model_that_only_the_bundled_record_lists_is_withdrawn_by_name():
    gone = ("together", "gone", "")
    (unnamed,) = read(document(offer(price_in=0.2))).tables
    (named,) = read(document(offer(price_in=0.2)), listed_before=[gone, ("together", "llama", "")]).tables
    assert price_of(PriceBook([recorded(7, model="gone"), unnamed]), "gone") == 7
    assert price_of(PriceBook([recorded(7, model="gone"), named]), "gone") is None
    assert named.withdrawn == {gone}


def test_the_next_document_withdraws_models_it_does_not_list():
    (first,) = read(document(offer(price_in=0.2))).tables
    (second,) = read(document(offer("novita", 0.2)), effective_from=NOON + 1).tables
    book = PriceBook([first, second])
    assert (price_of(book), price_of(book, instant=NOON + 1)) == (200_000, None)


def test_a_partners_own_list_applies_to_models_that_the_router_withdraws():
    (live,) = read(document(offer())).tables
    assert price_of(PriceBook([recorded(7), recorded(9, source="together"), live])) == 9


def test_a_hundred_thousand_models_are_read():
    models = [{"id": f"org/model-{i}", "providers": [offer(price_in=0.1, price_out=0.2)]} for i in range(100_000)]
    assert len(read({"data": models}).tables[0].rates) == 100_000


@pytest.fixture
def documented():
    if not PRICES.exists():
        pytest.skip("the documented and the rebuilt list of models (../shared) are not here")
    return PRICES


def test_the_documented_example_is_read(documented):
    report = read((documented / "v1_models_doc_sample.json").read_bytes())
    # Read manually in the document.
    assert prices(report) == {
        ("novita", "deepseek-ai/DeepSeek-V4-Pro"): {"input_tokens": 1_690_000, "output_tokens": 3_380_000},
        ("together", "deepseek-ai/DeepSeek-V4-Pro"): {"input_tokens": 2_100_000, "output_tokens": 4_400_000},
        ("deepinfra", "deepseek-ai/DeepSeek-V4-Pro"): {"input_tokens": 1_740_000, "output_tokens": 3_480_000},
    }
    assert [left.entry.split()[0] for left in report.left_out] == ["featherless-ai", "fireworks-ai"]


def test_every_price_of_a_list_of_the_real_size_is_read(documented):
    content = (documented / "v1_models_reconstructed.json").read_text("utf-8")
    expected, unknown = {}, set()
    for model in json.loads(content, parse_float=Decimal)["data"]:
        for each in model["providers"]:
            listed = [round(Decimal(each["pricing"][label]) * 1_000_000) for label in ("input", "output")]
            if any(listed):
                expected[each["provider"], model["id"]] = dict(zip(("input_tokens", "output_tokens"), listed, strict=True))
            else:
                unknown.add((each["provider"], model["id"], ""))
    assert len(expected) == 226
    assert prices(read(content)) == expected
    assert read(content).tables[0].withdrawn == unknown
