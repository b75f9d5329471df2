"""Conflicts are shown side by side with the event they contradict, and are accepted or dismissed."""

import pytest

from metering.domain.errors import NotFoundError
from metering.domain.usage.conflicts import ConflictDecision
from metering.operations.usage.resolve_conflicts import (
    DecidedError,
    accept_conflict,
    dismiss_conflict,
    list_conflicts,
)
from pricing.quantities import Quantities
from support.builders import DAY, NOON, usage_event

TWICE = Quantities(input_tokens=200, output_tokens=10)  # 220,000 nano-USD


def conflicts(meter, **which):
    return list_conflicts(meter.engine, meter.settings, **which)


def accept(meter, conflict_id):
    return accept_conflict(meter.engine, meter.settings, conflict_id, reason="the first was cut", by="cli", now=meter.now)


def test_a_conflict_shows_both_sides_and_what_differs(meter):
    meter.ingest(usage_event(id="a"), usage_event(id="a", quantities=TWICE, provider="groq"))
    (conflict,), count = conflicts(meter)
    assert count == 1
    assert (conflict.source, conflict.event_id, conflict.differs_in) == ("gateway", "a", ["provider", "quantities"])
    assert (conflict.counted_nano, conflict.record_nano) == (120_000, None)  # groq has no price here
    assert conflict.counted.quantities == Quantities(input_tokens=100, output_tokens=10)
    assert conflict.record.quantities == TWICE


def test_accepting_replaces_the_event_once(meter):
    meter.ingest(usage_event(id="a"), usage_event(id="a", quantities=TWICE))
    (conflict,), _ = conflicts(meter)
    assert conflict.record_nano == 220_000
    accepted = accept(meter, conflict.id)
    assert (accepted.decision, accepted.decided_by, accepted.counted_nano) == (ConflictDecision.ACCEPTED, "cli", 220_000)
    assert meter.total() == 220_000
    assert conflicts(meter) == ([], 0)
    assert [each.id for each in conflicts(meter, with_decided=True)[0]] == [conflict.id]
    assert meter.ingest(usage_event(id="a"), usage_event(id="a", quantities=TWICE)).duplicate == 2
    assert not meter.violations()
    with pytest.raises(DecidedError):
        accept(meter, conflict.id)


def test_dismissing_keeps_the_event(meter):
    meter.ingest(usage_event(id="a"), usage_event(id="a", quantities=TWICE))
    dismissed = dismiss_conflict(meter.engine, meter.settings, 1, reason="a retry", by="cli", now=meter.now)
    assert (dismissed.decision, dismissed.reason) == (ConflictDecision.DISMISSED, "a retry")
    assert meter.total() == 120_000
    assert conflicts(meter) == ([], 0)
    assert not meter.violations()


def test_accepting_in_a_closed_month_corrects_the_open_one(meter):
    meter.set_plan("pro", "2026-10-01")
    october = NOON - 14 * DAY
    meter.ingest(usage_event(id="a", time=october), usage_event(id="a", time=october, quantities=TWICE))
    meter.close(202610)
    accept(meter, 1)
    assert meter.total() == 220_000
    assert not meter.violations()


def test_a_conflict_that_does_not_exist_is_not_found(meter):
    with pytest.raises(NotFoundError, match="no conflict 7"):
        accept(meter, 7)
