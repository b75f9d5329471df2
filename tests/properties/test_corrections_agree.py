"""Any sequence of corrections and withdrawals, undone in reverse order, leaves spend and statements exactly as they were.

In between, what each request costs follows from where the corrections moved it. The oracle here is a plain list of requests.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.domain.charges.corrections import CorrectionScope
from metering.domain.usage.events import UNKNOWN
from metering.operations.charges import correct_usage
from pricing.quantities import Quantities
from support.builders import DAY, NOON, price_table, rate, usage_event
from support.correcting import correct, undo, withdraw
from support.meter import Meter

OCTOBER, NOVEMBER = 202610, 202611
# Nano-USD per input token. Others have no price.
PRICE = {("together", "llama"): 1_000, ("groq", "llama"): 3_000, ("groq", "qwen"): 7_000}
PROVIDERS, MODELS, ROUTES = ("together", "groq", UNKNOWN), ("llama", "qwen"), ("routed", "provider_key", "unknown")
PROJECTS = ("", "search")

records = st.lists(
    st.fixed_dictionaries(
        {
            "provider": st.sampled_from(PROVIDERS),
            "model": st.sampled_from(MODELS),
            "route": st.sampled_from(ROUTES),
            "project": st.sampled_from(PROJECTS),
            "source": st.sampled_from(["gateway", "proxy"]),
            "status": st.sampled_from([200, 200, 200, 429]),
            "in_october": st.booleans(),
            "input": st.integers(1, 10**6),
            "reported": st.sampled_from([None, None, 11]),
        }
    ),
    min_size=1,
    max_size=10,
)
where = st.one_of(
    st.just(dict[str, str]()),
    st.sampled_from(PROVIDERS).map(lambda value: {"provider": value}),
    st.tuples(st.sampled_from(MODELS), st.sampled_from(ROUTES)).map(lambda pair: {"model": pair[0], "route": pair[1]}),
)
values = st.fixed_dictionaries(
    {},
    optional={
        "provider": st.sampled_from(["together", "groq"]),
        "model": st.sampled_from(MODELS),
        "route": st.sampled_from(["routed", "provider_key"]),
        "project": st.sampled_from(PROJECTS),
    },
).filter(bool)
runs = st.lists(
    st.one_of(
        st.tuples(st.just("correct"), where, st.sampled_from([None, "gateway", "proxy"]), values),
        st.tuples(st.just("withdraw"), where, st.sampled_from(["gateway", "proxy"]), st.none()),
    ),
    max_size=5,
)


def event_of(number, made):
    return usage_event(
        id=f"r{number}",
        time=NOON + number - (14 * DAY if made["in_october"] else 0),
        quantities=Quantities(input_tokens=made["input"]),
        reported_cost_nano=made["reported"],
        **{name: made[name] for name in ("provider", "model", "route", "project", "source", "status")},
    )


def cost(made):
    if made["status"] != 200:
        return 0
    price = PRICE.get((made["provider"], made["model"]))
    return made["input"] * price if price is not None else made["reported"] or 0


def is_meant(made, where, source):
    return source in (None, made["source"]) and all(made[name] == value for name, value in where.items())


def answers(meter):
    by_day = meter.spend(group_by=("provider", "model", "route", "project", "price_grade"))
    spend = sorted(repr(row) for row in by_day if row.events or row.amount_nano)
    return spend, [repr(meter.statement(month)) for month in (OCTOBER, NOVEMBER)]


def run_all(meter, made, steps):
    """Correct and withdraw; return the runs that changed something or nothing, and compare the total after each."""
    done, left = [], [dict(each) for each in made]
    for kind, chosen, source, changed in steps:
        scope = CorrectionScope(2, where=chosen, source=source)
        meant = [each for each in left if is_meant(each, chosen, source)]
        if kind == "withdraw":
            result = withdraw(meter, scope)
            left = [each for each in left if not is_meant(each, chosen, source)]
        else:
            result = correct(meter, scope, **changed)
            meant = [each for each in meant if any(each[name] != value for name, value in changed.items())]
            for each in meant:
                each.update(changed)
        assert (result.run.events_changed, result.run.events_kept) == (len(meant), 0)
        assert meter.total() == sum(map(cost, left))
        done.append(result.run.id)
    return done


@given(records, runs, st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_undoing_every_run_leaves_every_answer_as_it_was(databases, monkeypatch, made, steps, october_is_closed):
    monkeypatch.setattr(correct_usage, "CHUNK", 3)
    meter = Meter(databases.new())
    try:
        meter.declare("acme")
        prices = [rate(1_000 * nano, 0, provider=provider, model=model) for (provider, model), nano in PRICE.items()]
        meter.record_prices(price_table(*prices))
        meter.set_plan("pro", "2026-10-01")
        meter.ingest(*(event_of(number, each) for number, each in enumerate(made)))
        meter.ingest(*(event_of(len(made) + n, {**made[0], "source": source}) for n, source in enumerate(("gateway", "proxy"))))
        made = [*made, {**made[0], "source": "gateway"}, {**made[0], "source": "proxy"}]
        if october_is_closed:
            meter.close(OCTOBER, allow_unpriced=True)
        before = answers(meter)
        closed = before[1][0]
        done = run_all(meter, made, steps)
        assert meter.violations() == []
        for run in reversed(done):
            assert undo(meter, run).run.events_kept == 0
            assert not october_is_closed or repr(meter.statement(OCTOBER)) == closed
        assert answers(meter) == before
        assert meter.violations() == []
    finally:
        meter.engine.dispose()
        databases.drop(meter.url)
