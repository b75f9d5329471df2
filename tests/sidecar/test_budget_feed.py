"""The process that stores events publishes exactly what is stored to the proxy, and answers for rates."""

import socket
import threading
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError

from metering.domain.budgets.budgets import Action, BudgetTerms
from metering.domain.usage.events import UsageEvent
from metering.operations.budgets import blocking_view
from metering.operations.budgets.manage_budgets import Author, create_budget
from metering.operations.service.open_service import Service
from metering.operations.service.settings import read_settings
from metering.sidecar.budget_messages import (
    MAX_MESSAGE_BYTES,
    Announcement,
    AnswerRates,
    AskForRates,
    Frames,
    FromProxy,
    FromShipping,
    PublishView,
    decode_from_proxy,
    decode_from_shipping,
    framed,
    received_rate,
    sent_rates,
)
from metering.sidecar.journal import JournalWriter, SegmentReader, position_of, segments
from metering.sidecar.proxy import _encode
from metering.sidecar.shipping.budget_feed import BudgetFeed
from metering.sidecar.shipping.ship import Shipper, StoreError
from metering.sidecar.shipping.stored_position import StoredPosition
from metering.storage.budgets.budgets import newest_revision_id
from pricing.rates import Price
from support.builders import INPUT_NANO, rate, usage_event
from support.meter import PLANS
from support.started_process import PATIENCE


def test_messages_of_any_cut_arrive_whole_and_in_order():
    sent: list[FromProxy] = [
        Announcement(["acme"], 7),
        AskForRates(1, "acme", "together", "llama", "chat", True),
        Announcement([], 9, True),
    ]
    data = b"".join(framed(each) for each in sent)
    for size in (1, 3, 10, len(data)):
        frames = Frames()
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        assert [decode_from_proxy(each) for piece in pieces for each in frames.feed(piece)] == sent


def test_a_length_that_cannot_be_right_is_refused():
    with pytest.raises(ValueError, match="bytes"):
        list(Frames().feed((MAX_MESSAGE_BYTES + 1).to_bytes(4, "big")))


def test_a_rate_arrives_as_it_was_sent():
    tiered = rate(prices={"input_tokens": Price(3), "compute_ms": Price(7, 1_000), "requests": Price(9)}, context_from=200)
    (sent,) = sent_rates([tiered])
    arrived = received_rate(sent)
    assert (arrived.prices, arrived.context_from, arrived.provider, arrived.model) == (
        tiered.prices,
        200,
        "together",
        "llama",
    )
    assert (arrived.vector, arrived.denominator, arrived.measured) == (tiered.vector, tiered.denominator, True)


# Positions of the journal.


def test_positions_rise_with_each_record_over_segments(tmp_path):
    journal = JournalWriter(tmp_path, 10**6)
    seen = [journal.position]
    for number in range(6):
        assert journal.append(b"%d" % number)
        seen.append(journal.position)
        if number in (1, 3):
            journal.rotate()
    journal.max_bytes = 1
    assert not journal.append(b"dropped")
    assert seen == sorted(set(seen))
    assert journal.position == seen[-1] == position_of(3, 2)
    journal.close()
    read = []
    for segment in segments(tmp_path):
        reader = SegmentReader(segment.path)
        while reader.records(1):
            read.append(position_of(segment.number, reader.returned))
        reader.close()
    assert read == seen[1:]


class Memory:
    """Stores events in a list; ``fails`` after so many calls, once."""

    def __init__(self, stored, fails=()):
        self.events: list[UsageEvent] = []
        self.positions: list[int | None] = []
        self.fails = list(fails)
        self.stored = stored

    def store(self, events):
        if self.fails:
            raise self.fails.pop(0)
        self.events += events

    def idle(self):
        with self.stored.unchanged() as position:
            self.positions.append(position)


def shipped(folder, store, stored, passes=1):
    """Ship with some passes over the journal before it is to finish."""
    left = [False] * passes + [True]
    Shipper(folder, store, lambda: left.pop(0) if len(left) > 1 else True, stored).run()


@pytest.fixture
def journal(tmp_path):
    made = JournalWriter(tmp_path, 10**7)
    yield made
    made.close()


def test_the_stored_position_is_that_of_the_last_event_stored(tmp_path, journal):
    stored = StoredPosition()
    for _ in range(3):
        journal.append(_encode(usage_event()))
    store = Memory(stored)
    shipped(tmp_path, store, stored, passes=2)
    assert (len(store.events), stored.position, store.positions) == (3, journal.position, [journal.position])


def test_a_new_process_learns_from_the_writer_that_everything_is_stored(tmp_path, journal):
    journal.append(_encode(usage_event()))
    journal.rotate()
    segments(tmp_path)[0].path.unlink()  # as the process before did, once everything was stored
    stored = StoredPosition()
    stored.announced = journal.position
    shipped(tmp_path, Memory(stored), stored)
    assert stored.position == journal.position


def test_while_it_is_open_how_much_was_stored_there_is_no_position(tmp_path, journal, monkeypatch):
    stored = StoredPosition()
    seen: list[int | None] = []
    monkeypatch.setattr(Shipper, "_wait_longer", lambda self, error: seen.append(exact(stored)))
    journal.append(_encode(usage_event()))
    store = Memory(stored, [StoreError("away")])
    stored.announced = journal.position
    shipped(tmp_path, store, stored, passes=3)
    assert seen == [None]
    assert exact(stored) == journal.position


def exact(stored):
    with stored.unchanged() as position:
        return position


def test_a_position_never_falls():
    stored = StoredPosition()
    stored.advance(9)
    with stored.advancing(4):
        pass
    stored.advance(5)
    assert exact(stored) == 9


# The feed.


class Proxy:
    """The proxy's end."""

    def __init__(self, end):
        self._end = end
        end.settimeout(PATIENCE)
        self._frames = Frames()
        self._waiting: list[FromShipping] = []

    def send(self, message):
        self._end.sendall(framed(message))

    def next(self, kind):
        """Return the next message of a kind; others are passed over."""
        while True:
            while self._waiting:
                message = self._waiting.pop(0)
                if isinstance(message, kind):
                    return message
            data = self._end.recv(65_536)
            assert data, "the feed has ended"
            self._waiting += [decode_from_shipping(each) for each in self._frames.feed(data)]

    def view(self, holds):
        while not holds(view := self.next(PublishView).view):
            pass
        return view


@contextmanager
def fed(meter, stored=None):
    ours, theirs = socket.socketpair()
    service = Service(meter.engine, meter.ingester, PLANS, read_settings({}), lambda: meter.now)
    feed = BudgetFeed(service, stored or StoredPosition(), theirs)
    thread = threading.Thread(target=feed.run)
    thread.start()
    try:
        yield Proxy(ours)
    finally:
        ours.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def block(meter, account="acme"):
    terms = BudgetTerms(amount_nano=10**9, action=Action.BLOCK, block_percent=100)
    return create_budget(meter.engine, account, terms, Author("a test", meter.now), PLANS).budget.id


def test_nothing_is_published_before_accounts_are_announced_and_then_at_once(meter):
    budget = block(meter)
    stored = StoredPosition()
    with fed(meter, stored) as proxy:
        proxy.send(AskForRates(1, "acme", "together", "llama", "chat", True))
        proxy.next(AnswerRates)
        assert proxy._waiting == []
        proxy.send(Announcement(["acme"], 5, is_whole=True))
        view = proxy.next(PublishView).view
        assert (view.accounts.keys(), [each.id for each in view.budgets]) == ({"acme"}, [budget])
        assert stored.announced == 5
        proxy.send(Announcement(["globex"], 6))
        assert proxy.view(lambda view: "globex" in view.accounts).accounts.keys() == {"acme", "globex"}
        proxy.send(Announcement(["initech"], 6, is_whole=True))
        assert proxy.view(lambda view: "initech" in view.accounts).accounts.keys() == {"initech"}


def test_what_was_stored_is_published_with_its_position(meter):
    block(meter)
    stored = StoredPosition()
    with fed(meter, stored) as proxy:
        proxy.send(Announcement(["acme"], 0, is_whole=True))
        assert proxy.next(PublishView).view.budgets[0].spent_nano == 0
        with stored.advancing(12):
            meter.ingest(usage_event())
        view = proxy.view(lambda view: view.as_of == 12)
        assert view.budgets[0].spent_nano == 120_000


def test_rates_are_answered_by_number(meter):
    with fed(meter) as proxy:
        proxy.send(AskForRates(41, "acme", "unknown", "llama", "chat", True))
        proxy.send(AskForRates(42, "acme", "groq", "llama", "chat", True))
        answers = [proxy.next(AnswerRates) for _ in range(2)]
        assert [(each.number, [rate.provider for rate in each.rates]) for each in answers] == [(41, ["together"]), (42, [])]
        assert answers[0].rates[0].prices["input_tokens"] == (INPUT_NANO * 1_000, 1)


def test_a_database_that_fails_is_tried_again(meter, monkeypatch, caplog):
    failures = [OperationalError("SELECT", {}, Exception("database is locked"))] * 2
    budget = block(meter)
    with fed(meter) as proxy:
        real = newest_revision_id

        def fails_twice(connection):
            if failures:
                raise failures.pop()
            return real(connection)

        monkeypatch.setattr(blocking_view, "newest_revision_id", fails_twice)
        proxy.send(Announcement(["acme"], 0, is_whole=True))
        assert proxy.view(lambda view: view.budgets).budgets[0].id == budget
    assert caplog.text.count("budgets cannot be read now: database is locked") == 1
