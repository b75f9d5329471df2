"""For any order of events, a closed statement never changes, everything is billed once, and sums agree.

The oracle is a few lines without a ledger: usage is kept by month, and credits are applied to it at the end.
"""

from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.domain.statements.statement_record import canonical_form, record_of
from pricing.quantities import Quantities
from support.builders import instant, price_table, rate, usage_event

MONTHS = (202609, 202610, 202611, 202612)
STARTS = [instant(f"2026-{month:02d}-01T00:00:00Z") for month in (9, 10, 11, 12)] + [instant("2027-01-01T00:00:00Z")]
NANO = 1_000_000_000
FREE_NANO = 100_000_000  # what the free plan includes until October 2026

hundredths = st.integers(1, 400)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.integers(0, 3), hundredths),
        st.tuples(st.just("adjust"), st.integers(0, 3), st.integers(-500, 300).filter(bool)),
        st.tuples(st.just("grant"), st.integers(0, 3), hundredths),
        st.tuples(st.just("rerate"), st.integers(1, 9), st.just(0)),
        st.tuples(st.just("close"), st.just(0), st.just(0)),
    ),
    min_size=4,
    max_size=14,
)


class Oracle:
    """The known cost of every month's usage, in nano-USD, and the credits that were bought."""

    def __init__(self):
        self.tokens = defaultdict(int)
        self.adjusted = defaultdict(int)
        self.grants = []
        self.price = 1_000

    def usage(self, month):
        return self.tokens[month] * self.price + self.adjusted[month]

    def credits(self):
        left = [amount for _, amount in self.grants]
        paid = 0
        for month in MONTHS:
            owed = max(0, self.usage(month))
            taken = min(owed, FREE_NANO if month < 202611 else 0)
            owed -= taken
            for number, (since, _) in enumerate(self.grants):
                part = min(owed, left[number]) if since <= month else 0
                left[number] -= part
                owed -= part
                taken += part
            paid += taken
        return paid


def sealed(statement):
    return canonical_form(record_of(statement, statement.closed_at or 0))


def do(meter, oracle, step, number):
    what, where, amount = step
    month = MONTHS[where] if what in ("event", "adjust", "grant") else None
    if what == "event":
        tokens = amount * 10_000
        meter.ingest(usage_event(time=STARTS[where] + amount, quantities=Quantities(input_tokens=tokens)))
        oracle.tokens[month] += tokens
    elif what == "adjust":
        meter.adjust(month, amount * NANO // 100, reference=f"r{number}")
        oracle.adjusted[month] += amount * NANO // 100
    elif what == "grant":
        meter.grant(amount * NANO // 100, granted_at=STARTS[where] + number, reference=f"g{number}")
        oracle.grants.append((month, amount * NANO // 100))
        oracle.grants.sort(key=lambda grant: grant[0])
    elif what == "rerate":
        oracle.price = where * 500
        meter.record_prices(price_table(rate(where * 500_000)))
        meter.rerate()


@given(steps)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_closed_statements_never_change_and_all_statements_add_up_to_usage_minus_credits(new_meter, taken):
    meter, oracle = new_meter(), Oracle()
    closed: dict[int, bytes] = {}
    meter.declare("acme")
    meter.record_prices()
    meter.now = STARTS[-1] + 1
    # The account starts in September; usage can arrive in any order.
    meter.ingest(usage_event(time=STARTS[0], quantities=Quantities(input_tokens=1)))
    oracle.tokens[202609] += 1
    for number, step in enumerate(taken):
        if step[0] == "close" and len(closed) < len(MONTHS):
            month = MONTHS[len(closed)]
            closed[month] = sealed(meter.close(month))
        else:
            do(meter, oracle, step, number)
        for month, content in closed.items():
            assert sealed(meter.statement(month)) == content
    assert meter.violations() == []
    # Through the month after the last one, which bills usage that arrived after December was closed.
    statements = [meter.statement(month) for month in (*MONTHS, 202701)]
    usage = sum(statement.usage_nano + statement.adjustments_nano for statement in statements)
    assert usage == sum(oracle.usage(month) for month in MONTHS)
    assert sum(statement.credits_nano for statement in statements) == oracle.credits()
    owed = sum(statement.total_cents for statement in statements) + statements[-1].carried_out_cents
    residual = sum(statement.residual_pico for statement in statements)
    assert owed * 10_000_000_000 == (usage - oracle.credits()) * 1_000 + residual
    assert all(statement.total_cents >= 0 for statement in statements)
