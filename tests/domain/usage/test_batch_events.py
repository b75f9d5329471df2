"""Columns lose nothing of an event: after selecting or joining, each event is as its record stated it."""

from hypothesis import given
from hypothesis import strategies as st

from metering.domain.usage.batch_events import COLUMN_KINDS, BatchEvents, other_quantities
from pricing.quantities import ALL_KINDS, Quantities
from support.builders import batch_of, usage_event

COUNTS = st.dictionaries(st.sampled_from(ALL_KINDS), st.integers(0, 1_000), max_size=4)
USED = COUNTS.map(lambda counts: Quantities(**counts))


def events_of(*used):
    """Return events with these quantities, each with its own ID."""
    return batch_of(*(usage_event(id=f"e{number}", quantities=each) for number, each in enumerate(used))).events


def whole(events):
    return [events.at(position) for position in range(len(events))]


@given(st.lists(USED, max_size=6))
def test_every_kind_of_quantity_is_kept_with_or_without_a_column(used):
    events = events_of(*used)
    assert [event.quantities for event in whole(events)] == used
    assert [quantities is not None for quantities in events.beyond] == [bool(other_quantities(each)) for each in used]


@given(st.lists(USED, max_size=6), st.data())
def test_splitting_and_joining_a_batch_changes_nothing(used, data):
    events = events_of(*used)
    cut = data.draw(st.integers(0, len(used)))
    parts = [events.only(range(cut)), events.only(range(cut, len(used)))]
    assert BatchEvents.joined(parts) == events


@given(st.lists(USED, min_size=1, max_size=6), st.data())
def test_only_returns_the_selected_events(used, data):
    events = events_of(*used)
    positions = data.draw(st.lists(st.integers(0, len(used) - 1)))
    assert whole(events.only(positions)) == [events.at(position) for position in positions]


def test_an_empty_batch_has_empty_columns():
    assert BatchEvents.joined([]) == BatchEvents.of_rows([]) == events_of()
    assert len(events_of()) == 0


def test_kinds_without_a_column_are_kept_by_name():
    assert COLUMN_KINDS == ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
    used = Quantities(input_tokens=5, cache_write_tokens=7, images=1, reasoning_tokens=2)
    assert other_quantities(used) == '{"cache_write_tokens":7,"images":1}'
    assert events_of(used, Quantities(input_tokens=3)).beyond == [used, None]
