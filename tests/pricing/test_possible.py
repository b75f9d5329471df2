"""A range contains what the request really cost, whichever of the model's partners served it, and is never a charge."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.book import PriceBook
from pricing.names import Alias, Aliases
from pricing.possible import PossibleCost, PossibleCosts, UnknownUsage
from pricing.quantities import Quantities
from pricing.rates import Price, Rate
from pricing.rating import charge
from pricing.tables import Layer, PriceTable, TableKind
from support.presence import present

DAY = 86_400_000_000
THIRD = (date(2026, 11, 3) - date(1970, 1, 1)).days * DAY
MODEL = "meta-llama/Llama-3.3-70B-Instruct"


def rate(provider, pico_in, pico_out, *, model=MODEL, context_from=0, **prices):
    known = {"input_tokens": Price(pico_in), "output_tokens": Price(pico_out)} | prices
    return Rate(provider=provider, model=model, context_from=context_from, prices=known, source="a test")


def table(*rates, since=0, route="routed", source="router"):
    return PriceTable(source=source, layer=Layer.OPERATOR, kind=TableKind.PATCH, effective_from=since, rates=rates, route=route)


# Per million in and out: together $0.88 and $0.88, novita $0.40 and $0.40, groq $0.59 and $0.79.
PRICES = table(rate("together", 880_000, 880_000), rate("novita", 400_000, 400_000), rate("groq", 590_000, 790_000))


def usage(fresh=1_000, output=1_000, *, events=1, start=THIRD, end=None, **fields):
    stated = {
        "account_id": None, "route": "routed", "provider": "unknown", "model": MODEL, "operation": "chat",
        "quantities": Quantities(input_tokens=fresh, output_tokens=output),
    }  # fmt: skip
    return UnknownUsage(**stated | fields, events=events, start=start, end=start + 1 if end is None else end)


def found(wanted, *tables, aliases=None):
    return PossibleCosts(PriceBook(tables or (PRICES,), aliases or Aliases())).of(wanted)


def test_the_least_and_the_most_of_the_partners():
    # 1,000 in and 1,000 out: novita 2,000 x 400,000 pico = 800,000 nano, together 1,760,000, groq 590,000 + 790,000.
    assert found(usage()) == PossibleCost(1, 800_000, 1_760_000)
    assert str(found(usage())) == "between $0.0008 and $0.00176"


def test_a_known_provider_and_route_have_no_range():
    assert found(usage(provider="together")) is None


def test_a_model_that_no_partner_has_has_no_range():
    assert found(usage(model="acme/own")) is None


def test_with_one_partner_both_ends_are_its_price():
    assert found(usage(provider="groq", route="unknown")) == PossibleCost(1, 1_380_000, 1_380_000)
    assert str(found(usage(provider="groq", route="unknown"))) == "$0.00138"


def test_without_a_route_the_partners_own_prices_count_too():
    own = table(rate("together", 900_000, 900_000), route="provider_key", source="together")
    assert found(usage(provider="together", route="unknown"), PRICES, own) == PossibleCost(1, 1_760_000, 1_800_000)
    assert found(usage(route="provider_key"), PRICES, own) == PossibleCost(1, 1_800_000, 1_800_000)


def test_a_partner_that_had_left_cannot_have_served_it():
    left = table(rate("nebius", 1, 1), rate("novita", 400_000, 400_000))
    before = (date(2026, 1, 21) - date(1970, 1, 1)).days * DAY
    assert found(usage(start=before), left) == PossibleCost(1, 2, 800_000)
    assert found(usage(start=before + DAY), left) == PossibleCost(1, 800_000, 800_000)


def test_a_partner_without_a_price_for_all_that_was_used_is_left_out():
    images = Quantities(input_tokens=1_000, output_tokens=1_000, images=1)
    priced = table(rate("together", 880_000, 880_000, images=Price(1_000_000)), rate("novita", 400_000, 400_000))
    assert found(usage(quantities=images), priced) == PossibleCost(1, 1_761_000, 1_761_000)


def test_a_partners_own_name_is_the_same_model():
    aliases = Aliases([Alias("fireworks-ai", "accounts/fireworks/models/llama", MODEL, "a page")])
    listed = table(rate("fireworks-ai", 900_000, 900_000), rate("novita", 400_000, 400_000))
    native = usage(model="accounts/fireworks/models/llama")
    assert found(native, listed, aliases=aliases) == PossibleCost(1, 1_800_000, 1_800_000)


def test_a_price_counts_from_its_instant():
    tables = PRICES, table(rate("together", 1_040_000, 1_040_000), since=THIRD + 5)
    assert found(usage(start=THIRD + 4), *tables).most_nano == 1_760_000
    assert found(usage(start=THIRD + 5), *tables).most_nano == 2_080_000
    # Some time that day: both prices are possible.
    assert found(usage(end=THIRD + DAY), *tables) == PossibleCost(1, 800_000, 2_080_000)


def test_a_single_request_has_the_tier_of_its_prompt_and_a_sum_any_tier_below():
    tiers = table(rate("together", 100_000, 100_000), rate("together", 200_000, 200_000, context_from=1_000))
    assert found(usage(999, 0), tiers) == PossibleCost(1, 99_900, 99_900)
    assert found(usage(1_000, 0), tiers) == PossibleCost(1, 200_000, 200_000)
    assert found(usage(1_000, 0, events=2), tiers) == PossibleCost(2, 100_000, 200_001)


def test_each_request_of_a_sum_may_have_been_rounded_up():
    cheap = table(rate("together", 37_500, 37_500))
    # Three times 1 token: 37,500 pico-USD each, rounded up to 38 nano-USD, 114 in all; the sum alone is 113.
    assert found(usage(3, 0, events=3), cheap) == PossibleCost(3, 113, 115)


prices = st.integers(1, 3_000_000)


@given(
    st.lists(st.tuples(prices, prices, st.integers(0, 3)), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)), min_size=1, max_size=6),
    st.integers(0, 4),
)
def test_the_range_of_a_sum_contains_what_every_single_partner_charged(partners, requests, hour):
    names = ("together", "novita", "groq", "cerebras", "nscale")
    tables = [table(*(rate(name, a, b) for name, (a, b, _) in zip(names, partners, strict=False)))]
    tables += [
        table(rate(name, b, a), since=THIRD + step * DAY // 4, source="router")
        for name, (a, b, step) in zip(names, partners, strict=False)
        if step
    ]
    book = PriceBook(tables, Aliases())
    total = usage(sum(fresh for fresh, _ in requests), sum(out for _, out in requests), events=len(requests), end=THIRD + DAY)
    span = present(PossibleCosts(book).of(total))
    instant = THIRD + hour * DAY // 5
    for name in names[: len(partners)]:
        charged = sum(
            present(
                charge(
                    Quantities(input_tokens=fresh, output_tokens=out),
                    present(book.rate_for(None, "routed", (name, MODEL, "chat"), instant, fresh)),
                )
            ).amount_nano
            for fresh, out in requests
        )
        assert span.least_nano <= charged <= span.most_nano


@pytest.mark.parametrize("unknown", ["provider", "route"])
def test_the_range_says_how_many_requests_it_is_about(unknown):
    one = found(usage(**{"provider": "together", "route": "routed"} | {unknown: "unknown"}))
    assert one.plus(None) == one
    assert one.plus(one).events == 2


def test_requests_at_one_price_show_one_amount_however_each_was_rounded():
    assert str(PossibleCost(events=3, least_nano=5_400_000, most_nano=5_400_002)) == "$0.0054"
    assert str(PossibleCost(events=3, least_nano=5_400_000, most_nano=5_400_003)) == "between $0.0054 and $0.005400003"
