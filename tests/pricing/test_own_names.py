"""A model name of one's own has its meaning in its period, before everything that lists know, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.book import PriceBook
from pricing.errors import InvalidAliasError
from pricing.explain import RateQuery, RateReason, explain
from pricing.names import Aliases
from pricing.own_names import OwnName, OwnNames
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind
from support.presence import present


def table(since, **models):
    """A list of `together` from an instant on: pico-USD per input token, by model."""
    return PriceTable(
        source="a list",
        layer=Layer.OPERATOR,
        kind=TableKind.PATCH,
        effective_from=since,
        rates=tuple(
            Rate(provider="together", model=model, prices={"input_tokens": Price(pico)}, source="a test")
            for model, pico in models.items()
        ),
    )


def own(name, model, since=0, until=None, provider="together"):
    return OwnName(provider=provider, name=name, model=model, valid_from=since, valid_until=until)


def price(book, model, instant, provider="together"):
    rate = book.rate_for(None, "routed", (provider, model, "chat"), instant)
    return None if rate is None else rate.prices["input_tokens"].pico


def test_a_name_is_another_model_from_its_first_instant_to_the_one_before_its_last():
    book = PriceBook([table(0, llama=7)], Aliases(), OwnNames([own("ours", "llama", 10, 20)]))
    assert [price(book, "ours", instant) for instant in (9, 10, 19, 20)] == [None, 7, 7, None]


def test_the_prices_of_the_model_change_under_the_name_too():
    book = PriceBook([table(0, llama=7), table(15, llama=8)], Aliases(), OwnNames([own("ours", "llama", 10)]))
    assert [price(book, "ours", instant) for instant in (10, 14, 15)] == [7, 7, 8]


def test_a_name_of_ones_own_comes_before_a_list_that_has_the_name():
    book = PriceBook([table(0, llama=7, ours=1)], Aliases(), OwnNames([own("ours", "llama", 10, 20)]))
    assert [price(book, "ours", instant) for instant in (9, 10, 20)] == [1, 7, 1]


def test_it_belongs_to_one_provider_and_ignores_letter_case():
    book = PriceBook([table(0, llama=7)], Aliases(), OwnNames([own("Ours", "llama")]))
    assert (price(book, "oURS", 1), price(book, "ours", 1, provider="novita")) == (7, None)


def test_a_name_may_mean_one_model_after_another_but_never_two_at_once():
    book = PriceBook([table(0, llama=7, qwen=9)], Aliases(), OwnNames([own("ours", "qwen", 20), own("ours", "llama", 10, 20)]))
    assert [price(book, "ours", instant) for instant in (10, 19, 20)] == [7, 7, 9]
    with pytest.raises(InvalidAliasError, match="cannot mean two models at once"):
        OwnNames([own("ours", "qwen", 19), own("OURS", "llama", 10, 20)])


def test_names_do_not_lead_to_names():
    book = PriceBook([table(0, llama=7)], Aliases(), OwnNames([own("ours", "theirs"), own("theirs", "llama")]))
    assert (price(book, "ours", 1), price(book, "theirs", 1)) == (None, 7)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "ours"}, "must differ from the model's name"),
        ({"until": 10, "since": 10}, "must end after it starts"),
        ({"model": ""}, "needs a provider, a name and a model"),
    ],
)
def test_a_name_that_cannot_be_is_refused(fields, message):
    with pytest.raises(InvalidAliasError, match=message):
        own(**{"name": "ours", "model": "llama"} | fields)


def test_the_explanation_says_which_name_it_was_looked_up_by():
    book = PriceBook([table(0, llama=7)], Aliases(), OwnNames([own("ours", "llama", 10)]))
    query = RateQuery(provider="together", model="ours", instant=10, route="routed", operation="chat")
    found = explain(book, query)
    assert (found.reason, present(found.own_name).model, found.query.model) == (RateReason.PRICED, "llama", "ours")
    before = explain(book, RateQuery(provider="together", model="ours", instant=9, route="routed", operation="chat"))
    assert (before.reason, before.own_name) == (RateReason.NOT_LISTED, None)


instants = st.integers(0, 30)


@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.sampled_from(["llama", "qwen"])), max_size=5),
    st.lists(st.tuples(instants, st.sampled_from(["llama", "qwen", "ours"]), st.integers(1, 99)), max_size=6),
    instants,
)
def test_at_every_instant_the_price_is_the_meant_models_price(spans, changes, instant):
    names, at = [], 0
    for length, used, model in spans:
        if used:
            names.append(own("ours", model, at, at + length))
        at += length
    tables: dict[int, dict[str, int]] = {since: {} for since, _, _ in changes}
    for since, model, pico in changes:
        tables[since][model] = pico
    book = PriceBook([table(since, **models) for since, models in tables.items()], Aliases(), OwnNames(names))
    meant = next((each.model for each in names if each.valid_from <= instant < each.valid_until), "ours")
    known = [(since, models[meant]) for since, models in tables.items() if since <= instant and meant in models]
    assert price(book, "ours", instant) == (max(known)[1] if known else None)
