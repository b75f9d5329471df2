"""The history of a price: from when until when each list's word held."""

from pricing.history import ambiguities, versions_of
from pricing.names import Alias, Aliases
from pricing.precedence import streams_of
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

ALIASES = Aliases([Alias("together", "llama-turbo", "llama", "a page")])


def table(start, *picos, gone=(), models=("llama",), **overrides):
    fields = {"source": "list", "layer": Layer.BUNDLED, "kind": TableKind.PATCH, "effective_from": start, "id": start}
    rates = tuple(
        Rate(provider="together", model=model, prices={"input_tokens": Price(pico)})
        for pico, model in zip(picos, models, strict=True)
    )
    withdrawn = frozenset(("together", model, "") for model in gone)
    return PriceTable(rates=rates, withdrawn=withdrawn, **fields | overrides)


def told(*tables, model="llama", provider=None):
    versions = versions_of(streams_of(tables), model, provider=provider, aliases=ALIASES)
    return [
        (each.table.effective_from, each.until, [rate.prices["input_tokens"].pico for rate in each.tiers]) for each in versions
    ]


def test_a_price_holds_until_the_next_and_a_withdrawal_is_a_version():
    found = told(table(1, 88), table(2, models=(), gone=["llama"]), table(3, 104))
    assert found == [(1, 2, [88]), (2, 3, []), (3, None, [104])]


def test_a_later_table_that_says_the_same_confirms_and_is_no_version():
    versions = versions_of(streams_of([table(1, 88), table(2, 88), table(3, 104)]), "llama", provider=None, aliases=ALIASES)
    assert [(each.table.id, each.until, each.confirmed) for each in versions] == [(1, 3, 1), (3, None, 0)]


def test_a_price_that_was_corrected_for_the_same_instant_never_held():
    wrong, right = table(1, 88), table(1, 89, recorded_at=5, id=9)
    versions = versions_of(streams_of([wrong, right]), "llama", provider=None, aliases=ALIASES)
    assert [(each.table.id, each.corrected) for each in versions] == [(1, True), (9, False)]


def test_each_list_has_a_history_of_its_own_under_its_own_name():
    found = told(table(1, 88), table(2, 90, models=("llama-turbo",), source="partner"), model="LLAMA")
    assert found == [(1, None, [88])]
    assert told(table(1, 88), table(2, 90, models=("llama-turbo",), source="partner")) == [(1, None, [88]), (2, None, [90])]


def test_a_snapshot_that_leaves_the_model_out_ends_its_price():
    snapshot = table(2, 5, models=("qwen",), kind=TableKind.SNAPSHOT)
    assert told(table(1, 88), snapshot) == [(1, 2, [88]), (2, None, [])]


def test_of_another_provider_there_is_no_history():
    assert told(table(1, 88), provider="novita") == []


def test_a_name_that_fits_two_routes_of_a_list_is_no_more_guessed_than_for_a_request():
    """The routes of a list share its names: one in each case, asked for in a third, is ambiguous."""
    streams = streams_of([table(1, 88, models=("Llama",)), table(2, 90, models=("LLAMA",), route="routed")])
    assert versions_of(streams, "llama", provider=None, aliases=ALIASES) == []
    assert ambiguities(streams, "llama", provider=None, aliases=ALIASES) == [("list", "together", ("LLAMA", "Llama"))]
    assert [each.table.effective_from for each in versions_of(streams, "LLAMA", provider=None, aliases=ALIASES)] == [2]
    assert ambiguities(streams, "LLAMA", provider=None, aliases=ALIASES) == []
