"""Concurrent requests share a commit, each is answered after it, and the queue is bounded."""

import threading
from concurrent.futures import Future, wait
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from metering.domain.errors import NotFoundError
from metering.operations.accounts.manage_keys import NewKey, create_key, revoke_key
from metering.operations.usage.ingest import Origin
from metering.runtime import group_writer
from metering.runtime.group_writer import GroupWriter, TooBusyError
from metering.runtime.metrics import Metrics
from metering.storage.tables import api_keys, events, receipts
from support.builders import batch_of, usage_event

ORIGIN = Origin("gateway")
PATIENCE = 20


class GatedIngester:
    """The meter's ingester; each transaction waits for ``gate``."""

    def __init__(self, ingester):
        self._ingester = ingester
        self.started = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.groups = []

    def ingest_all(self, batches):
        self.groups.append(len(batches))
        self.started.release()
        assert self.gate.acquire(timeout=PATIENCE)
        return self._ingester.ingest_all(batches)


class FutureWriter:
    """Submits batches to a writer; each result is a future."""

    def __init__(self, writer):
        self._writer = writer
        self.close = writer.close

    def submit(self, batch, origin):
        future: Future[Any] = Future()
        self._writer.submit(batch, origin, partial(set_outcome, future))
        return future


def set_outcome(future, outcome):
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


@pytest.fixture
def gated(meter):
    return GatedIngester(meter.ingester)


@pytest.fixture
def writer_of():
    """A function that makes a writer, which is closed after the test."""
    made = []

    def make(ingester, max_events=1_000):
        made.append(GroupWriter(ingester, max_events, Metrics()))
        return FutureWriter(made[-1])

    yield make
    for writer in made:
        writer.close()


def one(name, **overrides):
    return batch_of(usage_event(id=name, **overrides))


def stored(meter):
    return {row.external_id for row in meter.rows(select(events.c.external_id))}


def test_a_batch_is_answered_after_its_commit(meter, writer_of):
    assert writer_of(meter.ingester).submit(one("a"), ORIGIN).result(PATIENCE).accepted == 1
    assert stored(meter) == {"a"}


def test_batches_that_arrive_during_a_transaction_share_the_next_one(meter, gated, writer_of):
    writer = writer_of(gated)
    first = writer.submit(one("first"), ORIGIN)
    assert gated.started.acquire(timeout=PATIENCE)
    others = [writer.submit(one(f"other-{number}"), ORIGIN) for number in range(7)]
    assert not first.done()
    gated.gate.release(2)
    assert [answer.result(PATIENCE).accepted for answer in (first, *others)] == [1] * 8
    assert gated.groups == [1, 7]
    assert meter.count(receipts) == 2
    assert not meter.violations()


def test_a_commit_lingers_for_the_clients_of_the_last_one(gated, writer_of, monkeypatch):
    monkeypatch.setattr(group_writer, "LINGER_SECONDS", PATIENCE)
    writer = writer_of(gated)
    first = writer.submit(one("first"), ORIGIN)
    assert gated.started.acquire(timeout=PATIENCE)
    others = [writer.submit(one(name), ORIGIN) for name in ("a", "b")]
    gated.gate.release()
    assert first.result(PATIENCE).accepted == 1
    again = writer.submit(one("again"), ORIGIN)
    gated.gate.release()
    assert [answer.result(PATIENCE).accepted for answer in (*others, again)] == [1, 1, 1]
    assert gated.groups == [1, 3]


def test_a_commit_does_not_linger_for_long(gated, writer_of):
    writer = writer_of(gated)
    first = writer.submit(one("first"), ORIGIN)
    assert gated.started.acquire(timeout=PATIENCE)
    others = [writer.submit(one(name), ORIGIN) for name in ("a", "b")]
    gated.gate.release(2)
    assert [answer.result(PATIENCE).accepted for answer in (first, *others)] == [1, 1, 1]
    assert gated.groups == [1, 2]


def test_a_single_client_is_not_waited_for(meter, writer_of, monkeypatch):
    monkeypatch.setattr(group_writer, "LINGER_SECONDS", 10 * PATIENCE)
    writer = writer_of(meter.ingester)
    assert [writer.submit(one(name), ORIGIN).result(PATIENCE).accepted for name in ("a", "b", "c")] == [1, 1, 1]


def test_closing_does_not_linger(meter, gated, writer_of, monkeypatch):
    monkeypatch.setattr(group_writer, "LINGER_SECONDS", 10 * PATIENCE)
    writer = writer_of(gated)
    first = writer.submit(one("first"), ORIGIN)
    assert gated.started.acquire(timeout=PATIENCE)
    other = writer.submit(one("other"), ORIGIN)
    gated.gate.release(2)
    assert first.result(PATIENCE).accepted == 1
    writer.close()
    assert other.result(0).accepted == 1
    assert stored(meter) == {"first", "other"}


def test_each_request_is_answered_with_its_own_outcome(meter, gated, writer_of):
    writer = writer_of(gated)
    before = writer.submit(one("a"), ORIGIN)
    assert gated.started.acquire(timeout=PATIENCE)
    event = usage_event(id="b")
    answers = [writer.submit(batch_of(event), ORIGIN) for _ in range(3)]
    gated.gate.release(2)
    counted = [(answer.result(PATIENCE).accepted, answer.result(PATIENCE).duplicate) for answer in (before, *answers)]
    assert counted == [(1, 0), (1, 0), (0, 1), (0, 1)]


def test_a_batch_over_the_queue_limit_is_refused_and_not_stored(meter, gated, writer_of):
    writer = writer_of(gated, max_events=3)
    writing = writer.submit(one("writing"), ORIGIN)
    assert gated.started.acquire(timeout=PATIENCE)
    waiting = [writer.submit(one(name), ORIGIN) for name in ("a", "b")]
    with pytest.raises(TooBusyError, match="send them again later"):
        writer.submit(one("too much"), ORIGIN)
    gated.gate.release(3)
    wait([writing, *waiting], PATIENCE)
    assert writer.submit(one("again"), ORIGIN).result(PATIENCE).accepted == 1
    assert stored(meter) == {"writing", "a", "b", "again"}


def test_stored_events_make_room_in_the_queue(meter, gated, writer_of):
    writer = writer_of(gated, max_events=3)
    gated.gate.release(3)
    for name in ("a", "b", "c"):
        assert writer.submit(one(name), ORIGIN).result(PATIENCE).accepted == 1
        assert gated.started.acquire(timeout=PATIENCE)
    answers = [writer.submit(one("writing"), ORIGIN)]
    assert gated.started.acquire(timeout=PATIENCE)
    answers += [writer.submit(one(name), ORIGIN) for name in ("d", "e")]
    gated.gate.release(3)
    assert [answer.result(PATIENCE).accepted for answer in answers] == [1, 1, 1]


def test_after_each_commit_the_writer_says_that_events_were_stored(meter):
    seen = []
    writer = GroupWriter(meter.ingester, 1_000, Metrics(), lambda: seen.append(stored(meter)))
    for name in ("a", "b"):
        result: Future[Any] = Future()
        writer.submit(one(name), ORIGIN, partial(set_outcome, result))
        assert result.result(PATIENCE).accepted == 1
    writer.close()
    assert seen == [{"a"}, {"a", "b"}]


def test_an_empty_queue_accepts_a_batch_of_any_size(meter, writer_of):
    large = batch_of(*(usage_event() for _ in range(9)))
    assert writer_of(meter.ingester, max_events=3).submit(large, ORIGIN).result(PATIENCE).accepted == 9


def test_a_batch_that_cannot_be_stored_does_not_affect_its_group(meter, gated, writer_of, monkeypatch):
    writer = writer_of(gated)
    before = writer.submit(one("before"), ORIGIN)
    assert gated.started.acquire(timeout=PATIENCE)
    answers = {name: writer.submit(one(name), ORIGIN) for name in ("good", "bad", "better")}
    ingest_all = meter.ingester.ingest_all

    def refuse_bad(batches):
        if any("bad" in batch.events.ids for batch, _ in batches):
            raise ValueError("a value that the database does not take")
        return ingest_all(batches)

    monkeypatch.setattr(meter.ingester, "ingest_all", refuse_bad)
    gated.gate.release(5)
    wait([before, *answers.values()], PATIENCE)
    assert gated.groups == [1, 3, 1, 1, 1]
    with pytest.raises(ValueError, match="does not take"):
        answers["bad"].result()
    assert stored(meter) == {"before", "good", "better"}


def test_if_the_database_does_not_respond_batches_are_not_tried_alone(gated, writer_of, meter, monkeypatch):
    writer = writer_of(gated)
    answers = [writer.submit(one("a"), ORIGIN)]
    assert gated.started.acquire(timeout=PATIENCE)
    answers += [writer.submit(one(name), ORIGIN) for name in ("b", "c")]

    def locked(batches):
        raise OperationalError("COMMIT", {}, Exception("database is locked"))

    monkeypatch.setattr(meter.ingester, "ingest_all", locked)
    gated.gate.release(2)
    for answer in answers:
        with pytest.raises(OperationalError, match="locked"):
            answer.result(PATIENCE)
    assert gated.groups == [1, 2]


def test_a_batch_whose_key_is_revoked_while_it_is_queued_is_not_stored(meter, gated, writer_of):
    key, _ = create_key(meter.engine, NewKey("gateway", ["ingest"]), now=meter.now)
    key_id = meter.rows(select(api_keys.c.id))[0][0]
    writer = writer_of(gated)
    first = writer.submit(one("first"), ORIGIN)
    assert gated.started.acquire(timeout=PATIENCE)
    revoked = writer.submit(one("revoked"), Origin("gateway", key_id=key_id))
    other = writer.submit(one("other"), ORIGIN)
    revoke_key(meter.engine, key.prefix, now=meter.now)
    gated.gate.release(2)
    with pytest.raises(Exception, match="revoked"):
        revoked.result(PATIENCE)
    wait([first, other], PATIENCE)
    assert stored(meter) == {"first", "other"}


def test_a_batch_of_an_account_that_does_not_exist_fails_alone(meter, gated, writer_of):
    writer = writer_of(gated)
    first = writer.submit(one("first"), ORIGIN)
    assert gated.started.acquire(timeout=PATIENCE)
    lost = writer.submit(one("lost"), Origin("gateway", bound_account_id=99))
    other = writer.submit(one("other"), ORIGIN)
    gated.gate.release(2)
    with pytest.raises(NotFoundError):
        lost.result(PATIENCE)
    assert (first.result(PATIENCE).accepted, other.result(PATIENCE).accepted) == (1, 1)
    assert gated.groups == [1, 2]


def test_closing_stores_queued_batches_and_accepts_no_more(meter, gated, writer_of):
    writer = writer_of(gated)
    answers = [writer.submit(one(name), ORIGIN) for name in ("a", "b")]
    gated.gate.release(2)
    writer.close()
    assert [answer.result(0).accepted for answer in answers] == [1, 1]
    assert stored(meter) == {"a", "b"}
    with pytest.raises(TooBusyError, match="shutting down"):
        writer.submit(one("c"), ORIGIN)
