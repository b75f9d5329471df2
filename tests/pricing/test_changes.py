"""The changes between two sets of prices, and between the recorded lists of the router's prices."""

import csv
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from pricing.book import PriceBook
from pricing.changes import PriceChange, changes_between, compare_prices, prices_in_force, prices_of
from pricing.quantities import checked_quantities
from pricing.rates import Price, Rate
from pricing.rating import charge
from pricing.sources.hf_router import parse_models
from pricing.tables import Layer, PriceTable, TableKind
from support.places import DATA
from support.presence import present

HISTORY = DATA / "prices" / "hf_router_price_history.csv"
NOON = 1_792_368_000_000_000


def rate(model="llama", **prices):
    context_from, operation = prices.pop("context_from", 0), prices.pop("operation", "")
    named = {kind: price if isinstance(price, Price) else Price(price) for kind, price in prices.items()}
    return Rate(provider="together", model=model, operation=operation, context_from=context_from, prices=named)


def table(*rates, **overrides):
    fields: dict[str, Any] = {
        "source": "hf_router",
        "layer": Layer.ROUTE,
        "kind": TableKind.SNAPSHOT,
        "effective_from": NOON,
        "route": "routed",
    }
    return PriceTable(rates=rates, **fields | overrides)


def summary(changes):
    return [(c.model, c.quantity, c.before and c.before.pico, c.after and c.after.pico, c.kind) for c in changes]


def test_each_price_that_differs_is_one_change_of_one_kind():
    before = prices_of([rate(input_tokens=10, output_tokens=20), rate("gone", input_tokens=1), rate("same", input_tokens=7)])
    after = prices_of([rate(input_tokens=11, output_tokens=19), rate("new", input_tokens=3), rate("same", input_tokens=7)])
    assert summary(compare_prices(before, after)) == [
        ("gone", "input_tokens", 1, None, "withdrawn"),
        ("llama", "input_tokens", 10, 11, "raised"),
        ("llama", "output_tokens", 20, 19, "lowered"),
        ("new", "input_tokens", None, 3, "added"),
    ]


def test_the_same_prices_have_no_changes_whatever_their_block():
    per_second, per_hour = Price(10, 1_000), Price(36_000, 3_600_000)
    assert compare_prices(prices_of([rate(audio_ms=per_second)]), prices_of([rate(audio_ms=per_hour)])) == ()
    (change,) = compare_prices(prices_of([rate(audio_ms=per_second)]), prices_of([rate(audio_ms=Price(36_001, 3_600_000))]))
    assert change.kind == "raised"
    (change,) = compare_prices(prices_of([rate(audio_ms=per_hour)]), prices_of([rate(audio_ms=Price(11, 1_000))]))
    assert change.kind == "raised"


def test_a_price_of_zero_is_a_price_and_a_missing_one_is_not():
    (freed,) = compare_prices(prices_of([rate(input_tokens=5)]), prices_of([rate(input_tokens=0)]))
    assert (freed.kind, freed.after) == ("lowered", Price(0))
    (added,) = compare_prices({}, prices_of([rate(input_tokens=0)]))
    assert (added.kind, added.before) == ("added", None)


def test_changes_are_ordered_by_provider_model_operation_context_and_quantity():
    rates = [
        rate("b", input_tokens=1),
        rate("a", requests=1, output_tokens=1, cache_read_tokens=1, input_tokens=1),
        rate("a", operation="chat", input_tokens=1),
        rate("a", context_from=9, input_tokens=1),
    ]
    changes = compare_prices({}, prices_of(rates))
    assert [(c.model, c.operation, c.context_from, c.quantity) for c in changes] == [
        ("a", "", 0, "input_tokens"),
        ("a", "", 0, "cache_read_tokens"),
        ("a", "", 0, "output_tokens"),
        ("a", "", 0, "requests"),
        ("a", "", 9, "input_tokens"),
        ("a", "chat", 0, "input_tokens"),
        ("b", "", 0, "input_tokens"),
    ]
    assert compare_prices({}, prices_of(reversed(rates))) == changes


def test_a_change_reads_as_a_sentence():
    change = PriceChange("together", "llama", "chat", 200_001, "input_tokens", Price(880_000), Price(1_040_000))
    assert str(change) == (
        "together llama (chat): input_tokens from 200001 tokens raised: 0.88 USD per million -> 1.04 USD per million"
    )
    image = PriceChange("fal-ai", "flux", "", 0, "images", Price(40_000_000_000), None)
    assert str(image) == "fal-ai flux: images withdrawn: 0.04 USD each -> none"
    sound = PriceChange("groq", "whisper", "", 0, "audio_ms", None, Price(360_000_000, 3_600_000))
    assert str(sound) == "groq whisper: audio_ms added: none -> 0.0000001 USD per second"


def test_a_price_that_takes_effect_at_the_end_counts_as_changed():
    tables = [table(rate(input_tokens=1)), table(rate(input_tokens=2), effective_from=NOON + 10)]
    assert changes_between(tables, "hf_router", NOON, NOON + 9, route="routed") == ()
    assert summary(changes_between(tables, "hf_router", NOON + 9, NOON + 10, route="routed")) == [
        ("llama", "input_tokens", 1, 2, "raised")
    ]
    assert summary(changes_between(tables, "hf_router", NOON + 10, NOON, route="routed"))[0][4] == "lowered"


def test_a_withdrawal_on_a_higher_layer_ends_the_recorded_price_of_the_same_source():
    record = table(rate(input_tokens=1), layer=Layer.BUNDLED, kind=TableKind.PATCH)
    live = table(rate("new", input_tokens=2), effective_from=NOON + 1, withdrawn=frozenset({("together", "llama", "")}))
    assert summary(changes_between([record, live], "hf_router", NOON, NOON + 1, route="routed")) == [
        ("llama", "input_tokens", 1, None, "withdrawn"),
        ("new", "input_tokens", None, 2, "added"),
    ]


def test_other_sources_routes_and_accounts_are_not_compared():
    other = [
        table(rate("a", input_tokens=1), source="sheet"),
        table(rate("b", input_tokens=1), route="provider_key"),
        table(rate("c", input_tokens=1), layer=Layer.ACCOUNT, account_id=7),
    ]
    assert prices_in_force(other, "hf_router", NOON, route="routed") == {}
    assert list(prices_in_force(other, "hf_router", NOON, route="routed", account_id=7)) == [
        ("together", "c", "", 0, "input_tokens")
    ]


def test_a_tier_that_a_new_version_does_not_list_is_withdrawn():
    tables = [
        table(rate(input_tokens=1), rate(input_tokens=2, context_from=9)),
        table(rate(input_tokens=1), effective_from=NOON + 1),
    ]
    (change,) = changes_between(tables, "hf_router", NOON, NOON + 1, route="routed")
    assert (change.context_from, change.kind) == (9, "withdrawn")


def test_the_price_of_an_operation_is_distinct_from_that_of_any():
    tables = [table(rate(input_tokens=1), rate(operation="chat", input_tokens=2))]
    found = prices_in_force(tables, "hf_router", NOON, route="routed")
    assert {key[2]: price.pico for key, price in found.items()} == {"": 1, "chat": 2}


# The record of the router's prices, read independently: (moment, {(provider, model): (input, output) or None}).


@pytest.fixture(scope="module")
def record():
    if not HISTORY.exists():
        pytest.skip("the record of the router's prices (../shared) is not here")
    moments: dict[datetime, dict[tuple[str, str], tuple[Fraction, ...] | None]] = defaultdict(dict)
    with HISTORY.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            moment = datetime.fromisoformat(row["committed_at"]).astimezone(UTC)
            written = (row["input_usd_per_mtok"], row["output_usd_per_mtok"])
            known = tuple(Fraction(round(Decimal(text), 6)) for text in written) if all(written) else None
            moments[moment][row["hf_provider"], row["model_id"]] = known
    return sorted(moments.items())


def micros(moment):
    return int(moment.timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def tables(record):
    """The nine recorded lists as documents of the router, read with its reader."""
    return [
        parse_models(as_document(listed), effective_from=micros(moment), recorded_at=micros(moment)).tables[0]
        for moment, listed in record
    ]


def as_document(listed):
    models = defaultdict(list)
    for (provider, model), prices in listed.items():
        pricing = {} if prices is None else {"pricing": dict(zip(("input", "output"), map(float, prices), strict=True))}
        models[model].append({"provider": provider, "status": "live", **pricing})
    return json.dumps({"object": "list", "data": [{"id": model, "providers": each} for model, each in models.items()]})


def changes_in_record(before, after):
    """Return the prices that differ between two recorded lists: {(provider, model, kind): (before, after)}."""
    quantities = ("input_tokens", "output_tokens")
    pairs = {
        (*pair, quantity): tuple(None if side.get(pair) is None else side[pair][position] for side in (before, after))
        for pair in before.keys() | after.keys()
        for position, quantity in enumerate(quantities)
    }
    return {key: (old, new) for key, (old, new) in pairs.items() if old != new}


def per_million(price):
    return None if price is None else Fraction(price.pico, 1_000_000)


def test_the_changes_between_nine_recorded_lists_agree_with_the_record(record, tables):
    steps = pairwise([(None, {}), *record])
    found = 0
    for (_, before), (moment, after) in steps:
        changes = changes_between(tables, "hf_router", micros(moment) - 1, micros(moment), route="routed")
        expected = changes_in_record(before, after)
        assert {(c.provider, c.model, c.quantity): (per_million(c.before), per_million(c.after)) for c in changes} == expected
        found += len(changes)
    assert len(record) == 9
    # Counted with another program: 179 pairs are priced in the first list, 188 pairs change later, a few in one price only.
    assert found == 733


def test_between_february_and_march_2026_the_prices_of_44_listed_models_differ(record, tables):
    """The 44 are (provider, model) pairs in both lists with different prices.

    36 of them were raised, and 8 had been listed without a price. In addition, 33 pairs are new, and 38 are no longer listed,
    of which 2 never had a price and so do not differ.
    """
    (february, before), (march, after) = record[-3], record[-2]
    assert (february.date().isoformat(), march.date().isoformat()) == ("2026-02-12", "2026-03-20")
    changes = changes_between(tables, "hf_router", micros(february), micros(march), route="routed")
    pairs = {(c.provider, c.model): c.kind for c in changes}
    listed_at_both = {pair: kind for pair, kind in pairs.items() if pair in before and pair in after}
    assert len(listed_at_both) == 44
    assert Counter(listed_at_both.values()) == {"raised": 36, "added": 8}
    others = Counter(kind for pair, kind in pairs.items() if pair not in listed_at_both)
    assert others == {"added": 33, "withdrawn": 36}


def test_lists_with_equal_prices_have_no_changes(record, tables):
    steps = pairwise(record)
    agreeing = [(start, end) for (start, before), (end, after) in steps if not changes_in_record(before, after)]
    assert len(agreeing) == 2
    for start, end in agreeing:
        assert changes_between(tables, "hf_router", micros(start), micros(end), route="routed") == ()


def test_a_request_a_microsecond_before_at_or_after_a_change_has_the_right_charge(record, tables):
    book = PriceBook(tables)
    used = checked_quantities(input_tokens=1_201, output_tokens=253)
    checked = 0
    for (_, before), (moment, after) in pairwise([(None, {}), *record]):
        for pair in {key[:2] for key in changes_in_record(before, after)}:
            for step, side in ((-1, before), (0, after), (1, after)):
                rate_then = book.rate_for(None, "routed", (*pair, "chat"), micros(moment) + step)
                amount = None if rate_then is None else present(charge(used, rate_then)).amount_nano
                assert amount == owed(side.get(pair), 1_201, 253), (pair, moment, step)
                checked += 1
    assert checked == 3 * (179 + 188)


def owed(prices, tokens_in, tokens_out):
    """Return the charge in nano-USD: dollars per million tokens, exact, rounded up once."""
    if prices is None:
        return None
    exact = (tokens_in * prices[0] + tokens_out * prices[1]) / 1_000_000 * 10**9
    return -(-exact.numerator // exact.denominator)
