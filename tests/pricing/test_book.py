"""Which rate applies: precedence, route walls, instants, tiers, withdrawals."""

import random
from itertools import count

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
    fields = {
        "source": "list",
        "layer": Layer.BUNDLED,
        "kind": TableKind.PATCH,
        "effective_from": NOON,
        "withdrawn": frozenset(("together", model, "") for model in gone),
    }
    return PriceTable(rates=rates, **fields | overrides)


def price(book, route="routed", instant=NOON, account=None, what=LLAMA, context=0):
    found = book.rate_for(account, route, what, instant, context)
    return None if found is None else found.prices["input_tokens"].pico


ACCOUNT = table(rate(1), source="agreement", layer=Layer.ACCOUNT, account_id=7)
OPERATOR = table(rate(2), source="sheet", layer=Layer.OPERATOR)
ROUTE = table(rate(3), source="hf_router", layer=Layer.ROUTE, route="routed")
BUNDLED = table(rate(4), source="hf_router", route="routed")


def test_the_accounts_own_price_goes_before_the_operators_before_the_routes_before_the_bundled():
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


def test_an_accounts_own_price_is_for_nobody_else():
    book = PriceBook([ACCOUNT, BUNDLED])
    assert price(book, account=7) == 1
    assert price(book, account=8) == 4
    assert price(book) == 4


def test_two_accounts_can_have_prices_of_the_same_name():
    other = table(rate(9), source="agreement", layer=Layer.ACCOUNT, account_id=8)
    book = PriceBook([ACCOUNT, other])
    assert (price(book, account=7), price(book, account=8), price(book, account=9)) == (1, 9, None)


def test_a_routed_price_says_nothing_about_a_partners_own_key():
    book = PriceBook([ROUTE, BUNDLED])
    assert price(book, route="provider_key") is None
    assert price(book, route="serverless") is None


def test_an_unknown_route_sees_only_prices_of_any_route():
    assert price(PriceBook([ROUTE, BUNDLED]), route="unknown") is None
    assert price(PriceBook([ROUTE, OPERATOR]), route="unknown") == 2


def test_the_new_price_holds_from_its_microsecond_and_the_old_one_until_it():
    book = PriceBook([table(rate(88)), table(rate(104), effective_from=NOON + 1_000_000)])
    assert price(book, instant=NOON - 1) is None
    assert price(book, instant=NOON) == 88
    assert price(book, instant=NOON + 999_999) == 88
    assert price(book, instant=NOON + 1_000_000) == 104


def test_a_price_recorded_later_for_the_same_instant_corrects_the_earlier_one():
    wrong, right = table(rate(1), recorded_at=10, id=1), table(rate(2), recorded_at=20, id=2)
    assert price(PriceBook([right, wrong])) == 2


def test_a_late_correction_of_the_past_does_not_reach_past_the_next_version():
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


def test_a_patch_leaves_alone_what_it_does_not_name():
    book = PriceBook([table(rate(1), rate(5, model="qwen")), table(rate(2), effective_from=NOON + 1)])
    assert price(book, instant=NOON + 1, what=("together", "qwen", "chat")) == 5


def test_a_snapshot_withdraws_what_it_leaves_out():
    second = table(rate(2), kind=TableKind.SNAPSHOT, effective_from=NOON + 1)
    book = PriceBook([table(rate(1), rate(5, model="qwen"), kind=TableKind.SNAPSHOT), second])
    qwen = ("together", "qwen", "chat")
    assert (price(book, what=qwen), price(book, what=qwen, instant=NOON + 1)) == (5, None)
    assert price(book, instant=NOON + 1) == 2


def test_a_snapshot_of_one_source_withdraws_nothing_of_another():
    book = PriceBook([table(rate(1)), table(rate(5, model="qwen"), source="other", kind=TableKind.SNAPSHOT)])
    assert price(book) == 1


def test_a_source_that_withdraws_a_model_is_not_asked_about_it_in_a_lower_layer():
    refreshed = table(gone=["llama"], source="hf_router", layer=Layer.ROUTE, route="routed", effective_from=NOON + 1)
    book = PriceBook([BUNDLED, refreshed])
    assert (price(book), price(book, instant=NOON + 1)) == (4, None)


def test_another_source_below_is_still_asked_after_a_withdrawal():
    refreshed = table(gone=["llama"], source="hf_router", layer=Layer.ROUTE)
    assert price(PriceBook([BUNDLED, refreshed, table(rate(6), source="partner")])) == 6


def test_among_sources_of_one_layer_the_price_that_became_valid_last_wins():
    older, newer = table(rate(1), source="z"), table(rate(2), source="a", effective_from=NOON + 1)
    book = PriceBook([older, newer])
    assert (price(book), price(book, instant=NOON + 1)) == (1, 2)


def test_among_unrecorded_prices_of_one_layer_and_instant_the_first_source_by_name_wins():
    tables = [table(rate(1), source="b"), table(rate(2), source="a")]
    assert price(PriceBook(tables)) == price(PriceBook(tables[::-1])) == 2


@pytest.mark.parametrize("route", ["", "routed"])
def test_the_last_word_of_a_source_counts_whether_it_is_about_one_route_or_all(route):
    other = "routed" if not route else ""
    tables = [table(rate(1), route=route), table(gone=["llama"], route=other, effective_from=NOON + 1)]
    book = PriceBook([*tables, table(rate(2), route=route, effective_from=NOON + 2)])
    assert [price(book, instant=NOON + step) for step in (0, 1, 2)] == [1, None, 2]


def test_at_the_same_instant_a_source_means_its_price_for_the_route():
    book = PriceBook([table(rate(1)), table(rate(2), route="routed")])
    assert (price(book), price(book, route="provider_key")) == (2, 1)


def test_the_price_of_an_operation_beats_the_price_of_any_operation():
    book = PriceBook([table(rate(1), rate(2, operation="chat"))])
    assert price(book, what=("together", "llama", "chat")) == 2
    assert price(book, what=("together", "llama", "embeddings")) == 1


def test_without_the_price_of_the_operation_the_price_of_any_operation_holds():
    gone = PriceTable(
        source="list", layer=Layer.BUNDLED, kind=TableKind.PATCH, effective_from=NOON + 1, rates=(),
        withdrawn=frozenset({("together", "llama", "chat")}),
    )  # fmt: skip
    assert price(PriceBook([table(rate(1), rate(2, operation="chat")), gone]), instant=NOON + 1) == 1


def test_a_model_is_priced_at_its_provider_only():
    assert price(PriceBook([BUNDLED]), what=("novita", "llama", "chat")) is None
    assert price(PriceBook([BUNDLED]), what=("together", "llama-2", "chat")) is None


def test_a_charge_finds_its_rate_again_by_id():
    recorded = rate(1, id=41)
    book = PriceBook([table(recorded, id=1)])
    assert book.rate(41) is recorded
    with pytest.raises(KeyError):
        book.rate(42)


def test_names_without_end_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(pricing.book, "MAX_REMEMBERED", 10)
    book = PriceBook([BUNDLED])
    for number in range(100):
        assert price(book, what=("together", f"model-{number}", "chat")) is None
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
            source=told["source"], layer=told["layer"], kind=told["kind"], effective_from=told["effective_from"],
            recorded_at=told["recorded_at"], route=told["route"], id=number if recorded else 0,
            account_id=7 if told["layer"] is Layer.ACCOUNT else None,
            rates=tuple(rate(next(pico), model, operation=operation) for model, operation in sorted(told["priced"])),
            withdrawn=frozenset(("together", *key) for key in told["gone"] - told["priced"]),
        )
        for number, told in enumerate(story, start=1)
    ]  # fmt: skip


QUESTIONS = [
    {"account": account, "route": route, "instant": instant, "what": ("together", model, operation)}
    for account in (7, 8)
    for route in ("routed", "provider_key", "unknown")
    for instant in range(-1, 5)
    for model in models
    for operation in ("chat", "embeddings")
]


@given(stories, st.randoms(use_true_random=False), st.booleans())
def test_the_order_in_which_tables_are_given_does_not_matter(story, shuffler: random.Random, recorded):
    tables = tables_of(story, recorded)
    book = PriceBook(tables)
    shuffler.shuffle(tables)
    again = PriceBook(tables)
    assert [price(again, **question) for question in QUESTIONS] == [price(book, **question) for question in QUESTIONS]


def last_word(tables, route, key, instant):
    """What the tables of one source and layer say of one key: pico-USD, "withdrawn", or None for not a word."""
    words = []
    for wanted in ("", route):
        known = False
        for told in sorted(tables, key=lambda told: (told.effective_from, told.recorded_at, told.id)):
            version = (told.effective_from, told.recorded_at, told.id)
            if told.route != wanted or told.effective_from > instant:
                continue
            listed = {(r.provider, r.model, r.operation): r.prices["input_tokens"].pico for r in told.rates}
            if key in listed:
                words.append((version, listed[key]))
                known = True
            elif key in told.withdrawn or (known and told.kind is TableKind.SNAPSHOT):
                words.append((version, "withdrawn"))
                known = True
    return max(words, key=lambda word: word[0]) if words else None


def by_the_book(tables, account, route, instant, what):
    """The rules told again, slowly: layer by layer, source by source."""
    withdrawn = set()
    for layer in Layer:
        best = None
        for source in ("x", "y"):
            mine = [
                told for told in tables if told.layer is layer and told.source == source and told.account_id in (None, account)
            ]
            said = [last_word(mine, route, key, instant) for key in (what, (*what[:2], ""))]
            if source in withdrawn or not any(said):
                continue
            priced = [word for word in said if word and word[1] != "withdrawn"]
            if not priced:
                withdrawn.add(source)
            elif best is None or priced[0][0] > best[0]:
                best = priced[0]
        if best is not None:
            return best[1]
    return None


@given(stories)
def test_every_question_is_answered_as_the_rules_say(story):
    tables = tables_of(story)
    book = PriceBook(tables)
    for question in QUESTIONS:
        assert price(book, **question) == by_the_book(tables, **question), question


def test_a_source_is_asked_under_the_name_by_which_it_knows_the_model():
    aliases = Aliases([Alias("together", "llama-turbo", "llama", "a page")])
    partner = table(rate(4, "llama-turbo"), source="partner")
    book = PriceBook([table(rate(3), source="hf_router", layer=Layer.ROUTE, route="routed"), partner], aliases)
    turbo = ("together", "llama-turbo", "chat")
    assert price(book, what=turbo) == 3
    assert price(book, what=turbo, route="provider_key") == 4
    assert price(book, route="provider_key") == 4
    assert price(book, what=("together", "LLAMA", "chat")) == 3


def test_an_ambiguous_name_has_no_price():
    assert price(PriceBook([table(rate(1, model="Llama"), rate(2, model="LLAMA"))])) is None


def test_another_account_s_spelling_makes_nothing_ambiguous():
    other = table(rate(9, model="LLAMA"), source="agreement", layer=Layer.ACCOUNT, account_id=8)
    assert price(PriceBook([other, table(rate(1, model="Llama"))]), account=7) == 1
