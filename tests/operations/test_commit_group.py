"""Several batches share a commit; a result is handed out once its commit has been made, and no sooner."""

import pytest
from builders import batch_of, usage_event
from sqlalchemy import select

from metering.operations import commit_group
from metering.operations.commit_group import CommitGroup
from metering.operations.ingest import Origin
from metering.storage.tables import events, receipts

ORIGIN = Origin("gateway")


@pytest.fixture
def group(meter):
    opened = CommitGroup(meter.engine, meter.ingester)
    yield opened
    opened.commit()


@pytest.fixture(autouse=True)
def five_events_a_commit(monkeypatch):
    monkeypatch.setattr(commit_group, "COMMIT_EVENTS", 5)


@pytest.fixture
def known(meter):
    """The series and the source exist, so that nothing has to be created on the way."""
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


def test_enough_events_are_committed_together_and_their_results_handed_out(known, group):
    assert group.add(batch("a", "b"), ORIGIN) == []
    results = group.add(batch("c", "d", "e"), ORIGIN)
    assert [result.accepted for result in results] == [2, 3]
    assert len(stored(known)) == 6


def test_a_second_is_long_enough_for_a_transaction(known, group, monkeypatch):
    monkeypatch.setattr(commit_group, "COMMIT_SECONDS", 0.0)
    assert [result.accepted for result in group.add(batch("a"), ORIGIN)] == [1]


def test_a_record_repeats_one_of_a_batch_before_it_in_the_same_transaction(known, group):
    group.add(batch("a", "b"), ORIGIN)
    group.add(batch("b", "c"), ORIGIN)
    assert [(result.accepted, result.duplicate) for result in group.commit()] == [(2, 0), (1, 1)]
    assert not known.violations()


def test_what_is_open_is_committed_before_a_series_or_an_account_is_created(known, group):
    """SQLite has one writer: creating would wait for the open transaction for ever."""
    group.add(batch("a"), ORIGIN)
    new_series = group.add(batch_of(usage_event(id="b", project="new")), ORIGIN)
    assert [result.accepted for result in new_series] == [1]
    creating = Origin("gateway", create_accounts=True)
    new_account = group.add(batch_of(usage_event(id="c", account="globex")), creating)
    assert [result.accepted for result in new_account] == [1]
    new_source = group.add(batch_of(usage_event(id="d", source="other")), ORIGIN)
    assert [result.accepted for result in new_source] == [1]
    assert [result.accepted for result in group.commit()] == [1]
    assert not known.violations()


def test_a_batch_that_fails_is_taken_back_alone(known, group, monkeypatch):
    group.add(batch("a"), ORIGIN)
    store = known.ingester.store

    def fail_after_storing(connection, prepared):
        store(connection, prepared)
        raise OSError("the disk is full")

    monkeypatch.setattr(known.ingester, "store", fail_after_storing)
    with pytest.raises(OSError, match="disk is full"):
        group.add(batch("b"), ORIGIN)
    monkeypatch.undo()
    assert [result.accepted for result in group.commit()] == [1]
    assert stored(known) == {"before", "a"}
    assert not known.violations()


def test_each_batch_has_a_receipt_of_its_own(known, group):
    group.add(batch("a", "b"), ORIGIN)
    known.now += 7
    group.add(batch("c"), ORIGIN)
    group.commit()
    ids = {row.external_id: row.id for row in known.rows(select(events.c.external_id, events.c.id))}
    arrived = dict(known.rows(select(receipts.c.first_event_id, receipts.c.received_at)))
    assert arrived == {ids["before"]: known.now - 7, ids["a"]: known.now - 7, ids["c"]: known.now}
