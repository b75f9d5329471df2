"""Which rate applies: precedence, routes, instants, tiers, withdrawals."""

import random
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pricing.book
from pricing.book import PriceBook
from pricing.names import Alias, Aliases
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

LLAMA = ("together", "llama", "chat")
NOON = 1_792_368_000_000_000


def rate(pico, model="llama", **overrides):
    return Rate(**{"provider": "together", "model": model, "prices": {"input_tokens": Price(pico)}} | overrides)


def table(*rates, gone=(), **overrides):
    fields: dict[str, Any] = {
        "source": "list",
        "layer": Layer.BUNDLED,
        "kind": TableKind.PATCH,
        "effective_from": NOON,
        "withdrawn": frozenset(("together", model, "") for model in gone),
    }
    return PriceTable(rates=rates, **fields | overrides)


def price(book, route="routed", instant=NOON, account=None, key=LLAMA, context=0):
    found = book.rate_for(account, route, key, instant, context)
    return None if found is None else found.prices["input_tokens"].pico


ACCOUNT = table(rate(1), source="agreement", layer=Layer.ACCOUNT, account_id=7)
OPERATOR = table(rate(2), source="sheet", layer=Layer.OPERATOR)
ROUTE = table(rate(3), source="hf_router", layer=Layer.ROUTE, route="routed")
BUNDLED = table(rate(4), source="hf_router", route="routed")


def test_precedence_is_account_operator_route_bundled():
    for tables, expected in [
        ([BUNDLED], 4),
        ([BUNDLED, ROUTE], 3),
        ([BUNDLED, ROUTE, OPERATOR], 2),
        ([BUNDLED, ROUTE, OPERATOR, ACCOUNT], 1),
    ]:
        assert price(PriceBook(tables), account=7) == expected


def test_a_newer_price_in_a_lower_layer_does_not_win():
    newer = table(rate(4), source="hf_router", effective_from=NOON + 5)
    assert price(PriceBook([OPERATOR, newer]), instant=NOON + 9) == 2


def test_an_accounts_own_price_applies_to_no_other_account():
    book = PriceBook([ACCOUNT, BUNDLED])
    assert price(book, account=7) == 1
    assert price(book, account=8) == 4
    assert price(book) == 4


def test_two_accounts_can_have_price_lists_of_the_same_name():
    other = table(rate(9), source="agreement", layer=Layer.ACCOUNT, account_id=8)
    book = PriceBook([ACCOUNT, other])
    assert (price(book, account=7), price(book, account=8), price(book, account=9)) == (1, 9, None)


def test_a_routed_price_does_not_apply_to_a_partners_own_key():
    book = PriceBook([ROUTE, BUNDLED])
    assert price(book, route="provider_key") is None
    assert price(book, route="serverless") is None


def test_an_unknown_route_sees_only_prices_of_any_route():
    assert price(PriceBook([ROUTE, BUNDLED]), route="unknown") is None
    assert price(PriceBook([ROUTE, OPERATOR]), route="unknown") == 2


def test_a_new_price_replaces_the_old_one_at_its_exact_microsecond():
    book = PriceBook([table(rate(88)), table(rate(104), effective_from=NOON + 1_000_000)])
    assert price(book, instant=NOON - 1) is None
    assert price(book, instant=NOON) == 88
    assert price(book, instant=NOON + 999_999) == 88
    assert price(book, instant=NOON + 1_000_000) == 104


def test_a_price_recorded_later_for_the_same_instant_corrects_the_earlier_one():
    wrong, right = table(rate(1), recorded_at=10, id=1), table(rate(2), recorded_at=20, id=2)
    assert price(PriceBook([right, wrong])) == 2


def test_a_late_correction_ends_at_the_next_version():
    tables = [table(rate(1), id=1), table(rate(2), effective_from=NOON + 10, id=2), table(rate(3), recorded_at=99, id=3)]
    book = PriceBook(tables)
    assert (price(book), price(book, instant=NOON + 10)) == (3, 2)


def test_the_whole_request_is_priced_at_the_tier_of_its_context():
    book = PriceBook([table(rate(10), rate(30, context_from=500_001), rate(20, context_from=200_001))])
    contexts = {0: 10, 200_000: 10, 200_001: 20, 500_000: 20, 500_001: 30, 10**9: 30}
    assert {context: price(book, context=context) for context in contexts} == contexts


def test_a_context_below_the_lowest_tier_has_no_price():
    assert price(PriceBook([table(rate(20, context_from=1_000))]), context=999) is None


def test_a_new_version_replaces_all_tiers():
    book = PriceBook([table(rate(10), rate(20, context_from=100)), table(rate(11), effective_from=NOON + 1)])
    assert price(book, context=100, instant=NOON + 1) == 11


def test_a_withdrawn_price_ends_and_can_come_back():
    book = PriceBook([table(rate(1)), table(gone=["llama"], effective_from=NOON + 1), table(rate(2), effective_from=NOON + 2)])
    assert [price(book, instant=NOON + step) for step in (0, 1, 2)] == [1, None, 2]


def test_a_patch_does_not_change_models_it_does_not_list():
    book = PriceBook([table(rate(1), rate(5, model="qwen")), table(rate(2), effective_from=NOON + 1)])
    assert price(book, instant=NOON + 1, key=("together", "qwen", "chat")) == 5


def test_a_snapshot_withdraws_models_it_does_not_list():
    second = table(rate(2), kind=TableKind.SNAPSHOT, effective_from=NOON + 1)
    book = PriceBook([table(rate(1), rate(5, model="qwen"), kind=TableKind.SNAPSHOT), second])
    qwen = ("together", "qwen", "chat")
    assert (price(book, key=qwen), price(book, key=qwen, instant=NOON + 1)) == (5, None)
    assert price(book, instant=NOON + 1) == 2


def test_a_snapshot_withdraws_nothing_of_another_source():
    book = PriceBook([table(rate(1)), table(rate(5, model="qwen"), source="other", kind=TableKind.SNAPSHOT)])
    assert price(book) == 1


def test_a_withdrawal_applies_to_the_lower_layers_of_the_same_source():
    refreshed = table(gone=["llama"], source="hf_router", layer=Layer.ROUTE, route="routed", effective_from=NOON + 1)
    book = PriceBook([BUNDLED, refreshed])
    assert (price(book), price(book, instant=NOON + 1)) == (4, None)


def test_a_withdrawal_does_not_affect_another_source():
    refreshed = table(gone=["llama"], source="hf_router", layer=Layer.ROUTE)
    assert price(PriceBook([BUNDLED, refreshed, table(rate(6), source="partner")])) == 6


def test_between_sources_of_one_layer_the_latest_effective_price_wins():
    older, newer = table(rate(1), source="z"), table(rate(2), source="a", effective_from=NOON + 1)
    book = PriceBook([older, newer])
    assert (price(book), price(book, instant=NOON + 1)) == (1, 2)


def test_between_unrecorded_prices_of_one_layer_and_instant_the_first_source_by_name_wins():
    tables = [table(rate(1), source="b"), table(rate(2), source="a")]
    assert price(PriceBook(tables)) == price(PriceBook(tables[::-1])) == 2


@pytest.mark.parametrize("route", ["", "routed"])
def test_the_last_table_of_a_source_applies_whether_for_one_route_or_any(route):
    other = "routed" if not route else ""
    tables = [table(rate(1), route=route), table(gone=["llama"], route=other, effective_from=NOON + 1)]
    book = PriceBook([*tables, table(rate(2), route=route, effective_from=NOON + 2)])
    assert [price(book, instant=NOON + step) for step in (0, 1, 2)] == [1, None, 2]


def test_at_the_same_instant_the_table_for_the_route_applies():
    book = PriceBook([table(rate(1)), table(rate(2), route="routed")])
    assert (price(book), price(book, route="provider_key")) == (2, 1)


def test_the_price_of_an_operation_takes_precedence_over_that_of_any():
    book = PriceBook([table(rate(1), rate(2, operation="chat"))])
    assert price(book, key=("together", "llama", "chat")) == 2
    assert price(book, key=("together", "llama", "embeddings")) == 1


def test_without_a_price_of_the_operation_the_price_of_any_applies():
    gone = PriceTable(
        source="list", layer=Layer.BUNDLED, kind=TableKind.PATCH, effective_from=NOON + 1, rates=(),
        withdrawn=frozenset({("together", "llama", "chat")}),
    )  # fmt: skip
    assert price(PriceBook([table(rate(1), rate(2, operation="chat")), gone]), instant=NOON + 1) == 1


def test_a_model_is_priced_at_its_provider_only():
    assert price(PriceBook([BUNDLED]), key=("novita", "llama", "chat")) is None
    assert price(PriceBook([BUNDLED]), key=("together", "llama-2", "chat")) is None


def test_a_recorded_rate_is_found_by_id():
    recorded = rate(1, id=41)
    book = PriceBook([table(recorded, id=1)])
    assert book.rate(41) is recorded
    with pytest.raises(KeyError):
        book.rate(42)


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(pricing.book, "MAX_CACHED", 10)
    book = PriceBook([BUNDLED])
    for number in range(100):
        assert price(book, key=("together", f"model-{number}", "chat")) is None
    assert len(book._timelines) <= 10
    assert price(book) == 4


models, routes, operations = ["a", "b"], ["", "routed", "provider_key"], ["", "chat"]
keys = st.tuples(st.sampled_from(models), st.sampled_from(operations))
stories = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["x", "y"]),
            "layer": st.sampled_from(list(Layer)),
            "kind": st.sampled_from(list(TableKind)),
            "effective_from": st.integers(min_value=0, max_value=3),
            "recorded_at": st.integers(min_value=0, max_value=1),
            "route": st.sampled_from(routes),
            "priced": st.sets(keys, max_size=3),
            "gone": st.sets(keys, max_size=2),
        }
    ),
    max_size=8,
)


def tables_of(story, recorded=True):
    pico = count(1)
    return [
        PriceTable(
            source=each["source"], layer=each["layer"], kind=each["kind"], effective_from=each["effective_from"],
            recorded_at=each["recorded_at"], route=each["route"], id=number if recorded else 0,
            account_id=7 if each["layer"] is Layer.ACCOUNT else None,
            rates=tuple(rate(next(pico), model, operation=operation) for model, operation in sorted(each["priced"])),
            withdrawn=frozenset(("together", *key) for key in each["gone"] - each["priced"]),
        )
        for number, each in enumerate(story, start=1)
    ]  # fmt: skip


LOOKUPS = [
    {"account": account, "route": route, "instant": instant, "key": ("together", model, operation)}
    for account in (7, 8)
    for route in ("routed", "provider_key", "unknown")
    for instant in range(-1, 5)
    for model in models
    for operation in ("chat", "embeddings")
]


@given(stories, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_tables_does_not_matter(story, shuffler: random.Random, recorded):
    tables = tables_of(story, recorded)
    book = PriceBook(tables)
    shuffler.shuffle(tables)
    again = PriceBook(tables)
    assert [price(again, **lookup) for lookup in LOOKUPS] == [price(book, **lookup) for lookup in LOOKUPS]


def newest_entry(tables, route, key, instant):
    """The newest entry of one source and layer for a key: pico-USD, "withdrawn", or None."""
    entries = []
    for wanted in ("", route):
        known = False
        for table in sorted(tables, key=lambda table: (table.effective_from, table.recorded_at, table.id)):
            version = (table.effective_from, table.recorded_at, table.id)
            if table.route != wanted or table.effective_from > instant:
                continue
            listed = {(r.provider, r.model, r.operation): r.prices["input_tokens"].pico for r in table.rates}
            if key in listed:
                entries.append((version, listed[key]))
                known = True
            elif key in table.withdrawn or (known and table.kind is TableKind.SNAPSHOT):
                entries.append((version, "withdrawn"))
                known = True
    return max(entries, key=lambda entry: entry[0]) if entries else None


def price_by_rules(tables, account, route, instant, key):
    """Apply the rules one by one, slowly: layer by layer, source by source."""
    withdrawn = set()
    for layer in Layer:
        best = None
        for source in ("x", "y"):
            listed = [
                table
                for table in tables
                if table.layer is layer and table.source == source and table.account_id in (None, account)
            ]
            entries = [newest_entry(listed, route, each, instant) for each in (key, (*key[:2], ""))]
            if source in withdrawn or not any(entries):
                continue
            priced = [entry for entry in entries if entry and entry[1] != "withdrawn"]
            if not priced:
                withdrawn.add(source)
            elif best is None or priced[0][0] > best[0]:
                best = priced[0]
        if best is not None:
            return best[1]
    return None


@given(stories)
def test_every_lookup_agrees_with_the_rules(story):
    tables = tables_of(story)
    book = PriceBook(tables)
    for lookup in LOOKUPS:
        assert price(book, **lookup) == price_by_rules(tables, **lookup), lookup


def test_each_list_is_searched_under_its_own_name_for_the_model():
    aliases = Aliases([Alias("together", "llama-turbo", "llama", "a page")])
    partner = table(rate(4, "llama-turbo"), source="partner")
    book = PriceBook([table(rate(3), source="hf_router", layer=Layer.ROUTE, route="routed"), partner], aliases)
    turbo = ("together", "llama-turbo", "chat")
    assert price(book, key=turbo) == 3
    assert price(book, key=turbo, route="provider_key") == 4
    assert price(book, route="provider_key") == 4
    assert price(book, key=("together", "LLAMA", "chat")) == 3


def test_an_ambiguous_name_has_no_price():
    assert price(PriceBook([table(rate(1, model="Llama"), rate(2, model="LLAMA"))])) is None


def test_another_accounts_spelling_does_not_make_a_name_ambiguous():
    other = table(rate(9, model="LLAMA"), source="agreement", layer=Layer.ACCOUNT, account_id=8)
    assert price(PriceBook([other, table(rate(1, model="Llama"))]), account=7) == 1
