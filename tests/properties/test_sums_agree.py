"""Sums agree for any traffic, in any order and batches, with any repeats and any time of pricing.

The oracle is written here: Fractions over the records of a small world, one rounding up per request. It shares nothing with the
code under test except the records.
"""

from collections import Counter
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from math import ceil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.domain.charges.spend import Granularity, PeriodBasis
from metering.operations.usage.ingest import Origin
from pricing.quantities import Quantities
from support.builders import DAY, HOUR, batch_of, instant, price_table, rate, usage_event
from support.meter import metered

START, END = instant("2026-09-30T00:00:00Z"), instant("2026-12-02T00:00:00Z")
MONTHS = [instant(f"2026-{month:02d}-01T00:00:00Z") for month in (9, 10, 11, 12)] + [instant("2027-01-01T00:00:00Z")]
CHANGE = instant("2026-10-19T00:00:00Z")

# USD per million tokens (input, output), from the beginning and from CHANGE on; cached tokens cost the input price.
PRICES = {
    ("together", "llama"): [("0.88", "0.88"), ("1.04", "1.04")],
    ("groq", "llama"): [("0.0375", "0.15"), ("0.0375", "0.2")],
    ("together", "small"): [("0.000001", "0"), ("0.3", "0")],
}
# Recorded only after all traffic has arrived.
LATE_PRICES = {("groq", "late"): [("2", "7"), ("2", "7.000001")]}
EDGES = [CHANGE, *MONTHS[1:4], MONTHS[2] + DAY, MONTHS[2] + 5 * HOUR]


def pico(usd_per_million):
    return int(Fraction(usd_per_million) * 1_000_000)


def tables(prices, source):
    for version, since in enumerate((0, CHANGE)):
        rates = [
            rate(pico(listed[version][0]), pico(listed[version][1]), provider=provider, model=model)
            for (provider, model), listed in prices.items()
        ]
        yield price_table(*rates, source=source, effective_from=since)


def cost(record, prices):
    """The cost of a record in nano-USD; None without a price."""
    if not 200 <= record["status"] < 400:
        return 0
    listed = prices.get((record["provider"], record["model"]))
    if listed is None or record["images"]:
        return None
    of_input, of_output = (Fraction(price) for price in listed[record["time"] >= CHANGE])
    usd = ((record["fresh"] + record["cached"]) * of_input + record["output"] * of_output) / 1_000_000
    return ceil(usd * 1_000_000_000)


times = st.one_of(
    st.integers(START, END - 1), st.builds(lambda edge, offset: edge + offset, st.sampled_from(EDGES), st.integers(-1, 1))
)
tokens = st.one_of(st.just(0), st.integers(1, 5), st.integers(0, 10**7))
records = st.lists(
    st.fixed_dictionaries(
        {
            "time": times,
            "account": st.sampled_from(["acme", "umbrella", "stranger"]),
            "provider": st.sampled_from(["together", "groq"]),
            "model": st.sampled_from(["llama", "llama", "small", "late", "never"]),
            "route": st.sampled_from(["routed", "provider_key", ""]),
            "project": st.sampled_from(["", "a", "b"]),
            "status": st.sampled_from([200, 200, 200, 301, 429, 500]),
            "fresh": tokens,
            "cached": tokens,
            "output": tokens,
            "images": st.sampled_from([0, 0, 0, 0, 1]),
            "copied": st.booleans(),
        }
    ),
    max_size=12,
)


def events_of(made):
    """The records as events; a copied one is followed by the record of a tracer."""
    for number, record in enumerate(made):
        fields = {name: record[name] for name in ("time", "account", "provider", "model", "route", "project", "status")}
        used = Quantities(
            input_tokens=record["fresh"],
            cache_read_tokens=record["cached"],
            output_tokens=record["output"],
            images=record["images"],
        )
        event = usage_event(id=f"r{number}", source="gateway", quantities=used, response_id=f"response-{number:08d}", **fields)
        yield event
        if record["copied"]:
            yield usage_event(id=f"t{number}", source="tracer", quantities=used, response_id=f"response-{number:08d}", **fields)


@contextmanager
def database(databases):
    with metered(databases) as meter:
        meter.declare("acme", default_route="routed")
        meter.declare("umbrella")
        meter.record_prices(*tables(PRICES, "early"))
        yield meter


def arrive(meter, made, chance):
    """Send the events shuffled, half of them twice, in batches of any size, sometimes in another process."""
    sent = list(events_of(made))
    sent += chance.sample(sent, len(sent) // 2)
    chance.shuffle(sent)
    while sent:
        size = chance.randint(1, 6)
        meter.ingester.ingest(batch_of(*sent[:size]), Origin("x"))
        sent = sent[size:]
        if chance.random() < 0.2:
            meter.configure(series_cap=chance.choice([3, 10_000]))


def by_account(record):
    return record["account"] if record["account"] != "stranger" else "unassigned"


def check_all_answers(meter, made, prices):
    """Every view gives the oracle's sums, and so does every part of a period."""
    known = [(record, cost(record, prices)) for record in made]
    expected: Counter[str] = Counter()
    for record, amount in known:
        expected[by_account(record)] += amount or 0
    for granularity in Granularity:
        answered: Counter[str] = Counter()
        for row in meter.spend(*_span(), group_by=("account",), granularity=granularity):
            answered[row.group[0]] += row.amount_nano
        assert +answered == +expected
    (total,) = meter.spend(*_span()) or [None]
    assert (total.events if total else 0) == len(made)
    if total:
        assert total.unpriced_events == sum(amount is None for _, amount in known)
        assert total.failed_events == sum(record["status"] >= 400 for record in made)
        assert total.quantities.input_tokens == sum(record["fresh"] for record in made)
        assert total.quantities.cache_read_tokens == sum(record["cached"] for record in made)
    for start, end in pairwise(MONTHS):
        of_month = sum(amount or 0 for record, amount in known if start <= record["time"] < end)
        for basis in PeriodBasis:
            assert sum(row.amount_nano for row in meter.spend(start, end, period_basis=basis)) == of_month
    assert meter.violations() == []


def _span():
    return START - DAY, END + DAY


SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(made=records, chance=st.randoms(use_true_random=False))
@SETTINGS
def test_order_repeats_batches_and_copies_do_not_change_a_sum(databases, made, chance):
    with database(databases) as meter:
        arrive(meter, made, chance)
        check_all_answers(meter, made, PRICES)


@given(made=records, chance=st.randoms(use_true_random=False))
@SETTINGS
def test_usage_priced_later_costs_the_same_as_usage_priced_at_once(databases, made, chance):
    with database(databases) as meter:
        arrive(meter, made, chance)
        meter.record_prices(*tables(LATE_PRICES, "late"))
        result = meter.rate_unpriced()
        everything = PRICES | LATE_PRICES
        assert result.rated == sum(cost(record, PRICES) is None and cost(record, everything) is not None for record in made)
        assert result.amount_nano == sum(cost(record, everything) or 0 for record in made if cost(record, PRICES) is None)
        check_all_answers(meter, made, everything)
        arrive(meter, made, chance)
        assert meter.rate_unpriced().rated == 0
        check_all_answers(meter, made, everything)


@given(made=records, chance=st.randoms(use_true_random=False), cuts=st.lists(times, min_size=1, max_size=3))
@SETTINGS
def test_parts_of_a_period_add_up_to_the_whole(databases, made, chance, cuts):
    with database(databases) as meter:
        arrive(meter, made, chance)
        bounds = [START - DAY, *sorted(set(cuts)), END + DAY]
        for granularity in Granularity:
            for start, end in pairwise(bounds):
                inside = [record for record in made if start <= record["time"] < end]
                rows = meter.spend(start, end, granularity=granularity, group_by=("model", "project"))
                assert sum(row.events for row in rows) == len(inside)
                assert sum(row.amount_nano for row in rows) == sum(cost(record, PRICES) or 0 for record in inside)
