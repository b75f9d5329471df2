"""Why a request has its rate: every step of the decision that prices it, or the reason for having none."""

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.book import PriceBook
from pricing.explain import RateQuery, RateReason, explain
from pricing.names import Alias, Aliases
from pricing.precedence import QuoteOutcome
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

NOON = 1_792_368_000_000_000
TURBO = Alias("together", "llama-turbo", "llama", "a page")


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


def explained(*tables, aliases=(TURBO,), **overrides):
    query: dict[str, Any] = {"provider": "together", "model": "llama", "instant": NOON, "route": "routed", "operation": "chat"}
    return explain(PriceBook(tables, Aliases(aliases)), RateQuery(**query | overrides))


def outcomes(explanation):
    return [
        (quote.lookup.price_list.layer.name, quote.lookup.price_list.source, quote.outcome.value, quote.lookup.name.match.value)
        for quote in explanation.quotes
    ]


def test_all_lists_are_explained_in_order_of_precedence_with_their_outcome():
    found = explained(
        table(rate(1), source="agreement", layer=Layer.ACCOUNT, account_id=7, effective_from=NOON + 1),
        table(rate(2, "LLAMA"), source="sheet", layer=Layer.OPERATOR),
        table(rate(3), source="hf_router", layer=Layer.ROUTE, route="routed"),
        table(rate(4), source="hf_router", route="routed"),
        table(rate(5, "qwen"), source="partner"),
        table(rate(6, provider="novita"), source="of another provider"),
        account_id=7,
    )
    assert outcomes(found) == [
        ("ACCOUNT", "agreement", "not_yet", "exact"),
        ("OPERATOR", "sheet", "wins", "case"),
        ("ROUTE", "hf_router", "outranked", "exact"),
        ("BUNDLED", "hf_router", "outranked", "exact"),
        ("BUNDLED", "partner", "not_listed", "none"),
    ]
    assert found.reason is RateReason.PRICED
    assert (found.rate.model, found.rate.prices["input_tokens"].pico) == ("LLAMA", 2)


def test_a_native_id_finds_the_accounts_own_price_under_the_alias():
    own = table(rate(1), source="agreement", layer=Layer.ACCOUNT, account_id=7)
    found = explained(own, table(rate(4, "llama-turbo")), account_id=7, model="llama-turbo")
    assert outcomes(found) == [("ACCOUNT", "agreement", "wins", "alias"), ("BUNDLED", "list", "outranked", "exact")]
    assert found.winner.lookup.name.alias is TURBO


def test_between_sources_of_one_layer_the_earlier_price_is_older():
    found = explained(table(rate(1), source="a"), table(rate(2), source="b", effective_from=NOON - 1))
    assert outcomes(found)[0][2:] + outcomes(found)[1][2:] == ("wins", "exact", "older", "exact")
    found = explained(table(rate(1), source="a"), table(rate(2), source="b", effective_from=NOON - 1), instant=NOON - 1)
    assert [quote.outcome for quote in found.quotes] == [QuoteOutcome.NOT_YET, QuoteOutcome.WINS]


def test_a_withdrawal_is_shown_on_the_lower_layers_of_the_same_source():
    found = explained(table(gone=["llama"], layer=Layer.ROUTE, route="routed"), table(rate(4), route="routed"))
    assert [quote.outcome for quote in found.quotes] == [QuoteOutcome.WITHDRAWN, QuoteOutcome.WITHDRAWN_ABOVE]
    assert (found.rate, found.reason) == (None, RateReason.WITHDRAWN)


def test_the_explanation_has_all_tiers_and_the_one_that_applies():
    found = explained(table(rate(10), rate(20, context_from=200_001)), context_tokens=200_001)
    assert [each.context_from for each in found.tiers] == [0, 200_001]
    assert found.rate.prices["input_tokens"].pico == 20


@pytest.mark.parametrize(
    ("tables", "overrides", "reason", "elsewhere"),
    [
        ([table(rate(1, "Llama"), rate(2, "LLAMA"))], {}, RateReason.AMBIGUOUS, ()),
        ([table(rate(1)), table(gone=["llama"], effective_from=NOON + 1)], {"instant": NOON + 1}, RateReason.WITHDRAWN, ()),
        ([table(rate(1))], {"instant": NOON - 1}, RateReason.NOT_YET, ()),
        ([table(rate(1, context_from=1_000))], {"context_tokens": 999}, RateReason.BELOW_LOWEST_TIER, ()),
        ([table(rate(1, operation="embeddings"))], {}, RateReason.OTHER_OPERATION, ("embeddings",)),
        ([table(rate(1), route="routed")], {"route": "provider_key"}, RateReason.OTHER_ROUTE, ("routed",)),
        ([table(rate(1), route="routed")], {"route": "unknown", "model": "llama-turbo"}, RateReason.OTHER_ROUTE,
         ("routed",)),
        ([table(rate(1), rate(2, "LLAMA", provider="novita"))], {"provider": "unknown"}, RateReason.OTHER_PROVIDER,
         ("novita", "together")),
        ([table(rate(1))], {"model": "qwen"}, RateReason.NOT_LISTED, ()),
        ([], {}, RateReason.NOT_LISTED, ()),
    ],
)  # fmt: skip
def test_without_a_price_the_explanation_has_the_reason(tables, overrides, reason, elsewhere):
    found = explained(*tables, **overrides)
    assert (found.rate, found.reason, found.elsewhere) == (None, reason, elsewhere)


def test_another_accounts_prices_are_never_explained():
    own = table(rate(1), source="agreement", layer=Layer.ACCOUNT, account_id=8)
    assert explained(own, account_id=7).reason is RateReason.NOT_LISTED
    assert explained(own, account_id=7).quotes == ()


MODELS = ["llama", "Llama", "llama-turbo"]
keys = st.tuples(st.sampled_from(MODELS), st.sampled_from(["", "chat"]), st.sampled_from([0, 100]))
stories = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["x", "y"]),
            "layer": st.sampled_from(list(Layer)),
            "kind": st.sampled_from(list(TableKind)),
            "effective_from": st.integers(min_value=0, max_value=3),
            "recorded_at": st.integers(min_value=0, max_value=1),
            "route": st.sampled_from(["", "routed", "provider_key"]),
            "priced": st.sets(keys, max_size=4),
            "gone": st.sets(st.tuples(st.sampled_from(MODELS), st.sampled_from(["", "chat"])), max_size=2),
        }
    ),
    max_size=8,
)


def tables_of(story):
    pico = count(1)
    return [
        PriceTable(
            id=number,
            rates=tuple(
                rate(next(pico), model, operation=operation, context_from=size)
                for model, operation, size in sorted(fields.pop("priced"))
            ),
            withdrawn=frozenset(("together", *key) for key in fields.pop("gone")) - fields.pop("listed"),
            account_id=7 if fields["layer"] is Layer.ACCOUNT else None,
            **fields,
        )
        for number, fields in enumerate(
            ({**each, "listed": {("together", *key[:2]) for key in each["priced"]}} for each in story), start=1
        )
    ]


@given(stories, st.lists(st.sampled_from([TURBO]), max_size=1))
def test_the_explained_rate_is_the_rate_that_is_charged(story, aliases):
    book = PriceBook(tables_of(story), Aliases(aliases))
    for account in (7, 8):
        for route in ("routed", "provider_key", "unknown"):
            for instant in range(-1, 5):
                for model in MODELS:
                    for operation in ("chat", "embeddings"):
                        for context in (0, 100):
                            key = ("together", model, operation)
                            found = explain(
                                book,
                                RateQuery(
                                    provider="together", model=model, instant=instant, route=route, account_id=account,
                                    operation=operation, context_tokens=context,
                                ),
                            )  # fmt: skip
                            assert found.rate is book.rate_for(account, route, key, instant, context)
                            assert (found.rate is not None) == (found.reason is RateReason.PRICED)
                            assert sum(quote.outcome is QuoteOutcome.WINS for quote in found.quotes) <= 1
