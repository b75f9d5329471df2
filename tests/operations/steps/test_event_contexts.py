"""Places are remembered from batch to batch, and what is remembered neither grows without end nor becomes wrong."""

from metering.operations.steps import event_contexts
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.event_contexts import ContextCache
from metering.operations.steps.resolve_accounts import resolve_names
from metering.storage.engine.database import read_snapshot
from support.builders import batch_of, usage_event


def contexts(meter, index, *events):
    batch = batch_of(*events)
    with read_snapshot(meter.engine) as connection:
        names = resolve_names(connection, {dimensions.account for dimensions in batch.dimensions})
    return index.of_events(batch, names)


def test_the_same_combination_has_the_same_place_in_the_next_batch(meter):
    index = ContextCache(SeriesIndex(meter.engine, 10))
    first, other = contexts(meter, index, usage_event(account="acme"), usage_event(account="acme", project="search"))
    assert contexts(meter, index, usage_event(account="acme", project="search"), usage_event(account="acme")) == [other, first]


def test_who_is_billed_is_asked_anew_for_every_batch(meter):
    index = ContextCache(SeriesIndex(meter.engine, 10))
    (nobodys,) = contexts(meter, index, usage_event(account="globex"))
    globex = meter.declare("globex")
    (its_own,) = contexts(meter, index, usage_event(account="globex"))
    assert (nobodys.needs_attention, its_own.needs_attention) == (True, False)
    assert its_own.account_id == globex != nobodys.account_id


def test_what_is_remembered_has_an_end_and_places_stay_right_beyond_it(meter, monkeypatch):
    monkeypatch.setattr(event_contexts, "MAX_REMEMBERED", 2)
    index = ContextCache(SeriesIndex(meter.engine, 100))
    events = [usage_event(account="acme", project=f"p{number}") for number in range(4)]
    for _ in range(3):
        for event in events:
            (context,) = contexts(meter, index, event)
            assert context.series.project == event.project
    assert len(index._known) <= 3
