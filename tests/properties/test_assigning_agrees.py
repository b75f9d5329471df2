"""For any sequence of sending, assigning, closing and late pricing, a request counts once in an account, and sums agree.

The oracle records, for each account, which records it has and which requests it counts. It shares nothing with the code.
"""

from contextlib import contextmanager

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import metering.operations.usage.assign_usage as operation
from metering.domain.usage.logged_events import EventQuery
from metering.operations.statements.close_month import NothingToCloseError
from metering.operations.usage.assign_usage import list_unassigned
from metering.operations.usage.list_events import list_events
from pricing.quantities import Quantities
from pricing.tables import Layer
from support.assigning import assign, spent
from support.builders import HOUR, instant, price_table, rate, usage_event
from support.meter import ALL_TIME, metered

UNASSIGNED = "unassigned"
ACCOUNTS = {"unassigned": 1, "acme": 2, "umbrella": 3}
START = instant("2026-09-29T00:00:00Z")
NOW = instant("2026-12-10T00:00:00Z")
REQUESTS = 6
# Standard prices in nano-USD per token; acme pays twice that. "late" gets its price at the end.
PRICE = {"llama": 1_000, "late": 3_000}

numbers = st.integers(0, REQUESTS - 1)
sources = st.sampled_from(["gateway", "gateway", "tracer"])
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"),
            st.lists(st.tuples(sources, numbers), min_size=1, max_size=5),
            st.sampled_from(["acme", "umbrella", "stranger", "stranger", "lost", ""]),
        ),
        st.tuples(
            st.just("assign"), st.sampled_from(["stranger", "stranger", "lost", ""]), st.sampled_from(["acme", "umbrella"])
        ),
        st.tuples(st.just("close"), st.sampled_from(["acme", "umbrella"]), st.sampled_from([202609, 202610, 202611])),
    ),
    max_size=12,
)


class Oracle:
    """The records that each account has, and the requests it counts with the name and source of the first record."""

    def __init__(self):
        self.records: dict[str, set[tuple[str, int]]] = {name: set() for name in ACCOUNTS}
        self.counts: dict[str, dict[int, tuple[str, str]]] = {name: {} for name in ACCOUNTS}

    def send(self, source, number, name):
        account = name if name in ACCOUNTS else UNASSIGNED
        if (source, number) not in self.records[account]:
            self.records[account].add((source, number))
            self.counts[account].setdefault(number, (source, name))

    def assign(self, name, account):
        for number, (source, given_name) in list(self.counts[UNASSIGNED].items()):
            if given_name == name:
                del self.counts[UNASSIGNED][number]
                self.records[account].add((source, number))
                self.counts[account].setdefault(number, (source, account))

    def unassigned(self):
        """The number of unassigned events, by (name, source)."""
        found: dict[tuple[str, str], int] = {}
        for source, name in self.counts[UNASSIGNED].values():
            found[name, source] = found.get((name, source), 0) + 1
        return found


def model_of(number):
    return "late" if number % 3 == 2 else "llama"


def record(source, number, name):
    return usage_event(
        id=f"{source}-{number}",
        source=source,
        account=name,
        model=model_of(number),
        time=START + number * 300 * HOUR,
        quantities=Quantities(input_tokens=number + 1),
        response_id=f"response-{number:08d}",
        project=f"p{number % 2}",
    )


def cost(number, account):
    return PRICE[model_of(number)] * (number + 1) * (2 if account == "acme" else 1)


def tables(model):
    pico = PRICE[model] * 1_000
    yield price_table(rate(pico, 0, model=model), source=model)
    yield price_table(rate(2 * pico, 0, model=model), source=model, layer=Layer.ACCOUNT, account_id=ACCOUNTS["acme"])


@contextmanager
def database(databases):
    with metered(databases) as meter:
        meter.now = NOW
        meter.declare("acme")
        meter.declare("umbrella")
        meter.record_prices(*tables("llama"))
        yield meter


def live(meter, oracle, step):
    kind, what, whom = step
    if kind == "send":
        for source, number in what:
            oracle.send(source, number, whom)
        meter.ingest(*(record(source, number, whom) for source, number in what))
    elif kind == "assign":
        oracle.assign(what, whom)
        assign(meter, what, whom)
    else:
        try:
            meter.close(whom, account=what, allow_unpriced=True, with_earlier=True)
        except NothingToCloseError:
            return


@given(made=steps, size=st.sampled_from([1, 2, 2_000]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_request_counts_once_in_an_account_and_all_sums_agree(databases, made, size):
    operation.CHUNK = size
    oracle = Oracle()
    with database(databases) as meter:
        for step in made:
            live(meter, oracle, step)
        meter.record_prices(*tables("late"))
        meter.rate_unpriced()
        expected = {name: (len(found), sum(cost(number, name) for number in found)) for name, found in oracle.counts.items()}
        assert spent(meter) == {name: sums for name, sums in expected.items() if sums != (0, 0)}
        for name, account_id in ACCOUNTS.items():
            listed = list_events(meter.engine, EventQuery(account_id, *ALL_TIME), limit=100)
            assert [event.id for event in listed] == [
                f"{oracle.counts[name][number][0]}-{number}" for number in sorted(oracle.counts[name])
            ]
        waiting = {(usage.name, usage.source): usage.events for usage in list_unassigned(meter.engine)}
        assert waiting == oracle.unassigned()
        assert meter.violations() == []


def teardown_module():
    operation.CHUNK = 2_000
