"""Contexts are cached from batch to batch. The cache stays bounded and never returns a wrong context."""

from metering.operations.steps import event_contexts
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.event_contexts import ContextCache
from metering.operations.steps.resolve_accounts import resolve_names
from metering.storage.engine.database import read_snapshot
from support.builders import batch_of, usage_event


def contexts_of(meter, cache, *events):
    batch = batch_of(*events)
    with read_snapshot(meter.engine) as connection:
        names = resolve_names(connection, {dimensions.account for dimensions in batch.dimensions})
    return cache.of_events(batch, names)


def test_the_same_combination_has_the_same_context_in_the_next_batch(meter):
    cache = ContextCache(SeriesIndex(meter.engine, 10))
    first, other = contexts_of(meter, cache, usage_event(account="acme"), usage_event(account="acme", project="search"))
    assert contexts_of(meter, cache, usage_event(account="acme", project="search"), usage_event(account="acme")) == [
        other,
        first,
    ]


def test_accounts_are_resolved_again_for_every_batch(meter):
    cache = ContextCache(SeriesIndex(meter.engine, 10))
    (undeclared,) = contexts_of(meter, cache, usage_event(account="globex"))
    globex = meter.declare("globex")
    (declared,) = contexts_of(meter, cache, usage_event(account="globex"))
    assert (undeclared.needs_attention, declared.needs_attention) == (True, False)
    assert declared.account_id == globex != undeclared.account_id


def test_the_cache_is_bounded_and_contexts_stay_right_beyond_the_bound(meter, monkeypatch):
    monkeypatch.setattr(event_contexts, "MAX_CACHED", 2)
    cache = ContextCache(SeriesIndex(meter.engine, 100))
    events = [usage_event(account="acme", project=f"p{number}") for number in range(4)]
    for _ in range(3):
        for event in events:
            (context,) = contexts_of(meter, cache, event)
            assert context.series.project == event.project
    assert len(cache._known) <= 3
