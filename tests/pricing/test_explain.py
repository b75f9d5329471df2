"""Why a request has its price: every step of the decision that prices it, and what kept a price away."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.book import PriceBook
from pricing.explain import PricingReason, Question, explain
from pricing.names import Alias, Aliases
from pricing.precedence import QuoteOutcome
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

NOON = 1_792_368_000_000_000
TURBO = Alias("together", "llama-turbo", "llama", "a page")


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


def explained(*tables, aliases=(TURBO,), **overrides):
    question = {"provider": "together", "model": "llama", "instant": NOON, "route": "routed", "operation": "chat"}
    return explain(PriceBook(tables, Aliases(aliases)), Question(**question | overrides))


def told(explanation):
    return [
        (word.asked.source.layer.name, word.asked.source.source, word.standing.value, word.asked.name.match.value)
        for word in explanation.words
    ]


def test_every_source_is_named_in_the_order_of_precedence_with_what_became_of_its_word():
    found = explained(
        table(rate(1), source="agreement", layer=Layer.ACCOUNT, account_id=7, effective_from=NOON + 1),
        table(rate(2, "LLAMA"), source="sheet", layer=Layer.OPERATOR),
        table(rate(3), source="hf_router", layer=Layer.ROUTE, route="routed"),
        table(rate(4), source="hf_router", route="routed"),
        table(rate(5, "qwen"), source="partner"),
        table(rate(6, provider="novita"), source="of another provider"),
        account_id=7,
    )
    assert told(found) == [
        ("ACCOUNT", "agreement", "not_yet", "exact"),
        ("OPERATOR", "sheet", "wins", "case"),
        ("ROUTE", "hf_router", "outranked", "exact"),
        ("BUNDLED", "hf_router", "outranked", "exact"),
        ("BUNDLED", "partner", "not_listed", "none"),
    ]
    assert found.reason is PricingReason.PRICED
    assert (found.rate.model, found.rate.prices["input_tokens"].pico) == ("LLAMA", 2)


def test_a_native_id_finds_the_account_s_own_price_under_the_other_name():
    own = table(rate(1), source="agreement", layer=Layer.ACCOUNT, account_id=7)
    found = explained(own, table(rate(4, "llama-turbo")), account_id=7, model="llama-turbo")
    assert told(found) == [("ACCOUNT", "agreement", "wins", "alias"), ("BUNDLED", "list", "outranked", "exact")]
    assert found.winner.asked.name.alias is TURBO


def test_among_sources_of_one_layer_the_older_price_is_called_older():
    found = explained(table(rate(1), source="a"), table(rate(2), source="b", effective_from=NOON - 1))
    assert told(found)[0][2:] + told(found)[1][2:] == ("wins", "exact", "older", "exact")
    found = explained(table(rate(1), source="a"), table(rate(2), source="b", effective_from=NOON - 1), instant=NOON - 1)
    assert [word.standing for word in found.words] == [QuoteOutcome.NOT_YET, QuoteOutcome.WINS]


def test_a_source_that_withdrew_the_model_above_is_shown_as_not_consulted_below():
    found = explained(table(gone=["llama"], layer=Layer.ROUTE, route="routed"), table(rate(4), route="routed"))
    assert [word.standing for word in found.words] == [QuoteOutcome.WITHDRAWN, QuoteOutcome.WITHDRAWN_ABOVE]
    assert (found.rate, found.reason) == (None, PricingReason.WITHDRAWN)


def test_the_tier_of_the_prompt_is_named_among_all_tiers():
    found = explained(table(rate(10), rate(20, context_from=200_001)), context_tokens=200_001)
    assert [each.context_from for each in found.tiers] == [0, 200_001]
    assert found.rate.prices["input_tokens"].pico == 20


@pytest.mark.parametrize(
    ("tables", "overrides", "reason", "elsewhere"),
    [
        ([table(rate(1, "Llama"), rate(2, "LLAMA"))], {}, PricingReason.AMBIGUOUS, ()),
        ([table(rate(1)), table(gone=["llama"], effective_from=NOON + 1)], {"instant": NOON + 1}, PricingReason.WITHDRAWN, ()),
        ([table(rate(1))], {"instant": NOON - 1}, PricingReason.NOT_YET, ()),
        ([table(rate(1, context_from=1_000))], {"context_tokens": 999}, PricingReason.BELOW_LOWEST_TIER, ()),
        ([table(rate(1, operation="embeddings"))], {}, PricingReason.OTHER_OPERATION, ("embeddings",)),
        ([table(rate(1), route="routed")], {"route": "provider_key"}, PricingReason.OTHER_ROUTE, ("routed",)),
        ([table(rate(1), route="routed")], {"route": "unknown", "model": "llama-turbo"}, PricingReason.OTHER_ROUTE,
         ("routed",)),
        ([table(rate(1), rate(2, "LLAMA", provider="novita"))], {"provider": "unknown"}, PricingReason.OTHER_PROVIDER,
         ("novita", "together")),
        ([table(rate(1))], {"model": "qwen"}, PricingReason.NOT_LISTED, ()),
        ([], {}, PricingReason.NOT_LISTED, ()),
    ],
)  # fmt: skip
def test_where_there_is_no_price_the_reason_is_told(tables, overrides, reason, elsewhere):
    found = explained(*tables, **overrides)
    assert (found.rate, found.reason, found.elsewhere) == (None, reason, elsewhere)


def test_what_another_account_pays_is_never_a_reason():
    own = table(rate(1), source="agreement", layer=Layer.ACCOUNT, account_id=8)
    assert explained(own, account_id=7).reason is PricingReason.NOT_LISTED
    assert explained(own, account_id=7).words == ()


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
                for model, operation, size in sorted(told.pop("priced"))
            ),
            withdrawn=frozenset(("together", *key) for key in told.pop("gone")) - told.pop("listed"),
            account_id=7 if told["layer"] is Layer.ACCOUNT else None,
            **told,
        )
        for number, told in enumerate(
            ({**told, "listed": {("together", *key[:2]) for key in told["priced"]}} for told in story), start=1
        )
    ]


@given(stories, st.lists(st.sampled_from([TURBO]), max_size=1))
def test_the_explained_price_is_the_price_that_is_charged(story, aliases):
    book = PriceBook(tables_of(story), Aliases(aliases))
    for account in (7, 8):
        for route in ("routed", "provider_key", "unknown"):
            for instant in range(-1, 5):
                for model in MODELS:
                    for operation in ("chat", "embeddings"):
                        for context in (0, 100):
                            what = ("together", model, operation)
                            found = explain(
                                book,
                                Question(
                                    provider="together", model=model, instant=instant, route=route, account_id=account,
                                    operation=operation, context_tokens=context,
                                ),
                            )  # fmt: skip
                            assert found.rate is book.rate_for(account, route, what, instant, context)
                            assert (found.rate is not None) == (found.reason is PricingReason.PRICED)
                            assert sum(word.standing is QuoteOutcome.WINS for word in found.words) <= 1
