"""Re-rating under random prices: the preview equals the run, the run matches the prices, and the sums agree.

The oracle is written here: Fractions over the records and the listed prices, one rounding up per request.
"""

from collections import defaultdict
from contextlib import contextmanager
from fractions import Fraction
from math import ceil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import metering.operations.charges.rerate as operation
from metering.domain.instants import month_of
from pricing.quantities import Quantities
from pricing.rates import Price
from support.builders import DAY, instant, price_table, rate, usage_event
from support.meter import metered

START, END = instant("2026-10-28T00:00:00Z"), instant("2026-11-04T00:00:00Z")
MODELS = ("llama", "gemma")

times = st.integers(START, END - 1)
tokens = st.integers(0, 50)
records = st.lists(
    st.fixed_dictionaries(
        {
            "time": times,
            "account": st.sampled_from(["acme", "umbrella", "stranger"]),
            "model": st.sampled_from([*MODELS, "never"]),
            "status": st.sampled_from([200, 200, 200, 500]),
            "fresh": tokens,
            "cached": tokens,
            "images": st.sampled_from([0, 0, 0, 2]),
            "reported": st.sampled_from([None, None, 17]),
        }
    ),
    max_size=10,
)
# Instants from which a model has a price in pico-USD per token; None withdraws it.
changes = st.lists(
    st.tuples(times, st.sampled_from(MODELS), st.one_of(st.none(), st.integers(0, 3_000_000))),
    max_size=6,
    unique_by=lambda change: change[:2],
)


def tables(made, source):
    for since, model, pico in made:
        withdrawn = frozenset({("together", model, "")}) if pico is None else frozenset()
        prices = {"input_tokens": Price(pico or 0), "images": Price((pico or 0) * 7, 3)}
        rates = () if pico is None else (rate(model=model, prices=prices),)
        yield price_table(*rates, withdrawn=withdrawn, source=source, effective_from=since)


def price_at(made, model, time):
    """The last price before ``time``, of equal instants the one recorded last; None if there is none."""
    listed = [(since, pico) for since, of, pico in made if of == model and since <= time]
    return max(listed, key=lambda pair: pair[0])[1] if listed else None


def cost(record, pico):
    """The cost in nano-USD at a price; None without one."""
    if pico is None:
        return None
    return ceil(((record["fresh"] + record["cached"]) * pico + Fraction(record["images"] * pico * 7, 3)) / 1_000)


def expected(made, first, second, include_reported):
    """The cost of the records with the second prices too, and the changes, by (account, model, month)."""
    total = 0
    groups: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for record in made:
        if record["status"] == 500:
            continue
        old, new = (price_at(prices, record["model"], record["time"]) for prices in (first, first + second))
        was = cost(record, old)
        rated = was is not None
        now = was if rated else record["reported"]
        may_change = rated or (include_reported and record["reported"] is not None)
        becomes = cost(record, new)
        if may_change and becomes is not None and not (rated and old == new):
            effect = groups[record["account"], record["model"], month_of(record["time"])]
            effect[0] += 1
            effect[1] += now
            effect[2] += becomes
            now = becomes
        total += now or 0
    return total, dict(groups)


@contextmanager
def database(databases):
    with metered(databases) as meter:
        meter.declare("acme")
        meter.declare("umbrella")
        yield meter


def record(meter, made):
    if made:
        meter.record_prices(*tables(made, "sheet"))


def ingest(meter, made):
    for number, record in enumerate(made):
        used = Quantities(input_tokens=record["fresh"], cache_read_tokens=record["cached"], images=record["images"])
        fields = {name: record[name] for name in ("time", "account", "model", "status")}
        meter.ingest(usage_event(id=f"r{number}", quantities=used, reported_cost_nano=record["reported"], **fields))


@given(made=records, first=changes, second=changes, include_reported=st.booleans(), size=st.sampled_from([1, 3, 10_000]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_preview_run_prices_and_sums_agree(databases, made, first, second, include_reported, size):
    second = [change for change in second if change[:2] not in {known[:2] for known in first}]
    operation.CHUNK = size
    with database(databases) as meter:
        record(meter, first)
        ingest(meter, made)
        record(meter, second)
        total, groups = expected(made, first, second, include_reported)
        previewed = meter.preview_rerate(include_reported=include_reported)
        names = {1: "stranger", 2: "acme", 3: "umbrella"}
        assert groups == {
            (names[account], model, month): [effect.events, effect.before_nano, effect.after_nano]
            for (account, _, model, month), effect in previewed.by_group.items()
        }
        assert meter.rerate(include_reported=include_reported).done_now == previewed
        assert meter.total() == total
        assert sum(row.amount_nano for row in meter.spend(START - DAY, END + DAY, group_by=("account",))) == total
        assert meter.violations() == []
        assert meter.rerate(include_reported=include_reported).run.events_changed == 0
        assert meter.total() == total


def teardown_module():
    operation.CHUNK = 10_000
