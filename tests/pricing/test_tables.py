"""A price table is one immutable version of one source's prices."""

import random
from typing import Any

import pytest

from pricing.errors import InvalidPriceError
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind, recorded_until


def rate(model="llama", pico=10, **overrides):
    return Rate(**{"provider": "together", "model": model, "prices": {"input_tokens": Price(pico)}} | overrides)


def table(**overrides):
    fields: dict[str, Any] = {
        "source": "hf_router",
        "layer": Layer.ROUTE,
        "kind": TableKind.PATCH,
        "effective_from": 0,
        "rates": (rate(),),
    }
    return PriceTable(**fields | overrides)


def test_the_digest_does_not_depend_on_the_order_of_rates_prices_or_withdrawals():
    rates = [
        rate(f"model-{i}", prices=dict(random.Random(i).sample([("input_tokens", Price(i)), ("output_tokens", Price(2))], 2)))
        for i in range(20)
    ]
    gone = [("together", f"gone-{i}", "") for i in range(20)]
    one = table(rates=tuple(rates), withdrawn=frozenset(gone))
    reordered = [Rate(provider=r.provider, model=r.model, prices=dict(reversed(r.prices.items()))) for r in reversed(rates)]
    assert table(rates=tuple(reordered), withdrawn=frozenset(reversed(gone))).digest == one.digest


@pytest.mark.parametrize(
    "change",
    [
        {"source": "other"},
        {"layer": Layer.OPERATOR},
        {"kind": TableKind.SNAPSHOT},
        {"effective_from": 1},
        {"route": "routed"},
        {"rates": (rate(pico=11),)},
        {"rates": (rate(context_from=1),)},
        {"rates": (rate(operation="chat"),)},
        {"rates": (rate(provider="novita"),)},
        {"rates": (rate(prices={"input_tokens": Price(10, 1_000)}),)},
        {"rates": (rate(prices={"output_tokens": Price(10)}),)},
        {"withdrawn": frozenset({("together", "gone", "")})},
        {"layer": Layer.ACCOUNT, "account_id": 1},
    ],
)
def test_whatever_affects_a_price_changes_the_digest(change):
    assert table(**change).digest != table().digest


def test_when_a_table_was_recorded_does_not_change_the_digest():
    noted = table(recorded_at=5, id=9, rates=(rate(source="read elsewhere", id=3, table_id=9),))
    assert noted.digest == table().digest


def test_the_digest_is_stable_across_releases():
    # Recorded tables are identified by it across versions of this code: a change here breaks every database.
    # sha256 of ["hf_router",2,"patch",0,"",null,[["together","llama","",0,[["input_tokens",10,1]]]],[]]
    assert table().digest == "ecdede80f48beadfd407716dbb2279a35513c8f6a92ee2d1c344d30583f72137"


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"source": ""}, "needs the name of its source"),
        ({"rates": (rate(), rate(pico=11))}, "hf_router: together llama has two prices for the same instant"),
        ({"withdrawn": frozenset({("together", "llama", "")})}, "hf_router: together llama is both priced and withdrawn"),
        ({"account_id": 7}, "has an account on the account layer, and only there"),
        ({"layer": Layer.ACCOUNT}, "has an account on the account layer, and only there"),
    ],
)
def test_a_contradictory_table_is_refused(overrides, reason):
    with pytest.raises(InvalidPriceError, match=reason):
        table(**overrides)


def test_a_table_can_have_several_tiers_and_operations_of_a_model():
    rates = (rate(), rate(context_from=200_001), rate(operation="embeddings"))
    assert table(rates=rates).rates == rates


def test_a_table_is_immutable():
    with pytest.raises(AttributeError):
        table().effective_from = 5


def test_what_was_recorded_up_to_an_instant_includes_the_instant():
    first, second, third = (table(recorded_at=at, id=at) for at in (10, 20, 30))
    assert recorded_until([third, first, second], 20) == [first, second]
    assert recorded_until([third, first, second], 19) == [first]
    assert recorded_until([third, first, second], None) == [third, first, second]
