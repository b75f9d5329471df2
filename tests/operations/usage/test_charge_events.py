"""Charging a batch column by column gives the same charges as charging each event alone."""

from hypothesis import given
from hypothesis import strategies as st

from metering.domain.usage.charging import EXEMPT, first_charge
from metering.domain.usage.events import QuantityGrade
from metering.operations.usage.charge_events import charge_events
from pricing.book import Timeline
from pricing.quantities import ALL_KINDS, Quantities
from pricing.rates import Price, Rate
from support.builders import batch_of, usage_event

KINDS = st.sampled_from(ALL_KINDS)
USED = st.dictionaries(KINDS, st.integers(0, 2_000), max_size=4).map(lambda counts: Quantities(**counts))
EVENTS = st.builds(
    usage_event,
    time=st.integers(0, 3),
    status=st.sampled_from([200, 503, None]),
    quantities=USED,
    quantity_grade=st.sampled_from(list(QuantityGrade)),
    reported_cost_nano=st.none() | st.integers(0, 9),
)


def rate(number, context_from=0, **prices):
    """Return a recorded rate with prices in pico-USD."""
    stated = {kind: Price(pico) for kind, pico in prices.items()}
    return Rate(provider="p", model="m", prices=stated, context_from=context_from, id=number)


TEXT = rate(1, input_tokens=3, output_tokens=7)
CACHED = rate(2, input_tokens=300, cache_read_tokens=30, cache_write_tokens=40, cache_write_1h_tokens=50, output_tokens=700)
PICTURES = rate(3, input_tokens=5, output_tokens=6, images=1_000_000)
INPUT_ONLY = rate(4, input_tokens=9)
LONG_PROMPTS = (rate(6, 1_000, input_tokens=20, output_tokens=40), rate(5, input_tokens=10, output_tokens=20))
TIMELINES = [
    Timeline([], []),
    Timeline([1], [(TEXT,)]),
    Timeline([0, 2], [(CACHED,), (PICTURES,)]),
    Timeline([0], [LONG_PROMPTS]),
    Timeline([0, 3], [(INPUT_ONLY,), ()]),
]


@given(st.lists(st.tuples(EVENTS, st.sampled_from(TIMELINES)), max_size=6))
def test_a_batch_is_charged_like_each_of_its_events_alone(pairs):
    events = batch_of(*(event for event, _ in pairs)).events
    alone = []
    for position, (event, timeline) in enumerate(pairs):
        known = event.quantity_grade != QuantityGrade.UNSTATED
        price = timeline.rate_at(event.time, event.quantities.prompt_tokens) if known else None
        charge = first_charge(event.quantities, price, event.reported_cost_nano)
        alone.append(charge if events.succeeded[position] else EXEMPT)
    assert charge_events(events, [timeline for _, timeline in pairs]) == alone


def test_the_context_tier_depends_on_the_whole_prompt_including_cached_tokens():
    events = batch_of(
        usage_event(quantities=Quantities(input_tokens=999, cache_read_tokens=0, output_tokens=1)),
        usage_event(quantities=Quantities(input_tokens=1, cache_read_tokens=999, output_tokens=1)),
    ).events
    # 999 x 10 + 1 x 20 = 10,010 pico-USD and 1,000 x 20 + 1 x 40 = 20,040, each rounded up to nano-USD.
    charges = charge_events(events, [Timeline([0], [LONG_PROMPTS])] * 2)
    assert [(charge.rate_id, charge.amount_nano) for charge in charges] == [(5, 11), (6, 21)]
