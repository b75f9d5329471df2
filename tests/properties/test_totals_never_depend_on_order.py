"""Order of arrival, duplicates and batch splits never change a total; events = rollups = spend = statement.

The oracle is written here: Fractions over the records, one rounding up per request.
"""

from fractions import Fraction
from math import ceil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.domain.charges.spend import PeriodBasis
from metering.domain.instants import month_start
from metering.operations.statements.show_statement import show_statement
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from pricing.rates import Price
from support.builders import price_table, rate, usage_event
from support.meter import metered

OCTOBER, NOVEMBER, DECEMBER = 202610, 202611, 202612
CHANGE = month_start(NOVEMBER) + 14 * 86_400_000_000
# USD per million tokens (input, output) before and after the change; cached tokens at the input price.
PRICES = {
    "alpha": ((Fraction("0.0375"), Fraction("0.15")), (Fraction("0.05"), Fraction("0.15"))),
    "beta": ((Fraction(3), Fraction(7)), (Fraction(2), Fraction(7))),
}


def tables():
    for number, since in enumerate((0, CHANGE)):
        rates = [
            rate(model=model, prices={
                "input_tokens": Price(int(prices[number][0] * 1_000_000)),
                "output_tokens": Price(int(prices[number][1] * 1_000_000)),
            })
            for model, prices in PRICES.items()
        ]  # fmt: skip
        yield price_table(*rates, effective_from=since)


def cost_nano(record):
    if record["status"] >= 400 or record["model"] not in PRICES:
        return 0
    given_price, made_price = PRICES[record["model"]][record["time"] >= CHANGE]
    usd = Fraction((record["input"] + record["cached"]) * given_price + record["output"] * made_price, 1_000_000)
    return ceil(usd * 1_000_000_000)


records = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 12).map(str),
            "time": st.one_of(
                st.integers(month_start(OCTOBER), month_start(NOVEMBER) + 19 * 86_400_000_000),
                st.sampled_from([month_start(NOVEMBER) - 1, month_start(NOVEMBER), CHANGE - 1, CHANGE]),
            ),
            "model": st.sampled_from([*PRICES, "without a price"]),
            "status": st.sampled_from([200, 200, 200, 429]),
            "route": st.sampled_from(["routed", "routed", "provider_key"]),
            "input": st.integers(0, 10**6),
            "cached": st.integers(0, 10**5),
            "output": st.integers(0, 10**5),
        }
    ),
    max_size=14,
    unique_by=lambda record: record["id"],
)


def event_of(record):
    used = Quantities(input_tokens=record["input"], cache_read_tokens=record["cached"], output_tokens=record["output"])
    fields = {name: record[name] for name in ("id", "time", "model", "status", "route")}
    return usage_event(**fields, quantities=used)


def billed(record, month):
    start = month_start(month)
    return record["route"] == "routed" and start <= record["time"] < month_start(month + 1)


@given(records, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_answer_matches_the_oracle_for_any_order_batches_and_repeats(databases, made, chance):
    with metered(databases) as meter:
        meter.declare("acme")
        meter.record_prices(*tables())
        sent = [event_of(record) for record in made]
        sent += chance.sample(sent, len(sent) // 2)
        chance.shuffle(sent)
        while sent:
            size = chance.randint(1, 5)
            meter.ingest(*sent[:size])
            sent = sent[size:]
        expected = sum(map(cost_nano, made))
        assert meter.total() == expected
        assert sum(row.amount_nano for row in meter.spend(group_by=("model",))) == expected
        for month in (OCTOBER, NOVEMBER):
            of_month = sum(cost_nano(record) for record in made if billed(record, month))
            assert show_statement(meter.engine, "acme", month, bundled_plans()).usage_nano == of_month
            whole = {"start": month_start(month), "end": month_start(month + 1)}
            by_both = [
                sum(row.amount_nano for row in meter.spend(**whole, period_basis=basis, filters={"route": ("routed",)}))
                for basis in PeriodBasis
            ]
            assert by_both == [of_month, of_month]
        assert meter.violations() == []
