"""Whatever the order and batches in which usage arrives, and whichever evaluator runs when, the alerts match an oracle.

The oracle is written here: it sums the records of a small world by the calendar and shares only field names with the code under
test.
"""

from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from metering.domain.budgets.budgets import BudgetTerms
from metering.domain.budgets.periods import Window
from metering.domain.instants import day_number, to_datetime
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.manage_budgets import Author, create_budget
from metering.operations.usage.ingest import Origin
from metering.storage.tables import alerts
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from support.builders import batch_of, instant, price_table, rate, usage_event
from support.meter import metered

CATALOG = bundled_plans()
NANO_PER_TOKEN = 1_000
FIXED = date(2028, 2, 27), date(2028, 3, 2)
# Around the end of February of a leap year, and of a year with 53 weeks.
EDGES = [
    instant(text)
    for text in (
        "2026-12-28T00:00:00Z", "2027-01-01T00:00:00Z", "2027-01-04T00:00:00Z", "2028-02-27T00:00:00Z", "2028-02-29T00:00:00Z",
        "2028-03-01T00:00:00Z", "2028-03-02T00:00:00Z", "2028-04-01T00:00:00Z",
    )
]  # fmt: skip
NOW = instant("2028-04-02T00:00:00Z")

times = st.builds(lambda edge, offset: edge + offset, st.sampled_from(EDGES), st.sampled_from([-1, 0, 1, 3_600_000_000]))
records = st.lists(
    st.fixed_dictionaries(
        {
            "time": times,
            "account": st.sampled_from(["acme", "acme", "globex"]),
            "provider": st.sampled_from(["together", "groq"]),
            "project": st.sampled_from(["", "a", "b"]),
            "tokens": st.integers(0, 12),
        }
    ),
    max_size=14,
)
budgets = st.lists(
    st.fixed_dictionaries(
        {
            "account": st.sampled_from(["acme", "acme", "globex"]),
            "window": st.sampled_from(list(Window)),
            "tokens": st.integers(1, 20),
            "thresholds": st.lists(st.sampled_from([1, 33, 50, 80, 99, 100, 101, 250, 1_000]), min_size=1, unique=True),
            "provider": st.sampled_from([(), ("together",), ("groq", "together")]),
            "project": st.sampled_from([(), ("",), ("a",), ("a", "b")]),
        }
    ),
    min_size=1,
    max_size=5,
)


def period_name(window, time):
    """The name of the calendar period that contains an instant; None if the fixed window does not."""
    day = to_datetime(time).date()
    match window:
        case Window.DAY:
            return f"{day:%Y-%m-%d}"
        case Window.WEEK:
            return f"{day:%G-W%V}"
        case Window.MONTH:
            return f"{day:%Y-%m}"
        case Window.QUARTER:
            return f"{day.year}-Q{(day.month + 2) // 3}"
        case _:
            return f"{FIXED[0]}/{FIXED[1]}" if FIXED[0] <= day <= FIXED[1] - timedelta(days=1) else None


def oracle(specs, arrived, nano_per_token):
    """The (budget, period, threshold) that the arrived records reach."""
    reached = set()
    for number, budget in enumerate(specs, 1):
        spent: dict[str, int] = {}
        for record in arrived:
            name = period_name(budget["window"], record["time"])
            inside = all(record[field] in budget[field] for field in ("provider", "project") if budget[field])
            if record["account"] == budget["account"] and inside and name is not None:
                spent[name] = spent.get(name, 0) + record["tokens"] * nano_per_token
        reached |= {
            (number, name, percent)
            for name, amount in spent.items()
            for percent in budget["thresholds"]
            if amount * 100 >= budget["tokens"] * NANO_PER_TOKEN * percent
        }
    return reached


@contextmanager
def world(databases, specs):
    with metered(databases) as meter:
        meter.now = NOW
        meter.declare("acme")
        meter.declare("globex")
        meter.record_prices(price_table(rate(), rate(provider="groq")))
        for budget in specs:
            first, end = (day_number(day) for day in FIXED) if budget["window"] is Window.FIXED else (None, None)
            terms = BudgetTerms(
                amount_nano=budget["tokens"] * NANO_PER_TOKEN,
                window=budget["window"],
                first_day=first,
                end_day=end,
                scope={name: budget[name] for name in ("project", "provider") if budget[name]},
                thresholds=tuple(budget["thresholds"]),
            )
            create_budget(meter.engine, budget["account"], terms, Author("test", NOW), CATALOG)
        yield meter


def raised(meter):
    """The (budget, period, threshold) of the alerts, in order."""
    rows = meter.rows(select(alerts).where(alerts.c.type == "budget.threshold_reached").order_by(alerts.c.id))
    return [(int(row.subject.removeprefix("budget:")), row.period, row.threshold) for row in rows]


def arrive(meter, usage, chance):
    """Ingest the records shuffled, some twice, in batches of any size; yield all arrived records after each batch."""
    pending = [(f"r{number}", record) for number, record in enumerate(usage)]
    pending += chance.sample(pending, len(pending) // 3)
    chance.shuffle(pending)
    arrived: dict[str, dict[str, Any]] = {}
    while pending:
        size = chance.randint(1, 5)
        batch = [
            usage_event(
                id=event_id,
                quantities=Quantities(input_tokens=record["tokens"]),
                **{name: record[name] for name in ("time", "account", "provider", "project")},
            )
            for event_id, record in pending[:size]
        ]
        meter.ingester.ingest(batch_of(*batch), Origin("x"))
        arrived.update(pending[:size])
        pending = pending[size:]
        yield list(arrived.values())


SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(specs=budgets, usage=records, chance=st.randoms(use_true_random=False))
@SETTINGS
def test_the_alerts_do_not_depend_on_order_batches_or_evaluators(databases, specs, usage, chance):
    with world(databases, specs) as meter:
        first, second = (BudgetEvaluator(meter.engine, CATALOG, lambda: NOW) for _ in range(2))
        for _ in arrive(meter, usage, chance):
            chance.choice([first.evaluate, second.evaluate, first.evaluate_all, second.finish, lambda: None])()
        first.evaluate()
        alerts_in_order = raised(meter)
        assert sorted(alerts_in_order) == sorted(oracle(specs, usage, NANO_PER_TOKEN))
        # Within one budget and period the lower threshold comes first.
        by_period: dict[tuple[int, str], list[int]] = {}
        for budget, period, percent in alerts_in_order:
            by_period.setdefault((budget, period), []).append(percent)
        assert all(percents == sorted(percents) for percents in by_period.values())


@given(specs=budgets, usage=records, chance=st.randoms(use_true_random=False))
@SETTINGS
def test_fired_thresholds_remain_when_charges_are_reversed(databases, specs, usage, chance):
    """Half of the usage arrives, all prices fall by half, and the rest arrives."""
    with world(databases, specs) as meter:
        evaluator = BudgetEvaluator(meter.engine, CATALOG, lambda: NOW)
        early, late = usage[: len(usage) // 2], usage[len(usage) // 2 :]
        for _ in arrive(meter, early, chance):
            evaluator.evaluate()
        fired = oracle(specs, early, NANO_PER_TOKEN)
        assert set(raised(meter)) == fired
        half = NANO_PER_TOKEN * 1000 // 2
        meter.record_prices(price_table(rate(half), rate(half, provider="groq"), source="cheaper"))
        meter.rerate()
        evaluator.evaluate()
        assert set(raised(meter)) == fired
        events = [usage_event(id=f"late-{at}", quantities=Quantities(input_tokens=each["tokens"]),
                              **{name: each[name] for name in ("time", "account", "provider", "project")})
                  for at, each in enumerate(late)]  # fmt: skip
        meter.ingester.ingest(batch_of(*events), Origin("x"))
        evaluator.evaluate()
        assert set(raised(meter)) == fired | oracle(specs, usage, NANO_PER_TOKEN // 2)
