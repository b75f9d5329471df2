"""Several batches share a commit; a result is returned after its commit, not before."""

import pytest
from sqlalchemy import select

from metering.domain.usage.outcomes import Outcome
from metering.operations.usage import commit_group, ingest
from metering.operations.usage.commit_group import CommitGroup
from metering.operations.usage.ingest import Origin
from metering.storage.tables import events, quarantine, receipts
from support.builders import batch_of, rejected_record, usage_event

ORIGIN = Origin("gateway")
RESPONSE = "ebafdc12cee84cf29c1b"


@pytest.fixture
def group(meter):
    opened = CommitGroup(meter.ingester)
    yield opened
    opened.commit()


@pytest.fixture(autouse=True)
def five_events_a_commit(monkeypatch):
    monkeypatch.setattr(commit_group, "COMMIT_EVENTS", 5)
    monkeypatch.setattr(commit_group, "SERVER_COMMIT_EVENTS", 5)


@pytest.fixture
def known(meter):
    """A meter whose series and source exist already."""
    meter.ingest(usage_event(id="before"))
    return meter


def batch(*ids):
    return batch_of(*(usage_event(id=name) for name in ids))


def stored(meter):
    return {row.external_id for row in meter.rows(select(events.c.external_id))}


def test_nothing_is_acknowledged_or_visible_before_the_commit(known, group):
    assert group.add(batch("a", "b"), ORIGIN) == []
    assert stored(known) == {"before"}
    (result,) = group.commit()
    assert (result.accepted, stored(known)) == (2, {"before", "a", "b"})
    assert group.commit() == []


def test_enough_events_are_committed_together_and_their_results_returned(known, group):
    assert group.add(batch("a", "b"), ORIGIN) == []
    results = group.add(batch("c", "d", "e"), ORIGIN)
    assert [result.accepted for result in results] == [2, 3]
    assert len(stored(known)) == 6


def test_pending_batches_are_committed_after_a_second(known, group, monkeypatch):
    monkeypatch.setattr(commit_group, "COMMIT_SECONDS", 0.0)
    assert [result.accepted for result in group.add(batch("a"), ORIGIN)] == [1]


def test_a_record_can_repeat_one_of_an_earlier_batch_in_the_same_transaction(known, group):
    group.add(batch("a", "b"), ORIGIN)
    group.add(batch("b", "c"), ORIGIN)
    assert [(result.accepted, result.duplicate) for result in group.commit()] == [(2, 0), (1, 1)]
    assert not known.violations()


def test_a_pending_batch_can_have_a_new_series_account_or_source(known, group):
    group.add(batch("a"), ORIGIN)
    group.add(batch_of(usage_event(id="b", project="new")), ORIGIN)
    group.add(batch_of(usage_event(id="c", account="globex")), Origin("gateway", create_accounts=True))
    group.add(batch_of(usage_event(id="d", source="other")), ORIGIN)
    assert [result.accepted for result in group.commit()] == [1, 1, 1, 1]
    assert not known.violations()


def test_each_batch_counts_its_own_records(known, group):
    group.add(batch_of(usage_event(id="a"), rejected=[rejected_record()]), ORIGIN)
    group.add(batch_of(usage_event(id="a", status=404), usage_event(id="b", model="mystery"), first_line=7), ORIGIN)
    first, second = group.commit()
    assert (first.accepted, first.rejected, first.conflict, first.unpriced) == (1, 1, 0, 0)
    assert (second.accepted, second.rejected, second.conflict, second.unpriced) == (1, 0, 1, 1)
    assert [(item.line, item.outcome) for item in second.items] == [(7, Outcome.CONFLICT)]
    assert known.count(quarantine) == 1


def test_another_sources_record_is_a_copy_of_a_pending_one(known, group):
    group.add(batch_of(usage_event(id="a", response_id=RESPONSE)), ORIGIN)
    group.add(batch_of(usage_event(id="b", source="tracer", response_id=RESPONSE)), ORIGIN)
    assert [(result.accepted, result.copy) for result in group.commit()] == [(1, 0), (0, 1)]
    assert not known.violations()


def test_a_failed_transaction_stores_nothing_and_the_group_continues(known, group, monkeypatch):
    group.add(batch("a"), ORIGIN)

    def fail(connection, rows):
        raise OSError("the disk is full")

    monkeypatch.setattr(ingest, "quarantine_records", fail)
    with pytest.raises(OSError, match="disk is full"):
        group.commit()
    monkeypatch.undo()
    assert stored(known) == {"before"}
    group.add(batch("a", "b"), ORIGIN)
    assert [result.accepted for result in group.commit()] == [2]
    assert not known.violations()


def test_a_transaction_has_one_receipt(known, group):
    known.now += 7
    group.add(batch("a", "b"), ORIGIN)
    group.add(batch("c"), ORIGIN)
    group.commit()
    ids = {row.external_id: row.id for row in known.rows(select(events.c.external_id, events.c.id))}
    arrived = dict(known.rows(select(receipts.c.first_event_id, receipts.c.received_at)))
    assert arrived == {ids["before"]: known.now - 7, ids["a"]: known.now}


@pytest.fixture
def ahead(meter):
    """A group that is stored while the next one collects."""
    opened = CommitGroup(meter.ingester, pipelined=True)
    yield opened
    opened.commit()


def test_a_pipelined_group_is_acknowledged_after_its_commit(known, ahead):
    assert ahead.add(batch("a", "b", "c", "d", "e"), ORIGIN) == []  # being stored
    (first,) = ahead.add(batch("f", "g", "h", "i", "j"), ORIGIN)
    assert first.accepted == 5
    assert stored(known) >= {"a", "b", "c", "d", "e"}
    assert ahead.add(batch("k"), ORIGIN) == []
    assert [result.accepted for result in ahead.commit()] == [5, 1]
    assert len(stored(known)) == 12
    assert not known.violations()


def test_an_error_of_a_pipelined_group_is_raised_and_later_batches_are_not_stored(known, ahead, monkeypatch):
    def fail(connection, rows):
        raise OSError("the disk is full")

    monkeypatch.setattr(ingest, "quarantine_records", fail)
    ahead.add(batch("a", "b", "c", "d", "e"), ORIGIN)
    with pytest.raises(OSError, match="disk is full"):
        ahead.add(batch("f", "g", "h", "i", "j"), ORIGIN)
    monkeypatch.undo()
    assert ahead.commit() == []
    assert stored(known) == {"before"}
