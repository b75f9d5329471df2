"""A discount is a percentage off everybody's prices, from its instant on, as the account's own prices."""

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.book import PriceBook
from pricing.discounts import ROUTES, BasePrices, Discount, changed_since, expand, is_in_effect, parse_percent
from pricing.errors import InvalidDiscountError
from pricing.names import Alias, Aliases
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

ALIASES = Aliases([Alias("together", "llama-turbo", "llama", "a page")])
ACME, GLOBEX = 7, 8
_ids = count(100)


def table(start, *picos, models=("llama",), gone=(), provider="together", **overrides):
    fields = {"source": "list", "layer": Layer.BUNDLED, "kind": TableKind.PATCH, "effective_from": start, "id": next(_ids)}
    rates = tuple(
        Rate(provider=provider, model=model, prices={"input_tokens": Price(pico)}, source="page 3", id=next(_ids))
        for pico, model in zip(picos, models, strict=True)
    )
    return PriceTable(rates=rates, withdrawn=frozenset((provider, model, "") for model in gone), **fields | overrides)


def off(percent, start=10, **overrides):
    return Discount(account_id=ACME, share=parse_percent(percent), effective_from=start, **overrides)


def recorded(expanded, at=1_000):
    """Return the tables as they are once recorded."""
    return [
        PriceTable(
            source=each.source, layer=each.layer, kind=each.kind, effective_from=each.effective_from, rates=each.rates,
            withdrawn=each.withdrawn, route=each.route, account_id=each.account_id, recorded_at=at, id=next(_ids),
        )
        for each in expanded.tables
    ]  # fmt: skip


def expanded_over(tables, *discounts, since=None):
    """Return what has to be recorded for the discounts; the last is the requested one."""
    own = [each for each in tables if each.account_id == ACME]
    return expand(BasePrices(tables, ALIASES), own, discounts, requested=discounts[-1], since=since)


def discounted(tables, *discounts, at=1_000, since=None):
    """Return the tables with the discounts, which are given and expanded one after the other."""
    tables = list(tables)
    for number in range(len(discounts)):
        tables += recorded(expanded_over(tables, *discounts[: number + 1], since=since), at + number)
    return tables


def in_effect(tables, discounts, requested):
    return is_in_effect(BasePrices(tables, ALIASES), discounts, requested)


def pico(tables, instant=10, account=ACME, model="llama", route="routed", provider="together"):
    found = PriceBook(tables, ALIASES).rate_for(account, route, (provider, model, "chat"), instant)
    return None if found is None else found.prices["input_tokens"].pico


def test_a_discount_applies_from_its_instant_to_its_account_only():
    tables = discounted([table(1, 800)], off("12.5"))
    assert [pico(tables, instant) for instant in (9, 10, 99)] == [800, 700, 700]
    assert pico(tables, account=GLOBEX) == 800


def test_a_known_later_price_is_discounted_when_it_takes_effect():
    tables = discounted([table(1, 800), table(20, 400), table(30, models=(), gone=["llama"]), table(40, 80)], off("12.5"))
    assert [pico(tables, instant) for instant in (19, 20, 29, 30, 40)] == [700, 350, 350, None, 70]


def test_a_base_price_recorded_later_is_discounted_after_expanding_again():
    before = discounted([table(1, 800)], off("50"))
    after = [*before, table(20, 600, recorded_at=2_000)]
    assert pico(after, 20) == 400
    assert [pico(discounted(after, off("50"), at=3_000), instant) for instant in (10, 20)] == [400, 300]


def test_expanding_again_without_changes_adds_nothing():
    base = [table(1, 800), table(20, 400), table(30, models=(), gone=["llama"])]
    once = discounted(base, off("12.5"))
    assert len(discounted(once, off("12.5"))) == len(once) > len(base)


@pytest.mark.parametrize(("price", "expected", "rounded"), [(37_500, 32_813, 1), (1, 1, 1), (4, 4, 1), (8, 7, 0), (0, 0, 0)])
def test_a_fraction_of_a_pico_dollar_is_rounded_half_up_and_noted(price, expected, rounded):
    # 37,500 less an eighth is 32,812.5; 4 less an eighth is 3.5
    expanded = expanded_over([table(1, price, route="routed")], off("12.5"))
    assert expanded.rounded == rounded
    (rate,) = expanded.tables[0].rates
    assert rate.prices["input_tokens"].pico == expected
    assert ("rounded half up" in rate.source) == bool(rounded)
    assert rate.source.startswith("12.5 % off version ") and rate.source.endswith(" page 3")


def test_every_kind_tier_block_and_operation_is_discounted_alike():
    fields: dict[str, Any] = {"provider": "together", "model": "flux", "operation": "image"}
    rates = (
        Rate(**fields, prices={"compute_ms": Price(1_000, 1_000), "images": Price(0)}),
        Rate(**fields, context_from=9, prices={"compute_ms": Price(60, 3_600_000)}),
    )
    base = PriceTable(source="list", layer=Layer.OPERATOR, kind=TableKind.PATCH, effective_from=1, rates=rates, id=1)
    (first, *_) = expanded_over([base], off("25")).tables
    found = [(rate.operation, rate.context_from, dict(rate.prices)) for rate in first.rates]
    assert sorted(found, key=lambda each: each[1]) == [
        ("image", 0, {"compute_ms": Price(750, 1_000), "images": Price(0)}),
        ("image", 9, {"compute_ms": Price(45, 3_600_000)}),
    ]


def test_each_route_is_discounted_from_its_own_price():
    base = [table(1, 800), table(1, 400, layer=Layer.ROUTE, route="routed"), table(20, 1_000)]
    tables = discounted(base, off("50"))
    assert [pico(tables, route=route) for route in ("routed", "provider_key", "unknown")] == [200, 400, 400]
    assert [pico(tables, 20, route=route) for route in ("routed", "provider_key", "unknown")] == [200, 500, 500]


def test_a_discount_can_be_limited_to_a_provider_or_a_model():
    base = [table(1, 800, 80, models=("llama", "qwen")), table(1, 400, provider="novita", source="other")]
    at_together = discounted(base, off("50", provider="together"))
    assert (pico(at_together), pico(at_together, model="qwen"), pico(at_together, provider="novita")) == (400, 40, 400)
    of_llama = discounted(base, off("50", model="llama-turbo"))
    assert (pico(of_llama), pico(of_llama, model="qwen"), pico(of_llama, provider="novita")) == (400, 80, 400)


def test_a_model_is_discounted_under_every_name():
    tables = discounted([table(1, 800)], off("50"))
    assert [pico(tables, model=name) for name in ("llama", "llama-turbo", "LLAMA")] == [400, 400, 400]


def test_names_that_a_list_distinguishes_keep_their_own_prices():
    base = [table(1, 800, 90, models=("llama", "llama-turbo"))]
    tables = discounted(base, off("50", model="llama"))
    assert [pico(tables, model=name) for name in ("llama", "llama-turbo")] == [400, 45]
    tables = discounted([*base, table(5, models=(), gone=["llama-turbo"])], off("50"))
    assert [pico(tables, model=name) for name in ("llama", "llama-turbo")] == [400, None]


def test_an_accounts_own_price_is_kept():
    own = table(5, 300, layer=Layer.ACCOUNT, account_id=ACME, source="contract")
    base = [table(1, 800, 80, models=("llama", "qwen")), own]
    assert expanded_over(base, off("50")).kept == (("together", "llama", ""),)
    tables = discounted(base, off("50"))
    assert (pico(tables), pico(tables, model="qwen")) == (300, 40)


def test_a_discount_applies_again_after_the_accounts_own_price_ends():
    own = {"layer": Layer.ACCOUNT, "account_id": ACME, "source": "contract"}
    contract = [table(5, 300, **own), table(20, models=(), gone=["llama"], **own)]
    tables = discounted([table(1, 800), *contract], off("50"))
    assert [pico(tables, instant) for instant in (10, 19, 20)] == [300, 300, 400]


def test_a_contract_takes_precedence_over_a_discount_whichever_is_older():
    contract = {"layer": Layer.ACCOUNT, "account_id": ACME, "source": "contract", "recorded_at": 2_000}
    tables = [*discounted([table(1, 800)], off("50")), table(5, 300, **contract)]
    assert [pico(tables, instant) for instant in (4, 5, 10, 99)] == [800, 300, 300, 300]
    assert len(discounted(tables, off("50"), at=3_000)) == len(tables)
    assert expanded_over(tables, off("50")).kept == (("together", "llama", ""),)
    # a list of the same rank by any name, before or after "discount" in the alphabet
    for name in ("agreement", "zebra"):
        assert pico([*discounted([table(1, 800)], off("50")), table(5, 300, **contract | {"source": name})]) == 300


def test_a_discount_follows_a_withdrawn_or_corrected_base_price():
    tables = discounted([table(1, 800), table(20, 600)], off("50"))
    tables = discounted([*tables, table(1, 700, recorded_at=1_500), table(30, models=(), gone=["llama"])], off("50"), at=2_000)
    # the price from 20 on was not corrected
    assert [pico(tables, instant) for instant in (10, 20, 30)] == [350, 300, None]


def test_only_changed_prices_are_written_from_when_the_base_price_changed():
    known = discounted([table(1, 800, 80, models=("llama", "qwen"))], off("50"))
    known.append(table(20, 800, 60, models=("llama", "qwen"), recorded_at=2_000))
    fresh = expanded_over(known, off("50"), since=20).tables
    assert {(each.effective_from, rate.model, rate.prices["input_tokens"].pico) for each in fresh for rate in each.rates} == {
        (20, "qwen", 30)
    }
    assert len(fresh) == len(ROUTES)
    everything = expanded_over(known, off("50")).tables
    assert [each.digest for each in everything] == [each.digest for each in fresh]


def test_of_overlapping_discounts_the_one_recorded_last_applies():
    base = [table(1, 800, 80, models=("llama", "qwen"))]
    everything, of_llama = off("50"), off("25", model="llama")
    assert [pico(discounted(base, everything, of_llama), model=name) for name in ("llama", "qwen")] == [600, 40]
    assert [pico(discounted(base, of_llama, everything), model=name) for name in ("llama", "qwen")] == [400, 40]
    assert not in_effect(base, [everything, of_llama], everything)
    assert in_effect(base, [everything, of_llama], of_llama)
    assert in_effect(base, [off("50", model="qwen"), of_llama], off("50", model="qwen"))


def test_an_ended_discount_can_be_given_again():
    base = [table(1, 800)]
    discounts = [off("25"), off("0"), off("25")]
    assert [pico(discounted(base, *discounts[:number])) for number in (1, 2, 3)] == [600, 800, 600]
    assert not in_effect(base, [off("25"), off("0")], off("25"))


def test_a_discount_of_zero_ends_a_discount():
    tables = discounted([table(1, 800), table(30, 400)], off("50"), off("0", 20))
    assert [pico(tables, instant) for instant in (10, 19, 20, 30)] == [400, 400, 800, 400]
    assert pico([*tables, table(40, 100)], 40) == 100


def test_the_discount_recorded_last_applies_although_the_first_was_expanded_for_later_instants():
    tables = discounted([table(1, 800), table(30, 400)], off("50"), off("25", 20))
    assert [pico(tables, instant) for instant in (10, 20, 30)] == [400, 600, 300]
    earlier = discounted([table(1, 800)], off("50", 20), off("25", 10))
    assert [pico(earlier, instant) for instant in (10, 20)] == [600, 600]


@pytest.mark.parametrize("overrides", [{"provider": "nobody"}, {"model": "nothing"}, {"model": "llama", "provider": "novita"}])
def test_a_discount_without_a_price_to_apply_to_is_refused(overrides):
    with pytest.raises(InvalidDiscountError, match="nothing to discount"):
        in_effect([table(1, 800)], [], off("50", **overrides))


@pytest.mark.parametrize(
    ("text", "share"), [("12.5", 125_000), ("12.5%", 125_000), ("100", 1_000_000), ("0.0001", 1), ("0", 0)]
)
def test_a_percentage_is_parsed_exactly(text, share):
    assert parse_percent(text) == share


@pytest.mark.parametrize("text", ["", "x", "-1", "100.0001", "0.00001", "1e400", "NaN", "12,5"])
def test_an_invalid_percentage_is_refused(text):
    with pytest.raises(InvalidDiscountError):
        parse_percent(text)


MODELS = ["llama", "llama-turbo", "qwen"]
stories = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["x", "y"]),
            "layer": st.sampled_from([Layer.OPERATOR, Layer.ROUTE, Layer.BUNDLED]),
            "kind": st.sampled_from(list(TableKind)),
            "effective_from": st.integers(min_value=0, max_value=4),
            "route": st.sampled_from(["", "routed", "provider_key"]),
            "models": st.lists(st.sampled_from(MODELS), max_size=2, unique=True),
            "gone": st.sets(st.sampled_from(MODELS), max_size=1),
        }
    ),
    min_size=1,
    max_size=7,
)


def tables_of(story):
    picos = count(3)
    return [
        table(
            each["effective_from"], *(next(picos) for _ in each["models"]), models=each["models"],
            gone=each["gone"] - set(each["models"]), source=each["source"], layer=each["layer"], kind=each["kind"],
            route=each["route"], recorded_at=number,
        )
        for number, each in enumerate(story)
    ]  # fmt: skip


@given(stories, st.integers(min_value=0, max_value=5), st.integers(min_value=0, max_value=6))
def test_an_account_always_pays_the_discounted_price_of_other_accounts(story, start, known_first):
    base, discount = tables_of(story), off("30", start)
    first = discounted(base[:known_first], discount)[known_first:] if known_first < len(base) else []
    tables = discounted([*base, *first], discount, at=2_000)
    for route in ROUTES:
        for instant in range(6):
            for model in MODELS:
                paid = pico(tables, instant, GLOBEX, model, route)
                expected = paid if paid is None or instant < start else (paid * 7 + 5) // 10
                assert pico(tables, instant, ACME, model, route) == expected
    assert len(discounted(tables, discount, at=3_000)) == len(tables)


def test_a_name_that_is_new_to_a_list_can_change_earlier_prices():
    """The operator's list withdraws the model under its alias. With the model's own name, it has no entry before 20."""
    route = table(1, 10, layer=Layer.ROUTE)
    tables = discounted([table(1, models=(), gone=["llama-turbo"], layer=Layer.OPERATOR), route], off("30"))
    assert pico(tables, 10, GLOBEX) is pico(tables, 10, ACME) is None
    fresh = table(20, models=(), gone=["llama"], layer=Layer.OPERATOR)
    since = changed_since([fresh], tables)
    tables = discounted([*tables, fresh], off("30"), since=since)
    assert [pico(tables, instant, GLOBEX) for instant in (10, 20)] == [10, None]
    assert [pico(tables, instant, ACME) for instant in (10, 20)] == [7, None]


def test_a_discount_follows_every_one_of_several_dated_prices_recorded_at_once():
    tables = discounted([table(1, 800)], off("50"))
    fresh = [table(start, price, recorded_at=2_000) for start, price in ((30, 400), (20, 600), (40, 200))]
    since = changed_since(fresh, tables)
    tables = discounted([*tables, *fresh], off("50"), at=2_000, since=since)
    assert [pico(tables, instant) for instant in (19, 20, 29, 30, 40)] == [400, 300, 300, 200, 100]


@given(stories, st.integers(min_value=0, max_value=5), st.integers(min_value=1, max_value=3))
def test_following_tables_as_they_are_recorded_gives_the_same_prices_as_expanding_at_the_end(story, start, at_once):
    discounts, fresh = [off("30", start)], tables_of(story)
    tables: list[PriceTable] = []
    for number in range(0, len(fresh), at_once):
        added = fresh[number : number + at_once]
        since = changed_since(added, tables)
        tables += added
        own = [other for other in tables if other.account_id == ACME]
        tables += recorded(expand(BasePrices(tables, ALIASES), own, discounts, since=since), number)
    for route in ROUTES:
        for instant in range(6):
            for model in MODELS:
                paid = pico(tables, instant, GLOBEX, model, route)
                expected = paid if paid is None or instant < start else (paid * 7 + 5) // 10
                assert pico(tables, instant, ACME, model, route) == expected
