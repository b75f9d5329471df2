"""The history of a price: each list's versions, and when they were in force."""

from pricing.history import ambiguities, price_versions
from pricing.names import Alias, Aliases
from pricing.precedence import versions_by_list
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


def history(*tables, model="llama", provider=None):
    versions = price_versions(versions_by_list(tables), model, provider=provider, aliases=ALIASES)
    return [
        (each.table.effective_from, each.until, [rate.prices["input_tokens"].pico for rate in each.tiers]) for each in versions
    ]


def test_a_version_ends_at_the_next_and_a_withdrawal_is_a_version():
    found = history(table(1, 88), table(2, models=(), gone=["llama"]), table(3, 104))
    assert found == [(1, 2, [88]), (2, 3, []), (3, None, [104])]


def test_a_later_table_with_the_same_prices_confirms_a_version():
    versions = price_versions(
        versions_by_list([table(1, 88), table(2, 88), table(3, 104)]), "llama", provider=None, aliases=ALIASES
    )
    assert [(each.table.id, each.until, each.confirmed) for each in versions] == [(1, 3, 1), (3, None, 0)]


def test_a_version_corrected_for_the_same_instant_was_never_in_force():
    wrong, right = table(1, 88), table(1, 89, recorded_at=5, id=9)
    versions = price_versions(versions_by_list([wrong, right]), "llama", provider=None, aliases=ALIASES)
    assert [(each.table.id, each.corrected) for each in versions] == [(1, True), (9, False)]


def test_each_list_has_its_own_history_under_its_own_name():
    found = history(table(1, 88), table(2, 90, models=("llama-turbo",), source="partner"), model="LLAMA")
    assert found == [(1, None, [88])]
    assert history(table(1, 88), table(2, 90, models=("llama-turbo",), source="partner")) == [(1, None, [88]), (2, None, [90])]


def test_a_snapshot_without_the_model_ends_its_price():
    snapshot = table(2, 5, models=("qwen",), kind=TableKind.SNAPSHOT)
    assert history(table(1, 88), snapshot) == [(1, 2, [88]), (2, None, [])]


def test_another_provider_has_no_history():
    assert history(table(1, 88), provider="novita") == []


def test_a_name_that_matches_two_models_of_a_list_is_ambiguous_as_for_a_request():
    """The routes of a list share its names: a name that matches two of them in other letter case is ambiguous."""
    lists = versions_by_list([table(1, 88, models=("Llama",)), table(2, 90, models=("LLAMA",), route="routed")])
    assert price_versions(lists, "llama", provider=None, aliases=ALIASES) == []
    assert ambiguities(lists, "llama", provider=None, aliases=ALIASES) == [("list", "together", ("LLAMA", "Llama"))]
    assert [each.table.effective_from for each in price_versions(lists, "LLAMA", provider=None, aliases=ALIASES)] == [2]
    assert ambiguities(lists, "LLAMA", provider=None, aliases=ALIASES) == []
